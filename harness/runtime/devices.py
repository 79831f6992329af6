"""Devices: what a GPU has room for, and how work on it keeps to float32 and says that memory ran out."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from layerclaims.errors import LayerclaimsError

if TYPE_CHECKING:
    import torch


_SHARE: Final = 0.75  # of a GPU's free memory that a matrix may take; blocks and their products need some too
_EXHAUSTED: Final = re.compile("out of memory|not enough memory|ALLOC_FAILED", re.IGNORECASE)


def free_on(device: Any) -> int | None:
    """Bytes that a torch device of its own memory has left; None for one that shares the machine's."""
    import torch

    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # of this process
    return int(free) + unused


def placed(matrix: "torch.Tensor", device: "torch.device") -> "torch.Tensor":
    """The matrix on the device, or where it is if the device has no room: then blocks of it are copied there."""
    free = free_on(device)
    return matrix.to(device) if free is None or matrix.nbytes <= _SHARE * free else matrix


@contextmanager
def computing(what: str, device: str) -> Iterator[None]:
    """Compute on a device, by torch's name of it, with `float32_products`.

    Raises LayerclaimsError, which begins with `what`, where the memory of another one than the processor runs out.
    """
    with float32_products(device):
        try:
            yield
        except RuntimeError as error:  # torch.OutOfMemoryError is one
            if device == "cpu" or not _EXHAUSTED.search(str(error)):
                raise
            raise LayerclaimsError(
                f"{what} ran out of the memory of {device}; end what else runs there, or give --device cpu."
            ) from error


@contextmanager
def float32_products(device: str) -> Iterator[None]:
    """Have a device multiply float32 matrices in float32; on the processor there is nothing to do.

    A GPU may round their numbers to TF32, with 10 bits after the point, where the process allows it. Both of torch's
    names for that are kept in step, since products refuse others.
    """
    if device == "cpu":
        yield
        return
    import torch

    newer: list[Any] = [torch.backends.cuda.matmul, getattr(torch.backends.mkldnn, "matmul", None)]
    newer = [(one, one.fp32_precision) for one in newer if hasattr(one, "fp32_precision")]  # torch 2.9 on
    try:
        older = torch.get_float32_matmul_precision()
    except RuntimeError:  # somebody set the newer one, and the older is as torch had it
        older = "highest"
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(older)
        for one, before in newer:
            one.fp32_precision = before
