"""results.json: its schema, writing it, and reading it back from a file or out of a report PDF.

The file is the one source of every report, so nothing enters or leaves it unchecked: `write` and `read`
hold it against `results.schema.json` and against what a schema cannot say (lengths that must agree,
names that must exist, counts that cannot exceed their totals).
"""

import hashlib
import json
import math
import os
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from harness.errors import LayerclaimsError

SCHEMA_VERSION = 1
ATTACHMENT = "results.json"
MAX_BYTES = 128 * 1024 * 1024  # 5,000 documents x 50 labels x 12 series take about 25 MiB
SIGNIFICANT_DIGITS = 10


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a results file."""
    text = resources.files("harness").joinpath("results.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def plain(results: dict[str, Any]) -> dict[str, Any]:
    """Return a copy made of plain JSON types only, floats rounded to ten significant digits.

    Raises LayerclaimsError, naming the place, for NaN, infinity, or a type that JSON does not have
    (a NumPy integer, a Path).
    """
    copied = _plain(results, "")
    assert isinstance(copied, dict)
    return copied


def dumps(results: dict[str, Any]) -> str:
    """Return the text of results.json: rounded, ASCII, the same for equal results. Nothing is checked.

    Structure is indented, lists of numbers stay on one line, so that a diff of two files can be read.
    Raises LayerclaimsError as `plain` does.
    """
    return _text(plain(results))


def identifier(text: bytes) -> bytes:
    """The permanent identifier of the PDF made from this results.json: 32 hexadecimal digits of its SHA-256.

    Digits, since a raw carriage return in a PDF's literal string is read back as a line feed.
    """
    return hashlib.sha256(text).hexdigest()[:32].encode("ascii")


def checksum(results: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical text of results without their own "sha256"."""
    content = {key: value for key, value in results.items() if key != "sha256"}
    return hashlib.sha256(dumps(content).encode("ascii")).hexdigest()


def sealed(results: dict[str, Any]) -> dict[str, Any]:
    """The results with a checksum of themselves, by which `verify` sees a change anywhere in the file."""
    return {**results, "sha256": checksum(results)}


