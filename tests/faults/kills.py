"""Runs that are ended: at the k-th thing that they do to a file, in the middle of a write, at a random moment."""

import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from tests.faults import forks, outcomes
from tests.faults.outcomes import Outcome
from tests.faults.world import SELECTIONS, World

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
EVENTS = 90  # a cold run of a selection does 40 to 120 things to files
SHARD_SIZE = 70_000  # bytes, the largest file that a run writes


def at_event(number: int, sent: int, place: Path) -> Callable[[], None]:
    """Send a signal to this process when it does the `number`-th thing to a file in `place`, before it is done.

    Counted are files opened to be written, renamed, removed, made durable (fsync), directories made, and locks: so
    the moment is the same one on every machine.
    """
    left = [number]
    where = str(place)

    def count(happened: bool) -> None:
        if happened:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), sent)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            count(bool(arguments[2] & WRITES) and str(arguments[0]).startswith(where))
        elif event in ("os.rename", "os.remove", "os.mkdir"):
            count(str(arguments[0]).startswith(where))

    def install() -> None:
        sys.addaudithook(hook)
        fsync = os.fsync

        def counted(descriptor: Any) -> None:
            count(True)
            fsync(descriptor)
            count(True)

        os.fsync = counted

    return install


def in_a_write(size: int) -> Callable[[], None]:
    """Let the system end this process in the middle of the write that makes a file longer than `size` bytes."""

    def install() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return install


def _resumed(
    world: World,
    random: Random,
    *,
    sent: int,
    before: Any = None,
    after: bool = False,
    cold: bool | None = None,
) -> Outcome:
    """End a run, then run the same command again: the numbers have to be the right ones."""
    place, selection = world.place(), random.choice(SELECTIONS)
    if not (random.random() < 0.6 if cold is None else cold):
        world.cache(place, random)
    kill = (sent, random.random() * world.seconds) if after else None
    hook = before(place) if before is not None else None
    ended = forks.run(world.pytest(selection, place, before=hook), kill=kill)
    if what := outcomes.fault(ended, sent=[sent]):
        return Outcome.wrong(f"when it was ended: {what}", ended)
    status, numbers = world.right(selection)
    if (place / "out" / "results.json").exists():
        left = outcomes.of_run(
            ended, place / "out" / "results.json", status=status, right=numbers, sent=[sent]
        )
        # an interrupted run says what it has; one that was killed after writing has everything
        if left.word == "wrong" and "status" not in left.detail:
            return Outcome.wrong(f"what it left: {left.detail}")
    again = forks.run(world.pytest(selection, place))
    found = world.judged(selection, again, place)
    if found.word == "refused":
        return Outcome.wrong("the same command does not go on", again)
    if found.word == "right" and (litter := [path for path in place.rglob("*.tmp") if path.is_file()]):
        return Outcome.wrong(f"{litter[0].relative_to(place)} is left behind")
    return found


def _event(random: Random, sent: int) -> Callable[[Path], Callable[[], None]]:
    number = random.randint(1, EVENTS)
    return lambda place: at_event(number, sent, place)


def killed_at_an_event(world: World, random: Random) -> Outcome:
    """SIGKILL at the k-th thing done to a file."""
    return _resumed(world, random, sent=signal.SIGKILL, before=_event(random, signal.SIGKILL))


def terminated_at_an_event(world: World, random: Random) -> Outcome:
    """SIGTERM there."""
    return _resumed(world, random, sent=signal.SIGTERM, before=_event(random, signal.SIGTERM))


def interrupted_at_an_event(world: World, random: Random) -> Outcome:
    """SIGINT there, as Ctrl-C sends it."""
    return _resumed(world, random, sent=signal.SIGINT, before=_event(random, signal.SIGINT))


def killed_in_a_write(world: World, random: Random) -> Outcome:
    """Ended with a file half written."""
    size = int(2 ** random.uniform(0, 17)) % SHARD_SIZE
    return _resumed(world, random, sent=signal.SIGXFSZ, before=lambda _: in_a_write(size), cold=True)


def killed_at_a_moment(world: World, random: Random) -> Outcome:
    """SIGKILL at a moment drawn from the time that a run takes."""
    return _resumed(world, random, sent=signal.SIGKILL, after=True)


def interrupted_at_a_moment(world: World, random: Random) -> Outcome:
    """SIGINT at such a moment."""
    return _resumed(world, random, sent=signal.SIGINT, after=True)
