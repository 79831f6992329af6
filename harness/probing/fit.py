"""How a setting's probes are fitted: on folds of documents or of vectors, solved or as scikit-learn leaves them."""

from collections.abc import Iterator, Sequence

import numpy as np
from layerclaims.probing.library import Labels, Matrix, library_probe
from layerclaims.probing.objective import Rows, TrainingSet
from layerclaims.probing.probe import LayerProbe, Probe
from layerclaims.probing.vectors import Vectors
from layerclaims.protocol import Setting
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def fit_folds(
    vectors: Vectors,
    setting: Setting,
    *,
    folds: Sequence[int] | None = None,
    unit: bool = False,
    labels: Labels | Sequence[Labels] | None = None,
) -> Iterator[Probe]:
    """A probe a fold, of all folds or some, each fitted on the vectors of the others.

    `labels` [vectors] stand in place of the true ones, or as many label sets as folds. Solved probes
    of folds of documents are fitted together.
    """
    folds = range(len(vectors.folds)) if folds is None else folds
    labels = vectors.labels if labels is None else labels
    each = [labels] * len(folds) if isinstance(labels, np.ndarray) else labels
    rows = [vectors.training(fold) for fold in folds]
    yield from fit_sets(vectors, setting, rows, labels=each, unit=unit)


def fit_sets(
    vectors: Vectors,
    setting: Setting,
    rows: Sequence[Rows | Mask],
    *,
    labels: Sequence[Labels] | None = None,
    unit: bool = False,
) -> Iterator[Probe]:
    """A probe of each of some choices of the vectors, as ranges or masks of their flat rows."""
    labels = [vectors.labels] * len(rows) if labels is None else labels
    if ranges := _solved_in_place(setting, rows):
        probe = LayerProbe(standardise=setting.features == "standardised")
        sets = [TrainingSet(rows=part, y=y) for part, y in zip(ranges, labels, strict=True)]
        yield from probe.fit_together(vectors.flat, sets, unit=unit, n_labels=vectors.n_labels)
        return
    for part, y in zip(rows, labels, strict=True):
        yield fit(vectors.flat, y, setting, rows=part, unit=unit, n_labels=vectors.n_labels)


def fit_growing(
    vectors: Vectors, setting: Setting, series: Sequence[Sequence[Rows | Mask]]
) -> list[list[Probe]]:
    """The probes of several series of choices of the vectors, each choice within the next one."""
    if all(ranges := [_solved_in_place(setting, grown) for grown in series]):
        probe = LayerProbe(standardise=setting.features == "standardised")
        sets = [[TrainingSet(rows=part, y=vectors.labels) for part in grown] for grown in ranges]
        return probe.fit_growing(vectors.flat, sets, n_labels=vectors.n_labels)
    return [list(fit_sets(vectors, setting, grown)) for grown in series]


def _solved_in_place(setting: Setting, rows: Sequence[Rows | Mask]) -> list[Rows]:
    """The choices, where all are ranges and solved, so that no vector has to be copied; else none."""
    ranges = [part for part in rows if not isinstance(part, np.ndarray)]
    return ranges if setting.solver == "converged" and len(ranges) == len(rows) else []


def fit_fold(vectors: Vectors, fold: int, setting: Setting, *, unit: bool = False) -> Probe:
    """The probe that never saw the vectors of `fold`."""
    return fit(
        vectors.flat,
        vectors.labels,
        setting,
        rows=vectors.training(fold),
        unit=unit,
        n_labels=vectors.n_labels,
    )


def fit(
    X: Matrix,
    y: Labels,
    setting: Setting,
    *,
    rows: Rows | Mask | None = None,
    unit: bool = False,
    n_labels: int,
) -> Probe:
    """A probe of X [n, d] and y [n], or of some of their rows, as the setting wants it solved and scaled.

    `rows` are ranges, or a mask [n], which costs a copy of what it chooses. X stays as it is. ValueError as
    LayerProbe raises it, and for scikit-learn where a label has no vector.
    """
    if isinstance(rows, np.ndarray):
        X, y, rows = X[rows], y[rows], None
    standardise = setting.features == "standardised"
    if setting.solver == "converged":
        return LayerProbe(standardise=standardise).fit(X, y, rows=rows, unit=unit, n_labels=n_labels)
    if rows is not None and len(rows) == 1:  # no copy
        X, y = X[rows[0]], y[rows[0]]
    elif rows is not None:
        X, y = np.concatenate([X[part] for part in rows]), np.concatenate([y[part] for part in rows])
    return library_probe(X, y, standardise=standardise, unit=unit, n_labels=n_labels)
