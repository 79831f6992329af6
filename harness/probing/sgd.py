"""The published probe: one linear layer after a fixed number of epochs of plain SGD, however far that is.

A step on a batch of m rows z_i with labels y_i, weights W [d, K] and bias b [K] is, with p_i = softmax(z_i W + b),

    W -= rate / m * sum_i z_i (p_i - e_{y_i})'        b -= rate / m * sum_i (p_i - e_{y_i})

in float32, from PyTorch's default initialisation of a linear layer. There is no momentum, penalty or schedule.
"""

import hashlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, as_completed
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from layerclaims.probing.procedure import (
    BATCH,
    EPOCHS,
    RATE,
    Curve,
    SgdFit,
    Task,
    curve_epochs,
    initial,
    order,
)
from layerclaims.probing.scaling import as_tensor
from layerclaims.probing.sgd_layer import STRETCH, Layer, cut
from layerclaims.probing.transforms import Array
from layerclaims.runtime import threads as cores
from layerclaims.runtime.devices import computing, placed
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

__all__ = [
    "BATCH",
    "EPOCHS",
    "RATE",
    "Curve",
    "SgdFit",
    "Task",
    "curve_epochs",
    "fit_sgd",
    "initial",
    "order",
]
GATHERED: Final = 0.5  # cost of gathering a batch, where one layer's step on it costs 1


def fit_sgd(
    x: Array,
    y: NDArray[np.int64],
    tasks: Sequence[Task],
    *,
    n_labels: int,
    device: str = "cpu",
    advance: Callable[[int], None] | None = None,
) -> list[SgdFit]:
    """The fits of some tasks on the rows of x [n, d], a memory map or not, with labels y [n] in 0..n_labels-1.

    On processors each core has fits of its own, the longest first. Tasks of the same rows, seed and epochs see the
    same batches: these are gathered once. None of it changes a bit of any result. On another device the fits run
    one after another, with the matrix there if it has room. `advance` is told numbers of steps, those in a
    checkpoint too, by any thread; they add up to those of the tasks. What it raises, or an interrupt, ends all fits
    at once. ValueError for rows or labels that are out of range, or another matrix than float32 in C order;
    LayerclaimsError where a device's memory runs out.
    """
    import torch

    _check(x, y, tasks, n_labels)
    on = torch.device(device)
    workers = torch.get_num_threads() if on.type == "cpu" else 1
    with computing("The published procedure", device), cores.workers(workers) as pool:
        matrix, labels = placed(as_tensor(x), on), torch.from_numpy(np.array(y, dtype=np.int64)).to(on)
        layers = [Layer(x, y, task, n_labels, on) for task in tasks]
        groups = _planned(_alike(layers), workers)
        desk = _Desk(advance)
        work = [pool.submit(_train, desk, matrix, labels, group) for group in groups]
        try:
            for done in as_completed(work):
                done.result()
        except BaseException:
            desk.stop.set()
            raise
    return [layer.fit for layer in layers]


def _check(x: Array, y: NDArray[np.int64], tasks: Sequence[Task], n_labels: int) -> None:
    """ValueError as `fit_sgd` raises it."""
    if not x.flags.c_contiguous or x.dtype != np.float32:
        raise ValueError(f"the vectors are a C-contiguous float32 matrix, not {x.dtype}")
    if len(x) >= 2**31:
        raise ValueError(f"rows are numbered with 32 bits, and {len(x):,} are too many")
    for task in tasks:
        for rows in (task.train, task.test):
            if len(rows) and not 0 <= rows.min() <= rows.max() < len(x):
                raise ValueError(f"rows lie in 0..{len(x) - 1}")
            if len(rows) and not 0 <= y[rows].min() <= y[rows].max() < n_labels:
                raise ValueError(f"labels lie in 0..{n_labels - 1}")


@dataclass(kw_only=True)
class _Group:
    """Layers that see the same batches and stand at the same step."""

    layers: list[Layer] = field(default_factory=list)

    @property
    def cost(self) -> float:
        """In a layer's steps."""
        task = self.layers[0].task
        return (task.steps - self.layers[0].steps) * (GATHERED + len(self.layers))


