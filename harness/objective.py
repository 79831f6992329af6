"""The objective of the layer probe: values and gradients for several training sets in one pass over a matrix."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float64]
Rows = Sequence[slice]

BLOCK = 2048  # rows of a pass that stay in cache between the two products that need them
LANES = 16  # classes are padded to a multiple: a matrix product 31 columns wide runs at half speed
LARGE = 10**7  # values that a sample holds at least: on fewer a start saves nothing
SAMPLES = 1 / 16, 1 / 4  # shares of the rows to start on
GRAM_ROWS = 20_000  # enough for a Gram matrix that only conditions the problem


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """What one of several probes on the same matrix is fitted on."""

    rows: Rows  # ranges of the matrix' rows; disjoint
    y: NDArray[np.int64]  # [rows of the matrix], in 0..n_labels-1


@dataclass(frozen=True, kw_only=True)
class Value:
    """An objective at a point."""

    value: float
    gradient: Floats  # with respect to whitened coordinates
    gradient_norm: float  # of the gradient with respect to weights and bias


@dataclass(frozen=True, kw_only=True)
class _Moments:
    """Number, mean [d] and sum of squares about it [d] of some rows; of a sample of them also all products."""

    n: int
    mean: Floats
    squares: Floats  # [d], or [d, d] with products

    def __add__(self, other: "_Moments") -> "_Moments":
        """Of both together (Chan, Golub, LeVeque 1983): no cancellation."""
        n, step = self.n + other.n, other.mean - self.mean
        between = np.outer(step, step) if self.squares.ndim == 2 else step * step
        return _Moments(
            n=n,
            mean=self.mean + step * (other.n / max(1, n)),
            squares=self.squares + other.squares + between * (self.n * other.n / max(1, n)),
        )


@dataclass(kw_only=True)
class _Part:
    """One problem's training set: how its features are standardised and whitened."""

    n: int
    mean: Floats  # [d]
    sd: Floats  # [d]
    divisor: Floats  # [d]; sd, or 1 where features stay as they come
    factor: "torch.Tensor"  # R [d, d] upper triangular


@dataclass(frozen=True, kw_only=True)
class _Block:
    """A range of rows and the problems that are fitted on it."""

    rows: slice
    problems: tuple[int, ...]
    y: "torch.Tensor"  # [rows, problems, 1]
    scale: "torch.Tensor | None"  # [rows, 1]; 1/|x|
    kept: "list[torch.Tensor]"  # its rounded features, once they were wanted


@dataclass(kw_only=True)
class _Sums:
    """What blocks of the same problems share in a pass: weights and bias on the features, and sums over rows."""

    problems: list[int]
    places: list[int] | None  # of these among the problems that are fitted on the blocks; None for all
    n: int  # rows so far
    w: "torch.Tensor"  # [d, problems * width]
    b: "torch.Tensor"  # [problems, width]
    loss: "torch.Tensor"  # [problems], float64 as the other sums
    gradient: "torch.Tensor"  # [problems * width, d]
    bias: "torch.Tensor"  # [problems, width]


