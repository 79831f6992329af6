"""How probes are fitted on the folds of a corpus: solved, features standardised on the training part."""

from collections.abc import Iterator, Sequence

import numpy as np
from layerclaims.probing.objective import Rows, TrainingSet
from layerclaims.probing.probe import LayerProbe, Probe
from layerclaims.probing.vectors import Vectors
from numpy.typing import NDArray

Labels = NDArray[np.int64]


def fit_folds(
    vectors: Vectors, *, folds: Sequence[int] | None = None, unit: bool = False, device: str
) -> Iterator[Probe]:
    """A probe a fold, of all folds or some, each fitted on the vectors of the others; all are fitted together."""
    folds = range(len(vectors.folds)) if folds is None else folds
    yield from fit_sets(vectors, [vectors.training(fold) for fold in folds], unit=unit, device=device)


def fit_sets(
    vectors: Vectors,
    rows: Sequence[Rows],
    *,
    labels: Sequence[Labels] | None = None,
    unit: bool = False,
    device: str,
) -> Iterator[Probe]:
    """A probe of each of some choices of the vectors, as ranges of their flat rows, fitted together.

    `labels`, [vectors] each, stand in place of the true ones. `device` is that of `LayerProbe`.
    """
    labels = [vectors.labels] * len(rows) if labels is None else labels
    sets = [TrainingSet(rows=part, y=y) for part, y in zip(rows, labels, strict=True)]
    probe = LayerProbe(device=device)
    yield from probe.fit_together(vectors.flat, sets, unit=unit, n_labels=vectors.n_labels)


def fit_growing(vectors: Vectors, series: Sequence[Sequence[Rows]], *, device: str) -> list[list[Probe]]:
    """The probes of several series of choices of the vectors, each choice within the next one."""
    sets = [[TrainingSet(rows=part, y=vectors.labels) for part in grown] for grown in series]
    return LayerProbe(device=device).fit_growing(vectors.flat, sets, n_labels=vectors.n_labels)
