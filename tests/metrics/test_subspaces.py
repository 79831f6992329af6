"""Subspaces: planted rotations have their angle, equal layers none, planted spectra their rank; scipy agrees."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layerclaims.metrics.moments import Covariance, assign_halves, state_moments
from layerclaims.metrics.subspaces import (
    SubspaceAngles,
    components_needed,
    effective_rank,
    effective_ranks,
    mean_angle,
    principal_angles,
    without_bias,
)
from layerclaims.statistics.jackknife import jackknife_groups
from scipy.linalg import subspace_angles

N, POSITIONS, D, FOLDS = 60, 11, 12, 5
seeds = st.integers(0, 2**32 - 1)


def basis(rng, d, k):
    return np.linalg.qr(rng.standard_normal((d, k)))[0]


def gaussian(rng, spectrum, axes=None, *, n=N, offset=0.0):
    """A state of centred Gaussian vectors with that spectrum along axes [d, d]."""
    d = len(spectrum)
    x = rng.standard_normal((n, POSITIONS, d)) * np.sqrt(spectrum)
    return (x @ (np.eye(d) if axes is None else axes).T + offset).astype(np.float32)


def folds_of(n=N):
    return np.arange(n) % FOLDS


def moments_of(state, *, folds=None, halves=None, unit=True):
    folds = folds_of(len(state)) if folds is None else folds
    halves = assign_halves(folds, np.random.default_rng(0)) if halves is None else halves
    return state_moments(state, folds, halves, unit=unit)


def angles_of(states, *, most=64, **how):
    angles = SubspaceAngles(most=most)
    for state in states:
        angles.update(moments_of(state, **how))
    return angles


def covariance(spectrum, mean=0.0):
    d = len(spectrum)
    return Covariance(count=1.0, mean=np.full(d, mean), matrix=np.diag(np.asarray(spectrum, dtype=float)))


@pytest.mark.parametrize("degrees", [1e-9, 1e-4, 1.0, 30.0, 45.0, 60.0, 89.999, 90.0])
def test_a_planted_rotation_has_its_angle(degrees):
    t = np.radians(degrees)
    a = np.eye(5)[:, :2]
    b = np.stack([np.cos(t) * np.eye(5)[0] + np.sin(t) * np.eye(5)[3], np.eye(5)[1]], axis=1)
    assert principal_angles(a, b) == pytest.approx([degrees, 0.0], rel=1e-7, abs=1e-12)
    assert mean_angle(a, b) == pytest.approx(degrees / 2, rel=1e-7)


@given(seed=seeds, p=st.integers(1, 6), q=st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_angles_are_those_of_scipy(seed, p, q):
    rng = np.random.default_rng(seed)
    a, b = basis(rng, 8, p), basis(rng, 8, q)
    found = principal_angles(a, b)
    assert len(found) == min(p, q)
    np.testing.assert_allclose(found, np.degrees(subspace_angles(a, b)), atol=1e-5)
    np.testing.assert_allclose(principal_angles(b, a), found, atol=1e-6)


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_another_basis_of_the_same_subspace_and_a_rotation_of_all_change_nothing(seed):
    rng = np.random.default_rng(seed)
    a, b, turn = basis(rng, 9, 4), basis(rng, 9, 3), basis(rng, 9, 9)
    found = principal_angles(a, b)
    np.testing.assert_allclose(principal_angles(turn @ a @ basis(rng, 4, 4), turn @ b), found, atol=1e-5)


def test_nested_subspaces_have_no_angle():
    a = basis(np.random.default_rng(0), 9, 5)
    np.testing.assert_allclose(principal_angles(a, a[:, :2]), 0, atol=1e-6)
    np.testing.assert_allclose(principal_angles(np.eye(4), np.eye(4)[:, :1]), 0)


def test_bases_of_different_spaces_have_no_angle():
    with pytest.raises(ValueError, match="two bases"):
        principal_angles(np.eye(4), np.eye(5))


@pytest.mark.parametrize(
    ("variances", "needed"),
    [
        ([1.0] * 10, 9),
        ([0.9, 0.1, 0.0], 2),  # never fewer than two
        ([0.5, 0.3, 0.15, 0.05], 3),
        ([1.0] * 100, 64),  # nor more than 64
        ([1.0, 0.0, 0.0], 1),  # unless there is but one direction
        ([1.0, 1e-14, 1e-15], 1),
        ([0.0, 0.0], 0),
        ([1.0], 1),
    ],
)
def test_components_carry_nine_tenths_of_the_variance(variances, needed):
    assert components_needed(np.array(variances)) == needed


def test_layers_of_one_subspace_are_no_further_apart_than_their_halves():
    spectrum = np.array([8.0, 4, 2, 1] + [0.01] * (D - 4))
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found.append(angles_of([gaussian(rng, spectrum) for _ in range(4)]).excess[0])
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(20)
    assert np.max(found) < 5


def test_offsets_alone_are_not_subspaces():
    """Raw vectors of one covariance around other means: the bases are those of the covariance."""
    spectrum = np.array([8.0, 4, 2, 1] + [0.01] * (D - 4))
    rng = np.random.default_rng(0)
    states = [gaussian(rng, spectrum, offset=50.0 * i) for i in range(4)]
    assert abs(angles_of(states, unit=False).excess[0]) < 2


@pytest.mark.parametrize("degrees", [20.0, 60.0])
def test_a_planted_turn_between_layers_is_found(degrees):
    t = np.radians(degrees)
    spectrum = np.array([4.0, 3, 2, 1] + [0.0] * (D - 4)) + 1e-4
    step = np.eye(D)
    for i in range(4):  # every direction of the layer turns by the same angle into one of its own
        step[np.ix_([i, i + 4], [i, i + 4])] = [[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]
    rng = np.random.default_rng(0)
    states = [gaussian(rng, spectrum, np.linalg.matrix_power(step, i), n=200) for i in range(2)]
    angles = angles_of(states)
    assert angles.excess[0] == pytest.approx(degrees, abs=1.5)
    assert angles.apart[0] - angles.own[0] == pytest.approx(angles.excess[0])
    values = angles.excess
    assert values.shape == (1 + FOLDS,)
    assert jackknife_groups(values[1:], value=float(values[0])).low > 5


def test_the_matrix_has_layers_with_themselves_on_its_diagonal():
    rng = np.random.default_rng(0)
    spectrum = np.array([8.0, 4, 2] + [0.01] * (D - 3))
    states = [gaussian(rng, spectrum, axes) for axes in (np.eye(D), np.eye(D)[:, ::-1], np.eye(D))]
    m = angles_of(states).matrix()
    np.testing.assert_array_equal(m, m.T)
    assert np.diag(m).max() < 10
    assert m[0, 1] > 80
    assert m[0, 2] < 10


def test_both_angles_of_a_pair_compare_as_many_directions():
    """A wide layer after a narrow one inside it is not another subspace, nor the other way round."""
    rng = np.random.default_rng(0)
    narrow = np.array([4.0, 3, 2] + [0.0] * (D - 3))
    wide = np.array([4.0, 3, 2, 2, 2, 2] + [0.0] * (D - 6))
    for spectra in ([narrow, wide], [wide, narrow]):
        angles = angles_of([gaussian(rng, s) for s in spectra])
        assert sorted(angles.k) == [3, 6]
        assert angles.excess[0] < 5


def test_leaving_out_a_fold_is_never_having_had_it():
    rng = np.random.default_rng(0)
    spectrum = np.linspace(3, 0.1, D)
    states, halves = [gaussian(rng, spectrum) for _ in range(3)], assign_halves(folds_of(), rng)
    kept = folds_of() != FOLDS - 1
    whole = angles_of(states, halves=halves)
    without = angles_of([s[kept] for s in states], folds=folds_of()[kept], halves=halves[kept])
    assert whole.k == without.k
    assert whole.excess[-1] == pytest.approx(without.excess[0], abs=1e-9)
    a, b = (
        moments_of(s, folds=f, halves=h)
        for s, f, h in ((states[0], folds_of(), halves), (states[0][kept], folds_of()[kept], halves[kept]))
    )
    assert effective_ranks(a)[-1] == pytest.approx(effective_ranks(b)[0], abs=1e-12)


def test_a_state_that_does_not_vary_is_undefined():
    rng = np.random.default_rng(0)
    still = np.ones((N, POSITIONS, D), dtype=np.float32)
    angles = angles_of([gaussian(rng, np.ones(D)), still, gaussian(rng, np.ones(D))])
    assert angles.k[1] == 0
    assert np.isnan(angles.excess).all()
    assert np.isnan(angles.matrix()[1]).all()
    assert np.isfinite(angles.matrix()[0, 2])
    assert np.isnan(effective_ranks(moments_of(still))).all()


def test_one_state_has_no_neighbour():
    assert np.isnan(angles_of([gaussian(np.random.default_rng(0), np.ones(D))]).excess).all()


def test_halves_are_needed():
    state = gaussian(np.random.default_rng(0), np.ones(D))
    with pytest.raises(ValueError, match="two halves"):
        SubspaceAngles().update(state_moments(state, folds_of(), unit=True))


@pytest.mark.parametrize("d", [1, 2, 4])
def test_few_dimensions(d):
    rng = np.random.default_rng(0)
    states = [gaussian(rng, np.arange(1.0, d + 1)) for _ in range(3)]
    angles = angles_of(states, unit=False)
    assert max(angles.k) <= d
    assert np.isfinite(angles.excess).all()
    assert 0 < effective_ranks(moments_of(states[0], unit=False))[0] <= 1 + 1e-12


@given(seed=seeds, scale=st.floats(1e-3, 1e3))
@settings(max_examples=15, deadline=None)
def test_rotation_scale_and_order_of_documents_change_nothing(seed, scale):
    rng = np.random.default_rng(seed)
    states = [gaussian(rng, rng.uniform(0.1, 4, D), basis(rng, D, D)) for _ in range(3)]
    turn, order, halves = basis(rng, D, D), rng.permutation(N), assign_halves(folds_of(), rng)
    turned = [scale * (s[order].astype(np.float64) @ turn) for s in states]
    a = angles_of(states, halves=halves)
    b = angles_of(turned, folds=folds_of()[order], halves=halves[order])
    np.testing.assert_allclose(b.excess, a.excess, atol=1e-5)
    np.testing.assert_allclose(b.matrix(), a.matrix(), atol=1e-5)
    ranks = effective_ranks(moments_of(states[0], halves=halves))
    turned_ranks = effective_ranks(moments_of(turned[0], folds=folds_of()[order], halves=halves[order]))
    np.testing.assert_allclose(turned_ranks, ranks, rtol=1e-9)


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_naming_the_halves_the_other_way_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    states, halves = [gaussian(rng, rng.uniform(0.1, 4, D)) for _ in range(3)], assign_halves(folds_of(), rng)
    np.testing.assert_allclose(
        angles_of(states, halves=halves).excess, angles_of(states, halves=1 - halves).excess, atol=1e-9
    )


@pytest.mark.parametrize("d", [1, 4, 50])
def test_even_spectra_have_full_rank_and_single_ones_one_dimension(d):
    assert effective_rank(covariance(np.ones(d))) == pytest.approx(1)
    assert effective_rank(covariance([1.0] + [0.0] * (d - 1))) == pytest.approx(1 / d)
    assert effective_rank(covariance([2.0] * 3 + [0.0] * 9)) == pytest.approx(3 / 12)


def test_effective_rank_of_a_planted_spectrum():
    p = np.array([0.5, 0.25, 0.125, 0.125])
    assert effective_rank(covariance(7 * p)) == pytest.approx(2 ** (1.75) / 4)  # entropy 1.75 bits


def test_rounding_around_a_large_mean_is_no_variance():
    assert np.isnan(effective_rank(covariance([1e-16] * 4, mean=1.0)))


def test_the_correction_removes_most_of_the_bias_of_sampling():
    """Even directions have rank 1; a few independent vectors see less."""
    plain, corrected = [], []
    for seed in range(10):
        state = gaussian(np.random.default_rng(seed), np.ones(D), n=30)[:, :3]  # 60 vectors of 12 dimensions
        ranks = effective_ranks(moments_of(state, unit=False))
        plain.append(ranks[0])
        corrected.append(without_bias(ranks))
    assert np.mean(plain) == pytest.approx(np.exp(-D / 120), abs=0.01)
    assert np.mean(corrected) == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(without_bias(np.full((6, 2), 0.3)), 0.3)
