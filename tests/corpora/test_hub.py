"""Data sets of the hub: which files, at which commit, against a stand-in server on this machine."""

import re

import pyarrow
import pyarrow.parquet
import pytest
from huggingface_hub import constants
from layerclaims.corpora.load import load_corpus
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime import hub as limits

from tests.stand_in_hub import COMMIT, OTHER, asked_by_its_client

IMDB = "stanfordnlp/imdb"


def parquet(*texts):
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table({"text": list(texts), "label": [0] * len(texts)}), sink)
    return sink.getvalue().to_pybytes()


@pytest.fixture(autouse=True)
def hub(tmp_path):
    with asked_by_its_client(tmp_path / "hub") as hub:
        files = {
            "README.md": b"",
            "plain_text/test-00000-of-00001.parquet": parquet("not wanted"),
            "plain_text/train-00001-of-00002.parquet": parquet("c"),
            "plain_text/train-00000-of-00002.parquet": parquet("a", "b"),
        }
        hub.serve(IMDB, files, COMMIT, "refs/pr/1", "v1.0")
        yield hub


def refusal(name, **options):
    with pytest.raises(LayerclaimsError) as caught:
        load_corpus(name, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_split_is_read_in_the_order_of_its_files_with_the_commit(hub):
    corpus = load_corpus("imdb")
    assert (list(corpus.texts), corpus.revision) == (["a", "b", "c"], COMMIT)
    assert sorted(hub.fetched) == [f"plain_text/train-0000{i}-of-00002.parquet" for i in range(2)]
    assert load_corpus("imdb@refs/pr/1") == load_corpus("imdb@refs/pr/1", offline=True)


def test_offline_the_commit_is_that_of_the_cache(hub, monkeypatch):
    online = load_corpus("imdb")
    hub.serve(IMDB, {"train-00000-of-00001.parquet": parquet("later")}, OTHER)
    hub.seen.clear()
    assert load_corpus("imdb", offline=True) == online
    assert load_corpus(f"imdb@{COMMIT}", offline=True).revision == COMMIT
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load_corpus("imdb") == online
    assert hub.seen.total() == 0
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert load_corpus("imdb").revision == OTHER


@pytest.mark.parametrize("asked", ["nope", OTHER, "v1.0"])
def test_a_revision_that_is_not_cached_is_refused(asked):
    load_corpus("imdb")
    said = refusal(f"imdb@{asked}", offline=True)
    assert f"than '{asked}' only" in said
    assert COMMIT in said


@pytest.mark.parametrize("failure", ["silence", "reset", 500])
def test_the_cache_stands_in_for_a_hub_that_is_down(hub, monkeypatch, failure):
    said = []
    monkeypatch.setattr(limits.screen, "note", said.append)
    online = load_corpus("imdb")
    hub.failures["api"] = failure
    monkeypatch.setattr(limits, "ANSWER", 0.3)
    assert load_corpus("imdb") == online
    assert COMMIT in said[-1]
    assert "than 'v1.0' only" in refusal("imdb@v1.0")


def test_a_data_set_that_cannot_be_had_names_the_ways_out(hub):
    said = refusal("imdb", offline=True)
    assert "is not in the hub's local cache; give a local file" in said
    assert "embedded:movies" in said
    hub.failures["api"] = 401
    assert "does not exist on the hub, or is private" in refusal("imdb")
    hub.failures = {"GET": "drop"}
    assert "breaks off" in refusal("imdb")


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (["imdb.py", "train.csv"], "holds no Parquet file of its split 'train'"),
        (["a/train-00000-of-00002.parquet"], "does not hold one whole set"),
        (["a/train-00000-of-00001.parquet", "b/train-00000-of-00001.parquet"], "does not hold one whole set"),
        (["a/train-00000-of-00002.parquet", "b/train-00001-of-00002.parquet"], "does not hold one whole set"),
        (["../train-00000-of-00001.parquet"], "holds no Parquet file"),
    ],
)
def test_a_split_is_one_whole_set_of_files(hub, there, why):
    hub.serve(IMDB, dict.fromkeys(there, b""))
    assert why in refusal("imdb")
    assert hub.fetched == []


