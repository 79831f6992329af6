"""Results files for `layerclaims verify`, `compare` and `report` that are none, or too much."""

import copy
import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from layerclaims.results.records import SCHEMA_VERSION

from tests.faults.bad_inputs import BadInput
from tests.faults.outputs import written
from tests.faults.world import World

COMMANDS = ("verify", "compare", "report")
MOST = 90_000_000  # bytes, below the limit that a reader has
VERSION = f'"schema_version": {SCHEMA_VERSION}'.encode()
Change = Callable[[bytes], bytes]


def _json(change: Callable[[dict[str, Any]], object]) -> Change:
    """Change the content, then write it as JSON with whatever Python's writer takes."""

    def made(data: bytes) -> bytes:
        content = json.loads(data)
        change(content)
        return json.dumps(content).encode()

    return made


def _cut(share: float) -> Change:
    return lambda data: data[: int(len(data) * share)]


def _by(old: bytes, new: bytes) -> Change:
    return lambda data: data.replace(old, new, 1)


def _many_claims(content: dict[str, Any]) -> None:
    first = content["claims"][0]
    content["claims"] = [{**copy.deepcopy(first), "id": f"claim-{number}"} for number in range(10_000)]


def _first(name: str, value: Any) -> Change:
    return _json(lambda content: content["claims"][0].update({name: value}))


def _without_middle(data: bytes) -> bytes:
    third = len(data) // 3
    return data[:third] + bytes(third) + data[2 * third :]


