"""Norms: planted growth is found, equal layers are not growth, and the closed forms equal brute force."""

from math import exp, isfinite, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layerclaims.metrics.norms import (
    fit_errors,
    growth_rate,
    growth_support,
    log_linear_advantage,
    norm_columns,
    norm_summary,
    norm_sums,
    ratio_support,
    ratio_to_largest,
    token_norms,
)
from layerclaims.statistics.bootstrap import bootstrap_documents
from layerclaims.verdicts.criterion import Criterion

N, POSITIONS, D, L = 40, 5, 6, 8
ABOVE_ZERO = Criterion(relation=">", threshold=0.0)
seeds = st.integers(0, 2**32 - 1)


def win_share(advantage):
    """Share of resamples in which the log-linear law had the smaller error; NaN where one was undefined."""
    return np.mean(np.where(np.isnan(advantage.replicates), np.nan, advantage.replicates > 0))


def states(rng, law, *, noise=0.1, n=N, layers=L):
    """States 1..layers whose norms follow a law of the layer, with noise shared by a document's vectors."""
    out = []
    for i in range(1, layers + 1):
        x = rng.standard_normal((n, POSITIONS, D))
        size = law(i) * np.exp(noise * rng.standard_normal((n, 1, 1)))
        out.append((x / np.linalg.norm(x, axis=-1, keepdims=True) * size).astype(np.float32))
    return out


def columns(rng, law, **how):
    return norm_columns([norm_sums(state) for state in states(rng, law, **how)])


def growth(columns, rng):
    return bootstrap_documents(columns, growth_rate, rng=rng, support=growth_support(columns))


def brute_force(means):
    """Both leave-one-out errors, one least-squares fit a layer."""
    i, errors = np.arange(len(means)), np.empty((2, len(means)))
    for left in i:
        rest = i != left
        line = np.polyval(np.polyfit(i[rest], means[rest], 1), left)
        errors[0, left] = log(max(line / means[left], 2.0**-23))
        errors[1, left] = np.polyval(np.polyfit(i[rest], np.log(means[rest]), 1), left) - log(means[left])
    return np.sqrt((errors**2).mean(axis=1))


def test_norms_of_float16_are_taken_after_upcasting():
    state = np.full((1, 2, 4), 60000, dtype=np.float16)
    np.testing.assert_allclose(token_norms(state), 2 * np.float64(np.float16(60000)))


def test_huge_norms_stay_finite():
    state = np.full((2, 3, 4), 1e30, dtype=np.float32)  # squares overflow float32
    np.testing.assert_allclose(norm_sums(state), 4e30, rtol=1e-6)


def test_position_0_is_left_out_of_sums():
    state = np.ones((3, 4, 9), dtype=np.float32)
    state[:, 0] = 1e5
    np.testing.assert_array_equal(norm_sums(state), [9.0] * 3)
    assert norm_sums(state, first=0)[0] == 9 + 3e5


def test_summary_speaks_with_and_without_position_0():
    state = np.zeros((2, 3, 1), dtype=np.float32)
    state[..., 0] = [[100, 1, 2], [200, 3, 4]]
    s = norm_summary(state)
    assert (s.largest, s.largest_later, s.smallest_later) == (200, 4, 1)
    assert s.mean_later == 2.5


def test_summary_of_a_single_position_has_no_later_ones():
    assert np.isnan(norm_summary(np.ones((2, 1, 3), dtype=np.float32)).mean_later)


@pytest.mark.parametrize("wrong", [np.ones((2, 3)), np.ones((2, 1, 3))])
def test_sums_need_a_position_that_is_left(wrong):
    with pytest.raises(ValueError, match="position"):
        norm_sums(wrong)


def test_exact_growth_has_its_rate():
    assert growth_rate(3.0 * 1.045 ** np.arange(48)) == pytest.approx(log(1.045), abs=1e-12)


