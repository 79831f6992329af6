"""Products and spectra on a GPU, pretended here: numbers are the processor's but for rounding."""

import numpy as np
import pytest
from layerclaims.metrics import spectra
from layerclaims.metrics.geometry import PathMoments
from layerclaims.metrics.moments import assign_halves, state_moments
from layerclaims.metrics.subspaces import Subspaces, directions, effective_ranks

from tests import pretend

N, POSITIONS, D, FOLDS, STATES = 20, 5, 16, 4, 4


def states():
    """States [N, POSITIONS, D] that move and turn, one vector of them 0."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((D, D)))[0]
    for i in range(STATES):
        state = (
            rng.standard_normal((N, POSITIONS, D)) * np.linspace(1, 3, D) @ np.linalg.matrix_power(turn, i)
        )
        state[0, 1] = 0
        yield (state + i).astype(np.float32)


def measured(device):
    """What geometry makes of these states on a device."""
    folds = np.arange(N) % FOLDS
    halves = assign_halves(folds, np.random.default_rng(0))
    angles, path, found = (
        Subspaces(most=6, device=device),
        PathMoments({"all": list(range(STATES))}, device),
        {},
    )
    for i, state in enumerate(states()):
        raw = state_moments(state, folds, unit=False, device=device)
        unit = state_moments(state, folds, halves, unit=True, device=device)
        path.update(i, raw)
        angles.update(unit)
        found[f"counts {i}"], found[f"sums {i}"], found[f"squares {i}"] = unit.counts, raw.sums, unit.squares
        found[f"ranks {i}"] = effective_ranks(unit, device)
    planes = [path.centroids("all", left_out=g) for g in (None, 0)]
    return found | {"planes": np.stack(planes), "missed": angles.missed, "angles": angles.matrix()}


def test_geometry_on_a_gpu_is_the_processors(monkeypatch):
    own = measured("cpu")
    with pretend.gpu(monkeypatch):
        there = measured(pretend.GPU)
    for name, numbers in own.items():
        np.testing.assert_allclose(there[name], numbers, rtol=1e-9, atol=1e-9, err_msg=name)


def test_directions_are_the_processors_but_for_their_signs(monkeypatch):
    a = np.random.default_rng(1).standard_normal((D, D))
    own = directions([a @ a.T], 3)
    with pretend.gpu(monkeypatch):
        there = directions([a @ a.T], 3, pretend.GPU)
    np.testing.assert_allclose(np.abs(there), np.abs(own), atol=1e-12)


@pytest.mark.parametrize("found", [spectra.eigenvalues, lambda a, device: spectra.leading(a, 2, device)])
def test_numbers_that_are_not_finite_are_refused(found, monkeypatch):
    with pretend.gpu(monkeypatch), pytest.raises(ValueError, match="infs or NaNs"):
        found(np.full((3, 3), np.nan), pretend.GPU)
