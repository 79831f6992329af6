"""Corpora in files: text, JSON lines, CSV and Parquet."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from layerclaims.corpora.corpus import Corpus, make_corpus
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import shown

DEFAULT_COLUMN: Final = "text"


def split_path(name: str) -> tuple[Path, str]:
    """`PATH::COLUMN` -> path and column; a file whose very name contains `::` wins."""
    path, separator, column = name.rpartition("::")
    if not separator or Path(name).is_file():
        return Path(name).expanduser(), DEFAULT_COLUMN
    return Path(path).expanduser(), column


def load_file(name: str) -> Corpus:
    """The texts of `PATH` or `PATH::COLUMN`; raises LayerclaimsError, with the line where one is to blame."""
    path, column = split_path(name)
    try:
        corpus = make_corpus(name, READERS[path.suffix.lower()](path, column))
    except OSError as error:
        raise LayerclaimsError(
            f"The corpus file {shown(path)} cannot be read: {error.strerror or error}."
        ) from error
    if not corpus.texts:
        raise LayerclaimsError(f"The corpus file {shown(path)} holds no texts; give a file with documents.")
    return corpus


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


READERS: Final[dict[str, Callable[[Path, str], Iterator[str]]]] = {
    ".jsonl": _read_jsonl,
    ".txt": _read_txt,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}  # suffix -> texts of a path and a column
