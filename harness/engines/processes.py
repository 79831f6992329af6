"""Processes of this machine: started together, waited for, and never left behind."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

TICK: Final = 0.5  # seconds from one look at the processes to the next
GRACE: Final = 15.0  # seconds that a process has to end in order before it is killed


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a command ended."""

    status: int  # below 0: the signal that ended it, or its worker was lost
    said: str  # the last line that it wrote to standard error


def run_processes(
    commands: Sequence[Sequence[str]],
    *,
    environment: Mapping[str, str],
    cwd: Path,
    tick: Callable[[], None] = lambda: None,
) -> list[Outcome]:
    """Run `python -m` of some commands at the same time, to their ends; `tick` is called between looks at them.

    Their standard output is not kept. They end when this process does, even if it is killed: each holds the other end
    of a pipe (see `attached`). What ends this function early ends them first.
    """
    running: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []
    try:
        for command in commands:
            said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  a pipe that nobody reads would fill up
            process = subprocess.Popen(
                [sys.executable, "-m", "layerclaims.engines.attached", *command],
                cwd=cwd, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said,
            )  # fmt: skip
            running.append((process, said))
        for process, _ in running:
            while not _ended(process, TICK):
                tick()
        return [Outcome(status=process.returncode, said=_last_line(said)) for process, said in running]
    finally:
        for process, _ in running:
            if process.poll() is None:
                process.terminate()
        for process, said in running:
            if not _ended(process, GRACE):
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()
            said.close()


def _ended(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _last_line(file: IO[bytes]) -> str:
    file.seek(0)
    lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""
