"""What the disk has spoilt or somebody misplaced: the right numbers or a sentence, never a wrong number."""

import dataclasses
import shutil

import numpy as np
import pytest
from layerclaims.activations import plan
from layerclaims.activations.shards import shard_name
from layerclaims.errors import LayerclaimsError
from layerclaims.experiments import kept
from layerclaims.experiments.geometry import layer_geometry
from layerclaims.experiments.measurement import Values, measurement
from layerclaims.experiments.norms import norms_by_state
from layerclaims.experiments.plan import make_plan
from layerclaims.experiments.probes import layer_probe
from layerclaims.experiments.study import Study
from layerclaims.protocol import Protocol
from layerclaims.runtime import progress as screen
from layerclaims.runtime.paths import MANIFEST
from layerclaims.verdicts.registry import post_claims

from tests import tiny


@measurement("transfer", name="transfer-mean-of-a-test")
def transfer_mean(study):
    """Reads the other corpus alone."""
    store = study.store("transfer")
    return Values(
        arrays={"mean": np.stack([store.state(i).mean(0) for i in range(store.n_states)])}, facts={}
    )


@measurement("main", name="blocks-of-a-test")
def block_sums(study):
    """Reads shard by shard."""
    blocks = study.store("main").blocks([0, 2])
    return Values(arrays={"sums": np.array([[s.sum() for s in block] for block in blocks])}, facts={})


READERS = (norms_by_state, layer_geometry, block_sums, layer_probe)
ALL = (*READERS, transfer_mean)


@pytest.fixture(scope="module", autouse=True)
def small_shards():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "SHARD_BYTES", 40_000)
        yield


@pytest.fixture(scope="module")
def protocol(tmp_path_factory):
    place = tmp_path_factory.mktemp("damage")
    for seed, name in enumerate(("main", "transfer")):
        tiny.write_jsonl(place / f"{name}.jsonl", tiny.texts(60, seed=seed))
    return Protocol(
        model=f"local:{tiny.build('llama', place / 'model')}",
        corpus=str(place / "main.jsonl"),
        transfer_corpus=str(place / "transfer.jsonl"),
        n_texts=40,
        context=8,
    )


@pytest.fixture(scope="module")
def truth(protocol, tmp_path_factory):
    """A cache that nothing harmed, and what is measured in it."""
    cache = tmp_path_factory.mktemp("truth")
    study = Study(protocol, cache_dir=cache)
    study.store("transfer")
    found = {one: study.values(one) for one in ALL}
    Study(published(protocol), cache_dir=cache).values(norms_by_state)
    Study(another_seed(protocol), cache_dir=cache).values(norms_by_state)
    assert len(study.store("main").manifest["shards"]) > 2
    return cache, found


@pytest.fixture
def cache(truth, tmp_path):
    """A copy of it."""
    shutil.copytree(truth[0], tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def said(monkeypatch):
    """The notes of the run."""
    notes = []
    monkeypatch.setattr(screen, "note", lambda text, **_: notes.append(text))
    return notes


def published(protocol):
    return dataclasses.replace(protocol, name="as-published")


def another_seed(protocol):
    return dataclasses.replace(protocol, seed=1)


def assert_true(found, truth, one):
    for name, array in truth[1][one].arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)


def swap(one, other):
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


def unmeasured(cache):
    """The same cache with the states alone."""
    shutil.rmtree(cache / "measurements")
    return cache


def flip(path, at=-5):
    data = bytearray(path.read_bytes())
    data[at] ^= 0x40
    path.write_bytes(data)


def misplace(path):
    """Let two pages of a shard lie in each other's place."""
    data = path.read_bytes()
    page = 4096
    path.write_bytes(data[: 2 * page] + data[4 * page : 5 * page] + data[3 * page : 4 * page]
                     + data[2 * page : 3 * page] + data[5 * page :])  # fmt: skip


