"""The intervals cover what they say, on data with a known truth, for every seed of a declared range."""

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from math import inf, isnan, nan, sqrt

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layerclaims.statistics.bootstrap import bootstrap_documents, bootstrap_lowest, bootstrap_two_samples
from layerclaims.statistics.estimate import Estimate
from layerclaims.statistics.hypotheses import equivalent, holm, page_trend, standard_deviation_upper_bound
from layerclaims.statistics.jackknife import jackknife_groups
from layerclaims.statistics.sample_size import documents_to_decide
from scipy import stats
from statsmodels.stats.multitest import multipletests


def accuracy(sums):
    return sums[..., 0] / sums[..., 1]


def difference(sums):
    return (sums[..., 0] - sums[..., 1]) / sums[..., 2]


def mean_of(values):
    """Columns [n, 2] whose accuracy is the plain mean of `values`."""
    return np.stack([values, np.ones_like(values)], axis=1)


def documents(rng, n, mean, *, concentration=6.0):
    """Right answers and totals [n, 2] of documents that share a random effect.

    Beta-binomial with intra-document correlation 1/(1 + concentration), 10 to 49 vectors a document.
    """
    totals = rng.integers(10, 50, n)
    shares = rng.beta(mean * concentration, (1 - mean) * concentration, n)
    return np.stack([rng.binomial(totals, shares), totals], axis=1).astype(np.float64)


def misses(make: Callable[[np.random.Generator], Estimate], truth: float, seeds: int) -> tuple[float, float]:
    """Share of the seeds 0..seeds-1 whose interval lies wholly above the truth, and wholly below it."""
    above = below = 0
    for seed in range(seeds):
        estimate = make(np.random.default_rng(seed))
        above += truth < estimate.low
        below += truth > estimate.high
    return above / seeds, below / seeds


# --- coverage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "mean", "seeds", "least", "most", "one_side"),
    [
        (30, 0.8, 2000, 0.91, 0.96, 0.06),
        (30, 0.3, 2000, 0.91, 0.96, 0.06),
        (100, 0.8, 1500, 0.93, 0.965, 0.045),
        (100, 0.3, 1500, 0.93, 0.965, 0.045),
        (400, 0.8, 600, 0.93, 0.97, 0.04),
    ],
)
def test_document_intervals_cover_the_accuracy_and_miss_it_on_either_side_alike(
    n, mean, seeds, least, most, one_side
):
    def make(rng):
        columns = documents(rng, n, mean)
        return bootstrap_documents(columns, accuracy, rng=rng, resamples=999, support=(0, 1))

    above, below = misses(make, mean, seeds)
    assert least <= 1 - above - below <= most
    assert max(above, below) <= one_side


def test_an_interval_that_takes_vectors_for_independent_does_not_cover():
    missed = 0
    for seed in range(1000):
        right, total = documents(np.random.default_rng(seed), 100, 0.8).sum(axis=0)
        low, high = stats.binomtest(int(right), int(total)).proportion_ci(method="wilson")
        missed += not low <= 0.8 <= high
    assert 0.5 < 1 - missed / 1000 < 0.7


def test_a_bootstrap_over_vectors_does_not_cover_either():
    def make(rng):
        right, total = documents(rng, 100, 0.8).sum(axis=0).astype(int)
        vectors = np.repeat([1.0, 0.0], [right, total - right])
        return bootstrap_documents(mean_of(vectors), accuracy, rng=rng, resamples=199, support=(0, 1))

    above, below = misses(make, 0.8, 200)
    assert 1 - above - below < 0.7


def test_paired_differences_are_covered_and_narrower_than_independent_ones():
    widths = {}

    def make(rng):
        totals = rng.integers(10, 50, 100)
        shares = rng.beta(4.8, 1.2, 100)
        rights = [rng.binomial(totals, shares), rng.binomial(totals, 0.95 * shares)]
        columns = np.stack([*rights, totals], axis=1)
        paired = bootstrap_documents(columns, difference, rng=rng, resamples=999, support=(-1, 1))
        widths["paired"] = paired.high - paired.low
        return paired

    above, below = misses(make, 0.05 * 0.8, 1500)
    assert 0.93 <= 1 - above - below <= 0.965
    assert max(above, below) <= 0.045

    def make_two(rng):
        two = bootstrap_two_samples(
            documents(rng, 80, 0.8),
            documents(rng, 120, 0.7),
            lambda a, b: accuracy(a) - accuracy(b),
            rng=rng,
            resamples=999,
            support=(-1, 1),
        )
        widths["two"] = two.high - two.low
        return two

    above, below = misses(make_two, 0.1, 1000)
    assert 0.925 <= 1 - above - below <= 0.97
    assert max(above, below) <= 0.045
    assert widths["paired"] < 0.7 * widths["two"]


