"""GGUF files: a tokenizer out of them, or one sentence."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from layerclaims import LayerclaimsError
from layerclaims.models.source import resolve
from layerclaims.models.tokenizer import Tokenizer

from tests.faults.bad_ggufs import ARCHITECTURE, ARRAY, STRING, UINT32, entry, head, text
from tests.fuzz.examples import EDITS, edited, expect_sentence, fuzzed


def strings(values):
    return struct.pack("<IQ", STRING, len(values)) + b"".join(map(text, values))


TOKENS = [b"<unk>", b"<s>", b"</s>", *(bytes([c]) for c in range(97, 123))]
ENTRIES = [
    ARCHITECTURE,
    *(
        entry(b"llama." + key, UINT32, struct.pack("<I", value))
        for key, value in {
            b"block_count": 2, b"embedding_length": 32, b"context_length": 64, b"feed_forward_length": 48,
            b"attention.head_count": 4, b"attention.head_count_kv": 2, b"vocab_size": len(TOKENS),
        }.items()
    ),
    entry(b"tokenizer.ggml.model", STRING, text(b"llama")),
    entry(b"tokenizer.ggml.tokens", ARRAY, strings(TOKENS)),
    entry(b"tokenizer.ggml.scores", ARRAY, struct.pack("<IQ", 6, len(TOKENS)) + struct.pack("<f", 0.0) * len(TOKENS)),
]  # fmt: skip
SOUND = head(entries=len(ENTRIES)) + b"".join(ENTRIES)
COUNT = st.one_of(st.integers(0, 40), st.integers(0, 2**64 - 1))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("gguf") / "model.gguf"


def look(file, data):
    file.write_bytes(data)
    try:
        Tokenizer(resolve(str(file)))
    except LayerclaimsError as error:
        expect_sentence(error)


@fuzzed(25)
@given(edits=EDITS)
@example(edits=[(0.0, "cut", b"x", 1)])
def test_bytes_that_changed(file, edits):
    look(file, edited(SOUND, edits))


@fuzzed(25)
@given(version=st.integers(0, 2**32 - 1), tensors=COUNT, entries=COUNT, rest=st.binary(max_size=200))
@example(version=3, tensors=2**60, entries=0, rest=b"")
@example(version=3, tensors=0, entries=2**60, rest=ARCHITECTURE)
@example(version=3, tensors=0, entries=1, rest=struct.pack("<Q", 2**63) + b"x")
def test_heads_that_lie(file, version, tensors, entries, rest):
    look(file, head(version=version, tensors=tensors, entries=entries) + rest)
