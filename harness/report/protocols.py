"""What makes a claim's answers differ between the published procedure and the rigorous protocol, in words.

The walk of a claim says it: its number at every step from the one to the other. A move is what one step adds.
"""

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from layerclaims.report.escaping import clean
from layerclaims.report.views import WalkLine
from layerclaims.report.wording import measured, rule_text
from layerclaims.results.records import ClaimRecord, PartRecord, WalkRecord, WalkStepRecord
from layerclaims.runtime.text import undotted
from layerclaims.verdicts.verdict import Verdict

JUDGED: Final = (Verdict.REPLICATED, Verdict.NOT_REPLICATED, Verdict.INCONCLUSIVE)
LONGEST_CHOICE: Final = 120
# of all that moves: from these shares on one ingredient, or two of them, are named and the rest is "everything else"
ONE, TWO = 0.7, 0.8
ENOUGH: Final = 0.8  # of the whole way: a single change that goes so far explains it


@dataclass(frozen=True, kw_only=True)
class Words:
    """How one ingredient is spoken of."""

    subject: str
    clause: str  # what its change does to the quantity
    reason: str  # at most five words
    noun: str  # as one of two


WORDS: Final = {
    "steps": Words(
        subject="the number of SGD steps",
        clause="with the number of SGD steps held fixed, {quantity} goes from {before} to {after}",
        reason="trained for more steps",
        noun="steps",
    ),
    "solver": Words(
        subject="the solver",
        clause="solving the probe to its optimum takes {quantity} from {before} to {after}",
        reason="solver stops early",
        noun="solver",
    ),
    "features": Words(
        subject="the scaling of the features",
        clause="standardising the features takes {quantity} from {before} to {after}",
        reason="features as they come",
        noun="features",
    ),
    "split": Words(
        subject="the split",
        clause="splitting by document takes {quantity} from {before} to {after}",
        reason="same texts on both sides",
        noun="split",
    ),
    "mask": Words(
        subject="the index",
        clause="the four masked dimensions are the right-hand neighbours of the recurring ones, and masking the "
        "recurring ones themselves takes {quantity} from {before} to {after}",
        reason="masked the wrong dimensions",
        noun="mask",
    ),
    "contribution": Words(
        subject="the scale of a contribution",
        clause="multiplying each weight by its feature’s standard deviation takes {quantity} from {before} to "
        "{after}",
        reason="weights without feature scale",
        noun="contribution",
    ),
    "vectors": Words(
        subject="the making of the vectors",
        clause="making them the rigorous way ({choice}) takes {quantity} from {before} to {after}",
        reason="vectors made another way",
        noun="vectors",
    ),
    "positions": Words(
        subject="position 0",
        clause="leaving position 0 out takes {quantity} from {before} to {after}",
        reason="position 0 left in",
        noun="positions",
    ),
    "rigorous": Words(
        subject="the rest of the rigorous protocol",
        clause="the last step ({choice}) takes {quantity} from {before} to {after}",
        reason="no single named ingredient",
        noun="the rest",
    ),
}
# where a claim is about the very thing that the ingredient changes
REASONS: Final = {
    ("more-data-higher-accuracy", "steps"): "more steps, not more texts",
    ("longer-context-higher-accuracy", "steps"): "more steps, not longer texts",
    ("norm-is-a-feature", "vectors"): "standardised before unit norm",
}
# what a claim that was not tested needs, by what its reason speaks of
NEEDS: Final = (
    (r"second model|larger one|--model\b", "needs a second model"),
    (r"transfer-corpus|other corpus|second corpus", "needs a second corpus"),
    (r"umap", "needs UMAP"),
    (r"--context", "needs a longer context"),
    (r"number of parameters", "models of one size"),
    (r"--folds|folds", "needs more folds"),
    (r"--n-texts|documents|texts", "needs more texts"),
)


@dataclass(frozen=True, kw_only=True)
class Move:
    """One step of a walk together with the number before it."""

    step: WalkStepRecord
    before: float

    @property
    def effect(self) -> float:
        """What the step adds to the number."""
        return self.step.value - self.before

    @property
    def words(self) -> Words:
        """How the step's ingredient is spoken of."""
        return WORDS.get(self.step.ingredient, WORDS["rigorous"])

    def says(self, quantity: str) -> str:
        """What the change does to the quantity, as a clause."""
        before, after = _two(self.before, self.step.value)
        choice = clean(self.step.choice, LONGEST_CHOICE)
        return self.words.clause.format(quantity=quantity, before=before, after=after, choice=choice)


@dataclass(frozen=True, kw_only=True)
class Causes:
    """The moves that make the difference, in their order; the largest of the others; whether one alone is enough."""

    moves: tuple[Move, ...]
    others: tuple[float, ...]  # sizes
    alone: bool = False


def never_published(published: ClaimRecord | None) -> bool:
    """Whether the authors never ran what a claim asks, so that their procedure has no answer."""
    return (
        published is not None
        and published.verdict is Verdict.NOT_TESTED
        and published.reason.startswith("Never published")
    )


