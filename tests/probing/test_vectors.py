"""Counts of the probe's answers: what is held out never enters a fit; labels, documents and masks stay in place."""

from dataclasses import replace

import numpy as np
import pytest
from layerclaims.probing import fit as fitting
from layerclaims.probing.answers import confusion, counts_by_document, held_out
from layerclaims.probing.probe import LayerProbe
from layerclaims.probing.vectors import (
    Vectors,
    fold_order,
    gather,
    norm_features,
    random_directions,
    shuffled_labels,
)

DOCUMENTS, LABELS, POSITIONS, WIDTH, FOLDS = 22, 3, 4, 6, 5


@pytest.fixture
def vectors():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(LABELS, DOCUMENTS, POSITIONS, WIDTH)) + 2 * np.eye(LABELS, WIDTH)[:, None, None]
    states = x.astype(np.float32)
    order, folds = fold_order(DOCUMENTS, FOLDS, 0)
    return gather(np.array_split(states, 3, axis=1), LABELS, order, folds)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "folds"), [(22, 5), (10, 10), (200, 5)])
def test_every_document_is_in_one_fold_and_folds_differ_by_one_at_most(n, folds, seed):
    order, parts = fold_order(n, folds, seed)
    assert sorted(order) == list(range(n))
    assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
    assert parts[-1].stop == n
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) - min(sizes) <= 1
    again, _ = fold_order(n, folds, seed)
    other, _ = fold_order(n, folds, seed + 1)
    assert (again == order).all()
    assert (other != order).any()


def test_label_i_is_state_i_of_the_document_in_that_row():
    states = np.arange(LABELS)[:, None, None, None] * 1000 + np.arange(DOCUMENTS)[:, None, None]
    states = np.broadcast_to(states, (LABELS, DOCUMENTS, POSITIONS, WIDTH)).astype(np.float32)
    order, folds = fold_order(DOCUMENTS, FOLDS, 3)
    vectors = gather(np.array_split(states, 3, axis=1), LABELS, order, folds)
    documents = np.repeat(vectors.rows, LABELS * POSITIONS)
    np.testing.assert_array_equal(vectors.flat[:, 0], 1000 * vectors.labels + documents)


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("fold", range(FOLDS))
def test_held_out_documents_never_enter_a_fit(vectors, fold, unit):
    """What a fit reads it has to be able to read: documents held out are NaN, and nothing changes."""
    clean = next(fitting.fit_folds(vectors, folds=[fold], unit=unit, device="cpu"))
    poisoned = replace(vectors, x=vectors.x.copy())
    poisoned.x[vectors.folds[fold]] = np.nan
    without = next(fitting.fit_folds(poisoned, folds=[fold], unit=unit, device="cpu"))
    np.testing.assert_array_equal(without.weights, clean.weights)
    np.testing.assert_array_equal(without.mean, clean.mean)


@pytest.mark.parametrize("fold", range(FOLDS))
def test_every_other_document_enters_it(vectors, fold):
    held_out = vectors.folds[fold]
    for document in range(DOCUMENTS):
        if held_out.start <= document < held_out.stop:
            continue
        poisoned = replace(vectors, x=vectors.x.copy())
        poisoned.x[document, -1, -1, -1] = np.nan
        with pytest.raises(ValueError, match="finite"):
            next(fitting.fit_folds(poisoned, folds=[fold], device="cpu"))


class Says:
    """A probe that answers with its own number."""

    def __init__(self, answer):
        self.answer = answer

    def predict(self, x):
        return np.full(len(x), self.answer)


def test_a_document_is_judged_by_the_probe_of_its_own_fold(vectors):
    answers = held_out(vectors, [Says(fold) for fold in range(FOLDS)])
    for fold, part in enumerate(vectors.folds):
        assert (answers[part] == fold).all()


def test_an_answer_counts_where_it_names_the_state():
    predicted = np.zeros((2, 3, 4), dtype=np.int64)  # always "state 0"
    predicted[1] = [[1] * 4, [1, 1, 1, 0], [2] * 4]
    correct, total = counts_by_document(predicted)
    np.testing.assert_array_equal(correct, [[4, 0, 0], [0, 3, 4]])
    np.testing.assert_array_equal(total, np.full((2, 3), 4))
    np.testing.assert_array_equal(confusion(predicted), [[4, 4, 0], [5, 3, 0], [4, 0, 4]])


def test_a_mask_blinds_dimensions_of_the_vector_and_not_labels(vectors):
    probe = LayerProbe().fit(vectors.flat, vectors.labels)
    chosen = [1, 4]
    zeroed, to_mean = vectors.flat.copy(), vectors.flat.copy()
    zeroed[:, chosen] = 0
    to_mean[:, chosen] = probe.mean[chosen]
    np.testing.assert_allclose(
        probe.masked(chosen).logits(vectors.flat), probe.logits(zeroed), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(
        probe.masked(chosen, to_mean=True).logits(vectors.flat), probe.logits(to_mean), rtol=1e-4, atol=1e-4
    )


def test_a_shuffle_leaves_each_token_every_label_once(vectors):
    labels = shuffled_labels(vectors, np.random.default_rng(0)).reshape(vectors.x.shape[:3])
    np.testing.assert_array_equal(
        np.sort(labels, axis=1), np.broadcast_to(np.arange(3)[:, None], labels.shape)
    )
    assert (labels != vectors.labels.reshape(labels.shape)).mean() > 0.5


def test_random_directions_keep_norms_and_nothing_else(vectors):
    noise = random_directions(vectors.flat, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(noise, axis=1), np.linalg.norm(vectors.flat, axis=1), rtol=1e-5)
    directions = noise / np.linalg.norm(noise, axis=1, keepdims=True)
    assert np.abs(directions.mean(0)).max() < 4 / np.sqrt(WIDTH * len(noise))


def test_norm_features_see_the_norm_alone(vectors):
    turned = replace(vectors, x=np.ascontiguousarray(vectors.x[..., ::-1]))
    np.testing.assert_allclose(norm_features(turned).x, norm_features(vectors).x, rtol=1e-5, atol=1e-6)
    assert norm_features(vectors).x.shape == (DOCUMENTS, LABELS, POSITIONS, 2)


def test_states_that_are_equal_get_no_weights_at_all():
    """Their gradient is rounding: following it would name dimensions that nothing rests on."""
    rng = np.random.default_rng(0)
    same = np.repeat(rng.normal(5, 1, size=(40, 1, 4, 16)).astype(np.float32), 3, axis=1)
    vectors = Vectors(x=same, rows=np.arange(40), folds=(slice(0, 20), slice(20, 40)))
    for unit in (False, True):
        for probe in fitting.fit_folds(vectors, unit=unit, device="cpu"):
            assert not probe.weights.any()
            assert probe.certificate.converged
            assert probe.certificate.iterations == 0
