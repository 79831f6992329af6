"""Making: the states of a shard's documents, computed and written at the same time."""

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from importlib import metadata
from typing import TYPE_CHECKING, Final

from layerclaims.activations.plan import Plan
from layerclaims.activations.shards import Shard
from layerclaims.models.model import LanguageModel
from layerclaims.runtime import threads as cores
from layerclaims.runtime.dtypes import DTYPES

if TYPE_CHECKING:
    from torch import Tensor

    Write = Callable[[Iterable[Tensor]], Shard]  # states in order -> the shard that they became

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
def maker(model: LanguageModel, plan: Plan) -> "Iterator[Callable[[Tensor, Write], Shard]]":
    """What makes a shard of some documents: its first states are written while its last ones are computed.

    The next shard is begun when this one lies on disk, so that a process that is killed costs no more than one. All
    of them lie in the same memory one after the other: pages that the system gave once need not be given again.
    """
    import torch

    largest = plan.document_bytes * plan.documents_per_shard // DTYPES[plan.dtype].size
    memory = torch.empty(largest, dtype=getattr(torch, plan.dtype))
    with cores.workers(min(TOGETHER, model.passes)) as pool, ThreadPoolExecutor(1) as beside:

        def make(ids: "Tensor", write: "Write") -> Shard:
            shape = (plan.n_states, len(ids), plan.n_positions, plan.hidden_size)
            states = _Arriving(memory[: math.prod(shape)].view(shape))
            try:
                written = beside.submit(write, states)  # hashing and writing need no interpreter lock
                capture_shard(model, ids, plan, states.out, pool, states.told)
            except BaseException:
                states.end(whole=False)
                raise
            states.end(whole=True)
            return written.result()

        yield make


class _Arriving:
    """The states of a shard in order, [documents, positions, hidden] each, as soon as all documents have them.

    The last one waits for the end: until then a pass may still turn out to be wrong, and nothing be kept of it.
    """

    def __init__(self, out: "Tensor") -> None:
        """None has arrived in `out`, [n_states, documents, positions, hidden]."""
        self.out = out
        self._missing = [out.shape[1]] * (len(out) - 1)  # documents
        self._there = [threading.Event() for _ in out]
        self._lock = threading.Lock()
        self._whole = True

    def told(self, i: int, n_documents: int) -> None:
        """So many documents more have state i."""
        if i < len(self._missing):
            with self._lock:
                self._missing[i] -= n_documents
                if self._missing[i] <= 0:
                    self._there[i].set()

    def end(self, *, whole: bool) -> None:
        """All have arrived, or no more will."""
        self._whole = whole
        for event in self._there:
            event.set()

    def __iter__(self) -> "Iterator[Tensor]":
        """Wait for each; raises StoppedError where no more will arrive."""
        for state, there in zip(self.out, self._there, strict=True):
            there.wait()
            if not self._whole:
                raise StoppedError
            yield state


class StoppedError(Exception):
    """The states that are waited for will not come."""


def capture_shard(
    model: LanguageModel,
    ids: "Tensor",
    plan: Plan,
    out: "Tensor",
    pool: Executor,
    told: Callable[[int, int], None] = lambda *_: None,
) -> None:
    """Put the states of one shard's documents, ids [documents, context], into `out`.

    It is [n_states, documents, context, hidden]. The threads of `pool` make a batch each; `told` hears of each state
    that lies there, and for how many documents. Depends on nothing but its arguments, so shards may be made anywhere.
    """
    rounds = math.ceil(len(ids) / TOGETHER / plan.batch_size)
    # the last shard has fewer, and a share of them for everyone
    size = math.ceil(len(ids) / TOGETHER / rounds)

    def make(batch: slice) -> None:
        n_documents = len(ids[batch])
        model.states(ids[batch], out=out[:, batch], told=lambda i: told(i, n_documents))

    for _ in pool.map(make, [slice(start, start + size) for start in range(0, len(ids), size)]):
        pass
