"""The glue between states and claims: what each probe learns from, is asked, and is counted by, on planted states."""

from concurrent.futures import Executor, Future
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
from layerclaims.experiments import closed_form, conditions, dimensions, fitted, runs, tokens
from layerclaims.experiments.geometry import layer_geometry, reduction
from layerclaims.experiments.norms import early_norms, norms_by_state
from layerclaims.experiments.probes import layer_probe
from layerclaims.experiments.random_vectors import random_probe
from layerclaims.experiments.series import (
    A_TENTH,
    ALL_POSITIONS,
    CENTRED,
    CONTROL_TASK,
    EARLY,
    LDA,
    MASKED,
    MASKED_TO_MEAN,
    MIXED_ON_MAIN,
    MIXED_ON_TRANSFER,
    NEAREST_MEAN,
    NORM,
    OWN_CONTEXT,
    RANDOM,
    RANDOM_TRAINED,
    RAW,
    SEEN,
    SHAPES,
    SHAPES_OF_ONE_SIZE,
    SHUFFLED,
    SIZES,
    TRANSFER,
    TRANSFER_BACK,
    TRANSFER_OWN,
    TRANSFER_SEEN,
    UNIT,
    UNSEEN,
    at_context,
)
from layerclaims.experiments.study import Study
from layerclaims.probing import gaussian as gaussian_classifiers
from layerclaims.probing import vectors
from layerclaims.probing.probe import LayerProbe
from layerclaims.probing.vectors import training_share
from layerclaims.protocol import Protocol

from tests import tiny
from tests.claims.synthetic import InMemory, gaussian

LABELS, D, DOCUMENTS, POSITIONS = 5, 8, 40, 7
CHANCE = 1 / LABELS


def apart(seed=0, *, reverse=False, **how):
    """States of layers that lie far apart, in an order of depth or the other way round."""
    offsets = 8 * np.eye(LABELS, D)
    offsets = offsets[::-1] if reverse else offsets
    usual = {"documents": DOCUMENTS, "positions": POSITIONS}
    return gaussian(np.random.default_rng(seed), offsets, **{**usual, **how})


def noise(seed=1):
    """States of which none says of which layer it is."""
    return np.random.default_rng(seed).normal(size=(LABELS + 1, DOCUMENTS, POSITIONS, D))


def accuracy(study, series):
    return study.counts(series).accuracy


# --- which corpus


def test_transfer_is_asked_on_the_transfer_corpus_of_the_main_corpus_probes():
    study = InMemory(apart(), apart(1, reverse=True))
    assert accuracy(study, RAW) > 0.9
    assert accuracy(study, TRANSFER) == pytest.approx(CHANCE, abs=0.05), (
        "only the middle layer stays in place"
    )
    assert (study.counts(TRANSFER).total == (POSITIONS - 1) * study.protocol.folds).all()


def test_the_transfer_corpus_has_probes_of_its_own():
    turned = InMemory(apart(), apart(1, reverse=True))
    assert accuracy(turned, TRANSFER_OWN) > 0.9
    assert accuracy(turned, TRANSFER_BACK) < CHANCE + 0.05
    probes = turned.values(conditions.probes_of_transfer).facts["certificates"]
    assert len(probes[TRANSFER_BACK.name]) == len(probes[TRANSFER_OWN.name])
    assert (turned.counts(TRANSFER_BACK).total == (POSITIONS - 1) * len(probes[TRANSFER_BACK.name])).all()
    assert accuracy(InMemory(apart(), noise()), TRANSFER_OWN) < 2 * CHANCE
    assert accuracy(InMemory(noise(), apart()), TRANSFER_OWN) > 0.9


def test_mixed_probes_learn_from_both_corpora_as_much_as_from_one(monkeypatch):
    sizes = []
    fit = LayerProbe.fit
    monkeypatch.setattr(
        LayerProbe, "fit", lambda own, X, y, **how: sizes.append(len(X)) or fit(own, X, y, **how)
    )
    study = InMemory(apart(), apart(1, moved=np.full(D, 30.0)))
    assert accuracy(study, MIXED_ON_MAIN) > 0.9
    assert accuracy(study, MIXED_ON_TRANSFER) > 0.9
    others = DOCUMENTS * 4 // 5 * LABELS * (POSITIONS - 1)
    assert sizes == [others] * 5


# --- which labels


