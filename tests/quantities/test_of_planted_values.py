"""Quantities of measured values with a known answer: which states, which vectors, which correction each is made of."""

from dataclasses import replace

import numpy as np
import pytest
from layerclaims import RAW, UNIT, accuracy, difference
from layerclaims.experiments.geometry import layer_geometry
from layerclaims.experiments.measurement import Values
from layerclaims.experiments.norms import early_norms
from layerclaims.experiments.runs import runs_apart, shuffled_runs_apart
from layerclaims.quantities import attribution, geometry, norm, stability
from layerclaims.quantities.counts import beyond_half_the_drop, half_the_drop, share_above_chance
from scipy import stats

from tests.claims.synthetic import CERTIFICATE, Drawn, answers

LABELS, FOLDS = 8, 5


class Known(Drawn):
    """A study some of whose measurements have known values."""

    def __init__(self, known, **drawn):
        super().__init__(**{"seed": 0, "labels": LABELS, **drawn})
        self._known = known

    def values(self, measurement):
        if measurement in self._known:
            return self._known[measurement]
        return super().values(measurement)


def value_of(quantity, study):
    (found,) = quantity.find(study)
    return found.estimate.value


def folds_of(path):
    """The same path on all documents, and nearly the same without each fold: [1 + folds, S, 2]."""
    moved = 1e-3 * np.random.default_rng(0).normal(size=(1 + FOLDS, *path.shape))
    moved[0] = 0
    return path + moved


# --- geometry


def circle(to: float = 2 * np.pi * 7 / 8):
    angles = np.linspace(0, to, LABELS)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def line(*, last=1.0):
    steps = np.array([0.0, *[1.0] * (LABELS - 2), last])
    return np.stack([np.cumsum(steps), np.zeros(LABELS)], axis=1)


@pytest.fixture
def ring():
    """Unit vectors on a ring, vectors as they are on a line whose last step is ten times as long."""
    paths = {
        "raw/layers": line(last=10.0), "raw/final": line(last=30.0),
        "unit/layers": circle(), "unit/final": circle(np.pi),
    }  # fmt: skip
    arrays = {name: folds_of(path) for name, path in paths.items()}
    return Known({layer_geometry: Values(arrays=arrays, facts={})})


def test_drift_and_ring_are_of_unit_vectors(ring):
    i, j = np.triu_indices(LABELS, 1)
    for quantity, path in ((geometry.drift, circle()), (geometry.raw_drift, line(last=10.0))):
        expected = stats.spearmanr(j - i, np.linalg.norm(path[i] - path[j], axis=1)).statistic
        assert value_of(quantity, ring) == pytest.approx(expected)
    assert value_of(geometry.ring_gap, ring) == pytest.approx(np.sin(np.pi / 8), rel=1e-6)
    octagon = 8 / 2 * np.sin(2 * np.pi / 8) / np.pi
    assert value_of(geometry.ring_area, ring) == pytest.approx(octagon, rel=1e-6)


def test_the_final_normed_state_ends_a_path_of_its_own(ring):
    assert value_of(geometry.final_ring_gap, ring) == pytest.approx(1.0)
    assert value_of(geometry.tightening, ring) == pytest.approx(np.log(10))
    assert value_of(geometry.final_tightening, ring) == pytest.approx(np.log(30))


def test_the_last_step_is_one_of_unit_vectors(ring):
    assert value_of(geometry.unit_last_step, ring) == pytest.approx(1.0)


def of_geometry(**arrays):
    return Known({layer_geometry: Values(arrays=arrays, facts={})})


def test_effective_ranks_have_the_bias_of_a_finite_sample_taken_off():
    """ln v of n documents is ln(.3) - 10 / n: a fifth less of them tells what all documents lack."""
    n = np.array([200, *[160] * FOLDS])
    ranks = 0.3 * np.exp(-10 / n)[:, None] * np.array([0.5, 1.0, 0.8, *[0.1] * (LABELS - 3)])
    ranks[1:] *= 1 + 1e-4 * np.arange(-2, 3)[:, None]
    assert value_of(geometry.highest_rank, of_geometry(ranks=ranks)) == pytest.approx(0.3, rel=1e-3)


