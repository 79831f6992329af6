"""How norms grow with depth: the rate of growth, and an exponential against other laws of two parameters.

States here are 1..L, the raw residual stream after each block; state 0, the embedding, is no step of the growth.
All errors are taken of the logarithm of a norm, by laws that were fitted to logarithms, so that none has to be
brought from one scale to another.
"""

from math import inf, nan
from typing import Any, Final

import numpy as np
from layerclaims.metrics.norms import checked
from layerclaims.statistics.estimate import Estimate
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RESOLUTION: Final = (
    2.0**-23
)  # relative spacing of float32: what states on disk cannot tell apart counts as equal
RESAMPLES: Final = 1999  # of the documents: 100 lie beyond either border of the 5 % that decide
POWERS: Final = (1, 2, 3)  # of the layer in a rival law a + b i^p
LAWS: Final = ("exponential", "a + b i", "a + b i^2", "a + b i^3", "a i^b")
_GRID: Final = np.concatenate([[-inf], np.arange(-7.0, 21.0, 0.5)])  # of log c in log(1 + c f)
_STEPS: Final = 6  # of Gauss and Newton from the best point of the grid: errors are right to 4e-5
_CELLS: Final = 2**17  # numbers held at once: 1 MB, which fits the cache of a core


def growth_rate(sums: Floats) -> Floats:
    """Slope of the logarithm of the mean norm on the layer: sums [..., L] of states 1..L -> [...], per layer.

    b = sum_i (i - mean i) log m_i / sum_i (i - mean i)^2, by least squares; norms grow by the factor exp(b)
    a layer. Sums stand in for means m_i, since all layers have the same vectors. A slope that float32
    states cannot tell from 0 is 0. NaN for fewer than 2 layers, or a norm that is 0 or not finite.

    Source: Heimersheim & Turner, "Residual stream norms grow exponentially over the forward pass" (2023).
    """
    sums = np.asarray(sums, dtype=np.float64)
    weights = _slope_weights(sums.shape[-1])
    with np.errstate(all="ignore"):
        return _rounded(np.log(sums) @ weights)


def growth_support(columns: Floats) -> tuple[float, float]:
    """Bounds for `growth_rate`: columns [documents, L] -> (-s, s), s the steepest slope of any mix of them.

    A layer's mean over any weights of the documents lies between its smallest and its largest document, so
    no resample goes beyond. Where all documents agree the bootstrap needs bounds for documents not seen:
    they are taken to rise or fall no faster than those seen could. NaN where `growth_rate` is.
    """
    columns = checked(columns)
    weights = _slope_weights(columns.shape[1])
    with np.errstate(all="ignore"):
        lowest, highest = np.log(columns.min(axis=0)), np.log(columns.max(axis=0))
        up = np.where(weights > 0, highest, lowest) @ weights
        down = np.where(weights > 0, lowest, highest) @ weights
    steepest = float(_rounded(np.maximum(abs(up), abs(down))))
    return -steepest, steepest


def fit_errors(sums: Floats) -> Floats:
    """Leave-one-layer-out error of five laws of growth, of log norms: sums [..., L] -> [..., 5] as in `LAWS`.

    Each law has two parameters, which are fitted by least squares of log m_i to all layers but one; the law then
    predicts that one. The error is the root mean square of log(predicted / actual) over the layers.

    The exponential, log m = s + b i, and the power law, log m = s + b log i, are lines: leaving layer i out changes
    its residual e_i to e_i / (1 - h_i), h_i the diagonal of the hat matrix (Allen 1974). The rivals a + b f(i) with
    f = i, i^2, i^3 and a, b >= 0 are log m = s + log(1 + c f) in s and c >= 0. For each c the best s is a mean, so
    only c is searched: on a grid of its logarithm, then by Gauss-Newton steps.

    NaN for fewer than 3 layers, or norms as in `growth_rate`.
    """
    sums = np.asarray(sums, dtype=np.float64)
    layers = sums.shape[-1]
    flat = sums.reshape(-1, layers)
    errors = np.full((len(flat), len(LAWS)), nan)
    with np.errstate(all="ignore"):
        logs = np.log(flat)
    sound = np.isfinite(logs).all(axis=1)
    if layers >= 3 and sound.any():  # two points leave one, which says nothing of a slope
        y = logs[sound] - logs[sound].mean(axis=1, keepdims=True)
        i = np.arange(1.0, layers + 1)
        rivals = [_left_out_of_curve(y, (i / layers) ** power) for power in POWERS]
        residuals = [_left_out_of_line(y, i), *rivals, _left_out_of_line(y, np.log(i))]
        errors[sound] = np.sqrt(np.mean(np.stack(residuals, axis=1) ** 2, axis=2))
    return errors.reshape(*sums.shape[:-1], len(LAWS))


def fitted_laws(means: Floats) -> Floats:
    """The curves of all laws, fitted to the logarithms of all means [L] of states 1..L: [5, L] as in `LAWS`."""
    i = np.arange(1.0, len(means) + 1)
    y = np.log(np.asarray(means, dtype=np.float64))
    basis = [i, *(_best_curve(y, (i / len(i)) ** power) for power in POWERS), np.log(i)]
    lines = [np.polyval(np.polyfit(x, y, 1), x) for x in (basis[0], basis[-1])]
    curves = [curve + (y - curve).mean() for curve in basis[1:-1]]
    return np.asarray(np.exp(np.stack([lines[0], *curves, lines[1]])))