def known_layers(study, weights):
    """How often weights [d, K] on standardised features name the right layer."""
    x = study.rows("main").flat
    return float((((x - x.mean(0)) / x.std(0) @ weights).argmax(1) == study.rows("main").labels).mean())


def test_probes_of_shuffled_labels_do_not_know_the_layers():
    study = InMemory(apart())
    for weights in study.values(layer_probe).arrays["weights"]:
        assert known_layers(study, weights) > 0.9
    for measured in (conditions.shuffled_labels, runs.shuffled_runs_apart):
        found = [known_layers(study, weights) for weights in study.values(measured).arrays["weights"]]
        assert max(found) < 0.7
        assert np.mean(found) < 0.4


def test_answers_to_shuffled_labels_are_counted_by_those():
    """Where a layer is always the same vector, a probe of labels that stay in order would know all of them."""
    study = InMemory(apart())
    counts = study.counts(SHUFFLED)
    assert counts.accuracy == pytest.approx(CHANCE, abs=0.06)
    assert (counts.total == POSITIONS - 1).all()
    assert len(counts.documents) == DOCUMENTS


# --- which documents


def test_runs_apart_share_no_document():
    """A dimension that does not vary in a run's documents has no weight there: one of fold 2, and one of all others."""
    states, folds = apart(), InMemory(apart()).folds("main")
    states[:, folds == 2, :, 6] = 0
    states[:, folds != 2, :, 7] = 0
    for measured in (runs.runs_apart, runs.shuffled_runs_apart):
        weights = InMemory(states).values(measured).arrays["weights"]
        assert weights[:, 6].any(1).tolist() == [True, True, False, True, True]
        assert weights[:, 7].any(1).tolist() == [False, False, True, False, False]


def test_classifiers_in_closed_form_are_made_of_the_other_documents(monkeypatch):
    made = []
    places = gaussian_classifiers.places
    monkeypatch.setattr(
        gaussian_classifiers, "places", lambda layers: made.append(places(layers)) or made[-1]
    )
    study = InMemory(apart())
    for measured in (closed_form.closed_form, closed_form.centred_probe):
        made.clear()
        study.values(measured)
        rows = study.rows("main")
        for own, at in zip(rows.folds, made, strict=True):
            others = np.delete(rows.x, np.arange(own.start, own.stop), axis=0)
            np.testing.assert_allclose(at.means, others.mean((0, 2), dtype=np.float64), rtol=1e-5, atol=1e-5)


def test_another_seed_reads_other_texts(tmp_path):
    model = tiny.build("llama", tmp_path / "model")
    corpus = tiny.write_jsonl(tmp_path / "main.jsonl", tiny.texts(60))
    chosen = [
        Study(
            Protocol(model=str(model), corpus=str(corpus), n_texts=12, context=5, seed=seed),
            cache_dir=tmp_path / "cache",
        )
        .store("main")
        .document_ids
        for seed in (0, 1)
    ]
    assert set(chosen[0]) != set(chosen[1])


# --- which positions


def reading(measured, states):
    """What is measured, but for what says by its name that it is of all positions."""
    found = InMemory(states, states).values(measured)
    return {
        name: array
        for name, array in found.arrays.items()
        if name != "largest" and "all positions" not in name
    }


@pytest.mark.parametrize(
    "measured",
    [
        layer_geometry, reduction("PCA"), norms_by_state, early_norms, layer_probe, conditions.shuffled_labels,
        conditions.growing_shares, conditions.own_context, conditions.decision_tree, random_probe, runs.runs_apart,
        closed_form.closed_form, closed_form.centred_probe, dimensions.a_tenth, conditions.probes_of_transfer,
    ],
    ids=lambda measured: measured.name,
)  # fmt: skip
def test_position_0_is_in_no_rigorous_number(measured):
    states = gaussian(
        np.random.default_rng(0),
        2 * np.eye(6, D),
        documents=DOCUMENTS,
        positions=POSITIONS,
        factors=1.1 ** np.arange(6),
    )
    other = states.copy()
    other[:, :, 0] = 300 * np.random.default_rng(1).normal(size=other[:, :, 0].shape)
    first, second = reading(measured, states), reading(measured, other)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


class Asked(Future):
    """Is computed when somebody asks for it."""

    def __init__(self, work):
        super().__init__()
        self.work = work

    def result(self, timeout=None):
        if not self.done():
            self.set_result(self.work())
        return super().result(timeout)


