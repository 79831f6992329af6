"""Norms of states by layer: how large they are, and what the final norm makes of them.

A norm is the L2 norm of one vector, taken in float64: the first position carries norms of 1e5 and more,
whose squares float16 cannot hold. All statistics of a layer are ratios of sums over documents, so that a
bootstrap can resample documents: `norm_sums` of each state are its columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FIRST = 1  # position 0 is an attention sink whose norm says nothing of the others
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


def overlap(a: Floats, b: Floats, *, central: float = 0.95) -> float:
    """How far two sets of norms overlap: the mean share of either inside the central part of the other, in [0, 1]."""
    tail = (1 - central) / 2

    def inside(x: Floats, y: Floats) -> float:
        low, high = np.quantile(y, [tail, 1 - tail])
        return float(np.mean((x >= low) & (x <= high)))

    return (inside(a, b) + inside(b, a)) / 2


def overlaps(norms: Sequence[Floats], folds: NDArray[np.int64]) -> Floats:
    """`overlap` of each state's norms with the next one's: norms [documents, positions] a state, [1 + folds, pairs].

    On all documents first, then without each fold of theirs.
    """
    kept = [np.ones(len(folds), dtype=bool), *(folds != fold for fold in np.unique(folds))]
    return np.array(
        [[overlap(a[rows].ravel(), b[rows].ravel()) for a, b in pairwise(norms)] for rows in kept]
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
    columns = checked(columns)
    with np.errstate(all="ignore"):
        largest = float(columns[:, 0].max() / columns[:, 1:].min(axis=0).max())
    return 0.0, 2 * largest


def mean_norms(sums: Floats) -> Floats:
    """What each state has of the norms of all documents: columns [documents, states] -> sums [states]."""
    return np.asarray(checked(sums).sum(axis=0))


def checked(columns: Floats) -> Floats:
    """`norm_columns` as float64; ValueError for an array that holds no document or no state."""
    columns = np.ascontiguousarray(columns, dtype=np.float64)
    if columns.ndim != 2 or 0 in columns.shape:
        raise ValueError(f"columns are [documents, states] with at least one document, not {columns.shape}")
    return columns
