"""Quantity: a number that a claim is about, as frozen data. It is read without a model and found on a study."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

from layerclaims.runtime.text import number
from layerclaims.statistics.counts import Recipe
from layerclaims.verdicts.criterion import CONTROL_CONFIDENCE, WORDS, Criterion, Relation
from layerclaims.verdicts.evidence import Finding


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What is known of a run before any number is seen; a threshold may depend on nothing else."""

    n_labels: int  # K
    hidden_size: int  # d
    folds: int
    seed: int
    alpha: float


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A threshold that follows from a run's set-up."""

    words: str  # as in "quarter(.25)"
    of: Callable[[Setup], float]

    def __str__(self) -> str:
        """Its name in a rule."""
        return self.words


Threshold = float | Bound


def quarter(share: float) -> Bound:
    """`share` of the way from chance (1 / K) to perfect: chance + share * (1 - chance)."""
    return Bound(words=f"quarter({number(share)})", of=partial(_quarter, share))


def _quarter(share: float, setup: Setup) -> float:
    chance = 1 / setup.n_labels
    return chance + share * (1 - chance)


CHANCE = Bound(words="chance", of=lambda setup: 1 / setup.n_labels)


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A number that can be found on a study; kinds of it say how."""

    name: str  # short, as in "accuracy on unit vectors"
    equivalence: bool = False  # its interval is 1 - 2 alpha then
    control: bool = False  # it must not lie above a value, with an interval of its own
    several: bool = False  # it stands for several numbers, each of which has to hold

    @property
    def needs(self) -> tuple[Any, ...]:
        """The measurements that it is made of."""
        raise NotImplementedError

    @property
    def recipe(self) -> Recipe | None:
        """How it follows from counts per document; None where it does not."""
        return None

    def check(self, study: Any) -> None:
        """Raise NotTestedError where the size of the model alone would decide it; before anything is measured."""

    def find(self, study: Any) -> Sequence[Finding]:
        """The number of a study, which measures what is not yet there. Raises NotTestedError."""
        raise NotImplementedError

    def above(self, threshold: Threshold, *, otherwise: str = "") -> "Condition":
        """The claim needs it above the threshold; `otherwise` says in words what it means that it is not."""
        return Condition(quantity=self, relation=">", threshold=threshold, otherwise=otherwise)

    def below(self, threshold: Threshold, *, otherwise: str = "") -> "Condition":
        """The claim needs it below the threshold; `otherwise` says in words what it means that it is not."""
        return Condition(quantity=self, relation="<", threshold=threshold, otherwise=otherwise)

    def not_above(self, value: Threshold) -> "Condition":
        """A control: its interval, one-sided at 99.9 %, must not lie above the value."""
        return Condition(quantity=replace(self, control=True), relation="not above", threshold=value)

    def confidence(self, alpha: float) -> float:
        """Of its interval."""
        return CONTROL_CONFIDENCE if self.control else 1 - (2 * alpha if self.equivalence else alpha)

    def inside(self, margin: float) -> "Condition":
        """The claim needs equivalence: the 1 - 2 alpha interval within ±margin."""
        return Condition(quantity=self.at_equivalence(), relation="inside", threshold=margin)

    def at_equivalence(self) -> Self:
        """The same with the interval of an equivalence test."""
        return replace(self, equivalence=True)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A quantity and the region that it has to lie in: one part of a claim's rule."""

    quantity: Quantity
    relation: Relation
    threshold: Threshold  # the margin, for "inside"
    otherwise: str = ""  # what it means that it fails, as a sentence without its stop

    def criterion(self, setup: Setup) -> Criterion:
        """The region in numbers."""
        value = self.threshold.of(setup) if isinstance(self.threshold, Bound) else float(self.threshold)
        if self.relation == "inside":
            return Criterion(relation="inside", threshold=(-value, value), otherwise=self.otherwise)
        return Criterion(relation=self.relation, threshold=value, otherwise=self.otherwise)

    def __str__(self) -> str:
        """As in "accuracy above quarter(.25)"."""
        if self.relation == "inside":
            return f"{self.quantity.name} within ±{number(float(str(self.threshold)))}"
        value = self.threshold if isinstance(self.threshold, Bound) else number(self.threshold)
        return f"{self.quantity.name} {WORDS.get(self.relation, self.relation)} {value}"
