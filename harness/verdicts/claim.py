"""Claim: a sentence that can be true or false of a model, declared on the test that checks it."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import shown

# whose sentence a claim is: the post's, or that of whoever wrote the claim and names nobody else
POST: Final = "the post"
OWN: Final = "own claim"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence that can be true or false of a model: one row of the suite."""

    id: str
    section: str  # any word or two: what reports group the claims by
    statement: str  # what the source says
    estimand: str  # what is estimated, in words
    source: str = OWN  # whose sentence it is
    where: str = ""  # the place in the source
    reported: str | None = None  # what the source measured
    reported_value: float | None = None  # the same as a number on the scale of the estimate
    rationale: str = ""  # why the rule is as it is

    def __post_init__(self) -> None:
        """Refuse what a results file would refuse after hours of work."""
        if not re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", self.id) or len(self.id) > 100:
            raise LayerclaimsError(
                f"A claim cannot be called {shown(self.id)}: small letters, digits and single hyphens make an id "
                "of at most 100 characters, as test_layers_drift makes layers-drift."
            )
        for name in ("section", "statement", "estimand", "source"):
            if not str(getattr(self, name)).strip():
                raise LayerclaimsError(f"The claim {self.id} has an empty {name}.")
        if self.reported_value is not None and not math.isfinite(self.reported_value):
            raise LayerclaimsError(f"The claim {self.id} has a reported value that is not finite.")

    @property
    def cited(self) -> str:
        """Whose sentence it is and where it stands, as in: post, section “Reduction”."""
        return citation(self.source, self.where)


def citation(source: str, where: str) -> str:
    """A source and the place in it, in one line; the places of the post are its sections."""
    if not where:
        return source
    return f"post, section “{where}”" if source == POST else f"{source}, {where}"


Test = TypeVar("Test", bound=Callable[..., Any])


def claim(
    *,
    section: str,
    says: str,
    estimand: str,
    source: str = OWN,
    where: str = "",
    reported: str | None = None,
    reported_value: float | None = None,
    rationale: str = "",
) -> Callable[[Test], Test]:
    """Declare a test function as the row whose id is its name: `test_layers_drift` -> `layers-drift`.

    `says` is a sentence of `source`, standing at `where`; without a source it is the author's own. Raises
    LayerclaimsError for a name that makes no id, or an empty text.
    """

    def attach(test: Test) -> Test:
        row = Claim(
            id=test.__name__.removeprefix("test_").replace("_", "-"),
            section=section,
            statement=says,
            estimand=estimand,
            source=source,
            where=where,
            reported=reported,
            reported_value=reported_value,
            rationale=rationale,
        )
        test.__dict__["claim"] = row
        return test

    return attach
