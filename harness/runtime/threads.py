"""Threads for work that calls torch, each with some of the cores to itself."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def workers(most: int | None = None) -> Iterator[Executor]:
    """Threads that share the cores that torch may use: one a core, or `most` where that leaves none out.

    Torch's own threads divide every operation and wait for each other after it; those here wait for each other
    after whole pieces of work. Until the end torch uses no more than one's share of cores in the calling thread
    too, so that with a core each nothing depends on how many there are. Work that has not begun by then is dropped.
    """
    import torch

    threads = torch.get_num_threads()
    count = threads if most is None else most if threads % most == 0 else 1
    torch.set_num_threads(threads // count)
    pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(threads // count,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # of this thread, and of those to come
