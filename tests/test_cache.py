"""The cache directory: what is in it, whether it is sound, and that nothing outside it is ever touched."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from layerclaims.activations.shards import PLACE, TENSOR, shard_name, shard_place
from layerclaims.activations.store import STORE_VERSION, ActivationStore, write_manifest
from layerclaims.cache import DAY, CacheEntry, damaged, entries, prune
from layerclaims.errors import LayerclaimsError
from layerclaims.experiments.kept import KeptValues
from layerclaims.experiments.measurement import Values
from layerclaims.runtime.files import locked, sha256_file
from layerclaims.runtime.paths import default_cache_dir, key_name

KEY, OTHER = key_name({"seed": 0}), "1b" * 16
FACTS = {
    "name": "tiny", "revision": None, "architecture": "GPT2LMHeadModel", "n_blocks": 1, "hidden_size": 4,
    "n_parameters": 100, "dtype": "float32", "tied_embeddings": True, "weights_sha256": "", "bos_added": False,
    "final_norm": True,
}  # fmt: skip


def make_states(cache_dir: Path, seed: int = 0, *, model: str = "tiny", corpus: str = "movies") -> Path:
    """A finished store of 3 states x 2 documents x 5 positions x 4 numbers; its directory's name is key(seed)."""
    from safetensors.numpy import save_file

    key = key_name({"seed": seed})
    directory = cache_dir / "states" / key
    directory.mkdir(parents=True)
    shard = directory / shard_name(0)
    states = np.full((3, 2, 5, 4), seed, dtype=np.float32)
    save_file({TENSOR: states}, shard, metadata={PLACE: shard_place(key, shard.name)})
    write_manifest(
        directory,
        {
            "schema_version": STORE_VERSION,
            "key": {"seed": seed},
            "model": {**FACTS, "name": model},
            "corpus": {"name": corpus},
            "dtype": "float32",
            "shape": [3, 2, 5, 4],
            "shards": [
                {
                    "name": shard.name,
                    "sha256": sha256_file(shard),
                    "bytes": shard.stat().st_size,
                    "documents": 2,
                }
            ],
            "document_ids": [0, 1],
            "token_ids": [[0] * 5] * 2,
        },
    )
    assert ActivationStore.open(directory).n_documents == 2
    return directory


def make_measurements(cache_dir: Path, key: str = OTHER) -> Path:
    directory = cache_dir / "measurements" / key
    store = ActivationStore.open(cache_dir / "states" / KEY)
    values = Values(arrays={"a": np.arange(5)}, facts={})
    KeptValues(directory).get("linear", lambda: values, {store.key: store.digest})
    return directory


def used(directory: Path, days_ago: float) -> None:
    """Give a directory and its files another time of last use."""
    import time

    then = time.time() - days_ago * DAY
    for path in (*directory.iterdir(), directory):
        os.utime(path, (then, then))


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    make_states(tmp_path / "cache")
    make_measurements(tmp_path / "cache")
    return tmp_path / "cache"


def only(cache_dir: Path) -> CacheEntry:
    (entry,) = entries(cache_dir)
    return entry


