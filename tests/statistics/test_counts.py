"""Estimates from counts: the same whoever computes them, paired where documents are the same."""

import numpy as np
import pytest
from layerclaims.statistics.counts import AnswerCounts, Recipe, compute, paired
from layerclaims.statistics.hypotheses import page_trend


def series(rng, accuracy, *, n=60, labels=4, per=10, corpus="main", documents=None):
    total = np.full((n, labels), per)
    return AnswerCounts(
        corpus=corpus,
        documents=np.arange(n) if documents is None else documents,
        correct=rng.binomial(total, accuracy),
        total=total,
    )


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def estimate(statistic, *named, seed=0, confidence=0.95, **chosen):
    return compute(Recipe(statistic=statistic, series=tuple(named)), chosen, confidence=confidence, seed=seed)


class TestAccuracy:
    def test_is_the_share_of_right_answers(self, rng):
        raw = series(rng, 0.7)
        found = estimate("accuracy", "raw", raw=raw)
        assert found.value == raw.correct.sum() / raw.total.sum() == raw.accuracy
        assert found.low < found.value < found.high

    def test_is_the_same_again_and_after_a_round_trip_through_json(self, rng):
        raw = series(rng, 0.7)
        again = AnswerCounts.from_json(raw.as_json())
        assert estimate("accuracy", "raw", raw=raw) == estimate("accuracy", "raw", raw=again)

    def test_resamples_differ_by_seed(self, rng):
        raw = series(rng, 0.7)
        assert estimate("accuracy", "raw", raw=raw) != estimate("accuracy", "raw", raw=raw, seed=1)

    def test_treats_the_document_as_the_unit(self, rng):
        """Twice the vectors in each document, all alike, tell nothing new: the interval stays."""
        raw = series(rng, 0.7)
        doubled = AnswerCounts(
            corpus="main", documents=raw.documents, correct=2 * raw.correct, total=2 * raw.total
        )
        one, two = estimate("accuracy", "raw", raw=raw), estimate("accuracy", "raw", raw=doubled)
        assert (one.low, one.high) == pytest.approx((two.low, two.high))


class TestTrendOverLabels:
    def rising(self, rng, rise):
        total = np.full((60, 6), 3)
        shares = 0.5 + rise * np.linspace(-0.5, 0.5, 6)
        return AnswerCounts(
            corpus="main", documents=np.arange(60), correct=rng.binomial(total, shares), total=total
        )

    def test_is_pages_trend_along_the_labels_of_each_document(self, rng):
        lens = self.rising(rng, 0.6)
        shares = np.stack([lens.correct[:, i] / 3 for i in range(6)], axis=1)
        assert estimate("page trend over labels", "lens", lens=lens) == page_trend(shares)
        assert estimate("page trend over labels", "lens", lens=lens).low > 0.1
        assert estimate("page trend over labels", "lens", lens=self.rising(rng, -0.6)).high < -0.1

    def test_needs_answers_on_every_label(self, rng):
        lens = self.rising(rng, 0.6)
        lens.correct[3, 2] = lens.total[3, 2] = 0
        with pytest.raises(ValueError, match="every document on every label"):
            estimate("page trend over labels", "lens", lens=lens)


class TestDifference:
    def test_of_one_corpus_is_paired(self, rng):
        easy = rng.uniform(0.2, 1, 60)
        total = np.full((60, 1), 200)
        a = AnswerCounts(
            corpus="main", documents=np.arange(60), correct=rng.binomial(200, easy)[:, None], total=total
        )
        b = AnswerCounts(
            corpus="main",
            documents=np.arange(60),
            correct=a.correct - rng.integers(3, 6, (60, 1)),
            total=total,
        )
        apart = AnswerCounts(corpus="transfer", documents=b.documents, correct=b.correct, total=total)
        together = estimate("difference", "a", "b", a=a, b=b)
        unpaired = estimate("difference", "a", "b", a=a, b=apart)
        assert together.value == pytest.approx(unpaired.value)
        assert (together.high - together.low) < 0.1 * (unpaired.high - unpaired.low)

    def test_pairs_by_document_whatever_the_order(self, rng):
        a, b = series(rng, 0.8), series(rng, 0.6)
        order = rng.permutation(60)
        turned = AnswerCounts(corpus="main", documents=order, correct=b.correct[order], total=b.total[order])
        np.testing.assert_array_equal(paired(a, b)[1], paired(a, turned)[1])
        assert estimate("difference", "a", "b", a=a, b=b) == estimate("difference", "a", "b", a=a, b=turned)

    def test_of_series_without_a_common_document_is_refused(self, rng):
        a, b = series(rng, 0.8), series(rng, 0.6, documents=np.arange(100, 160))
        with pytest.raises(ValueError, match="share no document"):
            estimate("difference", "a", "b", a=a, b=b)


def test_lowest_recall_is_that_of_the_worst_label(rng):
    total = np.full((60, 3), 20)
    raw = AnswerCounts(
        corpus="main", documents=np.arange(60), correct=rng.binomial(total, [0.9, 0.4, 0.8]), total=total
    )
    found = estimate("lowest recall", "raw", raw=raw)
    assert found.value == raw.recall[1] == raw.recall.min()
    assert found.low < found.value < found.high < raw.recall[2]


def test_a_statistic_that_is_none_is_refused(rng):
    with pytest.raises(ValueError, match="not a statistic"):
        estimate("mean", "raw", raw=series(rng, 0.5))


class TestSeries:
    def test_refuses_more_right_answers_than_answers(self):
        with pytest.raises(ValueError, match="between 0"):
            AnswerCounts(
                corpus="main", documents=np.arange(1), correct=np.array([[3]]), total=np.array([[2]])
            )

    def test_refuses_a_document_twice(self):
        with pytest.raises(ValueError, match="one row"):
            AnswerCounts(
                corpus="main",
                documents=np.zeros(2, dtype=int),
                correct=np.ones((2, 1), dtype=int),
                total=np.ones((2, 1), dtype=int),
            )
