"""Where the layers lie: paths of centroids, principal subspaces and effective ranks, of one pass over the states."""

import numpy as np
from numpy.typing import NDArray

from harness import progress as screen
from harness.claim import Measured
from harness.kept import Measurement
from harness.measure import geometry, moments, subspaces
from harness.statistics import jackknife_groups
from harness.study import Study

Floats = NDArray[np.float64]

RAW, UNIT = "raw", "unit"


def measured(study: Study) -> Measurement:
    """Paths, angles and ranks of all states, on all documents and without each fold; kept on disk.

    Position 0 is left out, where many models put one activation a hundred times the usual size.
    """
    return study.keep("geometry", lambda: _measure(study))


def _measure(study: Study) -> Measurement:
    store = study.store("main")
    folds = study.folds("main")
    halves = moments.assign_halves(folds, study.rng(11))
    layers = study.states
    paths = {"layers": layers, "final": [*layers[:-1], store.final]}
    path = {kind: geometry.PathMoments(paths) for kind in (RAW, UNIT)}
    angles, ranks = subspaces.SubspaceAngles(), []
    with screen.Progress("geometry", store.n_states, "states") as bar:
        for i in range(store.n_states):
            state = store.state(i)
            path[RAW].update(i, moments.state_moments(state, folds, unit=False))
            unit = moments.state_moments(state, folds, halves, unit=True)
            path[UNIT].update(i, unit)
            if i in layers:
                angles.update(unit)
                ranks.append(subspaces.effective_ranks(unit))
            bar.advance()
    left_out = [None, *range(study.protocol.folds)]
    arrays: dict[str, NDArray[np.float64]] = {
        f"{kind}/{name}": np.stack([path[kind].plane(name, left_out=g).centroids for g in left_out])
        for kind in (RAW, UNIT)
        for name in paths
    }
    return Measurement(
        arrays={
            **arrays,
            "excess": angles.excess,
            "apart": angles.apart,
            "own": angles.own,
            "angles": angles.matrix(),
            "ranks": np.stack(ranks, axis=1),  # [1 + folds, states]
        },
        facts={},
    )


def drift(study: Study) -> Measured:
    """Spearman correlation of |i - j| with the distance of centroids in the PCA plane of unit vectors."""
    values = [geometry.drift_correlation(c) for c in measured(study).arrays[f"{UNIT}/layers"]]
    return _correlation(study, "drift correlation", values)


def raw_drift(study: Study) -> Measured:
    """The same for vectors as they are."""
    values = [geometry.drift_correlation(c) for c in measured(study).arrays[f"{RAW}/layers"]]
    return _correlation(study, "drift correlation of vectors as they are", values)


def tightening(study: Study) -> Measured:
    """Log of (last step / median step) of vectors as they are over the same of unit vectors.

    The path ends in the final-normed state, which is what the post saw.
    """
    arrays = measured(study).arrays
    with np.errstate(all="ignore"):  # a path that stands still has no steps to compare: NaN
        values = [
            np.log(geometry.last_step_ratio(raw)) - np.log(geometry.last_step_ratio(unit))
            for raw, unit in zip(arrays[f"{RAW}/final"], arrays[f"{UNIT}/final"], strict=True)
        ]
    return _of_folds(study, "log ratio of last steps", values)


def reduced(study: Study, reducer: geometry.Reducer, *, folds: bool = False) -> Floats:
    """Centroids of the states in two dimensions, of a sample of unit vectors: [1, S, 2], or [1 + folds, S, 2].

    The first is of the whole sample; with `folds` the others leave out one fold each. ReducerMissingError for UMAP
    where it is not installed.
    """
    geometry.check_installed(reducer)
    name = f"reduced-{reducer}{'-folds' if folds else ''}"
    return study.keep(name, lambda: _reduce(study, reducer, folds=folds)).arrays["centroids"]


