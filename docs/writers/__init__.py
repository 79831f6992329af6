"""Writes the pages of the documentation that follow from the code.

Each module here has a function `text` that returns one page. `python -m docs.writers` writes them all.
"""

from importlib import import_module
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).resolve().parent.parent
PAGES: Final = ("claims", "options", "commands", "schema", "api", "architectures")  # docs/NAME.md


def text(page: str) -> str:
    """A generated page, as docs/PAGE.md has it."""
    made: str = import_module(f"docs.writers.{page}").text()
    return made


def cell(words: str) -> str:
    """Words as the cell of a Markdown table."""
    return " ".join(words.split()).replace("|", "\\|").replace("<", "&lt;")
