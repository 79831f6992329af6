"""Geometry: planted paths are found, scikit-learn agrees on PCA, and turning or scaling all states changes nothing."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layerclaims.errors import LayerclaimsError
from layerclaims.metrics import geometry
from layerclaims.metrics.geometry import (
    PathMoments,
    ReducerMissingError,
    check_installed,
    drift_correlation,
    drift_resolution,
    last_step_ratio,
    reduced,
    ring_ratio,
    sample_tokens,
)
from layerclaims.metrics.moments import Moments, assign_halves, state_moments
from scipy.stats import spearmanr

N, POSITIONS, D, S, FOLDS = 20, 4, 7, 6, 5
seeds = st.integers(0, 2**32 - 1)


def drifting(rng, *, path=None, noise=0.3, n=N, d=D):
    """States whose centroids follow a path [S, d]: by default straight ahead along one random direction."""
    if path is None:
        path = np.outer(np.arange(S), rng.standard_normal(d)) + rng.standard_normal(d)
    return [(c + noise * rng.standard_normal((n, POSITIONS, d))).astype(np.float32) for c in path]


def in_plane(points, d=D):
    """2-D points [S, 2] -> [S, d] in a plane of d dimensions."""
    return np.pad(np.asarray(points, dtype=float), ((0, 0), (0, d - 2)))


def folds_of(n=N):
    return np.arange(n) % FOLDS


def moments_of(states, *, unit, first=1, folds=None, name="path"):
    folds = folds_of(len(states[0])) if folds is None else folds
    paths = PathMoments({name: range(len(states))})
    for i, state in enumerate(states):
        paths.update(i, state_moments(state, folds, unit=unit, first=first))
    return paths


def numbers(states, *, folds=None):
    out = []
    for unit in (False, True):
        paths = moments_of(states, unit=unit, folds=folds)
        for left_out in (None, 2):
            c = paths.centroids("path", left_out=left_out)
            out += [drift_correlation(c), last_step_ratio(c), ring_ratio(c)]
    return out


@pytest.mark.parametrize("n", [3, 4, 6])
def test_no_path_comes_nearer_to_perfect_order_than_the_resolution(n):
    """The least change that exchanging two neighbouring distances of a perfect order makes."""
    i, j = np.triu_indices(n, 1)
    order, steps = np.argsort(j - i, kind="stable"), set()
    for a in range(len(order) - 1):
        ranks = np.empty(len(order))
        ranks[order] = np.arange(len(order))
        before = spearmanr(j - i, ranks).statistic
        ranks[order[[a, a + 1]]] = a + 1, a
        steps.add(round(before - spearmanr(j - i, ranks).statistic, 12))
    assert min(steps - {0.0}) == pytest.approx(drift_resolution(n))


def test_moments_of_cells_are_those_of_their_vectors():
    rng = np.random.default_rng(0)
    state = rng.standard_normal((N, POSITIONS, D)).astype(np.float32)
    folds, halves = folds_of(), assign_halves(folds_of(), rng)
    m = state_moments(state, folds, halves, unit=False)
    x = state[(folds != 1) & (halves == 1), 1:].reshape(-1, D).astype(np.float64)
    c = m.covariance(half=1, left_out=1)
    assert c.count == len(x)
    np.testing.assert_allclose(c.mean, x.mean(axis=0))
    np.testing.assert_allclose(c.matrix, np.cov(x.T, bias=True), atol=1e-12)
    assert m.counts.sum() == N * (POSITIONS - 1)


def test_unit_vectors_have_second_moments_of_trace_one_and_zero_stays_zero():
    state = np.random.default_rng(0).standard_normal((N, POSITIONS, D)).astype(np.float32)
    state[3, 2] = 0
    m = state_moments(state, folds_of(), unit=True)
    assert np.trace(m.squares.sum(axis=(0, 1))) == pytest.approx(N * (POSITIONS - 1) - 1)


def test_position_0_is_left_out_unless_asked_for():
    state = np.ones((N, POSITIONS, D), dtype=np.float32)
    state[:, 0] = 1e5
    assert state_moments(state, folds_of(), unit=False).sums.max() < 100
    assert state_moments(state, folds_of(), unit=False, first=0).sums.max() > 1e5


def test_halves_split_every_fold_evenly():
    folds = np.arange(23) % 5
    halves = assign_halves(folds, np.random.default_rng(0))
    for g in range(5):
        assert abs(int(np.sum(halves[folds == g])) * 2 - np.sum(folds == g)) <= 1


def test_moments_refuse_what_does_not_go_together():
    state = np.ones((N, POSITIONS, D), dtype=np.float32)
    with pytest.raises(ValueError, match="fold and a half"):
        state_moments(state, np.zeros(3, dtype=int), unit=True)
    with pytest.raises(ValueError, match="position"):
        state_moments(state[:, :1], folds_of(), unit=True)
    with pytest.raises(ValueError, match="no vector"):
        state_moments(state, np.zeros(N, dtype=int), unit=True).covariance(left_out=0)
    with pytest.raises(ValueError, match="moments are"):
        Moments(counts=np.ones((1, 1)), sums=np.ones((1, 1, 2)), squares=np.ones((1, 1, 3, 3)))


@pytest.mark.parametrize("left_out", [None, 3])
@pytest.mark.parametrize("unit", [False, True])
def test_centroids_are_those_of_scikit_learn(left_out, unit):
    from sklearn.decomposition import PCA

    states = drifting(np.random.default_rng(1), noise=2.0)
    kept = [s[folds_of() != left_out][:, 1:].reshape(-1, D).astype(np.float64) for s in states]
    if unit:
        kept = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in kept]
    oracle = PCA(2).fit(np.concatenate(kept))
    centroids = np.stack([oracle.transform(x).mean(axis=0) for x in kept])
    found = moments_of(states, unit=unit).centroids("path", left_out=left_out)
    np.testing.assert_allclose(np.abs(found), np.abs(centroids), atol=1e-10)


def test_paths_that_share_states_are_each_their_own_pca():
    states = drifting(np.random.default_rng(2))
    both = PathMoments({"long": range(S), "short": [0, 2, 5]})
    for i in reversed(range(S)):
        both.update(i, state_moments(states[i], folds_of(), unit=True))
    both.update(S, state_moments(states[0], folds_of(), unit=True))  # of no path
    np.testing.assert_allclose(
        both.centroids("long"), moments_of(states, unit=True).centroids("path"), atol=1e-12
    )
    alone = moments_of([states[i] for i in (0, 2, 5)], unit=True).centroids("path")
    np.testing.assert_allclose(both.centroids("short"), alone, atol=1e-12)


def test_a_path_needs_its_states_once():
    paths = PathMoments({"path": [0, 1]})
    m = state_moments(drifting(np.random.default_rng(0))[0], folds_of(), unit=True)
    paths.update(0, m)
    with pytest.raises(ValueError, match="added before"):
        paths.update(0, m)
    with pytest.raises(ValueError, match=r"not added: \[1\]"):
        paths.centroids("path")
    with pytest.raises(ValueError, match="each state once"):
        PathMoments({"path": [1, 1]})


def test_a_straight_drift_correlates_fully_and_is_no_ring():
    c = moments_of(drifting(np.random.default_rng(0)), unit=False).centroids("path")
    assert drift_correlation(c) > 0.95  # pairs at equal depth are tied, their distances are not
    assert ring_ratio(c) == 1
    assert 0.8 < last_step_ratio(c) < 1.2
    assert (c[-1] >= c[0]).all()


def test_a_planted_ring_closes_and_drifts_less():
    turn = 2 * np.pi * np.arange(12) / 12
    path = in_plane(5 * np.stack([np.cos(turn), np.sin(turn)], axis=1))
    c = moments_of(drifting(np.random.default_rng(0), path=path), unit=False).centroids("path")
    assert ring_ratio(c) < 0.35
    assert drift_correlation(c) < 0.75


def test_a_last_layer_of_large_norm_is_far_only_before_normalising():
    turn = 0.1 * np.arange(8)
    path = in_plane(np.stack([np.cos(turn), np.sin(turn)], axis=1)) * np.array([1.0] * 7 + [20.0])[:, None]
    states = drifting(np.random.default_rng(0), path=path, noise=0.01)
    raw, unit = (last_step_ratio(moments_of(states, unit=u).centroids("path")) for u in (False, True))
    assert raw > 50
    assert 0.8 < unit < 1.2


def test_layers_in_random_order_do_not_drift():
    rng = np.random.default_rng(0)
    found = [drift_correlation(rng.standard_normal((31, 2))) for _ in range(50)]
    assert abs(np.mean(found)) < 0.05


@pytest.mark.parametrize("decimals", [0, 8])  # with ties among the distances, and without
def test_drift_is_the_rank_correlation_that_scipy_has(decimals):
    c = np.random.default_rng(0).standard_normal((31, 1)).round(decimals)
    i, j = np.triu_indices(31, 1)
    expected = spearmanr(j - i, np.abs(c[i, 0] - c[j, 0])).statistic
    assert drift_correlation(c) == pytest.approx(expected)


def test_known_ratios():
    path = np.array([[0.0, 0], [1, 0], [2, 0], [2, 3]])
    assert last_step_ratio(path) == 3
    assert ring_ratio(path) == 1
    assert ring_ratio(np.array([[0.0, 0], [4, 0], [3, 0]])) == 0.75
    assert drift_correlation(np.arange(5.0)[:, None]) == pytest.approx(1)


def test_one_point_is_no_path():
    c = np.zeros((4, 2))
    assert np.isnan([drift_correlation(c), last_step_ratio(c), ring_ratio(c)]).all()
    assert np.isnan(drift_correlation(np.zeros((2, 2))))
    assert np.isnan(last_step_ratio(np.zeros((2, 2))))


def test_equal_layers_are_undefined():
    state = drifting(np.random.default_rng(0))[0]
    assert np.isnan(numbers([state] * S)).all()


@pytest.mark.parametrize("d", [1, 2, 4])
def test_few_dimensions(d):
    states = drifting(np.random.default_rng(0), d=d, noise=0.01)
    found = moments_of(states, unit=False).centroids("path")
    assert found.shape == (S, 2)
    assert drift_correlation(found) > 0.9


def test_massive_first_positions_stay_finite_and_do_not_matter():
    states = drifting(np.random.default_rng(0))
    before = numbers(states)
    for state in states:
        state[:, 0] *= np.float32(1e5)
    np.testing.assert_allclose(numbers(states), before)
    c = moments_of(states, unit=False, first=0).centroids("path")
    assert np.isfinite(c).all()


@given(seed=seeds, scale=st.floats(1e-3, 1e3))
@settings(max_examples=20, deadline=None)
def test_rotation_scale_and_order_of_documents_change_nothing(seed, scale):
    rng = np.random.default_rng(seed)
    states = drifting(rng, path=3 * rng.standard_normal((S, D)), noise=0.5)
    turn = np.linalg.qr(rng.standard_normal((D, D)))[0]
    order = rng.permutation(N)
    turned = [scale * (s[order].astype(np.float64) @ turn) for s in states]
    np.testing.assert_allclose(numbers(turned, folds=folds_of()[order]), numbers(states), rtol=1e-6)


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_reversing_the_layers_reverses_the_path(seed):
    rng = np.random.default_rng(seed)
    states = drifting(rng, path=3 * rng.standard_normal((S, D)), noise=0.5)
    a, b = (moments_of(s, unit=True).centroids("path") for s in (states, states[::-1]))
    assert drift_correlation(a) == pytest.approx(drift_correlation(b))
    assert ring_ratio(a) == pytest.approx(ring_ratio(b))
    np.testing.assert_allclose(np.abs(a), np.abs(b[::-1]), atol=1e-9)


def test_sampled_tokens_are_distinct_even_over_folds_and_not_at_position_0():
    tokens = sample_tokens(folds_of(), POSITIONS, S, size=6 * 5 * 3, rng=np.random.default_rng(0))
    assert np.bincount(tokens.folds).tolist() == [3] * FOLDS
    assert len(set(zip(tokens.documents.tolist(), tokens.positions.tolist(), strict=True))) == 15
    assert tokens.positions.min() >= 1
    assert tokens.positions.max() <= POSITIONS - 1
    np.testing.assert_array_equal(tokens.folds, folds_of()[tokens.documents])


def test_a_sample_is_no_larger_than_what_there_is():
    tokens = sample_tokens(folds_of(), POSITIONS, S, size=10**6, rng=np.random.default_rng(0))
    assert len(tokens.documents) == N * (POSITIONS - 1)


def test_tokens_take_unit_vectors():
    state = drifting(np.random.default_rng(0))[0]
    tokens = sample_tokens(folds_of(), POSITIONS, S, rng=np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(tokens.take(state, unit=True), axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(tokens.take(state, unit=False), state[tokens.documents, tokens.positions])


def reduced_centroids(vectors, reducer, *, seed):
    return reduced(vectors, reducer, seed=seed).mean(axis=1)


def test_pca_of_a_sample_is_the_plane_of_its_moments():
    states = drifting(np.random.default_rng(0))
    sample = np.stack([s[:, 1:].reshape(-1, D) for s in states])
    c = reduced_centroids(sample, "PCA", seed=0)
    np.testing.assert_allclose(np.abs(c), np.abs(moments_of(states, unit=False).centroids("path")), atol=1e-4)


def test_tsne_sees_a_drift_and_repeats_itself():
    rng = np.random.default_rng(0)
    sample = np.stack([s[:, 1:].reshape(-1, D) for s in drifting(rng, noise=1.0, n=6)])
    one, two = (reduced_centroids(sample, "t-SNE", seed=3) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert drift_correlation(one) > 0.7
    assert one.shape == (S, 2)


def test_tsne_of_one_dimension_and_of_few_vectors():
    sample = np.arange(12.0).reshape(6, 2, 1)
    assert reduced_centroids(sample, "t-SNE", seed=0).shape == (6, 2)
    with pytest.raises(ValueError, match="too few"):
        reduced_centroids(sample[:1], "t-SNE", seed=0)


def test_without_umap_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ReducerMissingError, match="pip install umap-learn"):
        reduced_centroids(np.random.default_rng(0).standard_normal((3, 5, 4)), "UMAP", seed=0)
    assert issubclass(ReducerMissingError, LayerclaimsError)


def test_umap_sees_a_drift_repeats_itself_and_warns_of_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    sample = np.stack([s[:, 1:].reshape(-1, D) for s in drifting(rng, noise=1.0, n=6)])
    one, two = (reduced_centroids(sample, "UMAP", seed=3) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert drift_correlation(one) > 0.7
    # the search for neighbours that UMAP would make itself, and compile first, finds the same
    x = sample.reshape(-1, D).astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from umap import UMAP, umap_

        # as Python: compiled it does the same, after 12 seconds
        monkeypatch.setattr(umap_, "fast_knn_indices", umap_.fast_knn_indices.py_func)
        graphs = [
            UMAP(random_state=3, n_epochs=1, **given).fit(x.astype(np.float32)).graph_
            for given in ({}, {"precomputed_knn": geometry._neighbours(x, 15)})
        ]
    assert abs(graphs[0] - graphs[1]).max() < 1e-4


def test_import_of_the_package_does_not_import_umap():
    """It takes seconds, and few runs need it."""
    code = "import sys, layerclaims.quantities.geometry, layerclaims.recording.figures; print('umap' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_a_directory_called_umap_is_no_umap(tmp_path, monkeypatch):
    (tmp_path / "umap").mkdir()
    monkeypatch.delitem(sys.modules, "umap", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(ReducerMissingError):
        check_installed("UMAP")
