"""Claims of somebody else's, in a folder of theirs, for runs of the plugin outside of claims/."""

from pathlib import Path

CLAIMS = '''
from layerclaims import RAW, UNIT, accuracy, claim, difference
from layerclaims.recording import figures
from .helper import BAR


@claim(
    section="what we need",
    says="norms carry information",
    source="our paper",
    where="chapter 3",
    estimand="accuracy on vectors as they are minus accuracy on unit vectors",
    reported="a fifth",
    reported_value=0.2,
)
def test_norms_matter(judge):
    """acc(raw) - acc(unit) > .01."""
    judge(difference(RAW, UNIT, name="accuracy lost by unit-normalising").above(0.01))


class TestLayers:
    @claim(section="what we need", says="layers differ", estimand="accuracy", reported="more than chance")
    def test_layers_differ(self, judge, bar):
        """acc > the bar."""
        judge(accuracy(RAW, name="accuracy").above(bar), figures=[figures.confusion])


def test_that_is_no_claim():
    assert BAR < 1
'''
CONFTEST = """
import pytest


@pytest.fixture
def bar():
    from .helper import BAR

    return BAR
"""


def write(folder: Path, name: str = "test_needs.py") -> Path:
    """A package of tests: two claims, one of them a method with a fixture, and a test that is no claim."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "__init__.py").write_text("")
    (folder / "helper.py").write_text("BAR = 0.001\n")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / name).write_text(CLAIMS)
    return folder
