"""Criterion: a success region, and on which side of its border an interval lies."""

import math
import sys
from dataclasses import dataclass
from typing import Final, Literal

from layerclaims.runtime.text import number
from layerclaims.statistics.estimate import Estimate, Method, Side
from layerclaims.statistics.hypotheses import equivalent

MINIMUM_DOCUMENTS = 30  # below it the bootstrap's coverage was never measured
Relation = Literal[">", "<", "inside", "contains", "not above"]
CONTROLS: Final = (
    "contains",
    "not above",
)  # relations of a control, which refutes nothing and has no p-value
CONTROL_CONFIDENCE: Final = 0.998  # of a control that must not lie above a value: one side of 99.9 %
WORDS: Final = {">": "above", "<": "below"}  # of the relations that are written as signs
SMALLEST_P: Final = sys.float_info.min  # a tail that no float can hold is not 0


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """A pass mark: the region in which the interval has to lie. The code fixes it before the run."""

    relation: Relation
    threshold: float | tuple[float, float]
    otherwise: str = ""  # what it means that the interval lies outside, as a sentence without its stop

    def __post_init__(self) -> None:
        """Refuse a region that is none."""
        two = isinstance(self.threshold, tuple)
        if two != (self.relation == "inside") or not all(math.isfinite(bound) for bound in self.bounds):
            raise ValueError(f"{self.relation!r} does not go with the threshold {self.threshold!r}")

    @property
    def bounds(self) -> tuple[float, ...]:
        """The region's finite borders."""
        return self.threshold if isinstance(self.threshold, tuple) else (self.threshold,)

    def holds(self, estimate: Estimate) -> bool | None:
        """True: the interval lies inside the region; False: inside its complement; None: neither.

        A control that must contain a value, or not lie above it, makes the measurement doubtful where it does
        otherwise, and refutes nothing: None.
        """
        low, high = estimate.low, estimate.high
        if not (math.isfinite(low) and math.isfinite(high)):
            return None
        border = self.bounds[0]
        if self.relation == ">":
            return True if low > border else False if high <= border else None
        if self.relation == "<":
            return True if high < border else False if low >= border else None
        if self.relation == "contains":
            return True if low <= border <= high else None
        if self.relation == "not above":
            return True if low <= border else None
        return equivalent(estimate, self._margin).holds

    def p_value(self, estimate: Estimate) -> float | None:
        """p of "outside the region", in (0, 1]: below alpha exactly where the region holds.

        At an interval of 1 - alpha, whose bounds share its error, twice the one-sided p-value; an equivalence, at
        1 - 2 alpha, has the larger of both one-sided ones. None for a control, and where the estimate is not finite.
        """
        if self.relation in CONTROLS or math.isnan(estimate.value):
            return None
        if self.relation == "inside":
            p = equivalent(estimate, self._margin).p_value
        else:
            side: Side = "above" if self.relation == ">" else "below"
            p = estimate.sides * estimate.p_value(self.bounds[0], side)
        return None if math.isnan(p) else min(1.0, max(SMALLEST_P, p))

    def level(self, method: Method | None, confidence: float) -> float:
        """The alpha at which an interval of that method and confidence decides, as `p_value` is held against it."""
        two = self.relation == "inside" or method == "percentile"
        return (1 - confidence) / (2 if two else 1)

    def side(self, *, holds: bool) -> str:
        """On which side of the border an interval lies, in words: "above the required .274", "not above 0"."""
        border = number(self.bounds[-1])
        mark = border if border == "0" else f"the required {border}"
        limit = border if border == "0" else f"the limit of {border}"
        words = {
            ">": f"above {mark}",
            "<": f"below {limit}",
            "inside": f"within the margin of ±{border}",
            "contains": f"around the expected {border}",
            "not above": f"not above {border}",
        }[self.relation]
        return words if holds else f"not {words}"

    @property
    def _margin(self) -> float:
        low, high = self.bounds
        if low != -high:
            raise ValueError(f"an equivalence region lies evenly around zero, not {self.threshold!r}")
        return float(high)

    def __str__(self) -> str:
        """As in "above .274"."""
        if self.relation == "inside":
            return f"within ±{number(self.bounds[1])}"
        return f"{WORDS.get(self.relation, self.relation)} {number(self.bounds[0])}"
