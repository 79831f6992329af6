"""What a run shows: every name is inert, lines keep to the width, failures stand first."""

from pathlib import Path

import pytest
from layerclaims.plugin import terminal
from layerclaims.results.checking import checked
from layerclaims.verdicts import sentences
from layerclaims.verdicts.style import FAULTS_FIRST, FINDINGS_FIRST, STYLES
from layerclaims.verdicts.verdict import Verdict

from tests import sample_results


class Screen:
    """A terminal of some width that keeps what is written to it."""

    def __init__(self, width: int = 100) -> None:
        self.fullwidth, self.text = width, ""

    def write(self, msg: str, **_: bool) -> None:
        self.text += msg

    def line(self, s: str = "", **_: bool) -> None:
        self.text += f"{s}\n"


def test_every_verdict_has_a_look_of_its_own_and_a_place() -> None:
    assert set(STYLES) == set(FINDINGS_FIRST) == set(FAULTS_FIRST) == set(Verdict)
    assert len(FINDINGS_FIRST) == len(FAULTS_FIRST) == len(Verdict)
    for name in ("word", "letter", "icon", "sign", "colour", "css"):
        assert len({getattr(style, name) for style in STYLES.values()}) == len(Verdict), name
    css = (Path(__file__).resolve().parents[2] / "templates" / "page.css").read_text("utf-8")
    assert all(f".{style.css}" in css for style in STYLES.values())


@pytest.mark.parametrize("verdict", ["REPLICATED", "NOT_REPLICATED", "INCONCLUSIVE", "NOT_TESTED", "ERROR"])
def test_hostile_texts_are_inert(verdict: str) -> None:
    run = sample_results.hostile()
    for entry in run["claims"]:
        entry["verdict"] = verdict
        entry["estimate"] = None if verdict in ("NOT_TESTED", "ERROR") else entry["estimate"]
    records = [(record, None) for record in checked(run).claims]
    screen = Screen()
    terminal.write_live(screen, records[0][0], None, done=1, of=10, width=40, note="")
    assert screen.text.count("\n") == 1
    terminal.write_table(screen, records)
    terminal.write_paths(screen, [Path("/reports") / sample_results.HOSTILE], relative_to=Path("/"))
    assert all(c.isprintable() or c == "\n" for c in screen.text)
    assert "{{7*7}}" in screen.text


@pytest.mark.parametrize(
    ("reason", "clause"),
    [
        (
            "Accuracy is .500 (95 % interval .400 to .600). The interval crosses the pass mark of .550; about 980 "
            "documents might decide it.",
            "the interval crosses the pass mark of .550",
        ),
        (sentences.too_few(12), "only 12 test documents were measured"),
        (
            "The probe behind the accuracy did not finish fitting within 500 iterations (gradient norm 1.0e-03), so "
            "its value of .500 is not reliable.",
            "the probe behind the accuracy did not finish fitting within 500 iterations",
        ),
    ],
)
def test_the_live_line_of_what_is_undecided_says_why_in_a_clause(reason: str, clause: str) -> None:
    run = sample_results.sample(ids=("layers-linearly-separable",))
    run["claims"][0].update(verdict="INCONCLUSIVE", reason=reason)
    (record,) = checked(run).claims
    screen = Screen()
    terminal.write_live(screen, record, None, done=1, of=1, width=30, note="")
    assert screen.text.endswith(f"] accuracy: {clause}\n")


def test_the_live_line_shows_the_part_that_decides() -> None:
    run = sample_results.sample(ids=("norm-is-not-the-only-feature",))
    first, second = run["claims"][0]["parts"]
    second.update(estimate=0.01, interval=[0.005, 0.015], holds=False)
    run["claims"][0]["verdict"] = "NOT_REPLICATED"
    (record,) = checked(run).claims
    screen = Screen()
    terminal.write_live(screen, record, None, done=1, of=1, width=30, note="")
    assert f".010 [.005, .015] {second['name']}" in screen.text
    assert first["name"] not in screen.text


@pytest.mark.parametrize("width", [72, 80, 139, 140, 200])
def test_the_table_keeps_to_the_width_and_begins_with_what_failed(width: int) -> None:
    screen = Screen(width)
    terminal.write_table(screen, [(record, None) for record in checked(sample_results.everything()).claims])
    lines = screen.text.splitlines()
    assert max(map(len, lines)) < width
    assert lines[0].startswith("NOT_REPLICATED")
    assert lines[-1].startswith("31 REPLICATED, 4 NOT_TESTED, 7 INCONCLUSIVE, 14 NOT_REPLICATED")
