"""Moments add up: over folds, and over positions that were read one after the other."""

import numpy as np
import pytest
from layerclaims.metrics.moments import Moments, state_moments


@pytest.fixture
def state():
    return np.random.default_rng(0).normal(size=(12, 5, 4)) + 2


FOLDS, HALVES = np.arange(12) % 3, np.arange(12) // 6


@pytest.mark.parametrize("unit", [False, True])
def test_the_first_position_and_the_others_are_all(state, unit):
    every, later, first = (
        state_moments(part, FOLDS, HALVES, unit=unit, first=start)
        for part, start in ((state, 0), (state, 1), (state[:, :1], 0))
    )
    for name in ("counts", "sums", "squares"):
        np.testing.assert_allclose(getattr(later + first, name), getattr(every, name))


def test_folds_as_one_have_the_covariances_of_all(state):
    moments = state_moments(state, FOLDS, HALVES, unit=False)
    one = moments.over_folds()
    assert one.n_folds == 1
    for half in (None, 0, 1):
        np.testing.assert_allclose(one.covariance(half=half).matrix, moments.covariance(half=half).matrix)
        np.testing.assert_allclose(one.covariance(half=half).mean, moments.covariance(half=half).mean)


def test_moments_of_other_folds_do_not_add_up(state):
    moments = state_moments(state, FOLDS, HALVES, unit=False)
    with pytest.raises(ValueError, match="do not add up"):
        moments + moments.over_folds()
    with pytest.raises(ValueError, match="moments are"):
        Moments(counts=moments.counts, sums=moments.sums, squares=moments.squares[:1])
