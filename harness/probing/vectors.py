"""Vectors: the states of one corpus as rows, in folds of documents or of vectors."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Empty = Callable[[tuple[int, ...]], NDArray[np.float32]]  # makes a matrix of that shape


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """The states of one corpus as rows: documents in the order of their folds, labels inside a document."""

    x: NDArray[np.float32]  # [documents, labels, positions, d]
    rows: NDArray[np.int64]  # [documents] row of each document in the store
    folds: tuple[slice, ...]  # documents of each fold; disjoint and together all
    fold_of: NDArray[np.int8] | None = None  # [documents * labels * positions]; None: its document's

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

    def training(self, fold: int) -> list[slice] | NDArray[np.bool_]:
        """Flat rows that a probe of this fold may see: ranges, or a mask where vectors are split."""
        if self.fold_of is not None:
            return np.asarray(self.fold_of != fold)
        per = self.x.shape[1] * self.x.shape[2]
        own = self.folds[fold]
        ranges = [slice(0, own.start * per), slice(own.stop * per, len(self.x) * per)]
        return [r for r in ranges if r.stop > r.start]

    def tested(self, fold: int) -> slice | NDArray[np.bool_]:
        """Flat rows that this fold's probe never sees: all the others."""
        if self.fold_of is not None:
            return np.asarray(self.fold_of == fold)
        per = self.x.shape[1] * self.x.shape[2]
        return slice(self.folds[fold].start * per, self.folds[fold].stop * per)


def _in_memory(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.empty(shape, dtype=np.float32)


def fold_order(n_documents: int, folds: int, seed: int) -> tuple[NDArray[np.int64], tuple[slice, ...]]:
    """Documents in random order, cut into folds whose sizes differ by one at most: order [n], slices of it."""
    order = np.random.default_rng([seed, 1]).permutation(n_documents)
    borders = np.linspace(0, n_documents, folds + 1).round().astype(int)
    return order, tuple(slice(int(a), int(b)) for a, b in pairwise(borders))


def split_vectors(vectors: Vectors, seed: int) -> Vectors:
    """The same vectors in as many random folds, whatever document they are of: 80/20 for five, five times."""
    n, folds = vectors.x[..., 0].size, len(vectors.folds)
    borders = np.linspace(0, n, folds + 1).round().astype(int)
    fold_of = np.empty(n, dtype=np.int8)
    order = np.random.default_rng([seed, 10]).permutation(n)
    for fold, (start, stop) in enumerate(pairwise(borders)):
        fold_of[order[start:stop]] = fold
    return replace(vectors, fold_of=fold_of)


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


def training_share(
    vectors: Vectors, fold: int, share: float, rng: np.random.Generator
) -> list[slice] | NDArray[np.bool_]:
    """A share of what `training` gives, one document or vector of each label at least.

    The first documents of those in random order, so that a smaller share is part of a larger one; where
    vectors are split, vectors at random, equally many of each label.
    """
    allowed = vectors.training(fold)
    if isinstance(allowed, list):
        per = vectors.x.shape[1] * vectors.x.shape[2]
        left = max(1, round(share * sum(r.stop - r.start for r in allowed) / per)) * per
        chosen = []
        for r in allowed:
            chosen.append(slice(r.start, min(r.stop, r.start + left)))
            left -= chosen[-1].stop - chosen[-1].start
        return [r for r in chosen if r.stop > r.start]
    mask, labels = np.zeros_like(allowed), vectors.labels
    for label in range(vectors.n_labels):
        members = np.flatnonzero(allowed & (labels == label))
        mask[rng.permutation(members)[: max(1, round(share * len(members)))]] = True
    return mask


def take(
    vectors: Vectors, rows: Sequence[slice] | NDArray[np.bool_], *, empty: Empty = _in_memory
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """A copy of some flat rows, [n, d], and their labels [n]."""
    parts = [np.flatnonzero(rows)] if isinstance(rows, np.ndarray) else list(rows)
    y = np.concatenate([vectors.labels[part] for part in parts])
    x, start = empty((len(y), vectors.x.shape[-1])), 0
    for part in parts:
        chosen = vectors.flat[part]
        x[start : start + len(chosen)] = chosen
        start += len(chosen)
    return x, y


def prefix(vectors: Vectors, positions: int, *, empty: Empty = _in_memory) -> Vectors:
    """The same documents cut to their first positions, a copy: what a causal model makes of a shorter context."""
    fold_of = vectors.fold_of
    if fold_of is not None:
        fold_of = fold_of.reshape(vectors.x.shape[:3])[:, :, :positions].reshape(-1)
    x = empty((*vectors.x.shape[:2], positions, vectors.x.shape[-1]))
    x[:] = vectors.x[:, :, :positions]
    return replace(vectors, x=x, fold_of=fold_of)


def random_directions(x: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Isotropic vectors that have the norms of the vectors x, [..., d]."""
    norms = np.sqrt(np.einsum("...d,...d->...", x, x, dtype=np.float64))
    directions = rng.standard_normal(x.shape, dtype=np.float32)
    lengths = np.sqrt(np.einsum("...d,...d->...", directions, directions, dtype=np.float64))
    directions *= (norms / lengths)[..., None].astype(np.float32)
    return directions


def norm_features(vectors: Vectors) -> Vectors:
    """The norm of each vector and its logarithm in place of the vector: all that the norm alone could tell."""
    norms = np.sqrt(np.einsum("...d,...d->...", vectors.x, vectors.x, dtype=np.float64))
    log_norms = np.log(np.maximum(norms, np.finfo(np.float32).tiny))
    x = np.ascontiguousarray(np.stack([norms, log_norms], axis=-1), dtype=np.float32)
    return replace(vectors, x=x)


def shuffled_labels(vectors: Vectors, rng: np.random.Generator) -> NDArray[np.int64]:
    """Labels in random order, flat: each token keeps all labels once, so every document has them equally often.

    Where vectors are split all labels are shuffled as one: a token's vectors then stand on both sides, and that
    its labels differ would give away, from those of its near-copies, which ones are left.
    """
    documents, k, positions, _ = vectors.x.shape
    if vectors.fold_of is not None:
        return rng.permutation(vectors.labels)
    order = np.argsort(rng.random((documents, positions, k)), axis=2)
    return np.ascontiguousarray(order.transpose(0, 2, 1)).reshape(-1)
