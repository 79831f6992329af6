"""Transforms: what rows of a matrix go through before a linear layer, folded into the layer's products."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from layerclaims.probing.scaling import Floats, RowMoments, as_tensor, scaling_of, together
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


BLOCK: Final = 1024  # rows that are read at a time
Array = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Transform:
    """What a row goes through before the probe: z_i = after_i * scale * (before_i * x_i - shift).

    What is None is left out. All of it is folded into the products of a step, so that no second matrix is made. A
    mean that lies many deviations from 0 is no loss beyond what float32 lost of x itself there.
    """

    before: Array | None = None  # [n], one factor for each row of the matrix
    shift: Array | float | None = None  # [d], or the same for each feature
    scale: Array | float | None = None  # [d], or the same for each feature
    after: Array | None = None  # [n], one factor for each row of the matrix


RAW: Final = Transform()


class Folded:
    """A transform as the products take it, with W' = scale * W:

    z W = after * (before * (x W') - shift' W'), and the gradient on W from errors E is scale * (x' (before * F) -
    shift sum(F)) with F = after * E.
    """

    def __init__(self, transform: Transform, d: int, device: "torch.device") -> None:
        """Put the parts on the device: factors [n], shift and scale [d]."""
        import torch

        def placed(values: Array | float | None, size: int | None = None) -> torch.Tensor | None:
            if values is None:
                return None
            of_size = values if size is None else np.broadcast_to(values, size)
            return as_tensor(np.ascontiguousarray(of_size, dtype=np.float32)).to(device)

        self.before, self.after = placed(transform.before), placed(transform.after)
        self.shift, self.scale = placed(transform.shift, d), placed(transform.scale, d)

    def factors(self, rows: "torch.Tensor") -> "tuple[torch.Tensor | None, torch.Tensor | None]":
        """Before and after of some rows, each [rows, 1]."""
        before = None if self.before is None else self.before.index_select(0, rows)[:, None]
        return before, None if self.after is None else self.after.index_select(0, rows)[:, None]

    def logits(
        self,
        x: "torch.Tensor",
        before: "torch.Tensor | None",
        after: "torch.Tensor | None",
        w: "torch.Tensor",
        b: "torch.Tensor",
        *,
        out: "torch.Tensor | None" = None,
        room: "torch.Tensor | None" = None,
    ) -> "torch.Tensor":
        """z W + b [rows, width] of rows x [rows, d] as they come, with W [d, width] and b [width]."""
        import torch

        if self.scale is not None:
            w = torch.mul(w, self.scale[:, None], out=room)
        added = b if after is None else torch.zeros_like(b)
        if self.shift is not None:
            added = added - torch.mv(w.T, self.shift)
        if before is not None:
            out = torch.mm(x, w, out=out).mul_(before).add_(added)
        else:
            out = torch.addmm(added, x, w, out=out)
        return out if after is None else out.mul_(after).add_(b)

    def gradient(
        self,
        x: "torch.Tensor",
        before: "torch.Tensor | None",
        after: "torch.Tensor | None",
        error: "torch.Tensor",
        *,
        out: "torch.Tensor",
    ) -> "torch.Tensor":
        """The gradient on W [width, d] from errors [rows, width], which are overwritten."""
        import torch

        if after is not None:
            error.mul_(after)
        of_shift = None if self.shift is None else error.sum(0)
        if before is not None:
            error.mul_(before)
        torch.mm(error.T, x, out=out)  # this way round: x.T @ error takes longer
        if self.shift is not None and of_shift is not None:
            out.addr_(of_shift, self.shift, alpha=-1)
        return out if self.scale is None else out.mul_(self.scale)


def predict(
    x: Array, rows: NDArray[np.int64], weights: Array, bias: Array, transform: Transform = RAW
) -> NDArray[np.int64]:
    """The most likely label [rows] of some rows of x [n, d], by weights [d, K] and bias [K]."""
    import torch

    matrix, folded = as_tensor(x), Folded(transform, x.shape[1], torch.device("cpu"))
    w, b, found = torch.tensor(weights), torch.tensor(bias), np.empty(len(rows), dtype=np.int64)
    for start in range(0, len(rows), BLOCK):
        part = torch.from_numpy(np.array(rows[start : start + BLOCK], dtype=np.int64))
        logits = folded.logits(matrix[part], *folded.factors(part), w, b)
        found[start : start + BLOCK] = logits.argmax(1).numpy()
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
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        yield x[part] if before is None else x[part] * before[part, None]


def _moments(block: Array) -> RowMoments:
    """Of a block's rows [n, d]."""
    mean = block.mean(0, dtype=np.float64)
    rest = block - mean
    return RowMoments(n=len(block), mean=mean, squares=np.einsum("nd,nd->d", rest, rest))
