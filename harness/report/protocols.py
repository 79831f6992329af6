"""The ablation in words: its table for a report, and which ingredient makes two protocols disagree."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from layerclaims.report.views import AblationLine
from layerclaims.report.wording import PROTOCOLS, measured
from layerclaims.results.records import AblationRecord, ClaimRecord
from layerclaims.runtime.text import short
from layerclaims.verdicts.verdict import Verdict

NAMES: Final = {
    "split": "the split",
    "features": "the scaling of the features",
    "last": "the last label",
    "solver": "the solver",
}
CHOICES: Final = {
    "document": "split by document",
    "vector": "split by vector",
    "standardised": "features standardised",
    "as they come": "features as they come",
    "raw": "last label from the raw residual stream",
    "final": "last label after the final norm",
    "converged": "probe solved to its tolerance",
    "defaults": "scikit-learn’s defaults",
}
SMALL: Final = 0.01  # of accuracy: what moves less is no explanation
JUDGED: Final = (Verdict.REPLICATED, Verdict.NOT_REPLICATED, Verdict.INCONCLUSIVE)


def table(rows: Sequence[AblationRecord]) -> tuple[AblationLine, ...]:
    """The rows of a report's table: each protocol, and below it its single changes."""
    made = []
    for row in rows:
        changed = row.changed
        label = PROTOCOLS[row.start].capitalize()
        accuracy, interval = measured(row.accuracy, row.interval)
        unit_accuracy, unit_interval = measured(row.unit_accuracy, row.unit_interval)
        made.append(
            AblationLine(
                label=label if changed is None else f"but {CHOICES[getattr(row.ingredients, changed)]}",
                start=changed is None,
                accuracy=accuracy,
                interval=interval,
                converged=_yes(row.converged),
                unit_accuracy=unit_accuracy,
                unit_interval=unit_interval,
                unit_converged=_yes(row.unit_converged),
            )
        )
    return tuple(made)


def _yes(value: bool | None) -> str:
    return {True: "yes", False: "no", None: "–"}[value]


@dataclass(frozen=True, kw_only=True)
class _Walk:
    """One quantity along the ablation."""

    name: str
    rows: Sequence[AblationRecord]
    quantity: str  # "accuracy", "unit_accuracy" or "difference"

    def value(self, start: str, changed: str | None) -> float:
        row = self.row(start, changed)
        if self.quantity == "difference":
            return row.accuracy - row.unit_accuracy
        return row.unit_accuracy if self.quantity == "unit_accuracy" else row.accuracy

    def converged(self, start: str, changed: str | None) -> bool:
        row = self.row(start, changed)
        raw = row.converged
        unit = raw if row.unit_converged is None else row.unit_converged
        return {"accuracy": raw, "unit_accuracy": unit, "difference": raw and unit}[self.quantity]

    def row(self, start: str, changed: str | None) -> AblationRecord:
        return next(row for row in self.rows if (row.start, row.changed) == (start, changed))

    def effect(self, ingredient: str) -> float:
        """What the published choice adds: the mean of taking it up alone and of having it beside the others."""
        alone = self.value("rigorous", ingredient) - self.value("rigorous", None)
        beside = self.value("as-published", None) - self.value("as-published", ingredient)
        return (alone + beside) / 2

    @property
    def ingredients(self) -> list[str]:
        """Those that the walk changes, the one of largest effect towards the published value first."""
        gap = self.value("as-published", None) - self.value("rigorous", None)
        sign = 1 if gap >= 0 else -1
        names = [row.changed for row in self.rows if row.start == "rigorous" and row.changed]
        return sorted(names, key=lambda name: -sign * self.effect(name))


