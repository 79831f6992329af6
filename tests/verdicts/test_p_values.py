"""A p-value is on the side and at the level of the verdict: below alpha exactly where the region holds."""

import numpy as np
import pytest
from layerclaims.metrics.growth import exponential_advantage
from layerclaims.statistics.bootstrap import bootstrap_documents
from layerclaims.statistics.hypotheses import page_trend, standard_deviation_upper_bound
from layerclaims.statistics.jackknife import jackknife_groups, jackknife_highest, jackknife_lowest
from layerclaims.verdicts.criterion import Criterion
from layerclaims.verdicts.quantity import Setup, quarter

ALPHA = 0.05


def accuracy_of(share, confidence=1 - ALPHA):
    rng = np.random.default_rng(0)
    columns = np.stack([rng.binomial(20, share, 60), np.full(60, 20)], axis=1).astype(float)
    return bootstrap_documents(
        columns, lambda sums: sums[..., 0] / sums[..., 1], confidence=confidence, rng=rng, support=(0, 1)
    )


RNG = np.random.default_rng(1)
ESTIMATES = {
    "bootstrap": accuracy_of(0.7),
    "jackknife": jackknife_groups(RNG.normal(0.7, 0.05, 5)),
    "highest": jackknife_highest(RNG.normal(0.7, 0.05, (5, 6))),
    "lowest": jackknife_lowest(RNG.normal(0.7, 0.05, (5, 6))),
    "page": page_trend(RNG.normal(size=(50, 4)) + 0.6 * np.arange(4)),
    "standard deviation": standard_deviation_upper_bound(RNG.normal(0, 0.7, 12), lower_bound=True),
    "share of resamples": exponential_advantage(
        1.2 ** np.arange(1, 9) * RNG.uniform(0.5, 2, (40, 1)) * RNG.uniform(0.9, 1.1, (40, 8)), rng=RNG
    ),
}


@pytest.mark.parametrize("name", ESTIMATES)
@pytest.mark.parametrize("relation", [">", "<"])
def test_is_below_alpha_exactly_where_the_region_holds(name, relation):
    estimate = ESTIMATES[name]
    width = estimate.high - estimate.low
    assert width > 0
    sides = set()
    for threshold in np.linspace(estimate.low - width / 3, estimate.high + width / 3, 101):
        if min(abs(threshold - estimate.low), abs(threshold - estimate.high)) < 1e-9:
            continue
        criterion = Criterion(relation=relation, threshold=float(threshold))
        holds = criterion.holds(estimate)
        sides.add(holds)
        assert (criterion.p_value(estimate) < ALPHA) == (holds is True), threshold
    assert sides == {True, False, None}


def test_of_an_equivalence_is_the_larger_of_both_sides():
    estimate = jackknife_groups(np.array([0.01, 0.012, 0.008, 0.011, 0.009]), confidence=0.90)
    inside = Criterion(relation="inside", threshold=(-0.02, 0.02))
    assert inside.holds(estimate) is True
    assert inside.p_value(estimate) == pytest.approx(estimate.p_value(0.02, "below"))
    assert Criterion(relation="inside", threshold=(-0.01, 0.01)).holds(estimate) is None
    assert Criterion(relation="inside", threshold=(-0.001, 0.001)).holds(estimate) is False


def test_far_from_the_bar_is_not_floored_by_the_number_of_resamples():
    assert Criterion(relation=">", threshold=0.2).p_value(accuracy_of(0.7)) < 1e-12


def test_a_control_lies_above_its_value_or_refutes_nothing():
    control = Criterion(relation="not above", threshold=0.5)
    assert control.holds(accuracy_of(0.7, 0.998)) is None
    assert control.holds(accuracy_of(0.5, 0.998)) is True
    assert control.holds(accuracy_of(0.3, 0.998)) is True, "below chance is no leak"
    assert control.p_value(accuracy_of(0.7)) is None


def test_a_quarter_goes_from_chance_to_perfect():
    setup = Setup(n_labels=5, hidden_size=8, folds=5, seed=0, alpha=ALPHA)
    assert quarter(0.25).of(setup) == pytest.approx(0.2 + 0.25 * 0.8)
    assert quarter(1).of(setup) == 1
