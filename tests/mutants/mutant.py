"""Mutant: one wrong change to one file, and the tests that have to turn red."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class OutdatedError(Exception):
    """The list does not fit the code any more; the message says where."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """In `file`, the text `before` stands once; with `after` in its place the code is wrong."""

    name: str
    file: str  # below harness/
    before: str
    after: str
    tests: tuple[
        str, ...
    ]  # below tests/, as pytest names them; some of them have to fail by what they assert
    wrong: str  # what is wrong, in words

    def changed(self, source: str) -> str:
        """The file's text with the change; raises OutdatedError unless `before` stands there once."""
        found = source.count(self.before)
        if found != 1:
            raise OutdatedError(
                f"{self.name}: harness/{self.file} has {found} times {self.before!r}, not once"
            )
        return source.replace(self.before, self.after)


def outdated(mutants: Sequence[Mutant], root: Path = ROOT) -> list[str]:
    """Why some of them cannot be tried on the code of a checkout; no test is run."""
    found = []
    for one in mutants:
        try:
            compile(one.changed((root / "harness" / one.file).read_text(encoding="utf-8")), one.file, "exec")
        except OSError as error:
            found.append(f"{one.name}: {error}")
        except (OutdatedError, SyntaxError) as error:
            found.append(str(error))
        found += [f"{one.name}: there is no tests/{test}" for test in one.tests if not _there(root, test)]
    names = [one.name for one in mutants]
    found += [
        f"{name}: two mutants have this name" for name in sorted({n for n in names if names.count(n) > 1})
    ]
    return found


def _there(root: Path, test: str) -> bool:
    """Whether a file has the test, or the class, that stands behind its name."""
    file, *steps = test.split("[")[0].split("::")
    path = root / "tests" / file
    if not path.is_file():
        return False
    body: list[ast.stmt] = ast.parse(path.read_text(encoding="utf-8")).body
    for step in steps:
        here = [n for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == step]
        if not here:
            return False
        body = here[-1].body
    return True
