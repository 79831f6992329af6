"""The layer probe: multinomial logistic regression on standardised features, with a convergence certificate."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.claim import Certificate

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float64]
Rows = Sequence[slice]

L2 = 1e-4  # held-out accuracy on SmolLM2 is flat around it; weaker asks for ever more iterations
TOLERANCE = 2e-3  # relative gap at which held-out accuracy was seen to lie within .001 of the optimum's
BLOCK = 2048  # rows of a pass that stay in cache between the two products that need them
LANES = 16  # classes are padded to a multiple: a matrix product 31 columns wide runs at half speed
NOTHING = 1e-6  # relative gap up to which no weights at all are the solution, and others are rounding
WINDOW = 10  # iterations over which progress is judged
GRAM_ROWS = 20_000  # enough for a Gram matrix that only conditions the problem


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A fitted probe. Its features are z = (scale * x - mean) / sd with scale 1, or 1/|x| where `unit`."""

    weights: Floats  # [d, K] on the standardised features
    bias: Floats  # [K]
    mean: Floats  # [d] of the training features
    sd: Floats  # [d]; infinite for a feature that is constant, whose z is then 0
    unit: bool  # vectors are divided by their norm first
    certificate: Certificate

    def logits(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """X [n, d] -> [n, K]; nothing of the size of X is copied."""
        import torch

        weights, bias = self._on_raw()
        x = torch.from_numpy(np.ascontiguousarray(X))
        out = x @ weights
        if self.unit:
            out *= _reciprocal_norms(x)[:, None]
        return np.asarray((out + bias).numpy())

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.int64]:
        """X [n, d] -> the most likely label of each row [n]."""
        out = np.empty(len(X), dtype=np.int64)
        for start in range(0, len(X), 16 * BLOCK):
            stop = start + 16 * BLOCK
            out[start:stop] = self.logits(X[start:stop]).argmax(1)
        return out

    def masked(self, dimensions: Sequence[int], *, to_mean: bool = False) -> "Probe":
        """The same probe, blind to some dimensions of x: they read 0, or their training mean."""
        weights, bias = self.weights.copy(), self.bias.copy()
        chosen = np.asarray(dimensions, dtype=np.intp)
        if not to_mean:  # a feature that is 0 is -mean/sd after standardising
            bias -= (self.mean[chosen] / self.sd[chosen]) @ weights[chosen]
        weights[chosen] = 0
        return Probe(
            weights=weights,
            bias=bias,
            mean=self.mean,
            sd=self.sd,
            unit=self.unit,
            certificate=self.certificate,
        )

    def _on_raw(self) -> "tuple[torch.Tensor, torch.Tensor]":
        """Weights and bias for features that were not standardised, float32."""
        import torch

        weights = self.weights / self.sd[:, None]
        bias = self.bias - self.mean @ weights
        return torch.from_numpy(weights.astype(np.float32)), torch.from_numpy(bias.astype(np.float32))


@dataclass(frozen=True, kw_only=True)
class LayerProbe:
    """How a probe is fitted: minimise mean cross-entropy + l2/2 |W|^2 over standardised features.

    With `standardise=False` the penalty is on the weights of the features as they come; those of the returned
    probe are stated on standardised ones all the same, so that a share is |weight| whatever was penalised.

    The bias is free. The minimum is unique but for a constant added to the bias. L-BFGS runs in whitened
    coordinates: with G = R'R the Gram matrix of a sample of the training features, V = R W, in which the Hessian
    at W = 0 is the same in all directions. This is a change of variables on the weights, as standardising is:
    the data are read as they are, in float32, and no copy of them is made. Sums over blocks are float64.
    """

    l2: float = L2
    tolerance: float = TOLERANCE  # relative objective gap
    max_iterations: int = 400
    standardise: bool = True

    def __post_init__(self) -> None:
        """Refuse what has no minimum."""
        if not (self.l2 > 0 and self.tolerance > 0 and self.max_iterations > 0):
            raise ValueError("l2, tolerance and max_iterations are positive")

    def fit(
        self,
        X: NDArray[np.float32],
        y: NDArray[np.int64],
        *,
        rows: Rows | None = None,
        unit: bool = False,
        n_labels: int | None = None,
    ) -> Probe:
        """Fit on X [n, d] and labels y [n] in 0..n_labels-1, or on some ranges of their rows.

        `unit` divides each vector by its norm. Deterministic for given data on a given machine. ValueError for
        data that are not finite, an empty training set or a label that is out of range.
        """
        from scipy.optimize import minimize
        from threadpoolctl import threadpool_limits

        rows = [slice(0, len(X))] if rows is None else rows
        n_labels = int(y.max()) + 1 if n_labels is None else n_labels
        objective = _Objective(
            X, y, rows=rows, unit=unit, n_labels=n_labels, l2=self.l2, standardise=self.standardise
        )
        progress = _Progress(objective=objective, l2=self.l2, tolerance=self.tolerance)
        solution, iterations = np.zeros(objective.size), 0
        value, _ = objective(solution)
        # labels whose vectors are the same have no gradient but rounding; followed, it would look like weights
        if not progress.gap(value, objective.gradient_norm) <= NOTHING:
            # scipy's own threads spin on after each small product and take the cores from the large ones
            with threadpool_limits(1, user_api="blas"):
                result = minimize(
                    objective,
                    solution,
                    jac=True,
                    method="L-BFGS-B",
                    callback=progress,
                    options={
                        "maxcor": 30,
                        "maxiter": self.max_iterations,
                        "maxfun": 4 * self.max_iterations,
                        "ftol": 0.0,
                        "gtol": 0.0,
                        "maxls": 40,
                    },
                )
            solution, iterations = result.x, int(result.nit)
        weights, bias = objective.parameters(solution)
        value, gradient = objective(solution)
        norm = objective.gradient_norm
        gap = progress.gap(value, norm)
        weights = weights - weights.mean(1, keepdims=True)  # rounding aside this is so at the minimum
        if not self.standardise:
            weights = weights * np.where(np.isfinite(objective.sd), objective.sd, 0)[:, None]
        return Probe(
            weights=weights,
            bias=bias - bias.mean(),
            mean=objective.mean,
            sd=objective.sd,
            unit=unit,
            certificate=Certificate(
                converged=bool(np.isfinite(value) and np.isfinite(gradient).all() and gap <= self.tolerance),
                iterations=iterations,
                gradient_norm=norm,
                relative_gap=gap,
            ),
        )


