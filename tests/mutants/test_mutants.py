"""The list of mutants fits the code, and the runner tells what is noticed from what is not."""

import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from tests.mutants import running
from tests.mutants.__main__ import summary
from tests.mutants.listed import MUTANTS
from tests.mutants.mutant import Mutant, OutdatedError, outdated


def test_every_mutant_applies_to_the_code_and_names_tests_that_there_are() -> None:
    assert len(MUTANTS) >= 60
    assert not outdated(MUTANTS)
    assert not [one.name for one in MUTANTS if one.before == one.after or not one.tests]


def files(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A package of one function, with a test that notices one of its faults."""
    for folder in ("harness", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "harness" / "__init__.py").write_text("")
    (tmp_path / "harness" / "sums.py").write_text("def added(a, b):\n    return a + b\n")
    (tmp_path / "tests" / "test_sums.py").write_text(
        textwrap.dedent(
            """
            from layerclaims.sums import added

            def test_zero():
                assert added(1, 0) == 1

            def test_red():
                assert added(1, 1) == 3
            """
        )
    )
    return tmp_path


def mutant(after: str, *, test: str = "test_zero") -> Mutant:
    return Mutant(
        name=after,
        file="sums.py",
        before="a + b",
        after=after,
        tests=(f"test_sums.py::{test}",),
        wrong="the sum",
    )


def test_what_is_noticed_survives_breaks_or_cannot_be_tried_is_told_apart(checkout: Path) -> None:
    before = files(checkout)
    tried = running.run([mutant("b"), mutant("a - b"), mutant("a + c")], root=checkout)
    assert {one.mutant.after: one.word for one in tried} == {
        "b": "noticed",
        "a - b": "survived",
        "a + c": "broken",
    }
    assert "NameError" in next(one.why for one in tried if one.word == "broken")
    said = summary(tried)
    assert said == "1 of 3 mutants were noticed, survivors: a - b; broken: a + c"
    (red,) = running.run([mutant("b", test="test_red")], root=checkout)
    assert red.word == "not tried"
    assert "unchanged code" in red.why
    (late,) = running.run([mutant("b")], root=checkout, minutes=0)
    assert late.word == "not tried"
    assert files(checkout) == before, "nothing is written beside what is tried"


def test_a_list_out_of_date_says_where(checkout: Path) -> None:
    good = mutant("b")
    assert not outdated([good], checkout)
    with pytest.raises(OutdatedError, match="0 times"):
        replace(good, before="a * b").changed("a + b")
    for bad, what in (
        (replace(good, before="a"), "times 'a', not once"),
        (replace(good, after="("), "never closed"),
        (replace(good, tests=("test_sums.py::test_gone",)), "no tests/test_sums.py::test_gone"),
        (replace(good, file="gone.py"), "No such file"),
    ):
        (line,) = outdated([bad], checkout)
        assert what in line
    assert outdated([good, good], checkout) == ["b: two mutants have this name"]
