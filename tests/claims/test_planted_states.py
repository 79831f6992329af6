"""Planted states in memory: what no tiny model shows, and what a mistake in the harness itself would do."""

from collections import Counter

import numpy as np
import pytest
from layerclaims.experiments.probes import recurring_dimensions
from layerclaims.experiments.series import MASKED, MASKED_AT_RANDOM, RAW, SHUFFLED
from layerclaims.metrics import geometry
from layerclaims.quantities.counts import lowest_recall
from layerclaims.verdicts.verdict import Verdict

from tests.claims import planted
from tests.claims.synthetic import InMemory, gaussian

R, N, U = Verdict.REPLICATED, Verdict.NOT_REPLICATED, Verdict.INCONCLUSIVE
SEEDS = range(3)


def apart(rng, labels, d, distance):
    """Means of labels [labels, d] that lie `distance` from each other."""
    return distance / np.sqrt(2) * np.linalg.qr(rng.normal(size=(d, labels)))[0].T


def verdict(row, study):
    return planted.verdict(row, study)[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_states_that_lie_apart_in_many_dimensions_lose_nothing_by_a_mask_of_four(seed):
    rng = np.random.default_rng(seed)
    d = 160
    alike = 7 / np.sqrt(2 * d) * rng.choice([-1, 1], size=(3, d))  # no dimension counts more than another
    study = InMemory(gaussian(rng, alike, documents=250), seed=seed)
    assert verdict("masking-recurring-dimensions-is-negligible", study) is R
    assert verdict("no-dimension-dominates", study) is R
    assert verdict("norm-is-not-the-only-feature", study) is R


@pytest.mark.parametrize("seed", SEEDS)
def test_random_vectors_of_two_norms_in_two_dimensions_are_told_apart(seed):
    """All vectors point one way and the second state is 20 times the first: the probe reads a length."""
    rng = np.random.default_rng(seed)
    offsets = np.array([[5.0, 0.0], [5.0, 0.0]])
    study = InMemory(gaussian(rng, offsets, factors=np.array([1.0, 20.0])), seed=seed)
    assert verdict("layers-linearly-separable", study) is R
    assert verdict("random-vectors-fail", study) is N


@pytest.mark.parametrize("seed", SEEDS)
def test_the_corpora_are_not_mixed_up(seed):
    rng = np.random.default_rng(seed)
    offsets = apart(rng, 4, 12, 6.0)
    main = gaussian(rng, offsets)
    assert verdict("accuracy-drops-on-another-corpus", InMemory(main, gaussian(rng, offsets), seed=seed)) is N
    moved = gaussian(rng, offsets, moved=offsets[1] - offsets[0])
    assert verdict("accuracy-drops-on-another-corpus", InMemory(main, moved, seed=seed)) is R


@pytest.mark.parametrize("seed", SEEDS)
def test_what_only_a_document_of_its_own_would_give_away_is_not_learned(seed, tmp_path):
    """Every document has its own means, in so many dimensions that all can be learned by heart."""
    rng = np.random.default_rng(seed)
    study = InMemory(gaussian(rng, np.zeros((3, 300)), documents=80, own=3.0), seed=seed)
    assert verdict("layers-linearly-separable", study) is N
    assert study.counts(RAW).accuracy < 0.45
    states = study.store("main")._states
    from_vectors = InMemory(states, seed=seed, name="as-published", cache_dir=tmp_path)
    assert from_vectors.counts(RAW).accuracy > 0.6  # the leak is there for a split by vectors


@pytest.mark.parametrize("seed", SEEDS)
def test_the_last_label_is_the_raw_state_and_labels_are_states(seed):
    """States 1 and 2 are alike, the final-normed state is state 0: only raw states give these recalls."""
    rng = np.random.default_rng(seed)
    offsets = apart(rng, 4, 12, 8.0)
    offsets[2] = offsets[1]
    states = gaussian(rng, offsets)
    states[-1] = states[0]
    study = InMemory(states, seed=seed)
    recall = study.counts(RAW).recall
    assert recall[[0, 3]].min() > 0.98
    assert recall[[1, 2]].max() < 0.9
    assert recall[[1, 2]].sum() == pytest.approx(1, abs=0.1)
    assert lowest_recall(RAW).find(study)[0].note.split()[1] in ("1", "2")


@pytest.mark.parametrize("seed", SEEDS)
def test_the_dimensions_that_carry_the_layers_are_the_ones_named_and_masked(seed):
    rng = np.random.default_rng(seed)
    carrying = sorted(rng.choice(30, 4, replace=False).tolist())
    offsets = np.zeros((5, 30))
    offsets[1:, carrying] = 8 * np.eye(4)
    study = InMemory(gaussian(rng, offsets), seed=seed)
    assert sorted(recurring_dimensions(study)) == carrying
    assert verdict("masking-recurring-dimensions-is-negligible", study) is N
    assert study.counts(MASKED).accuracy < 0.35
    assert study.counts(MASKED_AT_RANDOM).accuracy > 0.95


@pytest.mark.parametrize("seed", [1, 2])  # in the first draw no document differs at all, which says nothing
def test_what_was_published_on_masking_is_true_of_the_neighbours(seed, tmp_path):
    """The authors' numbers count from 1 and were used as indices that count from 0."""
    rng = np.random.default_rng(seed)
    four = [3, 10, 17, 24]
    offsets = np.zeros((5, 30))
    offsets[1:, four] = 5 * np.eye(4)
    states, row = gaussian(rng, offsets, documents=250), "masking-recurring-dimensions-is-negligible"
    published = InMemory(states, seed=seed, name="as-published", cache_dir=tmp_path)
    assert sorted(recurring_dimensions(published)) == four
    assert verdict(row, published) is R
    assert published.counts(MASKED).accuracy < published.counts(RAW).accuracy - 0.4
    assert verdict(row, InMemory(states, seed=seed)) is N


def test_random_points_seldom_are_a_ring_and_oftener_close_a_gap():
    """In a plane whose every layer lies anywhere: of 25 layers three in four close the gap, a quarter are rings."""
    rng = np.random.default_rng(0)
    paths = rng.normal(size=(2000, 25, 2))
    closed = np.array([geometry.ring_ratio(path) for path in paths]) < 0.5
    wide = np.array([geometry.enclosed_area(path) for path in paths]) > 0.2
    assert closed.mean() == pytest.approx(0.73, abs=0.03)
    assert (closed & wide).mean() == pytest.approx(0.23, abs=0.03)
    walks = np.cumsum(paths, axis=1)
    closed = np.array([geometry.ring_ratio(path) for path in walks]) < 0.5
    wide = np.array([geometry.enclosed_area(path) for path in walks]) > 0.2
    assert (closed & wide).mean() < 0.1


def test_random_centroids_seldom_are_a_ring_for_the_row():
    """Twelve layers that lie anywhere, in a plane and far apart: the row decides by where they happen to lie."""
    found = Counter()
    for seed in range(40):
        rng = np.random.default_rng([seed, 60])
        offsets = np.hstack([np.full((12, 1), 30.0), 5 * rng.normal(size=(12, 2)), np.zeros((12, 3))])
        found[verdict("layer-zero-closes-a-ring", InMemory(gaussian(rng, offsets, own=0.3), seed=seed))] += 1
    assert found[R] <= 12
    assert found[N] >= 20


def test_layers_that_do_not_differ_are_no_ring():
    """Centroids that differ by the chance of their documents alone lie elsewhere without each fold."""
    found = Counter()
    for seed in range(30):
        rng = np.random.default_rng([seed, 61])
        states = gaussian(rng, np.zeros((12, 6)), own=0.3)
        found[verdict("layer-zero-closes-a-ring", InMemory(states, seed=seed))] += 1
    assert found[R] <= 3


def test_documents_and_not_vectors_are_what_an_interval_counts():
    """Documents of which every vector is right or every one wrong: 60 facts, however many vectors there are."""
    from layerclaims.statistics.counts import AnswerCounts, Recipe, compute

    right = np.random.default_rng(0).random(60) < 0.7
    widths = []
    for vectors in (1, 100):
        total = np.full((60, 1), vectors)
        series = AnswerCounts(
            corpus="main", documents=np.arange(60), correct=right[:, None] * total, total=total
        )
        e = compute(Recipe(statistic="accuracy", series=("raw",)), {"raw": series}, confidence=0.95, seed=0)
        widths.append((e.low, e.high))
    assert widths[0] == pytest.approx(widths[1])
    assert widths[0][1] - widths[0][0] > 0.2


@pytest.mark.parametrize("seed", range(2))
def test_shuffled_labels_meet_chance_as_often_as_their_interval_says(seed):
    """One shuffle for all folds would count what two folds share by chance twice, and miss on 15 % of runs."""
    missed = 0
    for run in range(60):
        rng = np.random.default_rng([seed, run])
        states = gaussian(rng, np.zeros((4, 6)), documents=40, positions=5)
        study = InMemory(states, seed=1000 * seed + run)
        e = study.estimate("accuracy", (SHUFFLED,), confidence=0.95)
        missed += not e.low <= 0.25 <= e.high
    assert missed <= 9
