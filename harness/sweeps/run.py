"""Running a sweep: each target in a process of its own, what is missing of it and no more."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from layerclaims.engines.processes import run_processes
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import inert
from layerclaims.sweeps.file import Target
from layerclaims.sweeps.progress import State


def run(
    state: State,
    missing: Sequence[Target],
    *,
    workers: int,
    cache_dir: Path,
    options: Sequence[str],
    say: Callable[[str], None],
) -> dict[str, str]:
    """Run some targets, `workers` of them at a time; why some were not run to their ends, by name.

    Targets that read the same states follow each other in one worker, so that with `keep_states = false` no more lies
    on disk than the workers read. `options` go to each run. `say` is told of each that has ended. What ends this early
    ends the runs, and the next call goes on from there.
    """
    groups: dict[str, list[Target]] = {}
    for target in missing:
        groups.setdefault(target.states, []).append(target)
    failed: dict[str, str] = {}
    stop = threading.Event()

    def interrupt() -> None:
        if stop.is_set():
            raise InterruptedError

    def work(group: Sequence[Target]) -> None:
        kept = state.sweep.keep_states
        cache = cache_dir if kept else state.sweep.out / "states" / group[0].states
        for target in group:
            start = time.monotonic()
            why = _run_one(state, target, cache, options, interrupt)
            if why:
                failed[target.name] = why
                say(f"{target.name}: not run to its end: {inert(why, 400)}")
            else:
                state.took(target, time.monotonic() - start)
                say(f"{target.name}: done in {time.monotonic() - start:.0f} s")
        if not kept:
            shutil.rmtree(cache, ignore_errors=True)

    with ThreadPoolExecutor(workers) as pool:
        waiting: set[Future[None]] = {pool.submit(work, group) for group in groups.values()}
        try:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for one in done:
                    one.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return failed


def _run_one(
    state: State, target: Target, cache: Path, options: Sequence[str], tick: Callable[[], None]
) -> str:
    """Run a target; why it gave no results, "" where it did."""
    (outcome,) = run_processes(
        [["pytest", *command(state, target, cache), *options]],
        environment=dict(os.environ),
        cwd=Path.cwd(),
        tick=tick,
    )
    if state.results(target) is not None:
        return ""
    said = outcome.said.removeprefix("ERROR: ")
    return said or f"it ended with status {outcome.status}"


def command(state: State, target: Target, cache: Path) -> list[str]:
    """What pytest is given for a target."""
    p = target.protocol
    options = {
        "model": p.model, "corpus": p.corpus, "transfer-corpus": p.transfer_corpus or "none", "profile": p.profile,
        "n-texts": p.n_texts, "context": p.context, "seed": p.seed, "folds": p.folds, "protocol": p.name,
        "cache-dir": cache.resolve(), "out": (state.sweep.out / target.name).resolve(), "report": "none",
    }  # fmt: skip
    chosen = [] if target.claims is None else ["-k", target.claims]
    return [
        "--pyargs", "layerclaims.claims", "-q", "-p", "no:cacheprovider", *chosen,
        *(f"--layerclaims-{name}={value}" for name, value in options.items()),
        "--layerclaims-verdicts-only", "--layerclaims-replace",
    ]  # fmt: skip


def check(state: State, failed: dict[str, str]) -> None:
    """Raise LayerclaimsError where targets failed."""
    if failed:
        name, why = next(iter(failed.items()))
        raise LayerclaimsError(
            f"{len(failed)} of {len(state.sweep.targets)} targets were not run to their ends, such as {name}: "
            f"{inert(why, 400)}"
        )
