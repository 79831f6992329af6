"""A study on a tiny real model: measured once, in any order, and again where the disk has spoilt something."""

import dataclasses

import numpy as np
import pytest
from layerclaims.activations.shards import shard_name
from layerclaims.errors import LayerclaimsError
from layerclaims.experiments.measurement import Measurement
from layerclaims.experiments.norms import norms_by_state
from layerclaims.experiments.probes import layer_probe
from layerclaims.experiments.series import MASKED, NORM, RANDOM, RAW, SHUFFLED, TRANSFER, UNIT
from layerclaims.experiments.study import Study
from layerclaims.protocol import Protocol

from tests import tiny

N_TEXTS, CONTEXT = 40, 8
COUNTED = CONTEXT - 1  # positions of a document: the first one is left out


@pytest.fixture(scope="module")
def protocol(tmp_path_factory):
    place = tmp_path_factory.mktemp("study")
    model = tiny.build("llama", place / "model")
    for seed, name in enumerate(("main", "transfer")):
        tiny.write_jsonl(place / f"{name}.jsonl", tiny.texts(60, seed=seed))
    return Protocol(
        model=f"local:{model}",
        corpus=str(place / "main.jsonl"),
        transfer_corpus=str(place / "transfer.jsonl"),
        n_texts=N_TEXTS,
        context=CONTEXT,
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def study(protocol, cache):
    return Study(protocol, cache_dir=cache)


def accuracy_of(study, series):
    return study.estimate("accuracy", (series,), confidence=0.95)


def test_every_document_is_a_test_document_once(study):
    for one in (RAW, UNIT, NORM, SHUFFLED, RANDOM, MASKED):
        series = study.counts(one)
        np.testing.assert_array_equal(series.documents, study.store("main").document_ids)
        np.testing.assert_array_equal(series.total, np.full((N_TEXTS, study.n_labels), COUNTED))


def test_a_vector_of_the_other_corpus_is_judged_by_every_fold(study):
    series = study.counts(TRANSFER)
    assert series.corpus == "transfer"
    np.testing.assert_array_equal(series.total, np.full((N_TEXTS, study.n_labels), COUNTED * 5))


def test_any_measurement_can_be_had_alone_and_is_the_same(study, protocol, tmp_path, cache):
    for role in ("main", "transfer"):
        study.store(role)
    (tmp_path / "states").symlink_to(cache / "states")
    alone = Study(protocol, cache_dir=tmp_path)
    np.testing.assert_array_equal(alone.counts(SHUFFLED).correct, study.counts(SHUFFLED).correct)
    np.testing.assert_array_equal(alone.counts(TRANSFER).correct, study.counts(TRANSFER).correct)
    assert accuracy_of(alone, UNIT) == accuracy_of(study, UNIT)


def test_what_was_measured_needs_no_model_and_no_matrix_again(study, protocol, cache, monkeypatch):
    expected = accuracy_of(study, RAW)
    accuracy_of(study, UNIT)
    again = Study(protocol, cache_dir=cache)
    monkeypatch.setattr(Study, "rows", None)
    monkeypatch.setattr(Study, "_model", None)
    assert accuracy_of(again, RAW) == expected
    accuracy_of(again, UNIT)


@pytest.mark.parametrize("change", [{"seed": 1}, {"folds": 4}, {"name": "as-published"}])
def test_another_protocol_does_not_meet_these_measurements(study, protocol, cache, change):
    study.values(layer_probe)
    assert study.has(layer_probe)
    other = Study(dataclasses.replace(protocol, **change), cache_dir=cache)
    other._stores["main"] = study.store("main")  # the same states, whatever chooses the texts
    assert not other.has(layer_probe)


def test_a_spoilt_shard_is_captured_again_before_it_is_measured(protocol, tmp_path):
    first = Study(protocol, cache_dir=tmp_path)
    first.store("main")
    path = first.store("main").directory / shard_name(0)
    whole = path.read_bytes()
    spoilt = bytearray(whole)
    spoilt[-5] ^= 0x40
    path.write_bytes(spoilt)
    again = Study(protocol, cache_dir=tmp_path)
    assert again.values(norms_by_state).arrays["sums"].shape[0] == N_TEXTS
    assert path.read_bytes() == whole


def test_a_probe_never_meets_the_documents_that_it_is_tested_on(study):
    vectors = study.rows("main")
    per = vectors.x.shape[1] * vectors.x.shape[2]
    for fold, held_out in enumerate(vectors.folds):
        seen = {row // per for part in vectors.training(fold) for row in (part.start, part.stop - 1)}
        inside = set(range(held_out.start, held_out.stop))
        assert not seen & inside
        assert sum(part.stop - part.start for part in vectors.training(fold)) == (N_TEXTS - len(inside)) * per


def test_the_label_of_a_vector_is_its_state(study):
    vectors, store = study.rows("main"), study.store("main")
    rows = vectors.labels.reshape(vectors.x.shape[:3])
    for state in range(study.n_labels):
        np.testing.assert_array_equal(
            vectors.x[rows == state].reshape(N_TEXTS, COUNTED, -1), store.state(state)[vectors.rows, 1:]
        )


def test_the_first_position_counts_as_published_and_where_it_is_asked_for(study, protocol, cache):
    store = study.store("main")
    published = Study(dataclasses.replace(protocol, name="as-published"), cache_dir=cache)
    for vectors in (study.rows("main", first=0), published.rows("main")):
        np.testing.assert_array_equal(vectors.x[:, 1], store.state(1)[vectors.rows])
    assert study.rows("main").x.shape[2] == COUNTED, "the matrix with it does not stand for the one without"


def test_the_last_label_is_the_raw_state_and_not_the_normed_one(study):
    vectors, store = study.rows("main"), study.store("main")
    last = vectors.x[:, -1]
    np.testing.assert_array_equal(last, store.state(store.n_blocks)[vectors.rows, 1:])
    assert np.abs(last - store.state(store.final)[vectors.rows, 1:]).max() > 0


@pytest.mark.parametrize(
    ("read", "what"),
    [
        (lambda study: study.rows("main"), "the states of the main corpus"),
        (lambda study: study.store("transfer").state(0), "the states of the transfer corpus"),
        (lambda study: study.counts(RAW), "the measurement linear"),
    ],
    ids=["rows", "store", "counts"],
)
def test_a_measurement_that_reads_what_it_does_not_name_is_refused(study, read, what, request):
    """Kept under a key that knows nothing of it, it would be taken for one of other states."""
    made = Measurement(request.node.name, lambda study: read(study), needs=())
    with pytest.raises(LayerclaimsError, match=f"reads {what}"):
        study.values(made)
    assert not study.has(made)
    study.store("main")  # a study itself may read what it likes