def test_growth_is_vectorised():
    sums = np.random.default_rng(0).uniform(1, 2, (4, 5, L))
    each = [[growth_rate(row) for row in block] for block in sums]
    np.testing.assert_allclose(growth_rate(sums), each)


@pytest.mark.parametrize("seed", range(5))
def test_planted_exponential_growth_is_replicated(seed):
    rng = np.random.default_rng(seed)
    c = columns(rng, lambda i: 50 * 1.3**i)
    rate = growth(c, rng)
    assert rate.low < log(1.3) < rate.high
    assert ABOVE_ZERO.holds(rate) is True
    advantage = log_linear_advantage(c, rng=rng)
    assert ABOVE_ZERO.holds(advantage) is True
    assert win_share(advantage) > 0.95
    assert advantage.p_value(0.0, "above") < 0.05


@pytest.mark.parametrize("seed", range(5))
def test_planted_linear_growth_is_refuted(seed):
    rng = np.random.default_rng(seed)
    advantage = log_linear_advantage(columns(rng, lambda i: 50.0 * i), rng=rng)
    assert ABOVE_ZERO.holds(advantage) is False
    assert win_share(advantage) < 0.05


def test_shrinking_norms_do_not_grow():
    rng = np.random.default_rng(0)
    assert ABOVE_ZERO.holds(growth(columns(rng, lambda i: 0.8**i), rng)) is False


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_equal_layers_are_not_growth(noise):
    rng = np.random.default_rng(3)
    same = states(rng, lambda _: 7.0, noise=noise, layers=1)[0]
    c = norm_columns([norm_sums(same)] * L)
    assert growth_rate(c.sum(axis=0)) == 0
    assert ABOVE_ZERO.holds(growth(c, rng)) is not True
    advantage = log_linear_advantage(c, rng=rng)
    assert advantage.value == 0
    assert ABOVE_ZERO.holds(advantage) is False


def test_equal_norms_that_float32_rounds_apart_are_not_growth():
    rng = np.random.default_rng(1)
    c = columns(rng, lambda _: 7.0, noise=0.0)  # other directions in each layer, so other last bits
    assert np.ptp(c) > 0
    assert growth_rate(c.sum(axis=0)) == 0
    assert log_linear_advantage(c, rng=rng).value == 0


def test_growth_that_is_the_same_in_every_document_is_still_growth():
    rng = np.random.default_rng(0)
    c = np.full((N, 1), 2.0) * 1.1 ** np.arange(L)
    rate = growth(c, rng)
    assert rate.method == "exact"
    assert isfinite(rate.high)
    assert ABOVE_ZERO.holds(rate) is True


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_no_mix_of_documents_grows_beyond_the_support(seed):
    rng = np.random.default_rng(seed)
    c = rng.lognormal(size=(7, 5))
    low, high = growth_support(c)
    mixes = growth_rate(rng.dirichlet(np.ones(7) / 3, size=200) @ c)
    assert low <= mixes.min() <= mixes.max() <= high
    low, high = ratio_support(c)
    mixes = ratio_to_largest(rng.dirichlet(np.ones(7) / 3, size=200) @ c)
    assert low <= mixes.min() <= mixes.max() <= high


@given(means=st.lists(st.floats(1e-3, 1e5), min_size=3, max_size=12))
@settings(deadline=None)
def test_fit_errors_equal_brute_force(means):
    means = np.array(means)
    np.testing.assert_allclose(fit_errors(means), brute_force(means), rtol=1e-5, atol=1e-6)


def test_a_predicted_norm_below_zero_counts_as_a_large_finite_error():
    error = fit_errors(2.0 ** np.arange(20))[0]  # the line through an exponential is negative at its start
    assert isfinite(error)
    assert error > 0.3 * 23 * log(2)


@pytest.mark.parametrize("layers", [1, 2])
def test_too_few_layers_are_undefined_not_an_error(layers):
    rng = np.random.default_rng(0)
    advantage = log_linear_advantage(np.full((30, layers), 2.0), rng=rng)
    assert np.isnan([advantage.value, advantage.low, advantage.high, win_share(advantage)]).all()
    assert np.isnan(advantage.p_value(0.0, "above"))
    assert np.isnan(growth_rate(np.ones(1)))


