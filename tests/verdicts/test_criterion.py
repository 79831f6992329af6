"""Criteria: a p-value lies below alpha exactly where the interval lies inside the region, by every method."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layerclaims.metrics.growth import exponential_advantage
from layerclaims.results.earlier import Rules
from layerclaims.statistics.bootstrap import bootstrap_documents, bootstrap_lowest, bootstrap_two_samples
from layerclaims.statistics.counts import AnswerCounts, compute
from layerclaims.statistics.estimate import Estimate
from layerclaims.statistics.hypotheses import holm, page_trend, standard_deviation_upper_bound
from layerclaims.statistics.jackknife import jackknife_groups, jackknife_highest, jackknife_lowest
from layerclaims.verdicts.criterion import CONTROL_CONFIDENCE, SMALLEST_P, Criterion
from layerclaims.verdicts.evidence import Evidence, Finding, Part
from layerclaims.verdicts.quantity import Setup
from layerclaims.verdicts.registry import post_claims
from layerclaims.verdicts.verdict import decide

ROWS = 35  # of the post
RESAMPLES = 197  # k / 198 and k / 1971 are no alpha: at a tie, rounding decides
BORDER = 1e-9  # a threshold nearer to a bound than that may fall on either side of it by rounding

Make = Callable[[np.random.Generator, float], Estimate]


def accuracy(sums):
    return sums[..., 0] / sums[..., 1]


def answers(rng, n=None):
    """Right answers and totals of documents that differ."""
    n = n or int(rng.integers(12, 60))
    totals = rng.integers(3, 20, n)
    return np.stack([rng.binomial(totals, rng.beta(4, 2, n)), totals], axis=1).astype(np.float64)


def by_bootstrap(rng, confidence):
    return bootstrap_documents(
        answers(rng), accuracy, confidence=confidence, resamples=RESAMPLES, rng=rng, support=(0, 1)
    )


def by_two_samples(rng, confidence):
    return bootstrap_two_samples(
        answers(rng), answers(rng), lambda a, b: accuracy(a) - accuracy(b), confidence=confidence, resamples=RESAMPLES,
        rng=rng, support=(-1, 1),
    )  # fmt: skip


def of_the_lowest(rng, confidence):
    return bootstrap_lowest(
        np.hstack([rng.random((30, 5)), np.ones((30, 5))]), lambda sums: sums[..., :5] / sums[..., 5:],
        confidence=confidence, resamples=10 * RESAMPLES, rng=rng, support=(0, 1),
    )  # fmt: skip


def of_documents_alike(rng, confidence):
    return bootstrap_documents(
        np.full((int(rng.integers(2, 300)), 2), 10.0) * [rng.random(), 1], accuracy, confidence=confidence,
        resamples=RESAMPLES, rng=rng, support=(0, 1), vectors=int(rng.integers(1, 40)),
    )  # fmt: skip


def folds_alike(rng, confidence):
    return jackknife_groups(np.full(5, rng.random()), confidence=confidence, support=(0, 1))


def of_folds(rng, confidence):
    return jackknife_groups(rng.normal(0.5, 0.1, 5), confidence=confidence, support=(0, 1))


def of_the_highest_of_folds(rng, confidence):
    return jackknife_highest(rng.normal(0.5, 0.1, (5, 7)), confidence=confidence, support=(0, 1))


def of_the_lowest_of_folds(rng, confidence):
    return jackknife_lowest(rng.normal(0.5, 0.1, (5, 7)), confidence=confidence, support=(0, 1))


def of_folds_of_which_one_is_undefined(rng, confidence):
    values = rng.normal(0.5, 0.1, (5, 7))
    values[2, int(rng.integers(7))] = np.nan
    return jackknife_lowest(values, whole=values[0], confidence=confidence, support=(0, 1))


def of_a_deviation(rng, confidence):
    return standard_deviation_upper_bound(rng.normal(size=6), confidence=confidence, lower_bound=True)


def of_a_trend(rng, confidence):
    return page_trend(rng.normal(size=(30, 4)) + np.arange(4) * rng.normal() / 3, confidence=confidence)


def of_laws(rng, confidence):
    norms = np.exp(rng.normal(0.05, 0.03) * np.arange(1, 6) + rng.normal(0, 0.02, 5))
    norms = norms * rng.lognormal(0, 0.1, (20, 5))
    return exponential_advantage(norms, confidence=confidence, resamples=RESAMPLES, rng=rng)


MAKE: dict[str, Make] = {
    made.__name__: made
    for made in (
        by_bootstrap, by_two_samples, of_the_lowest, of_documents_alike, folds_alike, of_folds, of_the_highest_of_folds,
        of_the_lowest_of_folds, of_folds_of_which_one_is_undefined, of_a_deviation, of_a_trend, of_laws,
    )
}  # fmt: skip
ONE_SIDED = ("of_a_deviation", "of_a_trend")  # each bound has the whole error, so there is no equivalence
METHODS = {
    "BCa", "lowest BCa", "exact", "bound", "jackknife", "highest jackknife", "lowest jackknife", "chi-square", "Page",
    "percentile",
}  # fmt: skip


def test_every_method_is_among_them() -> None:
    made = {make(np.random.default_rng(0), 0.9).method for make in MAKE.values()}
    assert made == METHODS


def thresholds(estimate: Estimate, rng: np.random.Generator) -> list[float]:
    """Far away, near the value, and on both sides of either bound."""
    low, high = estimate.low, estimate.high
    bounds = [bound for bound in (low, high) if np.isfinite(bound)]
    near = [bound + sign * distance for bound in bounds for sign in (-1, 1) for distance in (1e-7, 1e-3, 0.1)]
    return [estimate.value, *near, *rng.normal(0.5, 0.5, 3), -1e6, 1e6]


@pytest.mark.parametrize("how", MAKE)
@given(seed=st.integers(0, 10**6), alpha=st.sampled_from([0.2, 0.05, 0.01, 0.001]))
@settings(max_examples=20, deadline=None, derandomize=True, database=None)
def test_p_lies_below_alpha_exactly_where_the_interval_lies_inside_the_region(how, seed, alpha):
    rng = np.random.default_rng(seed)
    estimate = MAKE[how](rng, 1 - (2 if how == "of_laws" else 1) * alpha)
    assume(np.isfinite(estimate.value))
    for threshold in thresholds(estimate, rng):
        if min(abs(threshold - estimate.low), abs(threshold - estimate.high)) <= BORDER:
            continue  # rounding decides
        for relation in (">", "<"):
            agrees(Criterion(relation=relation, threshold=float(threshold)), estimate, alpha)


@pytest.mark.parametrize("how", [how for how in MAKE if how not in ONE_SIDED])
@given(seed=st.integers(0, 10**6), alpha=st.sampled_from([0.2, 0.05, 0.01]))
@settings(max_examples=15, deadline=None, derandomize=True, database=None)
def test_p_of_an_equivalence_lies_below_alpha_exactly_where_it_holds(how, seed, alpha):
    rng = np.random.default_rng(seed)
    estimate = MAKE[how](rng, 1 - 2 * alpha)
    assume(np.isfinite(estimate.value))
    for threshold in thresholds(estimate, rng):
        margin = abs(float(threshold))
        edges = [abs(margin - abs(bound)) for bound in (estimate.low, estimate.high)]
        if min(edges) > BORDER and margin > 0:
            agrees(Criterion(relation="inside", threshold=(-margin, margin)), estimate, alpha)


def agrees(criterion: Criterion, estimate: Estimate, alpha: float) -> None:
    p = criterion.p_value(estimate)
    if p is None:  # of an interval that is not finite
        assert criterion.holds(estimate) is None
        return
    assert 0 < p <= 1
    assert (p < alpha) == (criterion.holds(estimate) is True), (criterion, estimate, p)
    assert criterion.level(estimate.method, estimate.confidence) == pytest.approx(alpha)


def test_a_p_value_falls_without_end_as_the_bar_moves_away() -> None:
    estimate = by_bootstrap(np.random.default_rng(0), 0.95)
    bars = np.linspace(estimate.value, 0.01, 50)
    p_values = [Criterion(relation=">", threshold=float(bar)).p_value(estimate) for bar in bars]
    assert p_values == sorted(p_values, reverse=True)
    assert len(set(p_values[-20:])) == 20  # no floor on the way
    assert p_values[-1] < 1e-8


def lowest_of_31(n: int = 200) -> Estimate:
    """The lowest of 31 recalls that hardly vary, and then downwards: BCa counts many levels as its outermost."""
    rng = np.random.default_rng(0)
    rare = -1e-4 * rng.exponential(size=(n, 31)) * (rng.random((n, 31)) < 0.3)
    return bootstrap_lowest(
        np.hstack([0.9 + rare, np.ones((n, 31))]), lambda sums: sums[..., :31] / sums[..., 31:],
        rng=np.random.default_rng(1), support=(0, 1),
    )  # fmt: skip


def test_3061_standard_deviations_from_the_bar_survive_holm_among_all_rows() -> None:
    estimate = lowest_of_31()
    error = max(member.standard_error for member in estimate.members)
    criterion = Criterion(relation=">", threshold=estimate.value - 3061 * error)
    counted = Rules(version=3).p_value(criterion, estimate)
    assert holm([counted, *[0.9] * (ROWS - 1)])[0] > 0.05  # what counting resamples alone gives
    p = criterion.p_value(estimate)
    assert SMALLEST_P <= p < 1e-100
    assert holm([p, *[0.9] * (ROWS - 1)])[0] < 1e-90


def test_the_other_side_of_the_bar_has_a_p_value_near_one() -> None:
    estimate = lowest_of_31()
    assert Criterion(relation="<", threshold=0.5).p_value(estimate) == 1
    assert Criterion(relation=">", threshold=0.95).p_value(estimate) > 0.99


def test_a_threshold_that_no_value_reaches_has_the_smallest_p_value_and_not_zero() -> None:
    for make in (by_bootstrap, of_folds, of_documents_alike, of_a_deviation, of_the_lowest):
        estimate = make(np.random.default_rng(0), 0.95)
        assert Criterion(relation=">", threshold=-5.0).p_value(estimate) == SMALLEST_P


# --- the control of shuffled labels -------------------------------------------------------------------

LABELS = 31


def control(share: float, rng: np.random.Generator, *, n: int = 60, spread: float = 0.3) -> Part:
    """The claim's own control on counts whose expected share of right answers is that: documents differ."""
    condition = post_claims()["layers-linearly-separable"].declaration.conditions[1]
    setup = Setup(n_labels=LABELS, hidden_size=64, folds=5, seed=0, alpha=0.05)
    shares = share * rng.gamma(1 / spread**2, spread**2, n)
    total = np.full((n, 1), 300)
    (name,) = condition.quantity.recipe.series
    counts = AnswerCounts(
        corpus="main", documents=np.arange(n), correct=rng.binomial(total, shares[:, None]), total=total
    )
    estimate = compute(
        condition.quantity.recipe, {name: counts}, confidence=condition.quantity.confidence(0.05), seed=0
    )
    finding = Finding(name=condition.quantity.name, estimate=estimate, n_documents=n, n_vectors=300 * n)
    return Part(finding=finding, criterion=condition.criterion(setup))


