"""Making: the states of a shard's documents, one shard computed while the one before it is written."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib import metadata
from typing import TYPE_CHECKING, Final

from layerclaims.activations.plan import Plan
from layerclaims.activations.shards import Shard
from layerclaims.models.model import LanguageModel
from layerclaims.runtime import threads as cores
from layerclaims.runtime.dtypes import DTYPES

if TYPE_CHECKING:
    from torch import Tensor

TOGETHER: Final = 2  # forward passes at a time, each on its own cores
MADE_WITH: Final = ("torch", "transformers", "numpy")  # packages whose versions a shard records


def made_with(model: LanguageModel) -> dict[str, str]:
    """What the last digits of states depend on: the kind of device, the versions of libraries."""
    import torch

    device = model.device
    name = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
    spread = ", spread over devices" if model.spread else ""
    found = {"device": f"{device.type}{name}{spread}"} | {name: metadata.version(name) for name in MADE_WITH}
    return dict(sorted(found.items()))


@contextmanager
def maker(model: LanguageModel, plan: Plan) -> "Iterator[Callable[[Tensor], Tensor]]":
    """What makes the states of a shard's documents, in the memory of the last but one."""
    import torch

    largest = plan.document_bytes * plan.documents_per_shard // DTYPES[plan.dtype].size
    memory = [torch.empty(largest, dtype=getattr(torch, plan.dtype)) for _ in range(2)]
    with cores.workers(min(TOGETHER, model.passes)) as pool:

        def make(ids: "Tensor") -> "Tensor":
            memory.reverse()  # what was made in the other one is being written
            return capture_shard(model, ids, plan, memory[0], pool)

        yield make


@contextmanager
def written_beside(
    shards: dict[int, Shard],
) -> Iterator[Callable[[int, ExitStack, Callable[[], Shard]], None]]:
    """A function that writes a shard while the next one is made, and holds its lock until it lies on disk.

    One shard is made and one written, so that memory stays flat. Hashing and writing need no interpreter lock.
    """
    now: list[tuple[int, ExitStack, Future[Shard]]] = []

    def finish() -> None:
        while now:
            number, lock, written = now.pop()
            with lock:
                shards[number] = written.result()

    with ThreadPoolExecutor(1) as pool:

        def write(number: int, lock: ExitStack, how: Callable[[], Shard]) -> None:
            with lock:
                finish()
                now.append((number, lock.pop_all(), pool.submit(how)))

        try:
            yield write
        finally:
            finish()


def capture_shard(
    model: LanguageModel, ids: "Tensor", plan: Plan, memory: "Tensor", pool: Executor
) -> "Tensor":
    """States of one shard's documents: ids [documents, context] -> [n_states, documents, context, hidden].

    They lie in `memory`, which is flat and may be longer: pages that the system gave once need not be given for
    every shard. The threads of `pool` make a batch each. Depends on nothing but its arguments, so shards may be
    made anywhere.
    """
    shape = (plan.n_states, len(ids), plan.n_positions, plan.hidden_size)
    out = memory[: math.prod(shape)].view(shape)
    rounds = math.ceil(len(ids) / TOGETHER / plan.batch_size)
    # the last shard has fewer, and a share of them for everyone
    size = math.ceil(len(ids) / TOGETHER / rounds)
    batches = [slice(start, start + size) for start in range(0, len(ids), size)]
    for _ in pool.map(lambda batch: model.states(ids[batch], out=out[:, batch]), batches):
        pass
    return out
