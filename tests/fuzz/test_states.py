"""Stores of states: what was captured, or one sentence."""

import shutil

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from layerclaims import ActivationStore, LayerclaimsError, capture
from layerclaims.corpora.load import load_corpus
from layerclaims.models.source import resolve

from tests import tiny
from tests.fuzz.examples import EDITS, edited, expect_sentence, fuzzed


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    place = tmp_path_factory.mktemp("states")
    model = tiny.build("llama", place / "model")
    corpus = load_corpus(str(tiny.write_jsonl(place / "texts.jsonl", tiny.texts(12))))
    source = resolve(str(model))
    store = capture(source, corpus, cache_dir=place, n_texts=8, context=6, seed=0, progress=False)
    return store.directory, [store.state(i) for i in range(store.n_states)]


@pytest.mark.parametrize("pattern", ["manifest.json", "*.safetensors"])
@fuzzed(60)
@given(edits=EDITS, near=st.sampled_from([1.0, 0.02]))
@example(edits=[(0.0, "set", (2**63).to_bytes(8, "little"), 1)], near=1.0)
@example(edits=[(0.0, "set", (2**64 - 1).to_bytes(8, "little"), 1)], near=1.0)
@example(edits=[(0.5, "set", b"\1", 1)], near=1.0)
def test_bytes_that_changed(sound, tmp_path_factory, pattern, edits, near):
    original, states = sound
    directory = original.parent / "copy"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(original, directory)
    (path,) = directory.glob(pattern)
    path.write_bytes(edited(path.read_bytes(), [(share * near, *rest) for share, *rest in edits]))
    try:
        store = ActivationStore.open(directory)
        if store.verify():  # every byte is read: what is not sound is named
            return
        for i, state in enumerate(states):
            assert np.array_equal(store.state(i), state)
    except LayerclaimsError as error:
        expect_sentence(error)
