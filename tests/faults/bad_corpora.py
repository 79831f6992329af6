"""Corpus files that are wrong, and names of corpora."""

# ruff: noqa: E501  a list is easier to read with one input a line

import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests import tiny
from tests.faults.bad_inputs import TRANSFER, BadInput, of_content
from tests.faults.world import World

TEXTS = tiny.texts(60)
GOOD = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS).encode()
TABLE = ("text,label\n" + "".join(f'"{text}",1\n' for text in TEXTS)).encode()


def _line(line: bytes, *, at: int = 30) -> bytes:
    """A bad line among good ones."""
    lines = GOOD.splitlines(keepends=True)
    return b"".join([*lines[:at], line + b"\n", *lines[at:]])


JSONL: dict[str, bytes] = {
    "empty": b"",
    "blank lines": b"\n" * 100,
    "a BOM and nothing": b"\xef\xbb\xbf",
    "a BOM and texts": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "Latin-1": _line('{"text": "caf\xe9"}'.encode("latin-1")),
    "broken UTF-8 in the last line": GOOD + b'{"text": "\xe2\x82',
    "NUL": _line(b'{"text": "a\0b"}'),
    "no JSON": _line(b"hello"),
    "cut off": GOOD[:-20],
    "a list": _line(b'["a"]'),
    "a number": _line(b"7"),
    "null": _line(b"null"),
    "a text": _line(b'"hello"'),
    "no such key": _line(b'{"body": "x"}'),
    "null in place of a text": _line(b'{"text": null}'),
    "a number in place of a text": _line(b'{"text": 7}'),
    "a list in place of a text": _line(b'{"text": ["x"]}'),
    "a number of 4,000 digits": _line(b'{"text": ' + b"9" * 4000 + b"}"),
    "a number of 5,000 digits": _line(b'{"text": "x", "n": ' + b"9" * 5000 + b"}"),
    "nested deeply": _line(b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "NaN": _line(b'{"text": NaN}'),
    "a lone surrogate": _line(b'{"text": "' + b"\\ud800 " * 40 + b'"}'),
    "two objects a line": _line(b'{"text": "a"} {"text": "b"}'),
    "one text again and again": GOOD.splitlines(keepends=True)[0] * 60,
    "too few texts": b"".join(GOOD.splitlines(keepends=True)[:39]),
    "texts of one word": b'{"text": "a"}\n' * 60,
    "empty texts": b'{"text": ""}\n' * 60,
    "binary": bytes(range(256)) * 40,
}
CSV: dict[str, bytes] = {
    "empty": b"",
    "only a header": b"text,label\n",
    "no such column": b"body,label\nx,1\n",
    "a quote that stays open": TABLE[:2000] + b'"never closed\n' + TABLE[2000:],
    "more fields than the header": TABLE + b"a,b,c,d\n",
    "fewer fields": TABLE.replace(b"text,label\n", b"label,text\n") + b"1\n",
    "broken UTF-8": TABLE + b"\xff\xfe,1\n",
    "NUL": TABLE + b"a\0b,1\n",
    "a BOM": b"\xef\xbb\xbf" + TABLE,
    "binary": bytes(range(256)) * 40,
    "the column twice": TABLE.replace(b"text,label", b"text,text"),
    "bare commas": b"text\n" + b"".join(f"{text}, and more, and more\n".encode() for text in TEXTS),
    "returns in place of newlines": TABLE.replace(b"\n", b"\r"),
    "semicolons": TABLE.replace(b",", b";"),
}
TXT: dict[str, bytes] = {
    "empty": b"",
    "one line": b"x " * 10_000,
    "UTF-16": "\n".join(TEXTS).encode("utf-16"),
    "NUL": "\n".join(TEXTS).encode() + b"\0\n",
    "binary": bytes(range(256)) * 40,
}


def _parquet() -> dict[str, bytes]:
    import pyarrow
    import pyarrow.parquet

    def table(**columns: Any) -> bytes:
        file = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(columns), file)
        return file.getvalue()

    good = table(text=TEXTS)
    return {
        "empty": b"",
        "only magic": b"PAR1PAR1",
        "cut off": good[:-10],
        "half": good[: len(good) // 2],
        "footer of 2 GB": good[:-8] + b"\xff\xff\xff\x7fPAR1",
        "zeroed": good[:4] + bytes(len(good) - 16) + good[-12:],
        "one byte of the footer": good[:-60] + bytes([good[-60] ^ 0x40]) + good[-59:],
        "no such column": table(body=TEXTS),
        "null": table(text=[*TEXTS, None]),
        "numbers": table(text=list(range(60))),
        "lists": table(text=[[text] for text in TEXTS]),
        "bytes": table(text=[b"\xff\xfe"] * 60),
        "no rows": table(text=pyarrow.array([], pyarrow.string())),
        "not Parquet": GOOD,
    }


FINE = (
    "a lone surrogate",  # it becomes U+FFFD
    "a BOM and texts", "a BOM", "returns in place of newlines", "the column twice", "one byte of the footer",
    "a number of 5,000 digits", "empty texts",
)  # fmt: skip
NAMES = (
    "", " ", "imdb2", "embedded:", "embedded:nothing", "pile@", "nowhere.jsonl", "nowhere.csv::x", "~nobody-of-this-name/x.txt",
    "a" * 300 + ".jsonl", "nul\0byte.jsonl", ".", "/", "/dev/null", "/dev/zero", "/etc/passwd", "x.xlsx", "::", "::text", "hf:",
    "hf:a::b", "main.jsonl::", "\x1b[31m.jsonl", "\udcff.jsonl",
)  # fmt: skip


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


PLACES: dict[str, Callable[[Path], object]] = {
    "a FIFO": _fifo,
    "a directory": Path.mkdir,
    "a device": _device,
    "a link to itself": lambda path: path.symlink_to(path.name),
}


def inputs() -> Iterator[BadInput]:
    """All of them; the last are passed as the other corpus."""
    yield from of_content("corpus", "corpus", "bad.jsonl", iter(JSONL.items()), fine=FINE)
    yield from of_content("corpus", "corpus", "bad.csv", iter(CSV.items()), fine=FINE)
    yield from of_content("corpus", "transfer_corpus", "bad.txt", iter(TXT.items()), fine=FINE)
    yield from of_content("corpus", "transfer_corpus", "bad.parquet", iter(_parquet().items()), fine=FINE)
    for suffix in (".jsonl", ".csv", ".txt", ".parquet"):
        for what, put in PLACES.items():

            def make(
                world: World, place: Path, suffix: str = suffix, put: Callable[[Path], object] = put
            ) -> Callable[[], int]:
                put(place / f"bad{suffix}")
                return world.pytest(TRANSFER, place, corpus=place / f"bad{suffix}")

            yield BadInput(kind="corpus", name=f"{what}{suffix}", make=make)
    for name in NAMES:

        def named(world: World, place: Path, name: str = name) -> Callable[[], int]:
            return world.pytest(TRANSFER, place, "--offline", transfer_corpus=name)

        yield BadInput(kind="corpus name", name=repr(name)[:60], make=named)
