"""Intervals over documents, equivalence, trends and multiplicity: the statistics behind every verdict."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil, exp, expm1, inf, isfinite, log, log1p, nan, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Equivalence",
    "Estimate",
    "bootstrap_documents",
    "bootstrap_lowest",
    "bootstrap_two_samples",
    "documents_to_decide",
    "equivalent",
    "holm",
    "jackknife_groups",
    "jackknife_highest",
    "page_trend",
    "standard_deviation_upper_bound",
]

Floats = NDArray[np.float64]
Side = Literal["above", "below"]

_CELLS = 2**20  # draws of a block of resamples, or cells of its sums: 8 MB
_CACHED = 2**17  # draws counted at once: three arrays of 1 MB stay in cache
_LARGEST_BIAS = 0.5  # |z0| up to which BCa's correction was seen to hold: 31 to 69 % of replicates below
_ROUNDING = 1e-12  # spread, relative to the scale of the statistic, that is rounding and not variation
_CORRELATION = 0.5  # of two vectors of a document, taken by the exact bound; of probes .01 to .1 is measured
_MOST_VECTORS = 100  # of a document that the exact bound counts: more of the same say little that is new


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
    method: (
        str  # "BCa", "lowest BCa", "exact", "jackknife", "highest jackknife", "chi-square", "Page", or "bound":
        # the support is all
    )
    n_documents: int  # of the smaller sample where there are two; groups where documents are not known
    replicates: Floats | None = field(default=None, compare=False, repr=False)  # sorted, NaN last
    bias_correction: float = 0.0  # z0 of BCa
    acceleration: float = 0.0  # a of BCa
    standard_error: float = nan  # of the jackknife
    freedom: float = nan  # degrees, of "chi-square"
    support: tuple[float, float] = (-inf, inf)  # values that the statistic can take at all
    members: tuple["Estimate", ...] = field(
        default=(), compare=False, repr=False
    )  # this is their lowest or highest
    vectors: int = 1  # of a document that "exact" counts; 1: a document differs as a whole or not at all

    def p_value(self, threshold: float, side: Side) -> float:
        """p of H0 "value <= threshold" (side "above") or "value >= threshold" (side "below").

        The smallest level at which the interval's bound on that side clears the threshold. A bootstrap
        of B resamples never claims less than 1/(B+1). NaN when the estimate or the threshold is NaN.
        """
        from scipy import special

        if side not in ("above", "below"):
            raise ValueError(f"side is 'above' or 'below', not {side!r}")
        value, (lowest, highest) = self.value, self.support
        if np.isnan(value) or np.isnan(threshold):
            return nan
        sign = 1.0 if side == "above" else -1.0
        impossible = threshold < lowest if side == "above" else threshold > highest
        if self.members:
            tested = [member.p_value(threshold, side) for member in self.members]
            every = (
                "below" if self.method == "highest jackknife" else "above"
            )  # the side on which all must lie
            return max(tested) if side == every else min(1.0, len(tested) * min(tested))
        if self.method == "BCa":
            assert self.replicates is not None
            resamples = self.replicates.size
            if impossible:
                return 1 / (resamples + 1)
            # an undefined replicate is greater than nothing: it speaks against either side
            against = resamples - int(np.sum(sign * self.replicates > sign * threshold))
            return _bca_p_value(
                sign * self.bias_correction, sign * self.acceleration, resamples, self.n_documents, against
            )
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
    def _groups(self) -> int:
        assert self.replicates is not None
        return int(self.replicates.size)


def bootstrap_documents(
    columns: Floats,
    statistic: Callable[[Floats], Floats],
    *,
    confidence: float = 0.95,
    resamples: int = 9999,
    rng: np.random.Generator,
    support: tuple[float, float],
    vectors: int | None = None,
) -> Estimate:
    """Bias-corrected and accelerated (BCa) bootstrap interval with the document as sampling unit.

    `columns` [n_documents, m] holds per-document sums (right answers, totals, sums of norms); `statistic`
    maps sums [..., m] to numbers [...], so that accuracy is `sums[..., 0] / sums[..., 1]`, and sees the
    columns summed over whole resampled documents. With z0 the normal quantile of the share of replicates
    below the value and a the acceleration from leaving out one document at a time, the lower bound is the
    replicate at level Phi(z0 + (z0 + z) / (1 - a (z0 + z))) (Efron 1987), z = sqrt(n / (n - 1)) times the
    alpha/2 quantile of Student's t with n - 1 degrees of freedom: the spread of replicates divides by n, and
    is itself an estimate, neither of which the normal quantile allows for (Hesterberg 2015). The level counts
    replicates as (k + 1) / (B + 1). Beyond the outermost replicate the bound is the support. Assumes
    documents drawn independently from one population; nothing is assumed within a document.

    Where BCa does not exist (all replicates equal, none on one side of the value, or a leave-one-out value
    that is not finite) the method is "exact": of n documents none was seen to differ, so at confidence
    1 - alpha/2 the share of documents that would is at most q = 1 - (alpha/2)^(1/n). A mean over documents,
    or a ratio of sums whose differing documents weigh no more than others, is then (1 - q) value + q w with
    w anywhere in the support: value - q (value - support[0]) is the lower bound, and likewise above.

    That lets a document differ as a whole or not at all. If the statistic is a mean over vectors, each of
    which differs or does not, and `vectors` is the least number m of them in a document, q is the share of
    vectors that would differ: m of a document are taken for beta-binomial with mean q and correlation 1/2
    within the document, so that none differs with probability P0(q) = B(a, b + m)/B(a, b), a = q, b = 1 - q,
    and q solves P0(q)^n = alpha/2; about ln(2/alpha) / (n (1 + 1/2 + ... + 1/m)). With weaker correlation
    the bound is wide; m = 1 is the rule above. No more than 100 vectors are counted, and only where all
    replicates are equal.

    BCa is for smooth statistics. Where more than 69 % of the replicates lie on one side of the value, as
    with the lowest or highest of many near-equal numbers, its correction fails (in simulation up to 17 % of
    intervals missed on one side): the interval is then the whole support, method "bound". For the lowest of
    several numbers take `bootstrap_lowest`; for the highest, the same of their negatives.

    Coverage at a nominal 95 % in simulation: .92 to .95 with 30 documents, .94 to .955 from 100; near a bound
    of the support, where few documents differ from the rest, down to .92, and where about three do to .89.

    A value that is NaN gives NaN bounds. Deterministic for a given generator. ValueError for columns that
    are not a matrix with documents, or a level or a number of resamples that makes no sense.
    """
    columns = _matrix(columns)

    with np.errstate(all="ignore"):
        sums = columns.sum(axis=0)
        value = float(statistic(sums))
        left_out = [statistic(sums - columns)]
        replicates = _in_blocks(
            lambda rows: statistic(_resampled_sums(columns, rows, rng)), resamples, max(columns.shape)
        )[:, 0]
    return _bca(value, replicates, left_out, confidence, len(columns), support, vectors)


def bootstrap_lowest(
    columns: Floats,
    statistics: Callable[[Floats], Floats],
    *,
    confidence: float = 0.95,
    resamples: int = 9999,
    rng: np.random.Generator,
    support: tuple[float, float],
    vectors: int | None = None,
) -> Estimate:
    """Interval for the lowest of k numbers: `statistics` maps sums [..., m] to [..., k], `columns` [n, m].

    From the BCa intervals of the k numbers. "The lowest exceeds t" says that each does, so its lower bound
    is the lowest of their lower bounds, uncorrected (intersection-union); "the lowest is below t" says that
    some number is, so its upper bound is the lowest of their upper bounds at level alpha/(2k) (Bonferroni).
    Both hold however near the numbers are to each other. Needs resamples > 2k/alpha, else no upper bound.
    Otherwise as `bootstrap_documents`.
    """
    columns = _matrix(columns)
    with np.errstate(all="ignore"):
        sums = columns.sum(axis=0)
        values = statistics(sums)
        left_out = statistics(sums - columns)  # [n, k]
        k = values.size
        replicates = _in_blocks(
            lambda rows: statistics(_resampled_sums(columns, rows, rng)), resamples, max(columns.shape), k
        )

    def each(confidence: float) -> tuple[Estimate, ...]:
        return tuple(
            _bca(
                float(values[j]),
                replicates[:, j],
                [left_out[:, j]],
                confidence,
                len(columns),
                support,
                vectors,
            )
            for j in range(k)
        )

    members = each(confidence)
    high = np.min([member.high for member in each(1 - (1 - confidence) / k)])
    low = np.min([member.low for member in members])
    return Estimate(
        value=float(np.min(values)),
        low=float(low),
        high=float(high),
        confidence=confidence,
        method="lowest BCa",
        n_documents=len(columns),
        support=support,
        members=members,
    )


def bootstrap_two_samples(
    a: Floats,
    b: Floats,
    statistic: Callable[[Floats, Floats], Floats],
    *,
    confidence: float = 0.95,
    resamples: int = 9999,
    rng: np.random.Generator,
    support: tuple[float, float],
    vectors: int | None = None,
) -> Estimate:
    """`bootstrap_documents` for a statistic of two independent sets of documents, both resampled.

    `a` [n_a, m_a], `b` [n_b, m_b]; `statistic(sums_a [..., m_a], sums_b [..., m_b])` -> [...]. The number
    of documents is that of the smaller set. The exact bound takes min(n_a, n_b) pairs of documents as unit,
    of `vectors` pairs of vectors each.
    """
    a, b = _matrix(a), _matrix(b)

    with np.errstate(all="ignore"):
        sums_a, sums_b = a.sum(axis=0), b.sum(axis=0)
        value = float(statistic(sums_a, sums_b))
        without_a, without_b = sums_a - a, sums_b - b
        left_out = [
            statistic(without_a, np.broadcast_to(sums_b, (len(a), sums_b.size))),
            statistic(np.broadcast_to(sums_a, (len(b), sums_a.size)), without_b),
        ]
        replicates = _in_blocks(
            lambda rows: statistic(_resampled_sums(a, rows, rng), _resampled_sums(b, rows, rng)),
            resamples,
            max(*a.shape, *b.shape),
        )[:, 0]
    return _bca(value, replicates, left_out, confidence, min(len(a), len(b)), support, vectors)


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
    groups = _several(values)
    tail = _tail(confidence)
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
    if _constant(values, centre, support):
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
    confidence: float = 0.95,
    support: tuple[float, float] = (-inf, inf),
    n_documents: int | None = None,
) -> Estimate:
    """Interval for the highest of k numbers that were fitted: `values` [g, k], each with one fold left out.

    From the `jackknife_groups` intervals of the k numbers, as `bootstrap_lowest` does it: "the highest is below
    t" says that each is, so the upper bound is the highest of theirs, uncorrected (intersection-union); "the
    highest exceeds t" says that some number does, so the lower bound is the highest of theirs at level alpha/(2k)
    (Bonferroni). The highest of several near-equal numbers lies above all of them by sampling alone, which the
    jackknife of the highest itself does not see.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError(f"values are [groups, numbers], not of shape {values.shape}")
    k = values.shape[1]

    def each(confidence: float) -> tuple[Estimate, ...]:
        return tuple(
            jackknife_groups(column, confidence=confidence, support=support, n_documents=n_documents)
            for column in values.T
        )

    members = each(confidence)
    return Estimate(
        value=float(np.max([member.value for member in members])),
        low=float(np.max([member.low for member in each(1 - (1 - confidence) / k)])),
        high=float(np.max([member.high for member in members])),
        confidence=confidence,
        method="highest jackknife",
        n_documents=members[0].n_documents,
        support=support,
        members=members,
    )


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
    groups = _several(values)
    tail = 2 * _tail(confidence)
    deviation = float(values.std(ddof=1))
    freedom = 2 / (2 / (groups - 1) + max(0.0, kurtosis) / groups)
    low, high, method = 0.0, inf, "chi-square"
    if not np.isfinite(values).all():
        low, high = nan, nan
    elif _constant(values, float(values.mean()), (-inf, inf)):
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
    ranks = np.sign(values[:, :, None] - values[:, None, :]).sum(2) / 2
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


