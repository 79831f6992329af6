"""Declaration: all that a claim's test declares, read by running its body, which builds data and nothing else."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from layerclaims.errors import NotTestedError
from layerclaims.protocol import ProtocolName
from layerclaims.verdicts.quantity import Condition, Quantity

Test = Callable[..., Any]
NEVER: Final = (
    "Never published"  # how the reason begins where the authors of the post ran nothing of the kind
)


class AsPublished(Enum):
    """What a claim says of the published procedure without a rule of its own."""

    SAME = "same"  # the same rule, on what the procedure gives
    NEVER = "never"  # the authors ran nothing that could bear the claim out


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something said beside a result in words, as "recurring dimensions: 8, 90"."""

    name: str
    needs: tuple[Any, ...]  # measurements
    text: Callable[[Any], str]  # of a study


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of the report."""

    id: str  # as in "accuracy-by-layer"
    needs: Callable[[Any], tuple[Any, ...]]  # measurements, of a study's protocol
    draw: Callable[[Any], Any]  # of a study: the figure's data as results.json has them


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """The rule of a claim and what is shown with it. The conditions join by "and"."""

    conditions: tuple[Condition, ...]
    controls: tuple[Quantity, ...] = ()
    figures: tuple[Figure, ...] = ()
    facts: tuple[Fact, ...] = ()
    as_published: "Declaration | AsPublished" = AsPublished.SAME

    def __post_init__(self) -> None:
        """Refuse a rule without a condition, and what is no declaration at all."""
        if not self.conditions:
            raise ValueError("a claim needs at least one condition")
        kinds = (
            (self.conditions, Condition),
            (self.controls, Quantity),
            (self.figures, Figure),
            (self.facts, Fact),
        )
        for given, kind in kinds:
            for one in given:
                if not isinstance(one, kind):
                    raise TypeError(f"{one!r} is no {kind.__name__}: a claim's test declares constants")

    def under(self, protocol: ProtocolName) -> "Declaration":
        """The rule under a protocol. Raises NotTestedError where nothing was published that it could judge."""
        if protocol == "rigorous" or self.as_published is AsPublished.SAME:
            return self
        if isinstance(self.as_published, Declaration):
            return self.as_published
        raise NotTestedError(f"{NEVER}: the authors ran nothing that bears on this claim.")

    @property
    def words(self) -> str:
        """The conditions in words, as in "accuracy above quarter(.25), and accuracy lost below .05"."""
        return ", and ".join(map(str, self.conditions))

    def for_parts(self, n: int) -> tuple[Condition, ...]:
        """The condition of each of `n` parts; one that stands for several numbers is that of all of them."""
        if len(self.conditions) == 1 and self.conditions[0].quantity.several and n:
            return self.conditions * n
        return self.conditions

    @property
    def needs(self) -> tuple[Any, ...]:
        """The measurements that the verdict and what is said beside it are made of; figures come later."""
        owners: Sequence[Any] = (*(c.quantity for c in self.conditions), *self.controls, *self.facts)
        return tuple(dict.fromkeys(need for owner in owners for need in owner.needs))


class Recorder:
    """Stands for the fixture `judge`: takes what the test declares and ends nothing."""

    def __init__(self) -> None:
        """Nothing is declared yet."""
        self.declaration: Declaration | None = None

    def __call__(
        self,
        *conditions: Condition,
        controls: Sequence[Quantity] = (),
        figures: Sequence[Figure] = (),
        facts: Sequence[Fact] = (),
        as_published: Declaration | AsPublished = AsPublished.SAME,
    ) -> None:
        """All conditions have to hold; controls, figures and facts are shown with the result.

        `as_published` is the rule for what the authors' own procedure gives: made by `rule`, or NEVER.
        """
        self.declaration = Declaration(
            conditions=conditions,
            controls=tuple(controls),
            figures=tuple(figures),
            facts=tuple(facts),
            as_published=as_published,
        )


def rule(
    *conditions: Condition,
    controls: Sequence[Quantity] = (),
    figures: Sequence[Figure] = (),
    facts: Sequence[Fact] = (),
) -> Declaration:
    """A claim's rule under the protocol as published, where it is not that of the rigorous one."""
    return Declaration(
        conditions=conditions, controls=tuple(controls), figures=tuple(figures), facts=tuple(facts)
    )


def declared(test: Test, **fixtures: Any) -> Declaration | None:
    """What a claim's test declares, given what it asks for beside `judge`; None where it declares nothing.

    Raises what the test raises, TypeError for a fixture that is not given.
    """
    test = inspect.unwrap(test)
    recorder = Recorder()
    asked = inspect.signature(test).parameters.keys() & fixtures.keys()
    test(judge=recorder, **{name: fixtures[name] for name in asked})
    return recorder.declaration


def rule_of(test: Test) -> Declaration | None:
    """What a claim's test declares before any number is seen; None for one that asks for more than `judge`.

    Such a test is judged like any other, but its needs and its rule are not known before it runs.
    """
    try:
        return declared(test)
    except Exception:  # whatever it is, pytest will show it when the test runs
        return None
