"""Norms of states by layer: how large they are, how they grow, and what the final norm makes of them.

A norm is the L2 norm of one vector, taken in float64: the first position carries norms of 1e5 and more,
whose squares float16 cannot hold. All statistics of a layer are ratios of sums over documents, so that a
bootstrap can resample documents: `norm_sums` of each state are its columns.

States here are 1..L, the raw residual stream after each block; state 0, the embedding, is no step of the
growth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
from layerclaims.statistics.estimate import Estimate
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FIRST = 1  # position 0 is an attention sink whose norm says nothing of the others
_RESOLUTION = 2.0**-23  # relative spacing of float32: what states on disk cannot tell apart counts as equal
_CELLS = 2**20  # draws held at once


def token_norms(state: NDArray[Any]) -> Floats:
    """L2 norm of each vector: state [documents, positions, d] -> float64 [documents, positions].

    Upcast before squaring, a few documents at a time. ValueError for an array that is not three-dimensional.
    """
    if state.ndim != 3:
        raise ValueError(f"a state is [documents, positions, hidden], not {state.shape}")
    norms = np.empty(state.shape[:2])
    rows = max(1, _CELLS // max(1, state.shape[1] * state.shape[2]))
    for start in range(0, len(state), rows):
        x = state[start : start + rows].astype(np.float64)
        norms[start : start + rows] = np.sqrt(np.einsum("npd,npd->np", x, x))
    return norms


def norm_sums(state: NDArray[Any], *, first: int = FIRST) -> Floats:
    """Sum of each document's norms from position `first` on: [documents, positions, d] -> [documents].

    ValueError when no position is left.
    """
    if state.ndim != 3 or not 0 <= first < state.shape[1]:
        raise ValueError(f"a state of shape {state.shape} has no position {first}")
    return np.asarray(token_norms(state[:, first:]).sum(axis=1), dtype=np.float64)


def norm_columns(sums: Sequence[Floats]) -> Floats:
    """`norm_sums` of several states side by side, in the order given: [documents, states]."""
    return np.stack(sums, axis=1)


@dataclass(frozen=True, kw_only=True)
class NormSummary:
    """Norms of the vectors of one state: the largest of all, and all three from one position on."""

    largest: float
    largest_later: float  # "later": from that position on; NaN where there is none
    mean_later: float
    smallest_later: float


def norm_summary(state: NDArray[Any], *, first: int = FIRST) -> NormSummary:
    """Norm statistics of one state [documents, positions, d] (post, Fig. 2), "later" from position `first` on."""
    norms = token_norms(state)
    later = norms[:, first:]
    some = later.size > 0
    return NormSummary(
        largest=float(norms.max()),
        largest_later=float(later.max()) if some else nan,
        mean_later=float(later.mean()) if some else nan,
        smallest_later=float(later.min()) if some else nan,
    )


def growth_rate(sums: Floats) -> Floats:
    """Slope of the logarithm of the mean norm on the layer: sums [..., L] of states 1..L -> [...], per layer.

    b = sum_i (i - mean i) log m_i / sum_i (i - mean i)^2, by least squares; norms grow by the factor exp(b)
    a layer. Sums stand in for means m_i, since all layers have the same vectors. A slope that float32
    states cannot tell from 0 is 0. NaN for fewer than 2 layers, or a norm that is 0 or not finite.

    Source: Heimersheim & Turner, "Residual stream norms grow exponentially over the forward pass" (2023).
    """
    sums = np.asarray(sums, dtype=np.float64)
    weights = _slope_weights(sums.shape[-1])
    with np.errstate(all="ignore"):
        return _rounded(np.log(sums) @ weights)


def growth_support(columns: Floats) -> tuple[float, float]:
    """Bounds for `growth_rate`: columns [documents, L] -> (-s, s), s the steepest slope of any mix of them.

    A layer's mean over any weights of the documents lies between its smallest and its largest document, so
    no resample goes beyond. Where all documents agree the bootstrap needs bounds for documents not seen:
    they are taken to rise or fall no faster than those seen could. NaN where `growth_rate` is.
    """
    columns = _checked(columns)
    weights = _slope_weights(columns.shape[1])
    with np.errstate(all="ignore"):
        lowest, highest = np.log(columns.min(axis=0)), np.log(columns.max(axis=0))
        up = np.where(weights > 0, highest, lowest) @ weights
        down = np.where(weights > 0, lowest, highest) @ weights
    steepest = float(_rounded(np.maximum(abs(up), abs(down))))
    return -steepest, steepest


def fit_errors(sums: Floats) -> Floats:
    """Leave-one-layer-out error of two laws of growth, on one scale: sums [..., L] -> [..., 2].

    The linear law m_i = a + b i (first) and the log-linear law log m_i = a + b i (second) are each fitted
    by least squares to all layers but one, predict that one, and err by log(predicted / actual); the error
    is the root mean square over the layers, in units of log norm. Both errors are
    in the same units, so neither needs a Jacobian of the logarithm to be compared.

    In closed form: leaving layer i out changes its residual e_i to e_i / (1 - h_i), h_i = 1/L + (i - mean
    i)^2 / sum_j (j - mean j)^2 the diagonal of the hat matrix (Allen 1974).

    A predicted norm that is not positive has no logarithm. It counts as 2^-23 of the actual norm, as does
    any smaller positive one: less, float32 could not tell from nothing. The error stays finite, so that the
    interval does, and does not depend on the scale of the norms. NaN for fewer than 3 layers, or norms as
    in `growth_rate`.
    """
    sums = np.asarray(sums, dtype=np.float64)
    layers = sums.shape[-1]
    if layers < 3:  # two points leave one, which says nothing of a slope
        return np.full((*sums.shape[:-1], 2), nan)
    with np.errstate(all="ignore"):
        predicted = np.maximum(_left_out_predictions(sums) / sums, _RESOLUTION)
        linear = np.log(np.where(sums > 0, predicted, nan))
        logs = np.log(sums)
        log_linear = _left_out_predictions(logs) - logs
        return np.asarray(np.sqrt(np.mean(np.stack([linear, log_linear], axis=-2) ** 2, axis=-1)))


def log_linear_advantage(
    columns: Floats, *, confidence: float = 0.90, resamples: int = 9999, rng: np.random.Generator
) -> Estimate:
    """Linear minus log-linear `fit_errors` over resampled documents: columns [documents, L] of states 1..L.

    The interval is the percentile interval of the document bootstrap. At the default 90 % its lower bound
    is above 0 exactly when the log-linear law wins in more than 95 % of the resamples, and its upper bound
    is at or below 0 exactly when it wins in fewer than 5 %; resamples count as (k + 1) / (B + 1), so that
    one of 9,999 decides either way. BCa would answer another question: the row asks for a share of
    resamples.

    Errors that float32 states cannot tell apart differ by 0, which is no win. Replicates are NaN, and the
    bounds too, where an error is. Deterministic for a given generator. ValueError for columns without
    documents.
    """
    columns = _checked(columns)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence lies between 0 and 1, not {confidence}")
    documents = len(columns)
    value = float(_advantage(columns.sum(axis=0)))
    replicates = np.empty(resamples)
    rows = max(1, _CELLS // max(columns.shape))
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        counts = rng.multinomial(documents, np.full(documents, 1 / documents), size=stop - start)
        replicates[start:stop] = _advantage(counts @ columns)
    replicates.sort()
    low = high = nan
    if np.isfinite(value) and np.isfinite(replicates).all():
        # the first k at which (k + 1) / (B + 1), the p-value with k replicates against, is no longer below
        # the tail
        tail = (1 - confidence) / 2
        k = int(np.sum(np.arange(1, resamples + 1) / (resamples + 1) < tail))
        low = float(replicates[k - 1]) if k else -np.inf
        high = float(replicates[resamples - k]) if k else np.inf
    return _Percentile(
        value=value,
        low=low,
        high=high,
        confidence=confidence,
        method="percentile",
        n_documents=documents,
        replicates=replicates,
    )


def ratio_to_largest(sums: Floats) -> Floats:
    """Mean norm of one state over the largest mean norm of others: sums [..., 1 + others], it first -> [...].

    NaN or infinite where no other state has a norm.
    """
    sums = np.asarray(sums, dtype=np.float64)
    with np.errstate(all="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1:].max(axis=-1))


def ratio_support(columns: Floats) -> tuple[float, float]:
    """Bounds for `ratio_to_largest`: columns [documents, 1 + others] -> (0, 2 r), r the largest of any mix.

    Twice, so that documents not seen may lie as far above those seen as below them. See `growth_support`.
    """
    columns = _checked(columns)
    with np.errstate(all="ignore"):
        largest = float(columns[:, 0].max() / columns[:, 1:].min(axis=0).max())
    return 0.0, 2 * largest


def mean_norms(sums: Floats) -> Floats:
    """What each state has of the norms of all documents: columns [documents, states] -> sums [states]."""
    return np.asarray(_checked(sums).sum(axis=0))


@dataclass(frozen=True, kw_only=True)
class _Percentile(Estimate):
    """An Estimate whose p-value is a share of replicates, as its bounds are percentiles."""

    def p_value(self, threshold: float, side: Any) -> float:
        """As Estimate.p_value: (k + 1) / (B + 1) for k replicates that do not lie on the claimed side."""
        if side not in ("above", "below"):
            raise ValueError(f"side is 'above' or 'below', not {side!r}")
        assert self.replicates is not None
        if np.isnan(self.low) or np.isnan(threshold):
            return nan
        right = self.replicates > threshold if side == "above" else self.replicates < threshold
        against = self.replicates.size - int(np.sum(right))
        return min(1.0, (against + 1) / (self.replicates.size + 1))


def _checked(columns: Floats) -> Floats:
    columns = np.ascontiguousarray(columns, dtype=np.float64)
    if columns.ndim != 2 or 0 in columns.shape:
        raise ValueError(f"columns are [documents, states] with at least one document, not {columns.shape}")
    return columns


def _slope_weights(layers: int) -> Floats:
    """w [L] with w @ y the least-squares slope of y [L] on the layer; NaN for one layer."""
    i = np.arange(layers) - (layers - 1) / 2
    squares = float(i @ i)
    return np.asarray(i / squares if squares > 0 else np.full(layers, nan))


def _left_out_predictions(y: Floats) -> Floats:
    """What a line fitted to the other layers predicts for each: y [..., L] -> [..., L], L >= 3."""
    layers = y.shape[-1]
    i = np.arange(layers) - (layers - 1) / 2
    leverage = 1 / layers + i**2 / (i @ i)
    fitted = y.mean(axis=-1, keepdims=True) + (y @ _slope_weights(layers))[..., None] * i
    return np.asarray(y - (y - fitted) / (1 - leverage))


def _advantage(sums: Floats) -> Floats:
    errors = fit_errors(sums)
    return _rounded(errors[..., 0] - errors[..., 1])


def _rounded(values: Any) -> Floats:
    """0 where a value is below what float32 states resolve, so that rounding decides nothing."""
    values = np.asarray(values, dtype=np.float64)
    return np.where(np.abs(values) < _RESOLUTION, 0.0, values)