@pytest.mark.parametrize(
    "recalls",
    [np.full(12, 0.8), np.linspace(0.79, 0.83, 12), np.r_[0.7, np.full(11, 0.8)]],
    ids=["equal", "near", "one low"],
)
def test_the_lowest_of_many_is_covered_however_near_they_are(recalls):
    def make(rng):
        totals = np.full((100, recalls.size), 30)
        right = rng.binomial(totals, rng.beta(5 * recalls, 5 * (1 - recalls), totals.shape))
        return bootstrap_lowest(np.hstack([right, totals]), ratios, rng=rng, resamples=1999, support=(0, 1))

    def ratios(sums):
        return sums[..., : recalls.size] / sums[..., recalls.size :]

    above, below = misses(make, recalls.min(), 300)
    assert above <= 0.05
    assert below <= 0.05


def test_the_jackknife_over_folds_covers_a_smooth_statistic():
    # coefficient of variation of a gamma with shape 4: 1/2
    def make(rng):
        folds = rng.gamma(4.0, size=(5, 200))
        left_out = [np.delete(folds, fold, axis=0) for fold in range(5)]
        values = np.array([rest.std() / rest.mean() for rest in left_out])
        return jackknife_groups(values, value=float(folds.std() / folds.mean()))

    above, below = misses(make, 0.5, 3000)
    assert 0.935 <= 1 - above - below <= 0.965
    assert max(above, below) <= 0.04


def test_the_bound_of_the_standard_deviation_covers_at_its_level():
    draws = np.random.default_rng(0).normal(0.9, 0.01, (4000, 5))
    bounds = [standard_deviation_upper_bound(values, lower_bound=True) for values in draws]
    assert 0.94 <= np.mean([bound.high > 0.01 for bound in bounds]) <= 0.96
    assert 0.94 <= np.mean([bound.low < 0.01 for bound in bounds]) <= 0.96


def test_the_bound_of_the_standard_deviation_allows_for_heavy_tails():
    """Values whose fourth moment is three times a normal's; without its kurtosis the bound is too low too often."""
    draws = np.random.default_rng(0).laplace(0.9, 0.01 / np.sqrt(2), (4000, 5))
    for kurtosis, lowest, highest in ((0.0, 0.07, 0.12), (3.0, 0.0, 0.06)):
        bounds = [standard_deviation_upper_bound(values, kurtosis=kurtosis) for values in draws]
        assert lowest <= np.mean([bound.high <= 0.01 for bound in bounds]) <= highest


@pytest.mark.parametrize("n", [30, 200])
def test_the_exact_bound_misses_at_its_level_in_the_worst_case(n):
    """Documents are perfect, or with some probability wholly wrong: the truth is 1 - probability."""
    estimate = bootstrap_documents(
        np.full((n, 2), 30.0), accuracy, rng=np.random.default_rng(0), resamples=99, support=(0, 1)
    )
    assert (estimate.method, estimate.value, estimate.high) == ("exact", 1.0, 1.0)
    differing = np.linspace(0.0001, 0.5, 5000)
    seen_perfect_yet_outside = np.where(1 - differing < estimate.low, (1 - differing) ** n, 0)
    assert 0.9 * 0.025 < seen_perfect_yet_outside.max() <= 0.025


def beta_binomial(rng, shape, vectors, mean, correlation):
    """How many of a document's vectors differ: two vectors of one document correlate by `correlation`."""
    s = 1 / correlation - 1
    return rng.binomial(vectors, rng.beta(mean * s, (1 - mean) * s, shape))