class Late(Executor):
    """Begins nothing before somebody asks for it."""

    def __init__(self):
        self.given = []

    def submit(self, work, /, *args, **how):
        self.given.append(Asked(partial(work, *args, **how)))
        return self.given[-1]


def test_geometry_asks_for_its_ranks_before_work_that_has_not_begun_is_dropped(monkeypatch):
    @contextmanager
    def late(most=None):
        yield (pool := Late())
        for one in pool.given:
            one.cancel()

    expected = InMemory(apart()).values(layer_geometry).arrays["ranks"]
    monkeypatch.setattr("layerclaims.runtime.threads.workers", late)
    found = InMemory(apart()).values(layer_geometry).arrays["ranks"]
    np.testing.assert_array_equal(found, expected)


def test_contexts_have_equally_many_training_vectors_and_are_asked_their_own_positions(monkeypatch):
    sizes = []
    fit = LayerProbe.fit
    monkeypatch.setattr(
        LayerProbe, "fit", lambda own, X, y, **how: sizes.append(len(X)) or fit(own, X, y, **how)
    )
    states = apart(positions=12)
    states[:, :, 5:] = apart(2, positions=12, reverse=True)[
        :, :, 5:
    ]  # which the shorter context must not meet
    study = InMemory(states)
    short, whole = study.counts(at_context(5)), study.counts(OWN_CONTEXT)
    assert len(set(sizes)) == 1
    assert sizes[0] == DOCUMENTS * 4 // 5 * LABELS * 4
    assert (short.total == 4).all()
    assert (whole.total == 11).all()
    assert short.accuracy > 0.9
    assert whole.accuracy < 0.8
    assert (study.counts(EARLY).total == 4).all()


def test_a_share_of_the_texts_is_that_share():
    study = InMemory(apart(of_documents=0.0))
    sizes = [study.counts(one) for one in SIZES]
    assert all((one.total == POSITIONS - 1).all() for one in sizes)
    rows = study.rows("main")
    per = LABELS * (POSITIONS - 1)
    held = [
        sum(part.stop - part.start for part in training_share(rows, 1, share)) / per
        for share in conditions.SHARES
    ]
    assert held == [2, 4, 8, 16]


# --- what is left of a vector


def test_norms_alone_tell_layers_of_different_norms_and_unit_vectors_do_not():
    """All layers point to one place, each with a norm of its own."""
    x = 0.05 * np.random.default_rng(0).normal(size=(LABELS + 1, DOCUMENTS, POSITIONS, D))
    x[..., 0] += 1
    x *= np.arange(1, LABELS + 2)[:, None, None, None]
    study = InMemory(x)
    assert accuracy(study, NORM) > 0.9
    assert accuracy(study, RAW) > 0.6
    assert accuracy(study, UNIT) < 2 * CHANCE


def test_random_vectors_have_the_norms_of_standardised_ones_and_no_direction(monkeypatch):
    given = []
    fill = vectors.fill_directions
    monkeypatch.setattr(
        vectors, "fill_directions", lambda x, norms, rng: given.append(norms) or fill(x, norms, rng)
    )
    study = InMemory(apart())
    assert accuracy(study, RANDOM) < 0.5 < accuracy(study, RAW)
    assert accuracy(study, RANDOM_TRAINED) < 2 * CHANCE
    x = study.rows("main").flat
    np.testing.assert_allclose(given[0], np.linalg.norm((x - x.mean(0)) / x.std(0), axis=1), rtol=1e-3)


def test_a_mask_takes_the_recurring_dimensions_and_their_mean_is_another_one():
    offsets = np.zeros((LABELS, 24))
    offsets[:, [3, 9, 15, 21]] = 8 * np.random.default_rng(2).normal(size=(LABELS, 4)) + 40
    study = InMemory(gaussian(np.random.default_rng(0), offsets, documents=DOCUMENTS, positions=POSITIONS))
    assert accuracy(study, RAW) > 0.9
    assert accuracy(study, MASKED) < 0.5
    assert accuracy(study, MASKED_TO_MEAN) < 0.5
    assert not np.array_equal(study.counts(MASKED).correct, study.counts(MASKED_TO_MEAN).correct)


# --- classifiers in closed form


def correlated(rng, means, n=DOCUMENTS):
    """Layers that differ along a direction in which tokens hardly vary, while they vary much along another."""
    tokens = rng.normal(size=(len(means) + 1, n, POSITIONS, D))
    tokens[..., 1] = tokens[..., 0] + 0.05 * tokens[..., 1]
    tokens[:-1, ..., 1] += np.asarray(means)[:, None, None]
    return tokens