def separable() -> Part:
    estimate = Estimate(value=0.9, low=0.89, high=0.91, confidence=0.95, method="BCa", n_documents=60)
    finding = Finding(name="accuracy", estimate=estimate, n_documents=60, n_vectors=1860)
    return Part(finding=finding, criterion=Criterion(relation=">", threshold=0.274))


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(0.0, "REPLICATED"), (0.5, "REPLICATED"), (1.0, "REPLICATED"), (2.0, "INCONCLUSIVE")],
)
def test_a_control_below_chance_is_no_leak_and_one_above_it_is(share, verdict):
    found, why = decide(Evidence(parts=(separable(), control(share / LABELS, np.random.default_rng(0)))))
    assert found == verdict
    assert ("something leaks" in why) == (verdict == "INCONCLUSIVE")


def test_a_control_has_no_p_value_and_an_interval_of_its_own():
    part = control(1 / LABELS, np.random.default_rng(0))
    assert part.criterion.p_value(part.finding.estimate) is None
    assert part.finding.estimate.confidence == CONTROL_CONFIDENCE == 0.998


def test_true_chance_is_called_a_leak_in_about_one_run_of_a_thousand():
    draws = [control(1 / LABELS, np.random.default_rng(seed), n=40) for seed in range(1000)]
    leaks = sum(part.criterion.holds(part.finding.estimate) is None for part in draws)
    below = sum(part.finding.estimate.high < part.criterion.bounds[0] for part in draws)
    assert leaks <= 4  # of 1 expected: more in .4 % of a thousand
    assert below <= 8  # the other side, which is no leak
