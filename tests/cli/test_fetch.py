"""`layerclaims fetch`, against a stand-in for the hub."""

import shutil

import pytest
import safetensors.torch as safetensors
import torch
from layerclaims.cli.main import main
from layerclaims.corpora.load import load_corpus
from layerclaims.models.source import resolve
from layerclaims.runtime import counting, progress
from layerclaims.runtime import hub as limits

from tests import tiny
from tests.corpora.test_hub import parquet
from tests.stand_in_hub import COMMIT, asked_by_its_client


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    path = tiny.build("gpt2", tmp_path_factory.mktemp("hub") / "m")
    return {file.name: file.read_bytes() for file in path.iterdir()}


@pytest.fixture
def hub(files, tmp_path):
    with asked_by_its_client(tmp_path / "hub") as hub:
        hub.serve("acme/tiny", files)
        hub.serve("acme/texts", {"train.parquet": parquet("a", "b", "c")})
        yield hub


def test_what_was_fetched_is_read_offline_ever_after(hub, capsys):
    assert main(["fetch", "acme/tiny", "hf:acme/texts", "hf:acme/texts@main::text"]) == 0
    said = capsys.readouterr().out
    assert f"acme/tiny, commit {COMMIT}: " in said
    assert f"hf:acme/texts, commit {COMMIT}: 3 texts" in said
    hub.seen.clear()
    assert resolve("acme/tiny", offline=True).revision == COMMIT
    assert list(load_corpus("hf:acme/texts", offline=True).texts) == ["a", "b", "c"]
    assert hub.seen.total() == 0


def test_a_wrong_name_is_one_sentence_before_anything_is_fetched(hub, capsys):
    assert main(["fetch", "acme/tiny", "no-such-corpus"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert hub.seen.total() == 0


def test_whether_the_disk_has_room_is_known_before_the_first_byte_of_the_weights(hub, capsys):
    hub.sizes["model.safetensors"] = 10**15
    assert main(["fetch", "acme/tiny"]) == 1
    said = capsys.readouterr().err
    assert "takes 1000000.0 GB, and the hub's local cache" in said
    assert "free; make room there, or set HF_HUB_CACHE" in said
    assert "model.safetensors" not in hub.fetched


def test_what_is_in_the_cache_needs_no_room(hub, monkeypatch):
    resolve("acme/tiny")
    monkeypatch.setattr(limits, "free_on_disk", lambda _: 0)
    assert resolve("acme/tiny").revision == COMMIT


def test_megabytes_are_counted_as_they_come(hub, files, monkeypatch):
    """The label, the total and every whole megabyte reach the line of progress."""
    body = safetensors.save({"x": torch.zeros(10**6)}, metadata={"format": "pt"})
    hub.serve("acme/large", {**files, "model.safetensors": body})
    bars, counts = [], []

    class Seen(progress.Progress):
        def __init__(self, label, total=None, unit="", **more):
            bars.append((label, total, unit))
            super().__init__(label, total, unit, **more)

        def advance(self, n=1):
            counts.append(n)

    monkeypatch.setattr(limits.screen, "Progress", Seen)
    limits.obtain(
        limits.Repository(kind="model", name="acme/large"),
        fetch=lambda _, get: get("model.safetensors"),
        missing=lambda _: None,
        offline=False,
    )
    assert bars == [("fetching acme/large", len(body) // counting.MEGABYTE, "MB")]
    assert sum(counts) == len(body) // counting.MEGABYTE > 0


def test_free_room_is_that_of_the_disk_on_which_a_folder_will_lie(tmp_path):
    assert counting.free_on_disk(tmp_path / "a" / "b") == pytest.approx(
        shutil.disk_usage(tmp_path).free, rel=0.1
    )
