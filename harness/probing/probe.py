"""The layer probe: multinomial logistic regression on standardised features, with a convergence certificate."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from layerclaims.probing.certificate import Certificate
from layerclaims.probing.lbfgs import Descent
from layerclaims.probing.lockstep import side_by_side
from layerclaims.probing.objective import BLOCK, Objective, Rows, TrainingSet, Value
from layerclaims.probing.scaling import Floats, as_tensor, reciprocal_norms
from layerclaims.runtime import threads as cores
from layerclaims.runtime.devices import computing
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


L2 = 1e-4  # held-out accuracy on SmolLM2 is flat around it; weaker asks for ever more iterations
TOLERANCE = 4e-3  # relative gap at which held-out accuracy on IMDB was seen within .001 of the optimum's
ON_SAMPLES = 2.5  # times as large a gap ends the fit of a sample, whose optimum lies elsewhere anyway
NOTHING = 1e-6  # relative gap up to which no weights at all are the solution, and others are rounding
FEWEST_ITERATIONS = 8  # from which on progress is judged
STRETCH = 1.75  # of one window of iterations over the one before
LEAST = 0.4  # of the decrease in one window by that in the one before: some lucky steps are no reason to stop


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
    coordinates: with G = R'R the Gram matrix of a sample of the features that any set trains on, V = R W, in which
    the Hessian at W = 0 is the same in all directions. This is a change of variables on the weights, as
    standardising is: the data are read as they are, in float32, block by block, so that the matrix may as well be
    one of numpy's memory maps. Sums over blocks are float64.

    Many vectors are first fitted on samples of them, each from the solution and with the curvature of the one
    before. On samples, where the processor multiplies bfloat16 matrices faster, centred features, weights and
    errors are rounded to it (a relative error of 2^-9, without a sign that persists), and an eighth of X's memory
    holds them, or 256 MB. The fit on all rows, and so the certificate, is of float32.

    On a GPU the products are computed there, in float32, and sums of them and changes of coordinates, in float64.
    LayerclaimsError where its memory runs out.
    """

    l2: float = L2
    tolerance: float = TOLERANCE  # relative objective gap
    max_iterations: int = 400
    standardise: bool = True
    device: str = "cpu"  # torch's name of the one that computes; it has float64

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
        series = [[one] for one in sets]
        return [probe for (probe,) in self.fit_growing(X, series, unit=unit, n_labels=n_labels)]

    def fit_growing(
        self,
        X: NDArray[np.float32],
        series: Sequence[Sequence[TrainingSet]],
        *,
        unit: bool = False,
        n_labels: int,
    ) -> list[list[Probe]]:
        """The probes of several series, equally long, of training sets that share rows of X [n, d].

        The sets of a series grow: each holds the one before, and is fitted from its solution and with what its
        solver learnt of the curvature. Series advance side by side, as in `fit_together`. ValueError as `fit`.
        """
        from threadpoolctl import threadpool_limits

        sets = [one for grown in series for one in grown]
        steps = len(sets) // len(series)
        starts = [np.zeros((X.shape[1] + 1) * n_labels)] * len(series)
        descents = [Descent() for _ in series]
        probes: list[list[Probe]] = [[] for _ in series]
        # numpy's own threads spin on after each small product and take the cores from the large ones
        with (
            threadpool_limits(1, user_api="blas"),
            cores.workers() as pool,
            computing("The fit of the layer probe", self.device),
        ):
            objective = Objective(
                X,
                sets,
                unit=unit,
                n_labels=n_labels,
                l2=self.l2,
                standardise=self.standardise,
                rounds=self.device == "cpu" and multiplies_bfloat16(),
                pool=pool,
                device=self.device,
            )
            for step in range(steps):
                problems = range(step, len(sets), steps)
                for share in objective.samples if step == 0 else [1.0]:
                    tolerance = self.tolerance * (1 if share == 1 else ON_SAMPLES)
                    tasks = [
                        partial(self._solve, descent, v, tolerance)
                        for descent, v in zip(descents, starts, strict=True)
                    ]
                    solutions = side_by_side(tasks, partial(_answer, objective, problems, share))
                    starts = [solution.v for solution in solutions]
                    objective.forget()
                for own, k, solution in zip(probes, problems, solutions, strict=True):
                    own.append(self._probe(objective, k, solution))
        return probes

    def _probe(self, objective: Objective, k: int, solution: "_Solution") -> Probe:
        """Of the objective's k-th problem."""
        part = objective.parts[k]
        weights, bias = objective.parameters(k, solution.v)
        weights = weights - weights.mean(1, keepdims=True)  # rounding aside this is so at the minimum
        if not self.standardise:
            weights = weights * np.where(np.isfinite(part.sd), part.sd, 0)[:, None]
        return Probe(
            weights=weights,
            bias=bias - bias.mean(),
            mean=part.mean,
            sd=part.sd,
            unit=objective.unit,
            certificate=solution.certificate,
        )

    def _solve(
        self, descent: Descent, v: Floats, tolerance: float, ask: Callable[[Floats], Value]
    ) -> "_Solution":
        """Minimise one objective from v, with what the descent remembers."""
        at, iterations = ask(v), 0
        progress = _Progress(l2=self.l2, tolerance=tolerance, values=[at.value])
        # labels whose vectors are the same have no gradient but rounding; followed, it would look like weights
        if progress.gap(at) > NOTHING:
            v, at, iterations = descent.run(ask, (v, at), iterations=self.max_iterations, done=progress.done)
        gap = progress.gap(at)
        finite = math.isfinite(at.value) and np.isfinite(at.gradient).all()
        return _Solution(
            v=v,
            certificate=Certificate(
                converged=bool(finite and gap <= tolerance),
                iterations=iterations,
                gradient_norm=at.gradient_norm,
                relative_gap=float(gap),
            ),
        )


