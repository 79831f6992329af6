"""The moves of a walk, and which of them make its difference. A move is what one step adds."""

import itertools
import math
import re
from dataclasses import dataclass
from typing import Final

from layerclaims.report.escaping import clean
from layerclaims.results.walk_records import WalkRecord, WalkStepRecord
from layerclaims.runtime.text import undotted

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
    start, whole = walk.steps[0].value, gap(walk)
    far = [
        step
        for step in walk.alone
        if step.ingredient in WORDS and whole and (step.value - start) / whole >= ENOUGH
    ]
    best = min(far, key=lambda step: abs(step.value - walk.steps[-1].value), default=None)
    return None if best is None else Move(step=best, before=start)


def gap(walk: WalkRecord | None) -> float:
    """How far the walk goes from its first number to its last."""
    return walk.steps[-1].value - walk.steps[0].value if walk is not None else 0.0


def _two(before: float, after: float) -> tuple[str, str]:
    """Two numbers with the decimals that tell them apart, two at least of small ones."""
    difference = abs(after - before)
    decimals = max(0, 1 - math.floor(math.log10(difference))) if difference else 2
    decimals = max(decimals, 2) if max(abs(before), abs(after)) < 10 else decimals
    if any(value and round(value, decimals) == 0 for value in (before, after)):
        decimals += 1  # what is not zero should not be printed as zero
    decimals = min(6, decimals)
    return decimal(before, decimals), decimal(after, decimals)


def decimal(value: float, decimals: int) -> str:
    """A number with so many decimals, as text; what is 0 has no sign."""
    text = undotted(f"{value + 0.0:,.{decimals}f}").replace("-", "−")
    return text.removeprefix("−") if not re.search("[1-9]", text) else text
