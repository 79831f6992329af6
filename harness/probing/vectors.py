"""Vectors: the states of one corpus as rows, in folds of documents."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

_PIECE: Final = 4096  # rows
Empty = Callable[[tuple[int, ...]], NDArray[np.float32]]  # makes a matrix of that shape


TESTED_SHARE: Final = 5  # one vector in so many is tested where vectors are split


@dataclass(frozen=True, kw_only=True)
class Split:
    """Flat rows on either side of a split of vectors, in random order."""

    training: NDArray[np.int64]
    tested: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """The states of one corpus as rows: documents in the order of their folds, labels inside a document."""

    x: NDArray[np.float32]  # [documents, labels, positions, d]
    rows: NDArray[np.int64]  # [documents] row of each document in the store
    folds: tuple[slice, ...]  # documents of each fold; disjoint and together all

    @property
    def n_labels(self) -> int:
        """K."""
        return int(self.x.shape[1])

    @property
    def flat(self) -> NDArray[np.float32]:
        """[documents * labels * positions, d], no copy."""
        return self.x.reshape(-1, self.x.shape[-1])

    @property
    def labels(self) -> NDArray[np.int64]:
        """[documents * labels * positions]: label i is state i."""
        documents, labels, positions, _ = self.x.shape
        return np.tile(np.repeat(np.arange(labels), positions), documents)

    def training(self, fold: int) -> list[slice]:
        """Flat rows that a probe of this fold may see, as ranges: those of the documents of all other folds."""
        per = self.x.shape[1] * self.x.shape[2]
        own = self.folds[fold]
        ranges = [slice(0, own.start * per), slice(own.stop * per, len(self.x) * per)]
        return [r for r in ranges if r.stop > r.start]

    def tested(self, fold: int) -> slice:
        """Flat rows that this fold's probe never sees."""
        per = self.x.shape[1] * self.x.shape[2]
        return slice(self.folds[fold].start * per, self.folds[fold].stop * per)

    def split(
        self, seed: Sequence[int], *, documents: int | None = None, positions: int | None = None
    ) -> Split:
        """A fifth of the vectors at random, whatever document they are of, as the authors split them.

        Of the first `documents`, cut to their first `positions`; of all of them by default.
        """
        n_documents, labels, n_positions, _ = self.x.shape
        rows = np.arange(n_documents * labels * n_positions, dtype=np.int64).reshape(n_documents, labels, -1)
        chosen = rows[:documents, :, :positions].ravel()
        order = chosen[np.random.default_rng(list(seed)).permutation(len(chosen))]
        tested = len(order) // TESTED_SHARE
        return Split(training=order[tested:], tested=order[:tested])


