"""Where the layers lie: paths of centroids, principal subspaces, effective ranks and reductions to two dimensions."""

from functools import cache

import numpy as np
from layerclaims.experiments.measurement import Measurement, Values, measurement
from layerclaims.experiments.study import Study
from layerclaims.metrics import geometry, moments, subspaces
from layerclaims.runtime import progress as screen
from numpy.typing import NDArray

RAW, UNIT = "raw", "unit"  # vectors as they are, and divided by their norm


@measurement("main", name="geometry", weight=0.5)
def layer_geometry(study: Study) -> Values:
    """Paths, angles and ranks of all states in one pass, on all documents and without each fold.

    Position 0 is left out, where many models put one activation a hundred times the usual size.
    """
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
        f"{kind}/{name}": np.stack([path[kind].centroids(name, left_out=g) for g in left_out])
        for kind in (RAW, UNIT)
        for name in paths
    }
    return Values(
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


@cache
def reduction(reducer: geometry.Reducer, *, folds: bool = False) -> Measurement:
    """Centroids of the states in two dimensions, of a sample of unit vectors: [1, S, 2], or [1 + folds, S, 2].

    The first is of the whole sample; with `folds` the others leave out one fold each.
    """

    @measurement(
        "main",
        name=f"reduced-{reducer}{'-folds' if folds else ''}",
        weight=0.3 if folds else 0.1,
        check=lambda _: geometry.check_installed(reducer),
    )
    def reduced(study: Study) -> Values:
        store = study.store("main")
        tokens = geometry.sample_tokens(
            study.folds("main"), store.n_positions, study.n_labels, rng=study.rng(14)
        )
        vectors = np.stack([tokens.take(store.state(i), unit=True) for i in study.states])
        left_out = [None, *range(study.protocol.folds)] if folds else [None]
        centroids = []
        with screen.Progress(f"{reducer} of the layers", len(left_out), "reductions") as bar:
            for fold in left_out:
                sample = vectors if fold is None else vectors[:, tokens.folds != fold]
                centroids.append(geometry.reduced_centroids(sample, reducer, seed=study.protocol.seed))
                bar.advance()
        return Values(arrays={"centroids": np.stack(centroids)}, facts={})

    return reduced
