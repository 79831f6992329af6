"""Several minimisers that advance side by side, so that what they ask is computed together."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")
Result = TypeVar("Result")


class _StoppedError(Exception):
    """Ends a task whose question will not be answered."""


def side_by_side(
    tasks: Sequence[Callable[[Callable[[Question], Answer]], Result]],
    answer: Callable[[Mapping[int, Question]], Mapping[int, Answer]],
) -> list[Result]:
    """The results of some tasks, each a function of `ask`, which takes a question and waits for its answer.

    Once every task that still runs has asked, `answer` is called in this thread with the questions by number of
    task, in order; so what it sees does not depend on how the system schedules. What it raises ends all tasks.
    """
    events: SimpleQueue[tuple[int, Any]] = SimpleQueue()
    replies: list[SimpleQueue[Any]] = [SimpleQueue() for _ in tasks]
    done = object()

    def work(k: int) -> Result:
        def ask(question: Question) -> Answer:
            events.put((k, question))
            reply = replies[k].get()
            if reply is done:
                raise _StoppedError
            found: Answer = reply
            return found

        try:
            return tasks[k](ask)
        finally:
            events.put((k, done))

    with ThreadPoolExecutor(len(tasks)) as pool:
        futures = [pool.submit(work, k) for k in range(len(tasks))]
        asked: dict[int, Question] = {}
        running = len(tasks)
        try:
            while running:
                k, question = events.get()
                if question is done:
                    running -= 1
                else:
                    asked[k] = question
                if asked and len(asked) == running:
                    for k, found in answer(dict(sorted(asked.items()))).items():
                        replies[k].put(found)
                    asked = {}
        except BaseException:
            for reply in replies:
                reply.put(done)
            raise
        return [future.result() for future in futures]
