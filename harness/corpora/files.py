"""Corpora in files: text, JSON, JSON lines, CSV and Parquet; all but the last also packed with gzip."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from layerclaims.corpora.corpus import Corpus, make_corpus
from layerclaims.corpora.packed import unpacking
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.files import steady
from layerclaims.runtime.text import brief, shown

DEFAULT_COLUMN: Final = "text"
LONGEST: Final = 100_000_000  # bytes of a line, and characters of a field: documents are shorter
MOST_JSON: Final = 1_000_000_000  # bytes of a .json file, which is read as a whole
GZIP: Final = ".gz"


def split_path(name: str) -> tuple[Path, str]:
    """`PATH::COLUMN` -> path and column; a file whose very name contains `::` wins. Raises LayerclaimsError."""
    path, separator, column = name.rpartition("::")
    if not separator or _is_file(Path(name)):
        path, column = name, DEFAULT_COLUMN
    try:
        return Path(path).expanduser(), column
    except RuntimeError as error:
        raise LayerclaimsError(
            f"The corpus file {shown(path)} lies in a home directory that nobody has; check the path."
        ) from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False


def check_file(path: Path) -> None:
    """Raise LayerclaimsError unless there is a regular file: a pipe or a device might never end."""
    try:
        if _is_file(path):
            return
        path.stat()
        why = "is a directory, not a file" if path.is_dir() else "is no regular file"
    except FileNotFoundError:
        why = "does not exist"
    except (OSError, ValueError) as error:  # a NUL character in a name is a ValueError
        why = f"cannot be looked up ({getattr(error, 'strerror', None) or error})"
    raise LayerclaimsError(f"The corpus file {shown(path)} {why}; check the path.")


def load_file(name: str) -> Corpus:
    """The texts of `PATH` or `PATH::COLUMN`; raises LayerclaimsError, with the line where one is to blame."""
    path, column = split_path(name)
    corpus = make_corpus(name, read_texts(path, column))
    if not corpus.texts:
        raise LayerclaimsError(f"The corpus file {shown(path)} holds no texts; give a file with documents.")
    return corpus


def suffix_of(path: Path) -> str:
    """The end of a file's name that says how it is read, with `.gz` where it is packed: `.jsonl.gz`."""
    last = path.suffix.lower()
    return Path(path.stem).suffix.lower() + last if last == GZIP else last


def read_texts(path: Path, column: str) -> Iterator[str]:
    """The texts of a file in its order; raises LayerclaimsError."""
    suffix = suffix_of(path)
    try:
        with steady(path) as file:
            if suffix.endswith(GZIP):
                with unpacking(file, path) as unpacked:
                    yield from READERS[suffix.removesuffix(GZIP)](unpacked, path, column)
            else:
                yield from READERS[suffix](file, path, column)
    except OSError as error:
        raise LayerclaimsError(
            f"The corpus file {shown(path)} cannot be read: {error.strerror or brief(error)}."
        ) from error


def _lines(file: BinaryIO, path: Path) -> Iterator[str]:
    """Every line, with its end. Only LF and CRLF end a line: U+2028 and others that str.splitlines knows are part
    of a document.
    """
    number, named = 0, shown(path)
    while raw := file.readline(LONGEST + 1):
        number += 1
        where = f"Line {number} of {named}"
        if len(raw) > LONGEST:
            raise LayerclaimsError(
                f"{where} is longer than {LONGEST:,} bytes; give a file with a document a line."
            )
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise LayerclaimsError(f"{where} is not UTF-8 text; save the file as UTF-8.") from error
        if "\0" in line:
            raise LayerclaimsError(
                f"{where} holds a NUL character, so it is no UTF-8 text; save the file as UTF-8."
            )
        yield line


def _documents(file: BinaryIO, path: Path) -> Iterator[tuple[str, str]]:
    """Where it stands and text, of every line that is not blank."""
    named = shown(path)
    for number, line in enumerate(_lines(file, path), 1):
        where, text = f"Line {number} of {named}", line.rstrip("\r\n")
        if "\r" in text:
            raise LayerclaimsError(
                f"{where} holds a carriage return (CR) that ends no line; save the file with LF or CRLF as "
                "line ends."
            )
        if text.strip():
            yield where, text


def _read_txt(file: BinaryIO, path: Path, column: str) -> Iterator[str]:
    if column != DEFAULT_COLUMN:
        raise LayerclaimsError(
            f"{shown(path)} is a .txt file and has no columns; leave out ::{shown(column)[1:-1]}."
        )
    for _, line in _documents(file, path):
        yield line


