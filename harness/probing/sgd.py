"""The published probe: one linear layer after a fixed number of epochs of plain SGD, however far that is.

A step on a batch of m rows z_i with labels y_i, weights W [d, K] and bias b [K] is, with p_i = softmax(z_i W + b),

    W -= rate / m * sum_i z_i (p_i - e_{y_i})'        b -= rate / m * sum_i (p_i - e_{y_i})

in float32, from PyTorch's default initialisation of a linear layer. There is no momentum, penalty or schedule.
"""

import hashlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, as_completed
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from layerclaims.errors import LayerclaimsError
from layerclaims.probing.objective import LANES
from layerclaims.probing.scaling import Floats, as_tensor
from layerclaims.probing.transforms import RAW, Array, Folded, Transform
from layerclaims.runtime import threads as cores
from layerclaims.runtime.devices import computing, placed
from layerclaims.runtime.files import say_unkept, write_whole
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


RATE: Final = 0.01
BATCH: Final = 1024  # rows; the last batch of an epoch has what is left
EPOCHS: Final = 1000
CURVE: Final = (1, 3, 10, 30, 100, 300, 1000)  # epochs after which a learning curve has a point
STRETCH: Final = 64  # batches from one look at the sign to stop to the next
SAVED_EVERY = 20.0  # seconds from one checkpoint to the next
GATHERED: Final = 0.5  # cost of gathering a batch, where one layer's step on it costs 1
VERSION: Final = 1  # of what a checkpoint means


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """One fit: its rows, what they go through, and its seed, on which initialisation and order depend."""

    train: NDArray[np.int64]  # flat rows of the matrix
    test: NDArray[np.int64]  # those for the accuracy of the learning curve; they never enter the fit
    transform: Transform = RAW
    test_transform: Transform | None = None  # None: as the training rows
    seed: tuple[int, ...]  # not negative
    epochs: int = EPOCHS
    marks: tuple[
        int, ...
    ] = ()  # numbers of steps, 0 the initialisation, after which the layer is kept as well
    checkpoint: Path | None = None  # file that holds the fit while it runs and after; the caller deletes it

    def __post_init__(self) -> None:
        """Refuse what cannot be fitted, with a ValueError."""
        if not len(self.train):
            raise ValueError("a probe needs at least one training vector")
        if self.epochs < 1:
            raise ValueError(f"a fit takes at least one epoch, not {self.epochs}")
        if any(not 0 <= mark <= self.steps for mark in self.marks):
            raise ValueError(f"marks lie in 0..{self.steps}, the steps of the fit: {self.marks}")

    @property
    def steps(self) -> int:
        """How many the whole fit takes."""
        return self.epochs * math.ceil(len(self.train) / BATCH)


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """A fit as it stood after some epochs."""

    epochs: NDArray[np.int64]  # [e]
    loss: Floats  # [e] mean cross entropy of all training rows, in nats
    accuracy: Floats  # [e] share of the test rows that are named rightly; NaN where there are none


@dataclass(frozen=True, kw_only=True, eq=False)
class SgdFit:
    """A layer as training left it. Where values ceased to be finite the loss is NaN, and so is what follows."""

    weights: Array  # [d, K] on the transformed features
    bias: Array  # [K]
    marked: Mapping[int, tuple[Array, Array]]  # weights and bias by number of steps
    curve: Curve
    loss: float  # at the end, mean cross entropy of all training rows, in nats
    gradient_norm: float  # at the end, of that loss with respect to weights and bias
    steps: int  # made; fewer than the task's only where values ceased to be finite


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
        layers = [_Layer(x, y, task, n_labels, on) for task in tasks]
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


def initial(seed: Sequence[int], d: int, n_labels: int) -> "tuple[torch.Tensor, torch.Tensor]":
    """PyTorch's default initialisation of a linear layer, weights [K, d] then bias [K], from a seed of its own."""
    import torch

    generator = torch.Generator().manual_seed(int(_entropy(seed, 0).generate_state(1, np.uint32)[0]))
    weights, bias = torch.empty(n_labels, d), torch.empty(n_labels)
    torch.nn.init.kaiming_uniform_(weights, a=math.sqrt(5), generator=generator)  # +-1/sqrt(d)
    return weights, bias.uniform_(-1 / math.sqrt(d), 1 / math.sqrt(d), generator=generator)


def order(seed: Sequence[int], epoch: int, rows: NDArray[np.int32]) -> NDArray[np.int32]:
    """Rows in the order in which an epoch, counted from 0, visits them."""
    places = np.random.default_rng(_entropy(seed, 1, epoch)).permutation(len(rows))  # quicker than of 32 bits
    return rows[places]


def _entropy(seed: Sequence[int], *key: int) -> np.random.SeedSequence:
    """Of a seed and a purpose. With its length, or (1,) and (1, 0) were one seed."""
    return np.random.SeedSequence([len(seed), *seed], spawn_key=key)


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


