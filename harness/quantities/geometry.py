"""Where the layers lie: drift, ring, angles and ranks, with intervals over the folds."""

from collections.abc import Sequence

import numpy as np
from layerclaims.experiments.geometry import RAW, UNIT, layer_geometry, reduction
from layerclaims.experiments.measurement import at_least
from layerclaims.experiments.study import Study
from layerclaims.metrics import geometry, subspaces
from layerclaims.quantities.computed import left_out, of_study, quantity, without_each
from layerclaims.statistics.jackknife import jackknife_lowest
from layerclaims.verdicts.declaration import Fact
from layerclaims.verdicts.evidence import Finding
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ORDER = 6  # states: of fewer, one random order in twenty or more has a drift correlation above .5
_STEPS = at_least(states=4)  # of two steps the last is at most twice the median
_RING = at_least(states=4, dimensions=2)


@quantity("drift correlation", layer_geometry, takes=at_least(states=ORDER))
def drift(study: Study) -> Finding:
    """Spearman correlation of |i - j| with the distance of centroids in the PCA plane of unit vectors."""
    return _drift(study, UNIT)


@quantity("drift correlation of vectors as they are", layer_geometry)
def raw_drift(study: Study) -> Finding:
    """The same for vectors as they are."""
    return _drift(study, RAW)


def _drift(study: Study, kind: str) -> Finding:
    values = [geometry.drift_correlation(c) for c in paths(study, kind, "layers")]
    step = geometry.drift_resolution(study.n_labels) if study.n_labels > 2 else 0.0
    return _of_folds(study, values, support=(-1.0, 1.0), resolution=step)


@quantity("log ratio of last steps", layer_geometry, takes=_STEPS)
def tightening(study: Study) -> Finding:
    """Log of (last step / median step) of vectors as they are over the same of unit vectors."""
    return _tightening(study, "layers")


@quantity("log ratio of last steps, final-normed", layer_geometry)
def final_tightening(study: Study) -> Finding:
    """The same for a path that ends in the final-normed state."""
    return _tightening(study, "final")


def _tightening(study: Study, ending: str) -> Finding:
    with np.errstate(all="ignore"):  # a path that stands still has no steps to compare: NaN
        values = [
            np.log(geometry.last_step_ratio(raw)) - np.log(geometry.last_step_ratio(unit))
            for raw, unit in zip(paths(study, RAW, ending), paths(study, UNIT, ending), strict=True)
        ]
    return _of_folds(study, values)


@quantity("last step over the median step of unit vectors", layer_geometry, takes=_STEPS)
def unit_last_step(study: Study) -> Finding:
    """How far the last layer lies from the one before, in median steps of the path, for unit vectors."""
    return _of_folds(study, [geometry.last_step_ratio(c) for c in paths(study, UNIT, "layers")])


@quantity("gap of the ring", layer_geometry, takes=_RING)
def ring_gap(study: Study) -> Finding:
    """Distance of the first from the last centroid over the largest distance of two centroids."""
    return _of_folds(
        study, [geometry.ring_ratio(c) for c in paths(study, UNIT, "layers")], support=(0.0, 1.0)
    )


@quantity("gap of the ring, final-normed", layer_geometry)
def final_ring_gap(study: Study) -> Finding:
    """The same for a path that ends in the final-normed state."""
    return _of_folds(study, [geometry.ring_ratio(c) for c in paths(study, UNIT, "final")], support=(0.0, 1.0))


@quantity("area in the ring", layer_geometry, takes=_RING)
def ring_area(study: Study) -> Finding:
    """Area that the path encloses over that of the disc on its largest distance."""
    values = [geometry.enclosed_area(c) for c in paths(study, UNIT, "layers")]
    return _of_folds(study, values, support=(0.0, np.inf))


embeddings_tied = Fact(
    name="embeddings tied", needs=(), text=lambda study: "yes" if study.facts.tied_embeddings else "no"
)