@pytest.mark.parametrize("correlation", [0.02, 0.1, 0.3, 0.5])
@pytest.mark.parametrize(("n", "vectors"), [(30, 5), (120, 50), (200, 930)])
def test_the_exact_bound_by_vectors_covers_whatever_their_correlation_up_to_a_half(correlation, n, vectors):
    """Documents without a differing vector, though the truth lies beyond the bound, come at its level at most."""
    same = np.full((n, 2), 30.0)
    estimate = bootstrap_documents(
        same, accuracy, rng=np.random.default_rng(0), resamples=99, support=(0, 1), vectors=vectors
    )
    assert estimate.method == "exact"
    just_beyond = 1 - estimate.low + 1e-6
    rng = np.random.default_rng(vectors)
    seen_none = np.mean(
        [not beta_binomial(rng, n, vectors, just_beyond, correlation).any() for _ in range(4000)]
    )
    assert seen_none <= 0.025 + 3 * sqrt(0.025 * 0.975 / 4000)
    if correlation == 0.5 and vectors <= 100:
        assert seen_none >= 0.025 - 3 * sqrt(0.025 * 0.975 / 4000)


def test_documents_that_hardly_ever_differ_are_overrated_a_little_and_never_underrated():
    """Some runs see no document differ, most see a few, and on those BCa's far side is short."""

    def make(rng):
        wrong = beta_binomial(rng, 120, 50, 0.005, 0.3)
        columns = np.stack([50.0 - wrong, np.full(120, 50.0)], axis=1)
        estimate = bootstrap_documents(columns, accuracy, rng=rng, resamples=599, support=(0, 1), vectors=50)
        methods.append(estimate.method)
        return estimate

    methods: list[str] = []
    above, below = misses(make, 0.995, 600)
    assert 0.005 < methods.count("exact") / 600 < 0.05
    assert above <= 0.13
    assert below <= 0.03


@given(n=st.integers(1, 500), tail=st.floats(0.0005, 0.2), vectors=st.integers(1, 1000))
@settings(deadline=None, max_examples=60)
def test_the_exact_bound_by_vectors_is_never_wider_than_by_documents(n, tail, vectors):
    def bound(vectors):
        estimate = bootstrap_documents(
            np.full((n, 2), 3.0),
            accuracy,
            rng=np.random.default_rng(0),
            resamples=9,
            support=(0, 1),
            confidence=1 - 2 * tail,
            vectors=vectors,
        )
        assert estimate.p_value(estimate.low, "above") == pytest.approx(tail, rel=1e-6)
        assert_agrees(estimate, estimate.low - 1e-6, tail)
        assert_agrees(estimate, estimate.low + 1e-6, tail)
        return estimate.low

    assert bound(None) == bound(1) == pytest.approx(tail ** (1 / n))
    assert bound(1) <= bound(vectors) <= bound(2 * vectors) < 1
    assert bound(100) == bound(10_000)


def test_a_difference_that_is_zero_in_120_documents_clears_one_point_but_is_no_equivalence():
    same = np.tile([27.0, 27.0, 50.0], (120, 1))
    options = {"rng": np.random.default_rng(0), "resamples": 99, "support": (-1, 1)}
    assert bootstrap_documents(same, difference, **options).high > 0.03
    by_vectors = bootstrap_documents(same, difference, vectors=50, **options)
    assert by_vectors.low == -by_vectors.high
    assert by_vectors.high < 0.01
    assert by_vectors.p_value(0.01, "below") < 0.025
    assert equivalent(by_vectors, 0.01).holds is None

    a, b = np.full((120, 2), 50.0), np.full((90, 2), 40.0)
    two = bootstrap_two_samples(a, b, lambda a, b: accuracy(a) - accuracy(b), vectors=40, **options)
    assert two.high == bootstrap_documents(same[:90], difference, vectors=40, **options).high

    lowest = bootstrap_lowest(
        np.full((120, 6), 10.0),
        lambda sums: sums[..., :3] / sums[..., 3:],
        vectors=10,
        rng=np.random.default_rng(0),
        resamples=999,
        support=(0, 1),
    )
    assert 0.97 < lowest.low < 1


def test_vectors_are_not_counted_where_documents_do_differ():
    columns = documents(np.random.default_rng(0), 60, 0.8)
    options = {"resamples": 199, "support": (0, 1)}
    with_, without = (
        bootstrap_documents(columns, accuracy, rng=np.random.default_rng(0), vectors=vectors, **options)
        for vectors in (30, None)
    )
    assert with_ == without
    # one document of two has no answers at all: 0/0 in a quarter of the resamples, which is no constant
    gaps = np.array([[5.0, 5.0], [0.0, 0.0]])
    estimate = bootstrap_documents(gaps, accuracy, rng=np.random.default_rng(0), vectors=5, **options)
    assert estimate.vectors == 1