def test_a_zero_norm_is_undefined():
    c = np.ones((30, 4))
    c[:, 2] = 0
    assert not np.isfinite(growth_rate(c.sum(axis=0)))
    assert np.isnan(log_linear_advantage(c, rng=np.random.default_rng(0)).low)


@pytest.mark.parametrize(("wins", "outcome"), [(9501, True), (9500, None), (499, None), (498, False)])
def test_the_interval_decides_by_the_share_of_resamples(monkeypatch, wins, outcome):
    replicates = iter([np.array(1.0), np.where(np.arange(9999) < wins, 1.0, -1.0)])
    monkeypatch.setattr("layerclaims.metrics.norms._advantage", lambda _: next(replicates))
    monkeypatch.setattr("layerclaims.metrics.norms._CELLS", 10**9)
    advantage = log_linear_advantage(np.ones((30, 4)), rng=np.random.default_rng(0))
    assert ABOVE_ZERO.holds(advantage) is outcome
    assert win_share(advantage) == wins / 9999
    assert (advantage.p_value(0.0, "above") < 0.05) == (outcome is True)
    assert (advantage.p_value(0.0, "below") < 0.05) == (outcome is False)


def test_the_resampled_unit_is_the_document():
    """Half of the documents grow by powers, half by steps: doubling every one of them must not narrow the interval
    as twice as many documents would."""
    rng = np.random.default_rng(0)
    c = np.concatenate([columns(rng, lambda i: 1.2**i, n=20), columns(rng, lambda i: 1.0 + 0.5 * i, n=20)])
    one, two = (log_linear_advantage(k * c, rng=np.random.default_rng(1)) for k in (1, 2))
    assert (one.low, one.high) == (pytest.approx(two.low), pytest.approx(two.high))


@given(seed=seeds, scale=st.floats(1e-6, 1e6))
@settings(max_examples=20, deadline=None)
def test_rotation_scale_and_order_of_documents_change_nothing(seed, scale):
    rng = np.random.default_rng(seed)
    original = states(rng, lambda i: 10 * 1.2**i)
    turn = np.linalg.qr(rng.standard_normal((D, D)))[0]
    order = rng.permutation(N)
    changed = [(scale * (x[order].astype(np.float64) @ turn)).astype(np.float32) for x in original]
    a, b = (norm_columns([norm_sums(x) for x in xs]).sum(axis=0) for xs in (original, changed))
    assert growth_rate(a) == pytest.approx(growth_rate(b), abs=1e-6)
    assert fit_errors(a) == pytest.approx(fit_errors(b), abs=1e-5)
    assert ratio_to_largest(a[::-1]) == pytest.approx(ratio_to_largest(b[::-1]), rel=1e-5)


def test_the_ratio_of_the_last_norm_is_one_of_means():
    rng = np.random.default_rng(0)
    c = np.stack([rng.uniform(1, 3, 100), rng.uniform(0, 1, 100), rng.uniform(10, 30, 100)], axis=1)
    e = bootstrap_documents(c, ratio_to_largest, rng=rng, support=ratio_support(c))
    assert e.value == pytest.approx(c[:, 0].mean() / c[:, 2].mean())
    assert e.low < 0.1 < e.high


def test_a_ratio_that_is_the_same_in_every_document_is_decided():
    c = np.tile([4.0, 2.0], (N, 1))
    e = bootstrap_documents(c, ratio_to_largest, rng=np.random.default_rng(0), support=ratio_support(c))
    assert Criterion(relation=">", threshold=1.5).holds(e) is True
    assert Criterion(relation=">", threshold=2.5).holds(e) is False


def test_growth_factor_of_gpt2_xl_reads_as_in_the_post():
    assert exp(growth_rate(1.045 ** np.arange(1, 49))) == pytest.approx(1.045)
