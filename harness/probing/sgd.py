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
from concurrent.futures import CancelledError, Executor, as_completed
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from layerclaims.probing.objective import LANES
from layerclaims.probing.scaling import Floats, RowMoments, as_tensor, scaling_of, together
from layerclaims.runtime import threads as cores
from layerclaims.runtime.files import write_whole
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

Array = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Transform:
    """What a row goes through before the probe: z_i = after_i * scale * (before_i * x_i - shift).

    What is None is left out. All of it is folded into the products of a step, so that no second matrix is made
    and none is lost to rounding but what float32 rounds of the shift.
    """

    before: Array | None = None  # [n], one factor for each row of the matrix
    shift: Array | float | None = None  # [d], or the same for each feature
    scale: Array | float | None = None  # [d], or the same for each feature
    after: Array | None = None  # [n], one factor for each row of the matrix


RAW: Final = Transform()


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """One fit: its rows, what they go through, and its seed, on which initialisation and order depend."""

    train: NDArray[np.int64]  # flat rows of the matrix
    test: NDArray[np.int64]  # those for the accuracy of the learning curve; they never enter the fit
    transform: Transform = RAW
    test_transform: Transform | None = None  # None: as the training rows
    seed: tuple[int, ...]  # not negative
    epochs: int = EPOCHS
    marks: tuple[int, ...] = ()  # numbers of steps, 0 the initialisation, after which the layer is kept as well
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

    On processors each core has fits of its own, the longest first, and a core that is left over gathers batches
    for another's fit. Tasks of the same rows, seed and epochs see the same batches: these are gathered once. None
    of it changes a bit of any result. On another device the fits run one after another, with the matrix there if
    it has room. `advance` is told numbers of steps, those in a checkpoint too, by any thread; they add up to those
    of the tasks. What it raises, or an interrupt, ends all fits at once. ValueError for rows or labels that are
    out of range, or another matrix than float32 in C order.
    """
    import torch

    _check(x, y, tasks, n_labels)
    on = torch.device(device)
    matrix, labels = _placed(x, on), torch.from_numpy(np.ascontiguousarray(y, dtype=np.int64)).to(on)
    layers = [_Layer(x, y, task, n_labels, on) for task in tasks]
    workers = torch.get_num_threads() if on.type == "cpu" else 1
    groups = _planned(_alike(layers), workers)
    with cores.workers(workers) as pool:
        desk = _Desk(pool, workers, len(groups), advance)
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
    return np.random.default_rng(_entropy(seed, 1, epoch)).permutation(rows)


def _entropy(seed: Sequence[int], *key: int) -> np.random.SeedSequence:
    """Of a seed and a purpose. With its length, or (1,) and (1, 0) were one seed."""
    return np.random.SeedSequence([len(seed), *seed], spawn_key=key)


def predict(
    x: Array, rows: NDArray[np.int64], weights: Array, bias: Array, transform: Transform = RAW
) -> NDArray[np.int64]:
    """The most likely label [rows] of some rows of x [n, d], by weights [d, K] and bias [K]."""
    import torch

    matrix, folded = as_tensor(x), _Folded(transform, x.shape[1], torch.device("cpu"))
    w, b, found = torch.tensor(weights), torch.tensor(bias), np.empty(len(rows), dtype=np.int64)
    for start in range(0, len(rows), BATCH):
        part = torch.from_numpy(rows[start : start + BATCH])
        logits = folded.logits(matrix[part], *folded.factors(part), w, b)
        found[start : start + BATCH] = logits.argmax(1).numpy()
    return found


def feature_moments(x: Array, rows: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Mean and deviation of each feature [d] over some rows of x [n, d], each infinite where it is constant.

    Sums are float64. ValueError where values are not finite.
    """
    every = scaling_of(together(_moments(block) for block in _blocks(x, rows)), True)
    return every.mean, every.sd


def entry_moments(x: Array, rows: NDArray[np.int64], before: Array | None = None) -> tuple[float, float]:
    """The one mean and the one deviation of all entries of some rows, each row times its factor in before [n]."""
    every = together(_moments(block.reshape(-1, 1)) for block in _blocks(x, rows, before))
    scaling = scaling_of(every, True)
    return float(scaling.mean[0]), float(scaling.sd[0])


