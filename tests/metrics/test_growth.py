"""Growth of norms: planted laws are told apart, equal layers are not growth, and errors equal brute force."""

from math import exp, isfinite, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layerclaims.metrics.growth import (
    LAWS,
    RESAMPLES,
    exponential_advantage,
    fit_errors,
    growth_rate,
    growth_support,
)
from layerclaims.metrics.norms import norm_columns, norm_sums
from layerclaims.statistics.bootstrap import bootstrap_documents
from layerclaims.verdicts.criterion import Criterion
from scipy.optimize import minimize_scalar

N, POSITIONS, D, L = 40, 5, 6, 8
ABOVE_ZERO = Criterion(relation=">", threshold=0.0)
seeds = st.integers(0, 2**32 - 1)


def win_share(advantage):
    """Share of resamples in which the exponential had the smallest error; NaN where one was undefined."""
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
    """The errors of all laws, one least-squares fit a layer that is left out."""
    i, logs = np.arange(1.0, len(means) + 1), np.log(means)
    errors = np.empty((len(LAWS), len(means)))
    for left in range(len(means)):
        rest = np.arange(len(means)) != left
        for row, x in ((0, i), (4, np.log(i))):
            errors[row, left] = logs[left] - np.polyval(np.polyfit(x[rest], logs[rest], 1), x[left])
        for power in (1, 2, 3):
            f = (i / len(means)) ** power

            def lost(log_c, f=f, rest=rest):
                return np.var(logs[rest] - np.log1p(np.exp(log_c) * f[rest]))

            start = min(np.arange(-12.0, 20.0), key=lost)
            found = minimize_scalar(lost, bounds=(start - 1, start + 1), method="bounded")
            log_c = found.x if found.fun < np.var(logs[rest]) else -np.inf
            curve = np.log1p(np.exp(log_c) * f)
            errors[power, left] = (logs - curve)[left] - (logs - curve)[rest].mean()
    return np.sqrt((errors**2).mean(axis=1))


def test_exact_growth_has_its_rate():
    assert growth_rate(3.0 * 1.045 ** np.arange(48)) == pytest.approx(log(1.045), abs=1e-12)


def test_growth_is_vectorised():
    sums = np.random.default_rng(0).uniform(1, 2, (4, 5, L))
    each = [[growth_rate(row) for row in block] for block in sums]
    np.testing.assert_allclose(growth_rate(sums), each)


@pytest.mark.parametrize("seed", range(5))
def test_planted_exponential_growth_is_replicated(seed):
    rng = np.random.default_rng(seed)
    c = columns(rng, lambda i: 50 * 1.3**i, noise=0.05, layers=12)
    rate = growth(c, rng)
    assert rate.low < log(1.3) < rate.high
    assert ABOVE_ZERO.holds(rate) is True
    advantage = exponential_advantage(c, rng=rng)
    assert ABOVE_ZERO.holds(advantage) is True
    assert win_share(advantage) > 0.95
    assert advantage.p_value(0.0, "above") < 0.05


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "law",
    [
        lambda i: 50.0 * i,
        lambda i: 3 + 0.7 * i,
        lambda i: 1 + i**2,
        lambda i: 5 + 0.1 * i**3,
        lambda i: 10 * i**0.6,
        lambda i: 10 * i**1.8,
    ],
)
def test_growth_by_any_other_law_is_refuted(seed, law):
    rng = np.random.default_rng(seed)
    advantage = exponential_advantage(columns(rng, law, layers=12), rng=rng)
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
    advantage = exponential_advantage(c, rng=rng)
    assert advantage.value == 0
    assert ABOVE_ZERO.holds(advantage) is False


def test_equal_norms_that_float32_rounds_apart_are_not_growth():
    rng = np.random.default_rng(1)
    c = columns(rng, lambda _: 7.0, noise=0.0)  # other directions in each layer, so other last bits
    assert np.ptp(c) > 0
    assert growth_rate(c.sum(axis=0)) == 0
    assert exponential_advantage(c, rng=rng).value == 0


def test_growth_that_is_the_same_in_every_document_is_still_growth():
    rng = np.random.default_rng(0)
    c = np.full((N, 1), 2.0) * 1.1 ** np.arange(L)
    rate = growth(c, rng)
    assert rate.method == "exact"
    assert isfinite(rate.high)
    assert ABOVE_ZERO.holds(rate) is True


