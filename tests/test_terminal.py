"""What a run shows: every name is inert, lines keep to the width, failures stand first."""

from pathlib import Path

import pytest

from harness import terminal
from tests import sample_results


class Screen:
    """A terminal of some width that keeps what is written to it."""

    def __init__(self, width: int = 100) -> None:
        self.fullwidth, self.text = width, ""

    def write(self, msg: str, **_: bool) -> None:
        self.text += msg

    def line(self, s: str = "", **_: bool) -> None:
        self.text += f"{s}\n"


@pytest.mark.parametrize("verdict", ["REPLICATED", "NOT_REPLICATED", "INCONCLUSIVE", "NOT_TESTED", "ERROR"])
def test_hostile_texts_are_inert(verdict: str) -> None:
    records = [(entry | {"verdict": verdict}, None) for entry in sample_results.hostile()["claims"]]
    for record, _ in records:
        record["estimate"] = None if verdict in ("NOT_TESTED", "ERROR") else record["estimate"]
    screen = Screen()
    terminal.write_live(screen, records[0][0], None, done=1, of=10, width=40, note="")
    assert screen.text.count("\n") == 1
    terminal.write_table(screen, records)
    terminal.write_paths(screen, [Path("/reports") / sample_results.HOSTILE], relative_to=Path("/"))
    assert all(c.isprintable() or c == "\n" for c in screen.text)
    assert "{{7*7}}" in screen.text


@pytest.mark.parametrize("width", [72, 80, 139, 140, 200])
def test_the_table_keeps_to_the_width_and_begins_with_what_failed(width: int) -> None:
    screen = Screen(width)
    terminal.write_table(screen, [(entry, None) for entry in sample_results.everything()["claims"]])
    lines = screen.text.splitlines()
    assert max(map(len, lines)) < width
    assert lines[0].startswith("NOT_REPLICATED")
    assert lines[-1].startswith("31 REPLICATED, 4 NOT_TESTED, 7 INCONCLUSIVE, 14 NOT_REPLICATED")