def _alike(layers: Sequence[Layer]) -> list[_Group]:
    """Layers by the batches that they will see."""
    groups: dict[tuple[object, ...], _Group] = {}
    for layer in layers:
        task = layer.task
        rows = hashlib.sha256(np.ascontiguousarray(task.train).tobytes()).digest()
        groups.setdefault((task.seed, task.epochs, layer.steps, rows), _Group()).layers.append(layer)
    return list(groups.values())


def _planned(groups: list[_Group], workers: int) -> list[_Group]:
    """The longest first; groups are halved as long as that lets the last of the workers end earlier."""

    def end(some: list[_Group]) -> float:
        loads = [0.0] * workers
        for group in some:
            loads[loads.index(min(loads))] += group.cost
        return max(loads)

    def longest_first(some: list[_Group]) -> list[_Group]:
        return sorted(some, key=lambda group: -group.cost)

    best = longest_first(groups)
    while True:
        halved = []
        for i, group in enumerate(best):
            half = len(group.layers) // 2
            if half:
                parts = [_Group(layers=group.layers[:half]), _Group(layers=group.layers[half:])]
                halved.append(longest_first([*best[:i], *parts, *best[i + 1 :]]))
        found = min(halved, key=end, default=best)
        if end(found) >= end(best):
            return best
        best = found


class _Desk:
    """What the groups of one call share: the sign to stop, and whom to tell of steps."""

    def __init__(self, advance: Callable[[int], None] | None) -> None:
        """Before the first group begins."""
        self.advance, self.stop = advance, threading.Event()

    def told(self, steps: int) -> None:
        """So many steps were made, or will not be."""
        if self.advance is not None and steps:
            self.advance(steps)


def _train(desk: _Desk, matrix: "torch.Tensor", labels: "torch.Tensor", group: _Group) -> None:
    """Train a group's layers to their end."""
    import torch

    layers, task = group.layers, group.layers[0].task
    rows, first = task.train.astype(np.int32), layers[0]
    begin = first.steps // (task.steps // task.epochs)
    desk.told(sum(layer.steps for layer in layers))
    buffer = torch.empty(BATCH, matrix.shape[1], device=first.device)
    active = [layer for layer in layers if layer.finite]
    for epoch in range(begin, task.epochs):
        if not active:
            break
        for part in cut(torch.from_numpy(order(task.seed, epoch, rows)), STRETCH * BATCH):
            if desk.stop.is_set():
                raise CancelledError
            _stretch(desk, matrix, labels, active, part, buffer)
        for layer in active:
            if epoch + 1 in curve_epochs(task.epochs):
                layer.look(matrix, labels)
            layer.save(now=epoch + 1 == task.epochs or not layer.finite)
        active = [layer for layer in active if layer.finite]
    for layer in layers:
        layer.end(matrix, labels)
    desk.told(sum(task.steps - layer.steps for layer in layers))


def _stretch(
    desk: _Desk,
    matrix: "torch.Tensor",
    labels: "torch.Tensor",
    layers: Sequence[Layer],
    rows: "torch.Tensor",
    buffer: "torch.Tensor",
) -> None:
    """Steps of some layers on some batches of rows, which are gathered in the buffer."""
    here = rows.to(buffer.device)
    lines = layers[0].lines[: len(rows)]
    named = cut(labels.index_select(0, here).add_(lines), BATCH)
    factors = [
        [[None] * len(named) if part is None else cut(part, BATCH) for part in layer.folded.factors(here)]
        for layer in layers
    ]
    for i, chosen in enumerate(cut(rows.to(matrix.device), BATCH)):
        x = _gathered(matrix, chosen, buffer[: len(chosen)])
        for layer, (before, after) in zip(layers, factors, strict=True):
            layer.step(x, before[i], after[i], named[i])
    desk.told(len(named) * len(layers))


def _gathered(matrix: "torch.Tensor", rows: "torch.Tensor", out: "torch.Tensor") -> "torch.Tensor":
    """The vectors of some rows of the matrix."""
    if matrix.device.type == "cpu" == out.device.type:  # numpy's way is the quicker one
        np.take(matrix.numpy(), rows.numpy(), axis=0, out=out.numpy(), mode="clip")
        return out
    return out.copy_(matrix[rows])
