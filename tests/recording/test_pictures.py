"""Pictures as records: what is drawn, what is missing and why, and that nothing is reduced twice."""

import sys

import numpy as np
import pytest
from layerclaims.experiments.geometry import reduction
from layerclaims.experiments.pictures import UNIT, planes
from layerclaims.metrics import geometry
from layerclaims.recording.pictures import pictures

from tests.claims.synthetic import InMemory
from tests.experiments.test_pictures import states
from tests.sample_results import TITLES


@pytest.fixture
def reductions(monkeypatch):
    """What was reduced: the reducers, in order; the places are drawn."""
    asked = []

    def reduced(vectors, reducer, *, seed):
        asked.append(reducer)
        return np.random.default_rng(seed).normal(size=(*vectors.shape[:2], 2))

    monkeypatch.setattr(geometry, "reduced", reduced)
    return asked


def test_all_five_of_them_stand_in_the_order_of_the_post(reductions):
    study = InMemory(states())
    for reducer in ("PCA", "t-SNE", "UMAP"):
        study.values(reduction(reducer))
    asked = len(reductions)
    record = pictures(study, reduced=True)
    assert len(reductions) == asked  # nothing was reduced for the pictures
    assert record.missing == {}
    assert tuple(one.title for one in record.pictures) == TITLES
    assert [one.states[0] for one in record.pictures] == [1, 1, 0, 0, 0]
    assert {one.states[-1] for one in record.pictures} == {5}
    assert [one.n_documents for one in record.pictures] == [40, 40, 40, 8, 8]


def test_cells_are_the_places_that_were_measured():
    study = InMemory(states())
    record = pictures(study, reduced=False)
    unit, places = record.pictures[1], study.values(planes).arrays[f"{UNIT}/places"]
    for axis, cells, place in zip(unit.axes, (unit.x, unit.y), (places[..., 0], places[..., 1]), strict=True):
        assert np.abs(axis.low + cells * axis.step - place).max() <= axis.step * 0.51


def test_where_no_claim_reduces_nothing_is_reduced_for_a_picture(reductions):
    record = pictures(InMemory(states()), reduced=False)
    assert reductions == []
    assert list(record.missing) == list(TITLES[3:])
    assert record.missing[TITLES[3]] == "No claim of this run that has a verdict compares t-SNE with PCA"


def test_without_umap_the_other_pictures_stand_and_the_reason_is_said(monkeypatch, reductions):
    monkeypatch.setitem(sys.modules, "umap", None)
    record = pictures(InMemory(states()), reduced=True)
    assert tuple(one.title for one in record.pictures) == TITLES[:4]
    assert record.missing[TITLES[4]].startswith("UMAP is not installed")


def test_values_that_are_not_finite_cost_the_pictures_and_nothing_else(reductions):
    x = states()
    x[3] = np.inf
    record = pictures(InMemory(x), reduced=False)
    assert record.pictures == ()
    assert record.missing[TITLES[0]] == "Some vectors of state 3 have values that are not finite"


def test_a_model_of_one_block_has_no_picture_and_a_reason():
    record = pictures(InMemory(states(2)), reduced=False)
    assert record.pictures == ()
    assert "it has 2 states, and 3 are needed" in record.missing[TITLES[0]]


def test_whatever_breaks_a_picture_it_is_a_reason(monkeypatch, capsys):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr("layerclaims.recording.pictures.on_grid", broken)
    record = pictures(InMemory(states()), reduced=False)
    assert record.missing[TITLES[0]] == "RuntimeError: no room"


def test_as_published_they_are_of_every_position(tmp_path):
    record = pictures(InMemory(states(), name="as-published", cache_dir=tmp_path), reduced=False)
    assert record.protocol == "as-published"
    assert record.first_position == 0
    assert len(record.pictures) == 3