def test_lda_takes_the_common_shape_and_nearest_mean_does_not():
    study = InMemory(correlated(np.random.default_rng(0), 0.5 * np.arange(LABELS)))
    assert accuracy(study, LDA) > 0.95
    assert accuracy(study, NEAREST_MEAN) < 0.6


def test_the_common_shape_is_that_of_all_layers():
    states = correlated(np.random.default_rng(0), 1.0 * np.arange(LABELS))
    states[LABELS - 1] = np.random.default_rng(1).normal(size=states[0].shape)  # of which nothing is narrow
    states[LABELS - 1, ..., 2] += 30
    assert accuracy(InMemory(states), LDA) > 0.8


def test_lda_of_few_dimensions_reads_no_others():
    study = InMemory(apart(of_documents=0.0))
    values = study.values(closed_form.closed_form).arrays
    by_dimensions = values["by dimensions"]
    assert by_dimensions[:, -1].min() > 0.95
    assert by_dimensions[:, 0].max() < 0.6, "one dimension tells one layer from the rest"
    assert by_dimensions[1, 0] == pytest.approx(by_dimensions[1, 1], abs=0.02)
    assert (study.counts(LDA).total == POSITIONS - 1).all()


def of_shapes(rng, deviations):
    """Layers at one place, tokens with a deviation [K, d] of each layer's own."""
    deviations = np.concatenate([deviations, deviations[-1:]])
    return rng.normal(size=(len(deviations), DOCUMENTS, 16, D)) * deviations[:, None, None, :]


def test_shapes_do_not_know_places():
    study = InMemory(apart(positions=16))
    assert accuracy(study, RAW) > 0.9
    for series in (SHAPES, SHAPES_OF_ONE_SIZE, CENTRED):
        assert accuracy(study, series) < 2 * CHANCE


@pytest.mark.parametrize("growth", [1.0, 6.0])
def test_shapes_know_shapes_which_no_linear_probe_does(growth):
    deviations = np.ones((4, D))
    for layer in range(4):
        deviations[layer, 2 * layer : 2 * layer + 2] = 12.0
    deviations *= growth ** np.arange(4)[:, None]
    study = InMemory(of_shapes(np.random.default_rng(0), deviations))
    assert accuracy(study, SHAPES) > 0.9
    assert accuracy(study, SHAPES_OF_ONE_SIZE) > 0.9
    assert accuracy(study, CENTRED) < 0.5


def test_shapes_of_one_size_do_not_know_sizes():
    study = InMemory(of_shapes(np.random.default_rng(0), 6.0 ** np.arange(4)[:, None] * np.ones((4, D))))
    assert accuracy(study, SHAPES) > 0.9
    assert accuracy(study, SHAPES_OF_ONE_SIZE) < 0.5


# --- a few dimensions


def test_a_tenth_of_the_dimensions_is_a_tenth_and_each_is_asked_what_it_learnt():
    d = 40
    everywhere = 8 * np.random.default_rng(3).normal(size=(LABELS, d))
    somewhere = np.zeros((LABELS, d))
    somewhere[:, 0] = 20 * np.arange(LABELS)
    found = {}
    for name, offsets in (("everywhere", everywhere), ("somewhere", somewhere)):
        states = gaussian(np.random.default_rng(0), offsets, documents=DOCUMENTS, positions=4)
        study = InMemory(states)
        found[name] = accuracy(study, A_TENTH)
        assert (study.counts(A_TENTH).total == 3 * dimensions.DRAWS).all()
        assert accuracy(study, RAW) > 0.95
    assert found["everywhere"] > 0.95
    assert found["somewhere"] < 0.9, "a draw that has not dimension 0 knows nothing"


# --- tokens


def with_tokens(states, ids, transfer=None, other=None):
    study = InMemory(states, transfer)
    study._stores["main"].token_ids = ids
    study._stores["transfer"].token_ids = ids if other is None else other
    return study


def some_tokens(seed=0):
    """Ids [documents, positions]: every second position has a common word, the others one of few documents."""
    ids = np.random.default_rng(seed).integers(1000, 1300, size=(DOCUMENTS, POSITIONS))
    ids[:, ::2] = np.random.default_rng(seed + 1).integers(0, 3, size=ids[:, ::2].shape)
    return ids


