"""How far sets of norms, and lists of dimensions, overlap: known answers."""

import numpy as np
import pytest
from layerclaims.metrics.attribution import overlap_with
from layerclaims.metrics.norms import overlap, overlaps


def test_equal_norms_overlap_but_for_the_tails():
    norms = np.linspace(0, 1, 1001)
    assert overlap(norms, norms) == pytest.approx(0.95, abs=0.002)
    assert overlap(norms, norms, central=0.5) == pytest.approx(0.5, abs=0.002)


def test_norms_apart_do_not_overlap():
    assert overlap(np.linspace(0, 1, 100), np.linspace(2, 3, 100)) == 0


def test_a_narrow_set_lies_inside_a_wide_one_and_not_the_other_way_round():
    narrow, wide = np.linspace(0.45, 0.55, 1001), np.linspace(0, 1, 1001)
    both = (1 + 0.1 * 0.95) / 2
    assert overlap(narrow, wide) == pytest.approx(both, abs=0.003) == overlap(wide, narrow)


def test_neighbours_overlap_pair_by_pair_and_without_each_fold():
    folds = np.array([0, 0, 1, 1])
    states = [np.tile(np.linspace(0, 1, 50), (4, 1)) for _ in range(3)]
    states[2] = states[2] + 50
    states[1][folds == 1] += 9  # of which nothing is left without fold 1
    found = overlaps(states, folds)
    assert found.shape == (3, 2)
    assert found[2, 0] == pytest.approx(0.95, abs=0.05)
    assert found[1, 0] == 0
    assert 0 < found[0, 0] < found[2, 0]
    assert not found[:, 1].any()


def test_runs_are_held_against_others_at_other_places_only():
    runs = [(1, 2), (3, 4), (5, 6)]
    assert overlap_with(runs, runs) == 0
    assert overlap_with(runs, [(3, 4), (1, 2), (7, 8)]) == pytest.approx(2 / 6)
    assert np.isnan(overlap_with(runs, [(), (1, 2), (3, 4)]))
    with pytest.raises(ValueError, match="two lists"):
        overlap_with(runs, runs[:2])
