"""Attribution: planted weights give known shares, counts, lists and overlaps; the null distributions are right."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layerclaims.metrics.attribution import (
    CURVE_GRID,
    contribution_shares,
    cumulative_shares,
    dimensions_needed,
    largest_share,
    negative_share_by_thirds,
    negative_shares,
    null_recurrence,
    overlap,
    overlap_resolution,
    overlap_with,
    recurrence,
    top_dimensions,
    variation,
    variation_resolution,
)
from layerclaims.statistics.jackknife import jackknife_groups

seeds = st.integers(0, 2**32 - 1)


def weights(seed=0, d=40, layers=9):
    return np.random.default_rng(seed).standard_normal((d, layers))


def test_shares_of_a_layer_add_up_to_one():
    np.testing.assert_allclose(contribution_shares(weights()).sum(axis=0), 1)


def test_shares_do_not_see_the_sign():
    np.testing.assert_array_equal(contribution_shares(weights()), contribution_shares(-weights()))


def test_weights_near_the_end_of_the_range_do_not_overflow():
    np.testing.assert_allclose(contribution_shares(np.full((4, 1), 1e308)), 0.25)


def test_a_layer_without_weights_is_undefined_and_the_others_are_not():
    w = weights(d=20, layers=3)
    w[:, 1] = 0
    shares = contribution_shares(w)
    assert np.isnan(shares).any(axis=0).tolist() == [False, True, False]
    assert np.isnan(largest_share(shares).share)
    assert np.isnan(dimensions_needed(shares, 0.5)).tolist() == [False, True, False]
    assert np.isnan(variation(dimensions_needed(shares, 0.5)))
    assert (top_dimensions(shares)[1] == -1).all()
    assert np.isnan(recurrence(shares).frequency)
    assert np.isnan(negative_shares(w)).tolist() == [False, True, False]
    assert np.isnan(cumulative_shares(shares)[1]).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_undefined(bad):
    w = weights(layers=2)
    w[3, 0] = bad
    assert np.isnan(contribution_shares(w)[:, 0]).any()
    assert np.isnan(largest_share(contribution_shares(w)).share)


def test_weights_are_a_matrix():
    with pytest.raises(ValueError, match="dimensions, layers"):
        contribution_shares(np.ones(3))


def test_a_dominant_dimension_is_found_and_named():
    w = np.full((100, 5), 1.0)
    w[17, 3] = -101.0  # 101 of 200
    largest = largest_share(contribution_shares(w))
    assert (largest.dimension, largest.layer) == (17, 3)
    assert largest.share == pytest.approx(101 / 200)


@pytest.mark.parametrize("d", [1, 4, 10, 576])
def test_even_contributions_need_half_and_nine_tenths_of_the_dimensions(d):
    shares = contribution_shares(np.ones((d, 2)))
    assert dimensions_needed(shares, 0.5).tolist() == [np.ceil(0.5 * d)] * 2
    assert dimensions_needed(shares, 0.9).tolist() == [np.ceil(0.9 * d)] * 2
    assert dimensions_needed(shares, 1.0).tolist() == [d] * 2


def test_a_part_is_a_share():
    with pytest.raises(ValueError, match="part"):
        dimensions_needed(np.ones((2, 1)) / 2, 0.0)


@given(seed=seeds, part=st.floats(0.01, 0.99))
@settings(max_examples=30, deadline=None)
def test_counts_equal_adding_up_one_by_one(seed, part):
    shares = contribution_shares(weights(seed))
    for k, needed in enumerate(dimensions_needed(shares, part)):
        largest_first = sorted(shares[:, k], reverse=True)
        assert sum(largest_first[: int(needed)]) >= part - 1e-9
        assert sum(largest_first[: int(needed) - 1]) < part


def test_variation_is_that_of_all_layers():
    assert variation(np.array([10.0, 10.0])) == 0
    assert variation(np.array([9.0, 11.0])) == pytest.approx(0.1)
    counts = np.array([20.0] * 7 + [21.0])
    assert variation(counts) == pytest.approx(variation_resolution(counts))


def test_top_dimensions_are_in_falling_order_and_no_more_than_there_are():
    w = np.array([[1.0, -5.0], [-4.0, 0.5], [2.0, 2.0], [0.1, 0.2]])
    assert top_dimensions(contribution_shares(w)).tolist() == [[1, 2, 0, 3], [0, 2, 1, 3]]
    assert top_dimensions(contribution_shares(w), n=1).tolist() == [[1], [0]]


def test_recurring_dimensions_are_ordered_by_frequency_then_share():
    w = np.full((50, 6), 0.01)
    w[[3, 8], :] = [[5.0], [6.0]]  # both in every layer's list, 8 with more
    w[20, :4] = 1.0
    found = recurrence(contribution_shares(w), n=3)
    assert found.dimensions == (8, 3, 20)
    assert found.frequencies == pytest.approx((1.0, 1.0, 4 / 6))
    assert found.frequency == 1.0


def test_planted_recurrence_exceeds_its_null_and_random_weights_do_not():
    rng = np.random.default_rng(0)
    null = null_recurrence(200, 20, rng=rng)
    planted = rng.standard_normal((200, 20))
    planted[5] = 10
    assert recurrence(contribution_shares(planted)).frequency > null
    exceeded = [
        recurrence(contribution_shares(rng.standard_normal((200, 20)))).frequency > null for _ in range(200)
    ]
    assert np.mean(exceeded) <= 0.09  # 5 % at most, and Monte Carlo error


def test_null_of_the_largest_frequency_equals_its_exact_distribution():
    """Two layers, lists of one out of d: the largest count is 2 with chance 1/d, else 1."""
    rng = np.random.default_rng(0)
    assert null_recurrence(10, 2, n=1, rng=rng) == 1.0  # 10 % of the draws
    assert null_recurrence(40, 2, n=1, rng=rng) == 0.5  # 2.5 %


def test_with_ten_dimensions_or_fewer_recurrence_is_no_news():
    assert null_recurrence(4, 7, rng=np.random.default_rng(0)) == 1.0
    assert recurrence(contribution_shares(weights(d=4, layers=7))).frequency == 1.0


def test_random_lists_are_uniform():
    from layerclaims.metrics.attribution import _random_subsets

    subsets = _random_subsets(5, 3, (20000, 1), np.random.default_rng(0))[:, 0]
    assert all(len(set(s)) == 3 for s in subsets.tolist())
    seen = {frozenset(s): 0 for s in combinations(range(5), 3)}
    for s in subsets.tolist():
        seen[frozenset(s)] += 1
    assert min(seen.values()) > 1800  # 2,000 each, standard deviation 42
    assert max(seen.values()) < 2200


def test_signs_are_counted_at_both_ends_of_depth():
    w = np.ones((20, 9))
    w[:, :3] = -1
    w[:, -3:] *= 2
    assert negative_share_by_thirds(w) == (1.0, 0.0)
    assert negative_share_by_thirds(w[:, ::-1]) == (0.0, 1.0)
    assert negative_share_by_thirds(-w) == (0.0, 1.0)


def test_only_the_listed_dimensions_count_for_the_sign():
    w = np.full((30, 3), -0.1)
    w[:10] = 5.0
    assert negative_shares(w).tolist() == [0, 0, 0]


def test_thirds_of_a_shallow_model_are_single_layers():
    assert negative_share_by_thirds(np.array([[-1.0, 1.0]] * 4)) == (1.0, 0.0)


def test_overlap_of_equal_and_of_disjoint_runs():
    assert overlap([[1, 2], [2, 1]]) == 1
    assert overlap([[1, 2], [3, 4]]) == 0
    assert overlap([[1, 2], [2, 3], [1, 2]]) == pytest.approx((1 / 3 + 1 + 1 / 3) / 3)
    assert np.isnan(overlap([[1, 2], []]))
    with pytest.raises(ValueError, match="2 runs"):
        overlap([[1]])


def test_one_dimension_that_differs_in_one_run_is_the_least_step_of_the_overlap():
    """Each run left out in turn."""
    runs = [list(range(10))] * 4 + [list(range(1, 11))]
    values = np.array([overlap([*runs[:g], *runs[g + 1 :]]) for g in range(5)])
    assert values[-1] == 1
    assert 1 - values[0] == pytest.approx(overlap_resolution(5))
    estimate = jackknife_groups(np.ones(5), value=1.0, support=(0, 1), resolution=overlap_resolution(5))
    assert 0.3 < estimate.low < 1


def test_runs_are_held_against_the_others_of_another_list_and_not_against_their_own():
    runs = [[1, 2], [3, 4], [5, 6]]
    assert overlap_with(runs, runs) == 0, "each is the same as its own alone"
    others = [[7, 8], [1, 2], [3, 9]]  # 1st run with the 2nd: all; 2nd run with the 3rd: 1 of 3
    assert overlap_with(runs, others) == pytest.approx((1 + 1 / 3) / 6)
    assert overlap_with(runs, others) == pytest.approx(overlap_with(others, runs))


def test_lists_that_are_all_alike_overlap_wholly_with_each_other():
    assert overlap_with([[1, 2]] * 3, [[2, 1]] * 3) == 1


def test_an_overlap_with_others_needs_as_many_of_them_and_no_empty_list():
    assert np.isnan(overlap_with([[1], [2]], [[1], []]))
    for others in ([[1]], [[1], [2], [3]]):
        with pytest.raises(ValueError, match="equally many"):
            overlap_with([[1], [2]], others)
    with pytest.raises(ValueError, match="at least 2"):
        overlap_with([[1]], [[1]])


def test_cumulative_curves_of_even_shares_are_diagonals():
    curves = cumulative_shares(contribution_shares(np.ones((7, 3))))
    np.testing.assert_allclose(curves, np.tile(CURVE_GRID, (3, 1)), atol=1e-12)


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_cumulative_curves_rise_to_one_and_bend_down(seed):
    curves = cumulative_shares(contribution_shares(weights(seed)))
    assert curves.shape == (9, len(CURVE_GRID))
    assert (np.diff(curves, axis=1) >= -1e-12).all()
    assert (np.diff(curves, n=2, axis=1) <= 1e-12).all()
    np.testing.assert_allclose(curves[:, [0, -1]], [[0, 1]] * 9, atol=1e-12)


@given(seed=seeds, scale=st.floats(1e-3, 1e3))
@settings(max_examples=30, deadline=None)
def test_relabelling_dimensions_or_layers_permutes_and_scaling_changes_nothing(seed, scale):
    rng = np.random.default_rng(seed)
    w = weights(seed)
    dims, layers = rng.permutation(w.shape[0]), rng.permutation(w.shape[1])
    a, b = contribution_shares(w), contribution_shares(scale * w[dims][:, layers])
    np.testing.assert_allclose(b, a[dims][:, layers])
    np.testing.assert_array_equal(dimensions_needed(b, 0.5), dimensions_needed(a, 0.5)[layers])
    np.testing.assert_array_equal(dims[top_dimensions(b)], top_dimensions(a)[layers])
    found_a, found_b = recurrence(a), recurrence(b)
    assert found_a.frequency == found_b.frequency
    assert found_a.dimensions[:1] == tuple(dims[list(found_b.dimensions[:1])])
    np.testing.assert_allclose(negative_shares(scale * w[dims][:, layers]), negative_shares(w)[layers])


def test_null_distributions_depend_on_their_generator_only():
    a, b = (null_recurrence(576, 31, rng=np.random.default_rng(7)) for _ in range(2))
    assert a == b == 5 / 31