def _in_memory(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.empty(shape, dtype=np.float32)


def fold_order(n_documents: int, folds: int, seed: int) -> tuple[NDArray[np.int64], tuple[slice, ...]]:
    """Documents in random order, cut into folds whose sizes differ by one at most: order [n], slices of it."""
    order = np.random.default_rng([seed, 1]).permutation(n_documents)
    borders = np.linspace(0, n_documents, folds + 1).round().astype(int)
    return order, tuple(slice(int(a), int(b)) for a, b in pairwise(borders))


def gather(
    blocks: Iterable[Iterable[NDArray[np.float32]]],
    n_labels: int,
    order: NDArray[np.int64],
    folds: tuple[slice, ...],
    *,
    empty: Empty = _in_memory,
) -> Vectors:
    """Read each label's state into one matrix, documents in the given order, with no other copy of it.

    A block has some documents, in storage order: of each label in turn [documents, positions, d].
    """
    place = np.argsort(order)
    x: NDArray[np.float32] | None = None
    start = stop = 0
    for block in blocks:
        for label, state in enumerate(block):
            if x is None:
                x = empty((len(order), n_labels, *state.shape[1:]))
            stop = start + len(state)
            x[place[start:stop], label] = state
        start = stop
    assert x is not None  # a store has a state and a document at least
    return Vectors(x=x, rows=order, folds=folds)


def training_share(vectors: Vectors, fold: int, share: float) -> list[slice]:
    """A share of what `training` gives, one document at least.

    The first documents of those in random order, so that a smaller share is part of a larger one.
    """
    allowed = vectors.training(fold)
    per = vectors.x.shape[1] * vectors.x.shape[2]
    left = max(1, round(share * sum(r.stop - r.start for r in allowed) / per)) * per
    chosen = []
    for r in allowed:
        chosen.append(slice(r.start, min(r.stop, r.start + left)))
        left -= chosen[-1].stop - chosen[-1].start
    return [r for r in chosen if r.stop > r.start]


def draw_positions(
    vectors: Vectors, fold: int, *, of: int, n: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Flat rows of `n` of the first `of` positions of each document that a fold's probe may see, of all labels."""
    documents, labels, positions, _ = vectors.x.shape
    rows = np.arange(documents * labels * positions, dtype=np.int64).reshape(documents, labels, positions)
    own = vectors.folds[fold]
    allowed = np.delete(np.arange(documents), np.arange(own.start, own.stop))
    drawn = np.sort(rng.permuted(np.tile(np.arange(of), (len(allowed), 1)), axis=1)[:, :n], axis=1)
    return np.take_along_axis(rows[allowed], drawn[:, None, :], axis=2).ravel()


def take(
    vectors: Vectors, rows: Sequence[slice] | NDArray[np.int64], *, empty: Empty = _in_memory
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """A copy of some flat rows, [n, d], and their labels [n]; of ranges, or of numbers in their order."""
    parts: list[slice | NDArray[np.int64]]
    parts = [rows] if isinstance(rows, np.ndarray) else list(rows)
    y = np.concatenate([vectors.labels[part] for part in parts])
    x, start = empty((len(y), vectors.x.shape[-1])), 0
    for part in parts:
        for piece in _pieces(part):
            chosen = vectors.flat[piece]
            x[start : start + len(chosen)] = chosen
            start += len(chosen)
    return x, y


def labels_of(vectors: Vectors, rows: Sequence[slice]) -> NDArray[np.int64]:
    """Labels [n] of some ranges of flat rows."""
    return np.concatenate([vectors.labels[part] for part in rows])


def columns_of(
    vectors: Vectors, rows: Sequence[slice], dimensions: NDArray[np.int64], *, out: NDArray[np.float32]
) -> None:
    """Fill `out` [n, dimensions] with some dimensions of some ranges of flat rows."""
    start = 0
    for part in rows:
        for piece in range(part.start, part.stop, _PIECE):
            chosen = vectors.flat[piece : min(piece + _PIECE, part.stop)][:, dimensions]
            out[start : start + len(chosen)] = chosen
            start += len(chosen)


def _pieces(part: slice | NDArray[np.int64]) -> list[slice | NDArray[np.int64]]:
    """A range as it is; numbers a few at a time, since what they choose is copied twice."""
    if isinstance(part, slice):
        return [part]
    return [part[start : start + _PIECE] for start in range(0, len(part), _PIECE)]


def random_directions(x: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Isotropic vectors that have the norms of the vectors x, [..., d]."""
    norms = np.sqrt(np.einsum("...d,...d->...", x, x, dtype=np.float64))
    directions = rng.standard_normal(x.shape, dtype=np.float32)
    lengths = np.sqrt(np.einsum("...d,...d->...", directions, directions, dtype=np.float64))
    directions *= (norms / lengths)[..., None].astype(np.float32)
    return directions


def fill_directions(x: NDArray[np.float32], norms: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Fill x [n, d] with isotropic vectors of some norms [n]."""
    for start in range(0, len(x), _PIECE):
        part = slice(start, start + _PIECE)
        drawn = rng.standard_normal(x[part].shape, dtype=np.float32)
        _scale(drawn, norms[part], x[part])


def fill_uniform(x: NDArray[np.float32], norms: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Fill x [n, d] with vectors whose entries are uniform in [0, 1), scaled to some norms [n], which may be < 0."""
    for start in range(0, len(x), _PIECE):
        part = slice(start, start + _PIECE)
        drawn = rng.random(x[part].shape, dtype=np.float32)
        _scale(drawn, norms[part], x[part])


def _scale(drawn: NDArray[np.float32], norms: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    lengths = np.sqrt(np.einsum("nd,nd->n", drawn, drawn, dtype=np.float64))
    np.multiply(drawn, (norms / lengths)[:, None].astype(np.float32), out=out)


def norm_features(vectors: Vectors) -> Vectors:
    """The norm of each vector and its logarithm in place of the vector: all that the norm alone could tell."""
    norms = np.sqrt(np.einsum("...d,...d->...", vectors.x, vectors.x, dtype=np.float64))
    log_norms = np.log(np.maximum(norms, np.finfo(np.float32).tiny))
    x = np.ascontiguousarray(np.stack([norms, log_norms], axis=-1), dtype=np.float32)
    return replace(vectors, x=x)


def shuffled_labels(vectors: Vectors, rng: np.random.Generator) -> NDArray[np.int64]:
    """Labels in random order, flat: each token keeps all labels once, so every document has them equally often."""
    documents, k, positions, _ = vectors.x.shape
    order = np.argsort(rng.random((documents, positions, k)), axis=2)
    return np.ascontiguousarray(order.transpose(0, 2, 1)).reshape(-1)