def table(walk: WalkRecord | None) -> tuple[WalkLine, ...]:
    """The steps of a walk as lines of a table, single changes of the published procedure after them."""
    if walk is None:
        return ()
    lines = [("walk", step) for step in walk.steps] + [("alone", step) for step in walk.alone]
    made = []
    for kind, step in lines:
        number, interval = measured(step.value, step.interval)
        choice = clean(step.choice, LONGEST_CHOICE)
        end = kind == "walk" and step.ingredient in ("published", "rigorous")
        made.append(
            WalkLine(
                choice=_capital(choice) if end else choice,
                end=end,
                alone=kind == "alone",
                number=number,
                interval=interval,
                converged={True: "yes", False: "no", None: "–"}[step.converged],
            )
        )
    return tuple(made)


def contrast(
    rigorous: ClaimRecord | None,
    published: ClaimRecord | None,
    walk: WalkRecord | None,
    *,
    older: bool = False,
) -> str:
    """One sentence on what makes a claim's two answers differ; empty where there is nothing to say.

    `older`: the file comes from a version whose protocols differed in other ingredients.
    """
    if rigorous is None or published is None:
        return ""
    if never_published(published):
        return "The authors published no run of this: their procedure gives no answer, and the verdict is ours alone."
    missing = [
        where
        for claim, where in (
            (published, "by the published procedure"),
            (rigorous, "under the rigorous protocol"),
        )
        if claim.verdict not in JUDGED
    ]
    if missing:
        return f"There is nothing to compare: the claim was not judged {' and not '.join(missing)}."
    agree = rigorous.verdict is published.verdict
    noise, found = _noise(rigorous, published, walk), causes(walk)
    if agree:
        if found is None or abs(_gap(walk)) <= 2 * noise:
            return ""
        return f"Both agree, although {_clauses(found, walk)}{_rest(found)}."
    if rigorous.probe is not None and not rigorous.probe.converged:
        return (
            "The rigorous probe did not converge, so that its number decides nothing and cannot be compared."
        )
    if found is None:
        if older or rigorous.probe is not None or published.probe is not None:
            return "What makes the difference was not measured in this run."
        return (
            "The difference comes from position 0 and the scaling of unit vectors: no probe is fitted for this claim, "
            "and the published procedure keeps position 0 and standardises before it divides by the norm."
        )
    if not found.moves or max(abs(move.effect) for move in found.moves) <= noise:
        return (
            f"No ingredient makes the difference: none moves {_quantity(walk)} by more than half the width of its "
            f"interval, but it lies close to the border{_border(rigorous, published)}."
        )
    if len(found.moves) == 1:
        subject = found.moves[0].words.subject
        if found.alone:
            return (
                f"{_capital(subject)} alone makes the difference: {_clauses(found, walk)}, with everything else as "
                "published."
            )
        opening = f"{_capital(subject)} makes the difference"
    else:
        opening = f"{['Two', 'Three'][len(found.moves) - 2]} ingredients make the difference"
    return f"{opening}: {_clauses(found, walk)}{_rest(found)}."


def reason(
    rigorous: ClaimRecord | None,
    published: ClaimRecord | None,
    walk: WalkRecord | None,
    *,
    older: bool = False,
) -> str:
    """Why a claim stands where it stands, in at most five words."""
    if never_published(published):
        return "never published"
    if rigorous is None or published is None:
        return "judged by one protocol only"
    both = (rigorous, published)
    if any(claim.verdict is Verdict.ERROR for claim in both):
        return "the harness failed"
    for claim in both:
        if claim.verdict is Verdict.NOT_TESTED:
            return _need(claim.reason)
    if rigorous.verdict is Verdict.INCONCLUSIVE:
        return _undecided(rigorous)
    if published.verdict is Verdict.INCONCLUSIVE:
        return "undecided by its procedure"
    if rigorous.verdict is published.verdict:
        if rigorous.verdict is Verdict.NOT_REPLICATED:
            return "not even with its procedure"
        twin = rigorous.control_untrained
        trained = twin is None or twin.verdict is not Verdict.REPLICATED
        return "true of the model" if trained else "true, untrained weights too"
    found = causes(walk)
    if found is None:
        unfitted = rigorous.probe is None and published.probe is None and not older
        return "position 0, unit scaling" if unfitted else "cause not measured"
    if not found.moves or max(abs(move.effect) for move in found.moves) <= _noise(rigorous, published, walk):
        return "close to the border"
    first = found.moves[0]
    if len(found.moves) == 1:
        return REASONS.get((rigorous.id, first.step.ingredient), first.words.reason)
    if len(found.moves) == 2:
        return " and ".join(move.words.noun for move in found.moves)
    return "several ingredients together"