class TestDefaultDirectory:
    @pytest.fixture(autouse=True)
    def _unnamed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("LAYERCLAIMS_CACHE", raising=False)

    def test_is_what_our_own_variable_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/someone")
        monkeypatch.setenv("XDG_CACHE_HOME", "/big/disk")
        monkeypatch.setenv("LAYERCLAIMS_CACHE", "~/states")
        assert default_cache_dir() == Path("/home/someone/states")

    def test_is_below_the_home_directory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("HOME", "/home/someone")
        assert default_cache_dir() == Path("/home/someone/.cache/layerclaims")

    def test_respects_the_base_directory_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", "/big/disk")
        assert default_cache_dir() == Path("/big/disk/layerclaims")

    @pytest.mark.parametrize("value", ["", "relative/path"])
    def test_ignores_what_the_specification_says_to_ignore(
        self, monkeypatch: pytest.MonkeyPatch, value: str
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        monkeypatch.setenv("HOME", "/home/someone")
        assert default_cache_dir() == Path("/home/someone/.cache/layerclaims")


class TestEntries:
    def test_of_a_directory_that_is_not_there_are_none(self, tmp_path: Path) -> None:
        assert entries(tmp_path / "absent") == []

    def test_carry_size_model_and_corpus(self, cache_dir: Path) -> None:
        states, measurements = entries(cache_dir)
        assert (states.kind, states.model, states.corpus, states.state) == (
            "states",
            "tiny",
            "movies",
            "whole",
        )
        assert states.size == sum(path.stat().st_size for path in (cache_dir / "states" / KEY).iterdir())
        assert (measurements.kind, measurements.key) == ("measurements", OTHER)

    def test_come_with_the_last_used_first(self, cache_dir: Path) -> None:
        make_states(cache_dir, 1)
        used(cache_dir / "states" / KEY, 3)
        assert [entry.key for entry in entries(cache_dir)] == [key_name({"seed": 1}), KEY, OTHER]

    def test_are_not_used_by_being_listed(self, cache_dir: Path) -> None:
        used(cache_dir / "states" / KEY, 40)
        before = entries(cache_dir)[0].used
        assert entries(cache_dir)[0].used == before

    def test_are_nothing_but_keys(self, cache_dir: Path) -> None:
        for name in ("notes", KEY.upper(), KEY + "x", ".hidden"):
            (cache_dir / "states" / name).mkdir()
        (cache_dir / "elsewhere").mkdir()
        assert len(entries(cache_dir)) == 2

    def test_without_a_manifest_are_unfinished(self, cache_dir: Path) -> None:
        (cache_dir / "states" / KEY / "manifest.json").unlink()
        entry = entries(cache_dir)[0]
        assert (entry.state, entry.model) == ("unfinished", "")
        assert damaged(entry) == {}

    def test_that_cannot_be_read_are_one_sentence(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "states").mkdir()

        def refuse(_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("os.scandir", refuse)
        with pytest.raises(LayerclaimsError, match="Permission denied"):
            entries(tmp_path)


class TestDamage:
    def test_of_sound_entries_is_none(self, cache_dir: Path) -> None:
        assert [damaged(entry) for entry in entries(cache_dir)] == [{}, {}]

    @pytest.mark.parametrize("name", [shard_name(0), "manifest.json"])
    def test_of_a_flipped_byte_is_found(self, cache_dir: Path, name: str) -> None:
        path = cache_dir / "states" / KEY / name
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        assert list(damaged(entries(cache_dir)[0])) == [name]

    @pytest.mark.parametrize("how", ["cut off", "deleted"])
    def test_of_a_shard_names_it(self, cache_dir: Path, how: str) -> None:
        path = cache_dir / "states" / KEY / shard_name(0)
        if how == "deleted":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-1])
        assert list(damaged(entries(cache_dir)[0])) == [shard_name(0)]

    @pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"schema_version": 1}', b"[" * 100_000])
    def test_of_a_manifest_is_no_traceback(self, cache_dir: Path, content: bytes) -> None:
        (cache_dir / "states" / KEY / "manifest.json").write_bytes(content)
        assert list(damaged(entries(cache_dir)[0])) == ["manifest.json"]

    def test_of_a_measurement_is_found(self, cache_dir: Path) -> None:
        path = cache_dir / "measurements" / OTHER / "linear.safetensors"
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        assert list(damaged(entries(cache_dir)[1])) == ["linear.safetensors"]

    def test_of_states_in_another_s_directory_is_found(self, cache_dir: Path) -> None:
        one, other = make_states(cache_dir, 1), make_states(cache_dir, 2)
        swap(one, other)
        found = {entry.key: damaged(entry) for entry in entries(cache_dir)}
        assert found[one.name] == {"manifest.json": f"it belongs to states/{other.name}"}
        assert found[other.name] == {"manifest.json": f"it belongs to states/{one.name}"}

    def test_of_another_store_s_shard_says_whose_it_is(self, cache_dir: Path) -> None:
        other = make_states(cache_dir, 1)
        shutil.copy(other / shard_name(0), cache_dir / "states" / KEY)
        (entry,) = [entry for entry in entries(cache_dir) if entry.key == KEY]
        why = f"it is states/{other.name}/{shard_name(0)}, which belongs elsewhere"
        assert damaged(entry) == {shard_name(0): why}

    def test_of_measurements_in_each_other_s_place_is_found(self, cache_dir: Path) -> None:
        directory = cache_dir / "measurements" / OTHER
        KeptValues(directory).put("other", Values(arrays={}, facts={}), {})
        swap(directory / "linear.safetensors", directory / "other.safetensors")
        assert damaged(entries(cache_dir)[1]) == {
            "linear.safetensors": f"it is measurements/{OTHER}/other, which belongs elsewhere",
            "other.safetensors": f"it is measurements/{OTHER}/linear, which belongs elsewhere",
        }

    def test_of_a_measurement_under_another_key_is_found(self, cache_dir: Path) -> None:
        (cache_dir / "measurements" / OTHER).rename(cache_dir / "measurements" / ("2c" * 16))
        assert list(damaged(entries(cache_dir)[1])) == ["linear.safetensors"]

    def test_of_a_measurement_of_other_states_is_found(self, cache_dir: Path) -> None:
        directory = cache_dir / "measurements" / OTHER
        KeptValues(directory).put("linear", Values(arrays={}, facts={}), {KEY: "f" * 64})
        assert damaged(entries(cache_dir)[1]) == {
            "linear.safetensors": f"it was made of other states than those in states/{KEY}"
        }

    def test_is_none_where_the_states_of_a_measurement_are_gone(self, cache_dir: Path) -> None:
        shutil.rmtree(cache_dir / "states")
        assert damaged(only(cache_dir)) == {}


def swap(one: Path, other: Path) -> None:
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


