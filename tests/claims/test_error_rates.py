"""How often verdicts are wrong, on drawn measurements with a known truth, for every seed of a declared range.

For each row: a truth well inside the success region, one well outside, and one at its border. A truth at the border
is outside by nothing: REPLICATED is false there at the worst rate that is possible, which alpha bounds.
"""

from collections import Counter
from math import sqrt

import numpy as np
import pytest
from scipy import optimize

from harness.claim import Verdict, quarter
from harness.measure import norms
from tests.claims import planted
from tests.claims.synthetic import Drawn, answers

R, N, U = Verdict.REPLICATED, Verdict.NOT_REPLICATED, Verdict.INCONCLUSIVE
LABELS, TOTALS = 5, 10
ALPHA = 0.05
BORDER_SEEDS, CLEAR_SEEDS = range(120), range(20)

CONTROL = 1 / LABELS


def drawn(seed, documents, means, *, totals=TOTALS, **more):
    """A study of main-corpus series (name -> mean accuracy, the best first) and others of their own."""
    rng = np.random.default_rng([seed, 17])
    size = {"documents": documents, "labels": LABELS, "totals": totals}
    counts = dict(zip(means, answers(rng, *means.values(), **size), strict=True))
    for name, mean in more.items():
        counts[name.replace("_", " ")] = answers(rng, mean, **size)[0]
    return Drawn(seed=seed, labels=LABELS, counts=counts, totals=totals)


def separable(seed, truth):
    return drawn(seed, 60, {"raw": truth}, shuffled=CONTROL)


def every_layer(seed, truth):
    """One layer has the lowest recall."""
    rng = np.random.default_rng([seed, 18])
    size = {"documents": 60, "labels": 1, "totals": TOTALS}
    columns = answers(rng, *[0.9] * (LABELS - 1), truth, **size)
    return Drawn(seed=seed, labels=LABELS, counts={"raw": np.hstack(columns)}, totals=TOTALS)


def norm_matters(seed, truth):
    return drawn(seed, 80, {"raw": 0.85, "unit": 0.85 - truth})


def not_only_norm(seed, truth):
    return drawn(seed, 60, {"raw": 0.9, "unit": 0.85, "norm": 0.9 - truth})


def random_vectors(seed, truth):
    return drawn(seed, 60, {"random": truth})


def masking(seed, truth):
    means = {"raw": 0.95, "masked at random": 0.94, "masked to mean": 0.94, "masked widest": 0.94}
    return drawn(seed, 200, {**means, "masked": 0.95 - truth}, totals=30)


def corpora_differ(seed, truth):
    return drawn(seed, 100, {"raw": 0.93}, transfer=0.93 - truth, transfer_back=0.8)


def transfer(seed, truth):
    return drawn(seed, 60, {"transfer": truth})


def growth(seed, truth):
    """Mean norms of states 1..L: `truth` of the way from a straight line to an exponential, by the error of both."""
    layers = np.arange(1, 9)
    line, curve = 1.0 + 0.6 * layers, np.exp(0.2 * layers)

    def advantage(share):
        mean = (1 - share) * line + share * curve
        linear, log_linear = norms.fit_errors(mean)
        return linear - log_linear

    even = optimize.brentq(advantage, 0, 1)  # both laws are equally wrong
    share = even * truth if truth <= 1 else even + (1 - even) * (truth - 1)
    mean = (1 - share) * line + share * curve
    rng = np.random.default_rng([seed, 19])
    documents = 80
    noise = np.exp(0.05 * rng.normal(size=(documents, 1)) + 0.05 * rng.normal(size=(documents, 8)))
    sums = np.hstack([np.ones((documents, 1)), mean * noise, np.ones((documents, 1))])
    return Drawn(seed=seed, labels=9, sums=sums)


def dominating(seed, truth):
    """One dimension's share in one layer, as five folds estimate it: each fold's documents err by themselves."""
    rng = np.random.default_rng([seed, 20])
    errors = 0.05 * truth * rng.normal(size=5)
    shares = truth + (errors.sum() - errors) / 4
    d = 100
    weights = np.full((5, d, LABELS), 1.0)
    weights[:, 7, 2] = shares / (1 - shares) * (d - 1)
    counts = {"raw": np.full((60, LABELS), TOTALS)}
    return Drawn(seed=seed, labels=LABELS, counts=counts, totals=TOTALS, weights=weights)


FAR, LOW = quarter(0.25, LABELS), quarter(0.10, LABELS)
# row, how it is drawn, truth at the border, clearly inside, clearly outside
ROWS = {
    "layers-linearly-separable": (separable, FAR, 0.6, 0.25),
    "every-layer-recognised": (every_layer, LOW, 0.5, 0.15),
    "norm-is-a-feature": (norm_matters, 0.01, 0.08, -0.06),
    "norm-is-not-the-only-feature": (not_only_norm, 0.05, 0.2, -0.01),
    "random-vectors-fail": (random_vectors, LOW, 0.15, 0.45),
    "layer-norms-grow-exponentially": (growth, 1.0, 2.0, 0.0),
    "no-dimension-dominates": (dominating, 0.05, 0.02, 0.12),
    "masking-recurring-dimensions-is-negligible": (masking, 0.01, 0.0, 0.05),
    "accuracy-drops-on-another-corpus": (corpora_differ, 0.02, 0.15, -0.05),
    "transfer-beats-chance": (transfer, FAR, 0.6, 0.25),
}


def verdicts(row, make, truth, seeds):
    return Counter(planted.verdict(row, make(seed, truth))[0] for seed in seeds)


@pytest.mark.parametrize("row", ROWS)
def test_a_truth_at_the_border_is_seldom_decided_and_never_oftener_than_alpha_the_wrong_way(row):
    make, border, _, _ = ROWS[row]
    found = verdicts(row, make, border, BORDER_SEEDS)
    runs = len(BORDER_SEEDS)
    most = ALPHA + 2.5 * sqrt(ALPHA * (1 - ALPHA) / runs)
    assert found[R] / runs <= most, found
    assert found[N] / runs <= most + 0.02, found
    assert found[U] > found[R] + found[N], found


@pytest.mark.parametrize("row", ROWS)
def test_a_clear_truth_is_found(row):
    make, _, inside, outside = ROWS[row]
    for truth, expected, opposite in ((inside, R, N), (outside, N, R)):
        found = verdicts(row, make, truth, CLEAR_SEEDS)
        assert found[opposite] == 0, (truth, found)
        # the shuffled-label control of a separable model misses chance on one run in twenty
        assert found[expected] >= (0.8 if "separable" in row else 0.95) * len(CLEAR_SEEDS), (truth, found)


@pytest.mark.parametrize("row", ROWS)
def test_a_truth_near_the_border_is_undecided_oftener_than_decided_wrongly(row):
    make, border, inside, outside = ROWS[row]
    for truth, wrong in ((border + 0.05 * (inside - border), N), (border + 0.05 * (outside - border), R)):
        found = verdicts(row, make, truth, CLEAR_SEEDS)
        assert found[U] > found[wrong], (truth, found)
