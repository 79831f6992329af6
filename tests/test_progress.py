"""Progress: what is shown, when, and where it goes under pytest's capture."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness import progress
from harness.progress import Progress, duration

ROOT = Path(__file__).parents[1]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def written(monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(progress, "_write", lines.append)
    monkeypatch.setattr(progress, "_is_terminal", lambda: False)
    return lines


def test_what_is_over_within_a_second_shows_nothing(written):
    clock = Clock()
    with Progress("states", 10, "texts", clock=clock) as bar:
        for _ in range(10):
            clock.now += 0.09
            bar.advance()
    assert written == []


def test_a_line_has_count_rate_and_time_left(written):
    clock = Clock()
    with Progress("states", 100, "texts", clock=clock) as bar:
        clock.now = 2.0
        bar.advance(40)
        assert written == ["states: 40 of 100 texts (40 %), 20 texts/s, 3 s left\n"]
        clock.now = 5.0
        bar.advance(60)
    assert written[1:] == ["states: 100 of 100 texts (100 %), 20 texts/s, took 5 s\n"]


def test_plain_lines_come_every_few_seconds_only(written):
    clock = Clock()
    with Progress("states", 1000, "texts", clock=clock) as bar:
        for _ in range(200):
            clock.now += 0.1
            bar.advance()
    assert 3 <= len(written) <= 6


def test_a_long_unit_is_shown_to_be_worked_on(written):
    clock = Clock()
    with Progress("layer probe", 5, "probes", clock=clock) as bar:
        clock.now = 10
        bar.beat()
        assert written == []
        clock.now = 95
        bar.beat()
        bar.beat()
        assert written == ["layer probe: 0 of 5 probes (0 %), 1 min 35 s so far\n"]
    bar.beat()
    assert len(written) == 2  # the last line, and none after it


def test_it_lives_without_being_asked(written, monkeypatch):
    monkeypatch.setattr(progress, "BEAT", {False: 0.01})
    with Progress("layer probe", 5, "probes"):
        deadline = time.monotonic() + 10
        while not written and time.monotonic() < deadline:
            time.sleep(0.01)
    assert "0 of 5 probes" in written[0]


def test_units_of_an_earlier_run_count_but_do_not_enter_the_rate(written):
    clock = Clock()
    with Progress("states", 100, "texts", done=90, clock=clock) as bar:
        clock.now = 2.0
        bar.advance(2)
        assert "92 of 100" in written[0]
        assert "1 texts/s, 8 s left" in written[0]


def test_a_terminal_gets_one_line_that_is_redrawn(monkeypatch, written):
    monkeypatch.setattr(progress, "_is_terminal", lambda: True)
    clock = Clock()
    with Progress("states", 10, "texts", clock=clock) as bar:
        for _ in range(9):
            clock.now += 0.5
            bar.advance()
    assert all(line.startswith("\r") and line.endswith("\x1b[K") for line in written[:-1])
    assert written[-1] == "\n"


def test_switched_off_it_is_silent(written):
    clock = Clock()
    with Progress("states", 10, "texts", enabled=False, clock=clock) as bar:
        clock.now = 60
        bar.advance()
    assert written == []


def test_control_characters_of_a_name_do_not_reach_the_terminal(written):
    progress.note("model \x1b[31mred\u202e")
    assert "\x1b" not in written[0]
    assert "\u202e" not in written[0]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "0 s"), (59, "59 s"), (60, "1 min 00 s"), (3599, "59 min 59 s"), (7500, "2 h 05 min")],
)
def test_durations_read_as_people_say_them(seconds, said):
    assert duration(seconds) == said


def test_attached_before_capture_it_is_seen_through_it(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "from harness import progress\ndef pytest_configure(config):\n    progress.attach()\n"
    )
    (tmp_path / "test_it.py").write_text(
        "import sys\nfrom harness import progress\n"
        "def test_it():\n    print('swallowed', file=sys.stderr)\n    progress.note('seen')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "seen\n" in done.stderr
    assert "swallowed" not in done.stdout + done.stderr


def test_a_closed_pipe_is_no_error(monkeypatch):
    read, write = os.pipe()
    os.close(read)
    with pytest.raises(BrokenPipeError):
        os.write(write, b"nobody listens")
    monkeypatch.setattr(progress, "_descriptor", write)
    progress.note("nobody listens")
    os.close(write)