def reciprocal_norms(
    x: Array, rows: NDArray[np.int64], shift: Array | None = None, scale: Array | None = None
) -> Array:
    """1/|scale * (x_i - shift)| [n] of some rows of x [n, d]; 0 for a vector that is 0, and for all other rows."""
    found, start = np.zeros(len(x), dtype=np.float32), 0
    for block in _blocks(x, rows):
        z = block if shift is None else block - shift
        z = z.astype(np.float64) if scale is None else np.multiply(z, scale, dtype=np.float64)
        norms = np.sqrt(np.einsum("nd,nd->n", z, z))
        found[rows[start : start + len(z)]] = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
        start += len(z)
    return found


def standardised(x: Array, rows: NDArray[np.int64]) -> Transform:
    """Each feature less its mean over some rows of x [n, d], divided by its deviation; 0 where it is constant."""
    mean, sd = feature_moments(x, rows)
    return Transform(shift=mean.astype(np.float32), scale=(1 / sd).astype(np.float32))


def standardised_unit(x: Array, rows: NDArray[np.int64]) -> Transform:
    """The first phase's unit vectors: features standardised over some rows, then each of these of norm 1."""
    mean, sd = feature_moments(x, rows)
    shift, scale = mean.astype(np.float32), (1 / sd).astype(np.float32)
    return Transform(shift=shift, scale=scale, after=reciprocal_norms(x, rows, shift, scale))


def one_scale(x: Array, rows: NDArray[np.int64], *, unit: bool = False) -> Transform:
    """The second phase's scaling: one mean and one deviation of all entries of some rows, of norm 1 first if `unit`."""
    before = reciprocal_norms(x, rows) if unit else None
    mean, sd = entry_moments(x, rows, before)
    return Transform(before=before, shift=mean, scale=1 / sd)


def _blocks(x: Array, rows: NDArray[np.int64], before: Array | None = None) -> Iterator[Array]:
    """Some rows [block, d] at a time, each times its factor."""
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        yield x[part] if before is None else x[part] * before[part, None]


def _moments(block: Array) -> RowMoments:
    """Of a block's rows [n, d]."""
    mean = block.mean(0, dtype=np.float64)
    rest = block - mean
    return RowMoments(n=len(block), mean=mean, squares=np.einsum("nd,nd->d", rest, rest))


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


def _placed(x: Array, device: "torch.device") -> "torch.Tensor":
    """The matrix, on the device if three quarters of what is free there can hold it."""
    import torch

    matrix = as_tensor(x)
    if device.type == "cuda" and x.nbytes > 0.75 * torch.cuda.mem_get_info(device)[0]:
        return matrix
    return matrix.to(device)


