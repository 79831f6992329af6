"""Corpus files: texts, or one sentence."""

import io
import json

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import example, given
from layerclaims import LayerclaimsError
from layerclaims.corpora.load import load_corpus

from tests import tiny
from tests.fuzz.examples import EDITS, JSON, edited, expect_sentence, fuzzed

TEXTS = tiny.texts(8)


def parquet():
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": TEXTS, "n": list(range(8))}), file)
    return file.getvalue()


FILES = {
    ".jsonl": "".join(json.dumps({"text": text, "n": 1}) + "\n" for text in TEXTS).encode(),
    ".csv": ("text,n\n" + "".join(f'"{text}",1\r\n' for text in TEXTS)).encode(),
    ".txt": "\n".join(TEXTS).encode(),
    ".parquet": parquet(),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("corpora")


def look(path, data):
    path.write_bytes(data)
    try:
        corpus = load_corpus(str(path))
    except LayerclaimsError as error:
        expect_sentence(error)
        return
    assert len(corpus.texts)
    assert all(isinstance(text, str) for text in corpus.texts)


@pytest.mark.parametrize("suffix", FILES)
def test_the_sound_file_is_read(folder, suffix):
    path = folder / f"sound{suffix}"
    path.write_bytes(FILES[suffix])
    assert list(load_corpus(str(path)).texts) == TEXTS


@pytest.mark.parametrize("suffix", FILES)
@fuzzed(60)
@given(edits=EDITS)
@example(edits=[(0.5, "insert", b"[" * 2000, 1)])
@example(edits=[(0.5, "insert", b'"', 1)])
@example(edits=[(0.99, "set", b"\xff\xff\xff\x7f", 1)])
def test_bytes_that_changed(folder, suffix, edits):
    look(folder / f"corpus{suffix}", edited(FILES[suffix], edits))


@fuzzed(60)
@given(value=JSON)
@example(value=10**400)
@example(value="\ud800")
def test_a_line_of_any_json(folder, value):
    lines = [json.dumps({"text": value}), json.dumps(value)]
    for line in lines:
        look(folder / "lines.jsonl", FILES[".jsonl"] + line.encode() + b"\n")
