"""What the probe reads: the share of each dimension in each layer, and which dimensions recur.

Input throughout: `weights` [d, K], one column a layer (column i is state i), on standardised features. Such
a weight is the raw weight times the standard deviation of its feature, so |weight| is how far the layer's
logit moves when the dimension moves by its usual amount. Softmax weights are relative to the mean over
layers, as the probe returns them.

A layer whose weights are all zero has no shares: they are NaN, and so is every number that would rest on
them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LISTED = 10  # dimensions in a layer's list of top contributions
MASKED = 4  # recurring dimensions that are named and masked, as in the post
CURVE_GRID: Floats = np.linspace(0.0, 1.0, 51)
_CELLS = 2**22  # counters held at once by a null distribution
_ROUNDING = 1e-12  # of a cumulative share, whose last bits depend on the order of the sum


def contribution_shares(weights: Floats) -> Floats:
    """Share of each dimension in each layer: |w_jk| / sum_j |w_jk|, weights [d, K] -> [d, K].

    Columns sum to 1; a column without any weight, or with one that is not finite, is NaN.
    """
    size = np.abs(np.asarray(weights, dtype=np.float64))
    if size.ndim != 2 or 0 in size.shape:
        raise ValueError(f"weights are [dimensions, layers], not {size.shape}")
    with np.errstate(all="ignore"):
        size = size / size.max(axis=0)  # so that the sum cannot overflow
        return np.asarray(size / size.sum(axis=0))


@dataclass(frozen=True, kw_only=True)
class Largest:
    """The largest share, and where it is."""

    share: float  # NaN where a layer has none
    dimension: int  # -1 where a layer has none
    layer: int


def largest_share(shares: Floats) -> Largest:
    """The largest share of one dimension in one layer: shares [d, K]."""
    if np.isnan(shares).any():
        return Largest(share=nan, dimension=-1, layer=-1)
    dimension, layer = np.unravel_index(int(shares.argmax()), shares.shape)
    return Largest(share=float(shares.max()), dimension=int(dimension), layer=int(layer))


def dimensions_needed(shares: Floats, part: float) -> Floats:
    """How few dimensions hold `part` (as .5 or .9) of a layer: shares [d, K] -> [K], n50 or n90.

    The smallest n whose n largest shares add up to at least `part`. Floats, since NaN stays NaN.
    """
    if not 0 < part <= 1:
        raise ValueError(f"a part of the contribution lies in (0, 1], not {part}")
    reached = np.cumsum(-np.sort(-shares, axis=0), axis=0) >= part - _ROUNDING
    needed = reached.argmax(axis=0) + 1.0
    return np.where(np.isnan(shares).any(axis=0), nan, needed)


def variation(counts: Floats) -> float:
    """Coefficient of variation over the layers: standard deviation / mean of counts [K].

    The layers are all there are, not a sample of them, so the variance divides by K.
    """
    return float(np.std(counts) / np.mean(counts))


def variation_resolution(counts: Floats) -> float:
    """The least `variation` of counts [K] that is not 0: one layer one dimension away from equal counts."""
    layers = len(counts)
    return sqrt((1 - 1 / layers) / layers) / float(np.mean(counts))


def top_dimensions(shares: Floats, *, n: int = LISTED) -> Ints:
    """Each layer's dimensions of largest share, largest first: shares [d, K] -> [K, min(n, d)].

    Equal shares go by index. A layer without shares has -1 throughout.
    """
    order = np.argsort(-shares, axis=0, kind="stable")[:n].T.astype(np.int64)
    order[np.isnan(shares).any(axis=0)] = -1
    return order


@dataclass(frozen=True, kw_only=True)
class Recurrence:
    """How often dimensions stand in the layers' lists of top contributions."""

    frequency: float  # share of the layers that list the most frequent dimension; NaN where a list is missing
    dimensions: tuple[int, ...]  # by frequency, then by share summed over layers, then by index; at most `n`
    frequencies: tuple[float, ...]  # of these


def recurrence(shares: Floats, *, n: int = LISTED) -> Recurrence:
    """The dimensions that are most often among a layer's top `n`: shares [d, K].

    The first MASKED are the ones to name and mask, all `n` the ones to compare between runs.
    """
    d, layers = shares.shape
    top = top_dimensions(shares, n=n)
    if (top < 0).any():
        return Recurrence(frequency=nan, dimensions=(), frequencies=())
    counts = np.bincount(top.ravel(), minlength=d)
    order = np.lexsort((np.arange(d), -shares.sum(axis=1), -counts))[:n]
    frequencies = counts[order] / layers
    return Recurrence(
        frequency=float(frequencies[0]),
        dimensions=tuple(order.tolist()),
        frequencies=tuple(frequencies.tolist()),
    )


