import threading

import pytest
from layerclaims.probing.lockstep import side_by_side


def counter(steps):
    """Asks for the successor of what it has, `steps` times."""

    def task(ask):
        value = 0
        for _ in range(steps):
            value = ask(value)
        return value

    return task


def test_what_all_ask_is_answered_at_once_and_who_is_done_is_waited_for_no_more():
    asked = []

    def answer(questions):
        asked.append(dict(questions))
        return {k: value + 1 for k, value in questions.items()}

    assert side_by_side([counter(1), counter(3), counter(0)], answer) == [1, 3, 0]
    assert asked == [{0: 0, 1: 0}, {1: 1}, {1: 2}]


def test_answers_are_computed_in_the_calling_thread():
    seen = []

    def answer(questions):
        seen.append(threading.current_thread())
        return questions

    side_by_side([counter(2), counter(1)], answer)
    assert set(seen) == {threading.current_thread()}


def test_an_answer_that_fails_ends_all():
    before = threading.active_count()

    def answer(questions):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        side_by_side([counter(2), counter(3)], answer)
    assert threading.active_count() == before


def test_a_task_that_fails_lets_the_others_finish():
    finished = []

    def fails(ask):
        ask(0)
        raise ValueError("no")

    def ends(ask):
        finished.append(counter(5)(ask))

    with pytest.raises(ValueError, match="no"):
        side_by_side([fails, ends], lambda questions: {k: v + 1 for k, v in questions.items()})
    assert finished == [5]