class Objective:
    """Values and gradients of some problems on one matrix, in whitened coordinates; one pass over their rows."""

    def __init__(
        self,
        X: NDArray[np.float32],
        sets: Sequence[TrainingSet],
        *,
        unit: bool,
        n_labels: int,
        l2: float,
        standardise: bool,
        rounds: bool,
    ) -> None:
        """Check, cut into blocks, and take moments; `sets` have numbers as in the list. ValueError as the probe's.

        Where it `rounds`, features, weights and errors on a sample are bfloat16, and the sample's features are kept.
        """
        import torch

        self.l2, self.n_labels, self.d, self.rounds = l2, n_labels, X.shape[1], rounds
        self.width = -(-n_labels // LANES) * LANES
        if not X.flags.c_contiguous or X.dtype != np.float32:
            raise ValueError(f"the vectors are a C-contiguous float32 matrix, not {X.dtype}")
        for one in sets:
            labels = [one.y[part] for part in one.rows]
            if not sum(map(len, labels)):
                raise ValueError("a probe needs at least one training vector")
            if any(len(y) and (y.min() < 0 or y.max() >= n_labels) for y in labels):
                raise ValueError(f"labels lie in 0..{n_labels - 1}")
        self.x = as_tensor(X)
        self.blocks = self._cut(sets, unit)
        self.n = sum((block.rows.stop - block.rows.start) * len(block.problems) for block in self.blocks)
        self.parts = self._prepare(len(sets), standardise)
        worth = [share for share in SAMPLES if share * min(part.n for part in self.parts) * self.d >= LARGE]
        self.samples = {share: self._sample(share) for share in worth} | {1.0: self.blocks}
        self.near = torch.from_numpy(np.mean([part.mean for part in self.parts], axis=0)).float()

    def _cut(self, sets: Sequence[TrainingSet], unit: bool) -> list[_Block]:
        """Blocks, none across the border of a set; rows of no set are never read."""
        import torch

        borders = sorted({b for one in sets for part in one.rows for b in (part.start, part.stop)})
        blocks = []
        for first, last in pairwise(borders):
            problems = tuple(
                k for k, one in enumerate(sets) if any(p.start <= first and last <= p.stop for p in one.rows)
            )
            if not problems:
                continue
            for begin in range(first, last, BLOCK):
                rows = slice(begin, min(begin + BLOCK, last))
                y = np.stack([sets[k].y[rows] for k in problems], 1)
                blocks.append(
                    _Block(
                        rows=rows,
                        problems=problems,
                        y=torch.from_numpy(y.astype(np.int64))[:, :, None],
                        scale=reciprocal_norms(self.x[rows])[:, None] if unit else None,
                        kept=[],
                    )
                )
        return blocks

    def _sample(self, share: float) -> list[_Block]:
        """Some blocks at random of each choice of problems; a larger sample holds the smaller ones."""
        sample: list[_Block] = []
        for held in dict.fromkeys(block.problems for block in self.blocks):
            blocks = [block for block in self.blocks if block.problems == held]
            order = np.random.default_rng(1).permutation(len(blocks))
            sample += [blocks[i] for i in sorted(order[: math.ceil(share * len(blocks))])]
        return sample

    def _prepare(self, problems: int, standardise: bool) -> list[_Part]:
        """Moments of every row and products of some, by the sets of problems that share them; one pass."""
        import torch

        nothing = np.zeros(self.d)
        moments: dict[tuple[int, ...], _Moments] = {}
        products: dict[tuple[int, ...], _Moments] = {}
        share = min(1.0, max(GRAM_ROWS, 4 * self.d) * problems / self.n)
        rng = np.random.default_rng(0)  # a stride would meet the same positions of every document
        for block in self.blocks:
            x = self.x[block.rows]
            if block.scale is not None:
                x = x * block.scale
            u = x - (near := x.mean(0))
            rest = u.double().sum(0).numpy()
            here = _Moments(
                n=len(x),
                mean=near.double().numpy() + rest / len(x),
                squares=(u * u).sum(0, dtype=torch.float64).numpy() - rest * rest / len(x),
            )
            moments[block.problems] = (
                moments.get(block.problems, _Moments(n=0, mean=nothing, squares=nothing)) + here
            )
            u = x[torch.from_numpy(np.flatnonzero(rng.random(len(x)) < share))].double()
            if len(u):
                mean = u.mean(0)
                u -= mean
                here = _Moments(n=len(u), mean=mean.numpy(), squares=(u.T @ u).numpy())
                known = products.get(
                    block.problems, _Moments(n=0, mean=nothing, squares=np.zeros((self.d, self.d)))
                )
                products[block.problems] = known + here
        return [
            self._part(
                [m for held, m in moments.items() if k in held],
                [m for held, m in products.items() if k in held],
                standardise,
            )
            for k in range(problems)
        ]

    def _part(self, moments: list[_Moments], products: list[_Moments], standardise: bool) -> _Part:
        import torch

        every = sum(moments[1:], moments[0])
        if not (np.isfinite(every.mean).all() and np.isfinite(every.squares).all()):
            raise ValueError("the vectors hold values that are not finite")
        sd = np.sqrt(np.maximum(every.squares, 0) / every.n)
        # float32 resolves no less: what varies there is rounding
        sd = np.where(sd <= 1e-6 * np.abs(every.mean), np.inf, sd)
        # the free bias takes up the mean either way; a constant feature has no weight
        divisor = sd if standardise else np.where(np.isfinite(sd), 1.0, np.inf)
        # R'R = Gram matrix of a sample + l2 K, the Hessian at W = 0 times K
        gram = np.zeros((self.d, self.d))
        if products:
            some = sum(products[1:], products[0])
            gram = some.squares / some.n / np.outer(divisor, divisor)
        gram[np.diag_indices(self.d)] += self.l2 * self.n_labels
        factor: torch.Tensor = torch.linalg.cholesky(torch.from_numpy(gram), upper=True)
        return _Part(n=every.n, mean=every.mean, sd=sd, divisor=divisor, factor=factor)

    def parameters(self, part: _Part, v: Floats) -> tuple[Floats, Floats]:
        """Whitened coordinates -> a problem's weights [d, K] on the centred, divided features, and bias [K]."""
        import torch

        # 1/K is the curvature at 0 in whitened coordinates; its root makes the first step about right
        v = v.reshape(self.d + 1, self.n_labels) * math.sqrt(self.n_labels)
        # torch's solver, since numpy's threads spin on after a call and take the cores from the products
        weights = torch.linalg.solve_triangular(part.factor, torch.from_numpy(v[:-1]), upper=True)
        return weights.numpy(), v[-1]

    def __call__(self, points: Mapping[int, Floats], *, share: float = 1.0) -> dict[int, Value]:
        """The objectives of some problems, each at its own point [(d + 1) * K], on all rows or those of a sample."""
        parameters = {k: self.parameters(self.parts[k], v) for k, v in points.items()}
        sums, found = self._pass(parameters, self.samples[share], self.rounds and share < 1), {}
        near = self.near.double().numpy()
        for k, (weights, _) in parameters.items():
            part, (n, loss, g_raw, g_bias) = self.parts[k], sums[k]
            g_raw, g_bias = g_raw.T / n, g_bias / n
            g = (g_raw - np.outer(part.mean - near, g_bias)) / part.divisor[:, None] + self.l2 * weights
            whitened = np.concatenate([_solve_transposed(part.factor, g), g_bias[None]])
            found[k] = Value(
                value=float(loss / n + self.l2 / 2 * (weights**2).sum()),
                gradient=whitened.ravel() * math.sqrt(self.n_labels),
                gradient_norm=math.sqrt(float((g**2).sum() + (g_bias**2).sum())),
            )
        return found

    def _pass(
        self, parameters: Mapping[int, tuple[Floats, Floats]], blocks: Sequence[_Block], rounded: bool
    ) -> dict[int, tuple[int, float, Floats, Floats]]:
        """Number of rows and sums over them by problem: loss, gradient on x - near [K, d] and on the bias [K].

        Centred before they are rounded, the values of a feature lose nothing to its mean.
        """
        import torch

        dtype = torch.bfloat16 if rounded else torch.float32
        width, near = self.width, self.near.double().numpy()
        w = torch.zeros(len(self.parts), width, self.d, dtype=dtype)
        b = torch.full((len(self.parts), width), -torch.inf)
        for k, (weights, bias) in parameters.items():
            part = self.parts[k]
            on_raw = weights / part.divisor[:, None]
            w[k, : self.n_labels] = torch.from_numpy(on_raw.T)
            b[k, : self.n_labels] = torch.from_numpy(bias - (part.mean - near) @ on_raw)
        shared = {}
        for held in dict.fromkeys(block.problems for block in blocks):
            wanted = [k for k in held if k in parameters]
            shared[held] = _Sums(
                problems=wanted,
                places=None if len(wanted) == len(held) else [held.index(k) for k in wanted],
                n=0,
                w=w[wanted].reshape(-1, self.d).T.contiguous(),
                b=b[wanted],
                loss=torch.zeros(len(wanted), dtype=torch.float64),
                gradient=torch.zeros(len(wanted) * width, self.d, dtype=torch.float64),
                bias=torch.zeros(len(wanted), width, dtype=torch.float64),
            )
        for block in blocks:
            here = shared[block.problems]
            if not here.problems:
                continue
            here.n += block.rows.stop - block.rows.start
            x, y = self._features(block, rounded), block.y if here.places is None else block.y[:, here.places]
            log_p = torch.log_softmax((x @ here.w).view(len(x), -1, width) + here.b, 2)  # float32, as b is
            here.loss -= log_p.gather(2, y).sum((0, 2), dtype=torch.float64)
            error = log_p.exp_()
            error.scatter_add_(2, y, torch.full((1, 1, 1), -1.0).expand(y.shape))
            here.bias += error.sum(0, dtype=torch.float64)
            # this way round: x.T @ error runs at half the speed
            here.gradient += error.to(dtype).view(len(x), -1).T @ x
        found = {}
        for k in parameters:
            n, loss, gradient, bias = 0, 0.0, np.zeros((self.n_labels, self.d)), np.zeros(self.n_labels)
            for sums in (sums for sums in shared.values() if k in sums.problems):
                i = sums.problems.index(k)
                n += sums.n
                loss += float(sums.loss[i])
                gradient += sums.gradient.view(-1, width, self.d)[i, : self.n_labels].numpy()
                bias += sums.bias[i, : self.n_labels].numpy()
            found[k] = n, loss, gradient, bias
        return found

    def _features(self, block: _Block, rounded: bool) -> "torch.Tensor":
        """A block's features less `near`, [rows, d]; rounded ones are kept."""
        import torch

        if rounded and block.kept:
            return block.kept[0]
        x = self.x[block.rows]
        x = x - self.near if block.scale is None else torch.addcmul(-self.near, x, block.scale)
        if not rounded:
            return x
        block.kept.append(x.to(torch.bfloat16))
        return block.kept[0]

    def forget(self) -> None:
        """Give back the memory of the samples' rounded features."""
        for block in self.blocks:
            block.kept.clear()


def _solve_transposed(factor: "torch.Tensor", g: Floats) -> Floats:
    """R'^-1 g."""
    import torch

    return np.asarray(torch.linalg.solve_triangular(factor.T, torch.from_numpy(g), upper=False).numpy())


def as_tensor(X: NDArray[np.float32]) -> "torch.Tensor":
    """The same memory, or memory map; it is only read."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch's, of arrays that cannot be written
        return torch.from_numpy(X)


def reciprocal_norms(x: "torch.Tensor") -> "torch.Tensor":
    """1/|x| of each row [n], 0 for a zero vector; summed in float64 where float32 could overflow."""
    norms = x.double().norm(dim=1)
    scale: torch.Tensor = (1 / norms).nan_to_num(posinf=0.0).float()
    return scale
