"""The campaign: which faults there are, how many trials of each, each trial from its seed."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from random import Random

from tests.faults import bad_inputs, caches, damage, kills, outputs
from tests.faults.outcomes import Outcome
from tests.faults.world import World

Try = Callable[[World, Random], Outcome]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of fault, with what one trial of it does."""

    group: str  # a row's heading in the report
    name: str
    trial: Try
    many: int  # trials of a whole campaign
    few: int  # of the short one


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One try, which its kind and seed say wholly."""

    kind: str
    seed: int

    @property
    def command(self) -> str:
        """What runs it again."""
        return f'python -m tests.faults --kind "{self.kind}" --trial {self.seed}'


@dataclass(frozen=True)
class Tried:
    """A trial and what became of it."""

    trial: Trial
    outcome: Outcome
    about: str  # of a bad input: which


KILLS, DAMAGE, SWAPS, DISKS, RACES, OUTPUTS, INPUTS = (
    "Processes ended", "Files of the cache damaged", "Files of the cache mixed up", "Disks full or read-only",
    "Processes side by side", "Results and reports damaged", "Bad inputs",
)  # fmt: skip


def _damage_kinds() -> Iterator[Kind]:
    for how in damage.KINDS:
        for kind in caches.FILES:
            many = {"flip": 30, "truncate": 10}.get(how, 5)
            few = 2 if how == "flip" else 0
            trial = partial(caches.damaged, how=how, kind=kind)
            yield Kind(group=DAMAGE, name=f"{how}: {kind}", trial=trial, many=many, few=few)
        many, few = {"flip": (60, 4), "truncate": (20, 1)}.get(how, (6, 1))
        trial = partial(outputs.damaged, how=how)
        yield Kind(group=OUTPUTS, name=f"{how}: results file", trial=trial, many=many, few=few)


KINDS: tuple[Kind, ...] = (
    Kind(group=KILLS, name="SIGKILL at an event", trial=kills.killed_at_an_event, many=90, few=6),
    Kind(group=KILLS, name="SIGKILL at a moment", trial=kills.killed_at_a_moment, many=50, few=0),
    Kind(group=KILLS, name="SIGKILL in a write", trial=kills.killed_in_a_write, many=40, few=4),
    Kind(group=KILLS, name="SIGTERM at an event", trial=kills.terminated_at_an_event, many=20, few=1),
    Kind(group=KILLS, name="SIGINT at an event", trial=kills.interrupted_at_an_event, many=20, few=2),
    Kind(group=KILLS, name="SIGINT at a moment", trial=kills.interrupted_at_a_moment, many=20, few=0),
    *_damage_kinds(),
    Kind(group=DAMAGE, name="no fault", trial=caches.untouched, many=20, few=3),
    Kind(group=DAMAGE, name="unfinished store", trial=caches.damaged_unfinished, many=25, few=2),
    Kind(group=SWAPS, name="swap", trial=caches.swapped, many=120, few=6),
    Kind(group=DISKS, name="no room for a file", trial=caches.full_for_large_files, many=30, few=3),
    Kind(group=DISKS, name="full disk", trial=caches.full_disk, many=20, few=1),
    Kind(group=DISKS, name="read-only cache", trial=caches.read_only_cache, many=10, few=1),
    Kind(group=DISKS, name="full device", trial=outputs.full_device, many=10, few=2),
    Kind(group=RACES, name="race", trial=caches.race, many=40, few=2),
    Kind(group=OUTPUTS, name="mixed results", trial=outputs.mixed, many=30, few=4),
)
BAD = "bad input"
STEP = 17  # of the bad inputs the short campaign takes one in so many


@cache
def inputs() -> Sequence[bad_inputs.BadInput]:
    """The bad inputs, by their place in the campaign."""
    return bad_inputs.every()


def trials(*, short: bool, kind: str | None = None) -> list[Trial]:
    """All trials in the order in which they are tried: every kind has its turn early."""
    found: list[tuple[float, Trial]] = []
    for one in KINDS:
        count = one.few if short else one.many
        found += [((n + 0.5) / count, Trial(kind=one.name, seed=n)) for n in range(count)]
    numbers = list(range(0, len(inputs()), STEP if short else 1))
    Random(0).shuffle(numbers)  # else a campaign that is cut short would know one sort only
    found += [(turn / len(numbers), Trial(kind=BAD, seed=n)) for turn, n in enumerate(numbers)]
    return [trial for _, trial in sorted(found, key=lambda pair: pair[0]) if kind in (None, trial.kind)]


def attempt(world: World, trial: Trial, *, seed: int = 0) -> Tried:
    """Try it, and remove what it left."""
    about = ""
    try:
        if trial.kind == BAD:
            bad = inputs()[trial.seed]
            about = f"{bad.kind}, {bad.name}"
            outcome = bad_inputs.tried(world, bad)
        else:
            chosen = next(kind for kind in KINDS if kind.name == trial.kind)
            outcome = chosen.trial(world, Random(f"{seed} {trial.kind} {trial.seed}"))
    finally:
        shutil.rmtree(world.trials, ignore_errors=True)
    return Tried(trial, outcome, about)


def group_of(kind: str) -> str:
    """The heading under which a kind is reported."""
    return INPUTS if kind == BAD else next(one.group for one in KINDS if one.name == kind)
