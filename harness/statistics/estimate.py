"""Estimate: a number with its interval, and p-values from either."""

from dataclasses import dataclass, field
from math import exp, inf, isfinite, log1p, nan, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Side = Literal["above", "below"]
# how an interval was made; "bound": it is the whole support
Method = Literal[
    "BCa",
    "lowest BCa",
    "percentile",
    "exact",
    "bound",
    "jackknife",
    "highest jackknife",
    "lowest jackknife",
    "chi-square",
    "Page",
]
_CORRELATION = 0.5  # of two vectors of a document, taken by the exact bound; of probes .01 to .1 is measured
_ROUNDING = 1e-12  # spread, relative to the scale of the statistic, that is rounding and not variation


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number, its two-sided interval and what is needed to test it against any threshold.

    `low > t` exactly when `p_value(t, "above") < (1 - confidence) / 2`, and `high < t` exactly when
    `p_value(t, "below")` is; for the one-sided "chi-square" and "Page" the level is `1 - confidence`.
    """

    value: float
    low: float
    high: float
    confidence: float
    method: Method
    n_documents: int  # of the smaller sample where there are two; groups where documents are not known
    replicates: Floats | None = field(default=None, compare=False, repr=False)  # sorted, NaN last
    bias_correction: float = 0.0  # z0 of BCa
    acceleration: float = 0.0  # a of BCa
    standard_error: float = nan  # of the jackknife; of BCa that of leaving out a document
    freedom: float = nan  # degrees, of "chi-square"
    support: tuple[float, float] = (-inf, inf)  # values that the statistic can take at all
    members: tuple["Estimate", ...] = field(
        default=(), compare=False, repr=False
    )  # this is their lowest or highest
    vectors: int = 1  # of a document that "exact" counts; 1: a document differs as a whole or not at all

    def p_value(self, threshold: float, side: Side) -> float:
        """p of H0 "value <= threshold" (side "above") or "value >= threshold" (side "below").

        The smallest level at which the interval's bound on that side clears the threshold. Beyond the outermost of
        B resamples, where counting them gives no less than 1/(B+1), it is the tail that the standard error gives,
        if that is smaller. 0 where no value of the statistic lies on the other side. NaN when the estimate, a bound
        of its interval or the threshold is NaN.
        """
        if side not in ("above", "below"):
            raise ValueError(f"side is 'above' or 'below', not {side!r}")
        return self._p_value(threshold, side, tail_level(self.confidence))

    def _p_value(self, threshold: float, side: Side, level: float) -> float:
        """`p_value`, where the bound that has to clear the threshold is that at one-sided `level`."""
        from scipy import special

        value, (lowest, highest) = self.value, self.support
        if np.isnan([value, threshold, self.low, self.high]).any():
            return nan
        sign = 1.0 if side == "above" else -1.0
        impossible = threshold < lowest if side == "above" else threshold > highest
        if self.members:
            all_of_them = side == ("below" if self.method == "highest jackknife" else "above")
            k = 1 if all_of_them else len(self.members)
            tested = np.array([member._p_value(threshold, side, level / k) for member in self.members])
            return float(tested.max() if all_of_them else np.minimum(1.0, k * tested.min()))
        if self.method == "BCa":
            assert self.replicates is not None
            resamples = self.replicates.size
            if impossible:
                return 0.0
            # an undefined replicate is greater than nothing: it speaks against either side
            against = resamples - int(np.sum(sign * self.replicates > sign * threshold))
            counted = bca_p_value(
                sign * self.bias_correction, sign * self.acceleration, resamples, self.n_documents, against
            )
            # the bound has to clear the threshold by the replicates themselves
            if against or counted >= level or not self.standard_error > 0:
                return counted
            distance = sign * (value - threshold) / self.standard_error
            n = self.n_documents
            return min(counted, float(special.stdtr(n - 1, -sqrt((n - 1) / n) * distance)))
        if self.method == "percentile":
            assert self.replicates is not None
            resamples = self.replicates.size
            against = resamples - int(np.sum(sign * self.replicates > sign * threshold))
            counted = min(1.0, (against + 1) / (resamples + 1))
            if against or counted >= level or not (spread := float(self.replicates.std())) > 0:
                return counted
            return min(counted, float(special.ndtr(-sign * (value - threshold) / spread)))
        if impossible:
            return 0.0
        if self.method == "exact":
            return _exact_p_value(
                sign * value,
                sign * threshold,
                lowest if side == "above" else -highest,
                self.n_documents,
                self.vectors,
            )
        if self.method == "jackknife":
            freedom = self._groups - 1
            return float(special.stdtr(freedom, -sign * (value - threshold) / self.standard_error))
        if self.method == "chi-square":
            if threshold <= 0:
                return 0.0 if side == "above" else 1.0
            square = self.freedom * (value / threshold) ** 2
            tail = special.chdtrc if side == "above" else special.chdtr
            return float(tail(self.freedom, square))
        if self.method == "Page":
            return float(special.ndtr(-sign * (value - threshold) / self.standard_error))
        return 1.0  # "bound"

    @property
    def sides(self) -> int:
        """How many bounds share the error that `confidence` allows: 1 where each has all of it to itself."""
        return 1 if self.method in ("chi-square", "Page", "percentile") else 2

    @property
    def _groups(self) -> int:
        assert self.replicates is not None
        return int(self.replicates.size)


def bca_p_value(z0: float, acceleration: float, resamples: int, n: int, against: int) -> float:
    """p-value of H0 "value <= t" for t with `against` of B replicates at or below it. Rises with those.

    The level of the BCa bound from n documents solved for alpha: v = Phi^-1(share) - z0, z = v / (1 + a v) - z0,
    p = T(sqrt((n - 1) / n) z), T the distribution of Student's t with n - 1 degrees of freedom.
    """
    from scipy import special

    if against == resamples:
        return 1.0
    v = float(special.ndtri((against + 1) / (resamples + 1))) - z0
    slope = 1 + acceleration * v
    if slope > 0:
        p = float(special.stdtr(n - 1, sqrt((n - 1) / n) * (v / slope - z0)))
    else:  # past the pole of the transformation every level, or none, reaches the replicate
        p = 0.0 if acceleration > 0 else 1.0
    return max(p, 1 / (resamples + 1))


def _exact_p_value(value: float, threshold: float, lowest: float, n: int, vectors: int) -> float:
    """p of H0 "value <= t" from n documents of which none differed: P0((value - t) / (value - lowest))^n."""
    if threshold >= value or not isfinite(lowest):
        return 1.0
    return exp(n * log_none_differs((value - threshold) / (value - lowest), vectors))


def log_none_differs(share: float, vectors: int) -> float:
    """ln P0: that of `vectors` of a document none differs, when that `share` of all vectors does.

    ln B(a, b + m)/B(a, b) with a = share s, b = (1 - share) s, s = 1/correlation - 1; ln(1 - share) for m = 1.
    """
    from scipy import special

    if share >= 1:
        return -inf
    if vectors == 1:
        return log1p(-share)
    s = 1 / _CORRELATION - 1
    b = (1 - share) * s
    return float(
        special.gammaln(b + vectors) - special.gammaln(b) - special.gammaln(s + vectors) + special.gammaln(s)
    )


def tail_level(confidence: float) -> float:
    """The share of a two-sided interval's error on one side; ValueError for a confidence outside (0, 1)."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence lies between 0 and 1, not {confidence}")
    return (1 - confidence) / 2


def constant(numbers: Floats, value: float, support: tuple[float, float]) -> bool:
    """Whether the numbers differ by no more than rounding at the scale of the statistic."""
    width = support[1] - support[0]
    scale = max(abs(value), width if isfinite(width) else 0.0)
    return bool(np.ptp(numbers) <= _ROUNDING * scale)