def advantage(sums: Floats) -> Floats:
    """How much lower the exponential's error is than that of the best other law: sums [..., L] -> [...].

    Errors that float32 states cannot tell apart differ by 0, which is no win.
    """
    errors = fit_errors(sums)
    return _rounded(errors[..., 1:].min(axis=-1) - errors[..., 0])


def exponential_advantage(
    columns: Floats, *, confidence: float = 0.90, resamples: int = RESAMPLES, rng: np.random.Generator
) -> Estimate:
    """`advantage` over resampled documents: columns [documents, L] of states 1..L.

    The interval is the percentile interval of the document bootstrap. At the default 90 % its lower bound is above 0
    exactly when the exponential beats every rival in more than 95 % of the resamples, and its upper bound is at or
    below 0 exactly when it does in fewer than 5 %; resamples count as (k + 1) / (B + 1). BCa would answer another
    question: the row asks for a share of resamples.

    Replicates are NaN, and the bounds too, where an error is. Deterministic for a given generator. ValueError for
    columns without documents.
    """
    columns = checked(columns)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence lies between 0 and 1, not {confidence}")
    documents, layers = columns.shape
    value = float(advantage(columns.sum(axis=0)))
    replicates = np.empty(resamples)
    rows = max(1, _CELLS // (layers * max(layers, len(_GRID))))
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        counts = rng.multinomial(documents, np.full(documents, 1 / documents), size=stop - start)
        replicates[start:stop] = advantage(counts @ columns)
    replicates.sort()
    low = high = nan
    if np.isfinite(value) and np.isfinite(replicates).all():
        # the first k at which (k + 1) / (B + 1), the p-value with k replicates against, reaches the tail
        tail = (1 - confidence) / 2
        k = int(np.sum(np.arange(1, resamples + 1) / (resamples + 1) < tail))
        low = float(replicates[k - 1]) if k else -inf
        high = float(replicates[resamples - k]) if k else inf
    return Estimate(
        value=value,
        low=low,
        high=high,
        confidence=confidence,
        method="percentile",
        n_documents=documents,
        replicates=replicates,
    )


def _slope_weights(layers: int) -> Floats:
    """w [L] with w @ y the least-squares slope of y [L] on the layer; NaN for one layer."""
    i = np.arange(layers) - (layers - 1) / 2
    squares = float(i @ i)
    return np.asarray(i / squares if squares > 0 else np.full(layers, nan))


def _left_out_of_line(y: Floats, x: Floats) -> Floats:
    """Error of a line in x [L] for each layer when it is fitted to the others: y [rows, L] -> [rows, L]."""
    x = x - x.mean()
    leverage = 1 / len(x) + x**2 / (x @ x)
    residuals = y - y.mean(axis=1, keepdims=True) - np.outer(y @ x / (x @ x), x)
    return np.asarray(residuals / (1 - leverage))


def _best_curve(y: Floats, f: Floats) -> Floats:
    """log(1 + c f) with the c >= 0 that fits y [L] best, up to a level: on the grid, which is fine for a drawing."""
    curves = np.log1p(np.exp(_GRID)[:, None] * f)
    errors = y - curves
    return np.asarray(curves[errors.var(axis=1).argmin()])


def _left_out_of_curve(y: Floats, f: Floats) -> Floats:
    """The same of s + log(1 + c f), f [L] positive, c >= 0."""
    layers = len(f)
    others = ~np.eye(layers, dtype=bool)
    curves = np.log1p(np.exp(_GRID)[:, None] * f)  # [grid, L]
    # squared errors of all layers about the best s, then without each layer in turn
    errors = y[:, None, :] - curves  # [rows, grid, L]
    total, squares = errors.sum(axis=2, keepdims=True), (errors**2).sum(axis=2, keepdims=True)
    without = squares - errors**2 - (total - errors) ** 2 / (layers - 1)
    log_c = _GRID[without.argmin(axis=1)]  # [rows, L]: by the layer that is left out
    for _ in range(_STEPS):
        scaled = np.exp(log_c)[:, :, None] * f  # [rows, left out, L]
        slope = scaled / (1 + scaled)
        error = y[:, None, :] - np.log1p(scaled)
        slope -= _mean_of_others(slope, others)[:, :, None]
        error -= _mean_of_others(error, others)[:, :, None]
        slope *= others
        steepness = (slope**2).sum(axis=2)
        step = np.divide(
            (slope * error).sum(axis=2), steepness, out=np.zeros_like(steepness), where=steepness > 1e-18
        )
        log_c = np.clip(log_c + np.clip(step, -1, 1), -inf, _GRID[-1])
    curve = np.log1p(np.exp(log_c)[:, :, None] * f)
    level = _mean_of_others(y[:, None, :] - curve, others)
    at = np.arange(layers)
    return np.asarray(y - level - curve[:, at, at])


def _mean_of_others(values: Floats, others: NDArray[np.bool_]) -> Floats:
    """Mean over all layers but the one left out: values [rows, left out, L] -> [rows, left out]."""
    return np.asarray(np.einsum("rjl,jl->rj", values, others.astype(np.float64)) / (len(others) - 1))


def _rounded(values: Any) -> Floats:
    """0 where a value is below what float32 states resolve, so that rounding decides nothing."""
    values = np.asarray(values, dtype=np.float64)
    return np.where(np.abs(values) < RESOLUTION, 0.0, values)
