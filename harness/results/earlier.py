"""What files of earlier schema versions were written under, where it differs from the present one.

A file is held to the rules of its own time: a number that was right when it was written is no mismatch.
"""

import math
from dataclasses import dataclass, replace
from typing import Final

from layerclaims.results.records import SEALED
from layerclaims.statistics.estimate import Estimate, Method, Side
from layerclaims.statistics.hypotheses import equivalent
from layerclaims.verdicts.criterion import CONTROLS, Criterion

JUDGED_ALIKE: Final = 4  # from this version on claims are judged as they are today


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of one schema version."""

    version: int

    @property
    def present(self) -> bool:
        """Whether what claims declare today is what the file was judged by."""
        return self.version >= JUDGED_ALIKE

    @property
    def whole(self) -> bool:
        """Whether a file says everything that it can be held against: its checksum, all options, its selection."""
        return self.version >= SEALED

    @property
    def published_needs_convergence(self) -> bool:
        """Whether a verdict as published, too, needed a probe that converged."""
        return self.version < 3

    def p_value(self, criterion: Criterion, estimate: Estimate) -> float | None:
        """The p-value of a part; before version 4 that of one side, for B resamples never below 1 / (B + 1)."""
        if self.version >= 4:
            return criterion.p_value(estimate)
        if criterion.relation in CONTROLS or math.isnan(estimate.value):
            return None
        border = criterion.bounds[-1]
        if criterion.relation != "inside":
            return _of_one_side(estimate, border, "above" if criterion.relation == ">" else "below")
        if equivalent(estimate, border).p_value == 1:
            return 1.0  # without spread, or without an interval
        return max(_of_one_side(estimate, -border, "above"), _of_one_side(estimate, border, "below"))

    def level(self, criterion: Criterion, method: Method | None, confidence: float) -> float:
        """What the p-value of a part lies below exactly where the interval of that method lies inside the region."""
        if self.version >= 4 or method in ("chi-square", "Page"):
            return criterion.level(method, confidence)
        return (1 - confidence) / 2


def _of_one_side(estimate: Estimate, border: float, side: Side) -> float:
    if estimate.method == "lowest BCa":
        tested = [_of_one_side(member, border, side) for member in estimate.members]
        return max(tested) if side == "above" else min(1.0, len(tested) * min(tested))
    if estimate.method != "BCa" or estimate.replicates is None:
        return estimate.p_value(border, side)
    # without a standard error there is no tail beyond the outermost resample
    counted = replace(estimate, standard_error=math.nan).p_value(border, side)
    return max(counted, 1 / (estimate.replicates.size + 1))
