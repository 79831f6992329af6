"""Classifiers in closed form: nearest mean, one shared covariance (LDA), one covariance a layer (QDA).

They say what a probe has to learn: places (means), places and a common shape, or shapes alone. All take vectors
[n, d] and labels [n] as float32 and integers, and are fitted on sums, so that no copy of the vectors is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]
RIDGE: Final = 1e-4  # of the mean variance, on the diagonal of a shared covariance
_PIECE: Final = 8192  # rows of float32 products held at once


@dataclass(frozen=True, kw_only=True)
class LayerMoments:
    """Means and covariances of the vectors of each layer."""

    counts: NDArray[np.int64]  # [K]
    means: Floats  # [K, d]
    covariances: NDArray[np.float32]  # [K, d, d], around each layer's mean, divided by the count
    shrinkages: Floats  # [K]; see `shrunk`


def layer_moments(layers: Sequence[Sequence[Vectors]]) -> LayerMoments:
    """Moments of some layers, each as pieces [n, d] of its vectors.

    Products are float32, of vectors around the layer's mean: far from the origin their differences would be lost.
    The shrinkage of a covariance S of n vectors towards mu I, mu = tr S / d, is that of Ledoit and Wolf (2004):
    min(1, b / a) with a = |S - mu I|^2 and b = sum_k |x_k x_k' - S|^2 / n^2, |.| the Frobenius norm. ValueError for a
    layer without vectors.
    """
    counts, means, covariances, shrinkages = [], [], [], []
    for pieces in layers:
        n = sum(map(len, pieces))
        if not n:
            raise ValueError("a layer without vectors has no moments")
        mean = sum(piece.sum(axis=0, dtype=np.float64) for piece in pieces) / n
        centre, d = mean.astype(np.float32), len(mean)
        square, fourth = np.zeros((d, d), dtype=np.float32), 0.0
        for piece in pieces:
            for start in range(0, len(piece), _PIECE):
                x = piece[start : start + _PIECE] - centre
                square += x.T @ x
                fourth += float((np.einsum("nd,nd->n", x, x, dtype=np.float64) ** 2).sum())
        covariance = square / np.float32(n)
        size = float(np.einsum("ij,ij->", covariance, covariance, dtype=np.float64))
        variance = float(np.trace(covariance, dtype=np.float64)) / d
        spread, error = size - d * variance**2, (fourth / n - size) / n
        counts.append(n)
        means.append(mean)
        covariances.append(covariance)
        shrinkages.append(min(1.0, max(0.0, error / spread)) if spread > 0 else 1.0)
    return LayerMoments(
        counts=np.array(counts, dtype=np.int64),
        means=np.array(means),
        covariances=np.stack(covariances),
        shrinkages=np.array(shrinkages),
    )


@dataclass(frozen=True, kw_only=True)
class Linear:
    """A linear classifier: the label of the largest x w_k + b_k."""

    weights: Floats  # [d, K]
    bias: Floats  # [K]

    def predict(self, x: Vectors) -> Labels:
        """Labels [n] of vectors [n, d]."""
        scores = x @ self.weights.astype(np.float32) + self.bias.astype(np.float32)
        return np.asarray(scores.argmax(axis=1), dtype=np.int64)


def nearest_mean(moments: LayerMoments) -> Linear:
    """The layer whose mean is nearest, dimensions divided by their deviation within a layer."""
    variance = np.einsum("kii->i", moments.covariances, dtype=np.float64) / len(moments.means)
    return _of_precision(moments, np.divide(1, variance, out=np.zeros_like(variance), where=variance > 0))


def shared_covariance(moments: LayerMoments, dimensions: NDArray[np.int64] | None = None) -> Linear:
    """Linear discriminant analysis: the nearest mean under the mean covariance of all layers (Fisher 1936).

    With `dimensions` it reads those alone; the weights of others are 0.
    """
    d = moments.means.shape[1]
    chosen = np.arange(d) if dimensions is None else dimensions
    pooled = moments.covariances.mean(axis=0, dtype=np.float64)[np.ix_(chosen, chosen)]
    pooled[np.diag_indices_from(pooled)] += RIDGE * np.trace(pooled) / len(pooled) or 1.0
    means = moments.means[:, chosen] - moments.means[:, chosen].mean(axis=0)
    weights = np.zeros((d, len(means)))
    weights[chosen] = np.linalg.solve(pooled, means.T)
    centre = moments.means.mean(axis=0)
    bias = -0.5 * np.einsum("kd,dk->k", means, weights[chosen]) - centre @ weights
    return Linear(weights=weights, bias=bias)


def _of_precision(moments: LayerMoments, precision: Floats) -> Linear:
    weights = (moments.means * precision).T
    return Linear(weights=weights, bias=-0.5 * np.einsum("kd,dk->k", moments.means, weights))


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """A quadratic classifier of vectors around their own layer's mean: the covariance under which they are likeliest.

    -x' C_k^-1 x / 2 - log det C_k / 2, C_k = (1 - s) S_k + s mu_k I the layer's shrunk covariance.
    """

    factors: NDArray[np.float32]  # [K, d, d]: C_k^-1 = F_k F_k'
    constants: Floats  # [K]: log det C_k / 2

    def predict(self, x: Vectors) -> Labels:
        """Labels [n] of centred vectors [n, d]."""
        scores = np.empty((len(x), len(self.factors)))
        for k, (factor, constant) in enumerate(zip(self.factors, self.constants, strict=True)):
            for start in range(0, len(x), _PIECE):
                y = x[start : start + _PIECE] @ factor
                scores[start : start + _PIECE, k] = -0.5 * np.einsum("nd,nd->n", y, y) - constant
        return np.asarray(scores.argmax(axis=1), dtype=np.int64)


def shapes(moments: LayerMoments) -> Shapes:
    """One shrunk covariance a layer, and no mean: what two layers differ in beyond their places."""
    factors, constants = [], []
    for covariance, shrinkage in zip(moments.covariances, moments.shrinkages, strict=True):
        d = len(covariance)
        values, axes = np.linalg.eigh(covariance.astype(np.float64))
        variance = float(np.trace(covariance, dtype=np.float64)) / d
        values = np.maximum((1 - shrinkage) * values + shrinkage * variance, 1e-8 * variance or 1.0)
        factors.append((axes / np.sqrt(values)).astype(np.float32))
        constants.append(0.5 * float(np.log(values).sum()))
    return Shapes(factors=np.stack(factors), constants=np.array(constants))