class _Folded:
    """A transform as the products take it: with f = after * before and W' = scale * W,

    z W = f (x W') - after (shift' W'), and the gradient on W is scale * (x' f E - shift (after' E)) for errors E.
    """  # noqa: D400

    def __init__(self, transform: Transform, d: int, device: "torch.device") -> None:
        """Put the parts on the device."""
        import torch

        def placed(values: Array | float | None, size: int) -> torch.Tensor | None:
            if values is None:
                return None
            return torch.from_numpy(np.array(np.broadcast_to(values, size), dtype=np.float32)).to(device)

        rows = [part for part in (transform.before, transform.after) if part is not None]
        self.factor = placed(np.prod(rows, axis=0), len(rows[0])) if rows else None  # [n]
        self.after = None if transform.after is None else placed(transform.after, len(transform.after))  # [n]
        self.shift = placed(transform.shift, d)  # [d]
        scale = placed(transform.scale, d)
        self.scale = None if scale is None else scale[:, None]  # [d, 1]
        self.plain = not rows and self.shift is None and scale is None

    def factors(self, rows: "torch.Tensor") -> "tuple[torch.Tensor | None, torch.Tensor | None]":
        """Of some rows, f and after, each [rows, 1]."""
        f = None if self.factor is None else self.factor.index_select(0, rows)[:, None]
        return f, None if self.after is None else self.after.index_select(0, rows)[:, None]

    def logits(
        self,
        x: "torch.Tensor",
        f: "torch.Tensor | None",
        after: "torch.Tensor | None",
        w: "torch.Tensor",
        b: "torch.Tensor",
        *,
        out: "torch.Tensor | None" = None,
        room: "torch.Tensor | None" = None,
    ) -> "torch.Tensor":
        """z W + b [rows, width] of rows x [rows, d] as they come, with W [d, width] and b [width]."""
        import torch

        if self.plain:
            return torch.addmm(b, x, w, out=out)
        on_x = w if self.scale is None else torch.mul(w, self.scale, out=room)
        out = torch.mm(x, on_x, out=out)
        if f is not None:
            out.mul_(f)
        if self.shift is None:
            return out.add_(b)
        offset = torch.mv(on_x.T, self.shift)
        return out.add_(b - offset) if after is None else out.addcmul_(after, offset, value=-1).add_(b)

    def gradient(
        self,
        x: "torch.Tensor",
        f: "torch.Tensor | None",
        after: "torch.Tensor | None",
        error: "torch.Tensor",
        *,
        out: "torch.Tensor",
    ) -> "torch.Tensor":
        """x' f E - shift (after' E) [d, width] for errors E [rows, width], which are overwritten; not yet scaled."""
        import torch

        if self.shift is not None:
            offset = error.sum(0) if after is None else torch.mv(error.T, after[:, 0])
        if f is not None:
            error.mul_(f)
        torch.mm(x.T, error, out=out)
        return out if self.shift is None else out.addr_(self.shift, offset, alpha=-1)


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
        self.folded = _Folded(task.transform, d, device)
        self.steps, self.loss, self.accuracy = 0, list[float](), list[float]()
        self.marked: dict[int, tuple[Array, Array]] = {}
        self.w = torch.zeros(d, width, device=device)
        self.b = torch.full((width,), -torch.inf, device=device)
        weights, bias = initial(task.seed, d, n_labels)
        self._put(weights.T, bias)
        self.z = torch.empty(BATCH, width, device=device)
        self.room = torch.empty_like(self.w)
        self.minus = torch.full((BATCH,), -1.0, device=device)
        self.lines = (torch.arange(BATCH, device=device) * width).repeat(STRETCH)  # where each row of z begins
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
        f: "torch.Tensor | None",
        after: "torch.Tensor | None",
        named: "torch.Tensor",
    ) -> None:
        """One step on a batch x [rows, d], whose labels stand at the places `named` [rows] of flat logits."""
        import torch

        z, rate = self.z[: len(x)], -RATE / len(x)
        self.folded.logits(x, f, after, self.w, self.b, out=z, room=self.room)
        torch.softmax(z, 1, out=z)
        z.view(-1).scatter_add_(0, named, self.minus[: len(x)])
        self.b.add_(z.sum(0), alpha=rate)
        if self.folded.plain:
            self.w.addmm_(x.T, z, alpha=rate)
        else:
            self.folded.gradient(x, f, after, z, out=self.room)
            if self.folded.scale is None:
                self.w.add_(self.room, alpha=rate)
            else:
                self.w.addcmul_(self.room, self.folded.scale, value=rate)
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
            folded = _Folded(task.test_transform, len(self.w), self.device)
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
            f, after = self.folded.factors(rows)
            log_p = torch.log_softmax(self.folded.logits(x, f, after, self.w, self.b, room=self.room), 1)
            y = labels[rows][:, None]
            total -= log_p.gather(1, y).sum(dtype=torch.float64)
            if gradient is not None:
                error = log_p.exp_().scatter_add_(1, y, self.minus[: len(x), None])
                gradient[1] += error.sum(0, dtype=torch.float64)
                on_w = self.folded.gradient(x, f, after, error, out=self.room)
                gradient[0] += on_w if self.folded.scale is None else on_w.mul_(self.folded.scale)
        return float(total) / len(self.task.train)

    def _batches(
        self, matrix: "torch.Tensor", rows: NDArray[np.int64]
    ) -> "Iterator[tuple[torch.Tensor, torch.Tensor]]":
        """Some rows, and what they hold, a batch at a time."""
        import torch

        for part in torch.from_numpy(np.asarray(rows, dtype=np.int64)).split(BATCH):
            yield part.to(self.device), matrix[part.to(matrix.device)].to(self.device)

    def end(self, matrix: "torch.Tensor", labels: "torch.Tensor") -> None:
        """Make the fit of what there is."""
        import torch

        (d, width), task = self.w.shape, self.task
        epochs = curve_epochs(task.epochs)
        lost = [math.nan] * (len(epochs) - len(self.loss))
        loss = norm = math.nan
        if self.finite:
            sizes = (d, width), (width,)
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
                epochs=np.array(epochs), loss=np.array(self.loss + lost), accuracy=np.array(self.accuracy + lost)
            ),
            loss=loss,
            gradient_norm=norm,
            steps=self.steps,
        )

    def save(self, *, now: bool) -> None:
        """Write the checkpoint if the task wants one and it is time; LayerclaimsError where it cannot be written."""
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
        write_whole(self.task.checkpoint, save(arrays, metadata=facts), parents=True)
        self.saved = time.monotonic()

    def _restore(self, path: Path) -> None:
        """Go on from a checkpoint, unless it is missing, damaged or another task's."""
        import torch
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="np") as file:
                facts = file.metadata()
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a mapping
            if facts["key"] != self._key or facts["sha256"] != _digest(arrays):  # a flipped bit loads all the same
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
        parts = [np.array([VERSION, self.n_labels, task.epochs, *task.marks]), np.array([len(task.seed), *task.seed])]
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
    """What the groups of one call share: the sign to stop, and workers that no group needs any more."""

    def __init__(
        self, pool: Executor, workers: int, groups: int, advance: Callable[[int], None] | None
    ) -> None:
        """Before the first group begins."""
        self.pool, self.advance, self.stop = pool, advance, threading.Event()
        self._waiting = max(0, groups - workers)
        self._lock, self.idle = threading.Lock(), threading.Semaphore(max(0, workers - groups))

    def leave(self) -> None:
        """A group has ended: its worker takes the next one, or is idle."""
        with self._lock:
            if self._waiting:
                self._waiting -= 1
            else:
                self.idle.release()

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
    buffers = [torch.empty(BATCH, matrix.shape[1], device=first.device) for _ in range(2)]
    active = [layer for layer in layers if layer.finite]
    for epoch in range(begin, task.epochs):
        if not active:
            break
        for part in torch.from_numpy(order(task.seed, epoch, rows)).split(STRETCH * BATCH):
            if desk.stop.is_set():
                raise CancelledError
            _stretch(desk, matrix, labels, active, part, buffers)
        for layer in active:
            if epoch + 1 in curve_epochs(task.epochs):
                layer.look(matrix, labels)
            layer.save(now=epoch + 1 == task.epochs or not layer.finite)
        active = [layer for layer in active if layer.finite]
    for layer in layers:
        layer.end(matrix, labels)
    desk.leave()
    desk.told(sum(task.steps - layer.steps for layer in layers))


