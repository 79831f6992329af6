"""Threads for work that calls torch, each with some of the cores to itself."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def workers(most: int | None = None) -> Iterator[Executor]:
    """Threads that share the cores that torch may use: one a core, or `most` where that leaves none out.

    Torch's own threads divide every operation and wait for each other after it; those here wait for each other
    after whole pieces of work. What a piece gives does not depend on their number where each has one core. Until
    the end the threads that others start have as many cores as one of these. Work that has not begun by then is
    dropped.
    """
    import torch

    threads = torch.get_num_threads()
    count = threads if most is None else most if threads % most == 0 else 1
    pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(threads // count,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # a thread sets its own number, and that of threads to come