def documents_to_decide(estimate: Estimate, threshold: float) -> int | None:
    """About how many documents would make the interval clear the threshold, if value and spread stay.

    The half-width facing the threshold shrinks with the square root of the number of documents (with the
    number itself, about, for an exact bound). At that number the chance to decide is about one half. None where the
    estimate stands at the threshold, or its interval is not finite.
    """
    distance = estimate.value - threshold
    width = estimate.value - estimate.low if distance > 0 else estimate.high - estimate.value
    if not isfinite(distance) or not isfinite(width) or distance == 0 or estimate.method == "bound":
        return None
    if estimate.method == "exact":
        room = estimate.value - estimate.support[0] if distance > 0 else estimate.support[1] - estimate.value
        if abs(distance) >= room:
            return 1
        return ceil(
            log(_tail(estimate.confidence)) / _log_none_differs(abs(distance) / room, estimate.vectors)
        )
    return max(1, ceil(estimate.n_documents * (width / distance) ** 2))


def _matrix(columns: Floats) -> Floats:
    columns = np.ascontiguousarray(columns, dtype=np.float64)
    if columns.ndim != 2 or 0 in columns.shape:
        raise ValueError(f"columns are [documents, sums] with at least one document, not {columns.shape}")
    return columns


def _several(values: Floats) -> int:
    if values.ndim != 1 or values.size < 2:
        raise ValueError(f"at least 2 numbers in one row are needed, not an array of shape {values.shape}")
    return int(values.size)


