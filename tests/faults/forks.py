"""Runs of pytest and of the commands in forks of this process, which has imported everything once."""

import importlib
import os
import pkgutil
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

CPU_SECONDS = 60  # an undisturbed run takes one to four
IDLE_SECONDS = 60  # without any processor time: nothing that a run waits for takes so long
OUTPUT_BYTES = 1_000_000  # of what a run prints; no run has that much to say
HEAVY = (
    "torch",
    "transformers",
    "safetensors.numpy",
    "pyarrow.parquet",
    "sklearn.tree",
    "sklearn.manifold",
    "pikepdf",
    "gguf",
    "filelock",
)


show: list[str] = []  # "all": what runs print is printed here too


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run that has ended."""

    status: int  # exit status; minus the signal that ended it
    text: str  # standard output and error together
    hung: bool  # it went over the limit of processor time or of time
    seconds: float  # of processor time

    @property
    def lines(self) -> list[str]:
        """What was printed."""
        return self.text.splitlines()


def prepare() -> None:
    """Import all that a run imports, so that a fork begins where other processes are after six seconds."""
    os.environ.update(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1")
    for name in [
        name for name in os.environ if name.startswith(("LAYERCLAIMS", "GITHUB_", "PYTEST_ADDOPTS"))
    ]:
        del os.environ[name]
    import layerclaims

    for name in HEAVY:
        importlib.import_module(name)
    for module in pkgutil.walk_packages(layerclaims.__path__, "layerclaims."):
        # claims are collected by pytest, and a program is run
        if (
            not module.name.startswith(("layerclaims.claims", "layerclaims.templates"))
            and "__main__" not in module.name
        ):
            importlib.import_module(module.name)
    importlib.import_module("torch").set_num_threads(1)


@dataclass(kw_only=True)
class Fork:
    """A process that runs a call, and what it has printed so far.

    It prints into a pipe: a limit on the size of files, which a trial may set, must not cut its last words.
    """

    pid: int
    pipe: int
    printed: bytearray

    @classmethod
    def start(cls, call: Callable[[], int]) -> "Fork":
        """Begin."""
        sys.stdout.flush()
        sys.stderr.flush()
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _child(call, writing)
        os.close(writing)
        os.set_blocking(reading, False)
        return cls(pid=pid, pipe=reading, printed=bytearray())

    def read(self) -> bool:
        """Take what is there; False at the end."""
        try:
            part = os.read(self.pipe, 1 << 16)
        except BlockingIOError:
            return True
        if len(self.printed) < OUTPUT_BYTES:
            self.printed += part
        return bool(part)

    def wait(self, *, kill: tuple[int, float] | None = None) -> Ended:
        """Wait for its end; `kill` is a signal and the seconds after which it is sent."""
        end = os.pidfd_open(self.pid)
        begun = time.monotonic()
        due = begun + kill[1] if kill is not None else None
        busy, used_then = begun, 0
        poll = select.poll()
        for descriptor in (end, self.pipe):
            poll.register(descriptor, select.POLLIN | select.POLLHUP)
        hung = False
        while True:
            pause = 5.0 if due is None else max(0.0, min(5.0, due - time.monotonic()))
            ready = [descriptor for descriptor, _ in poll.poll(pause * 1000)]
            if self.pipe in ready and not self.read():
                poll.unregister(self.pipe)
            if end in ready:
                break
            if kill is not None and due is not None and time.monotonic() >= due:
                os.kill(self.pid, kill[0])
                due = None
            if (used_by_now := _ticks(self.pid)) != used_then or hung:
                busy, used_then = time.monotonic(), used_by_now
            elif time.monotonic() - busy > IDLE_SECONDS:
                hung = True
                os.kill(self.pid, signal.SIGKILL)
        _, code, used = os.wait4(self.pid, 0)
        while select.select([self.pipe], [], [], 0)[0] and self.read():
            pass
        os.close(end)
        os.close(self.pipe)
        text = self.printed.decode("utf-8", "backslashreplace")
        if show:
            print(text, flush=True)
        seconds = used.ru_utime + used.ru_stime
        hung = hung or seconds >= CPU_SECONDS - 1
        return Ended(status=os.waitstatus_to_exitcode(code), text=text, hung=hung, seconds=seconds)


def _ticks(pid: int) -> int:
    """Processor time of a process so far, in ticks of the system's clock."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _child(call: Callable[[], int], writing: int) -> NoReturn:
    status = 1
    try:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        # the parent's may stand for another kind of file
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
        os.setsid()  # so that a signal reaches nobody else
        signal.signal(signal.SIGINT, signal.default_int_handler)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        status = int(call())
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BaseException:
                status = status or 1
        os._exit(status)


def run(call: Callable[[], int], *, kill: tuple[int, float] | None = None) -> Ended:
    """`call` in a fork, to its end."""
    return Fork.start(call).wait(kill=kill)


def together(calls: Sequence[Callable[[], int]]) -> list[Ended]:
    """Several calls side by side, a fork each, all to their end; what each prints fits into its pipe."""
    return [fork.wait() for fork in [Fork.start(call) for call in calls]]