def test_a_part_of_a_data_set_is_not_a_data_set(tmp_path):
    load_corpus("imdb")
    next((tmp_path / "hub").glob("datasets--*/snapshots/*/*/train-00001*")).unlink()
    assert f"is only partly in the hub's local cache (commit {COMMIT}" in refusal("imdb", offline=True)


@pytest.mark.parametrize("revision", ["../../etc", "a/../b", "a//b", "a/.x", "/a", "a/", "", "-x"])
def test_a_revision_does_not_lead_out_of_the_cache(hub, revision):
    assert "is not a revision" in refusal(f"imdb@{revision}")
    assert hub.seen.total() == 0


class TestAnyDataSet:
    @pytest.fixture
    def serve(self, hub):
        return lambda *names: hub.serve("acme/texts", {name: parquet(name) for name in names}, COMMIT, "v1.0")

    def test_its_column_and_revision_are_named(self, serve):
        serve("data/train-00000-of-00001.parquet")
        corpus = load_corpus("hf:acme/texts@v1.0::text")
        assert (list(corpus.texts), corpus.revision) == (["data/train-00000-of-00001.parquet"], COMMIT)
        assert corpus == load_corpus("hf:acme/texts@v1.0::text", offline=True)
        assert "no column 'body', only 'text', 'label'" in refusal("hf:acme/texts::body")
        assert "under 'label', where a text must be" in refusal("hf:acme/texts::label")

    @pytest.mark.parametrize(
        "names",
        [
            ["default/train/0000.parquet", "default/train/0001.parquet"],  # as the hub converts
            ["train.parquet"],
            ["train-00000-of-00001-0123456789abcdef.parquet"],
        ],
    )
    def test_parquet_files_are_found_by_each_way_of_naming_them(self, serve, names):
        serve("default/test/0000.parquet", "test.parquet", "other.parquet", *names)
        assert list(load_corpus("hf:acme/texts").texts) == names

    def test_of_several_sets_of_files_one_is_named(self, serve):
        serve("en/train-00000-of-00001.parquet", "de/train-00000-of-00001.parquet")
        said = refusal("hf:acme/texts")
        assert "in the folders 'de', 'en': name one, as in hf:acme/texts/de" in said
        assert list(load_corpus("hf:acme/texts/en").texts) == ["en/train-00000-of-00001.parquet"]
        assert "in the folder 'fr'" in refusal("hf:acme/texts/fr")

    def test_a_part_of_what_was_converted_is_not_the_whole(self, serve):
        serve("default/train/0000.parquet", "default/train/0002.parquet")
        assert "does not hold one whole set" in refusal("hf:acme/texts")

    @pytest.mark.parametrize(
        "name",
        [
            "hf:",
            "hf:acme/../x",
            "hf:/etc/passwd",
            "hf:acme//x",
            "hf:acme/x--y",
            "hf:acme/.x",
            "hf:a b",
            "hf:acme/x@..",
        ],
    )
    def test_a_name_does_not_lead_out_of_the_cache(self, hub, name):
        assert re.search("is not the name of a data set|is not a revision", refusal(name))
        assert hub.seen.total() == 0

    def test_a_gated_one_is_one_sentence(self, hub, serve):
        serve("train.parquet")
        hub.failures["api"] = 403
        hub.headers["X-Error-Code"] = "GatedRepo"
        assert "is gated on the hub and your token gives no access" in refusal("hf:acme/texts")

    def test_one_without_texts_is_refused(self, hub):
        hub.serve("acme/none", {"train.parquet": parquet()})
        assert "holds no texts" in refusal("hf:acme/none")