def test_nearly_perfect_documents_are_covered_less_and_never_overrated():
    # .9 wrong vectors of 900 are expected and three can exclude that: BCa on few differing documents
    def make(rng):
        columns = np.stack([rng.binomial(30, 0.999, 30), np.full(30, 30)], axis=1)
        return bootstrap_documents(columns, accuracy, rng=rng, resamples=999, support=(0, 1))

    above, below = misses(make, 0.999, 1000)
    assert above == 0
    assert below <= 0.085


# --- the bootstrap against an oracle and closed forms ------------------------------------------------


def widened(n, confidence=0.95):
    """The level at which BCa without the correction for n documents has the bounds that it has with it."""
    return 1 - 2 * stats.norm.cdf(sqrt(n / (n - 1)) * stats.t.ppf((1 - confidence) / 2, n - 1))


def test_intervals_of_a_mean_agree_with_scipy():
    values = np.random.default_rng(1).exponential(size=60)
    ours = bootstrap_documents(mean_of(values), accuracy, rng=np.random.default_rng(2), support=(0, inf))
    theirs = stats.bootstrap(
        (values,), np.mean, confidence_level=widened(60), method="BCa", rng=np.random.default_rng(3)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.03 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.03 * width)
    # of a mean: skewness / (6 sqrt(n))
    assert ours.acceleration == pytest.approx(stats.skew(values) / 6 / sqrt(60))
    assert ours.method == "BCa"


def test_intervals_of_two_samples_agree_with_scipy():
    rng = np.random.default_rng(4)
    a, b = rng.exponential(size=40), rng.lognormal(size=90)
    ours = bootstrap_two_samples(
        mean_of(a), mean_of(b), lambda a, b: accuracy(a) - accuracy(b), rng=rng, support=(-inf, inf)
    )
    theirs = stats.bootstrap(
        (a, b),
        lambda x, y, axis: x.mean(axis) - y.mean(axis),
        confidence_level=widened(40),
        method="BCa",
        rng=np.random.default_rng(5),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.03 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.03 * width)
    assert ours.n_documents == 40


def test_accuracy_is_the_ratio_of_sums_and_not_the_mean_of_ratios():
    columns = np.array([[1.0, 1.0], [0.0, 9.0], [5.0, 10.0]])
    estimate = bootstrap_documents(columns, accuracy, rng=np.random.default_rng(0), support=(0, 1))
    assert estimate.value == 6 / 20


def test_the_same_generator_gives_the_same_estimate():
    columns = documents(np.random.default_rng(0), 50, 0.8)
    first, again = (
        bootstrap_documents(columns, accuracy, rng=np.random.default_rng(7), support=(0, 1)) for _ in range(2)
    )
    assert first == again
    assert np.array_equal(first.replicates, again.replicates)
    assert "replicates" not in repr(first)


@pytest.mark.parametrize(("n", "width"), [(5000, 60), (30, 4000)])
def test_memory_stays_bounded(n, width):
    columns = np.random.default_rng(0).random((n, width))
    tracemalloc.start()
    try:
        bootstrap_documents(columns, accuracy, rng=np.random.default_rng(0), resamples=2000, support=(0, inf))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200e6


# --- what must not change an interval ----------------------------------------------------------------


counts = st.lists(
    st.integers(1, 20).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))),
    min_size=3,
    max_size=40,
)


def of_counts(rows, seed=0, **kwargs):
    columns = np.array(rows, dtype=np.float64)
    options = {"resamples": 199, "support": (0, 1)} | kwargs
    return bootstrap_documents(columns, accuracy, rng=np.random.default_rng(seed), **options)


@given(rows=counts)
@settings(deadline=None, max_examples=60)
def test_counting_every_vector_twice_does_not_narrow_the_interval(rows):
    assert of_counts([(2 * right, 2 * total) for right, total in rows]) == of_counts(rows)