JSON: dict[str, Change] = {
    "empty": lambda _: b"",
    "a blank": lambda _: b" ",
    "a BOM": lambda data: b"\xef\xbb\xbf" + data,
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    **{f"cut at {share}": _cut(share) for share in (0.001, 0.1, 0.5, 0.9, 0.999)},
    "two files in one": lambda data: data * 2,
    "a number": lambda _: b"7",
    "null": lambda _: b"null",
    "a list": lambda _: b"[]",
    "an empty object": lambda _: b"{}",
    "only a version": lambda _: b"{" + VERSION + b"}",
    "a newer version": _by(VERSION, b'"schema_version": 99'),
    "a version that is a text": _by(VERSION, b'"schema_version": "3"'),
    "a version of 5,000 digits": _by(VERSION, b'"schema_version": ' + b"9" * 5000),
    "a version of 1e400": _by(VERSION, b'"schema_version": 1e400'),
    "90 MB of []": lambda _: b"[" + b"[]," * (MOST // 3) + b"[]]",
    "90 MB of claims": lambda _: b"{" + VERSION + b', "claims": [' + b"{}," * (MOST // 3) + b"{}]}",
    "90 MB of brackets": lambda _: b"[" * MOST,
    "90 MB of digits": lambda _: b"9" * MOST,
    "90 MB of one text": lambda _: b'"' + b"x" * MOST + b'"',
    "nested deeply": lambda _: b"{" + VERSION + b', "claims": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "a name twice": _by(VERSION, VERSION + b", " + VERSION),
    "NaN": _first("estimate", float("nan")),
    "infinity": _first("estimate", float("inf")),
    "10**400": _first("estimate", 10**400),
    "1e400": lambda data: _first("estimate", 12345678987654321)(data).replace(b"12345678987654321", b"1e400"),
    "a text in place of a number": _first("estimate", "7"),
    "true in place of a number": _first("estimate", True),
    "an interval of one": _first("interval", [0.5]),
    "an interval upside down": _first("interval", [0.9, 0.1]),
    "a verdict that is none": _first("verdict", "PERHAPS"),
    "an id that leads away": _first("id", "../../etc/passwd"),
    "10,000 claims": _json(_many_claims),
    "a claim twice": _json(lambda content: content["claims"].append(content["claims"][0])),
    "no claims": _json(lambda content: content.pop("claims")),
    "claims that are none": _json(lambda content: content.update(claims=[7])),
    "no documents": _json(lambda content: content.pop("documents")),
    "a name that results do not have": _json(lambda content: content.update(more=1)),
    "a model's name of 10 MB": _json(lambda content: content["model"].update(name="x" * 10_000_000)),
    "counts that are negative": _json(lambda content: _counts(content).__setitem__(0, [-1, -1, -1, -1])),
    "counts of 10**30": _json(lambda content: _counts(content).__setitem__(0, [10**30] * 4)),
    "counts ragged": _json(lambda content: _counts(content).__setitem__(0, [1])),
    "a row that is an object": _json(lambda content: _counts(content).__setitem__(0, {"a": 1})),
    "a lone surrogate": _json(lambda content: content["model"].update(name="\ud800")),
    "binary": lambda _: bytes(range(256)) * 100,
    "a PDF's first line": lambda _: b"%PDF-1.7\n",
    "a gzip": lambda data: b"\x1f\x8b\x08" + data,
}
# edited files that say the same in JSON, or that verify alone need not like
FINE = {"a BOM"}
PDF: dict[str, Change] = {
    **{f"cut at {share}": _cut(share) for share in (0.01, 0.3, 0.6, 0.9, 0.99)},
    "without its end": lambda data: data.replace(b"%%EOF", b""),
    "without startxref": lambda data: data.replace(b"startxref", b"startxxxx"),
    "the attachment zeroed": lambda data: data.replace(b"EmbeddedFile", b"EmbeddedXile"),
    "zeros in the middle": _without_middle,
    "without an attachment": lambda data: data.replace(b"/AF", b"/XX").replace(
        b"/EmbeddedFiles", b"/EmbeddedXiles"
    ),
}
FINE_PDF = {
    "zeros in the middle",  # of a page: the attachment is whole
    "without its end",
    "without startxref",
    "the attachment zeroed",
    "without an attachment",
    "cut at 0.99",
}


def _counts(content: dict[str, Any]) -> Any:
    return next(iter(content["documents"].values()))["correct"]


@cache
def _sound(world: World, name: str) -> bytes:
    return (written(world) / "0" / name).read_bytes()


def inputs() -> Iterator[BadInput]:
    """All of them: the three commands take turns."""
    for number, (name, change) in enumerate(JSON.items()):
        for command in COMMANDS if number % 5 == 0 else COMMANDS[number % 3 :][:1]:
            yield _of("results.json", command, name, change, fine=name in FINE)
    for number, (name, change) in enumerate(PDF.items()):
        yield _of("report.pdf", COMMANDS[number % 3], name, change, fine=name in FINE_PDF)
    for what, put in PLACES.items():
        for command in COMMANDS:

            def make(
                world: World, place: Path, command: str = command, put: Callable[[Path], object] = put
            ) -> Callable[[], int]:
                put(place / "results.json")
                return _call(world, place, command, place / "results.json")

            yield BadInput(kind="results file", name=f"{command}: {what}", make=make)


def _of(file: str, command: str, name: str, change: Change, *, fine: bool) -> BadInput:
    def make(world: World, place: Path) -> Callable[[], int]:
        (place / file).write_bytes(change(_sound(world, file)))
        return _call(world, place, command, place / file)

    return BadInput(kind="results file", name=f"{command} {file}: {name}", make=make, fine=fine)


def _call(world: World, place: Path, command: str, path: Path) -> Callable[[], int]:
    arguments: dict[str, tuple[object, ...]] = {
        "verify": (path,),
        "compare": (path, written(world) / "1" / "results.json", "--fail-on", "change"),
        "report": (path, "--out", place / "made", "--report", "md"),
    }
    return world.command(place, command, *arguments[command])


PLACES: dict[str, Callable[[Path], object]] = {
    "absent": lambda _: None,
    "a FIFO": os.mkfifo,
    "a directory": Path.mkdir,
    "/dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "/dev/null": lambda path: path.symlink_to("/dev/null"),
    "a link to itself": lambda path: path.symlink_to(path.name),
}
