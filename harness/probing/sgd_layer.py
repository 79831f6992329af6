"""The layer of a task of the published procedure: its steps, its learning curve and its checkpoint."""

import hashlib
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from layerclaims.errors import LayerclaimsError
from layerclaims.probing.objective import LANES
from layerclaims.probing.procedure import BATCH, RATE, Curve, SgdFit, Task, curve_epochs, initial
from layerclaims.probing.transforms import Array, Folded
from layerclaims.runtime.files import say_unkept, write_whole
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


STRETCH: Final = 64  # batches from one look at the sign to stop to the next
SAVED_EVERY = 20.0  # seconds from one checkpoint to the next
VERSION: Final = 1  # of what a checkpoint means
LEAST_P: Final = 1e-26  # lost in any float32 sum of errors


class Layer:
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
        _tidied(torch.softmax(z, 1, out=z))
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
                error = _tidied(log_p.exp_()).scatter_add_(1, y, self.minus[: len(x), None])
                gradient[1] += error.sum(0, dtype=torch.float64)
                gradient[0] += self.folded.gradient(x, *factors, error, out=self.on_w)
        return float(total) / len(self.task.train)

    def _batches(
        self, matrix: "torch.Tensor", rows: NDArray[np.int64]
    ) -> "Iterator[tuple[torch.Tensor, torch.Tensor]]":
        """Some rows, and what they hold, a batch at a time."""
        import torch

        for part in cut(torch.from_numpy(np.array(rows, dtype=np.int64)), BATCH):
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


def cut(rows: "torch.Tensor", size: int) -> "list[torch.Tensor]":
    """Pieces of so many rows, the last of what is left."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _tidied(p: "torch.Tensor") -> "torch.Tensor":
    """Probabilities, those that no sum would notice put to 0 in place.

    A processor takes a hundred times as long for what is smaller than a float32 is meant to be.
    """
    import torch

    return torch.nn.functional.threshold(p, LEAST_P, 0.0, inplace=True)
