"""The pictures' sample: which vectors it has, and that it is the same at every run."""

import numpy as np
import pytest
from layerclaims.errors import NotTestedError
from layerclaims.experiments.pictures import RAW, SIZE, UNIT, WITH_FIRST, planes
from sklearn.decomposition import PCA

from tests.claims import plants
from tests.claims.synthetic import InMemory, gaussian


def states(labels=6, *, documents=40, positions=5):
    offsets = plants.along(np.arange(float(labels))[:, None], 6)
    return gaussian(np.random.default_rng(0), offsets, documents=documents, positions=positions)


def ordered(places):
    """Points in an order of their own, without the signs of the axes."""
    points = np.abs(places.reshape(-1, 2))
    return points[np.lexsort(points.T)]


def test_of_few_vectors_all_are_in_the_planes_that_scikit_learn_finds():
    x = states()
    found = InMemory(x).values(planes)
    for kind, first in ((RAW, 1), (UNIT, 1), (WITH_FIRST, 0)):
        own = x[first:6, :, 1:].reshape(-1, 6)  # without position 0 and the final-normed state
        if kind != RAW:
            own = own / np.linalg.norm(own, axis=1, keepdims=True)
        pca = PCA(2, svd_solver="full")
        wanted = pca.fit_transform(own)
        assert found.arrays[f"{kind}/places"].shape == (6 - first, 160, 2)
        np.testing.assert_allclose(ordered(found.arrays[f"{kind}/places"]), ordered(wanted), atol=1e-4)
        np.testing.assert_allclose(found.arrays[f"{kind}/shares"], pca.explained_variance_ratio_, atol=1e-5)
    assert found.facts == {"documents": 40}


def test_of_many_vectors_there_are_some_two_thousand_of_the_same_tokens():
    found = InMemory(states(31, documents=100, positions=8)).values(planes)
    shape = found.arrays[f"{WITH_FIRST}/places"].shape
    assert shape == (31, 60, 2)
    assert 0.9 * SIZE < shape[0] * shape[1] <= SIZE
    assert 30 < found.facts["documents"] <= 60


def test_the_seed_alone_decides_which_vectors_they_are():
    x = states(31, documents=100, positions=8)
    one, two, other = (InMemory(x, seed=seed).values(planes).arrays for seed in (0, 0, 1))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one[f"{RAW}/places"], other[f"{RAW}/places"])


def test_position_0_is_drawn_as_published_alone(tmp_path):
    x = states()
    far = x.copy()
    far[:, :, 0] += 100.0
    for name, same in (("rigorous", True), ("as-published", False)):
        plain, moved = (
            InMemory(one, name=name, cache_dir=tmp_path).values(planes).arrays[f"{RAW}/places"]
            for one in (x, far)
        )
        assert np.allclose(plain, moved) is same


def test_two_states_are_too_few_for_a_picture_and_three_are_enough():
    InMemory(states(3)).check(planes)
    with pytest.raises(NotTestedError, match="too small"):
        InMemory(states(2)).check(planes)
