"""results.json as a file: its text, writing it, reading it back from a file or out of a report PDF.

The file is the one source of every report, so nothing enters or leaves it unchecked: what is written and what is
read are records.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
from layerclaims.errors import LayerclaimsError
from layerclaims.results import attachment
from layerclaims.results.checking import checked
from layerclaims.results.fields import Record
from layerclaims.results.records import SCHEMA_VERSION, SEALED, Results
from layerclaims.runtime.files import write_whole
from layerclaims.runtime.text import inert

MAX_BYTES = attachment.MAX_BYTES
# A few bytes can ask for many in memory, so characters are counted before anything is parsed. A run of 5,000 documents,
# 50 labels and 24 series has 12 million numbers in a quarter of a million lists.
MOST: Final = {b",": 25_000_000, b"[": 2_000_000, b"{": 1_000_000, b'"': 4_000_000}
SIGNIFICANT_DIGITS = 10


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a results file, made from the records."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://layerclaims.invalid/results-{SCHEMA_VERSION}.schema.json",
        **Results.model_json_schema(),
    }


def plain(record: Record, *, exact: bool = False) -> dict[str, Any]:
    """Return a record as plain JSON types, as its file has it: floats rounded to ten significant digits.

    exact=True leaves floats as they are, for another process to go on with.
    """
    given = record.model_fields_set
    return {name: _plain(getattr(record, name), exact) for name in type(record).model_fields if name in given}


def dumps(results: Results) -> str:
    """Return the text of results.json: rounded, ASCII, the same for equal results.

    Structure is indented, lists of numbers stay on one line, so that a diff of two files can be read.
    """
    return _text(plain(results))


def identifier(text: bytes) -> bytes:
    """Return the permanent identifier of the PDF made from this results.json: 32 hexadecimal digits of its SHA-256.

    Digits, since a raw carriage return in a PDF's literal string is read back as a line feed.
    """
    return hashlib.sha256(text).hexdigest()[:32].encode("ascii")


def checksum(results: Results) -> str:
    """Return the SHA-256 of the canonical text of results without their own "sha256"."""
    return _checksum(plain(results))


def sealed(results: Results) -> Results:
    """Return the results as their file has them: numbers rounded, with a checksum of themselves.

    By the checksum `verify` sees a change anywhere in the file.
    """
    content = plain(results)
    return checked({**content, "sha256": _checksum(content)})


def write(path: Path | str, results: Results) -> Path:
    """Write results to `path` in one step: a reader sees the old file or the new.

    Raises LayerclaimsError when the place cannot be written.
    """
    path = Path(path)
    write_whole(path, dumps(results).encode("ascii"), parents=True)
    return path


def read_results(path: Path | str) -> Results:
    """Read a results.json, or a report PDF that has one attached, and check it.

    Raises LayerclaimsError with one sentence for a file that is missing, no regular file, larger than 128 MiB,
    truncated, not JSON, of a newer schema, not valid against this one, or whose checksum is not that of its content
    or was taken out.
    """
    path = Path(path)
    name = inert(path, 300)
    results = loads(read_bytes(path), origin=name)
    changed = None
    if results.sha256 is None and results.schema_version >= SEALED:
        changed = "it has no checksum, and every file of its version has one"
    elif results.sha256 is not None and results.sha256 != checksum(results):
        changed = "its checksum is not that of its content"
    if changed is not None:
        raise LayerclaimsError(
            f"{name} was changed after it was written: {changed}; take the file as layerclaims wrote it, or ask "
            "'layerclaims verify' what it contradicts"
        )
    return results


def read_bytes(path: Path) -> bytes:
    """Return the raw results.json bytes of a .json file or of a report PDF. Errors as `read_results`."""
    return unwrapped(read_whole(path), origin=inert(path, 300))


def unwrapped(data: bytes, *, origin: str) -> bytes:
    """Return the bytes of results.json, out of those of a report PDF where it is one. Errors as `read_results`."""
    return attachment.attached(data, origin=origin) if attachment.is_pdf(data) else data


def read_whole(path: Path) -> bytes:
    """Return the bytes of a regular file of at most 128 MiB.

    Raises LayerclaimsError for anything else: a pipe without a writer would never end, a device neither.
    """
    name = inert(path, 300)
    try:
        # without O_NONBLOCK, opening a pipe waits for its writer
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file:  # noqa: PTH123  of a descriptor
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise LayerclaimsError(f"{name} is no regular file; pass a results.json or a report.pdf")
            if about.st_size > MAX_BYTES:
                raise LayerclaimsError(
                    f"{name} has {about.st_size / 2**20:,.0f} MiB, more than a results file ever needs "
                    f"({MAX_BYTES // 2**20} MiB); pass the results.json or PDF of one run"
                )
            data = file.read(MAX_BYTES + 1)
    except ValueError as error:  # a name that no file can have
        raise LayerclaimsError(f"cannot read {name}: {error}; pass a results.json or a report.pdf") from error
    except OSError as error:
        raise LayerclaimsError(
            f"cannot read {name}: {error.strerror or error}; pass a results.json or a report.pdf"
        ) from error
    if len(data) > MAX_BYTES:  # of a file that grows, or that has no size, as in /proc
        raise LayerclaimsError(f"{name} does not end within {MAX_BYTES // 2**20} MiB; pass a results.json")
    return data


def loads(data: bytes, *, origin: str) -> Results:
    """Parse and check the bytes of a results file; `origin` names it in messages. Errors as `read`."""
    if not data.strip():
        raise LayerclaimsError(f"{origin} is empty; run the claims again to write it")
    for character, most in MOST.items():
        if (found := data.count(character)) > most:
            raise LayerclaimsError(
                f"{origin} is no results file: it has {found:,} times {character.decode()!r}, and no run more than "
                f"{most:,}; pass one as layerclaims wrote it"
            )
    try:
        content = json.loads(data.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_no_duplicates)
    except UnicodeDecodeError as error:
        raise LayerclaimsError(f"{origin} is not JSON text; pass a results.json or a report.pdf") from error
    except json.JSONDecodeError as error:
        if error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated"):
            raise LayerclaimsError(
                f"{origin} is truncated: it ends in the middle of line {error.lineno}; copy or write it again"
            ) from error
        raise LayerclaimsError(
            f"{origin} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}; "
            "pass a results.json as layerclaims wrote it"
        ) from error
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise LayerclaimsError(
            f"{origin} is not a results file: {inert(why)}; pass one as layerclaims wrote it"
        ) from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version is None:
        raise LayerclaimsError(
            f"{origin} is JSON but no results file of layerclaims (no schema_version); pass a results.json"
        )
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise LayerclaimsError(
            f"{origin} has schema version {inert(version, 60)} and this layerclaims reads up to {SCHEMA_VERSION}; "
            "update layerclaims to read it"
        )
    try:
        return checked(content)
    except LayerclaimsError as error:
        raise LayerclaimsError(f"{origin}: {error}") from error
    except RecursionError as error:
        raise LayerclaimsError(f"{origin} is nested too deeply; pass one as layerclaims wrote it") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"it contains {constant}, which results never do")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return made


def _checksum(content: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in content.items() if name != "sha256"}
    return hashlib.sha256(_text(rest).encode("ascii")).hexdigest()


def _plain(value: object, exact: bool) -> Any:
    if isinstance(value, Record):
        return plain(value, exact=exact)
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, float):
        return value if exact else float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    if isinstance(value, tuple):
        return [_plain(item, exact) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item, exact) for name, item in value.items()}
    return str(value) if isinstance(value, str) else value  # a verdict becomes the text that it is


def _text(content: Mapping[str, Any]) -> str:
    return "".join(_lines(content, 0)) + "\n"


def _lines(value: object, depth: int) -> Iterator[str]:
    indent = " " * (depth + 1)
    if isinstance(value, dict) and value:
        yield "{\n"
        for index, (key, item) in enumerate(value.items()):
            yield f"{',' if index else ''}{chr(10) if index else ''}{indent}{json.dumps(key)}: "
            yield from _lines(item, depth + 1)
        yield f"\n{' ' * depth}}}"
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        yield "[\n"
        for index, item in enumerate(value):
            yield f"{',' if index else ''}{chr(10) if index else ''}{indent}"
            yield from _lines(item, depth + 1)
        yield f"\n{' ' * depth}]"
    else:
        yield json.dumps(value, allow_nan=False, separators=(",", ":"))
