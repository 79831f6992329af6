"""Progress: what is shown, when, and where it goes under pytest's capture."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from layerclaims.runtime import progress
from layerclaims.runtime.progress import Progress, duration, seconds_left

ROOT = Path(__file__).resolve().parents[2]
HANGS = 600  # seconds after which what is waited for will never come, on the busiest machine


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Nothing is attached, and one does not wait long."""
    monkeypatch.setattr(progress, "_screen", None)
    monkeypatch.setattr(progress, "FIRST", {True: 0.1, False: 0.1})
    monkeypatch.setattr(progress, "BETWEEN", {True: 0.01, False: 0.2})
    monkeypatch.setattr(progress, "BEAT", 0.02)
    yield
    progress.plan({})
    if progress._screen is not None:
        progress._screen.close()


@pytest.fixture
def log(tmp_path):
    """What a log of standard error holds so far."""
    path = tmp_path / "log"
    with path.open("wb") as file:
        progress.attach(file.fileno())
    return path.read_text


@pytest.fixture
def terminal():
    """What a terminal was sent so far."""
    ours, theirs = pty.openpty()
    progress.attach(theirs)

    def read():
        assert select.select([ours], [], [], HANGS)[0]
        return os.read(ours, 65536).decode()

    yield read
    os.close(ours)
    os.close(theirs)


class TestLog:
    def test_has_nothing_of_what_is_soon_over(self, log, monkeypatch):
        monkeypatch.setattr(progress, "FIRST", {True: 60, False: 60})
        with progress.step("layer probe"), Progress("states", 10, "texts") as bar:
            bar.advance(10)
        assert log() == ""

    def test_has_a_line_now_and_then_and_one_at_the_end(self, log):
        with Progress("states", 1000, "texts") as bar:
            start = time.monotonic()
            for _ in range(50):
                time.sleep(0.01)
                bar.advance(20)
            took = time.monotonic() - start
        *some, last = log().splitlines()
        assert 1 <= len(some) <= took / 0.2 + 1
        assert re.match(
            r"states  \d+/1000 texts, \d\d:\d\d so far, \d\d:\d\d left, +[\d.]+ texts/s$", some[0]
        )
        assert last.startswith("states  1000/1000 texts, ")

    def test_shows_that_a_long_unit_is_worked_on(self, log):
        with Progress("layer probe", 5, "probes"):
            wait(lambda: re.match(r"layer probe  0/5 probes, \d\d:\d\d so far, \? left", log()))

    def test_has_the_innermost_of_several(self, log):
        with Progress("ablation", 5, "settings"), Progress("states", 10, "texts"):
            wait(log)
        assert "ablation" not in log()

    def test_counts_units_of_an_earlier_run_outside_the_rate(self, log):
        with Progress("states", 100, "texts", done=90) as bar:
            time.sleep(0.2)
            bar.advance(2)
            wait(lambda: "92/100" in log())
        rate = float(re.findall(r"([\d.]+) texts/s", log())[-1])
        assert rate < 12

    def test_has_notes_at_once_without_their_control_characters(self, log):
        progress.note("model \x1b[31mred\u202e")
        assert log() == "model \N{REPLACEMENT CHARACTER}[31mred\N{REPLACEMENT CHARACTER}\n"

    def test_has_nothing_of_what_is_switched_off(self, log):
        with Progress("states", 10, "texts", enabled=False) as bar:
            bar.advance()
            time.sleep(0.2)
        assert log() == ""


class TestTerminal:
    def test_gets_one_line_that_is_redrawn_and_cleared(self, terminal):
        with Progress("states", 10, "texts") as bar:
            bar.advance(5)
            shown = ""
            while "states  5/10 texts" not in shown:
                shown += terminal()
        shown += terminal()
        assert "\n" not in shown
        assert shown.endswith("\r\x1b[K")

    def test_keeps_a_note_above_the_line(self, terminal):
        with Progress("states", 10, "texts"):
            assert "states" in terminal()
            progress.note("seen")
            shown = terminal()
            while "\n" not in shown:
                shown += terminal()
        assert "\r\x1b[Kseen\r\n" in shown

    def test_gets_plain_lines_from_one_process_of_several(self, terminal):
        progress.attach(progress._screen._descriptor, redraw=False)
        with Progress("states", 10, "texts"):
            assert re.fullmatch(r"states  0/10 texts.*\r\n", terminal())


class TestPlan:
    def test_numbers_its_steps_and_says_what_is_left(self, log):
        progress.plan({"states": 0.1, "layer probe": 5.0, "geometry": 175.0})
        with progress.step("states"):
            pass
        with progress.step("not planned"):
            wait(log)
        with progress.step("layer probe"), Progress("layer probe", 5, "probes"):
            wait(lambda: log().count("\n") > 2)
        assert log().startswith("not planned  0")
        said = log().splitlines()[-1]
        assert re.match(r"step 2 of 3, about \S+ \S+ left \| layer probe  0/5 probes, ", said)

    def test_takes_what_was_expected_until_it_knows_better(self):
        assert seconds_left(took=0, done=0, elapsed=1, current=10, later=100) == 109

    def test_scales_by_measured_over_expected_so_far(self):
        assert seconds_left(took=20, done=10, elapsed=0, current=10, later=100) == 220
        assert seconds_left(took=20, done=10, elapsed=5, current=10, later=100) == 215

    def test_counts_a_step_that_takes_longer_than_expected(self):
        assert seconds_left(took=10, done=10, elapsed=50, current=10, later=100) == 3 * 110 - 50

    def test_never_has_less_than_nothing_left(self):
        assert seconds_left(took=10, done=10, elapsed=50, current=10, later=0) == 0
        assert seconds_left(took=0, done=0, elapsed=5, current=0, later=0) == 0


def wait(condition):
    deadline = time.monotonic() + HANGS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "5 s"), (41, "40 s"), (59, "1 min"), (110, "2 min"), (3599, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_durations_are_round_as_people_say_them(seconds, said):
    assert duration(seconds) == said


def test_where_nothing_was_attached_nothing_is_shown(capfd):
    progress.note("not seen")
    with progress.step("layer probe"), Progress("states", 10, "texts") as bar:
        bar.advance()
        time.sleep(0.2)
    assert capfd.readouterr() == ("", "")


def test_attached_before_capture_it_is_seen_through_it(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "from layerclaims.runtime import progress\ndef pytest_configure(config):\n    progress.attach()\n"
    )
    (tmp_path / "test_it.py").write_text(
        "import sys\nfrom layerclaims.runtime import progress\n"
        "def test_it():\n    print('swallowed', file=sys.stderr)\n    progress.note('seen')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "PYTEST_ADDOPTS": "",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "seen\n" in done.stderr
    assert "swallowed" not in done.stdout + done.stderr


def test_a_closed_pipe_is_no_error():
    read, write = os.pipe()
    progress.attach(write)
    os.close(read)
    with pytest.raises(BrokenPipeError):
        os.write(write, b"nobody listens")
    progress.note("nobody listens")
    with Progress("states", 10, "texts"):
        time.sleep(0.2)
    os.close(write)
