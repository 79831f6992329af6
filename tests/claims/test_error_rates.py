"""How often verdicts are wrong, on plants with a known truth; `make calibrate` measures the same with more of them.

A truth at the border is outside by nothing: REPLICATED is false there at the worst rate that is possible, which
alpha bounds. The numbers that the package carries have to be what the rows do.
"""

import json
from collections import Counter
from pathlib import Path

import pytest
from layerclaims.verdicts import calibration
from layerclaims.verdicts.registry import post_claims
from layerclaims.verdicts.verdict import Verdict
from scipy.stats import binom, binomtest

from tests.claims import calibrate
from tests.claims.plants import PLANTS

R, N, U = Verdict.REPLICATED, Verdict.NOT_REPLICATED, Verdict.INCONCLUSIVE
ALPHA = calibrate.ALPHA
CLEAR, NEAR = range(5), range(10)  # seeds
DOCS = Path(__file__).parents[2] / "docs"

KEPT = json.loads(calibration.FILE.read_text(encoding="utf-8"))["rows"]


def verdicts(row, knob, seeds):
    return Counter(calibrate.judged(row, knob, seed)[0] for seed in seeds)


def border(row):
    (cell,) = (cell for cell in KEPT[row]["cells"] if cell["knob"] == KEPT[row]["border"])
    return cell


@pytest.mark.parametrize(("count", "n"), [(0, 200), (3, 200), (100, 200), (199, 200), (200, 200)])
def test_shares_have_exact_intervals(count, n):
    interval = binomtest(count, n).proportion_ci(calibration.CONFIDENCE, method="exact")
    assert calibration.share_of(count, n) == pytest.approx((count / n, interval.low, interval.high))


def test_every_row_has_a_plant_and_is_calibrated():
    assert set(PLANTS) == set(post_claims())
    assert list(KEPT) == list(PLANTS)
    for row, plant in PLANTS.items():
        assert tuple(cell["knob"] for cell in KEPT[row]["cells"]) == plant.knobs, row
        assert KEPT[row]["plant"] == plant.what


# found in two plants of three only, by calibration: with five folds the bounds are wide, the more so where five of 32
# dimensions hold all, or where accuracy is so near to 1 that few documents have all the errors
UNDECIDED = {("contribution-is-distributed", N), ("accuracy-stable-across-runs", R)}
# found in 46 plants of 50 by calibration: all of five would be chance
SELDOM_UNDECIDED = {("top-dimensions-recur-across-runs", N)}


@pytest.mark.parametrize("row", PLANTS)
def test_a_clear_truth_is_found(row):
    plant = PLANTS[row]
    for knob, expected, opposite in ((plant.knobs[0], N, R), (plant.knobs[-1], R, N)):
        found = verdicts(row, knob, CLEAR)
        assert found[opposite] == 0, (knob, found)
        if (row, expected) not in UNDECIDED:
            # the shuffled-label control of a separable model misses chance on one run in twenty
            missed = "separable" in row or (row, expected) in SELDOM_UNDECIDED
            assert found[expected] >= len(CLEAR) - missed, (knob, found)


@pytest.mark.parametrize("row", PLANTS)
def test_a_clear_truth_was_found_in_four_of_five_plants_or_more(row):
    """By calibration; the shuffled-label control of a separable model misses chance on one run in twenty."""
    first, last = KEPT[row]["cells"][0], KEPT[row]["cells"][-1]
    for cell, name, expected in ((first, "not_replicated", N), (last, "replicated", R)):
        share = 0.6 if (row, expected) in UNDECIDED else 0.8
        assert cell[name] >= share * cell["plants"], cell


@pytest.mark.parametrize("row", PLANTS)
def test_a_truth_at_the_border_is_seldom_decided(row):
    found = verdicts(row, PLANTS[row].border, NEAR)
    assert found[U] > found[R] + found[N], found


@pytest.mark.parametrize("row", PLANTS)
def test_a_truth_near_the_border_is_undecided_oftener_than_decided_wrongly(row):
    """By the plants that `make calibrate` drew on either side of the border, nearest to it."""
    cells = {cell["knob"]: cell for cell in KEPT[row]["cells"]}
    false, true = cells[PLANTS[row].outside[1]], cells[PLANTS[row].inside[0]]
    for cell, wrong, right in (
        (false, "replicated", "not_replicated"),
        (true, "not_replicated", "replicated"),
    ):
        assert cell[wrong] <= ALPHA * cell["plants"]
        assert cell["inconclusive"] + cell[right] > cell[wrong]


@pytest.mark.parametrize("row", PLANTS)
def test_no_row_errs_oftener_than_alpha_by_more_than_chance(row):
    rates = calibration.rates(row)
    assert rates["plants"] >= 200
    for verdict in ("false_replicated", "false_not_replicated"):
        count = round(rates[verdict] * rates["plants"])
        assert binom.sf(count - 1, rates["plants"], ALPHA) > 0.01 / len(PLANTS), (verdict, rates)
        low, high = rates[f"{verdict}_interval"]
        assert 0 <= low <= rates[verdict] <= high <= 1
    clear = {cell["knob"]: cell for cell in KEPT[row]["cells"]}
    for knob, wrong in ((PLANTS[row].knobs[0], "replicated"), (PLANTS[row].knobs[-1], "not_replicated")):
        assert clear[knob][wrong] == 0


@pytest.mark.parametrize("row", PLANTS)
def test_the_border_lies_where_the_success_region_begins(row):
    cell = border(row)
    if PLANTS[row].truth == "knob":
        assert cell["knob"] == pytest.approx(cell["truth"])
        return
    outside, inside = KEPT[row]["cells"][1]["truth"], KEPT[row]["cells"][3]["truth"]
    assert abs(cell["truth"] - KEPT[row]["threshold"]) < 0.25 * abs(inside - outside)


@pytest.mark.parametrize("row", PLANTS)
def test_what_was_calibrated_is_what_the_row_does_now(row):
    verdict, estimate = KEPT[row]["first"][0]
    found = calibrate.judged(row, PLANTS[row].border, 0)
    assert str(found[0]) == verdict
    assert found[1] == pytest.approx(estimate, abs=1e-4)


def test_the_page_says_what_the_package_says():
    assert (DOCS / "calibration.md").read_text(encoding="utf-8") == calibrate.page(KEPT)


def test_a_row_that_was_not_calibrated_has_no_rates():
    assert calibration.rates("no-such-row") is None


def test_rates_are_those_of_the_border():
    row = "transfer-beats-chance"
    assert calibration.rates(row)["false_replicated"] == border(row)["replicated"] / border(row)["plants"]


def test_a_path_that_no_fold_could_put_in_another_order_is_decided():
    """Equal numbers without each fold: the order's least step stands in for a spread that cannot be seen."""
    assert calibrate.judged("pca-shows-drift", 1.0, 0)[0] is R
