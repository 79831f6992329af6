"""A GPU that is pretended: its tensors are computed on the processor, and mix with no others, as those of a real one.

Tensors there say that they are on the device "meta". Work for threads is done by the caller, since what torch calls a
dispatch mode belongs to one thread.
"""

from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

GPU = "meta"
_aten = torch.ops.aten
_COPIES = (_aten._to_copy.default, _aten.copy_.default)  # which cross from one device to the other


class There(torch.Tensor):
    """A tensor on the pretended device; `here` is the one on the processor that holds its numbers."""

    here: torch.Tensor

    @staticmethod
    def __new__(cls, here: torch.Tensor) -> "There":
        """Take the shape and type of a tensor."""
        made = torch.Tensor._make_wrapper_subclass(
            cls, here.shape, strides=here.stride(), dtype=here.dtype, device=torch.device(GPU)
        )
        made.here = here
        return made

    @classmethod
    def __torch_dispatch__(cls, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute on the processor what is asked of this device."""
        kwargs = kwargs or {}
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        there = [one for one in given if isinstance(one, There)]
        mixed = any(one.dim() for one in given if not isinstance(one, There))
        if there and mixed and op not in _COPIES:
            raise RuntimeError(f"Expected all tensors to be on the same device, in {op}")
        asked = kwargs.get("device")
        kwargs = kwargs | ({"device": "cpu"} if asked is not None else {})
        found = op(*tree_map(_here, args), **tree_map(_here, kwargs))
        back = {id(one.here): one for one in there}  # what is written in place stays the tensor that it was
        stays = bool(there) if asked is None else torch.device(asked).type == GPU
        if op is _aten.copy_.default:
            return args[0]

        def put(one: Any) -> Any:
            if not isinstance(one, torch.Tensor):
                return one
            if not stays:
                return one
            return back[id(one)] if id(one) in back else There(one)

        return tree_map(put, found)


def _here(one: Any) -> Any:
    return one.here if isinstance(one, There) else one


class _Mode(TorchDispatchMode):
    """Sees what is made on the device, and what is copied to it."""

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return There.__torch_dispatch__(op, types, args, kwargs)


class _Caller(Executor):
    """Does each piece of work at once, in the thread that submits it."""

    def submit(self, work: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


@contextmanager
def gpu(monkeypatch: Any) -> Iterator[None]:
    """Until the end torch has the pretended device, and threads for work are the caller."""

    @contextmanager
    def caller(most: int | None = None) -> Iterator[Executor]:
        yield _Caller()

    monkeypatch.setattr("layerclaims.runtime.threads.workers", caller)
    with _Mode():
        yield