def unseen_flags(ids, folds):
    flags = np.zeros(ids.shape, dtype=bool)
    for fold in np.unique(folds):
        flags[folds == fold] = ~np.isin(ids[folds == fold], ids[folds != fold])
    return flags


def test_unseen_tokens_are_those_of_no_training_document():
    ids, states = some_tokens(), apart()
    unseen = unseen_flags(ids, InMemory(states).folds("main"))
    assert unseen[:, 1:].any()
    states[:, unseen] = noise()[:, unseen]
    study = with_tokens(states, ids)
    assert accuracy(study, SEEN) > 0.9
    assert accuracy(study, UNSEEN) < 0.5
    seen_total, unseen_total = (
        dict(zip(counts.documents.tolist(), counts.total[:, 0].tolist(), strict=True))
        for counts in (study.counts(SEEN), study.counts(UNSEEN))
    )
    for document, flags in enumerate(unseen[:, 1:]):
        assert unseen_total.get(document, 0) == flags.sum()
        assert seen_total.get(document, 0) == (~flags).sum()


def test_tokens_of_the_other_corpus_are_known_by_the_documents_that_each_probe_was_fitted_on():
    ids, other, main, transfer = some_tokens(), some_tokens(5), apart(), apart(1)
    folds = InMemory(main).folds("main")
    known = np.stack([np.isin(other, ids[folds != fold]) for fold in range(5)])
    never = ~known.any(0)
    transfer[:, never] = noise()[:, never]
    study = with_tokens(main, ids, transfer, other)
    assert accuracy(study, TRANSFER_SEEN) > 0.9 > accuracy(study, TRANSFER)
    counts = study.counts(TRANSFER_SEEN)
    expected = known[:, :, 1:].sum((0, 2))
    np.testing.assert_array_equal(counts.total[:, 0], expected[counts.documents])
    assert expected[counts.documents].sum() == expected.sum()


def test_a_control_task_names_the_layers_of_each_word_anew():
    """Where every word in every layer is a vector of its own, its names can be learnt by heart, and not the layers."""
    words = 4
    ids = np.random.default_rng(0).integers(0, words, size=(DOCUMENTS, POSITIONS))
    eye = 10 * np.eye(words * LABELS)
    states = np.stack([eye[LABELS * ids + label] for label in (*range(LABELS), 0)])
    states += 0.1 * np.random.default_rng(1).normal(size=states.shape)
    study = with_tokens(states, ids)
    assert accuracy(study, CONTROL_TASK) > 0.95
    weights = study.values(tokens.control_task)
    assert weights.arrays[f"{CONTROL_TASK.name}/total"].shape == (DOCUMENTS, LABELS)
    strangers = np.arange(DOCUMENTS * POSITIONS).reshape(DOCUMENTS, POSITIONS)
    assert accuracy(with_tokens(apart(), strangers), CONTROL_TASK) < 2 * CHANCE


# --- what a study gives


def test_the_last_label_is_state_l_before_the_final_norm():
    study = InMemory(apart())
    rows, store = study.rows("main"), study.store("main")
    assert study.states == list(range(LABELS))
    np.testing.assert_array_equal(rows.x[:, -1], store.state(store.n_blocks)[rows.rows, 1:])
    assert (rows.x[:, -1] != store.state(store.final)[rows.rows, 1:]).any()


def test_folds_hold_each_document_once_and_others_under_another_seed():
    first, again, other = (InMemory(apart(), seed=seed).folds("main") for seed in (0, 0, 1))
    assert np.bincount(first).tolist() == [DOCUMENTS // 5] * 5
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_first_position_is_read_where_that_is_shown():
    study = InMemory(apart())
    assert (study.counts(ALL_POSITIONS).total == POSITIONS).all()
    assert (study.counts(RAW).total == POSITIONS - 1).all()


def test_the_authors_masked_the_right_hand_neighbours():
    assert fitted.neighbours([3, 7, 0], 8) == [4, 1]


def test_a_probe_is_asked_what_it_was_not_fitted_on():
    rows = InMemory(apart()).rows("main")
    every = np.arange(len(rows.flat))
    for fold in range(len(rows.folds)):
        fitted_on = np.concatenate([every[part] for part in rows.training(fold)])
        np.testing.assert_array_equal(np.setdiff1d(every, fitted_on), every[rows.tested(fold)])
