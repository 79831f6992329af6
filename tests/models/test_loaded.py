"""A model in memory is studied like the same model in files."""

import pytest
import torch
from layerclaims.errors import LayerclaimsError
from layerclaims.experiments.study import Study
from layerclaims.models.loaded import loaded_source
from layerclaims.models.model import LanguageModel
from layerclaims.models.source import resolve
from layerclaims.protocol import Protocol
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests import tiny


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tiny.build("llama", tmp_path_factory.mktemp("loaded") / "model")


@pytest.fixture
def loaded(place):
    return AutoModelForCausalLM.from_pretrained(place).eval(), AutoTokenizer.from_pretrained(place)


def test_gives_the_states_of_its_files(place, loaded):
    source = loaded_source(*loaded, name="step 100")
    memory, files = LanguageModel.load(source), LanguageModel.load(resolve(str(place)), device="cpu")
    ids = torch.tensor([files.encode("a few words of a text, and some more")[:8]])
    assert memory.encode("a few words") == files.encode("a few words")
    assert torch.equal(memory.states(ids), files.states(ids))
    assert memory.facts.name == "step 100"


def test_other_weights_have_another_key(loaded):
    model, tokenizer = loaded
    before = loaded_source(model, tokenizer, name="x")
    assert loaded_source(model, tokenizer, name="y").weights_sha256 == before.weights_sha256
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] += 1
    assert loaded_source(model, tokenizer, name="x").weights_sha256 != before.weights_sha256
    assert loaded_source(model, tokenizer, name="x").tokenizer_sha256 == before.tokenizer_sha256


def test_a_model_in_train_mode_is_refused(loaded):
    model, tokenizer = loaded
    with pytest.raises(LayerclaimsError, match="train mode"):
        loaded_source(model.train(), tokenizer, name="x")


def test_a_model_in_another_dtype_than_the_protocol_is_refused(loaded, tmp_path):
    model, tokenizer = loaded
    corpus = tiny.write_jsonl(tmp_path / "c.jsonl", tiny.texts(20))
    protocol = Protocol(
        model="x", corpus=str(corpus), n_texts=10, context=8, transfer_corpus=None, dtype="float32"
    )
    study = Study(protocol, cache_dir=tmp_path / "cache", model=model.to(torch.bfloat16), tokenizer=tokenizer)
    with pytest.raises(LayerclaimsError, match="has to be in float32"):
        study.store("main")


@pytest.mark.parametrize(
    ("changes", "options", "why"),
    [
        ({"adapter": "./x"}, {}, "The adapter './x' cannot be put on a model that is loaded"),
        ({"tokenizer": "./x"}, {}, "The tokenizer './x' cannot be put on a model that is loaded"),
        ({}, {"device_map": "auto"}, "The loaded model 'x' stays where it is"),
    ],
)
def test_what_cannot_be_done_with_it_is_refused(loaded, tmp_path, changes, options, why):
    corpus = tiny.write_jsonl(tmp_path / "c.jsonl", tiny.texts(20))
    protocol = Protocol(model="x", corpus=str(corpus), n_texts=10, context=8, transfer_corpus=None, **changes)
    model, tokenizer = loaded
    study = Study(protocol, cache_dir=tmp_path / "cache", model=model, tokenizer=tokenizer, **options)
    with pytest.raises(LayerclaimsError, match=why):
        study.store("main")


def test_its_own_format_is_taken_where_the_protocol_names_none(loaded, tmp_path):
    corpus = tiny.write_jsonl(tmp_path / "c.jsonl", tiny.texts(20))
    protocol = Protocol(model="x", corpus=str(corpus), n_texts=10, context=8, transfer_corpus=None)
    model, tokenizer = loaded
    study = Study(protocol, cache_dir=tmp_path / "cache", model=model.to(torch.bfloat16), tokenizer=tokenizer)
    assert study.store("main").facts.dtype == "bfloat16"
