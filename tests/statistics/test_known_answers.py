"""Statistics of counts and of fits against answers that can be worked out by hand."""

import numpy as np
import pytest
from layerclaims.statistics.counts import AnswerCounts, Recipe, compute
from layerclaims.statistics.jackknife import jackknife_groups, jackknife_highest, jackknife_lowest
from scipy import stats

N, LABELS, PER = 60, 4, 10
SHARES = {"a": ("main", 0.8), "b": ("transfer", 0.6), "c": ("main", 0.5), "d": ("transfer", 0.4)}


def series(share, *, corpus="main", seed=0):
    """Counts whose accuracy is `share`, documents a little apart."""
    total = np.full((N, LABELS), PER)
    correct = np.full((N, LABELS), round(share * PER))
    turned = np.random.default_rng(seed).permutation(N)
    correct[turned[: N // 4]] += 1
    correct[turned[-(N // 4) :]] -= 1
    return AnswerCounts(corpus=corpus, documents=np.arange(N), correct=correct, total=total)


@pytest.fixture
def known():
    return {
        name: series(share, corpus=corpus, seed=i) for i, (name, (corpus, share)) in enumerate(SHARES.items())
    }


def value(statistic, *names, known, confidence=0.95):
    return compute(Recipe(statistic=statistic, series=names), known, confidence=confidence, seed=0)


def test_half_the_drop_is_half_of_the_first_less_the_second(known):
    a, b, c, d = (known[name].accuracy for name in "abcd")
    found = value("half the drop", *"abcd", known=known)
    assert found.value == pytest.approx((a - b) / 2 - (c - d))
    assert found.low < found.value < found.high


def test_beyond_half_the_drop_is_above_the_middle(known):
    """Of the transfer corpus all answers and some, of the main one those before."""
    b, d, a = (known[name].accuracy for name in "bda")
    found = value("beyond half the drop", "b", "d", "a", known=known)
    assert found.value == pytest.approx(b - (d + a) / 2)
    assert found.low < found.value < found.high


def test_a_share_above_chance_takes_chance_off_both(known):
    a, c, chance = known["a"].accuracy, known["c"].accuracy, 1 / LABELS
    found = value("share above chance", "c", "a", known=known)
    assert found.value == pytest.approx((c - chance) / (a - chance))


def test_a_probe_that_knows_nothing_has_no_share():
    known = {"a": series(0.8), "z": series(0.1)}
    assert np.isnan(value("share above chance", "a", "z", known=known).value)


def test_answers_of_a_document_are_one_observation():
    """Where documents are right throughout or wrong throughout, 60 of them say as much as 60 coins."""
    correct = np.zeros((N, LABELS), dtype=np.int64)
    correct[: N // 2] = PER
    known = {
        "a": AnswerCounts(
            corpus="main", documents=np.arange(N), correct=correct, total=np.full((N, LABELS), PER)
        )
    }
    found = value("accuracy", "a", known=known)
    coins = 2 * stats.t.ppf(0.975, N - 1) * 0.5 / np.sqrt(N - 1)
    assert found.high - found.low == pytest.approx(coins, rel=0.05)


def test_page_rises_with_the_order_of_the_series(known):
    rising = {name: series(share, seed=9) for name, share in (("a", 0.4), ("b", 0.6), ("c", 0.8))}
    assert value("page trend", *"abc", known=rising).value == pytest.approx(1.0)
    assert value("page trend", *"cba", known=rising).value == pytest.approx(-1.0)
    found = value("page trend", *"abc", known=rising)
    assert found.value - found.low == pytest.approx(stats.norm.ppf(0.95) / np.sqrt(N * 2))


def test_the_highest_of_several_fits_needs_all_below_and_one_above():
    values = np.random.default_rng(0).normal(size=(5, 7)) + 3 * np.arange(7)
    highest, lowest = jackknife_highest(values), jackknife_lowest(values)
    each = [jackknife_groups(column) for column in values.T]
    strict = [jackknife_groups(column, confidence=1 - 0.05 / 7) for column in values.T]
    assert highest.value == pytest.approx(values.mean(0).max())
    assert highest.high == pytest.approx(max(one.high for one in each))
    assert highest.low == pytest.approx(max(one.low for one in strict))
    assert lowest.value == pytest.approx(values.mean(0).min())
    assert lowest.low == pytest.approx(min(one.low for one in each))
    assert lowest.high == pytest.approx(min(one.high for one in strict))


def test_a_jackknife_of_three_groups_is_worked_out_by_hand():
    found = jackknife_groups(np.array([1.0, 2.0, 3.0]))
    assert found.standard_error == pytest.approx(np.sqrt(2 / 3 * 2))
    assert found.high - 2 == pytest.approx(stats.t.ppf(0.975, 2) * np.sqrt(4 / 3))