def _reduce(study: Study, reducer: geometry.Reducer, *, folds: bool) -> Measurement:
    store = study.store("main")
    tokens = geometry.sample_tokens(study.folds("main"), store.n_positions, study.n_labels, rng=study.rng(14))
    vectors = np.stack([tokens.take(store.state(i), unit=True) for i in study.states])
    left_out = [None, *range(study.protocol.folds)] if folds else [None]
    centroids = []
    with screen.Progress(f"{reducer} of the layers", len(left_out), "reductions") as bar:
        for fold in left_out:
            sample = vectors if fold is None else vectors[:, tokens.folds != fold]
            centroids.append(geometry.reduced_centroids(sample, reducer, seed=study.protocol.seed))
            bar.advance()
    return Measurement(arrays={"centroids": np.stack(centroids)}, facts={})


def drift_of(centroids: Floats) -> float:
    """Drift correlation of one path of centroids [S, 2]."""
    return geometry.drift_correlation(centroids)


def advantages_of_pca(study: Study) -> tuple[Measured, Measured]:
    """`advantage_of_pca` over t-SNE and over UMAP; ReducerMissingError before either takes its time."""
    geometry.check_installed("UMAP")
    return advantage_of_pca(study, "t-SNE"), advantage_of_pca(study, "UMAP")


def advantage_of_pca(study: Study, other: geometry.Reducer) -> Measured:
    """Drift correlation under PCA minus that under another reducer, both of the same sample of unit vectors."""
    pca, its = (
        [geometry.drift_correlation(c) for c in reduced(study, reducer, folds=True)]
        for reducer in ("PCA", other)
    )
    values = np.array(pca) - np.array(its)
    note = f"PCA {pca[0]:.3f}, {other} {its[0]:.3f}"
    return _of_folds(study, f"drift correlation of PCA over {other}", values, support=(-2.0, 2.0), note=note)


def ring(study: Study) -> Measured:
    """Distance of the first from the final-normed centroid over the largest distance of two centroids."""
    values = [geometry.ring_ratio(c) for c in measured(study).arrays[f"{UNIT}/final"]]
    return _of_folds(study, "gap of the ring", values, support=(0.0, 1.0))


def angle_excess(study: Study) -> Measured:
    """By how many degrees neighbouring layers lie further apart than a layer from itself, across halves."""
    values = measured(study).arrays["excess"]
    return _of_folds(study, "angle to the next layer beyond its own", values, support=(-90.0, 90.0))


def highest_rank(study: Study) -> Measured:
    """Largest effective rank over d of any layer, of centred unit vectors."""
    ranks = measured(study).arrays["ranks"]
    corrected = subspaces.without_bias(ranks)  # [states]; what a finite sample takes off speaks for the claim
    return _of_folds(
        study,
        "effective rank over d",
        np.concatenate([[corrected.max()], ranks[1:].max(axis=1)]),
        support=(0.0, 1.0),
        note=f"largest in state {int(corrected.argmax())}; before the bias of a finite sample was taken off "
        f"{ranks[0].max():.3f}",
    )


def _correlation(study: Study, name: str, values: list[float]) -> Measured:
    step = geometry.drift_resolution(study.n_labels) if study.n_labels > 2 else 0.0
    return _of_folds(study, name, values, support=(-1.0, 1.0), resolution=step)


def _of_folds(
    study: Study,
    name: str,
    values: Floats | list[float],
    *,
    support: tuple[float, float] = (-np.inf, np.inf),
    resolution: float = 0.0,
    note: str = "",
) -> Measured:
    """`values` [1 + folds]: on all documents, then without each fold."""
    values = np.asarray(values, dtype=np.float64)
    store = study.store("main")
    estimate = jackknife_groups(
        values[1:],
        value=float(values[0]),
        confidence=1 - study.protocol.alpha,
        support=support,
        resolution=resolution,
        n_documents=store.n_documents,
    )
    vectors = store.n_documents * (store.n_positions - 1) * study.n_labels
    return Measured(name=name, estimate=estimate, n_documents=store.n_documents, n_vectors=vectors, note=note)
