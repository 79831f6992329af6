"""The objective of the layer probe: values and gradients for several training sets in one pass over a matrix."""

import itertools
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from layerclaims.probing.scaling import (
    Floats,
    RowMoments,
    Scaling,
    as_tensor,
    reciprocal_norms,
    scaling_of,
    together,
)
from layerclaims.runtime.devices import placed
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


Rows = Sequence[slice]
BLOCK = 2048  # rows of a pass that stay in cache between the two products that need them
ON_DEVICE = 4 * BLOCK  # the same on a GPU, where starting an operation takes as long as small products
PIECE = 2  # blocks that one thread takes at a time
LANES = 16  # classes are padded to a multiple: a matrix product 31 columns wide runs at half speed
LARGE = 10**7  # values that a sample holds at least, or
MANY = 2**14  # rows that it holds at least: on fewer a start saves nothing
SAMPLES = 1 / 16, 1 / 8, 1 / 4, 1 / 2  # shares of the rows to start on
KEPT_SHARE, KEPT_BYTES = 1 / 4, 2**28  # of the largest sample whose rounded features are kept: either will do
LEAST_LOG_P = -60  # lost in any float32 sum; what is less than a float32 takes a processor many times as long
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
class _Block:
    """A range of rows that the same problems are fitted on."""

    rows: slice
    y: "torch.Tensor"  # [rows, problems, 1]
    scale: "torch.Tensor | None"  # [rows, 1]; 1/|x|
    kept: "list[torch.Tensor]"  # its rounded features, once they were wanted


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """Blocks that one thread works through, and the problems that are fitted on them."""

    problems: tuple[int, ...]
    blocks: Sequence[_Block]


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What blocks of the same problems are asked in a pass: the loss at some weights and biases on the features."""

    problems: list[int]
    places: "torch.Tensor | None"  # of these among the problems that are fitted on the blocks; None for all
    w: "torch.Tensor"  # [d, problems * width]
    b: "torch.Tensor"  # [problems, width]


@dataclass(kw_only=True)
class _Sums:
    """Sums over some rows, float64: of the loss and of its gradient on x - near and on the bias.

    Of several problems, or with the first axis left out of one.
    """

    n: int  # rows
    loss: "torch.Tensor"  # [problems]
    gradient: "torch.Tensor"  # [problems, width, d]
    bias: "torch.Tensor"  # [problems, width]


class Objective:
    """Values and gradients of some problems on one matrix, in whitened coordinates; one pass over their rows.

    The coordinates are of all problems' rows together, so that a point means the same weights to each problem.
    """

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
        pool: Executor,
        device: str = "cpu",
    ) -> None:
        """Check, cut into blocks, and take moments; `sets` have numbers as in the list. ValueError as the probe's.

        The blocks are shared among the threads of `pool`; what comes out does not depend on how many those are.
        Where it `rounds`, features, weights and errors on a sample that is not large are bfloat16, and its features
        are kept.

        Passes and changes of coordinates are computed on `device`: one block at a time on another than the processor,
        with the matrix there if it has room. Moments are the processor's.
        """
        import torch

        self.l2, self.n_labels, self.d = l2, n_labels, X.shape[1]
        self.pool, self.device = pool, torch.device(device)
        self.width = -(-n_labels // LANES) * LANES
        if not X.flags.c_contiguous or X.dtype != np.float32:
            raise ValueError(f"the vectors are a C-contiguous float32 matrix, not {X.dtype}")
        for one in sets:
            labels = [one.y[part] for part in one.rows]
            if not sum(map(len, labels)):
                raise ValueError("a probe needs at least one training vector")
            if any(len(y) and (y.min() < 0 or y.max() >= n_labels) for y in labels):
                raise ValueError(f"labels lie in 0..{n_labels - 1}")
        self.x, self.unit = as_tensor(X), unit
        self.blocks = self._cut(sets)
        self.parts = self._prepare(len(sets), standardise)
        fewest = min(part.n for part in self.parts)
        worth = [share for share in SAMPLES if share * fewest >= min(LARGE / self.d, MANY)]
        self.samples = {share: self._sample(share) for share in [*worth, 1.0]}
        rows = sum(block.rows.stop - block.rows.start for block in itertools.chain(*self.blocks.values()))
        few = max(KEPT_SHARE, KEPT_BYTES / (2 * self.d * rows))
        self.rounded = [share for share in worth if rounds and share <= few]
        self.there = placed(self.x, self.device)

    def _cut(self, sets: Sequence[TrainingSet]) -> dict[tuple[int, ...], list[_Block]]:
        """Blocks by the problems that are fitted on them, none across the border of a set.

        Rows of no set are never read.
        """
        borders = sorted({b for one in sets for part in one.rows for b in (part.start, part.stop)})
        blocks: dict[tuple[int, ...], list[_Block]] = {}
        for first, last in pairwise(borders):
            problems = tuple(
                k for k, one in enumerate(sets) if any(p.start <= first and last <= p.stop for p in one.rows)
            )
            if problems:
                size = BLOCK if self.device.type == "cpu" else ON_DEVICE
                cuts = [slice(begin, min(begin + size, last)) for begin in range(first, last, size)]
                ys = [sets[k].y for k in problems]
                blocks.setdefault(problems, []).extend(self.pool.map(partial(self._block, ys), cuts))
        return blocks

    def _block(self, ys: Sequence[NDArray[np.int64]], rows: slice) -> _Block:
        import torch

        y = np.stack([y[rows] for y in ys], 1, dtype=np.int64)
        return _Block(
            rows=rows,
            y=torch.from_numpy(y)[:, :, None].to(self.device),
            scale=reciprocal_norms(self.x[rows])[:, None].to(self.device) if self.unit else None,
            kept=[],
        )

    def _sample(self, share: float) -> list[_Piece]:
        """Some blocks at random of each choice of problems; a larger sample holds the smaller ones."""
        pieces: list[_Piece] = []
        for problems, blocks in self.blocks.items():
            order = np.random.default_rng(1).permutation(len(blocks))
            chosen = [blocks[i] for i in sorted(order[: math.ceil(share * len(blocks))])]
            pieces += [
                _Piece(problems=problems, blocks=chosen[i : i + PIECE]) for i in range(0, len(chosen), PIECE)
            ]
        return pieces

    def _prepare(self, problems: int, standardise: bool) -> list[Scaling]:
        """Moments of every row by problem; of some rows the products that whiten."""
        import torch

        rows = {held: [block.rows for block in blocks] for held, blocks in self.blocks.items()}
        n = sum(part.stop - part.start for parts in rows.values() for part in parts)
        share = min(1.0, max(GRAM_ROWS, 4 * self.d) / n)
        rng = np.random.default_rng(0)  # a stride would meet the same positions of every document
        moments: dict[tuple[int, ...], RowMoments] = {}
        products: list[RowMoments] = []
        for held, blocks in self.blocks.items():
            moments[held] = together(self.pool.map(self._moments, blocks))
            every = np.concatenate([np.arange(part.start, part.stop) for part in rows[held]])
            some = every[rng.random(len(every)) < share]
            cuts = [some[i : i + PIECE * BLOCK] for i in range(0, len(some), PIECE * BLOCK)]
            products += self.pool.map(self._products, cuts)
        whole = scaling_of(together(moments.values()), standardise)
        # R'R = Gram matrix of a sample + l2 K, the Hessian at W = 0 times K
        gram = np.zeros((self.d, self.d))
        if products:
            some_rows = together(products)
            gram = some_rows.squares / some_rows.n / np.outer(whole.divisor, whole.divisor)
        gram[np.diag_indices(self.d)] += self.l2 * self.n_labels
        self.factor: torch.Tensor = torch.linalg.cholesky(torch.from_numpy(gram), upper=True).to(self.device)
        self.divisor = whole.divisor
        self.near = torch.from_numpy(whole.mean).float().to(self.device)
        return [
            scaling_of(together(m for held, m in moments.items() if k in held), standardise)
            for k in range(problems)
        ]

    def _moments(self, block: _Block) -> RowMoments:
        """Of a block's rows."""
        import torch

        x = self.x[block.rows]
        if block.scale is not None:
            x = x * block.scale.cpu()
        u = x - (near := x.mean(0))
        rest = u.double().sum(0).numpy()
        return RowMoments(
            n=len(x),
            mean=near.double().numpy() + rest / len(x),
            squares=(u * u).sum(0, dtype=torch.float64).numpy() - rest * rest / len(x),
        )

    def _products(self, rows: NDArray[np.int64]) -> RowMoments:
        """Of some rows, with all products."""
        import torch

        x = self.x[torch.from_numpy(rows)]
        if self.unit:
            x *= reciprocal_norms(x)[:, None]
        u = x.double()
        u -= (mean := u.mean(0))
        return RowMoments(n=len(u), mean=mean.numpy(), squares=(u.T @ u).numpy())

    def parameters(self, k: int, v: Floats) -> tuple[Floats, Floats]:
        """Whitened coordinates -> problem k's weights [d, K] on its centred, divided features, and bias [K]."""
        import torch

        # 1/K is the curvature at 0 in whitened coordinates; its root makes the first step about right
        v = v.reshape(self.d + 1, self.n_labels) * math.sqrt(self.n_labels)
        # torch's solver, since numpy's threads spin on after a call and take the cores from the products
        on_features = torch.from_numpy(v[:-1]).to(self.device)
        weights = torch.linalg.solve_triangular(self.factor, on_features, upper=True).cpu().numpy()
        on_raw = weights / self.divisor[:, None]
        scale, offset = self._own(k)
        return scale * on_raw, v[-1] + offset @ on_raw

    def _own(self, k: int) -> tuple[Floats, Floats]:
        """What divides problem k's features [d, 1], and how far from `near` their mean lies [d]; 0 where constant."""
        part = self.parts[k]
        varies = np.isfinite(part.divisor)
        offset = part.mean - self.near.cpu().double().numpy()
        return np.where(varies, part.divisor, 0)[:, None], np.where(varies, offset, 0)

    def __call__(self, points: Mapping[int, Floats], *, share: float = 1.0) -> dict[int, Value]:
        """The objectives of some problems, each at its own point [(d + 1) * K], on all rows or those of a sample."""
        parameters = {k: self.parameters(k, v) for k, v in points.items()}
        sums, found = self._pass(parameters, self.samples[share], share in self.rounded), {}
        for k, (weights, _) in parameters.items():
            part, here = self.parts[k], sums[k]
            scale, offset = self._own(k)
            g_raw = here.gradient[: self.n_labels].cpu().numpy().T / here.n
            g_bias = here.bias[: self.n_labels].cpu().numpy() / here.n
            g = (g_raw - np.outer(offset, g_bias)) / part.divisor[:, None] + self.l2 * weights
            on_raw = scale * g + np.outer(offset, g_bias)
            whitened = np.concatenate([self._solve_transposed(on_raw / self.divisor[:, None]), g_bias[None]])
            found[k] = Value(
                value=float(here.loss) / here.n + self.l2 / 2 * float((weights**2).sum()),
                gradient=whitened.ravel() * math.sqrt(self.n_labels),
                gradient_norm=math.sqrt(float((g**2).sum() + (g_bias**2).sum())),
            )
        return found

    def _pass(
        self, parameters: Mapping[int, tuple[Floats, Floats]], pieces: Sequence[_Piece], rounded: bool
    ) -> dict[int, _Sums]:
        """Sums over the pieces' rows by problem.

        Centred before they are rounded, the values of a feature lose nothing to its mean.
        """
        import torch

        dtype = torch.bfloat16 if rounded else torch.float32
        w = torch.zeros(len(self.parts), self.width, self.d, dtype=dtype)
        b = torch.full((len(self.parts), self.width), -torch.inf)
        for k, (weights, bias) in parameters.items():
            on_raw = weights / self.parts[k].divisor[:, None]
            w[k, : self.n_labels] = torch.from_numpy(on_raw.T)
            b[k, : self.n_labels] = torch.from_numpy(bias - self._own(k)[1] @ on_raw)
        asked = {}
        for held in dict.fromkeys(piece.problems for piece in pieces):
            if wanted := [k for k in held if k in parameters]:
                places = torch.tensor([held.index(k) for k in wanted])
                asked[held] = _Asked(
                    problems=wanted,
                    places=None if len(wanted) == len(held) else places.to(self.device),
                    w=w[wanted].reshape(-1, self.d).T.contiguous().to(self.device),
                    b=b[wanted].to(self.device),
                )
        pieces = [piece for piece in pieces if piece.problems in asked]
        work = [(piece.blocks, asked[piece.problems], rounded) for piece in pieces]
        found = {k: self._nothing() for k in parameters}
        each = self.pool.map if self.device.type == "cpu" else map  # one thread keeps a GPU busy
        for piece, here in zip(pieces, each(self._sums, *zip(*work, strict=True)), strict=True):
            for i, k in enumerate(asked[piece.problems].problems):
                found[k].n += here.n
                found[k].loss += here.loss[i]
                found[k].gradient += here.gradient[i]
                found[k].bias += here.bias[i]
        return found

    def _nothing(self, *problems: int) -> _Sums:
        """Sums over no rows."""
        import torch

        zeros = partial(torch.zeros, dtype=torch.float64, device=self.device)
        return _Sums(
            n=0,
            loss=zeros(problems),
            gradient=zeros((*problems, self.width, self.d)),
            bias=zeros((*problems, self.width)),
        )

    def _sums(self, blocks: Sequence[_Block], asked: _Asked, rounded: bool) -> _Sums:
        """Sums over the rows of blocks; in a thread of its own."""
        import torch

        sums = self._nothing(len(asked.problems))
        gradient = sums.gradient.view(-1, self.d)
        for block in blocks:
            x = self._features(block, rounded)
            y = block.y if asked.places is None else block.y.index_select(1, asked.places)
            logits = (x @ asked.w).view(len(x), -1, self.width) + asked.b  # float32, as b is
            log_p = torch.log_softmax(logits, 2)
            sums.n += len(x)
            sums.loss -= log_p.gather(2, y).sum((0, 2), dtype=torch.float64)
            error = log_p.clamp_(min=LEAST_LOG_P).exp_()
            error.scatter_add_(2, y, torch.full((1, 1, 1), -1.0, device=self.device).expand(y.shape))
            sums.bias += error.sum(0)
            # this way round: x.T @ error runs at half the speed
            gradient += error.to(x.dtype).view(len(x), -1).T @ x
        return sums

    def _features(self, block: _Block, rounded: bool) -> "torch.Tensor":
        """A block's features less `near`, [rows, d]; rounded ones are kept."""
        import torch

        if rounded and block.kept:
            return block.kept[0]
        x = self.there[block.rows].to(self.device)
        x = x - self.near if block.scale is None else torch.addcmul(-self.near, x, block.scale)
        if not rounded:
            return x
        block.kept.append(x.to(torch.bfloat16))
        return block.kept[0]

    def _solve_transposed(self, g: Floats) -> Floats:
        """R'^-1 g."""
        import torch

        found = torch.linalg.solve_triangular(self.factor.T, torch.from_numpy(g).to(self.device), upper=False)
        return np.asarray(found.cpu().numpy())

    def forget(self) -> None:
        """Give back the memory of the samples' rounded features."""
        for block in itertools.chain(*self.blocks.values()):
            block.kept.clear()