class TestPruning:
    def test_removes_what_killed_processes_left_and_nothing_else(self, cache_dir: Path) -> None:
        doomed = cache_dir / "states" / f".{'2c' * 16}-pruned.tmp"
        doomed.mkdir()
        (doomed / shard_name(0)).touch()
        left = cache_dir / "measurements" / OTHER / f".linear.safetensors-{'0a' * 8}.tmp"
        left.touch()
        mine = [
            cache_dir / "states" / ".mine-pruned.tmp",
            cache_dir / "states" / KEY / "notes.tmp",
            cache_dir / f".{'2c' * 16}-pruned.tmp",
        ]
        for path in mine:
            path.mkdir()
        assert list(prune(cache_dir, older_than=1)) == []
        assert not doomed.exists()
        assert not left.exists()
        assert all(path.exists() for path in mine)

    def test_never_follows_a_link_in_place_of_what_was_left(self, cache_dir: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "thesis.tex").write_text("years of work")
        (cache_dir / "states" / f".{'2c' * 16}-pruned.tmp").symlink_to(outside)
        list(prune(cache_dir))
        assert (outside / "thesis.tex").read_text() == "years of work"

    def test_removes_everything_when_asked(self, cache_dir: Path) -> None:
        sizes = [entry.size for entry in entries(cache_dir)]
        removals = list(prune(cache_dir))
        assert [removal.entry.size for removal in removals] == sizes
        assert not any(removal.kept for removal in removals)
        assert entries(cache_dir) == []
        assert list((cache_dir / "states").iterdir()) == []

    def test_keeps_what_was_used_lately(self, cache_dir: Path) -> None:
        used(cache_dir / "states" / KEY, 40)
        used(cache_dir / "measurements" / OTHER, 20)
        assert [removal.entry.key for removal in prune(cache_dir, older_than=30)] == [KEY]
        assert only(cache_dir).key == OTHER

    def test_leaves_what_is_not_of_the_cache(self, cache_dir: Path) -> None:
        (cache_dir / "states" / "notes.txt").write_text("mine")
        (cache_dir / "thesis").mkdir()
        list(prune(cache_dir))
        assert (cache_dir / "states" / "notes.txt").exists()
        assert (cache_dir / "thesis").exists()

    def test_never_follows_a_link_in_place_of_an_entry(self, cache_dir: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "thesis.tex").write_text("years of work")
        link = cache_dir / "states" / ("2c" * 16)
        link.symlink_to(outside)
        (removal,) = [r for r in prune(cache_dir) if r.entry.path == link]
        assert (removal.kept, removal.entry.size, removal.entry.state) == ("", 0, "link")
        assert not link.is_symlink()
        assert (outside / "thesis.tex").read_text() == "years of work"

    def test_never_follows_a_link_inside_an_entry(self, cache_dir: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "thesis.tex").write_text("years of work")
        (cache_dir / "states" / KEY / "elsewhere").symlink_to(outside)
        (cache_dir / "states" / KEY / "file").symlink_to(outside / "thesis.tex")
        before = entries(cache_dir)[0].size
        assert before < 10_000
        list(prune(cache_dir))
        assert (outside / "thesis.tex").read_text() == "years of work"

    def test_touches_nothing_behind_a_kind_that_is_a_link(self, cache_dir: Path, tmp_path: Path) -> None:
        (cache_dir / "states").rename(tmp_path / "moved")
        (cache_dir / "states").symlink_to(tmp_path / "moved")
        assert [entry.kind for entry in entries(cache_dir)] == ["measurements"]
        list(prune(cache_dir))
        assert (tmp_path / "moved" / KEY / "manifest.json").exists()

    def test_works_where_the_cache_directory_itself_is_a_link(self, cache_dir: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(cache_dir)
        assert len(list(prune(tmp_path / "link"))) == 2
        assert entries(cache_dir) == []

    @pytest.mark.parametrize("name", ["states", "measurements"])
    def test_keeps_what_another_process_holds(self, cache_dir: Path, name: str) -> None:
        (entry,) = [entry for entry in entries(cache_dir) if entry.kind == name]
        lock = ".lock" if name == "states" else ".linear.lock"
        with locked(entry.path / lock):
            kept = {removal.entry.kind: removal.kept for removal in prune(cache_dir)}
        assert kept.pop(name) == "in use by another process"
        assert list(kept.values()) == [""]
        assert only(cache_dir).path == entry.path

    def test_says_what_could_not_be_removed(self, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "rename", refuse)
        assert {removal.kept for removal in prune(cache_dir)} == {"Permission denied"}


def test_a_hostile_manifest_is_only_text(cache_dir: Path) -> None:
    directory = make_states(cache_dir, 3, model="\x1b[31m../../etc", corpus="\u202e")
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["shards"][0]["name"] = "../../../../etc/passwd"
    path.write_text(json.dumps(manifest))
    (entry,) = [entry for entry in entries(cache_dir) if entry.path == directory]
    assert damaged(entry) == {"passwd": "it is missing or cut off"}
