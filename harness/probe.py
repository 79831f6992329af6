"""The layer probe: multinomial logistic regression on standardised features, with a convergence certificate."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.claim import Certificate
from harness.lockstep import side_by_side
from harness.objective import (
    BLOCK,
    Floats,
    Objective,
    Point,
    Rows,
    TrainingSet,
    Value,
    as_tensor,
    reciprocal_norms,
)

if TYPE_CHECKING:
    import torch

L2 = 1e-4  # held-out accuracy on SmolLM2 is flat around it; weaker asks for ever more iterations
TOLERANCE = 2e-3  # relative gap at which held-out accuracy was seen to lie within .001 of the optimum's
NOTHING = 1e-6  # relative gap up to which no weights at all are the solution, and others are rounding
WINDOW = 10  # iterations over which progress is judged
ROUNDED_TOLERANCE = 1e-3  # ten times the relative error that rounding was seen to make in the objective


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
        weights, bias = self._on_raw()
        x = as_tensor(np.ascontiguousarray(X))
        out = x @ weights
        if self.unit:
            out *= reciprocal_norms(x)[:, None]
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
    the data are read as they are, in float32, block by block, so that the matrix may as well be one of numpy's
    memory maps. Sums over blocks are float64. On many vectors it starts from the solution on a sample of them.

    On many vectors, where the processor multiplies bfloat16 matrices faster, centred features, weights and errors
    are rounded to it (a relative error of 2^-9, without a sign that persists) until the gap is small; at most a
    quarter of X's memory holds rounded features. Objective, gradient and gap of the certificate are those of
    float32, the gap widened by what rounding changed, and the solver goes on in float32 where that is too much.
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
        rows = [slice(0, len(X))] if rows is None else rows
        n_labels = int(y.max()) + 1 if n_labels is None else n_labels
        (probe,) = self.fit_together(X, [TrainingSet(rows=rows, y=y)], unit=unit, n_labels=n_labels)
        return probe

    def fit_together(
        self,
        X: NDArray[np.float32],
        sets: Sequence[TrainingSet],
        *,
        unit: bool = False,
        n_labels: int,
    ) -> list[Probe]:
        """One probe for each of several training sets that share rows of X [n, d]: folds, or label sets.

        Each has a solver of its own; they advance side by side, so that a block is read once for all sets that
        hold it, and one wide matrix product costs about half of the narrow ones. ValueError as `fit` raises it.
        """
        from threadpoolctl import threadpool_limits

        objective = Objective(X, sets, unit=unit, n_labels=n_labels, l2=self.l2, standardise=self.standardise)
        rounds = objective.large and self.tolerance >= ROUNDED_TOLERANCE and _multiplies_bfloat16()
        starts, warm = [np.zeros((objective.d + 1) * n_labels)] * len(sets), False
        # scipy's own threads spin on after each small product and take the cores from the large ones
        with threadpool_limits(1, user_api="blas"):
            for share in list(objective.samples)[:-1]:
                tasks = [partial(self._start, v=v, rounded=rounds, warm=warm) for v in starts]
                starts, warm = side_by_side(tasks, partial(objective, share=share)), True
            roundings = (True, False) if rounds else (False,)
            last = [partial(self._solve, v=v, roundings=roundings, warm=warm) for v in starts]
            solutions = side_by_side(last, objective)
        probes = []
        for part, solution in zip(objective.parts, solutions, strict=True):
            weights, bias = objective.parameters(part, solution.v)
            weights = weights - weights.mean(1, keepdims=True)  # rounding aside this is so at the minimum
            if not self.standardise:
                weights = weights * np.where(np.isfinite(part.sd), part.sd, 0)[:, None]
            probes.append(
                Probe(
                    weights=weights,
                    bias=bias - bias.mean(),
                    mean=part.mean,
                    sd=part.sd,
                    unit=unit,
                    certificate=solution.certificate,
                )
            )
        return probes

    def _start(self, ask: "Callable[[Point], Value]", *, v: Floats, rounded: bool, warm: bool) -> Floats:
        """About where the objective of a sample is least."""
        progress = _Progress(l2=self.l2, tolerance=self.tolerance, warm=warm)
        return _minimise(ask, v, self.max_iterations, progress, rounded)[0]

    def _solve(
        self, ask: "Callable[[Point], Value]", *, v: Floats, roundings: Sequence[bool], warm: bool
    ) -> "_Solution":
        """Minimise from v in one or two rounds, the last of them in float32, as long as it is needed."""
        at, iterations = ask(Point(v=v, rounded=False)), 0
        gap = _Progress(l2=self.l2, tolerance=self.tolerance, warm=warm).gap(at)
        for rounded in roundings:
            # labels whose vectors are the same have no gradient but rounding; followed, it would look like weights
            if iterations >= self.max_iterations or gap <= (self.tolerance if iterations else NOTHING):
                break
            aim = 0.9 * self.tolerance if rounded else self.tolerance  # room for what rounding changes
            progress = _Progress(l2=self.l2, tolerance=aim, warm=warm)
            v, more = _minimise(ask, v, self.max_iterations - iterations, progress, rounded)
            iterations += more
            at = ask(Point(v=v, rounded=False))
            gap = progress.gap(at)
            if rounded and progress.values:
                gap += abs(progress.values[-1] / at.value - 1)  # what rounding changes in the objective
        finite = math.isfinite(at.value) and np.isfinite(at.gradient).all()
        return _Solution(
            v=v,
            certificate=Certificate(
                converged=bool(finite and gap <= self.tolerance),
                iterations=iterations,
                gradient_norm=at.gradient_norm,
                relative_gap=gap,
            ),
        )


@dataclass(frozen=True, kw_only=True)
class _Solution:
    v: Floats
    certificate: Certificate


def _multiplies_bfloat16() -> bool:
    """Whether the processor has units for products of bfloat16 matrices; without, they are slower than others."""
    import torch

    tell: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)  # torch 2.6 has none
    return bool(tell().get("amx_bf16", False))


def _minimise(
    ask: Callable[[Point], Value], start: Floats, iterations: int, progress: "_Progress", rounded: bool
) -> tuple[Floats, int]:
    """The point and the number of iterations at which L-BFGS ends, or is ended by `progress`."""
    from scipy.optimize import minimize

    def objective(v: Floats) -> tuple[float, Floats]:
        progress.last = ask(Point(v=v.copy(), rounded=rounded))
        return progress.last.value, progress.last.gradient

    result = minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        callback=progress,
        options={
            "maxcor": 30,
            "maxiter": iterations,
            "maxfun": 4 * iterations,
            "ftol": 0.0,
            "gtol": 0.0,
            "maxls": 40,
        },
    )
    return result.x, int(result.nit)


@dataclass(kw_only=True)
class _Progress:
    """Watches one objective and ends its fit once the gap to the optimum is small enough.

    The gap is the smaller of a bound and an estimate. The bound |gradient|^2 / (2 l2) follows from strong
    convexity and is far too large on the way. From zero, the estimate takes progress as geometric: with d1 and d2
    the decreases over the last two windows and r = d2/d1, what remains is d2 r / (1 - r). After a start near the
    optimum the quick phase is over, and the geometric estimate was seen to be four times too small: there the gap
    is taken to fall as 1/k, gradient descent's rate on a convex function, by which about as much remains as the
    later half of the iterations gained; two thirds of it is the middle of what was seen.
    """

    l2: float
    tolerance: float
    warm: bool  # whether the start was near the optimum
    last: Value | None = None
    values: list[float] = field(default_factory=list)  # after each iteration

    def gap(self, at: Value) -> float:
        """At a point, after the iterations that were seen, relative to its value."""
        bound, remaining = at.gradient_norm**2 / (2 * self.l2), math.inf
        seen = len(self.values)
        if self.warm and seen >= WINDOW:
            # none: rounding is all that is left
            remaining = max(0.0, self.values[seen // 2 - 1] - self.values[-1]) * 2 / 3
        elif seen > 2 * WINDOW:
            before, between, last = (self.values[-1 - i * WINDOW] for i in (2, 1, 0))
            d1, d2 = before - between, between - last
            if 0 < d2 < d1:
                ratio = max(d2 / d1, 0.25)  # one lucky window is no reason to stop
                remaining = d2 * ratio / (1 - ratio)
            elif d1 <= 0 and d2 <= 0:
                remaining = 0.0  # rounding is all that is left
        return min(bound, remaining) / at.value if at.value > 0 else 0.0

    def __call__(self, intermediate_result: Any) -> None:
        del intermediate_result  # the last evaluation is of the same point, and knows the gradient's norm
        assert self.last is not None
        self.values.append(self.last.value)
        if self.gap(self.last) <= self.tolerance:
            raise StopIteration