@given(rows=counts, order=st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_the_order_of_the_documents_leaves_value_acceleration_and_method(rows, order):
    shuffled = rows.copy()
    order.shuffle(shuffled)
    one, other = of_counts(rows), of_counts(shuffled)
    assert one.value == other.value
    if one.method == other.method == "BCa":
        assert one.acceleration == pytest.approx(other.acceleration, abs=1e-9)


@given(rows=counts)
@settings(deadline=None, max_examples=60)
def test_the_order_of_the_columns_is_the_statistics_business(rows):
    swapped = bootstrap_documents(
        np.array(rows, dtype=np.float64)[:, ::-1],
        lambda sums: sums[..., 1] / sums[..., 0],
        rng=np.random.default_rng(0),
        resamples=199,
        support=(0, 1),
    )
    assert swapped == of_counts(rows)


def test_the_error_is_mirrored_by_counting_wrong_answers():
    columns = documents(np.random.default_rng(3), 40, 0.9)
    right = bootstrap_documents(columns, accuracy, rng=np.random.default_rng(0), support=(0, 1))
    wrong = bootstrap_documents(
        columns, lambda sums: 1 - accuracy(sums), rng=np.random.default_rng(0), support=(0, 1)
    )
    assert (wrong.low, wrong.high) == pytest.approx((1 - right.high, 1 - right.low))
    assert wrong.p_value(0.15, "below") == pytest.approx(right.p_value(0.85, "above"))


# --- p-values ----------------------------------------------------------------------------------------


def assert_agrees(estimate, threshold, tail):
    assert (estimate.p_value(threshold, "above") < tail) == (estimate.low > threshold)
    assert (estimate.p_value(threshold, "below") < tail) == (estimate.high < threshold)


@given(
    rows=counts,
    threshold=st.floats(0.001, 0.999),
    confidence=st.sampled_from([0.5, 0.9, 0.95, 0.98, 0.9999]),
)
@settings(deadline=None, max_examples=200)
def test_a_bootstrap_p_value_falls_below_the_level_exactly_when_the_bound_clears(rows, threshold, confidence):
    estimate = of_counts(rows, confidence=confidence)
    assume(min(abs(threshold - estimate.low), abs(threshold - estimate.high)) > 1e-9)
    assert_agrees(estimate, threshold, (1 - confidence) / 2)
    for replicate in estimate.replicates[::40] if estimate.method == "BCa" else ():
        assert_agrees(estimate, float(replicate), (1 - confidence) / 2)


@given(
    values=st.lists(st.floats(0, 1), min_size=2, max_size=10),
    threshold=st.floats(-0.5, 1.5),
    confidence=st.sampled_from([0.5, 0.9, 0.95]),
)
@settings(deadline=None, max_examples=200)
def test_a_jackknife_p_value_falls_below_the_level_exactly_when_the_bound_clears(
    values, threshold, confidence
):
    estimate = jackknife_groups(np.array(values), confidence=confidence, support=(0, 1))
    assume(min(abs(threshold - estimate.low), abs(threshold - estimate.high)) > 1e-9)
    assert_agrees(estimate, threshold, (1 - confidence) / 2)


def test_the_lowest_and_the_standard_deviation_have_p_values_that_agree_too():
    rng = np.random.default_rng(0)
    lowest = bootstrap_lowest(rng.random((50, 6)), lambda sums: sums / 50, rng=rng, support=(0, 1))
    spread = standard_deviation_upper_bound(rng.normal(size=6), lower_bound=True)
    for threshold in np.linspace(0.05, 3, 200):
        assert_agrees(lowest, threshold, 0.025)
        assert_agrees(spread, threshold, 0.05)  # one-sided


def test_a_p_value_rises_with_the_threshold_and_is_not_floored_by_the_number_of_resamples():
    estimate = of_counts(documents(np.random.default_rng(0), 40, 0.8), resamples=499)
    p_values = [estimate.p_value(threshold, "above") for threshold in np.linspace(-0.1, 1.1, 300)]
    assert p_values == sorted(p_values)
    assert p_values[0] == 0  # no accuracy lies below 0
    assert 0 < estimate.p_value(0.1, "above") < estimate.p_value(0.3, "above") < 1e-5
    assert p_values[-1] == 1
    assert estimate.p_value(nan, "above") is nan
    with pytest.raises(ValueError, match="above"):
        estimate.p_value(0.5, "greater")


# --- data that has no spread, or no statistic --------------------------------------------------------


def test_constant_data_never_gives_an_interval_without_width():
    estimate = of_counts([(3, 10)] * 50)
    share = 1 - 0.025 ** (1 / 50)
    assert estimate.method == "exact"
    assert estimate.low == pytest.approx(0.3 - share * 0.3)
    assert estimate.high == pytest.approx(0.3 + share * 0.7)
    assert estimate.p_value(estimate.low, "above") == pytest.approx(0.025)
    assert estimate.p_value(estimate.high, "below") == pytest.approx(0.025)


def test_rounding_is_not_taken_for_spread():
    columns = np.tile([0.1, 0.3, 0.7], (40, 1))
    estimate = bootstrap_documents(
        columns,
        lambda sums: (sums[..., 0] / sums[..., 2]) - (sums[..., 0] / sums[..., 2] + 0.1 - 0.1),
        rng=np.random.default_rng(0),
        resamples=199,
        support=(-1, 1),
    )
    assert estimate.method == "exact"
    assert estimate.low < -0.05
    assert estimate.high > 0.05


def test_constant_data_without_a_support_leave_everything_open():
    estimate = of_counts([(3, 10)] * 50, support=(-inf, inf))
    assert (estimate.low, estimate.high) == (-inf, inf)
    assert estimate.p_value(0.0, "above") == 1


def test_one_document_says_next_to_nothing():
    estimate = of_counts([(9, 10)])
    assert estimate.low < 0.05
    assert estimate.high > 0.95


def test_constant_two_samples_take_pairs_of_documents_as_unit():
    estimate = bootstrap_two_samples(
        np.full((40, 2), 5.0),
        np.tile([4.0, 5.0], (90, 1)),
        lambda a, b: accuracy(a) - accuracy(b),
        rng=np.random.default_rng(0),
        resamples=99,
        support=(-1, 1),
    )
    share = 1 - 0.025 ** (1 / 40)
    assert estimate.method == "exact"
    assert estimate.low == pytest.approx(0.2 - share * 1.2)


def test_replicates_that_are_undefined_widen_both_sides():
    # two of six documents carry a total: about one resample in eleven has none and is 0/0
    rows = [(1, 2), (2, 3)] + [(0, 0)] * 4
    estimate = of_counts(rows, resamples=999)
    assert 0.05 < np.mean(np.isnan(estimate.replicates)) < 0.15
    assert (estimate.low, estimate.high) == (0, 1)


def test_an_undefined_statistic_has_no_bounds_and_no_p_value():
    estimate = of_counts([(0, 0)] * 5)
    assert isnan(estimate.value)
    assert isnan(estimate.low)
    assert isnan(estimate.high)
    assert isnan(estimate.p_value(0.5, "above"))
    assert documents_to_decide(estimate, 0.5) is None


def test_a_statistic_that_resampling_biases_is_not_given_a_bca_interval():
    rng = np.random.default_rng(0)
    columns = rng.random((100, 30))
    estimate = bootstrap_documents(columns, lambda sums: sums.min(axis=-1) / 100, rng=rng, support=(0, 1))
    assert (estimate.method, estimate.low, estimate.high) == ("bound", 0, 1)
    assert estimate.p_value(0.2, "above") == 1


def test_identical_folds_leave_the_whole_support():
    estimate = jackknife_groups(np.full(5, 0.3), support=(0, 1))
    assert (estimate.method, estimate.low, estimate.high) == ("bound", 0, 1)
    assert estimate.p_value(0.1, "above") == estimate.p_value(0.9, "below") == 1
    assert jackknife_groups(np.full(5, 0.3)).high == inf


def test_identical_folds_of_a_coarse_statistic_are_taken_to_differ_by_a_step():
    stepped = jackknife_groups(np.full(5, 0.3), support=(0, 1), resolution=0.01)
    one_step_off = jackknife_groups(np.array([0.3, 0.3, 0.3, 0.3, 0.31]), value=0.3)
    assert stepped.method == "jackknife"
    assert stepped.high == pytest.approx(one_step_off.high)


def test_identical_resplits_do_not_show_stability():
    estimate = standard_deviation_upper_bound(np.full(5, 0.9))
    assert (estimate.value, estimate.high, estimate.method) == (pytest.approx(0), inf, "bound")
    assert estimate.p_value(0.01, "below") == 1


@pytest.mark.parametrize("values", [np.array([0.1, nan, 0.2]), np.array([0.1, inf, 0.2])])
def test_folds_that_are_not_finite_have_no_bounds(values):
    with np.errstate(invalid="ignore"):
        assert isnan(jackknife_groups(values).low)
        assert isnan(standard_deviation_upper_bound(values).high)


# --- closed forms of the rest ------------------------------------------------------------------------


def test_a_jackknife_of_means_is_the_t_interval_of_the_group_means():
    groups = np.random.default_rng(0).normal(size=(5, 40))
    left_out = np.array([np.delete(groups, fold, axis=0).mean() for fold in range(5)])
    estimate = jackknife_groups(left_out, n_documents=200)
    t_test = stats.ttest_1samp(groups.mean(axis=1), 0)
    assert (estimate.low, estimate.high) == pytest.approx(tuple(t_test.confidence_interval(0.95)))
    both = 2 * min(estimate.p_value(0, "above"), estimate.p_value(0, "below"))
    assert both == pytest.approx(t_test.pvalue)
    assert estimate.n_documents == 200


def test_the_bound_of_the_standard_deviation_is_the_chi_square_one():
    values = np.array([0.91, 0.92, 0.90, 0.93, 0.91])
    estimate = standard_deviation_upper_bound(values)
    assert estimate.value == pytest.approx(values.std(ddof=1))
    assert estimate.high == pytest.approx(values.std(ddof=1) * sqrt(4 / stats.chi2.ppf(0.05, 4)))
    assert estimate.low == 0
    heavy = standard_deviation_upper_bound(values, kurtosis=1.5)
    freedom = 2 / (2 / 4 + 1.5 / 5)
    assert heavy.high == pytest.approx(values.std(ddof=1) * sqrt(freedom / stats.chi2.ppf(0.05, freedom)))
    assert (heavy.p_value(heavy.high, "below"), heavy.value) == (pytest.approx(0.05), estimate.value)


def test_false_equivalence_at_the_border_stays_at_its_level_and_power_is_as_printed():
    def share_equivalent(truth, n, seeds):
        held = 0
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            columns = mean_of(rng.normal(truth, 0.05, n))
            estimate = bootstrap_documents(
                columns, accuracy, rng=rng, resamples=999, confidence=0.9, support=(-1, 1)
            )
            decision = equivalent(estimate, 0.01)
            assert (decision.p_value < 0.05) == bool(decision.holds)
            held += bool(decision.holds)
        return held / seeds

    assert 0.025 <= share_equivalent(0.01, 200, 600) <= 0.07
    assert 0.025 <= share_equivalent(-0.01, 200, 600) <= 0.07
    assert share_equivalent(0, 200, 300) == pytest.approx(0.77, abs=0.08)
    assert share_equivalent(0, 400, 200) >= 0.96


def test_a_clear_difference_is_not_equivalent_and_a_wide_interval_is_open():
    values = np.random.default_rng(0).normal(0.1, 0.05, 200)
    options = {"rng": np.random.default_rng(1), "confidence": 0.9, "support": (-1, 1)}
    clear = bootstrap_documents(mean_of(values), accuracy, **options)
    assert equivalent(clear, 0.01).holds is False
    assert equivalent(clear, 0.1).holds is None
    with pytest.raises(ValueError, match="positive"):
        equivalent(clear, 0)


def test_identical_runs_are_not_equivalent():
    same = np.tile([27.0, 27.0, 30.0], (1000, 1))
    estimate = bootstrap_documents(
        same, difference, rng=np.random.default_rng(0), resamples=99, confidence=0.9, support=(-1, 1)
    )
    assert estimate.high < 0.01
    assert equivalent(estimate, 0.01).holds is None
    assert equivalent(estimate, 0.01).p_value == 1
    assert equivalent(jackknife_groups(np.zeros(5), confidence=0.9), 0.01).holds is None


def test_a_difference_that_is_large_in_every_document_is_not_equivalent():
    same = np.tile([27.0, 3.0, 30.0], (100, 1))
    estimate = bootstrap_documents(
        same, difference, rng=np.random.default_rng(0), resamples=99, confidence=0.9, support=(-1, 1)
    )
    assert estimate.method == "exact"
    assert equivalent(estimate, 0.01).holds is False
    assert equivalent(estimate, 0.01).p_value == 1


def test_pages_test_finds_a_trend_and_its_level_without_one():
    rng = np.random.default_rng(0)
    rising = np.arange(5) + rng.normal(size=(5, 5))
    assert page_trend(rising).low > 0.3
    assert page_trend(rising).p_value(0, "above") < 0.001
    assert page_trend(rising[:, ::-1]).high < -0.3
    none = [page_trend(values) for values in rng.normal(size=(400, 5, 5))]
    assert np.mean([e.p_value(0, "above") < 0.05 for e in none]) <= 0.08
    assert all((e.low > 0) == (e.p_value(0, "above") < 0.05) for e in none)
    with pytest.raises(ValueError, match="finite"):
        page_trend(np.array([[1.0, nan, 2.0]]))


@pytest.mark.parametrize("ties", [False, True])
def test_pages_test_is_the_one_that_scipy_has(ties):
    """scipy's asymptotic p-value is the normal tail that the estimate is held against."""
    values = np.arange(4) * 0.3 + np.random.default_rng(1).normal(size=(40, 4))
    values = values.round() if ties else values
    expected = stats.page_trend_test(values, method="asymptotic").pvalue
    assert page_trend(values).p_value(0, "above") == pytest.approx(expected, rel=1e-6)


@given(st.lists(st.none() | st.floats(0, 1), max_size=30))
@settings(deadline=None, max_examples=25)
def test_holm_is_that_of_statsmodels_and_passes_over_rows_without_a_p_value(p_values):
    adjusted = holm(p_values)
    assert [p is None for p in adjusted] == [p is None for p in p_values]
    tested = [p for p in p_values if p is not None]
    expected = multipletests(tested, method="holm")[1] if tested else []
    assert [p for p in adjusted if p is not None] == pytest.approx(expected)


@pytest.mark.parametrize("wrong", [nan, -0.1, 1.1])
def test_holm_refuses_what_is_not_a_p_value(wrong):
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.01, wrong, None])


