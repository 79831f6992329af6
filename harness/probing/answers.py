"""What probes say of the vectors that they never saw, counted by document and label."""

from collections.abc import Mapping, Sequence

import numpy as np
from layerclaims.probing.probe import Probe
from layerclaims.probing.vectors import Vectors
from numpy.typing import NDArray

Counts = NDArray[np.int64]


def held_out(vectors: Vectors, probes: Sequence[Probe]) -> NDArray[np.int64]:
    """Each vector's label as predicted by the probe that never saw it, [documents, labels, positions]."""
    flat = vectors.flat
    out = np.empty(len(flat), dtype=np.int64)
    for fold, probe in enumerate(probes):
        part = vectors.tested(fold)
        out[part] = probe.predict(flat[part])
    return out.reshape(vectors.x.shape[:3])


def counts_of_tested(
    vectors: Vectors,
    answers: Mapping[int, NDArray[np.int64]],
    labels: Mapping[int, NDArray[np.int64]] | None = None,
    *,
    positions: int | None = None,
) -> tuple[Counts, Counts, Counts]:
    """Counts of some folds' answers: fold -> the labels named for its tested vectors, in their order.

    An answer is right where it meets the vector's layer, or its place in that fold's `labels` [vectors]. Of each
    document only the first `positions` are counted, by default all.
    Returns what `counts_of_rows` does.
    """
    truth = vectors.labels
    right = {
        fold: named == (truth if labels is None else labels[fold])[vectors.tested(fold)]
        for fold, named in answers.items()
    }
    return _counts(vectors, [(vectors.tested(fold), marks) for fold, marks in right.items()], positions)


def counts_of_rows(
    vectors: Vectors, rows: NDArray[np.int64], named: NDArray[np.int64]
) -> tuple[Counts, Counts, Counts]:
    """Counts of the labels `named` [n] for some flat `rows` [n].

    The rows of the documents that have any, and their right answers and answers by layer: [n], [n, labels] twice.
    """
    return _counts(vectors, [(rows, named == vectors.labels[rows])])


def _counts(
    vectors: Vectors,
    marked: Sequence[tuple[slice | NDArray[np.int64], NDArray[np.bool_]]],
    positions: int | None = None,
) -> tuple[Counts, Counts, Counts]:
    right, seen = np.zeros((2, len(vectors.flat)), dtype=np.bool_)
    for part, marks in marked:
        right[part] = marks
        seen[part] = True
    correct, total = (marks.reshape(vectors.x.shape[:3])[:, :, :positions].sum(2) for marks in (right, seen))
    any_seen = total.any(1)
    own = np.argsort(vectors.rows[any_seen])
    return vectors.rows[any_seen][own], correct[any_seen][own], total[any_seen][own]


def counts_by_fold(vectors: Vectors, predicted: NDArray[np.int64]) -> Counts:
    """Right answers and answers of each fold's probe, [folds, 2], of [documents, labels, positions]."""
    right = predicted.ravel() == vectors.labels
    parts = [right[vectors.tested(fold)] for fold in range(len(vectors.folds))]
    return np.array([[part.sum(), part.size] for part in parts], dtype=np.int64)


def counts_by_document(predicted: NDArray[np.int64]) -> tuple[Counts, Counts]:
    """Right answers and answers by document and label, [documents, labels] each, of [documents, labels, positions]."""
    labels = np.arange(predicted.shape[1])[None, :, None]
    correct = (predicted == labels).sum(2)
    return correct, np.full_like(correct, predicted.shape[2])


def confusion(predicted: NDArray[np.int64]) -> Counts:
    """[K, K]: how often label i (row) was taken for label j (column), of [documents, labels, positions]."""
    k = predicted.shape[1]
    truth = np.broadcast_to(np.arange(k)[None, :, None], predicted.shape)
    return confusion_of(truth.ravel(), predicted.ravel(), k)


def confusion_of(truth: NDArray[np.int64], named: NDArray[np.int64], n_labels: int) -> Counts:
    """[K, K]: how often label i (row) was taken for label j (column)."""
    return np.bincount(truth * n_labels + named, minlength=n_labels * n_labels).reshape(n_labels, n_labels)
