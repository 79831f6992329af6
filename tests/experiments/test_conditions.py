"""The probe under other conditions: what each is fitted on and tested on, on a tiny real model."""

import itertools
import unicodedata

import numpy as np
import pytest
from layerclaims.corpora.corpus import PLAIN, make_corpus, without_punctuation
from layerclaims.corpora.corpus import STRIPPED as STRIPPED_ROLES
from layerclaims.errors import NotTestedError
from layerclaims.experiments import conditions
from layerclaims.experiments.norms import norms_by_state
from layerclaims.experiments.series import (
    ALL_POSITIONS,
    EARLY,
    MIXED_ON_MAIN,
    MIXED_ON_TRANSFER,
    OWN_CONTEXT,
    RAW,
    SIZES,
    STRIPPED,
    STRIPPED_TRANSFER,
    TRANSFER_OWN,
    TREE,
    at_context,
    raw_of,
)
from layerclaims.experiments.study import Study
from layerclaims.probing import fit as fitting
from layerclaims.probing.probe import LayerProbe
from layerclaims.probing.vectors import Vectors, fold_order, take
from layerclaims.protocol import Protocol
from layerclaims.quantities import separability
from layerclaims.statistics.counts import paired

from tests import tiny

N_TEXTS, CONTEXT = 40, 12
COUNTED = CONTEXT - 1  # positions of a document: the first one is left out


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("variants")
    tiny.build("llama", place / "model")
    for seed, name in enumerate(("main", "transfer")):
        texts = [text.replace(" ", ", ", 3) + " - it's over!" for text in tiny.texts(60, seed=seed)]
        tiny.write_jsonl(place / f"{name}.jsonl", texts)
    return place


@pytest.fixture(scope="module")
def study(place):
    return Study(protocol(place), cache_dir=place / "cache")


def protocol(place, **changes):
    usual = {
        "model": str(place / "model"),
        "corpus": str(place / "main.jsonl"),
        "transfer_corpus": str(place / "transfer.jsonl"),
        "n_texts": N_TEXTS,
        "context": CONTEXT,
    }
    return Protocol(**{**usual, **changes})


class Fits(list):
    """What each probe was fitted on: rows and labels."""

    def __init__(self, monkeypatch):
        super().__init__()
        fit_sets, fit_growing, fit_alone = fitting.fit_sets, fitting.fit_growing, LayerProbe.fit

        def seen_alone(probe, X, y, **how):
            self.note(X, y, [slice(0, len(X))])
            return fit_alone(probe, X, y, **how)

        def seen_together(vectors, rows, **how):
            for part in rows:
                self.note(vectors.flat, vectors.labels, part)
            yield from fit_sets(vectors, rows, **how)

        def seen_growing(vectors, series, **how):
            for part in itertools.chain(*series):
                self.note(vectors.flat, vectors.labels, part)
            return fit_growing(vectors, series, **how)

        monkeypatch.setattr(LayerProbe, "fit", seen_alone)
        monkeypatch.setattr(fitting, "fit_growing", seen_growing)
        monkeypatch.setattr(fitting, "fit_sets", seen_together)

    def note(self, X, y, rows):
        self.append(tuple(np.concatenate([of[part] for part in rows]) for of in (X, y)))


@pytest.fixture
def fits(monkeypatch):
    return Fits(monkeypatch)


@pytest.fixture
def fresh(study, tmp_path, place):
    """The same study without what was measured before."""
    (tmp_path / "states").symlink_to(place / "cache" / "states")
    for role in (*PLAIN, *STRIPPED_ROLES):
        study.store(role)
    return Study(study.protocol, cache_dir=tmp_path)


def rows_of(x):
    return {row.tobytes() for row in np.ascontiguousarray(x)}


def test_every_document_is_tested_once_where_documents_are_few(study):
    for one in (TREE, SIZES[2], at_context(5), TRANSFER_OWN, MIXED_ON_MAIN, MIXED_ON_TRANSFER, STRIPPED):
        series = study.counts(one)
        positions = 4 if one is at_context(5) else COUNTED
        np.testing.assert_array_equal(series.total, np.full((N_TEXTS, study.n_labels), positions))
        assert series.corpus == ("transfer" if one in (TRANSFER_OWN, MIXED_ON_TRANSFER) else "main")


