"""How often verdicts are wrong, on plants with a known truth; `make calibrate` measures the same with more of them.

At the border the truth lies exactly at the pass mark. REPLICATED is wrong there at the worst rate that is possible, and
alpha bounds that rate. The numbers that the package carries have to be what the rows do.
"""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from layerclaims.metrics import attribution
from layerclaims.verdicts import calibration
from layerclaims.verdicts.registry import post_claims
from layerclaims.verdicts.verdict import Verdict
from scipy import optimize
from scipy.stats import binom, binomtest

from tests.claims import calibrate
from tests.claims.plants import PLANTS, SECOND, plant_of
from tests.claims.synthetic import Drawn

R, N, U = Verdict.REPLICATED, Verdict.NOT_REPLICATED, Verdict.INCONCLUSIVE
ALPHA = calibrate.ALPHA
CLEAR, NEAR = range(5), range(10)  # seeds
DOCS = Path(__file__).parents[2] / "docs"

KEPT = json.loads(calibration.FILE.read_text(encoding="utf-8"))["rows"]
every_plant = pytest.mark.parametrize(
    ("row", "second"),
    [*((row, False) for row in PLANTS), *((row, True) for row in SECOND)],
    ids=[*PLANTS, *(f"{row}, second condition" for row in SECOND)],
)


def verdicts(row, knob, seeds, *, second=False):
    return Counter(calibrate.judged(row, knob, seed, second=second)[0] for seed in seeds)


def kept(row, *, second=False):
    return KEPT[row]["second"] if second else KEPT[row]


def border(row, *, second=False):
    return calibrate.at_border(kept(row, second=second))


@pytest.mark.parametrize(("count", "n"), [(0, 200), (3, 200), (100, 200), (199, 200), (200, 200)])
def test_shares_have_exact_intervals(count, n):
    interval = binomtest(count, n).proportion_ci(calibration.CONFIDENCE, method="exact")
    assert calibration.share_of(count, n) == pytest.approx((count / n, interval.low, interval.high))


def test_every_row_has_a_plant_and_is_calibrated():
    assert set(PLANTS) == set(post_claims())
    assert list(KEPT) == list(PLANTS)
    assert {row for row in KEPT if "second" in KEPT[row]} == set(SECOND)


@every_plant
def test_what_was_calibrated_is_what_is_planted(row, second):
    found, plant = kept(row, second=second), plant_of(row, second=second)
    assert tuple(cell["knob"] for cell in found["cells"]) == plant.knobs
    assert found["plant"] == plant.what
    assert found["border"] == plant.border


@every_plant
def test_a_clear_truth_is_found(row, second):
    plant = plant_of(row, second=second)
    for knob, expected, opposite in ((plant.knobs[0], N, R), (plant.knobs[-1], R, N)):
        found = verdicts(row, knob, CLEAR, second=second)
        assert found[opposite] == 0, (knob, found)
        # nine plants of ten are found by calibration where few are: all of five would be chance
        assert found[expected] >= len(CLEAR) - 1, (knob, found)


@every_plant
def test_a_clear_truth_was_found_in_four_of_five_plants_or_more(row, second):
    """By calibration."""
    cells = kept(row, second=second)["cells"]
    for cell, name in ((cells[0], "not_replicated"), (cells[-1], "replicated")):
        assert cell[name] >= 0.8 * cell["plants"], cell


@every_plant
def test_a_truth_at_the_border_is_seldom_decided(row, second):
    found = verdicts(row, plant_of(row, second=second).border, NEAR, second=second)
    assert found[U] > found[R] + found[N], found


@every_plant
def test_a_truth_near_the_border_is_undecided_oftener_than_decided_wrongly(row, second):
    """By the plants that `make calibrate` drew on either side of the border, nearest to it."""
    plant = plant_of(row, second=second)
    cells = {cell["knob"]: cell for cell in kept(row, second=second)["cells"]}
    false, true = cells[plant.outside[1]], cells[plant.inside[0]]
    for cell, wrong, right in (
        (false, "replicated", "not_replicated"),
        (true, "not_replicated", "replicated"),
    ):
        assert cell[wrong] <= ALPHA * cell["plants"]
        assert cell["inconclusive"] + cell[right] > cell[wrong]


def test_the_commit_of_every_calibration_is_stated():
    for row in KEPT.values():
        assert re.fullmatch("[0-9a-f]{10}( with changes)?", row["commit"])
        assert row["commit"] in (DOCS / "calibration.md").read_text(encoding="utf-8")


@every_plant
def test_no_row_errs_oftener_than_alpha_by_more_than_chance(row, second):
    cell, clear = border(row, second=second), kept(row, second=second)["cells"]
    assert cell["plants"] >= 200
    for verdict in ("replicated", "not_replicated"):
        assert binom.sf(cell[verdict] - 1, cell["plants"], ALPHA) > 0.01 / len(PLANTS), (verdict, cell)
    assert clear[0]["replicated"] == clear[-1]["not_replicated"] == 0