class _Layer:
    """The layer of one task while it is trained, with room for what a step computes.

    Its classes are padded, since products 31 columns wide run at half speed: weights 0 and bias -inf there make a
    probability, and so a gradient, of exactly 0.
    """

    fit: SgdFit

    def __init__(
        self, x: Array, y: NDArray[np.int64], task: Task, n_labels: int, device: "torch.device"
    ) -> None:
        """As it is initialised, or as its checkpoint has it."""
        import torch

        self.x, self.y, self.task, self.n_labels, self.device = x, y, task, n_labels, device
        d, width = x.shape[1], -(-n_labels // LANES) * LANES
        self.folded = Folded(task.transform, d, device)
        self.steps, self.loss, self.accuracy = 0, list[float](), list[float]()
        self.marked: dict[int, tuple[Array, Array]] = {}
        self.w = torch.zeros(d, width, device=device)
        self.b = torch.full((width,), -torch.inf, device=device)
        weights, bias = initial(task.seed, d, n_labels)
        self._put(weights.T, bias)
        self.z = torch.empty(BATCH, width, device=device)
        self.room, self.on_w = torch.empty_like(self.w), torch.empty(width, d, device=device)
        self.one = torch.eye(width, device=device)
        self.minus = torch.full((BATCH,), -1.0, device=device)
        # where each row of z begins, for the batches of a stretch
        self.lines = (torch.arange(BATCH, device=device) * width).repeat(STRETCH)
        self.saved = time.monotonic()
        if task.checkpoint is not None:
            self._restore(task.checkpoint)
        self._mark()

    def _put(self, weights: "torch.Tensor", bias: "torch.Tensor") -> None:
        self.w[:, : self.n_labels] = weights.to(self.device)
        self.b[: self.n_labels] = bias.to(self.device)

    def parameters(self) -> tuple[Array, Array]:
        """A copy of weights [d, K] and bias [K]."""
        w, b = self.w[:, : self.n_labels], self.b[: self.n_labels]
        return np.array(w.cpu().numpy(), order="C"), np.array(b.cpu().numpy())

    @property
    def finite(self) -> bool:
        """Whether weights and bias are."""
        return all(bool(part[..., : self.n_labels].isfinite().all()) for part in (self.w, self.b))

    def step(
        self,
        x: "torch.Tensor",
        before: "torch.Tensor | None",
        after: "torch.Tensor | None",
        named: "torch.Tensor",
    ) -> None:
        """One step on a batch x [rows, d], whose labels stand at the places `named` [rows] of flat logits."""
        import torch

        z, rate = self.z[: len(x)], -RATE / len(x)
        self.folded.logits(x, before, after, self.w, self.b, out=z, room=self.room)
        torch.softmax(z, 1, out=z)
        z.view(-1).scatter_add_(0, named, self.minus[: len(x)])
        self.b.add_(z.sum(0), alpha=rate)
        on_w = self.folded.gradient(x, before, after, z, out=self.on_w)
        self.w.addmm_(on_w.T, self.one, alpha=rate)  # adding what is transposed takes thrice as long
        self.steps += 1
        if self.steps in self.task.marks:
            self._mark()

    def _mark(self) -> None:
        if self.steps in self.task.marks:
            self.marked[self.steps] = self.parameters()

    def look(self, matrix: "torch.Tensor", labels: "torch.Tensor") -> None:
        """Add a point to the learning curve."""
        task, right = self.task, 0
        self.loss.append(self._loss(matrix, labels))
        folded = self.folded
        if task.test_transform is not None:
            folded = Folded(task.test_transform, len(self.w), self.device)
        for rows, x in self._batches(matrix, task.test):
            logits = folded.logits(x, *folded.factors(rows), self.w, self.b)
            right += int((logits.argmax(1) == labels[rows]).sum())
        self.accuracy.append(right / len(task.test) if len(task.test) else math.nan)

    def _loss(
        self, matrix: "torch.Tensor", labels: "torch.Tensor", gradient: "list[torch.Tensor] | None" = None
    ) -> float:
        """Mean cross entropy of all training rows; its gradient on weights and bias is added to two sums, if given."""
        import torch

        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for rows, x in self._batches(matrix, self.task.train):
            factors = self.folded.factors(rows)
            log_p = torch.log_softmax(self.folded.logits(x, *factors, self.w, self.b, room=self.room), 1)
            y = labels[rows][:, None]
            total -= log_p.gather(1, y).sum(dtype=torch.float64)
            if gradient is not None:
                error = log_p.exp_().scatter_add_(1, y, self.minus[: len(x), None])
                gradient[1] += error.sum(0, dtype=torch.float64)
                gradient[0] += self.folded.gradient(x, *factors, error, out=self.on_w)
        return float(total) / len(self.task.train)

    def _batches(
        self, matrix: "torch.Tensor", rows: NDArray[np.int64]
    ) -> "Iterator[tuple[torch.Tensor, torch.Tensor]]":
        """Some rows, and what they hold, a batch at a time."""
        import torch

        for part in _cut(torch.from_numpy(np.array(rows, dtype=np.int64)), BATCH):
            yield part.to(self.device), matrix[part.to(matrix.device)].to(self.device)

    def end(self, matrix: "torch.Tensor", labels: "torch.Tensor") -> None:
        """Make the fit of what there is."""
        import torch

        (d, width), task = self.w.shape, self.task
        epochs = curve_epochs(task.epochs)
        lost = [math.nan] * (len(epochs) - len(self.loss))
        loss = norm = math.nan
        if self.finite:
            sizes = (width, d), (width,)
            sums = [torch.zeros(size, dtype=torch.float64, device=self.device) for size in sizes]
            loss = self._loss(matrix, labels, sums)
            norm = math.hypot(*(float(part.norm()) for part in sums)) / len(task.train)
        if not math.isfinite(loss):
            loss = norm = math.nan
        weights, bias = self.parameters()
        never = np.full_like(weights, np.nan), np.full_like(bias, np.nan)
        self.fit = SgdFit(
            weights=weights,
            bias=bias,
            marked={mark: self.marked.get(mark, never) for mark in task.marks},
            curve=Curve(
                epochs=np.array(epochs),
                loss=np.array(self.loss + lost),
                accuracy=np.array(self.accuracy + lost),
            ),
            loss=loss,
            gradient_norm=norm,
            steps=self.steps,
        )

    def save(self, *, now: bool) -> None:
        """Write the checkpoint if the task wants one and it is time; a note says where it finds no room."""
        from safetensors.numpy import save

        if self.task.checkpoint is None or not (now or time.monotonic() - self.saved >= SAVED_EVERY):
            return
        weights, bias = self.parameters()
        arrays = {
            "weights": weights,
            "bias": bias,
            "steps": np.array([self.steps]),
            "loss": np.array(self.loss),
            "accuracy": np.array(self.accuracy),
        }
        for mark, (w, b) in self.marked.items():
            arrays |= {f"weights {mark}": w, f"bias {mark}": b}
        facts = {"key": self._key, "sha256": _digest(arrays)}
        try:
            write_whole(self.task.checkpoint, save(arrays, metadata=facts), parents=True)
        except LayerclaimsError as error:  # the fit goes on; an interrupted one would begin anew
            say_unkept(str(error))
        self.saved = time.monotonic()

    def _restore(self, path: Path) -> None:
        """Go on from a checkpoint, unless it is missing, damaged or another task's."""
        import torch
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="np") as file:
                facts = file.metadata()
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a mapping
            if facts["key"] != self._key or facts["sha256"] != _digest(
                arrays
            ):  # a flipped bit loads all the same
                return
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            return
        self.steps = int(arrays["steps"][0])
        self.loss, self.accuracy = arrays["loss"].tolist(), arrays["accuracy"].tolist()
        self._put(torch.tensor(arrays["weights"]), torch.tensor(arrays["bias"]))
        self.marked = {
            mark: (arrays[f"weights {mark}"], arrays[f"bias {mark}"])
            for mark in self.task.marks
            if mark <= self.steps
        }

    @cached_property
    def _key(self) -> str:
        """What a checkpoint depends on; of the matrix a few rows, for time."""
        task = self.task
        sample = task.train[:: max(1, len(task.train) // 64)]
        parts = [
            np.array([VERSION, self.n_labels, task.epochs, *task.marks]),
            np.array([len(task.seed), *task.seed]),
        ]
        parts += [task.train, task.test, self.y[task.train], self.x[sample]]
        for transform in (task.transform, task.test_transform or task.transform):
            values = [getattr(transform, part.name) for part in fields(transform)]
            parts += [np.array([]) if value is None else np.asarray(value) for value in values]
        return _digest({str(i): part for i, part in zip(count(), parts, strict=False)})


def _digest(arrays: Mapping[str, NDArray[np.generic]]) -> str:
    """Hexadecimal SHA-256 of names, types, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()


def curve_epochs(epochs: int) -> list[int]:
    """After which of them, counted from 1, a learning curve has a point: the last always."""
    return sorted({epoch for epoch in CURVE if epoch < epochs} | {epochs})


@dataclass(kw_only=True)
class _Group:
    """Layers that see the same batches and stand at the same step."""

    layers: list[_Layer] = field(default_factory=list)

    @property
    def cost(self) -> float:
        """In a layer's steps."""
        task = self.layers[0].task
        return (task.steps - self.layers[0].steps) * (GATHERED + len(self.layers))


def _alike(layers: Sequence[_Layer]) -> list[_Group]:
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
        for part in _cut(torch.from_numpy(order(task.seed, epoch, rows)), STRETCH * BATCH):
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
    layers: Sequence[_Layer],
    rows: "torch.Tensor",
    buffer: "torch.Tensor",
) -> None:
    """Steps of some layers on some batches of rows, which are gathered in the buffer."""
    here = rows.to(buffer.device)
    lines = layers[0].lines[: len(rows)]
    named = _cut(labels.index_select(0, here).add_(lines), BATCH)
    factors = [
        [[None] * len(named) if part is None else _cut(part, BATCH) for part in layer.folded.factors(here)]
        for layer in layers
    ]
    for i, chosen in enumerate(_cut(rows.to(matrix.device), BATCH)):
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


def _cut(rows: "torch.Tensor", size: int) -> "list[torch.Tensor]":
    """Pieces of so many rows, the last of what is left."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]
