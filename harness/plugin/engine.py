"""The work of a session, handed to an engine before the first claim is judged."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import pytest
from layerclaims.engines.processes import Outcome, run_processes
from layerclaims.errors import LayerclaimsError, NotTestedError
from layerclaims.plugin.settings import Settings
from layerclaims.runtime import progress
from layerclaims.runtime.memory import LEAST

if TYPE_CHECKING:
    from layerclaims.engines.pull import Item
    from layerclaims.experiments.plan import Plan

MODULE: Final = "layerclaims.plugin.working"
# exit statuses of a worker that came to its end; 1: a measurement failed, as it will here
USEFUL: Final = (0, 1)


def spread(plan: "Plan", config: pytest.Config, settings: Settings) -> None:
    """Have the engine's workers do the work of a plan, in the cache; what they leave is done in this process.

    Each worker collects the same claims from the same arguments. Raises LayerclaimsError where none of them came to
    its end.
    """
    from layerclaims.experiments.work import items

    if plan.check() == 0:
        return
    engine, left = settings.engine, items(plan)
    with progress.Progress(f"work on engine {engine.name}", len(left), "items") as bar:

        def tick() -> None:
            done = [item for item in left if _done(item)]
            for item in done:
                left.remove(item)
            bar.advance(len(done))

        if engine.name == "ray":
            from layerclaims.engines.on_ray import run_on_ray

            outcomes = run_on_ray(
                [MODULE, *_arguments(config)],
                workers=engine.workers,
                address=engine.address,
                environment=dict(os.environ),
                cwd=config.invocation_params.dir,
                tick=tick,
            )
        else:
            outcomes = _local(engine.workers or 1, config, settings, tick)
    _check(outcomes)


def _done(item: "Item") -> bool:
    try:
        return item.done()
    except NotTestedError:
        return True


def _local(
    workers: int, config: pytest.Config, settings: Settings, tick: Callable[[], None]
) -> list[Outcome]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = {"OMP_NUM_THREADS": str(max(1, cores // workers))}
    memory = max(LEAST, settings.memory // workers) // 10**6
    command = [MODULE, *_arguments(config, f"--layerclaims-memory={memory}MB")]
    return run_processes(
        [command] * workers,
        environment=threads | dict(os.environ),
        cwd=config.invocation_params.dir,
        tick=tick,
    )


def _arguments(config: pytest.Config, *more: str) -> list[str]:
    """What this pytest was given, for one that does the work alone and writes no file of its own."""
    given = [str(word) for word in config.invocation_params.args]
    end = given.index("--") if "--" in given else len(given)
    own = ["--layerclaims-engine=local", "--layerclaims-workers=1", *more]
    if config.pluginmanager.hasplugin("xdist"):
        own.append("-n0")
    if getattr(config.option, "xmlpath", None):
        own.append("--junitxml=")
    return [*given[:end], *own, *given[end:]]


def _check(outcomes: list[Outcome]) -> None:
    """Say which workers were lost; raises LayerclaimsError where none was of use."""
    useful = [one for one in outcomes if one.status in USEFUL]
    lost = [one for one in outcomes if one.status not in USEFUL]
    if not useful:
        said = lost[0].said.removeprefix("layerclaims: ").removeprefix("ERROR: ")
        raise LayerclaimsError(said or f"All {len(lost)} workers ended with status {lost[0].status}.")
    if lost:
        progress.note(
            f"layerclaims: {len(lost)} of {len(outcomes)} workers were lost; the others did their part"
        )