def _answer(
    objective: Objective, problems: Sequence[int], share: float, points: Mapping[int, Floats]
) -> dict[int, Value]:
    """The objective of some problems, points and values by place among those."""
    found = objective({problems[i]: v for i, v in points.items()}, share=share)
    return {i: found[problems[i]] for i in points}


@dataclass(frozen=True, kw_only=True)
class _Solution:
    v: Floats
    certificate: Certificate


def multiplies_bfloat16() -> bool:
    """Whether the processor has units for products of bfloat16 matrices; without, they are slower than others."""
    import torch

    tell: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)  # torch 2.6 has none
    return any(tell().get(unit) for unit in ("amx_bf16", "avx512_bf16"))


@dataclass(kw_only=True)
class _Progress:
    """Watches one objective and ends its fit once the gap to the optimum is small enough.

    The gap is the smaller of a bound and an estimate. The bound |gradient|^2 / (2 l2) follows from strong
    convexity and is far too large on the way. The estimate takes the gap to fall as 1/k^p, an accelerated method's
    rate, with p from the progress itself: with d1 and d2 the decreases over the last two windows of iterations,
    each `STRETCH` times as long as the one before, and r = d2/d1, what remains is d2 r / (1 - r). Where progress
    is geometric this is too much, up to threefold.
    """

    l2: float
    tolerance: float
    values: list[float]  # at the start, and after each iteration

    def gap(self, at: Value) -> float:
        """At a point, after the iterations that were seen, relative to its value."""
        bound, remaining = at.gradient_norm**2 / (2 * self.l2), math.inf
        seen = len(self.values) - 1
        if seen >= FEWEST_ITERATIONS:
            times = [seen / STRETCH**2, seen / STRETCH, seen]
            first, middle, last = np.interp(times, range(seen + 1), self.values)
            if 0 < middle - last < first - middle:
                ratio = max((middle - last) / (first - middle), LEAST)
                remaining = (middle - last) * ratio / (1 - ratio)
            elif first <= middle <= last:
                remaining = 0.0  # rounding is all that is left
        return min(bound, remaining) / at.value if at.value > 0 else 0.0

    def done(self, at: Value) -> bool:
        """Note the value after an iteration; whether it is near enough to the optimum."""
        self.values.append(at.value)
        return self.gap(at) <= self.tolerance