@dataclass
class _Progress:
    """Watches the objective and ends the fit once the gap to the optimum is small enough.

    The gap is the smaller of a bound and an estimate. The bound |gradient|^2 / (2 l2) follows from strong
    convexity and is far too large on the way. The estimate takes progress as geometric: with d1 and d2 the
    decreases over the last two windows and r = d2/d1, what remains is d2 r / (1 - r).
    """

    objective: "_Objective"
    l2: float
    tolerance: float
    values: list[float] = field(default_factory=list)

    def gap(self, value: float, gradient_norm: float) -> float:
        """Relative to the objective."""
        bound = gradient_norm**2 / (2 * self.l2)
        remaining = math.inf
        if len(self.values) > 2 * WINDOW:
            d1 = self.values[-1 - 2 * WINDOW] - self.values[-1 - WINDOW]
            d2 = self.values[-1 - WINDOW] - self.values[-1]
            if d1 > 0 and d2 < d1:
                ratio = max(d2 / d1, 0.25)  # one lucky window is no reason to stop
                remaining = d2 * ratio / (1 - ratio)
            elif d1 <= 0 and d2 <= 0:
                remaining = 0.0  # rounding is all that is left
        return float(min(bound, remaining) / value) if value > 0 else 0.0

    def __call__(self, intermediate_result: Any) -> None:
        self.values.append(float(intermediate_result.fun))
        if self.gap(self.values[-1], self.objective.gradient_norm) <= self.tolerance:
            raise StopIteration