@every_plant
def test_the_border_lies_where_the_success_region_begins(row, second):
    cell, found = border(row, second=second), kept(row, second=second)
    if plant_of(row, second=second).truth == "knob":
        assert cell["knob"] == pytest.approx(cell["truth"])
        return
    outside, inside = found["cells"][1]["truth"], found["cells"][3]["truth"]
    assert abs(cell["truth"] - found["threshold"]) < 0.25 * abs(inside - outside)


@every_plant
def test_what_was_calibrated_is_what_the_row_does_now(row, second):
    verdict, estimate = kept(row, second=second)["first"][0]
    found = calibrate.judged(row, plant_of(row, second=second).border, 0, second=second)
    assert str(found[0]) == verdict
    assert found[1] == pytest.approx(estimate, abs=1e-4)


def test_the_page_says_what_the_package_says():
    assert (DOCS / "calibration.md").read_text(encoding="utf-8") == calibrate.page(KEPT)


def test_a_row_that_was_not_calibrated_has_no_rates():
    assert calibration.rates("no-such-row") is None


def test_rates_are_those_of_the_border():
    rates, found = calibration.rates("transfer-beats-chance"), border("transfer-beats-chance")
    assert rates["plants"] == found["plants"]
    for verdict in ("replicated", "not_replicated"):
        assert rates[f"false_{verdict}"] == found[verdict] / found["plants"]
        low, high = rates[f"false_{verdict}_interval"]
        assert 0 <= low <= rates[f"false_{verdict}"] <= high <= 1


def test_a_path_that_no_fold_could_put_in_another_order_is_decided():
    """Equal numbers without each fold: the order's least step stands in for a spread that cannot be seen."""
    assert calibrate.judged("pca-shows-drift", 1.0, 0)[0] is R


# --- as published: three independent runs in place of the folds' probes


FEATURES, LAYERS = 64, 6
SIGNS = np.random.default_rng(3).choice([-1.0, 1.0], size=(FEATURES, LAYERS))
DRAWS = 300


def runs_of(rng, weights, n=3):
    """Weights [n, d, K] of independent runs, each with errors of its own."""
    return weights * (1 + 0.2 * rng.normal(size=(n, *weights.shape)))


def dominating_runs(share, layers):
    """Weights of which dimension 7 has that share, before errors, in some layers."""
    weights = np.ones((FEATURES, LAYERS))
    weights[7, :layers] = share * (FEATURES - 1) / (1 - share)
    return weights * SIGNS


def even_runs(evenness):
    """Weights that fall off by exp(-1 / evenness) from one dimension to the next."""
    return np.exp(-np.arange(FEATURES) / evenness)[:, None] * SIGNS


def mean_share(weights):
    """What dimension 7 has on average over many runs of the first layer: the truth, whatever the errors do to it."""
    runs = runs_of(np.random.default_rng(1), weights, 1000)
    return np.mean([attribution.contribution_shares(one)[7, 0] for one in runs])


def mean_evenness(weights):
    runs = runs_of(np.random.default_rng(1), weights, 1000)
    return np.mean(
        [attribution.dimensions_needed(attribution.contribution_shares(one), 0.9).min() for one in runs]
    )


def published_verdicts(row, weights, n=DRAWS):
    found = Counter()
    for seed in range(n):
        rng = np.random.default_rng([seed, 50])
        counts = {"raw": np.full((60, LAYERS), 10)}
        study = Drawn(
            seed=seed, labels=LAYERS, counts=counts, weights=runs_of(rng, weights), name="as-published"
        )
        found[study.judge(row).verdict] += 1
    return found


def assert_seldom_wrong(found):
    for verdict in (R, N):
        assert binom.sf(found[verdict] - 1, DRAWS, ALPHA) > 0.01, found


@pytest.mark.parametrize("layers", [1, LAYERS])
def test_three_runs_seldom_decide_of_a_dimension_at_the_border(layers):
    """Also where it stands at the border in every layer, so that the largest of them is chosen by chance."""
    share = optimize.brentq(lambda s: mean_share(dominating_runs(s, layers)) - 0.05, 0.03, 0.08, xtol=1e-4)
    assert_seldom_wrong(published_verdicts("no-dimension-dominates", dominating_runs(share, layers)))


def test_three_runs_decide_of_a_dimension_that_clearly_dominates_or_does_not():
    """Student's t of two degrees of freedom is wide: a share of .15 stays undecided in most draws."""
    row = "no-dimension-dominates"
    found = published_verdicts(row, dominating_runs(0.6, 1), 20)
    assert found[N] >= 18
    assert not found[R]
    assert published_verdicts(row, dominating_runs(0.02, 1), 20) == {R: 20}


def test_three_runs_seldom_decide_of_a_distribution_at_the_border():
    evenness = optimize.brentq(lambda k: mean_evenness(even_runs(k)) / FEATURES - 0.5, 5, 40, xtol=0.01)
    assert_seldom_wrong(published_verdicts("contribution-is-distributed", even_runs(evenness)))


def test_three_runs_decide_of_a_clear_distribution():
    row = "contribution-is-distributed"
    assert published_verdicts(row, even_runs(4), 20) == {N: 20}
    assert published_verdicts(row, even_runs(200), 20)[R] >= 18