def _advantage_of_pca(study: Study, other: geometry.Reducer) -> Finding:
    """Mean over the folds of the drift correlation under PCA minus that under another reducer, by Student's t.

    Each fold's documents are reduced by themselves, both ways, each with a seed of its own, so that the interval
    covers what other documents change and what another start does: t-SNE and UMAP put the same layers elsewhere at
    every run, which a bootstrap in one embedding would not see. It does not cover the settings: the perplexity, the
    number of neighbours, and above all the number of vectors that are reduced together (`geometry.SAMPLE` over the
    folds). Of fewer vectors t-SNE's 30 neighbours are a larger part, and it keeps more of the order.
    """
    pca, its = (
        [geometry.drift_correlation(c) for c in study.values(reduction(one)).arrays["centroids"]]
        for one in ("PCA", other)
    )
    advantages = np.array(pca) - np.array(its)
    step = geometry.drift_resolution(study.n_labels) if study.n_labels > 2 else 0.0
    return left_out(
        study,
        without_each(advantages),
        value=float(advantages.mean()),
        support=(-2.0, 2.0),
        resolution=step,
        n_vectors=len(advantages) * study.n_labels * (geometry.SAMPLE // (study.n_labels * len(advantages))),
        note=f"PCA {np.mean(pca):.3f}, {other} {np.mean(its):.3f}, means over {len(pca)} samples",
    )


@quantity(
    "drift correlation of PCA over t-SNE", reduction("PCA"), reduction("t-SNE"), takes=at_least(states=ORDER)
)
def advantage_over_tsne(study: Study) -> Finding:
    """Drift correlation of the layers' centroids under PCA minus that under t-SNE."""
    return _advantage_of_pca(study, "t-SNE")


@quantity(
    "drift correlation of PCA over UMAP", reduction("PCA"), reduction("UMAP"), takes=at_least(states=ORDER)
)
def advantage_over_umap(study: Study) -> Finding:
    """Drift correlation of the layers' centroids under PCA minus that under UMAP."""
    return _advantage_of_pca(study, "UMAP")


# ten directions of ten dimensions miss nothing
@quantity(
    "lowest share of a layer that the next one's directions miss",
    layer_geometry,
    takes=at_least(dimensions=subspaces.DIRECTIONS + 1),
)
def missed_by_neighbour(study: Study) -> Finding:
    """Of what a layer's own ten principal directions carry of its variance, the share that the next layer's miss."""
    missed = study.values(layer_geometry).arrays["missed"]  # [1 + folds, pairs]
    estimate = jackknife_lowest(
        missed[1:],
        whole=missed[0],
        confidence=1 - study.protocol.alpha,
        support=(-np.inf, 1.0),
        n_documents=study.store("main").n_documents,
    )
    lowest = int(missed[0].argmin())
    note = (
        f"lowest from state {lowest} to {lowest + 1}; median {np.median(missed[0]):.3f}, "
        f"mean {missed[0].mean():.3f}"
    )
    vectors = study.store("main").n_documents * (study.protocol.context - study.first_position)
    return of_study(study, estimate, vectors * study.n_labels, note=note)


@quantity("effective rank over d", layer_geometry, takes=at_least(dimensions=3))  # of two, half is the least
def highest_rank(study: Study) -> Finding:
    """Largest effective rank over d of any layer, of centred unit vectors."""
    ranks = study.values(layer_geometry).arrays["ranks"]
    corrected = subspaces.without_bias(ranks)  # [states]; what a finite sample takes off speaks for the claim
    return _of_folds(
        study,
        np.concatenate([[corrected.max()], ranks[1:].max(axis=1)]),
        support=(0.0, 1.0),
        note=f"largest in state {int(corrected.argmax())}; before the bias of a finite sample was taken off "
        f"{ranks[0].max():.3f}",
    )


def paths(study: Study, kind: str, ending: str) -> Floats:
    """Centroids [1 + folds, S, 2], of all documents and without each fold; `ending` is "layers" or "final"."""
    return np.asarray(study.values(layer_geometry).arrays[f"{kind}/{ending}"])


def _of_folds(
    study: Study,
    values: Floats | Sequence[float],
    *,
    support: tuple[float, float] = (-np.inf, np.inf),
    resolution: float = 0.0,
    note: str = "",
) -> Finding:
    """`values` [1 + folds]: on all documents, then without each fold."""
    values = np.asarray(values, dtype=np.float64)
    return left_out(
        study, values[1:], value=float(values[0]), support=support, resolution=resolution, note=note
    )