def _parsed(data: str | bytes, where: str, column: str) -> Any:
    """What JSON means; raises LayerclaimsError where an object has the column twice, and for what is none."""

    def unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if sum(key == column for key, _ in pairs) > 1:
            raise LayerclaimsError(f"{where} has the key {shown(column)} twice in one object; mend it.")
        return dict(pairs)

    try:
        # of no number is the value wanted, and Python makes no int of more than 4,300 digits
        return json.loads(data, parse_int=float, object_pairs_hook=unambiguous)
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:100]
        raise LayerclaimsError(f"{where} is not JSON ({why}); save it as JSON.") from error


def _of_object(row: Any, where: str, column: str) -> str:
    """The text under a key of a JSON object."""
    if not isinstance(row, dict):
        raise LayerclaimsError(f"{where} is a JSON {_kind(row)}, not an object with the key {shown(column)}.")
    if column not in row:
        raise LayerclaimsError(
            f"{where} has no key {shown(column)}, only {_listed(row)}; name another with ::KEY after the path."
        )
    return _text(row[column], where, column)


def _read_jsonl(file: BinaryIO, path: Path, column: str) -> Iterator[str]:
    for where, line in _documents(file, path):
        yield _of_object(_parsed(line, where, column), where, column)


def _read_json(file: BinaryIO, path: Path, column: str) -> Iterator[str]:
    data, named = file.read(MOST_JSON + 1), shown(path)
    if len(data) > MOST_JSON:
        raise LayerclaimsError(
            f"{named} is longer than {MOST_JSON:,} bytes; give it as .jsonl, an object a line."
        )
    rows = _parsed(data, named, column)
    if not isinstance(rows, list):
        raise LayerclaimsError(f"{named} is a JSON {_kind(rows)}, not a list of texts or of objects.")
    for number, row in enumerate(rows, 1):
        where = f"Item {number} of {named}"
        if not isinstance(row, str):
            yield _of_object(row, where, column)
        elif column != DEFAULT_COLUMN:
            raise LayerclaimsError(
                f"{where} is a text and has no columns; leave out ::{shown(column)[1:-1]}."
            )
        else:
            yield row


def _read_csv(file: BinaryIO, path: Path, column: str) -> Iterator[str]:
    csv.field_size_limit(LONGEST)  # documents are longer than the default of 131,072
    reader = csv.reader(_lines(file, path), strict=True)
    header: list[str] = []
    try:
        for row in filter(None, reader):  # of a blank line
            if not header:
                header = row
                at = _column(header, path, column)
            elif len(row) != len(header):
                raise LayerclaimsError(
                    f"Line {reader.line_num} of {shown(path)} has {len(row)} fields where the header has "
                    f"{len(header)}; put quotation marks around a text that holds commas or line ends."
                )
            else:
                yield row[at]
    except csv.Error as error:
        raise LayerclaimsError(f"Line {reader.line_num} of {shown(path)} is not CSV: {error}.") from error


def _read_parquet(file: BinaryIO, path: Path, column: str) -> Iterator[str]:
    import pyarrow
    import pyarrow.parquet

    number, named = 0, shown(path)
    try:
        with pyarrow.parquet.ParquetFile(file) as table:
            _column(table.schema_arrow.names, path, column)
            for batch in table.iter_batches(columns=[column]):
                # a name with dots may lead into a nested column
                for value in batch.column(column):
                    number += 1
                    yield _text(value.as_py(), f"Row {number} of {named}", column)
    except UnicodeDecodeError as error:
        raise LayerclaimsError(
            f"Row {number} of {named} is not UTF-8 text; save the file as UTF-8."
        ) from error
    except pyarrow.ArrowException as error:
        raise LayerclaimsError(f"{shown(path)} is not a Parquet file: {brief(error)}.") from error


def _column(names: list[str], path: Path, column: str) -> int:
    """Place of the one column of that name."""
    count = Counter(names)[column]
    if count != 1:
        raise LayerclaimsError(
            f"{shown(path)} has {'no column' if count == 0 else f'{count} columns'} {shown(column)}, only "
            f"{_listed(names)}; name another with ::COLUMN after the path."
        )
    return names.index(column)


def _text(value: object, where: str, column: str) -> str:
    if not isinstance(value, str):
        kind = _kind(value)
        article = "an" if kind[0] in "aeiou" else "a"
        raise LayerclaimsError(f"{where} has {article} {kind} under {shown(column)}, where a text must be.")
    return value


def _kind(value: object) -> str:
    kinds = {
        type(None): "null",
        bool: "boolean",
        int: "number",
        float: "number",
        list: "list",
        dict: "object",
        bytes: "byte string",
    }
    return kinds.get(type(value), type(value).__name__)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(shown(name, 40) for name in list(names)[:8]) or "none"


READERS: Final[dict[str, Callable[[BinaryIO, Path, str], Iterator[str]]]] = {
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".txt": _read_txt,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}  # suffix -> texts of a column of an open file
SUFFIXES: Final = (*READERS, *(f"{suffix}{GZIP}" for suffix in READERS if suffix != ".parquet"))
