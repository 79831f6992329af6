"""Tests: equivalence, Page's trend, a bound of a standard deviation, Holm's adjustment."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan, sqrt

import numpy as np
from layerclaims.statistics.estimate import Estimate, Floats, Method, constant, tail_level
from layerclaims.statistics.jackknife import several


def standard_deviation_upper_bound(
    values: Floats, *, kurtosis: float = 0.0, confidence: float = 0.95, lower_bound: bool = False
) -> Estimate:
    """One-sided chi-square upper bound of the standard deviation of `values` [g], one number per resplit.

    high = s sqrt(f / chi2(1 - confidence; f)) for independent values. f is g - 1 where they are normal; with an
    excess `kurtosis` above 0 var(s^2) = sigma^4 (2/(g - 1) + kurtosis/g), and f are the degrees of freedom at
    which a chi-square has that variance (Box 1953). low is 0, or with `lower_bound` the one-sided lower bound at
    the same confidence, so that spread can also be shown. Equal values mean runs that were not distinct: high is
    infinite, method "bound". ValueError for fewer than 2 values; values that are not finite give NaN bounds.
    """
    from scipy import special

    values = np.asarray(values, dtype=np.float64)
    groups = several(values)
    tail = 2 * tail_level(confidence)
    deviation = float(values.std(ddof=1))
    freedom = 2 / (2 / (groups - 1) + max(0.0, kurtosis) / groups)
    low, high = 0.0, inf
    method: Method = "chi-square"
    if not np.isfinite(values).all():
        low, high = nan, nan
    elif constant(values, float(values.mean()), (-inf, inf)):
        method = "bound"
    else:
        # chdtri takes the upper tail
        high = deviation * sqrt(freedom / float(special.chdtri(freedom, 1 - tail)))
        low = deviation * sqrt(freedom / float(special.chdtri(freedom, tail))) if lower_bound else 0.0
    return Estimate(
        value=deviation,
        low=low,
        high=high,
        confidence=confidence,
        method=method,
        n_documents=groups,
        freedom=freedom,
        replicates=np.sort(values),
        support=(0.0, inf),
    )


@dataclass(frozen=True, kw_only=True)
class Equivalence:
    """Two one-sided tests (Schuirmann 1987) of |value| < margin; the estimate carries a 1 - 2 alpha interval."""

    estimate: Estimate
    margin: float

    @property
    def holds(self) -> bool | None:
        """True: the interval lies inside +-margin; False: outside; None: across a border, or without spread.

        Runs without any spread (methods "exact" and "bound") are never equivalent: a difference that is zero in
        every document tells of a comparison that did not happen. One that is large in every document still lies
        outside.
        """
        low, high = self.estimate.low, self.estimate.high
        if low > self.margin or high < -self.margin:
            return False
        inside = -self.margin < low and high < self.margin
        return True if inside and self._spread else None

    @property
    def p_value(self) -> float:
        """The larger of both one-sided p-values; 1 without spread."""
        if not (self._spread and isfinite(self.estimate.low) and isfinite(self.estimate.high)):
            return 1.0
        return max(self.estimate.p_value(-self.margin, "above"), self.estimate.p_value(self.margin, "below"))

    @property
    def _spread(self) -> bool:
        return self.estimate.method not in ("exact", "bound")


def equivalent(estimate: Estimate, margin: float) -> Equivalence:
    """The equivalence test of an estimate; ValueError for a margin that is not positive."""
    if not margin > 0:
        raise ValueError(f"an equivalence margin is positive, not {margin}")
    return Equivalence(estimate=estimate, margin=margin)


def page_trend(values: Floats, *, confidence: float = 0.95) -> Estimate:
    """Page's test of a rising trend for `values` [documents, conditions], as an estimate with bounds.

    The value is the mean over documents of the rank correlation of value and condition, ties at mid-rank: Page's
    L on the scale -1 to 1 (Page 1963). Under "no trend" it has mean 0 and variance 1 / (n (k - 1)); low and high
    are one-sided bounds at `confidence` either way, so that low > 0 exactly when Page's p < 1 - confidence.
    Rejecting "no trend" does not prove that every step rises. ValueError for NaN or fewer than 3 conditions.
    """
    from scipy.special import ndtri

    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < 3 or not len(values):
        raise ValueError("Page's test needs documents under three conditions or more")
    if not np.isfinite(values).all():
        raise ValueError("Page's test needs finite values")
    n, k = values.shape
    centred = np.arange(1, k + 1) - (k + 1) / 2
    # less the mean rank; SciPy's ranks would load all of scipy.stats, half a second
    ranks = np.empty_like(values)
    for row, of in zip(values, ranks, strict=True):
        ordered = np.sort(row)
        of[:] = (np.searchsorted(ordered, row, "left") + np.searchsorted(ordered, row, "right") - k) / 2
    mean = float(12 / (k * (k**2 - 1)) * (ranks @ centred).mean())
    error = 1 / sqrt(n * (k - 1))
    reach = error * float(ndtri(confidence))
    return Estimate(
        value=mean,
        low=max(-1.0, mean - reach),
        high=min(1.0, mean + reach),
        confidence=confidence,
        method="Page",
        n_documents=n,
        standard_error=error,
        support=(-1.0, 1.0),
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjusted p-values in the order given; None stays None and is not counted.

    The i-th smallest of m becomes the largest of (m + 1 - j) times the j-th for j up to i, at most 1 (Holm 1979).
    ValueError for NaN or a number outside [0, 1].
    """
    # statsmodels has it, and takes over a second to load: more than all intervals of a small run
    tested = np.array([p for p in p_values if p is not None])
    for p in tested:
        if not 0 <= p <= 1:
            raise ValueError(f"a p-value lies between 0 and 1, not {p}")
    order = np.argsort(tested)
    adjusted = np.empty_like(tested)
    adjusted[order] = np.maximum.accumulate(tested[order] * np.arange(len(order), 0, -1)).clip(max=1)
    found = iter(adjusted.tolist())
    return [None if p is None else next(found) for p in p_values]
