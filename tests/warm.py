"""Python processes that begin warm: forks of one that has imported torch, transformers and scikit-learn once.

`run(["-m", "pytest", ...])` is `subprocess.run([sys.executable, "-m", "pytest", ...])` without the seconds that these
imports take: the folder, the variables, the exit status and the end of the interpreter are those of a process of its
own, and layerclaims is imported anew. Only what a test says about imports needs a process that is not warm.
"""

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SERVER = Path(__file__).with_name("warm_server.py")


@functools.cache
def _server() -> socket.socket:
    """A connection to the server of this process, which it starts."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    own = tempfile.TemporaryDirectory(prefix="layerclaims-warm-")
    process = subprocess.Popen(
        [sys.executable, str(SERVER), str(theirs.fileno())],
        # a package that reads the place of a cache as it is imported finds none of the user's
        env={
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "OMP_NUM_THREADS": "1",
            "XDG_CACHE_HOME": own.name,
        },
        pass_fds=[theirs.fileno()],
        stdout=subprocess.DEVNULL,
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()
        own.cleanup()

    atexit.register(end)
    return ours


@dataclass(frozen=True)
class Process:
    """A process that has been started: its number, and one answer to come."""

    pid: int
    answer: socket.socket

    def ended(self, timeout: float = 0) -> bool:
        """Whether it has, within so many seconds."""
        return bool(select.select([self.answer], [], [], timeout)[0])

    def wait(self, timeout: float) -> int:
        """Its exit status, minus the signal that ended it; one that takes longer is killed and an error."""
        late = not self.ended(timeout)
        if late:
            os.kill(self.pid, signal.SIGKILL)
        status = int(self.answer.recv(100))
        if late:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return status


def start(
    arguments: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdout: IO[str],
    stderr: IO[str],
    stdin: IO[str] | None = None,
    own_session: bool = False,
) -> Process:
    """Begin `python ARGUMENTS`; the one before has to have been waited for."""
    server = _server()
    request = {
        "arguments": list(arguments), "cwd": str(cwd), "environment": dict(env), "own_session": own_session,
    }  # fmt: skip
    with Path(os.devnull).open() as nothing:
        files = [(stdin or nothing).fileno(), stdout.fileno(), stderr.fileno()]
        socket.send_fds(server, [json.dumps(request).encode()], files)
    return Process(int(server.recv(100)), server)


def run(
    arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float = 900
) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS` to its end."""
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8") as err,
    ):
        status = start(arguments, cwd=cwd, env=env, stdout=out, stderr=err).wait(timeout)
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(list(arguments), status, out.read(), err.read())