def causes(walk: WalkRecord | None) -> Causes | None:
    """The moves of a walk that make its difference: one, two or three; None without a walk of two steps or more.

    Where it takes several and a single change of the published procedure goes as far, that one is the cause.
    """
    if walk is None or len(walk.steps) < 2:
        return None
    moves = [Move(step=after, before=before.value) for before, after in itertools.pairwise(walk.steps)]
    ranked = sorted(moves, key=lambda move: -abs(move.effect))
    sizes = [abs(move.effect) for move in ranked]
    total = sum(sizes)
    if total == 0:
        return Causes(moves=(), others=tuple(sizes))
    count = 1 if sizes[0] >= ONE * total else 2 if sum(sizes[:2]) >= TWO * total else 3
    if count > 1 and (single := _single(walk)) is not None:
        return Causes(moves=(single,), others=(), alone=True)
    named = [move for move in moves if move in ranked[:count]]
    return Causes(moves=tuple(named), others=tuple(sizes[count:]))


def _single(walk: WalkRecord) -> Move | None:
    """Of the single changes those that go the whole way, and of these the one that ends nearest."""
    start, gap = walk.steps[0].value, _gap(walk)
    far = [
        step
        for step in walk.alone
        if step.ingredient in WORDS and gap and (step.value - start) / gap >= ENOUGH
    ]
    best = min(far, key=lambda step: abs(step.value - walk.steps[-1].value), default=None)
    return None if best is None else Move(step=best, before=start)


def _gap(walk: WalkRecord | None) -> float:
    return walk.steps[-1].value - walk.steps[0].value if walk is not None else 0.0


def compared(
    rigorous: ClaimRecord | None, published: ClaimRecord | None
) -> tuple[PartRecord | None, PartRecord | None]:
    """The parts whose numbers stand for a claim: those of one name that tell its answers apart, else that decide."""
    own = list(rigorous.parts) if rigorous is not None else []
    others = {part.name: part for part in published.parts} if published is not None else {}
    shared = [(part, others[part.name]) for part in own if part.name in others]
    for part, other in shared:
        if part.holds is not other.holds:
            return part, other
    mine = decisive(own)
    if mine is not None and mine.name in others:
        return mine, others[mine.name]
    return mine, decisive(list(others.values()))


def decisive(parts: Sequence[PartRecord]) -> PartRecord | None:
    """The part on which a verdict rests: the first that fails, else the first undecided, else the first."""
    for wanted in (False, None):
        for part in parts:
            if part.holds is wanted:
                return part
    return parts[0] if parts else None


def _noise(rigorous: ClaimRecord, published: ClaimRecord, walk: WalkRecord | None) -> float:
    """Half the width of the widest interval that is known of either answer."""
    ends = [walk.steps[0].interval, walk.steps[-1].interval] if walk is not None else []
    ends += [part.interval for part in compared(rigorous, published) if part is not None and not any(ends)]
    return max(((high - low) / 2 for low, high in filter(None, ends)), default=0.0)


def _border(rigorous: ClaimRecord, published: ClaimRecord) -> str:
    part = compared(rigorous, published)[0]
    rule = rule_text(part.relation, part.threshold) if part is not None else ""
    return f" (it must be {rule})" if rule else ""


def _quantity(walk: WalkRecord | None) -> str:
    name = clean(walk.quantity, LONGEST_CHOICE) if walk is not None else ""
    return name if re.match(r"(the|a|an|its) ", name) else f"the {name}"


def _clauses(found: Causes, walk: WalkRecord | None) -> str:
    first, *more = found.moves
    return ", and ".join([first.says(_quantity(walk)), *(move.says("it") for move in more)])


def _rest(found: Causes) -> str:
    """What all the other steps do at most."""
    if not found.others:
        return ""
    largest = max(found.others)
    if largest == 0:
        return "; nothing else moves it"
    unit = 10.0 ** math.floor(math.log10(largest))
    bound = (math.floor(largest / unit * (1 + 1e-9)) + 1) * unit
    return f"; everything else moves it by less than {_decimal(bound, max(0, -math.floor(math.log10(bound) + 1e-9)))}"


def _two(before: float, after: float) -> tuple[str, str]:
    """Two numbers with the decimals that tell them apart, two at least of small ones."""
    difference = abs(after - before)
    decimals = max(0, 1 - math.floor(math.log10(difference))) if difference else 2
    decimals = max(decimals, 2) if max(abs(before), abs(after)) < 10 else decimals
    if any(value and round(value, decimals) == 0 for value in (before, after)):
        decimals += 1  # what is not zero should not be printed as zero
    decimals = min(6, decimals)
    return _decimal(before, decimals), _decimal(after, decimals)


def _decimal(value: float, decimals: int) -> str:
    text = undotted(f"{value + 0.0:,.{decimals}f}").replace("-", "−")
    return text.removeprefix("−") if not re.search("[1-9]", text) else text


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _need(text: str) -> str:
    return next((need for pattern, need in NEEDS if re.search(pattern, text, re.I)), "not tested")


def _undecided(claim: ClaimRecord) -> str:
    if claim.probe is not None and not claim.probe.converged:
        return "undecided: probe not converged"
    if "undefined" in claim.reason or "no finite interval" in claim.reason:
        return "undecided: number not defined"
    if "leaks" in claim.reason:
        return "undecided: a control leaks"
    return "undecided: too few texts"
