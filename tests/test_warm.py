"""Processes that begin warm are like any other, but for what they need not import."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import warm

SAYS = """
import json, os, sys
print(json.dumps([sys.argv, os.getcwd(), sys.path[0], sys.path[1], os.environ["GIVEN"], os.environ.get("NOT_GIVEN"),
                  __name__, sys.stdin.read()]))
print("seen", file=sys.stderr)
sys.exit(3)
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"GIVEN": "here", "PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "more")}


@pytest.mark.parametrize("how", ["-c", "-m"])
def test_files_folder_variables_places_and_status_are_those_of_a_process(
    tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("NOT_GIVEN", "1")
    (tmp_path / "says.py").write_text(SAYS)
    arguments = [how, SAYS if how == "-c" else "says", "one", "two"]
    own = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = warm.run(arguments, cwd=tmp_path, env=env)
    said = (own.returncode, own.stdout, own.stderr)
    assert (found.returncode, found.stdout, found.stderr) == said
    assert found.returncode == 3


def test_nothing_of_layerclaims_is_there_and_torch_is(tmp_path: Path, env: dict[str, str]) -> None:
    code = (
        "import sys; print('torch' in sys.modules, [m for m in sys.modules if m.startswith('layerclaims')])"
    )
    assert warm.run(["-c", code], cwd=tmp_path, env=env).stdout == "True []\n"


def test_what_one_changes_no_other_sees(tmp_path: Path, env: dict[str, str]) -> None:
    code = "import os, torch; print(hasattr(torch, 'mine')); torch.mine = 1; os.environ['MINE'] = '1'"
    assert [warm.run(["-c", code], cwd=tmp_path, env=env).stdout for _ in range(2)] == ["False\n"] * 2


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("raise ValueError('planted')", 1),
        ("import sys; sys.exit('planted')", 1),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("import atexit, os; atexit.register(os._exit, 7)", 7),
        ("import threading, os; threading.Timer(.1, os._exit, [8]).start()", 8),
    ],
)
def test_the_end_is_that_of_a_process(tmp_path: Path, env: dict[str, str], code: str, status: int) -> None:
    found = warm.run(["-c", code], cwd=tmp_path, env=env)
    assert found.returncode == status
    assert ("planted" in found.stderr) == ("planted" in code)


def test_one_that_takes_too_long_is_ended(tmp_path: Path, env: dict[str, str]) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        warm.run(["-c", "import threading; threading.Event().wait()"], cwd=tmp_path, env=env, timeout=0.1)
    assert warm.run(["-c", "print(1)"], cwd=tmp_path, env=env).stdout == "1\n"
