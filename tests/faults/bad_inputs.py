"""What people pass by mistake, and what strangers pass on purpose: every one is answered with one sentence."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults import forks, outcomes
from tests.faults.outcomes import Outcome
from tests.faults.world import SELECTIONS, World

SELECTION = SELECTIONS[0]
TRANSFER = SELECTIONS[4]


@dataclass(frozen=True, kw_only=True)
class BadInput:
    """One input: how it is made in a folder, and what is called with it."""

    kind: str
    name: str
    # makes files in the folder of the trial and returns what is to be called
    make: Callable[[World, Path], Callable[[], int]]
    fine: bool = False  # it may be accepted: some systems and versions take it


def every() -> list[BadInput]:
    """All of them, in an order that stays."""
    from tests.faults import bad_corpora, bad_ggufs, bad_models, bad_options, bad_results

    return [
        *bad_models.inputs(), *bad_ggufs.inputs(), *bad_corpora.inputs(), *bad_options.inputs(), *bad_results.inputs(),
    ]  # fmt: skip


def tried(world: World, bad: BadInput) -> Outcome:
    """One sentence, or accepted where the input is in fact fine."""
    place = world.place()
    ended = forks.run(bad.make(world, place))
    if what := outcomes.fault(ended):
        return Outcome.wrong(what, ended)
    if ended.status == 0 or "\nwritten: " in ended.text:
        return outcomes.RIGHT if bad.fine else Outcome.wrong("accepted", ended)
    return outcomes.refusal(ended)


def of_content(
    kind: str, option: str, file: str, contents: Iterator[tuple[str, bytes]], *, fine: tuple[str, ...] = ()
) -> Iterator[BadInput]:
    """Inputs that differ in the bytes of one file, which an option of `pytest claims/` names."""
    for name, content in contents:

        def make(world: World, place: Path, content: bytes = content) -> Callable[[], int]:
            (place / file).write_bytes(content)
            return world.pytest(TRANSFER, place, **{option: place / file})

        yield BadInput(kind=kind, name=f"{file}: {name}", make=make, fine=name in fine)