class TestStates:
    @pytest.mark.parametrize("one", READERS, ids=lambda one: one.name)
    @pytest.mark.parametrize("harm", [flip, misplace])
    def test_that_are_damaged_are_made_again_before_anything_is_measured(
        self, truth, cache, protocol, said, one, harm
    ):
        study = Study(protocol, cache_dir=unmeasured(cache))
        path = study.store("main").directory / shard_name(1)
        whole = path.read_bytes()
        harm(path)
        assert path.read_bytes() != whole
        assert_true(study.values(one), truth, one)
        assert path.read_bytes() == whole
        assert [note for note in said if f"{path.name}, since its bytes are not those that were" in note]

    def test_that_are_damaged_between_two_measurements_are_seen_by_the_second(self, truth, cache, protocol):
        study = Study(protocol, cache_dir=unmeasured(cache))
        study.values(norms_by_state)
        misplace(study.store("main").directory / shard_name(0))
        assert_true(study.values(layer_geometry), truth, layer_geometry)

    @pytest.mark.parametrize("manifest", [True, False])
    def test_whose_shards_are_swapped_are_put_right(self, truth, cache, protocol, manifest):
        study = Study(protocol, cache_dir=unmeasured(cache))
        directory = study.store("main").directory
        for suffix in (".safetensors", ".sha256"):
            swap(*((directory / shard_name(number)).with_suffix(suffix) for number in (0, 1)))
        for number in (0, 1):  # somebody who repairs checksums by hand
            sidecar = (directory / shard_name(number)).with_suffix(".sha256")
            sidecar.write_text(f"{sidecar.read_text().split()[0]}  {shard_name(number)}\n")
        if not manifest:
            (directory / MANIFEST).unlink()
        for one in READERS:
            assert_true(Study(protocol, cache_dir=cache).values(one), truth, one)

    @pytest.mark.parametrize("manifest", [True, False])
    def test_that_lie_in_each_other_s_directory_are_put_right(self, truth, cache, protocol, manifest):
        study = Study(protocol, cache_dir=unmeasured(cache))
        one, other = (study.store(role).directory for role in ("main", "transfer"))
        swap(one, other)
        if not manifest:
            (one / MANIFEST).unlink()
            (other / MANIFEST).unlink()
        for what in (norms_by_state, transfer_mean):
            assert_true(Study(protocol, cache_dir=cache).values(what), truth, what)

    def test_that_are_damaged_again_and_again_are_one_sentence(self, cache, protocol):
        @measurement("main", name="spoils-what-it-reads")
        def spoils(study):
            flip(study.store("main").directory / shard_name(0))
            return norms_by_state.compute(study)

        with pytest.raises(LayerclaimsError, match=r"damaged once more .* --cache-dir"):
            Study(protocol, cache_dir=cache).values(spoils)

    def test_that_are_made_again_take_with_them_what_came_from_them(self, truth, cache, protocol, said):
        study, other = Study(protocol, cache_dir=cache), Study(published(protocol), cache_dir=cache)
        paths = {one: study.kept_at(one) for one in ALL}
        theirs = other.kept_at(norms_by_state)
        partial = paths[layer_probe].with_suffix(".partial")
        partial.touch()
        held = study.values(layer_geometry)
        flip(study.store("main").directory / shard_name(0))
        paths[norms_by_state].unlink()
        study.values(norms_by_state)  # reads the states, which are made again
        there = {one for one, path in paths.items() if path.exists()}
        assert there == {norms_by_state, transfer_mean}
        assert not theirs.exists()
        assert not partial.exists()
        assert any("4 kept measurements came from these states" in note for note in said)
        assert study.values(layer_geometry) is not held
        assert_true(study.values(layer_geometry), truth, layer_geometry)


class TestMeasurements:
    def test_that_lie_in_each_other_s_place_are_computed_again(self, truth, cache, protocol, said):
        study = Study(protocol, cache_dir=cache)
        swap(study.kept_at(norms_by_state), study.kept_at(layer_geometry))
        for one in (norms_by_state, layer_geometry):
            assert_true(study.values(one), truth, one)
        assert len([note for note in said if "which belongs elsewhere" in note]) == 2

    @pytest.mark.parametrize("other", [published, another_seed])
    def test_of_another_run_under_this_name_are_computed_again(self, truth, cache, protocol, other):
        study, theirs = Study(protocol, cache_dir=cache), Study(other(protocol), cache_dir=cache)
        assert study.kept_at(norms_by_state) != theirs.kept_at(norms_by_state)
        shutil.copy(theirs.kept_at(norms_by_state), study.kept_at(norms_by_state))
        assert not study.has(norms_by_state)
        assert_true(study.values(norms_by_state), truth, norms_by_state)

    def test_whose_directory_is_another_run_s_are_computed_again(self, truth, cache, protocol):
        study, theirs = Study(protocol, cache_dir=cache), Study(another_seed(protocol), cache_dir=cache)
        swap(study.kept_at(norms_by_state).parent, theirs.kept_at(norms_by_state).parent)
        assert_true(study.values(norms_by_state), truth, norms_by_state)

    def test_of_other_states_are_computed_again_after_one_note(self, truth, cache, protocol, said):
        study = Study(protocol, cache_dir=cache)
        wrong = Values(arrays={"sums": np.zeros(3)}, facts={})
        kept._save(study.kept_at(norms_by_state), wrong, {study.store("main").key: "f" * 64})
        assert not study.has(norms_by_state)
        assert_true(study.values(norms_by_state), truth, norms_by_state)
        study.values(norms_by_state)
        assert len(said) == 1
        assert "made of other states" in said[0]


class TestWarmRun:
    def test_says_what_it_checked(self, cache, protocol, said):
        rules = [post_claims()["last-layer-norm-dominates"].declaration]
        made = make_plan(
            [(Study(one, cache_dir=cache), rules, ()) for one in (protocol, published(protocol))]
        )
        made.prepare()
        assert said == ["layerclaims: 2 kept measurements of 1 store read, checksums right"]

    def test_says_what_was_not_right(self, cache, protocol, said):
        study = Study(protocol, cache_dir=cache)
        flip(study.kept_at(norms_by_state))
        make_plan([(study, [post_claims()["last-layer-norm-dominates"].declaration], ())]).prepare()
        (note,) = said
        assert "norms.safetensors is not used and is computed again: its bytes are not those" in note

    def test_hashes_no_states_where_nothing_is_computed(self, cache, protocol, monkeypatch):
        from layerclaims.activations import shards

        monkeypatch.setattr(shards, "sha256_file", None)
        found = Study(protocol, cache_dir=cache).values(norms_by_state)
        assert np.isfinite(found.arrays["sums"]).all()
