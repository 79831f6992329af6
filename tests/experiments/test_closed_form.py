"""Means and shapes of layers, measured on planted states of which one or the other tells the layers apart."""

import numpy as np
import pytest
from layerclaims.experiments import closed_form
from layerclaims.experiments.series import CENTRED, LDA, NEAREST_MEAN, RAW, SHAPES, SHAPES_OF_ONE_SIZE
from layerclaims.probing.probe import Probe

from tests.claims.synthetic import InMemory, gaussian

LABELS, D = 4, 16
CHANCE = 1 / LABELS


def of_means(documents=80, positions=6):
    """Layers lie apart, and all else is alike; each document also adds something of its own to each layer."""
    offsets = 6 * np.eye(LABELS, D)
    return gaussian(np.random.default_rng(0), offsets, documents=documents, positions=positions, own=0.5)


def of_shapes(documents=80, positions=6, wide=1.0):
    """Layers have one mean, far away, and each varies in directions of its own; one dimension is wide in all."""
    rng = np.random.default_rng(1)
    axes = [np.linalg.qr(rng.normal(size=(D, D)))[0] * np.geomspace(2, 0.1, D) for _ in range(LABELS)]
    x = np.einsum("ldpe,lfe->ldpf", rng.normal(size=(LABELS, documents, positions, D)), np.stack(axes))
    x[..., 3] *= wide
    return np.concatenate([x + 9, x[-1:]])


def accuracy(study, series):
    return study.counts(series).accuracy


def test_layers_that_lie_apart_are_told_by_their_means_and_by_nothing_else():
    study = InMemory(of_means())
    for series in (RAW, LDA, NEAREST_MEAN):
        assert accuracy(study, series) > 0.95
    for series in (SHAPES, SHAPES_OF_ONE_SIZE, CENTRED):
        assert accuracy(study, series) == pytest.approx(CHANCE, abs=0.06), series.name


@pytest.mark.parametrize("wide", [1.0, 40.0])
@pytest.mark.parametrize("documents", [40, 120])
def test_layers_of_one_mean_are_told_by_their_shapes_and_by_no_plane(documents, wide):
    study = InMemory(of_shapes(documents, wide=wide))
    for series in (LDA, NEAREST_MEAN, CENTRED):
        assert accuracy(study, series) == pytest.approx(CHANCE, abs=0.1), series.name
    for series in (SHAPES, SHAPES_OF_ONE_SIZE):
        assert accuracy(study, series) > 0.9, series.name


def test_means_and_shapes_are_of_the_training_documents_alone(monkeypatch):
    """Tested documents whose state 1 lies elsewhere move no mean: there they are asked as far off as they are."""
    study = InMemory(of_means(documents=200))
    rows = study.rows("main")
    layers, own = closed_form._training_layers(rows, 0), rows.folds[0]
    assert not any(np.shares_memory(piece, rows.x[own]) for pieces in layers for piece in pieces)
    assert sum(len(piece) for piece in layers[0]) == 200 - (own.stop - own.start)
    before = study.counts(SHAPES).correct
    shifted = study.store("main")._states.copy()
    shifted[1, rows.rows[own]] += 20
    moved, asked = InMemory(shifted), []
    change = moved.counts(SHAPES).correct - before
    assert (moved.counts(SHAPES).documents == np.sort(rows.rows[own])).all()
    assert change[:, 1].any()
    assert not change[:, [0, 2, 3]].any(), "the others are named as before"
    predict = Probe.predict
    monkeypatch.setattr(Probe, "predict", lambda probe, x: asked.append(x) or predict(probe, x))
    moved.counts(CENTRED)
    off = np.mean(asked, axis=0).reshape(LABELS, -1, D).mean(axis=(1, 2))
    assert off == pytest.approx([0, 20, 0, 0], abs=0.5)


@pytest.mark.parametrize("positions", [5, 12])
def test_the_quadratic_classifier_names_a_few_positions_of_every_tested_document(positions):
    study = InMemory(of_shapes(documents=40, positions=positions))
    few = min(closed_form.POSITIONS, positions - 1)
    for series in (SHAPES, SHAPES_OF_ONE_SIZE):
        counts = study.counts(series)
        np.testing.assert_array_equal(counts.total, np.full((40, LABELS), few))
    for series in (LDA, NEAREST_MEAN, CENTRED):
        np.testing.assert_array_equal(study.counts(series).total, np.full((40, LABELS), positions - 1))


def test_few_dimensions_tell_less_than_all():
    arrays = InMemory(of_means()).values(closed_form.closed_form).arrays
    drawn, first = arrays["by dimensions"]
    assert drawn[-1] == first[-1] > 0.95, "all dimensions are all dimensions"
    assert first[0] < 0.6, "the first one only names its own layer"
    assert drawn[0] < drawn[-1]
