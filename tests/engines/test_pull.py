"""Pull: each item once, after what it is made of, whoever else is at work."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from layerclaims.engines import pull as module
from layerclaims.engines.pull import pull
from layerclaims.errors import LayerclaimsError, NotTestedError


@dataclass
class Item:
    """An item that is done when it was attempted, or as `how` says."""

    name: str
    needs: list["Item"] = field(default_factory=list)
    how: Callable[["Item"], bool] | None = None
    finished: bool = False
    attempts: int = 0

    def done(self) -> bool:
        return self.finished

    def ready(self) -> bool:
        return all(need.done() for need in self.needs)

    def attempt(self) -> bool:
        self.attempts += 1
        if self.how is not None:
            return self.how(self)
        self.finished = True
        return True

    def settle(self) -> None:
        self.finished = True


def refuse(error: Exception) -> Callable[[Item], bool]:
    def how(item: Item) -> bool:
        raise error

    return how


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What other processes do in the first pause, the second and so on; a pause too many is an error."""
    others: list[Callable[[], None]] = []

    def pause():
        while True:
            others.pop(0)()
            yield 0.0

    monkeypatch.setattr(module, "pauses", pause)
    return others


def test_items_are_done_once_each_after_what_it_is_made_of(pauses) -> None:
    first = Item("first")
    second = Item("second", needs=[first])
    assert pull([second, first]) == {}
    assert (first.attempts, second.attempts) == (1, 1)


def test_what_another_process_does_is_left_to_it_and_waited_for(pauses) -> None:
    other = Item("other", how=lambda _: False)
    mine = Item("mine", needs=[other])
    pauses += [lambda: None, other.settle]
    assert pull([other, mine]) == {}
    assert mine.attempts == 1


def test_what_a_lost_process_was_at_is_done_here(pauses) -> None:
    lost = Item("lost", how=lambda _: False)
    pauses.append(lambda: setattr(lost, "how", None))
    assert pull([lost]) == {}
    assert lost.finished


def test_one_that_fails_is_named_and_the_others_are_done(pauses) -> None:
    bad = Item("bad", how=refuse(ValueError("no number")))
    absent = Item("absent", how=refuse(NotTestedError("There is no other corpus.")))
    after, other = Item("after", needs=[bad, absent]), Item("other")
    assert pull([bad, absent, after, other]) == {"bad": "ValueError: no number"}
    assert after.attempts == other.attempts == 1


def test_what_ends_all_work_ends_it_at_once(pauses) -> None:
    other = Item("other")
    with pytest.raises(LayerclaimsError, match="no room"):
        pull([Item("states", how=refuse(LayerclaimsError("There is no room."))), other])
    assert other.attempts == 0
