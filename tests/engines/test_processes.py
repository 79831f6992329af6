"""Processes: their ends are told, and none outlives the one that started it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from layerclaims.engines.processes import Outcome, run_processes

ENVIRONMENT = dict(os.environ)
MODULES = {
    "fine": "print('not kept')",
    "refuses": "import sys\nprint('first', file=sys.stderr)\nsys.exit('layerclaims: There is no room.')",
    "killed": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "waits": "import sys, threading\nprint('here', file=sys.stderr, flush=True)\n"
    "import os\nopen(sys.argv[1], 'w').write(f'{os.getpid()}\\n')\nthreading.Event().wait()",
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, code in MODULES.items():
        (tmp_path / f"{name}.py").write_text(code)
    return tmp_path


def environment(place: Path) -> dict[str, str]:
    path = os.pathsep.join([str(place), *filter(None, [os.environ.get("PYTHONPATH")])])
    return ENVIRONMENT | {"PYTHONPATH": path}


def test_each_end_is_told_with_its_last_line(place, capfd) -> None:
    found = run_processes([["fine"], ["refuses"], ["killed"]], environment=environment(place), cwd=place)
    assert found == [
        Outcome(status=0, said=""),
        Outcome(status=1, said="layerclaims: There is no room."),
        Outcome(status=-9, said=""),
    ]
    assert capfd.readouterr() == ("", "")


def test_an_interrupt_ends_them_all(place) -> None:
    begun = place / "begun"

    def interrupt() -> None:
        if begun.exists() and begun.read_text().endswith("\n"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_processes([["waits", "begun"]], environment=environment(place), cwd=place, tick=interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.read_text()), 0)


def test_a_process_ends_when_the_one_that_started_it_is_killed(place) -> None:
    pipe, ours = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-m", "layerclaims.engines.attached", "waits", "begun"],
        cwd=place, env=environment(place), stdin=pipe, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(pipe)
    assert child.stderr is not None
    assert child.stderr.readline() == b"here\n"
    os.close(ours)  # as the system does for one that is killed
    assert child.wait(60) != 0
    child.stderr.close()
