"""Figures of a tiny real model."""

import dataclasses

import pytest
from layerclaims.experiments.study import Study
from layerclaims.protocol import Protocol
from layerclaims.recording import figures

from tests import tiny


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    place = tmp_path_factory.mktemp("study")
    model = tiny.build("llama", place / "model")
    corpus = tiny.write_jsonl(place / "main.jsonl", tiny.texts(60, seed=0, words=(25, 40)))
    protocol = Protocol(
        model=f"local:{model}", corpus=str(corpus), transfer_corpus=None, n_texts=20, context=20
    )
    return Study(protocol, cache_dir=tmp_path_factory.mktemp("cache"))


def test_accuracy_over_context_has_the_published_curves_behind_it(study):
    figure = figures.accuracy_by_context.draw(study)
    own, *behind = figure.series
    assert figure.x.values == ("5", "10", "20")
    assert not own.published
    assert [curve.name for curve in behind] == [
        f"published {model}, 10 texts" for model in ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")
    ]
    assert behind[0].values == (None, 0.465385, 0.517308)


def test_a_context_that_was_never_published_has_none(study):
    short = Study(dataclasses.replace(study.protocol, context=8), cache_dir=study.cache_dir)
    assert len(figures.accuracy_by_context.draw(short).series) == 1


def test_what_the_published_procedure_does_not_have_is_left_out_of_a_figure(study):
    published = Study(dataclasses.replace(study.protocol, name="as-published"), cache_dir=study.cache_dir)
    names = figures.accuracy_masked.draw(published).x.values
    assert names == ("no mask", "recurring four", "their neighbours", "random four")
