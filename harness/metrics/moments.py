"""First and second moments of a state by fold and half of the documents: what PCA, subspaces and ranks are made of.

Sums add up: over folds, so that a fold can be left out without reading the states again; over halves; over
states. A state is read once, and what is kept does not grow with the number of documents.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from layerclaims.metrics.norms import FIRST
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_CELLS = 2**22  # float64 copies of vectors held at once: 32 MB


@dataclass(frozen=True, kw_only=True)
class Covariance:
    """Mean and covariance of some vectors."""

    count: float
    mean: Floats  # [d]
    matrix: Floats  # [d, d]; divided by the count


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Sums over the vectors of each cell, a fold and a half of the documents."""

    counts: Floats  # [folds, halves]
    sums: Floats  # [folds, halves, d]
    squares: Floats  # [folds, halves, d, d] sums of x x'

    def __post_init__(self) -> None:
        """Refuse sums that do not belong together."""
        d = self.sums.shape[-1]
        if self.sums.shape != (*self.counts.shape, d) or self.squares.shape != (*self.counts.shape, d, d):
            raise ValueError(
                f"moments are [folds, halves], [.., d] and [.., d, d], not {self.counts.shape}, "
                f"{self.sums.shape} and {self.squares.shape}"
            )

    @property
    def n_folds(self) -> int:
        """Groups of the jackknife."""
        return int(self.counts.shape[0])

    def over_folds(self) -> "Moments":
        """The same with all folds as one: [1, halves, ...]."""
        sums = (one.sum(axis=0, keepdims=True) for one in (self.counts, self.sums, self.squares))
        return Moments(**dict(zip(("counts", "sums", "squares"), sums, strict=True)))

    def __add__(self, other: "Moments") -> "Moments":
        """Of the vectors of both; ValueError where their folds or halves are not as many."""
        if self.sums.shape != other.sums.shape:
            raise ValueError(f"moments of {self.sums.shape} and {other.sums.shape} do not add up")
        return Moments(
            counts=self.counts + other.counts,
            sums=self.sums + other.sums,
            squares=self.squares + other.squares,
        )

    def covariance(self, *, half: int | None = None, left_out: int | None = None) -> Covariance:
        """Of all vectors, of one half, or without one fold: E[x x'] - E[x] E[x]'.

        ValueError where no vector is left.
        """
        folds = [g for g in range(self.n_folds) if g != left_out]
        halves = list(range(self.counts.shape[1])) if half is None else [half]
        count = float(self.counts[np.ix_(folds, halves)].sum())
        if not count:
            raise ValueError(f"half {half} without fold {left_out} holds no vector")
        mean = self.sums[np.ix_(folds, halves)].sum(axis=(0, 1)) / count
        matrix = np.zeros(self.squares.shape[2:])
        for cell in itertools.product(folds, halves):
            matrix += self.squares[cell]
        matrix /= count
        matrix -= np.outer(mean, mean)
        return Covariance(count=count, mean=mean, matrix=matrix)


def assign_halves(folds: Ints, rng: np.random.Generator) -> Ints:
    """Split the documents in two at random, each fold evenly: folds [documents] -> 0 or 1 [documents].

    Leaving out a fold then leaves two halves of equal size, as the jackknife over folds needs.
    """
    folds = np.asarray(folds)
    halves = np.empty(len(folds), dtype=np.int64)
    for g in np.unique(folds):
        members = np.flatnonzero(folds == g)
        halves[rng.permutation(members)] = np.arange(len(members)) % 2
    return halves


def state_moments(
    state: NDArray[Any],
    folds: Ints,
    halves: Ints | None = None,
    *,
    unit: bool,
    first: int = FIRST,
    device: str = "cpu",
) -> Moments:
    """Moments of one state [documents, positions, d]; folds and halves [documents] count from 0.

    `unit` divides each vector by its norm; a zero vector stays zero. Positions before `first` are left out:
    by default position 0, where many models put activations a hundred times the usual size, the same for
    every document. A covariance of raw vectors would be that of this one token. The post used all
    positions: first=0. Sums are float64, of float64 products, so that turning all vectors changes no more
    than rounding. They are computed on `device`, torch's name of one that has float64. Without `halves` there is
    one. ValueError for shapes that do not go together.
    """
    if state.ndim != 3 or not 0 <= first < state.shape[1]:
        raise ValueError(f"a state of shape {state.shape} has no position {first}")
    halves = np.zeros(len(state), dtype=np.int64) if halves is None else np.asarray(halves)
    folds = np.asarray(folds)
    if folds.shape != (len(state),) or halves.shape != (len(state),):
        raise ValueError(
            f"{len(state)} documents need a fold and a half each, not {folds.shape}, {halves.shape}"
        )
    d = state.shape[2]
    total = _total if device == "cpu" else partial(_total_there, device)
    shape = (int(folds.max()) + 1, int(halves.max()) + 1)
    counts, sums, squares = np.zeros(shape), np.zeros((*shape, d)), np.zeros((*shape, d, d))
    rows = max(1, _CELLS // (state.shape[1] * d))
    for g, h in np.ndindex(shape):
        members = np.flatnonzero((folds == g) & (halves == h))
        starts = range(0, len(members), rows)
        blocks = (state[members[start : start + rows], first:].reshape(-1, d) for start in starts)
        counts[g, h] = len(members) * (state.shape[1] - first)
        total(blocks, unit, sums[g, h], squares[g, h])
    return Moments(counts=counts, sums=sums, squares=squares)


def _total(blocks: Iterable[NDArray[Any]], unit: bool, sums: Floats, squares: Floats) -> None:
    """Add the sums of x and of x x' over blocks of vectors [n, d], of unit length if asked, to [d] and [d, d]."""
    for block in blocks:
        x = block.astype(np.float64)
        if unit:
            norms = np.sqrt(np.einsum("nd,nd->n", x, x))
            x /= np.where(norms > 0, norms, 1.0)[:, None]
        sums += x.sum(axis=0)
        squares += x.T @ x


def _total_there(
    device: str, blocks: Iterable[NDArray[Any]], unit: bool, sums: Floats, squares: Floats
) -> None:
    """The same on a device, which a block crosses to as it comes and sums leave at the end."""
    import torch

    total = torch.zeros(sums.shape, dtype=torch.float64, device=device)
    products = torch.zeros(squares.shape, dtype=torch.float64, device=device)
    for block in blocks:
        x = torch.from_numpy(np.ascontiguousarray(block)).to(device).double()
        if unit:
            norms = torch.linalg.vector_norm(x, dim=1, keepdim=True)
            x /= torch.where(norms > 0, norms, 1.0)
        total += x.sum(0)
        products.addmm_(x.T, x)
    sums += total.cpu().numpy()
    squares += products.cpu().numpy()