def test_as_many_folds_are_fitted_as_hold_forty_documents():
    for documents, folds, expected in (
        (30, 5, 5),
        (40, 5, 5),
        (120, 5, 2),
        (200, 5, 1),
        (1000, 5, 1),
        (200, 10, 2),
    ):
        order, parts = fold_order(documents, folds, 0)
        vectors = Vectors(x=np.zeros((documents, 2, 1, 1), dtype=np.float32), rows=order, folds=parts)
        assert len(conditions.chosen_folds(vectors)) == expected


@pytest.mark.parametrize(("one", "share"), [(SIZES[3], 0.5), (SIZES[0], 1 / 16)])
def test_a_smaller_training_set_is_that_share_of_what_the_probe_may_see(fresh, fits, one, share):
    series = fresh.counts(one)
    vectors = fresh.rows("main")
    place, sizes, right = conditions.SHARES.index(share), len(conditions.SHARES), 0
    assert len(fits) == sizes * fresh.protocol.folds
    for fold, (seen, labels) in enumerate(list(fits[place::sizes])):
        allowed, _ = take(vectors, vectors.training(fold))
        assert len(seen) == pytest.approx(share * len(allowed), rel=0.2, abs=vectors.n_labels)
        assert rows_of(seen) <= rows_of(allowed)
        assert len(np.unique(labels)) == vectors.n_labels
        alone, tested = LayerProbe().fit(seen, labels, n_labels=vectors.n_labels), vectors.tested(fold)
        right += (alone.predict(vectors.flat[tested]) == vectors.labels[tested]).sum()
    assert series.correct.sum() == pytest.approx(right, rel=0.02)


def test_a_shorter_context_sees_and_is_asked_the_first_positions_only(fresh, fits):
    fresh.counts(at_context(5))
    states = fresh.store("main").state(fresh.n_labels - 1)
    early, late = (rows_of(part.reshape(-1, states.shape[-1])) for part in (states[:, 1:5], states[:, 5:]))
    last = fresh.n_labels - 1  # a state after some blocks tells where it stands; an embedding does not
    for seen, labels in fits:
        assert rows_of(seen[labels == last]) <= early
        assert not rows_of(seen[labels == last]) & late


def test_contexts_are_compared_at_equal_numbers_of_training_vectors(fresh, fits):
    """Four positions of each document: of the first four, of the first nine, of all."""
    for one in (at_context(5), at_context(10), OWN_CONTEXT):
        fits.clear()
        series = fresh.counts(one)
        rows = fresh.rows("main")
        assert [len(seen) for seen, _ in fits] == [
            4 * (N_TEXTS - len(range(*part.indices(N_TEXTS)))) * rows.n_labels for part in rows.folds
        ]
        of = {at_context(5): 4, at_context(10): 9}.get(one, COUNTED)
        assert (series.total == of).all(), "each is asked all of its own positions"
        for fold, (seen, _) in enumerate(fits):
            allowed, _ = take(rows, rows.training(fold))
            assert rows_of(seen) <= rows_of(allowed)
    (whole, _), *_ = fits
    last = fresh.store("main").state(fresh.n_labels - 1)
    assert rows_of(whole) & rows_of(last[:, 5:].reshape(-1, last.shape[-1])), "drawn from all, not the first"


def test_the_early_positions_are_those_of_the_shortest_context(study):
    early, raw = study.counts(EARLY), study.counts(RAW)
    assert (early.total == 4).all()
    assert (early.correct <= raw.correct).all()
    assert (raw.correct - early.correct <= COUNTED - 4).all()


def test_with_the_first_position_there_is_one_more_to_answer_for(fresh, fits):
    assert (fresh.counts(ALL_POSITIONS).total == CONTEXT).all()
    first = rows_of(fresh.store("main").state(1)[:, 0])
    assert all(rows_of(seen) & first for seen, _ in fits)


def test_contexts_rise_to_the_run_s_own():
    def named(n, **changes):
        return {k: one.name for k, one in conditions.contexts(Protocol(context=n, **changes)).items()}

    names = {n: named(n) for n in (30, 12, 5)}
    assert named(30, name="as-published") == {10: "context 10", 20: "context 20", 30: "raw"}
    assert names[30] == {5: "context 5", 10: "context 10", 20: "context 20", 30: "own context"}
    assert names[12] == {5: "context 5", 10: "context 10", 12: "own context"}
    assert names[5] == {5: "own context"}


def test_a_context_that_is_the_shortest_has_nothing_to_be_compared_with(place):
    study = Study(protocol(place, context=5), cache_dir=place / "cache")
    with pytest.raises(NotTestedError, match="raise --context"):
        study.judge("longer-context-higher-accuracy")