def disagreement(claims: Sequence[ClaimRecord], rows: Sequence[AblationRecord]) -> str:
    """One sentence on why a claim's verdicts differ between the protocols, and which ingredient it rests on.

    Empty where they agree, where one was not judged, and where there is no whole ablation to say it.
    """
    by_name = {claim.protocol: claim for claim in claims}
    rigorous, published = by_name.get("rigorous"), by_name.get("as-published")
    if rigorous is None or published is None or rigorous.verdict == published.verdict:
        return ""
    if not {rigorous.verdict, published.verdict} <= set(JUDGED):
        return ""
    if rigorous.probe is None or published.probe is None:
        if any(part.recipe for part in rigorous.parts):
            return "The protocols disagree because of the split or the last label: no layer probe is fitted for it."
        return (
            "The protocols disagree because of the last label, the only ingredient that this claim has: no probe is "
            "fitted for it."
        )
    if not _whole(rows):
        return ""
    walk, direct = _walk(rigorous, published, rows)
    stalled = [claim for claim in (rigorous, published) if claim.probe and not claim.probe.converged]
    if len(stalled) == 1:
        return _convergence(walk, stalled[0].protocol)
    ingredient, *_ = walk.ingredients
    alone = (walk.value("rigorous", None), walk.value("rigorous", ingredient))
    back = (walk.value("as-published", None), walk.value("as-published", ingredient))
    if abs(walk.effect(ingredient)) < SMALL:
        return (
            f"The protocols disagree, and no ingredient alone explains it: in the ablation none moves {walk.name} by "
            f"{short(SMALL)}."
        )
    beginning = (
        f"The protocols disagree mostly because of {NAMES[ingredient]}"
        if direct
        else "The protocols disagree on a number that the ablation does not follow; what moves accuracy most is "
        f"{NAMES[ingredient]}"
    )
    return (
        f"{beginning}: in the ablation, changing it alone takes {walk.name} from {_two(*alone)}, and changing it back "
        f"alone from {_two(*back)}."
    )


def _convergence(walk: _Walk, stalled: str) -> str:
    """Why one protocol's probe did not converge."""
    beginning = (
        f"The protocols disagree because the probe of the {_adjective(stalled)} protocol did not converge"
    )
    if walk.converged(stalled, None):
        return f"{beginning}; in the ablation, on fewer documents and for accuracy alone, it did."
    cures = [name for name in walk.ingredients if walk.converged(stalled, name)]
    if not cures:
        return f"{beginning}, and in the ablation no single change lets it: it takes two ingredients or more."
    changes = " or ".join(NAMES[name] for name in cures)
    before, after = walk.value(stalled, None), walk.value(stalled, cures[0])
    return (
        f"{beginning}; in the ablation it does once {changes} alone is changed, and changing {NAMES[cures[0]]} takes "
        f"{walk.name} from {_two(before, after)}{_also(walk, stalled, cures)}."
    )


def _also(walk: _Walk, stalled: str, cures: Sequence[str]) -> str:
    """What takes the number at least half as far, though the probe does not converge with it."""
    before = walk.value(stalled, None)
    way = walk.value(stalled, cures[0]) - before
    far = [n for n in walk.ingredients if n not in cures and abs(way) >= SMALL
           and (walk.value(stalled, n) - before) / way >= 0.5]  # fmt: skip
    if not far:
        return ""
    said = " and ".join(f"{NAMES[n]} alone takes it to {_hundredths(walk.value(stalled, n))}" for n in far)
    return f"; {said} without converging"


def _adjective(protocol: str) -> str:
    return {"rigorous": "rigorous", "as-published": "published"}[protocol]


def _two(before: float, after: float) -> str:
    return f"{_hundredths(before)} to {_hundredths(after)}"


def _hundredths(value: float) -> str:
    return measured(value, [value - 0.01, value + 0.01])[0]


def _walk(
    rigorous: ClaimRecord, published: ClaimRecord, rows: Sequence[AblationRecord]
) -> tuple[_Walk, bool]:
    """The walk of the quantity nearest to the part that makes the difference, and whether it is that part's own."""
    pairs = list(zip(rigorous.parts, published.parts, strict=False))
    part = next((a for a, b in pairs if a.holds != b.holds), rigorous.parts[0])
    series = set(part.recipe.series) if part.recipe else set()
    if series == {"raw", "unit"}:
        return _Walk(name="the accuracy lost by unit-normalising", rows=rows, quantity="difference"), True
    if series == {"unit"}:
        return _Walk(name="accuracy on unit vectors", rows=rows, quantity="unit_accuracy"), True
    return _Walk(name="accuracy", rows=rows, quantity="accuracy"), series == {"raw"}


def _whole(rows: Sequence[AblationRecord]) -> bool:
    """Whether all steps are there, each once."""
    wanted = {(start, name) for start in PROTOCOLS for name in (None, *NAMES)}
    found = [(row.start, row.changed) for row in rows]
    return len(found) == len(wanted) and set(found) == wanted
