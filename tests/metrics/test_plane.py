"""The plane of a sample, against scikit-learn's PCA; the grid that it is drawn on."""

import numpy as np
import pytest
from layerclaims.errors import NotTestedError
from layerclaims.metrics.plane import CELLS, on_grid, principal_plane
from sklearn.decomposition import PCA


def sample(d, *, states=5, tokens=8, seed=0):
    """States that drift along a line [states, tokens, d], a token's vectors alike."""
    rng = np.random.default_rng(seed)
    offsets = np.linspace(0, 6, states)[:, None, None] * rng.normal(size=d)
    return rng.normal(size=(1, tokens, d)) + offsets + 0.3 * rng.normal(size=(states, tokens, d))


@pytest.mark.parametrize("d", [2, 7, 40, 300])  # fewer dimensions than vectors, as many, and more
def test_it_is_the_pca_of_scikit_learn(d):
    x = sample(d)
    plane = principal_plane(x)
    pca = PCA(2, svd_solver="full")
    places = pca.fit_transform(x.reshape(-1, d)).reshape(*x.shape[:2], 2)
    np.testing.assert_allclose(np.abs(plane.places), np.abs(places), atol=1e-9 * np.abs(places).max())
    np.testing.assert_allclose(plane.shares, pca.explained_variance_ratio_, rtol=1e-9)


@pytest.mark.parametrize("d", [6, 100])
def test_the_path_ends_higher_than_it_began_and_a_second_time_is_the_same(d):
    x = sample(d, seed=3)
    plane, again, backwards = principal_plane(x), principal_plane(x), principal_plane(x[::-1])
    means = plane.places.mean(axis=1)
    assert (means[-1] > means[0]).all()
    np.testing.assert_array_equal(plane.places, again.places)
    np.testing.assert_allclose(backwards.places[::-1], -plane.places, atol=1e-9)


def test_one_dimension_has_nothing_along_the_second_axis():
    plane = principal_plane(np.arange(12.0).reshape(3, 4, 1))
    assert plane.shares.tolist() == [1.0, 0.0]
    assert not plane.places[..., 1].any()


def test_what_has_no_plane_is_one_sentence():
    with pytest.raises(NotTestedError, match="are the same"):
        principal_plane(np.ones((3, 4, 5)))
    broken = sample(5)
    broken[1, 2, 3] = np.nan
    with pytest.raises(NotTestedError, match="not finite"):
        principal_plane(broken)


@pytest.mark.parametrize("alike", [False, True])
def test_a_cell_stands_for_a_place_to_half_a_step(alike):
    places = np.random.default_rng(0).normal(size=(4, 30, 2)) * (50.0, 0.2) + (7.0, -3.0)
    grid = on_grid(places, alike=alike)
    assert grid.cells.min() == 0
    assert grid.cells.max() == CELLS - 1
    back = np.array(grid.low) + grid.cells * np.array(grid.step)
    assert (np.abs(back - places) <= np.array(grid.step) * 0.5001).all()
    assert (grid.step[0] == grid.step[1]) is alike


def test_one_place_is_a_cell_and_no_place_that_is_not_finite():
    assert on_grid(np.ones((2, 3, 2)), alike=True).cells.max() == 0
    with pytest.raises(NotTestedError, match="not finite"):
        on_grid(np.full((2, 3, 2), np.inf), alike=False)