def test_mixed_training_takes_half_of_either_corpus_and_no_tested_document(fresh, fits):
    fresh.counts(MIXED_ON_MAIN)
    corpora = {role: fresh.rows(role) for role in ("transfer", "main")}
    assert len(fits) == fresh.protocol.folds
    last = fresh.n_labels - 1  # an embedding stands in many documents, a state after some blocks in one
    for fold, (seen, labels) in enumerate(fits):
        allowed = [take(vectors, vectors.training(fold)) for vectors in corpora.values()]
        assert rows_of(seen) <= rows_of(np.concatenate([x for x, _ in allowed])), "nothing that is tested on"
        for x, y in allowed:
            own = rows_of(x[y == last])
            assert len(rows_of(seen[labels == last]) & own) == pytest.approx(len(own) / 2, rel=0.3)
        assert len(seen) == pytest.approx(np.mean([len(x) for x, _ in allowed]), rel=0.05)


def test_one_probe_answers_for_both_corpora_without_punctuation(fresh, fits):
    stripped, transfer = fresh.counts(STRIPPED), fresh.counts(STRIPPED_TRANSFER)
    assert len(fits) == fresh.protocol.folds
    assert (stripped.corpus, transfer.corpus) == ("main", "transfer")
    # a document of the other corpus is unseen by all
    assert (transfer.total == COUNTED * fresh.protocol.folds).all()
    whole, left = paired(fresh.counts(RAW), stripped)
    assert len(whole) == len(left) >= N_TEXTS / 2, "the same texts are compared"


def test_too_few_texts_without_punctuation_are_no_fault(place):
    tiny.write_jsonl(
        place / "dots.jsonl",
        [
            "".join(f"{c}." for c in f"{chr(97 + i % 26)}{chr(97 + i // 26)}{text}")
            for i, text in enumerate(tiny.texts(60))
        ],
    )
    marks = [f"{i:060b}"[::-1].replace("0", "!").replace("1", "?") + "a" for i in range(60)]
    tiny.write_jsonl(place / "marks.jsonl", marks)
    study = Study(
        protocol(place, corpus=str(place / "dots.jsonl"), transfer_corpus=str(place / "marks.jsonl")),
        cache_dir=place / "cache",
    )
    with pytest.raises(NotTestedError, match="without punctuation"):
        study.counts(STRIPPED)


def test_punctuation_and_symbols_leave_words_apart():
    corpus = make_corpus("c", ["Well-known: 3+4=7, «ça»…\n“don't”", "plain"])
    bare = without_punctuation(corpus)
    assert list(bare.texts) == ["Well known 3 4 7 ça don t", "plain"]
    assert not any(unicodedata.category(c)[0] in "PS" for text in bare.texts for c in text)
    assert bare.sha256 != corpus.sha256
    assert bare.name != corpus.name


def test_the_untrained_twin_is_another_model_on_the_same_tokens(place):
    own, twin = (
        Study(protocol(place, seed=7), cache_dir=place / "cache", untrained=untrained)
        for untrained in (False, True)
    )
    assert np.array_equal(own.store("main").token_ids, twin.store("main").token_ids)
    assert not np.allclose(own.store("main").state(2), twin.store("main").state(2))
    own.values(norms_by_state)
    assert own.has(norms_by_state)
    assert not twin.has(norms_by_state)


def test_a_series_of_another_model_is_paired_by_document(place):
    small = Study(protocol(place), cache_dir=place / "cache")
    tiny.build("gpt2", place / "other", n_layer=3, n_embd=32)
    other = Study(protocol(place, model=str(place / "other")), cache_dir=place / "cache")
    small.family = other.family = {"small": small, "other": other}
    counts = small.counts(raw_of("other"))
    assert counts.correct.sum() == other.counts(RAW).correct.sum()
    assert counts.correct.shape == (N_TEXTS, 1), "models differ in their number of labels"
    names = separability.models_by_size(small)
    assert names == sorted(names, key=lambda name: small.family[name].facts.n_parameters)
    (step,) = separability.steps_of_size.find(other)
    first, second = (small.family[name].counts(RAW).accuracy for name in names)
    assert step.estimate.value == pytest.approx(first - second)


def test_models_of_one_size_and_a_model_alone_are_not_compared(place):
    study = Study(protocol(place), cache_dir=place / "cache")
    study.family = {"one": study}
    with pytest.raises(NotTestedError, match="several times"):
        study.judge("larger-model-lower-accuracy")
    study.family = {"one": study, "same": study}
    with pytest.raises(NotTestedError, match="neither is larger"):
        separability.steps_of_size.find(study)
