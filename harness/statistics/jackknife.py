"""Delete-a-group jackknives, for numbers made of what was fitted."""

from dataclasses import replace
from math import inf, isfinite, nan, sqrt

import numpy as np
from layerclaims.statistics.estimate import Estimate, Floats, constant, tail_level


def several(values: Floats) -> int:
    """How many numbers there are [n]; ValueError for fewer than 2 or another shape."""
    if values.ndim != 1 or values.size < 2:
        raise ValueError(f"at least 2 numbers in one row are needed, not an array of shape {values.shape}")
    return int(values.size)


def jackknife_groups(
    values: Floats,
    *,
    value: float | None = None,
    confidence: float = 0.95,
    support: tuple[float, float] = (-inf, inf),
    n_documents: int | None = None,
    resolution: float = 0.0,
) -> Estimate:
    """Delete-a-group jackknife: `values` [g] are the estimates with one fold's documents left out.

    Variance = (g - 1)/g sum (values - mean)^2, interval = value +- t(g - 1) standard errors, cut to the
    support (Kott 2001). `value` is the estimate from all documents, else the mean of the values. Good for
    smooth statistics of many documents; with 5 groups Student's t with 4 degrees of freedom is wide.

    Equal values say that the statistic is too coarse to show its spread, not that it has none. If its
    smallest step is given as `resolution`, one group is taken to differ by one step; otherwise the interval
    is the whole support, method "bound", and nothing inside the support can be concluded. `n_documents`
    defaults to g. ValueError for fewer than 2 groups; a value that is not finite gives NaN bounds.
    """
    from scipy import special

    values = np.asarray(values, dtype=np.float64)
    groups = several(values)
    tail = tail_level(confidence)
    centre = float(values.mean()) if value is None else float(value)
    n = groups if n_documents is None else n_documents
    undefined = Estimate(
        value=centre,
        low=nan,
        high=nan,
        confidence=confidence,
        method="jackknife",
        n_documents=n,
        replicates=np.sort(values),
        support=support,
    )
    if not (np.isfinite(values).all() and isfinite(centre)):
        return undefined
    error = sqrt((groups - 1) / groups * float(np.sum((values - values.mean()) ** 2)))
    if constant(values, centre, support):
        error = (groups - 1) / groups * resolution
        if error <= 0:
            return replace(undefined, low=float(support[0]), high=float(support[1]), method="bound")
    reach = error * float(-special.stdtrit(groups - 1, tail))
    return replace(
        undefined,
        low=max(support[0], centre - reach),
        high=min(support[1], centre + reach),
        standard_error=error,
    )


def jackknife_highest(
    values: Floats,
    *,
    whole: Floats | None = None,
    confidence: float = 0.95,
    support: tuple[float, float] = (-inf, inf),
    n_documents: int | None = None,
) -> Estimate:
    """Interval for the highest of k numbers that were fitted: `values` [g, k], each with one fold left out.

    From the `jackknife_groups` intervals of the k numbers, as `bootstrap_lowest` does it: "the highest is below
    t" says that each is, so the upper bound is the highest of theirs, uncorrected (intersection-union); "the
    highest exceeds t" says that some number does, so the lower bound is the highest of theirs at level alpha/(2k)
    (Bonferroni). The highest of several near-equal numbers lies above all of them by sampling alone, which the
    jackknife of the highest itself does not see. `whole` [k] are the numbers on all documents, else the means.
    """
    members, strict = (
        _members(values, whole, confidence=level, support=support, n_documents=n_documents)
        for level in _levels(confidence, values)
    )
    return Estimate(
        value=float(np.max([member.value for member in members])),
        low=float(np.max([member.low for member in strict])),
        high=float(np.max([member.high for member in members])),
        confidence=confidence,
        method="highest jackknife",
        n_documents=members[0].n_documents,
        support=support,
        members=members,
    )


def jackknife_lowest(
    values: Floats,
    *,
    whole: Floats | None = None,
    confidence: float = 0.95,
    support: tuple[float, float] = (-inf, inf),
    n_documents: int | None = None,
) -> Estimate:
    """`jackknife_highest` for the lowest of k numbers: "exceeds t" needs all of them, "is below t" needs one."""
    members, strict = (
        _members(values, whole, confidence=level, support=support, n_documents=n_documents)
        for level in _levels(confidence, values)
    )
    return Estimate(
        value=float(np.min([member.value for member in members])),
        low=float(np.min([member.low for member in members])),
        high=float(np.min([member.high for member in strict])),
        confidence=confidence,
        method="lowest jackknife",
        n_documents=members[0].n_documents,
        support=support,
        members=members,
    )


def _levels(confidence: float, values: Floats) -> tuple[float, float]:
    """The confidence at which all of k numbers are tested, and that at which one of them is found."""
    values = np.asarray(values)
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError(f"values are [groups, numbers], not of shape {values.shape}")
    return confidence, 1 - (1 - confidence) / values.shape[1]


def _members(
    values: Floats,
    whole: Floats | None,
    *,
    confidence: float,
    support: tuple[float, float],
    n_documents: int | None,
) -> tuple[Estimate, ...]:
    columns = np.asarray(values, dtype=np.float64).T
    centres = [None] * len(columns) if whole is None else [float(value) for value in whole]
    return tuple(
        jackknife_groups(
            column, value=centre, confidence=confidence, support=support, n_documents=n_documents
        )
        for column, centre in zip(columns, centres, strict=True)
    )
