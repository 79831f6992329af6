"""The ablation in words: its table for a report, and which ingredient makes two protocols disagree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.drawing import short
from harness.views import AblationRow
from harness.wording import PROTOCOLS, measured

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
JUDGED: Final = ("REPLICATED", "NOT_REPLICATED", "INCONCLUSIVE")

Row = Mapping[str, Any]


def table(rows: Sequence[Row]) -> tuple[AblationRow, ...]:
    """The rows of a report's table: each protocol, and below it its single changes."""
    made = []
    for row in rows:
        changed = row["changed"]
        label = PROTOCOLS[row["start"]].capitalize()
        accuracy, interval = measured(row["accuracy"], row["interval"])
        unit_accuracy, unit_interval = measured(row["unit_accuracy"], row["unit_interval"])
        made.append(
            AblationRow(
                label=label if changed is None else f"but {CHOICES[row['ingredients'][changed]]}",
                start=changed is None,
                accuracy=accuracy,
                interval=interval,
                converged=_yes(row["converged"]),
                unit_accuracy=unit_accuracy,
                unit_interval=unit_interval,
                unit_converged=_yes(row.get("unit_converged")),
            )
        )
    return tuple(made)


def _yes(value: bool | None) -> str:
    return {True: "yes", False: "no", None: "–"}[value]


@dataclass(frozen=True, kw_only=True)
class _Walk:
    """One quantity along the ablation."""

    name: str
    rows: Sequence[Row]
    quantity: str  # "accuracy", "unit_accuracy" or "difference"

    def value(self, start: str, changed: str | None) -> float:
        row = self.row(start, changed)
        if self.quantity == "difference":
            return float(row["accuracy"] - row["unit_accuracy"])
        return float(row[self.quantity])

    def converged(self, start: str, changed: str | None) -> bool:
        row = self.row(start, changed)
        raw, unit = bool(row["converged"]), bool(row.get("unit_converged", row["converged"]))
        return {"accuracy": raw, "unit_accuracy": unit, "difference": raw and unit}[self.quantity]

    def row(self, start: str, changed: str | None) -> Row:
        return next(row for row in self.rows if (row["start"], row["changed"]) == (start, changed))

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
        names = [row["changed"] for row in self.rows if row["start"] == "rigorous" and row["changed"]]
        return sorted(names, key=lambda name: -sign * self.effect(name))


def disagreement(entries: Sequence[Row], rows: Sequence[Row]) -> str:
    """One sentence on why a claim's verdicts differ between the protocols, and which ingredient it rests on.

    Empty where they agree, where one was not judged, and where there is no whole ablation to say it.
    """
    by_name = {entry["protocol"]: entry for entry in entries}
    rigorous, published = by_name.get("rigorous"), by_name.get("as-published")
    if rigorous is None or published is None or rigorous["verdict"] == published["verdict"]:
        return ""
    if not {rigorous["verdict"], published["verdict"]} <= set(JUDGED):
        return ""
    if rigorous["probe"] is None or published["probe"] is None:
        if any(part.get("recipe") for part in rigorous["parts"]):
            return "The protocols disagree because of the split or the last label: no layer probe is fitted for it."
        return (
            "The protocols disagree because of the last label, the only ingredient that this claim has: no probe is "
            "fitted for it."
        )
    if not _whole(rows):
        return ""
    walk, direct = _walk(rigorous, published, rows)
    stalled = [entry for entry in (rigorous, published) if not entry["probe"]["converged"]]
    if len(stalled) == 1:
        return _convergence(walk, stalled[0]["protocol"])
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
    said = " and ".join(f"{NAMES[n]} alone takes it to {_number(walk.value(stalled, n))}" for n in far)
    return f"; {said} without converging"


def _adjective(protocol: str) -> str:
    return {"rigorous": "rigorous", "as-published": "published"}[protocol]


def _two(before: float, after: float) -> str:
    return f"{_number(before)} to {_number(after)}"


def _number(value: float) -> str:
    return measured(value, [value - 0.01, value + 0.01])[0]


def _walk(rigorous: Row, published: Row, rows: Sequence[Row]) -> tuple[_Walk, bool]:
    """The walk of the quantity nearest to the part that makes the difference, and whether it is that part's own."""
    pairs = list(zip(rigorous["parts"], published["parts"], strict=False))
    part = next((a for a, b in pairs if a["holds"] != b["holds"]), rigorous["parts"][0])
    series = set((part.get("recipe") or {}).get("series", ()))
    if series == {"raw", "unit"}:
        return _Walk(name="the accuracy lost by unit-normalising", rows=rows, quantity="difference"), True
    if series == {"unit"}:
        return _Walk(name="accuracy on unit vectors", rows=rows, quantity="unit_accuracy"), True
    return _Walk(name="accuracy", rows=rows, quantity="accuracy"), series == {"raw"}


def _whole(rows: Sequence[Row]) -> bool:
    """Whether all steps are there, each once."""
    wanted = {(start, name) for start in PROTOCOLS for name in (None, *NAMES)}
    found = [(row["start"], row["changed"]) for row in rows]
    return len(found) == len(wanted) and set(found) == wanted
