"""Subspaces: planted rotations are found, equal layers miss nothing, planted spectra have their rank; scipy agrees."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layerclaims.metrics.moments import Covariance, assign_halves, state_moments
from layerclaims.metrics.subspaces import (
    Subspaces,
    components_needed,
    effective_rank,
    effective_ranks,
    mean_angle,
    principal_angles,
    without_bias,
)
from layerclaims.statistics.jackknife import jackknife_lowest
from scipy.linalg import subspace_angles

N, POSITIONS, D, FOLDS = 60, 11, 24, 5
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
    angles = Subspaces(most=most)
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


def spread(strong=12):
    """Variances of so many strong directions, falling slowly, and of weak ones."""
    return np.array([*np.linspace(4.0, 1.0, strong), *[0.01] * (D - strong)])


def test_layers_of_one_subspace_miss_nothing_of_each_other():
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found.append(angles_of([gaussian(rng, spread()) for _ in range(4)]).missed[0].mean())
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(20)
    assert np.max(found) < 0.02


def test_offsets_alone_are_not_subspaces():
    """Raw vectors of one covariance around other means: the directions are those of the covariance."""
    rng = np.random.default_rng(0)
    states = [gaussian(rng, spread(), offset=50.0 * i) for i in range(4)]
    assert np.abs(angles_of(states, unit=False).missed[0]).max() < 0.03


def turned(degrees, rng, *, n=200, layers=2):
    """Layers whose ten strong directions turn into ten of their own, by so many degrees from one to the next."""
    t, step = np.radians(degrees), np.eye(D)
    for i in range(10):
        step[np.ix_([i, i + 10], [i, i + 10])] = [[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]
    variances = np.array([*4 * 0.5 ** np.arange(10), *[0.0] * (D - 10)]) + 1e-6
    return [gaussian(rng, variances, np.linalg.matrix_power(step, i), n=n) for i in range(layers)]


@pytest.mark.parametrize("degrees", [10.0, 20.0, 60.0])
def test_a_planted_turn_between_layers_misses_the_square_of_its_sine(degrees):
    missed = angles_of(turned(degrees, np.random.default_rng(0))).missed
    assert missed.shape == (1 + FOLDS, 1)
    assert missed[0, 0] == pytest.approx(np.sin(np.radians(degrees)) ** 2, abs=0.01)
    lowest = jackknife_lowest(missed[1:], whole=missed[0])
    assert lowest.low < missed[0, 0] < lowest.high
    assert (lowest.low > 0.05) == (degrees > 15)


def test_the_angle_of_a_planted_turn_is_drawn_beside_it():
    angles = angles_of(turned(30.0, np.random.default_rng(0)))
    assert angles.apart[0] - angles.own[0] == pytest.approx(30, abs=2.5)


def test_what_is_missed_does_not_depend_on_the_number_of_documents():
    """Of layers that share some directions and not others, with as much noise as makes bases uncertain."""
    found = {}
    for n in (60, 100, 200, 400):
        missed = []
        for seed in range(12):
            rng = np.random.default_rng([seed, n])
            axes = [
                np.eye(D),
                np.linalg.qr(np.eye(D) + 0.12 * np.random.default_rng(1).normal(size=(D, D)))[0],
            ]
            variances = np.array([*np.linspace(4.0, 1.0, 14), *[0.4] * (D - 14)])
            missed.append(angles_of([gaussian(rng, variances, a, n=n) for a in axes]).missed[0, 0])
        found[n] = np.mean(missed), np.std(missed) / np.sqrt(len(missed))
    truth = found[400][0]
    assert truth > 0.05
    for n, (mean, error) in found.items():
        assert abs(mean - truth) < 4 * error + 0.1 * truth, (n, found)


def test_the_matrix_has_layers_with_themselves_on_its_diagonal():
    rng = np.random.default_rng(0)
    spectrum = np.array([8.0, 4, 2] + [0.01] * (D - 3))
    states = [gaussian(rng, spectrum, axes) for axes in (np.eye(D), np.eye(D)[:, ::-1], np.eye(D))]
    m = angles_of(states).matrix()
    np.testing.assert_array_equal(m, m.T)
    assert np.diag(m).max() < 10
    assert m[0, 1] > 80
    assert m[0, 2] < 10


def test_leaving_out_a_fold_is_never_having_had_it():
    rng = np.random.default_rng(0)
    spectrum = np.linspace(3, 0.1, D)
    states, halves = [gaussian(rng, spectrum) for _ in range(3)], assign_halves(folds_of(), rng)
    kept = folds_of() != FOLDS - 1
    whole = angles_of(states, halves=halves)
    without = angles_of([s[kept] for s in states], folds=folds_of()[kept], halves=halves[kept])
    assert whole.k == without.k
    np.testing.assert_allclose(whole.missed[-1], without.missed[0], atol=1e-9)
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
    assert np.isnan(angles.missed).all()
    assert np.isnan(angles.matrix()[1]).all()
    assert np.isfinite(angles.matrix()[0, 2])
    assert np.isnan(effective_ranks(moments_of(still))).all()


def test_halves_are_needed():
    state = gaussian(np.random.default_rng(0), np.ones(D))
    with pytest.raises(ValueError, match="two halves"):
        Subspaces().update(state_moments(state, folds_of(), unit=True))


@pytest.mark.parametrize("d", [1, 2, 4])
def test_few_dimensions(d):
    rng = np.random.default_rng(0)
    states = [gaussian(rng, np.arange(1.0, d + 1)) for _ in range(3)]
    angles = angles_of(states, unit=False)
    assert max(angles.k) <= d
    np.testing.assert_allclose(angles.missed, 0, atol=1e-9)  # ten directions are all there are
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
    np.testing.assert_allclose(b.missed, a.missed, atol=1e-5)
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
        angles_of(states, halves=halves).missed, angles_of(states, halves=1 - halves).missed, atol=1e-9
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
        state = gaussian(np.random.default_rng(seed), np.ones(12), n=30)[:, :3]  # 60 vectors of 12 dimensions
        ranks = effective_ranks(moments_of(state, unit=False))
        plain.append(ranks[0])
        corrected.append(without_bias(ranks))
    assert np.mean(plain) == pytest.approx(np.exp(-12 / 120), abs=0.01)
    assert np.mean(corrected) == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(without_bias(np.full((6, 2), 0.3)), 0.3)
