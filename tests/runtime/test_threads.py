"""Threads that share the cores."""

import threading

import pytest
import torch
from layerclaims.runtime.threads import workers


@pytest.fixture
def cores():
    """Tells torch how many cores there are, for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("available", "most", "count", "each"),
    [(1, None, 1, 1), (3, None, 3, 1), (4, 2, 2, 2), (3, 2, 1, 3), (1, 2, 1, 1)],
)
def test_no_core_is_shared_or_left_out(cores, available, most, count, each):
    cores(available)
    with workers(most) as pool:
        meeting = threading.Barrier(count, timeout=600)  # as many threads as that, at the same time

        def used(_):
            meeting.wait()
            return threading.get_ident(), torch.get_num_threads()

        seen = list(pool.map(used, range(count)))
        assert torch.get_num_threads() == each
    assert len({thread for thread, _ in seen}) == count
    assert {threads for _, threads in seen} == {each}
    assert torch.get_num_threads() == available


def test_what_has_not_begun_is_dropped_when_the_work_fails(cores):
    cores(2)
    begun = []

    def work(number):
        begun.append(number)
        if number == 0:
            raise ValueError("the first")
        return threading.Event().wait(0.01)

    with pytest.raises(ValueError, match="the first"), workers() as pool:
        list(pool.map(work, range(1000)))
    assert len(begun) < 100
    assert torch.get_num_threads() == 2