@pytest.mark.parametrize("layers", [3, 5, 12])
@pytest.mark.parametrize(
    "law", [lambda i: 1.3**i, lambda i: 2 + i, lambda i: 1 + i**2, lambda i: 1 + 0.1 * i**3, lambda i: i**0.5]
)
def test_fit_errors_equal_brute_force(law, layers):
    rng = np.random.default_rng(layers)
    means = law(np.arange(1.0, layers + 1)) * np.exp(0.05 * rng.normal(size=layers))
    np.testing.assert_allclose(fit_errors(means), brute_force(means), rtol=1e-3, atol=1e-4)


@given(
    a=st.floats(0.1, 100),
    b=st.floats(0.01, 10),
    law=st.sampled_from(range(len(LAWS))),
    layers=st.integers(3, 40),
)
@settings(deadline=None, max_examples=60)
def test_a_law_fits_its_own_curve(a, b, law, layers):
    i = np.arange(1.0, layers + 1)
    curve = [a * exp(b / 10) ** i, a + b * i, a + b * i**2, a + b * i**3, a * i**b][law]
    assert fit_errors(curve)[law] < 1e-4


@given(means=st.lists(st.floats(1e-3, 1e5), min_size=3, max_size=12))
@settings(deadline=None)
def test_any_positive_norms_have_finite_errors(means):
    assert np.isfinite(fit_errors(np.array(means))).all()


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_no_mix_of_documents_grows_beyond_the_support(seed):
    rng = np.random.default_rng(seed)
    c = rng.lognormal(size=(7, 5))
    low, high = growth_support(c)
    mixes = growth_rate(rng.dirichlet(np.ones(7) / 3, size=200) @ c)
    assert low <= mixes.min() <= mixes.max() <= high


@given(seed=seeds, scale=st.floats(1e-6, 1e6))
@settings(max_examples=20, deadline=None)
def test_scale_changes_nothing(seed, scale):
    c = columns(np.random.default_rng(seed), lambda i: 10 * 1.2**i).sum(axis=0)
    assert growth_rate(scale * c) == pytest.approx(growth_rate(c), abs=1e-6)
    assert fit_errors(scale * c) == pytest.approx(fit_errors(c), abs=1e-5)


@pytest.mark.parametrize("layers", [1, 2])
def test_too_few_layers_are_undefined_not_an_error(layers):
    rng = np.random.default_rng(0)
    advantage = exponential_advantage(np.full((30, layers), 2.0), rng=rng)
    assert np.isnan([advantage.value, advantage.low, advantage.high, win_share(advantage)]).all()
    assert np.isnan(advantage.p_value(0.0, "above"))
    assert np.isnan(growth_rate(np.ones(1)))


def test_a_zero_norm_is_undefined():
    c = np.ones((30, 4))
    c[:, 2] = 0
    assert not np.isfinite(growth_rate(c.sum(axis=0)))
    assert np.isnan(exponential_advantage(c, rng=np.random.default_rng(0)).low)


@pytest.mark.parametrize(("wins", "outcome"), [(1901, True), (1900, None), (99, None), (98, False)])
def test_the_interval_decides_by_the_share_of_resamples(monkeypatch, wins, outcome):
    replicates = iter([np.array(1.0), np.where(np.arange(RESAMPLES) < wins, 1.0, -1.0)])
    monkeypatch.setattr("layerclaims.metrics.growth.advantage", lambda _: next(replicates))
    monkeypatch.setattr("layerclaims.metrics.growth._CELLS", 10**9)
    advantage = exponential_advantage(np.ones((30, 4)), rng=np.random.default_rng(0))
    assert ABOVE_ZERO.holds(advantage) is outcome
    assert win_share(advantage) == wins / RESAMPLES
    assert (advantage.p_value(0.0, "above") < 0.05) == (outcome is True)
    assert (advantage.p_value(0.0, "below") < 0.05) == (outcome is False)


def test_the_resampled_unit_is_the_document():
    """Half of the documents grow by powers, half by steps: doubling every one of them must not narrow the interval
    as twice as many documents would."""
    rng = np.random.default_rng(0)
    c = np.concatenate([columns(rng, lambda i: 1.2**i, n=20), columns(rng, lambda i: 1.0 + 0.5 * i, n=20)])
    one, two = (exponential_advantage(k * c, rng=np.random.default_rng(1)) for k in (1, 2))
    assert (one.low, one.high) == (pytest.approx(two.low), pytest.approx(two.high))


def test_growth_factor_of_gpt2_xl_reads_as_in_the_post():
    assert exp(growth_rate(1.045 ** np.arange(1, 49))) == pytest.approx(1.045)
