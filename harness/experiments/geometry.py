"""Where the layers lie: paths of centroids, principal subspaces, effective ranks and reductions to two dimensions."""

from functools import cache

import numpy as np
from layerclaims.experiments.measurement import Measurement, Values, measurement
from layerclaims.experiments.study import Study
from layerclaims.experiments.with_first import WithFirst
from layerclaims.metrics import geometry, moments, subspaces
from layerclaims.metrics.moments import Moments
from layerclaims.runtime import progress as screen
from layerclaims.runtime import threads as cores
from layerclaims.runtime.devices import computing
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

RAW, UNIT = "raw", "unit"  # vectors as they are, and divided by their norm


@measurement("main", name="geometry", version=2, weight=0.5)
def layer_geometry(study: Study) -> Values:
    """Paths, angles and ranks of all states in one pass, on all documents and without each fold.

    On all documents also with the first position, which the others leave out: arrays "all positions/...".
    As published every feature is standardised over all vectors before they are divided by their norm.
    """
    with computing("The geometry of the layers", study.computes_on):
        return _layer_geometry(study)


def _layer_geometry(study: Study) -> Values:
    store = study.store("main")
    folds = study.folds("main")
    halves = moments.assign_halves(folds, study.rng(11))
    layers, device = study.states, study.computes_on
    paths = {"layers": layers, "final": [*layers[:-1], store.final]}
    path = {kind: geometry.PathMoments(paths, device) for kind in (RAW, UNIT)}
    angles, ranks = subspaces.Subspaces(device=device), []
    every = WithFirst(layers, halves, device)
    scale = feature_scale(study)
    first = study.first_position

    def read(i: int) -> tuple[Moments, Moments, NDArray[np.float32], NDArray[np.float32]]:
        """Moments of a state, as it is and of unit vectors, and what it has at the first positions of both."""
        state = store.state(i)
        scaled = standardised(state, scale)
        raw = moments.state_moments(state, folds, unit=False, first=first, device=device)
        unit = moments.state_moments(scaled, folds, halves, unit=True, first=first, device=device)
        return raw, unit, state[:, :first].copy(), scaled[:, :first].copy()

    # BLAS's own threads gain nothing on such matrices: they spin on and are in the way of each other
    with (
        threadpool_limits(1, user_api="blas"),
        cores.workers(1) as beside,
        screen.Progress("geometry", store.n_states, "states") as bar,
    ):
        following = beside.submit(read, 0)
        for i in range(store.n_states):
            raw, unit, plain, scaled = following.result()
            if i + 1 < store.n_states:
                following = beside.submit(read, i + 1)
            if i in layers:
                ranks.append(beside.submit(subspaces.effective_ranks, unit, device))
                angles.update(unit)
            path[RAW].update(i, raw)
            path[UNIT].update(i, unit)
            every.update(i, raw, unit, plain, scaled)
            bar.advance()
        found_ranks = np.stack([one.result() for one in ranks], axis=1)  # [1 + folds, states]
    left_out = [None, *range(study.protocol.folds)]
    arrays: dict[str, NDArray[np.float64]] = {
        f"{kind}/{name}": np.stack([path[kind].centroids(name, left_out=g) for g in left_out])
        for kind in (RAW, UNIT)
        for name in paths
    }
    return Values(
        arrays={
            **arrays,
            **{f"all positions/{name}": array for name, array in every.arrays().items()},
            "missed": angles.missed,
            "apart": angles.apart,
            "own": angles.own,
            "angles": angles.matrix(),
            "ranks": found_ranks,
        },
        facts={},
    )


def feature_scale(study: Study) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Mean and deviation [d] of each feature over all states, as published; None for vectors as they are."""
    if not study.protocol.published:
        return None
    store = study.store("main")
    states = (store.state(i).astype(np.float64) for i in study.states)
    sums = [(x.sum((0, 1)), (x**2).sum((0, 1)), x[..., 0].size) for x in states]
    count = sum(n for _, _, n in sums)
    mean = np.sum([one for one, _, _ in sums], axis=0) / count
    variance = np.sum([squares for _, squares, _ in sums], axis=0) / count - mean**2
    return mean, np.sqrt(np.maximum(variance, 0))


def standardised(
    state: NDArray[np.float32], scale: tuple[NDArray[np.float64], NDArray[np.float64]] | None
) -> NDArray[np.float32]:
    """A state whose features are standardised by what `feature_scale` gave; as it is where that is None."""
    if scale is None:
        return state
    mean, sd = scale
    return ((state - mean) / np.where(sd > 0, sd, np.inf)).astype(np.float32)


@cache
def reduction(reducer: geometry.Reducer) -> Measurement:
    """Centroids of the states in two dimensions, [folds, S, 2]: a sample of each fold's unit vectors by itself.

    Also the places of the first fold's sample, [S, tokens, 2], and of how many documents it is.
    """

    @measurement(
        "main",
        name=f"reduced-{reducer}",
        version=3,
        weight=0.1 if reducer == "PCA" else 0.4,
        check=lambda _: geometry.check_installed(reducer),
    )
    def reduced(study: Study) -> Values:
        store, folds = study.store("main"), study.protocol.folds
        tokens = geometry.sample_tokens(
            study.folds("main"),
            store.n_positions,
            study.n_labels,
            first=study.first_position,
            rng=study.rng(14),
        )
        scale = feature_scale(study)
        vectors = np.stack(
            [tokens.take(standardised(store.state(i), scale), unit=True) for i in study.states]
        )
        places = []
        with screen.Progress(f"{reducer} of the layers", folds, "reductions") as bar:
            for fold in range(folds):
                sample, seed = vectors[:, tokens.folds == fold], (study.protocol.seed + fold) % 2**32
                places.append(geometry.reduced(sample, reducer, seed=seed))
                bar.advance()
        centroids = np.stack([sample.mean(axis=1) for sample in places])
        drawn = len(np.unique(tokens.documents[tokens.folds == 0]))
        return Values(arrays={"centroids": centroids, "places": places[0]}, facts={"documents": drawn})

    return reduced
