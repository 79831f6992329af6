"""Mutants are tried on copies of harness/, two at once, each in a process forked from one that has loaded torch."""

import compileall
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import Phase, settings

from tests.mutants.mutant import ROOT, Mutant

AT_ONCE = 2
MOST_SECONDS = 300.0  # of one mutant: a change can make a loop endless
# what tests import before the package itself: loaded once, in the process from which the others are forked
LOADED_ONCE = [
    "hypothesis", "numpy", "scipy.linalg", "scipy.optimize", "scipy.special", "scipy.stats", "sklearn.decomposition",
    "sklearn.linear_model", "sklearn.tree", "statsmodels.stats.multitest", "torch", "pydantic", "pikepdf", "jinja2",
    "safetensors.numpy", "transformers", "transformers.models.llama.modeling_llama",
]  # fmt: skip
Word = Literal["noticed", "survived", "broken", "not tried"]
_processes = get_context("forkserver")


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What became of a mutant."""

    mutant: Mutant
    word: Word
    why: str  # "" where it was noticed, or survived
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a run of tests ended."""

    status: int | None  # pytest's; None for one that was ended
    raised: tuple[str, ...]  # what its failed tests raised
    said: str  # the end of what it printed
    seconds: float


def run(
    mutants: Sequence[Mutant],
    *,
    root: Path = ROOT,
    minutes: float = 20.0,
    say: Callable[[Tried], None] = lambda _: None,
) -> list[Tried]:
    """Try all mutants and tell `say` of each; nothing is written in the checkout `root`.

    The named tests have to pass on the code as it is: where those of a file do not, what names them is not tried.
    Nor is what has not begun after so many minutes.
    """
    end = time.monotonic() + 60 * minutes
    os.environ["OMP_NUM_THREADS"] = (
        "1"  # as in `make test`; the process that others are forked from inherits it
    )
    _processes.set_forkserver_preload(LOADED_ONCE)
    tried: list[Tried] = []

    def told(one: Tried) -> None:
        tried.append(one)
        say(one)

    with tempfile.TemporaryDirectory(prefix="layerclaims-mutants-") as place:
        base = Path(place) / "base"
        shutil.copytree(root / "harness", base, ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(base, quiet=2)
        files: dict[str, set[str]] = {}
        for test in (test for one in mutants for test in one.tests):
            files.setdefault(test.split("::")[0], set()).add(test)
        unchanged = [_Job(key=file, change=None, tests=sorted(tests)) for file, tests in files.items()]
        red = {
            job.key: ended
            for job, ended in _side_by_side(unchanged, root, base, Path(place), end)
            if ended.status != 0
        }
        jobs, by_name = [], {one.name: one for one in mutants}
        for one in mutants:
            bad = next((red[f] for test in one.tests if (f := test.split("::")[0]) in red), None)
            if bad is None:
                jobs.append(_Job(key=one.name, change=one, tests=one.tests))
            else:
                told(
                    Tried(mutant=one, word="not tried", why=f"its tests fail on unchanged code:\n{bad.said}")
                )
        for job, ended in _side_by_side(jobs, root, base, Path(place), end):
            told(_judged(by_name[job.key], ended))
    for one in mutants:
        if one not in [of.mutant for of in tried]:
            told(Tried(mutant=one, word="not tried", why=f"{minutes:g} minutes were over"))
    return tried


def _judged(mutant: Mutant, ended: Ended) -> Tried:
    word: Word = "broken"
    why = f"the tests ended with status {ended.status} and raised {', '.join(ended.raised) or 'nothing'}:\n{ended.said}"
    if ended.status == pytest.ExitCode.OK:
        word, why = "survived", ""
    elif ended.status == pytest.ExitCode.TESTS_FAILED and "AssertionError" in ended.raised:
        word, why = "noticed", ""
    elif ended.status is None:
        why = f"the tests did not end within {MOST_SECONDS:.0f} s"
    return Tried(mutant=mutant, word=word, why=why, seconds=ended.seconds)


@dataclass(frozen=True, kw_only=True)
class _Job:
    key: str
    change: Mutant | None
    tests: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class _Running:
    job: _Job
    process: Any
    results: Connection
    place: Path
    begun: float


def _side_by_side(
    jobs: Sequence[_Job], root: Path, base: Path, place: Path, end: float
) -> Iterator[tuple[_Job, Ended]]:
    """Each job with how it ended, as they end; none begins after `end`, and none outlives the caller."""
    todo, running = list(reversed(jobs)), dict[int, _Running]()
    try:
        while running or (todo and time.monotonic() < end):
            while todo and len(running) < AT_ONCE and time.monotonic() < end:
                one = _start(todo.pop(), root, base, Path(tempfile.mkdtemp(dir=place)))
                running[one.process.sentinel] = one
            ready = {int(of) for of in wait(list(running), timeout=1.0) if isinstance(of, int)}
            now = time.monotonic()
            for sentinel, one in list(running.items()):
                if sentinel in ready or now - one.begun > MOST_SECONDS:
                    del running[sentinel]
                    yield one.job, _end(one)
    finally:
        for one in running.values():
            _end(one)


def _start(job: _Job, root: Path, base: Path, place: Path) -> _Running:
    package = place / "site" / "layerclaims"
    shutil.copytree(base, package)
    for name in ("claims", "templates"):  # subpackages that lie beside harness/
        if (root / name).is_dir():
            (package / name).symlink_to(root / name, target_is_directory=True)
    if job.change is not None:
        file = package / job.change.file
        file.write_text(job.change.changed(file.read_text(encoding="utf-8")), encoding="utf-8")
    results, sender = _processes.Pipe(duplex=False)
    process = _processes.Process(target=_test, args=(root, place, list(job.tests), sender))
    process.start()
    sender.close()
    return _Running(job=job, process=process, results=results, place=place, begun=time.monotonic())


def _end(one: _Running) -> Ended:
    """Take what a process has sent, and see to it that nothing is left of it."""
    status, raised = None, ()
    with suppress(EOFError, OSError):
        if one.results.poll():
            status, raised = one.results.recv()
    with suppress(ProcessLookupError):
        os.killpg(one.process.pid, signal.SIGKILL)  # and what its tests have started
    one.process.join()
    log = one.place / "log"
    said = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""
    shutil.rmtree(one.place, ignore_errors=True)
    return Ended(status=status, raised=raised, said=said, seconds=time.monotonic() - one.begun)


def _test(root: Path, place: Path, tests: Sequence[str], results: Connection) -> None:
    """In a process of its own: run tests against the copy of the package in `place`."""
    os.setpgid(0, 0)
    os.chdir(root)
    with (place / "log").open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    sys.path.insert(0, str(place / "site"))
    os.environ |= {
        "PYTHONPATH": str(place / "site"),  # of what the tests start
        "HOME": str(
            place / "home"
        ),  # a session of tests looks at whether anything was left in the user's cache
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # to load them takes longer than most of these tests, which need none
    }
    seen = _Seen()
    # one counterexample will do, the same every time, and none is written down
    found = [Phase.explicit, Phase.generate]
    settings.register_profile("mutants", phases=found, database=None, derandomize=True)
    settings.load_profile("mutants")
    options = ["-x", "-q", "-p", "no:cacheprovider", f"--basetemp={place / 'tmp'}"]
    status = pytest.main([*options, *(f"tests/{test}" for test in tests)], plugins=[seen])
    results.send((int(status), tuple(seen.raised)))
    sys.stdout.flush()


class _Seen:
    """A plugin that notes what failed tests raised."""

    def __init__(self) -> None:
        self.raised: list[str] = []

    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
            self.raised += sorted(set(_names(call.excinfo.value)))


def _names(error: BaseException) -> Iterator[str]:
    """The kinds of an error, or of the errors of a group; what `pytest.raises` missed is an assertion too."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _names(one)
    else:
        asserted = isinstance(error, AssertionError | pytest.fail.Exception)
        yield "AssertionError" if asserted else type(error).__name__
