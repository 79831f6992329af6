"""What the published probe is: its constants, a task, where it starts, in which order it goes, and what it gives."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from layerclaims.probing.scaling import Floats
from layerclaims.probing.transforms import RAW, Array, Transform
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


RATE: Final = 0.01
BATCH: Final = 1024  # rows; the last batch of an epoch has what is left
EPOCHS: Final = 1000
CURVE: Final = (1, 3, 10, 30, 100, 300, 1000)  # epochs after which a learning curve has a point


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


def curve_epochs(epochs: int) -> list[int]:
    """After which of them, counted from 1, a learning curve has a point: the last always."""
    return sorted({epoch for epoch in CURVE if epoch < epochs} | {epochs})
