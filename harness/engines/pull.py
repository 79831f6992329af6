"""Pull: any number of processes go through the same items, each does what no other is at, until all are done."""

from collections.abc import Iterable
from typing import Protocol

from layerclaims.errors import LayerclaimsError, NotTestedError
from layerclaims.runtime.files import pauses


class Item(Protocol):
    """A piece of work whose result is a file of a directory that all processes share."""

    @property
    def name(self) -> str:
        """What it is, for a sentence about it."""
        ...

    def done(self) -> bool:
        """Whether its result lies there."""
        ...

    def ready(self) -> bool:
        """Whether all that it is made of lies there, or cannot be had."""
        ...

    def attempt(self) -> bool:
        """Do it, or some of it; False where other processes are at it.

        Raises NotTestedError where it cannot be had, LayerclaimsError where nothing else can be done either.
        """
        ...

    def settle(self) -> None:
        """Take it as done from now on, since it cannot be had or failed."""
        ...


def pull(items: Iterable[Item]) -> dict[str, str]:
    """Do the items, each after those that it is made of; which of them failed, and why, as a clause.

    What another process is at is left to it. It is done here if that process ends before its result is there, since
    the lock on an item is gone with the process. One that has nothing to do looks again after a pause that grows to
    a second. Raises LayerclaimsError.
    """
    left, failed, waits = list(items), dict[str, str](), pauses()
    while True:
        moved = False
        for item in list(left):
            try:
                if not item.done():
                    moved = (item.ready() and item.attempt()) or moved
                    continue
            except NotTestedError:
                item.settle()
            except LayerclaimsError:
                raise
            except Exception as error:  # the other items' results are worth having
                item.settle()
                failed[item.name] = f"{type(error).__name__}: {error}"
            left.remove(item)
            moved = True
        if not left:
            return failed
        if moved:
            waits = pauses()
        else:
            next(waits)
