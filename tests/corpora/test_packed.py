"""JSON files, and text files that are packed with gzip."""

import gzip
import json
import random

import pytest
from layerclaims.corpora import packed
from layerclaims.corpora.corpus import check_different, make_corpus
from layerclaims.corpora.load import check_corpus_name, load_corpus
from layerclaims.errors import LayerclaimsError

TEXTS = ["a river", "a stone", "two\nlines"]


def refusal(path):
    with pytest.raises(LayerclaimsError) as caught:
        load_corpus(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestJson:
    def test_a_list_of_texts(self, tmp_path):
        (tmp_path / "c.json").write_text(json.dumps(TEXTS))
        assert list(load_corpus(str(tmp_path / "c.json")).texts) == TEXTS

    def test_a_list_of_objects(self, tmp_path):
        (tmp_path / "c.json").write_text(json.dumps([{"body": text, "n": 1} for text in TEXTS]))
        assert list(load_corpus(f"{tmp_path / 'c.json'}::body").texts) == TEXTS

    @pytest.mark.parametrize(
        ("content", "column", "why"),
        [
            ("{}", "text", "is a JSON object, not a list of texts or of objects"),
            ("[1]", "text", "Item 1 of .* is a JSON number, not an object with the key 'text'"),
            ('["a", {"b": "c"}]', "text", "Item 2 of .* has no key 'text', only 'b'"),
            ('["a"]', "b", "Item 1 of .* is a text and has no columns"),
            ('[{"text": null}]', "text", "Item 1 of .* has a null under 'text'"),
            ('[{"text": "a", "text": "b"}]', "text", "has the key 'text' twice"),
            ("[" * 99_999, "text", "is not JSON .nested too deeply"),
            ("[", "text", "is not JSON"),
            ("[]", "text", "holds no texts"),
            (b'["\xff"]', "text", "is not JSON"),
        ],
    )
    def test_what_is_no_list_of_texts_is_one_sentence(self, tmp_path, content, column, why):
        path = tmp_path / "c.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(LayerclaimsError, match=why):
            load_corpus(f"{path}::{column}")


class TestGzip:
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("c.jsonl", "".join(json.dumps({"text": text}) + "\n" for text in TEXTS[:2])),
            ("c.json", json.dumps(TEXTS[:2])),
            ("c.txt", "\n".join(TEXTS[:2])),
            ("c.csv", "text\n" + "\n".join(TEXTS[:2])),
        ],
    )
    def test_a_packed_file_holds_what_it_held(self, tmp_path, name, content):
        (tmp_path / name).write_text(content)
        (tmp_path / f"{name}.GZ").write_bytes(gzip.compress(content.encode()))
        plain, zipped = load_corpus(str(tmp_path / name)), load_corpus(str(tmp_path / f"{name}.GZ"))
        assert list(plain.texts) == TEXTS[:2]
        assert zipped.sha256 == plain.sha256

    @pytest.mark.parametrize(
        "damage", [lambda b: b[:-9], lambda b: b"x" + b, lambda b: b[:12] + b"\xff\xff" + b[14:]]
    )
    def test_a_damaged_one_is_one_sentence(self, tmp_path, damage):
        path = tmp_path / "c.txt.gz"
        path.write_bytes(damage(gzip.compress(b"a text of some words\n" * 50)))
        assert "is not a whole gzip file" in refusal(path)

    @pytest.mark.parametrize("suffix", ["jsonl", "json", "txt", "csv"])
    def test_a_small_one_that_unpacks_to_more_than_texts_do_is_refused(self, tmp_path, suffix):
        path = tmp_path / f"c.{suffix}.gz"
        path.write_bytes(gzip.compress(b"\n" * (packed._SMALL + 1), compresslevel=1))
        assert "unpacks to more than 16,000,000; give a part of it" in refusal(path)

    @pytest.mark.parametrize("suffix", ["jsonl", "json", "txt", "csv"])
    def test_no_more_is_unpacked_than_the_limit(self, tmp_path, suffix, monkeypatch):
        monkeypatch.setattr(packed, "MOST_UNPACKED", 100_000)
        path = tmp_path / f"c.{suffix}.gz"
        path.write_bytes(gzip.compress(random.Random(0).randbytes(30_000).hex().encode() * 2 + b"\n", 0))
        assert "unpacks to more than 100,000; give a part of it" in refusal(path)

    def test_any_may_unpack_to_as_much_as_a_small_one(self, tmp_path):
        path = tmp_path / "c.txt.gz"
        path.write_bytes(gzip.compress(b"a text of some words\n" + b"\n" * 1_000_000))
        assert list(load_corpus(str(path)).texts) == ["a text of some words"]

    @pytest.mark.parametrize("name", ["c.parquet.gz", "c.gz", "c.tar.gz"])
    def test_other_formats_are_not_packed(self, name):
        with pytest.raises(LayerclaimsError, match=r"is not known; .*all but \.parquet also with \.gz"):
            check_corpus_name(name)


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[::-1], [*TEXTS, TEXTS[0]]])
def test_equal_corpora_are_refused_whatever_their_names(texts):
    with pytest.raises(LayerclaimsError, match="'a' and 'b' hold the same texts"):
        check_different(make_corpus("a", TEXTS), make_corpus("b", texts))


def test_other_texts_are_another_corpus():
    check_different(make_corpus("a", TEXTS), make_corpus("a", TEXTS[:2]))