def test_the_lowest_neighbours_decide_about_subspaces():
    missed = np.full((1 + FOLDS, LABELS - 1), 0.4)
    missed[:, 3] = 0.1
    missed[1:] += 1e-3 * np.random.default_rng(0).normal(size=(FOLDS, LABELS - 1))
    (found,) = geometry.missed_by_neighbour.find(of_geometry(missed=missed))
    assert found.estimate.value == pytest.approx(0.1)
    assert found.estimate.low < 0.1 < found.estimate.high < 0.15
    assert "from state 3 to 4" in found.note


# --- norms


def sums_of(means, documents=60):
    """Sums of norms [documents, states + 1] whose means are known."""
    noise = np.random.default_rng(0).uniform(0.9, 1.1, size=(documents, 1))
    return noise / noise.mean() * np.asarray(means)[None]


def test_growth_leaves_out_the_embedding():
    means = np.array([1000.0, *1.1 ** np.arange(1, LABELS), 5.0])
    study = Known({}, sums=sums_of(means))
    assert value_of(norm.growth_rate, study) == pytest.approx(np.log(1.1))
    (found,) = norm.exponential_advantage.find(study)
    assert found.estimate.value > 0.01
    assert found.estimate.low > 0
    assert found.n_vectors == 60 * (study.store("main").n_positions - 1) * (LABELS - 1)


@pytest.mark.parametrize(("largest", "place"), [(4.0, 0), (4.0, 3), (4.0, LABELS - 2)])
def test_the_last_norm_is_held_against_all_other_states(largest, place):
    means = np.ones(LABELS + 1)
    means[place], means[LABELS - 1], means[LABELS] = largest, 12.0, 40.0
    study = Known({}, sums=sums_of(means))
    assert value_of(norm.last_norm_ratio, study) == pytest.approx(12 / largest)
    assert value_of(norm.final_norm_ratio, study) == pytest.approx(40 / largest)


def test_early_norms_are_averaged_over_pairs():
    overlaps = np.tile([0.0, 0.9, 0.9], (1 + FOLDS, 1))
    overlaps[1:] += 0.01 * np.arange(FOLDS)[:, None]
    study = Known(
        {early_norms: Values(arrays={"overlaps": overlaps}, facts={})}, sums=sums_of(np.ones(LABELS + 1))
    )
    assert value_of(norm.early_overlap, study) == pytest.approx(0.6)


# --- attribution


def weights_that_list(*lists, d=40, labels=LABELS):
    """Weights [fits, d, K] of which each fit lists some dimensions in all layers."""
    rng = np.random.default_rng(0)
    weights = 0.01 * rng.uniform(0.5, 1, size=(len(lists), d, labels))
    for fit, listed in zip(weights, lists, strict=True):
        fit[list(listed)] = 1.0 + 0.1 * rng.uniform(size=(len(listed), labels))
    return weights


def test_recurrence_is_held_against_the_largest_of_the_shuffled_probes():
    own = weights_that_list(*[range(10)] * FOLDS)
    shuffled = np.random.default_rng(1).normal(size=(FOLDS, 40, LABELS))
    frequencies = [
        attribution.attribution.recurrence(attribution.attribution.contribution_shares(w)).frequency
        for w in shuffled
    ]
    assert max(frequencies) > min(frequencies)
    study = Drawn(
        seed=0, labels=LABELS, counts={"raw": np.full((60, LABELS), 8)}, weights=own, shuffled=shuffled
    )
    assert value_of(attribution.recurrence_beyond_shuffled, study) == pytest.approx(1 - max(frequencies))


def of_runs(own, shuffled):
    known = {
        measured: Values(arrays={"weights": weights}, facts={"fits": [CERTIFICATE] * len(weights)})
        for measured, weights in ((runs_apart, own), (shuffled_runs_apart, shuffled))
    }
    return Known(known, counts={"raw": np.full((60, LABELS), 8)}, weights=own)


def test_runs_are_held_against_the_shuffled_probes_of_the_other_runs():
    """Each shuffled run lists what its own run does, and nothing that another one does: no two overlap."""
    lists = [range(10 * g, 10 * g + 10) for g in range(FOLDS)]
    apart = weights_that_list(*lists, d=60)
    assert value_of(attribution.overlap_of_runs, of_runs(apart, apart)) == pytest.approx(0.0)
    assert value_of(attribution.overlap_beyond_shuffled, of_runs(apart, apart)) == pytest.approx(0.0)
    alike = weights_that_list(*[range(10)] * FOLDS, d=60)
    assert value_of(attribution.overlap_of_runs, of_runs(alike, apart)) == pytest.approx(1.0)
    # of each run's four others one at most lists the same dimensions: run 0's shuffled probe
    assert value_of(attribution.overlap_beyond_shuffled, of_runs(alike, apart)) == pytest.approx(1 - 4 / 20)
    assert value_of(attribution.overlap_beyond_shuffled, of_runs(alike, alike)) == pytest.approx(0.0)
    assert value_of(attribution.overlap_of_shuffled_runs, of_runs(alike, apart)) == pytest.approx(0.0)


