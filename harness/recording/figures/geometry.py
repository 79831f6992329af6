"""Figures of where the layers lie: paths, what neighbours miss of each other, angles, ranks."""

import contextlib

import numpy as np
from layerclaims.errors import NotTestedError
from layerclaims.experiments.geometry import UNIT as UNIT_VECTORS
from layerclaims.experiments.geometry import layer_geometry, reduction
from layerclaims.experiments.study import Study
from layerclaims.metrics.geometry import Reducer, drift_correlation
from layerclaims.recording.figure import figure
from layerclaims.recording.figures.drawing import line, rows
from layerclaims.results.figure_records import (
    LinesRecord,
    MatrixRecord,
    PathRecord,
    PlacesRecord,
    ReferenceRecord,
    ScaleRecord,
    TrailRecord,
)
from layerclaims.runtime.text import number
from numpy.typing import NDArray


@figure(layer_geometry)
def path_of_layers(study: Study) -> PathRecord:
    """The path of the layers' centroids."""
    arrays = study.values(layer_geometry).arrays
    labels = tuple(map(str, range(study.n_labels)))
    chosen = {"unit vectors": arrays[f"{UNIT_VECTORS}/layers"][0], "as they are": arrays["raw/layers"][0]}
    return PathRecord(
        kind="path",
        title="The path of the layers",
        caption="Centroids of the states in the first two principal components of their vectors, from state 0 to "
        f"state {study.n_labels - 1}; each path scaled to its own extent. Position 0 is "
        f"{'left out' if study.first_position else 'kept'}.",
        alt="Centroids of the layers, joined in order of depth, for unit vectors and for vectors as they are.",
        x=PlacesRecord(label="first component", values=()),
        y=ScaleRecord(label="second component", log=False),
        series=tuple(_path(name, c, labels) for name, c in chosen.items()),
        reference=(),
    )


@figure(reduction("PCA"), reduction("t-SNE"), reduction("UMAP"))
def reductions(study: Study) -> PathRecord:
    """The same path under PCA, t-SNE and UMAP, as far as they are installed."""
    labels = tuple(map(str, range(study.n_labels)))
    reducers: tuple[Reducer, ...] = ("PCA", "t-SNE", "UMAP")
    chosen = {}
    for reducer in reducers:
        with contextlib.suppress(NotTestedError):  # UMAP may be missing
            chosen[reducer] = study.values(reduction(reducer)).arrays["centroids"][0]
    return PathRecord(
        kind="path",
        title=f"{', '.join(list(chosen)[:-1])} and {list(chosen)[-1]} of the same vectors",
        caption="Centroids of the states in the two dimensions of each method, joined in order of depth, of the "
        "first sample of unit vectors; each path scaled to its own extent.",
        alt="; ".join(
            f"{name}: drift correlation {number(drift_correlation(c))}" for name, c in chosen.items()
        ),
        x=PlacesRecord(label="first dimension", values=()),
        y=ScaleRecord(label="second dimension", log=False),
        series=tuple(_path(name, c, labels) for name, c in chosen.items()),
        reference=(),
    )


def _path(name: str, centroids: NDArray[np.float64], labels: tuple[str, ...]) -> TrailRecord:
    """A path around its own middle, scaled to its own extent."""
    moved = centroids - (centroids.max(axis=0) + centroids.min(axis=0)) / 2
    extent = float(np.abs(moved).max())
    points = (moved / extent if extent > 0 else moved).tolist()
    return TrailRecord(name=name, points=tuple((x, y) for x, y in points), labels=labels)


@figure(layer_geometry)
def missed_by_neighbours(study: Study) -> LinesRecord:
    """What the directions of the next layer miss of each."""
    missed = study.values(layer_geometry).arrays["missed"][0]
    return LinesRecord(
        kind="lines",
        title="What the next layer's directions miss",
        caption="Of the variance that a layer's own ten principal directions carry on other documents, the share that "
        "those of the next layer do not.",
        alt=f"Share missed from {number(float(np.nanmin(missed)))} to {number(float(np.nanmax(missed)))}.",
        x=PlacesRecord(label="state", values=tuple(range(len(missed)))),
        y=ScaleRecord(label="share missed", log=False),
        series=(line("share missed", missed),),
        reference=(ReferenceRecord(label="pass mark", value=0.05),),
    )


@figure(layer_geometry)
def angles(study: Study) -> MatrixRecord:
    """Principal angles between layers."""
    arrays = study.values(layer_geometry).arrays
    layers = tuple(range(study.n_labels))
    return MatrixRecord(
        kind="matrix",
        title="Principal angles between layers",
        caption="Mean principal angle in degrees between the PCA bases of two layers, each on another half of the "
        "documents. The diagonal is a layer with itself: what sampling alone leaves.",
        alt=f"Angles between layers; {number(float(arrays['apart'].mean()))} degrees to the next layer on average, "
        f"{number(float(arrays['own'].mean()))} of a layer with itself.",
        x=PlacesRecord(label="state", values=layers),
        y=PlacesRecord(label="state", values=layers),
        values=rows(np.nan_to_num(arrays["angles"])),
        unit="degrees",
    )


@figure(layer_geometry)
def effective_rank(study: Study) -> LinesRecord:
    """Effective rank of each layer, over d."""
    ranks = study.values(layer_geometry).arrays["ranks"][0]
    return LinesRecord(
        kind="lines",
        title="Effective rank by layer",
        caption="Exponential of the spectral entropy of the covariance of unit vectors, over d.",
        alt=f"Effective rank over d from {number(float(ranks.min()))} to {number(float(ranks.max()))}.",
        x=PlacesRecord(label="state", values=tuple(range(study.n_labels))),
        y=ScaleRecord(label="effective rank / d", log=False),
        series=(line("effective rank", ranks),),
        reference=(ReferenceRecord(label="half", value=0.5),),
    )
