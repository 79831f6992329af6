"""Scaling: mean and deviation of the features of some rows, and norms of rows."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class RowMoments:
    """Number, mean [d] and sum of squares about it [d] of some rows; of a sample of them also all products."""

    n: int
    mean: Floats
    squares: Floats  # [d], or [d, d] with products

    def __add__(self, other: "RowMoments") -> "RowMoments":
        """Of both together (Chan, Golub, LeVeque 1983): no cancellation."""
        n, step = self.n + other.n, other.mean - self.mean
        between = np.outer(step, step) if self.squares.ndim == 2 else step * step
        return RowMoments(
            n=n,
            mean=self.mean + step * (other.n / max(1, n)),
            squares=self.squares + other.squares + between * (self.n * other.n / max(1, n)),
        )


def together(moments: Iterable[RowMoments]) -> RowMoments:
    """Of all rows."""
    return reduce(add, moments)


@dataclass(kw_only=True)
class Scaling:
    """How a training set's features are standardised: z = (x - mean) / divisor."""

    n: int
    mean: Floats  # [d]
    sd: Floats  # [d]; infinite for a feature that is constant
    divisor: Floats  # [d]; sd, or 1 where features that vary stay as they come


def scaling_of(every: RowMoments, standardise: bool) -> Scaling:
    """Of a training set with these moments; ValueError where they are not finite."""
    if not (np.isfinite(every.mean).all() and np.isfinite(every.squares).all()):
        raise ValueError("the vectors hold values that are not finite")
    sd = np.sqrt(np.maximum(every.squares, 0) / every.n)
    # float32 resolves no less: what varies there is rounding
    sd = np.where(sd <= 1e-6 * np.abs(every.mean), np.inf, sd)
    # the free bias takes up the mean either way; a constant feature has no weight
    divisor = sd if standardise else np.where(np.isfinite(sd), 1.0, np.inf)
    return Scaling(n=every.n, mean=every.mean, sd=sd, divisor=divisor)


def as_tensor(X: NDArray[np.float32]) -> "torch.Tensor":
    """The same memory, or memory map; it is only read."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch's, of arrays that cannot be written
        return torch.from_numpy(X)


def reciprocal_norms(x: "torch.Tensor") -> "torch.Tensor":
    """1/|x| of each row [n], 0 for a zero vector; summed in float64 where float32 could overflow."""
    import torch

    # numpy's way needs no float64 copy of x, for whose memory the system would take longer than for the norms
    norms = np.sqrt(np.einsum("nd,nd->n", x.numpy(), x.numpy(), dtype=np.float64))
    scale: torch.Tensor = (1 / torch.from_numpy(norms)).nan_to_num(posinf=0.0).float()
    return scale