def test_the_documents_that_would_decide_follow_the_square_root():
    estimate = Estimate(value=0.625, low=0.5, high=0.875, confidence=0.95, method="BCa", n_documents=100)
    assert documents_to_decide(estimate, 0.5625) == 400
    assert documents_to_decide(estimate, 0.6875) == 1600
    assert documents_to_decide(estimate, 0.625) is None
    assert documents_to_decide(jackknife_groups(np.zeros(5)), 0.5) is None


def test_the_documents_that_would_decide_an_exact_bound_do():
    estimate = of_counts([(10, 10)] * 30)
    needed = documents_to_decide(estimate, 0.99)
    assert of_counts([(10, 10)] * needed).low > 0.99
    assert of_counts([(10, 10)] * (needed - 1)).low <= 0.99


def test_the_documents_that_would_decide_an_exact_bound_by_vectors_do():
    def perfect(n):
        return bootstrap_documents(
            np.full((n, 2), 30.0),
            accuracy,
            rng=np.random.default_rng(0),
            resamples=9,
            support=(0, 1),
            vectors=30,
        )

    needed = documents_to_decide(perfect(30), 0.99)
    assert needed < documents_to_decide(of_counts([(10, 10)] * 30), 0.99)
    assert perfect(needed).low > 0.99
    assert perfect(needed - 1).low <= 0.99


@pytest.mark.parametrize(
    "call",
    [
        lambda: of_counts([(1, 2)] * 5, confidence=1.0),
        lambda: of_counts([(1, 2)] * 5, resamples=0),
        lambda: of_counts(np.empty((0, 2))),
        lambda: bootstrap_documents(np.ones(5), accuracy, rng=np.random.default_rng(0), support=(0, 1)),
        lambda: jackknife_groups(np.array([0.5])),
        lambda: standard_deviation_upper_bound(np.array([0.5])),
    ],
)
def test_nonsense_is_refused(call):
    with pytest.raises(ValueError, match=r"confidence|resample|document|numbers"):
        call()


def test_importing_the_module_does_not_import_scipy():
    code = "import sys, layerclaims.statistics.bootstrap; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
