"""With the first position: numbers that would come out if one more position stood in front and were left out."""

import numpy as np
import pytest
from layerclaims.experiments.conditions import all_positions
from layerclaims.experiments.probes import layer_probe
from layerclaims.experiments.series import ALL_POSITIONS, RAW
from layerclaims.quantities import attribution, first_position, geometry, norm
from layerclaims.verdicts.declaration import declared
from layerclaims.verdicts.registry import post_claims, registered

from tests.claims.synthetic import InMemory, gaussian

LABELS, D = 7, 12


@pytest.fixture(scope="module")
def states():
    """The first position lies elsewhere, and is five times as long in the middle layers."""
    rng = np.random.default_rng(0)
    path = np.cumsum(rng.normal(size=(LABELS, D)), axis=0)
    found = gaussian(rng, path, documents=40, positions=5, factors=1.1 ** np.arange(LABELS))
    found[:, :, 0] += 3
    found[2:5, :, 0] *= 5
    return found


@pytest.fixture(scope="module")
def study(states):
    return InMemory(states)


@pytest.fixture(scope="module")
def padded(states):
    """The same states behind a position that is left out in place of theirs."""
    return InMemory(np.concatenate([np.full_like(states[:, :, :1], 1e4), states], axis=2))


def value(quantity, study):
    (found,) = quantity.find(study)
    return found.estimate.value


@pytest.mark.parametrize(
    ("shown", "judged"),
    [
        (first_position.last_norm_ratio, norm.last_norm_ratio),
        (first_position.growth_rate, norm.growth_rate),
        (first_position.exponential_advantage, norm.exponential_advantage),
        (first_position.drift, geometry.drift),
        (first_position.tightening, geometry.tightening),
        (first_position.ring_gap, geometry.ring_gap),
        (first_position.ring_area, geometry.ring_area),
        (first_position.missed_by_neighbour, geometry.missed_by_neighbour),
        (first_position.fewest_dimensions, attribution.fewest_dimensions),
        (first_position.variation_over_layers, attribution.variation_over_layers),
        (first_position.recurrence, attribution.recurrence),
        (first_position.negative_share_first_third, attribution.negative_share_first_third),
        (first_position.negative_share_last_third, attribution.negative_share_last_third),
    ],
    ids=lambda quantity: quantity.name.replace(" ", "-"),
)
def test_a_number_with_the_first_position_is_that_of_all_positions(study, padded, shown, judged):
    assert value(shown, study) == pytest.approx(value(judged, padded), rel=1e-6)


@pytest.mark.parametrize(
    ("shown", "judged"),
    [
        (first_position.last_norm_ratio, norm.last_norm_ratio),
        (first_position.drift, geometry.drift),
        (first_position.missed_by_neighbour, geometry.missed_by_neighbour),
        (first_position.fewest_dimensions, attribution.fewest_dimensions),
    ],
    ids=lambda quantity: quantity.name.replace(" ", "-"),
)
def test_what_is_judged_leaves_it_out(study, shown, judged):
    assert abs(value(shown, study) - value(judged, study)) > 1e-3


def test_ranks_with_the_first_position_are_those_of_all_positions(study, padded):
    """Those that are judged are corrected for the bias of a finite sample; these are as they come."""
    (found,) = geometry.highest_rank.find(padded)
    assert f"{value(first_position.highest_rank, study):.3f}" in found.note


def test_accuracy_with_the_first_position_is_that_of_a_probe_of_all_positions(study, padded):
    np.testing.assert_array_equal(study.counts(ALL_POSITIONS).correct, padded.counts(RAW).correct)
    weights = study.values(all_positions).arrays["weights"], padded.values(layer_probe).arrays["weights"]
    np.testing.assert_allclose(*weights, rtol=1e-6)


def test_every_row_on_one_model_s_geometry_norms_or_probe_shows_it():
    """Rows without are those of pairs of probes, which hold for whatever both of them see."""
    rows = {
        name: [control.name for control in declared(registered(name).test).controls] for name in post_claims()
    }
    shown = {name for name, controls in rows.items() if any("first position" in one for one in controls)}
    assert shown == {
        "layers-linearly-separable",
        "every-layer-recognised",
        "layer-norms-grow-exponentially",
        "last-layer-norm-dominates",
        "pca-shows-drift",
        "normalising-tightens-drift",
        "layer-zero-closes-a-ring",
        "no-dimension-dominates",
        "contribution-is-distributed",
        "few-dimensions-recur",
        "attribution-sign-flips-with-depth",
        "layers-occupy-different-subspaces",
        "each-layer-uses-a-subspace",
    }
