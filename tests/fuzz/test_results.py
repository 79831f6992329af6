"""Results files of strangers: read and verified, or refused with one sentence."""

import copy
import json
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from layerclaims import LayerclaimsError, read_results, verify
from layerclaims.results.checking import checked
from layerclaims.results.file import dumps, loads, sealed
from layerclaims.results.records import Results

from tests import sample_results
from tests.fuzz.examples import EDITS, JSON, edited, expect_sentence, fuzzed

SOUND = sample_results.single_claim()
TEXT = json.dumps(SOUND).encode()


def places(value, path=()):
    """The path of everything in a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*path, key))


PLACES = [path for path in places(SOUND) if path]


def replaced(path, value):
    """The sound content with another value in one place."""
    content = copy.deepcopy(SOUND)
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return content


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("results") / "results.json"


def look(file, data):
    file.write_bytes(data)
    try:
        read_results(file)
    except LayerclaimsError as error:
        expect_sentence(error)
    try:  # past the checksum, which a forger makes anew
        found = loads(data, origin="the file")
    except LayerclaimsError as error:
        expect_sentence(error)
        return
    assert isinstance(found, Results)
    try:
        verify(found)
    except LayerclaimsError as error:
        expect_sentence(error)


def test_the_sound_file_is_read(file):
    file.write_bytes(dumps(sealed(checked(SOUND))).encode())
    assert isinstance(read_results(file), Results)


@fuzzed(60)
@given(edits=EDITS)
@example(edits=[(0.5, "insert", b"9" * 5000, 1)])
@example(edits=[(0.0, "insert", b"[" * 2000, 1)])
def test_bytes_that_changed(file, edits):
    look(file, edited(TEXT, edits))


@fuzzed(120)
@given(path=st.sampled_from(PLACES), value=JSON)
@example(path=("claims",), value=[{}])
@example(path=("claims", 0, "estimate"), value=10**400)
@example(path=("protocol", "n_texts"), value=2**63)
@example(path=("protocol", "folds"), value=10**9)
@example(path=("model", "n_blocks"), value=10**9)
@example(path=("model", "hidden_size"), value=10**12)
@example(path=("protocol", "alpha"), value=1e-320)
@example(path=("protocol", "seed"), value=10**400)
def test_a_value_that_changed(file, path, value):
    look(file, json.dumps(replaced(path, value)).encode())


@fuzzed(40)
@given(seed=st.integers(0, 2**32))
def test_values_that_changed_places(file, seed):
    rng = random.Random(seed)
    one, other = rng.choice(PLACES), rng.choice(PLACES)
    value = SOUND
    for key in other:
        value = value[key]
    look(file, json.dumps(replaced(one, value)).encode())