def null_recurrence(
    d: int, layers: int, *, n: int = LISTED, level: float = 0.95, draws: int = 9999, rng: np.random.Generator
) -> float:
    """`level` quantile of the largest frequency when every layer draws its list at random and by itself.

    A list is a uniform subset of min(n, d) of the d dimensions. Returned as a share of the layers, to be
    compared with `Recurrence.frequency`: the smallest m/K with P(largest <= m/K) >= level, in `draws`
    simulations.
    """
    largest = np.empty(draws, dtype=np.int64)
    rows = max(1, _CELLS // max(d, layers * n))
    for start in range(0, draws, rows):
        stop = min(start + rows, draws)
        lists = _random_subsets(d, n, (stop - start, layers), rng)
        largest[start:stop] = _counts(lists.reshape(stop - start, -1), d).max(axis=1)
    return float(np.quantile(largest, level, method="inverted_cdf")) / layers


def negative_shares(weights: Floats, *, n: int = LISTED) -> Floats:
    """Share of negative weights among each layer's top `n` dimensions: weights [d, K] -> [K].

    NaN for a layer without weights.
    """
    weights = np.asarray(weights, dtype=np.float64)
    top = top_dimensions(contribution_shares(weights), n=n)  # [K, n]
    negative = (np.take_along_axis(weights.T, np.maximum(top, 0), axis=1) < 0).mean(axis=1)
    return np.where((top < 0).any(axis=1), nan, negative)


def negative_share_by_thirds(weights: Floats, *, n: int = LISTED) -> tuple[float, float]:
    """Mean `negative_shares` of the first and of the last third of the layers: weights [d, K].

    A third is the K // 3 layers at that end (at least 1), so that both ends have the same number. One step of
    either is 1 / (n K // 3).
    """
    shares = negative_shares(weights, n=n)
    third = max(1, len(shares) // 3)
    return float(shares[:third].mean()), float(shares[-third:].mean())


def overlap(runs: Sequence[Sequence[int]]) -> float:
    """Mean pairwise Jaccard overlap |A & B| / |A | B| of the runs' sets; ValueError for one run.

    NaN where a run has no dimensions.
    """
    sets = [set(run) for run in runs]
    if len(sets) < 2:
        raise ValueError("an overlap needs at least 2 runs")
    if not all(sets):
        return nan
    return float(np.mean([len(a & b) / len(a | b) for a, b in combinations(sets, 2)]))


def overlap_with(runs: Sequence[Sequence[int]], others: Sequence[Sequence[int]]) -> float:
    """Mean Jaccard overlap of each run's set with the sets of the others at all other places; NaN as `overlap`."""
    if len(runs) != len(others) or len(runs) < 2:
        raise ValueError("two lists of at least 2 runs are needed, equally many in each")
    if not (all(runs) and all(others)):
        return nan
    pairs = [(set(a), set(b)) for i, a in enumerate(runs) for j, b in enumerate(others) if i != j]
    return float(np.mean([len(a & b) / len(a | b) for a, b in pairs]))


def overlap_resolution(runs: int, *, n: int = LISTED) -> float:
    """Least step of `overlap` without one of the runs where all runs have the same `n` dimensions.

    One run differs in one: its runs - 2 pairs, of (runs - 1)(runs - 2)/2, fall from 1 to (n - 1)/(n + 1).
    """
    return 2 / (runs - 1) * 2 / (n + 1)


def cumulative_shares(shares: Floats, *, grid: Floats = CURVE_GRID) -> Floats:
    """What part of a layer its largest dimensions hold: shares [d, K] -> [K, points] (post, Fig. 8).

    `grid` [points] gives fractions of the d dimensions; between whole numbers of dimensions the curve is
    straight.
    """
    d, layers = shares.shape
    sums = np.cumsum(-np.sort(-shares, axis=0), axis=0)
    curves = np.concatenate([np.zeros((1, layers)), sums])  # [d + 1, K]
    return np.stack([np.interp(grid * d, np.arange(d + 1), curve) for curve in curves.T])


def _random_subsets(d: int, n: int, shape: tuple[int, int], rng: np.random.Generator) -> Ints:
    """Uniform subsets of min(n, d) out of d, one per cell: [*shape, min(n, d)], by Floyd's algorithm.

    For j = d-n .. d-1 take a t uniform in 0..j, or j itself where t was taken before (Bentley & Floyd 1987).
    """
    n = min(n, d)
    chosen = np.empty((*shape, n), dtype=np.int64)
    for i, j in enumerate(range(d - n, d)):
        t = rng.integers(0, j + 1, size=shape)
        taken = (chosen[..., :i] == t[..., None]).any(axis=-1)
        chosen[..., i] = np.where(taken, j, t)
    return chosen


def _counts(lists: Ints, d: int) -> Ints:
    """How often each of d numbers stands in each row: [rows, m] -> [rows, d]."""
    rows = len(lists)
    flat = (lists + d * np.arange(rows)[:, None]).ravel()  # one stretch of counters per row
    return np.bincount(flat, minlength=rows * d).reshape(rows, d).astype(np.int64)