def test_signs_are_read_at_either_end():
    weights = weights_that_list(*[range(10)] * FOLDS)
    weights[:, :, : LABELS // 3] *= -1
    weights += 1e-4 * np.random.default_rng(0).normal(size=weights.shape)
    study = Drawn(seed=0, labels=LABELS, counts={"raw": np.full((60, LABELS), 8)}, weights=weights)
    assert value_of(attribution.negative_share_first_third, study) == pytest.approx(1.0)
    assert value_of(attribution.negative_share_last_third, study) == pytest.approx(0.0)


def test_the_layer_that_needs_fewest_dimensions_decides():
    weights = np.ones((FOLDS, 40, LABELS))
    weights[:, 4:, 2] = 1e-9
    study = Drawn(seed=0, labels=LABELS, counts={"raw": np.full((60, LABELS), 8)}, weights=weights)
    assert value_of(attribution.fewest_dimensions, study) == pytest.approx(4 / 40)
    assert value_of(attribution.largest_share, study) == pytest.approx(1 / 4)


# --- counts


@pytest.fixture
def counted():
    rng = np.random.default_rng(0)
    raw, unit = answers(rng, 0.8, 0.79, documents=200, labels=LABELS, totals=10)
    return Drawn(seed=0, labels=LABELS, counts={"raw": raw, "unit": unit})


def test_an_equivalence_has_twice_the_error_on_one_side_and_a_control_hardly_any(counted):
    lost = difference(RAW, UNIT, name="lost")
    assert lost.confidence(0.05) == pytest.approx(0.95)
    inside = lost.inside(0.01).quantity
    assert inside.confidence(0.05) == pytest.approx(0.90)
    control = accuracy(RAW, name="a").not_above(0.5).quantity
    assert control.confidence(0.05) == pytest.approx(0.998)
    for quantity, confidence in ((lost, 0.95), (inside, 0.90), (control, 0.998)):
        (found,) = quantity.find(counted)
        assert found.estimate.confidence == pytest.approx(confidence)
    (two_sided,), (tested,) = lost.find(counted), inside.find(counted)
    ratio = (tested.estimate.high - tested.estimate.low) / (two_sided.estimate.high - two_sided.estimate.low)
    assert ratio == pytest.approx(stats.norm.ppf(0.95) / stats.norm.ppf(0.975), abs=0.03)


def test_statistics_of_several_series_are_their_formulas(counted):
    values = counted.counts(RAW).accuracy, counted.counts(UNIT).accuracy
    assert value_of(difference(RAW, UNIT, name="d"), counted) == pytest.approx(values[0] - values[1])
    chance = 1 / LABELS
    share = share_above_chance(UNIT, RAW, name="s")
    assert value_of(share, counted) == pytest.approx((values[1] - chance) / (values[0] - chance))
    beyond = beyond_half_the_drop(UNIT, UNIT, RAW, name="b")
    assert beyond.series == (UNIT, UNIT, RAW)
    assert half_the_drop((RAW, UNIT), (UNIT, RAW), name="h").series == (RAW, UNIT, UNIT, RAW)


def test_spread_is_of_the_runs(counted):
    runs = stability.accuracy_of_runs(counted)
    (found,) = stability.spread_of_accuracy.find(counted)
    assert found.estimate.value == pytest.approx(np.std(runs, ddof=1))
    assert found.estimate.high > found.estimate.value


def test_a_finding_rests_on_the_worst_of_its_fits(counted):
    bad = [CERTIFICATE, {**CERTIFICATE, "converged": False}, *[CERTIFICATE] * 3]
    values = counted.values(RAW.of)
    facts = {**values.facts, "certificates": {"raw": bad}}
    worse = Known({RAW.of: replace(values, facts=facts)}, counts={"raw": np.full((200, LABELS), 8)})
    (found,) = accuracy(RAW, name="a").find(worse)
    assert found.certificate is not None
    assert not found.certificate.converged