def write(path: Path | str, results: dict[str, Any]) -> Path:
    """Write results to `path` through a temporary file beside it; a reader sees the old file or the new.

    Raises LayerclaimsError when the results break the schema or the place cannot be written.
    """
    path = Path(path)
    copied = plain(results)
    check(copied)
    write_atomically(path, _text(copied).encode("ascii"))
    return path


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data` (bytes) in one step, flushed to disk; parents are created.

    Raises LayerclaimsError in one sentence when the place cannot be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; a report is meant to be read by whoever may read its directory
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise LayerclaimsError(
            f"cannot write {shown(path)}: {error.strerror or error}; choose another directory with --out"
        ) from error
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    except OSError:
        pass  # some network file systems refuse fsync on a directory; the file itself is down already
    finally:
        os.close(directory)


def read(path: Path | str) -> dict[str, Any]:
    """Read a results.json, or a report PDF that has one attached, and check it.

    Raises LayerclaimsError with one sentence for a file that is missing, larger than 128 MiB, truncated,
    not JSON, of a newer schema, or not valid against this one.
    """
    path = Path(path)
    return loads(read_bytes(path), origin=shown(path))


def read_bytes(path: Path) -> bytes:
    """Return the raw results.json bytes of a .json file or of a report PDF. Errors as `read`."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                raise LayerclaimsError(
                    f"{shown(path)} has {size / 2**20:,.0f} MiB, more than a results file ever needs "
                    f"({MAX_BYTES // 2**20} MiB); pass the results.json or PDF of one run"
                )
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise LayerclaimsError(
            f"cannot read {shown(path)}: {error.strerror or error}; pass a results.json or a report.pdf"
        ) from error
    if len(data) > MAX_BYTES:  # a device or a pipe has no size beforehand
        raise LayerclaimsError(
            f"{shown(path)} does not end within {MAX_BYTES // 2**20} MiB; pass a results.json"
        )
    return _attachment(path) if data[:1024].lstrip().startswith(b"%PDF-") else data


def loads(data: bytes, *, origin: str) -> dict[str, Any]:
    """Parse and check the bytes of a results file; `origin` names it in messages. Errors as `read`."""
    if not data.strip():
        raise LayerclaimsError(f"{origin} is empty; run the claims again to write it")
    try:
        results = json.loads(data.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_no_duplicates)
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
            f"{origin} is not a results file: {shown(why)}; pass one as layerclaims wrote it"
        ) from error
    version = results.get("schema_version") if isinstance(results, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise LayerclaimsError(
            f"{origin} has schema version {version} and this layerclaims reads up to {SCHEMA_VERSION}; "
            "update layerclaims to read it"
        )
    if version is None:
        raise LayerclaimsError(
            f"{origin} is JSON but no results file of layerclaims (no schema_version); pass a results.json"
        )
    try:
        check(results)
    except LayerclaimsError as error:
        raise LayerclaimsError(f"{origin}: {error}") from error
    checked: dict[str, Any] = results
    return checked


def check(results: dict[str, Any]) -> None:
    """Hold results against the schema and against what the schema cannot say.

    Raises LayerclaimsError that names the first offending place and value.
    """
    import jsonschema

    # the counts make nearly the whole file; they are checked with NumPy below, one by one would take seconds
    skeleton = dict(results)
    documents = results.get("documents")
    if isinstance(documents, dict):
        skeleton["documents"] = {name: _head(series) for name, series in documents.items()}
    validator = jsonschema.Draft202012Validator(schema())
    error = jsonschema.exceptions.best_match(validator.iter_errors(skeleton))
    if error is not None:
        _fail("/".join(str(step) for step in error.absolute_path), _said(error))
    _check_claims(results)
    for name, series in results["documents"].items():
        _check_counts(f"documents/{name}", series)
    for name, figure in results["figures"].items():
        _check_figure(f"figures/{name}", figure)


def shown(value: object, limit: int = 120) -> str:
    """Return `value` fit for a one-line message: unprintable characters escaped, cut at `limit`."""
    text = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value)[: 2 * limit]
    )
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _check_claims(results: dict[str, Any]) -> None:
    seen = set()
    for index, claim in enumerate(results["claims"]):
        place = f"claims/{index} ({claim['id']}, {claim['protocol']})"
        key = (claim["id"], claim["protocol"])
        if key in seen:
            _fail(place, "stands twice in the file")
        seen.add(key)
        if results["protocol"]["name"] not in ("both", claim["protocol"]):
            _fail(place, f"does not belong to a run of protocol {results['protocol']['name']}")
        for figure in claim["figures"]:
            if figure not in results["figures"]:
                _fail(place, f"names the figure {figure!r} that the file does not have")
        owners = (claim, *claim["parts"], *claim["controls"], claim.get("control_untrained") or {})
        rates = claim.get("calibration") or {}
        intervals = [owner.get("interval") for owner in owners]
        intervals += [rates.get(f"{name}_interval") for name in ("false_replicated", "false_not_replicated")]
        for interval in intervals:
            if interval is not None and interval[0] > interval[1]:
                _fail(place, f"has an interval whose ends are swapped: {interval}")
        for part in claim["parts"]:
            pair = isinstance(part["threshold"], list)
            if part["threshold"] is not None and pair != (part["relation"] == "inside"):
                _fail(place, f"has a threshold that does not fit the relation {part['relation']!r}")


def _check_counts(place: str, series: dict[str, Any]) -> None:
    arrays = {}
    for key in ("documents", "correct", "total"):
        try:
            array = np.asarray(series[key])
        except (ValueError, OverflowError):
            _fail(place, f"has rows of different length in {key}")
        if array.size and (array.dtype.kind not in "iu" or array.min() < 0):
            _fail(place, f"has something other than counts in {key}")
        arrays[key] = array
    if arrays["correct"].shape != arrays["total"].shape or arrays["correct"].ndim not in (1, 2):
        _fail(place, "has correct and total of different shape")
    if arrays["documents"].ndim != 1 or len(arrays["documents"]) != len(arrays["total"]):
        _fail(place, "has not one row of counts for each document")
    if (arrays["correct"] > arrays["total"]).any():
        row = int(np.argwhere(arrays["correct"] > arrays["total"])[0][0])
        _fail(place, f"counts more correct vectors than there are in row {row}")


def _check_figure(place: str, figure: dict[str, Any]) -> None:
    if figure["kind"] in ("lines", "bars"):
        for series in figure["series"]:
            for key in ("values", "low", "high"):
                if series.get(key) is not None and len(series[key]) != len(figure["x"]["values"]):
                    _fail(
                        place,
                        f"has {len(series[key])} {key} for {len(figure['x']['values'])} places on its x axis",
                    )
    elif figure["kind"] == "matrix":
        rows, columns = len(figure["y"]["values"]), len(figure["x"]["values"])
        if [len(row) for row in figure["values"]] != [columns] * rows:
            _fail(place, f"has a matrix that is not {rows} x {columns}")
    else:
        for series in figure["series"]:
            if series.get("labels") is not None and len(series["labels"]) != len(series["points"]):
                _fail(place, "has not one label for each point")


def _head(series: object) -> object:
    if not isinstance(series, dict):
        return series
    return {
        key: (value[:1] if key in ("documents", "correct", "total") and isinstance(value, list) else value)
        for key, value in series.items()
    }


def _said(error: Any) -> str:
    """Put a jsonschema error into words without printing a value of unknown size."""
    value = shown(json.dumps(error.instance, default=repr), 60)
    match error.validator:
        case "required":
            missing = [key for key in error.validator_value if key not in error.instance]
            return f"lacks {', '.join(map(repr, missing))}"
        case "type":
            kinds = error.validator_value
            return f"should be {kinds if isinstance(kinds, str) else ' or '.join(kinds)} and is {value}"
        case "enum":
            return f"should be one of {', '.join(map(str, error.validator_value))} and is {value}"
        case "const":
            return f"should be {error.validator_value} and is {value}"
        case "pattern" | "maxLength" | "minimum" | "minItems" | "maxItems" | "oneOf":
            return f"has a value that is not allowed there: {value}"
        case other:
            return f"breaks the schema's rule {other}: {value}"


def _fail(place: str, what: str) -> NoReturn:
    raise LayerclaimsError(
        f"not a sound results file: {shown(place) or 'the file'} {what}; "
        "it was edited or comes from another program"
    )


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"it contains {constant}, which results never do")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return made


def _plain(value: object, place: str) -> Any:
    # bool before int, and float before anything: np.float64 is a float and becomes a plain one here
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            _fail(place, f"is {value}, which a results file cannot hold")
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    if type(value) is int:
        return value
    if isinstance(value, list | tuple):
        if set(map(type, value)) <= {int}:
            return list(value)
        return [_plain(item, f"{place}/{index}") for index, item in enumerate(value)]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            _fail(place, "has a name that is not text")
        return {key: _plain(item, f"{place}/{key}") for key, item in value.items()}
    _fail(place, f"is a {type(value).__name__}, which JSON does not have")


def _text(copied: dict[str, Any]) -> str:
    return "".join(_lines(copied, 0)) + "\n"


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


def _attachment(path: Path) -> bytes:
    """Return the bytes of the results.json attached to a PDF."""
    import pikepdf

    try:
        with pikepdf.open(path) as pdf:
            if ATTACHMENT not in pdf.attachments:
                raise LayerclaimsError(
                    f"{shown(path)} has no {ATTACHMENT} attached; pass a report.pdf that layerclaims wrote"
                )
            stream = pdf.attachments[ATTACHMENT].obj.EF.F
            if stream.get("/Filter") == pikepdf.Name.FlateDecode:
                # a few kilobytes can inflate to gigabytes: stop at the limit
                inflater = zlib.decompressobj()
                data = inflater.decompress(stream.read_raw_bytes(), MAX_BYTES + 1)
            else:
                data = bytes(stream.read_bytes())
    except (pikepdf.PdfError, AttributeError, zlib.error) as error:
        raise LayerclaimsError(
            f"{shown(path)} is a damaged PDF: its attachment cannot be read; copy or render it again"
        ) from error
    if len(data) > MAX_BYTES:
        raise LayerclaimsError(
            f"{shown(path)} has an attachment of more than {MAX_BYTES // 2**20} MiB; pass a report.pdf"
        )
    return data
