"""Options of `pytest claims/`, variables, places and files of claims that make no sense."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.bad_inputs import SELECTION, BadInput
from tests.faults.world import World

LONG = "9" * 5000
NUMBERS = (
    "",
    " ",
    "x",
    "nan",
    "inf",
    "-1",
    "0",
    LONG,
    "-" + LONG,
    "1e3",
    "1.5",
    "²",
    "1_0",
    "0x10",
    "1e-320",
    "None",
    "[]",
)
# option -> values that it cannot have, and those that are taken all the same
WRONG: dict[str, tuple[str, ...]] = {
    "n-texts": (*NUMBERS, "1", "4", "10000000"),
    "context": (*NUMBERS, "100000"),
    "folds": (*NUMBERS, "1", "41", "1000000"),
    "seed": ("", "x", "nan", "inf", LONG, "1.5", "²"),
    "alpha": ("", "x", "nan", "inf", "-1", "0", "1", "2", LONG, "1e-320", "1e400", "-0.0"),
    "batch-size": ("", "x", "nan", "-1", "0", "1.5", "²", "none", LONG),
    "memory": ("", "x", "nan", "inf", "-1GB", "0", "GB", "1e400GB", "²GB", LONG, "1.2.3MB", "5 potatoes"),
    "profile": ("", "x", "Quick", "quick "),
    "protocol": ("", "x", "rigorous,both"),
    "dtype": ("", "x", "float8", "int8", "torch.float32"),
    "device": ("", "x", "cuda:99", "cpu:x", "meta", "cuda:-1", "cuda:99999999999"),
    "report": ("", "x", "pdf,x", ",", "none,pdf", "PDF"),
    "control": ("", "x"),
    "inconclusive": ("", "x"),
    "out": ("", "/proc/nowhere", "/dev/null/x", "nul\0byte", "a" * 300),
    "cache-dir": (
        "",
        "/proc/nowhere",
        "/dev/null",
        "/dev/null/x",
        "nul\0byte",
        "a" * 300,
        "~nobody-of-this-name/x",
    ),
    "baseline": ("", "/nowhere", "/", "/dev/null", "/dev/zero", "nul\0byte", "~nobody-of-this-name/x"),
    "save-baseline": ("", "/", "/proc/nowhere/x", "/dev/null/x", "nul\0byte"),
}
# Python's int and float take these; the rest has a meaning
FINE = {
    ("n-texts", "1_0"), ("context", "1_0"), ("folds", "1_0"), ("alpha", "1e-320"), ("folds", "41"), ("seed", LONG),
    ("cache-dir", ""), ("out", ""), ("baseline", ""), ("save-baseline", ""), ("batch-size", LONG), ("memory", LONG),
    ("device", "cpu:x"), ("n-texts", "4"),
}  # fmt: skip
VARIABLES = {
    "LAYERCLAIMS_NTEXTS": "40",
    "LAYERCLAIMS_N_TEXTS": "many",
    "LAYERCLAIMS_OFFLINE": "perhaps",
    "LAYERCLAIMS_PROTOCOL": "x",
    "LAYERCLAIMS_": "1",
}
CLAIMS: dict[str, str] = {
    "a syntax error": "def test_x(:\n",
    "NUL": "x = 1\0\n",
    "not UTF-8": "x = '\udcff'\n",
    "an import that is not there": "import no_such_module_of_anybody\n",
    "an exception": "raise ValueError('planted')\n",
    "an exit": "import sys\nsys.exit(3)\n",
    "another argument": "from layerclaims import claim\n@claim(statement='x')\ndef test_a(judge):\n    pass\n",
    "no arguments": "from layerclaims import claim\n@claim()\ndef test_a(judge):\n    pass\n",
    "a claim that is no function": "from layerclaims import claim\nclaim('x', statement='y')(7)\n",
    "deeply nested": "x = " + "(" * 5000 + ")" * 5000 + "\n",
}


def inputs() -> Iterator[BadInput]:
    """All of them."""
    for option, values in WRONG.items():
        for value in values:

            def make(
                world: World, place: Path, option: str = option, value: str = value
            ) -> Callable[[], int]:
                return world.pytest(
                    SELECTION, place, f"--{option}={value}", **{option.replace("-", "_"): None}
                )

            yield BadInput(
                kind="option", name=f"--{option} {value[:30]!r}", make=make, fine=(option, value) in FINE
            )
    for name, value in VARIABLES.items():

        def with_variable(
            world: World, place: Path, name: str = name, value: str = value
        ) -> Callable[[], int]:
            return world.pytest(
                SELECTION, place, before=lambda: os.environ.update({name: value}), n_texts=None, protocol=None
            )

        yield BadInput(kind="variable", name=f"{name}={value}", make=with_variable)
    for what, put in PLACES.items():
        for option in ("out", "cache-dir", "save-baseline", "baseline"):

            def at(
                world: World, place: Path, option: str = option, put: Callable[[Path], object] = put
            ) -> Callable[[], int]:
                put(place / "bad")
                return world.pytest(SELECTION, place, **{option.replace("-", "_"): place / "bad"})

            fine = (option, what) in {
                ("save-baseline", "a file"), ("save-baseline", "a link to itself"), ("out", "a directory"),
                ("cache-dir", "a directory"),
            }  # fmt: skip
            yield BadInput(kind="option", name=f"--{option} is {what}", make=at, fine=fine)
    for what, text in CLAIMS.items():

        def file(world: World, place: Path, text: str = text) -> Callable[[], int]:
            (place / "own.py").write_bytes(text.encode("utf-8", "surrogateescape"))
            return world.command(place, "explain", "--claims", place / "own.py")

        yield BadInput(kind="claims file", name=what, make=file)


PLACES: dict[str, Callable[[Path], object]] = {
    "a file": lambda path: path.write_text("mine", "ascii"),
    "a FIFO": os.mkfifo,
    "a directory": Path.mkdir,
    "a device": lambda path: path.symlink_to("/dev/full"),
    "a link to itself": lambda path: path.symlink_to(path.name),
}
