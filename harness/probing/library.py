"""scikit-learn's LogisticRegression as it comes, as a probe with a certificate."""

import math
import warnings
from collections.abc import Iterator

import numpy as np
from layerclaims.probing.certificate import Certificate
from layerclaims.probing.probe import Probe
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]
Labels = NDArray[np.int64]
_BLOCK = 16_384  # rows whose float64 copy is in memory at once


def library_probe(X: Matrix, y: Labels, *, standardise: bool, unit: bool, n_labels: int) -> Probe:
    """scikit-learn's LogisticRegression with all its defaults on X [n, d] and y [n], converged or not.

    It minimises mean cross-entropy + |W|^2 / (2n) (its C = 1 over a sum) and stops after 100 iterations. The
    certificate says converged where it did not warn; gradient norm and gap are computed at its solution. As
    with LayerProbe the probe's weights are stated on standardised features whatever it was fitted on.
    ValueError where a label has no vector.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    features = _unit(X) if unit else X
    mean, sd = _moments(features)
    if standardise:
        features = _standardised(features, mean, sd)
    if len(np.unique(y)) != n_labels:
        raise ValueError(f"each of the {n_labels} labels needs a training vector")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")  # what overflows on the way shows in the certificate
        warnings.simplefilter("always", ConvergenceWarning)
        model = LogisticRegression().fit(features, y)
    weights = np.asarray(model.coef_, dtype=np.float64).T  # [d, K]
    bias = np.asarray(model.intercept_, dtype=np.float64)
    l2 = 1 / len(y)
    if n_labels == 2:  # one logit for both labels: half of it to each, whose penalty weighs twice
        weights, bias, l2 = np.hstack([-weights, weights]) / 2, np.hstack([-bias, bias]) / 2, 2 * l2
    value, gradient_norm = _objective(features, y, weights, bias, l2)
    gap = gradient_norm**2 / (2 * l2) / value if value > 0 else 0.0
    if not standardise:  # x W + b = (x - mean)/sd (sd W) + (b + mean W)
        bias = bias + mean @ weights
        weights = weights * np.where(np.isfinite(sd), sd, 0)[:, None]
    return Probe(
        weights=weights,
        bias=bias,
        mean=mean,
        sd=sd,
        unit=unit,
        certificate=Certificate(
            converged=not caught and math.isfinite(value) and math.isfinite(gradient_norm),
            iterations=int(np.max(model.n_iter_)),
            gradient_norm=gradient_norm,
            relative_gap=gap,
        ),
    )


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK))


def _unit(X: Matrix) -> Matrix:
    """Each row divided by its norm; a zero vector stays."""
    out = np.empty_like(X)
    for block in _blocks(len(X)):
        norms = np.linalg.norm(X[block].astype(np.float64), axis=1, keepdims=True)
        out[block] = X[block] / np.where(norms > 0, norms, 1)
    return out


def _moments(X: Matrix) -> tuple[Floats, Floats]:
    """Mean and standard deviation by feature, infinite where it is constant, as LayerProbe has them."""
    mean = sum((X[b].sum(0, dtype=np.float64) for b in _blocks(len(X))), np.zeros(X.shape[1])) / len(X)
    if not np.isfinite(mean).all():
        raise ValueError("the vectors hold values that are not finite")
    squares = sum((((X[b] - mean) ** 2).sum(0) for b in _blocks(len(X))), np.zeros(X.shape[1]))
    sd = np.sqrt(squares / len(X))
    return mean, np.where(sd <= 1e-6 * np.abs(mean), np.inf, sd)


def _standardised(X: Matrix, mean: Floats, sd: Floats) -> Matrix:
    out = np.empty_like(X)
    for block in _blocks(len(X)):
        out[block] = (X[block] - mean) / sd
    return out


def _objective(X: Matrix, y: Labels, weights: Floats, bias: Floats, l2: float) -> tuple[float, float]:
    """Mean cross-entropy + l2/2 |W|^2 and the norm of its gradient, in float64."""
    from scipy.special import log_softmax

    loss, gradient, sums = 0.0, np.zeros_like(weights), np.zeros_like(bias)
    for block in _blocks(len(X)):
        x, rows = X[block].astype(np.float64), np.arange(len(y[block]))
        log_p = log_softmax(x @ weights + bias, axis=1)
        loss -= float(log_p[rows, y[block]].sum())
        error = np.exp(log_p)
        error[rows, y[block]] -= 1
        gradient += x.T @ error
        sums += error.sum(0)
    gradient = gradient / len(X) + l2 * weights
    norm = math.sqrt(float((gradient**2).sum() + ((sums / len(X)) ** 2).sum()))
    return loss / len(X) + l2 / 2 * float((weights**2).sum()), norm