class _Objective:
    """Value and gradient of the objective in whitened coordinates, one pass over the training rows."""

    def __init__(
        self,
        X: NDArray[np.float32],
        y: NDArray[np.int64],
        *,
        rows: Rows,
        unit: bool,
        n_labels: int,
        l2: float,
        standardise: bool,
    ) -> None:
        import torch

        self.l2, self.n_labels, self.d = l2, n_labels, X.shape[1]
        self.width = -(-n_labels // LANES) * LANES
        self.blocks = [
            slice(start, min(start + BLOCK, part.stop))
            for part in rows
            for start in range(part.start, part.stop, BLOCK)
        ]
        self.n = sum(block.stop - block.start for block in self.blocks)
        if not self.n:
            raise ValueError("a probe needs at least one training vector")
        if not X.flags.c_contiguous or X.dtype != np.float32:
            raise ValueError(f"the vectors are a C-contiguous float32 matrix, not {X.dtype}")
        labels = np.concatenate([y[block] for block in self.blocks])
        if labels.min() < 0 or labels.max() >= n_labels:
            raise ValueError(f"labels lie in 0..{n_labels - 1}")
        self.x = torch.from_numpy(X)
        self.y = torch.from_numpy(np.ascontiguousarray(y, dtype=np.int64))
        self.scale = torch.cat([_reciprocal_norms(self.x[block]) for block in self.blocks]) if unit else None
        self.mean, self.sd = self._moments()
        # the free bias takes up the mean either way; a constant feature has no weight
        self.divisor = self.sd if standardise else np.where(np.isfinite(self.sd), 1.0, np.inf)
        self.factor = self._factor(l2)
        self.size = (self.d + 1) * n_labels
        self.gradient_norm = math.inf

    def features(self) -> "Iterator[tuple[slice, torch.Tensor, torch.Tensor | None]]":
        """Block, its rows of x, and its row scales."""
        start = 0
        for block in self.blocks:
            stop = start + block.stop - block.start
            yield block, self.x[block], None if self.scale is None else self.scale[start:stop]
            start = stop

    def _moments(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the features, in two passes of float64 sums: no cancellation."""
        import torch

        total = np.zeros(self.d)
        for _, x, scale in self.features():
            total += (x if scale is None else x * scale[:, None]).double().sum(0).numpy()
        mean = total / self.n
        if not np.isfinite(mean).all():
            raise ValueError("the vectors hold values that are not finite")
        squares = np.zeros(self.d)
        for _, x, scale in self.features():
            u = (x if scale is None else x * scale[:, None]).double() - torch.from_numpy(mean)
            squares += (u * u).sum(0).numpy()
        sd = np.sqrt(squares / self.n)
        constant = sd <= 1e-6 * np.abs(mean)  # float32 resolves no less: what varies there is rounding
        return mean, np.where(constant, np.inf, sd)

    def _factor(self, l2: float) -> "torch.Tensor":
        """R [d, d] upper triangular, R'R = Gram matrix of a sample + l2 K, the Hessian at W = 0 times K."""
        import torch

        # drawn at random: a stride would meet the same positions of every document
        wanted = np.sort(np.random.default_rng(0).permutation(self.n)[: max(GRAM_ROWS, 4 * self.d)])
        gram, start = torch.zeros(self.d, self.d, dtype=torch.float64), 0
        mean, sd = torch.from_numpy(self.mean), torch.from_numpy(self.divisor)
        for _, x, scale in self.features():
            inside = wanted[(wanted >= start) & (wanted < start + len(x))] - start
            start += len(x)
            if not len(inside):
                continue
            u = x[inside] if scale is None else x[inside] * scale[inside, None]
            z = ((u.double() - mean) / sd).float()
            gram += z.T @ z
        gram /= min(len(wanted), self.n)
        gram.diagonal().add_(l2 * self.n_labels)
        factor: torch.Tensor = torch.linalg.cholesky(gram, upper=True)
        return factor

    def parameters(self, v: Floats) -> tuple[Floats, Floats]:
        """Whitened coordinates -> weights [d, K] on the centred, divided features, and bias [K]."""
        import torch

        # 1/K is the curvature at 0 in whitened coordinates; its root makes the first step about right
        v = v.reshape(self.d + 1, self.n_labels) * math.sqrt(self.n_labels)
        # torch's solver, since numpy's threads spin on after a call and take the cores from the products
        return torch.linalg.solve_triangular(self.factor, torch.from_numpy(v[:-1]), upper=True).numpy(), v[-1]

    def __call__(self, v: Floats) -> tuple[float, Floats]:
        """Objective and gradient at whitened coordinates v [size]."""
        import torch

        weights, bias = self.parameters(v)
        on_raw = weights / self.divisor[:, None]
        w = torch.zeros(self.d, self.width)
        w[:, : self.n_labels] = torch.from_numpy(on_raw)
        b = torch.full((self.width,), -torch.inf)
        b[: self.n_labels] = torch.from_numpy(bias - (self.mean[:, None] * on_raw).sum(0))
        loss = torch.zeros((), dtype=torch.float64)
        gradient = torch.zeros(self.d, self.width, dtype=torch.float64)
        sums = torch.zeros(self.width, dtype=torch.float64)
        for block, x, scale in self.features():
            logits = x @ w
            if scale is not None:
                logits *= scale[:, None]
            logits += b
            log_p = torch.log_softmax(logits, 1)
            y = self.y[block, None]
            loss -= log_p.gather(1, y).sum(dtype=torch.float64)
            error = log_p.exp_()
            error.scatter_add_(1, y, torch.full_like(y, -1, dtype=error.dtype))
            sums += error.sum(0, dtype=torch.float64)
            if scale is not None:
                error *= scale[:, None]
            gradient += x.T @ error
        g_bias = sums.numpy()[: self.n_labels] / self.n
        g_raw = gradient.numpy()[:, : self.n_labels] / self.n
        g = (g_raw - np.outer(self.mean, g_bias)) / self.divisor[:, None] + self.l2 * weights
        self.gradient_norm = math.sqrt(float((g**2).sum() + (g_bias**2).sum()))
        value = float(loss) / self.n + self.l2 / 2 * float((weights**2).sum())
        solved = torch.linalg.solve_triangular(self.factor.T, torch.from_numpy(g), upper=False).numpy()
        whitened = np.concatenate([solved, g_bias[None]])
        return value, (whitened * math.sqrt(self.n_labels)).ravel()


def _reciprocal_norms(x: "torch.Tensor") -> "torch.Tensor":
    """1/|x| of each row [n], 0 for a zero vector; summed in float64 where float32 could overflow."""
    norms = x.double().norm(dim=1)
    scale: torch.Tensor = (1 / norms).nan_to_num(posinf=0.0).float()
    return scale