def _tail(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence lies between 0 and 1, not {confidence}")
    return (1 - confidence) / 2


def _constant(numbers: Floats, value: float, support: tuple[float, float]) -> bool:
    """Whether the numbers differ by no more than rounding at the scale of the statistic."""
    width = support[1] - support[0]
    scale = max(abs(value), width if isfinite(width) else 0.0)
    return bool(np.ptp(numbers) <= _ROUNDING * scale)


def _resampled_sums(columns: Floats, rows: int, rng: np.random.Generator) -> Floats:
    """Column sums [rows, m] of `rows` resamples, as multinomial counts [rows, n] @ columns [n, m]."""
    n = len(columns)
    sums = np.empty((rows, columns.shape[1]))
    few = max(1, _CACHED // n)
    for start in range(0, rows, few):
        part = sums[start : start + few]
        drawn = rng.integers(0, n, size=(len(part), n))
        drawn += n * np.arange(len(part))[:, None]  # one stretch of counters per resample
        counts = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        np.matmul(counts.astype(np.float64), columns, out=part)
    return sums


def _in_blocks(replicate: Callable[[int], Floats], resamples: int, width: int, k: int = 1) -> Floats:
    """Replicates [resamples, k], each column contiguous and sorted, in blocks of `_CELLS` of that width."""
    if resamples < 1:
        raise ValueError(f"a bootstrap needs at least one resample, not {resamples}")
    rows = max(1, _CELLS // width)
    replicates = np.empty((k, resamples))
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        replicates[:, start:stop] = replicate(stop - start).reshape(stop - start, k).T
    replicates.sort(axis=1)
    return replicates.T


def _bca_p_value(z0: float, acceleration: float, resamples: int, n: int, against: int) -> float:
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
    return exp(n * _log_none_differs((value - threshold) / (value - lowest), vectors))


def _log_none_differs(share: float, vectors: int) -> float:
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


def _largest_share(tail: float, n: int, vectors: int) -> float:
    """The share of differing vectors at which n documents show none with probability `tail`."""
    from scipy import optimize

    most = -expm1(log(tail) / n)  # more vectors can only lower it
    if vectors == 1:
        return most
    found = optimize.brentq(lambda q: n * _log_none_differs(q, vectors) - log(tail), 0.0, most, xtol=1e-15)
    return float(found)


def _bca(
    value: float,
    replicates: Floats,
    left_out: Sequence[Floats],
    confidence: float,
    n_documents: int,
    support: tuple[float, float],
    vectors: int | None,
) -> Estimate:
    """Interval from sorted replicates and, per sample, the values with one document left out."""
    from scipy import special

    tail = _tail(confidence)
    undefined = Estimate(
        value=value,
        low=nan,
        high=nan,
        confidence=confidence,
        method="BCa",
        n_documents=n_documents,
        replicates=replicates,
        support=support,
    )
    if not isfinite(value):
        return undefined
    resamples = replicates.size
    defined = replicates[~np.isnan(replicates)]
    n_undefined = resamples - defined.size
    # ties and undefined replicates count half
    below = np.sum(defined < value) + (np.sum(defined == value) + n_undefined) / 2
    z0 = float(special.ndtri(below / resamples))
    influence = [(len(v) - 1) / len(v) * (v.mean() - v) for v in left_out]  # [n] per sample, over n
    squares = sum(float(np.sum(u**2)) for u in influence)
    with np.errstate(all="ignore"):
        a = float(np.float64(sum(float(np.sum(u**3)) for u in influence)) / (6 * squares**1.5))
    everything = np.concatenate([defined, [value]])
    same = _constant(everything, value, support)
    if same or not (isfinite(z0) and isfinite(a)):
        counted = min(vectors or 1, _MOST_VECTORS) if same and not n_undefined else 1
        share = _largest_share(tail, n_documents, counted)
        return replace(
            undefined,
            low=value - share * (value - support[0]),
            high=value + share * (support[1] - value),
            method="exact",
            vectors=counted,
        )
    if abs(z0) > _LARGEST_BIAS:
        return replace(
            undefined, low=float(support[0]), high=float(support[1]), method="bound", bias_correction=z0
        )
    gap = np.full(n_undefined, inf)
    rising = np.concatenate([[support[0]], -gap, defined]).clip(*support)
    falling = np.concatenate([[support[1]], gap, defined[::-1]]).clip(*support)
    low, high = (
        bounds[
            bisect_left(
                range(resamples + 1),
                tail,
                key=partial(_bca_p_value, sign * z0, sign * a, resamples, n_documents),
            )
        ]
        for sign, bounds in ((1, rising), (-1, falling))
    )
    return replace(undefined, low=float(low), high=float(high), bias_correction=z0, acceleration=a)
