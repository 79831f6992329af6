"""How much of what an operation of torch makes is alive at a time, in bytes: what a device would have to hold."""

from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Alive(TorchDispatchMode):
    """Follows every tensor that is made in this thread; what there was before does not count."""

    def __init__(self) -> None:
        """Nothing is alive yet."""
        super().__init__()
        self.peak = 0  # bytes
        self._sizes: dict[StorageWeakRef, int] = {}

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Let the operation be done, and count."""
        known = {one.untyped_storage()._cdata for one in _tensors((args, kwargs))}
        found = op(*args, **(kwargs or {}))
        for one in _tensors(found):
            storage = one.untyped_storage()
            if storage._cdata not in known:  # a view, or what is written in place, is nothing new
                self._sizes[StorageWeakRef(storage)] = storage.nbytes()
        self._sizes = {ref: size for ref, size in self._sizes.items() if not ref.expired()}
        self.peak = max(self.peak, sum(self._sizes.values()))
        return found


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [one for one in tree_leaves(tree) if isinstance(one, torch.Tensor)]