def _stretch(
    desk: _Desk,
    matrix: "torch.Tensor",
    labels: "torch.Tensor",
    layers: Sequence[_Layer],
    rows: "torch.Tensor",
    buffers: "Sequence[torch.Tensor]",
) -> None:
    """Steps of some layers on some batches of rows."""
    here = rows.to(buffers[0].device)
    lines = layers[0].lines[: len(rows)]
    named = labels.index_select(0, here).add_(lines).split(BATCH)
    factors = [
        [[None] * len(named) if part is None else part.split(BATCH) for part in layer.folded.factors(here)]
        for layer in layers
    ]
    help_ = desk.idle.acquire(blocking=False)
    try:
        batches = _gathered(matrix, rows.to(matrix.device).split(BATCH), buffers, desk.pool if help_ else None)
        for i, x in enumerate(batches):
            for layer, (f, after) in zip(layers, factors, strict=True):
                layer.step(x, f[i], after[i], named[i])
    finally:
        if help_:
            desk.idle.release()
    desk.told(len(named) * len(layers))


def _gathered(
    matrix: "torch.Tensor",
    batches: "Sequence[torch.Tensor]",
    buffers: "Sequence[torch.Tensor]",
    pool: Executor | None,
) -> "Iterator[torch.Tensor]":
    """The vectors of each batch of rows, in one of two buffers; one batch ahead, where another worker gathers."""
    import torch

    def gather(i: int) -> "torch.Tensor":
        out = buffers[i % 2][: len(batches[i])]
        if out.device != matrix.device:
            return out.copy_(matrix[batches[i]])
        return torch.index_select(matrix, 0, batches[i], out=out)

    if pool is None:
        yield from map(gather, range(len(batches)))
        return
    ahead = pool.submit(gather, 0)
    for i in range(len(batches)):
        x = ahead.result()
        if i + 1 < len(batches):
            ahead = pool.submit(gather, i + 1)
        yield x
