"""Classifiers in closed form: nearest mean, one shared covariance (LDA), one covariance a layer (QDA).

They say what a probe has to learn: places (means), places and a common shape, or shapes alone. Features are divided by
their deviation within a layer first, as the layer probe standardises them: one dimension that is fifty times as wide
as the others would else decide what counts as near, and how far a covariance is shrunk. A layer is given as pieces
[documents, positions, d] of its vectors, float32, of which a few documents at a time are copied.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import strsm

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]
RIDGE: Final = 1e-4  # of the mean variance, on the diagonal of a shared covariance
_CONSTANT: Final = 1e-6  # of the mean: a deviation that float32 does not resolve
_FLOOR: Final = 1e-6  # of a layer's mean variance; no direction varies by less
_PIECE: Final = 4096  # rows of float32 products held at once


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the layers lie, and how much a feature varies around its layer's mean."""

    means: Floats  # [K, d]
    varying: NDArray[np.int64]  # the features that vary within a layer
    # [d], root of the mean variance within a layer; of a feature that is constant there, deviation of the means;
    # infinite for one that is constant throughout
    deviations: Floats

    def centred(self, x: Vectors, layer: int) -> Vectors:
        """Vectors [n, d] less the mean of a layer, over the deviations: [n, features that vary]."""
        chosen = self.varying
        moved = x - self.means[layer].astype(np.float32)
        return np.ascontiguousarray(moved[:, chosen] / self.deviations[chosen].astype(np.float32))


def places(layers: Sequence[Sequence[Vectors]]) -> Places:
    """Means and deviations of layers, each as pieces of its vectors; ValueError for a layer without vectors."""
    means, variances = [], []
    for pieces in layers:
        n = _count(pieces)
        if not n:
            raise ValueError("a layer without vectors has no mean")
        mean = sum(x.sum(axis=0, dtype=np.float64) for x in _rows(pieces)) / n
        centre = mean.astype(
            np.float32
        )  # first, since a difference of squares would lose what varies far away
        squares = sum(np.einsum("nd,nd->d", x - centre, x - centre, dtype=np.float64) for x in _rows(pieces))
        means.append(mean)
        variances.append(squares / n)
    least = _CONSTANT * np.abs(means).max(axis=0)
    within, between = np.sqrt(np.mean(variances, axis=0)), np.std(means, axis=0)
    deviations = np.where(within > least, within, np.where(between > least, between, np.inf))
    return Places(means=np.array(means), varying=np.flatnonzero(within > least), deviations=deviations)


@dataclass(frozen=True, kw_only=True)
class Linear:
    """A linear classifier: the label of the largest x w_k + b_k."""

    weights: Floats  # [d, K]
    bias: Floats  # [K]

    def predict(self, x: Vectors) -> Labels:
        """Labels [n] of vectors [n, d]."""
        scores = x @ self.weights.astype(np.float32) + self.bias.astype(np.float32)
        return np.asarray(scores.argmax(axis=1), dtype=np.int64)


def nearest_mean(at: Places) -> Linear:
    """The layer whose mean is nearest, features over their deviations."""
    read = np.flatnonzero(np.isfinite(at.deviations))
    return _towards(at, read, np.eye(len(read)))


def shared_covariance(at: Places, covariance: Floats, dimensions: NDArray[np.int64] | None = None) -> Linear:
    """Linear discriminant analysis: the nearest mean under the mean covariance of all layers (Fisher 1936).

    `covariance` is that of the features that vary, as `Shape` has it. With `dimensions` of the d it reads those
    alone; the weights of others are 0.
    """
    d = len(at.deviations)
    read = np.flatnonzero(np.isfinite(at.deviations))
    if dimensions is not None:
        read = np.intersect1d(dimensions, read)
    every = np.zeros((d, d))
    every[np.ix_(at.varying, at.varying)] = covariance
    return _towards(at, read, every[np.ix_(read, read)])


def _towards(at: Places, read: NDArray[np.int64], covariance: Floats) -> Linear:
    """The nearest mean under a covariance of some features over their deviations."""
    ridged = covariance + RIDGE * np.eye(len(read))  # the mean variance is 1
    middle = at.means.mean(axis=0)
    means = (at.means - middle)[:, read] / at.deviations[read]
    solved = np.linalg.solve(ridged, means.T)
    weights = np.zeros(at.means.T.shape)
    weights[read] = solved / at.deviations[read, None]
    return Linear(weights=weights, bias=-0.5 * np.einsum("kd,dk->k", means, solved) - middle @ weights)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The covariance of one layer around its mean, shrunk: C = (1 - s) S + s mu I, mu = tr S / d."""

    covariance: NDArray[np.float32]  # S [d, d], of features over their deviations
    shrinkage: float  # s
    factor: NDArray[np.float32]  # [d, d], column-major and lower triangular: C = F F'
    log_determinant: float  # of C
    size: float  # root of mu

    def forms(self, x: Vectors) -> Floats:
        """x' C^-1 x of vectors [n, d] around the mean of their own layer: [n]."""
        found = np.empty(len(x))
        for start in range(0, len(x), _PIECE):
            solved = strsm(1.0, self.factor, x[start : start + _PIECE].T, lower=1)  # [d, n]
            found[start : start + _PIECE] = np.einsum("dn,dn->n", solved, solved, dtype=np.float64)
        return found


def shape(pieces: Sequence[Vectors], at: Places, layer: int) -> Shape:
    """The shape of a layer, given as pieces of its vectors; the shrinkage is that of Ledoit and Wolf (2004).

    s = min(1, b / a), a = |S - mu I|^2 and b = sum_k |x_k x_k' - S|^2 / n^2, |.| the Frobenius norm. A layer that
    does not vary at all has the shape of a point.
    """
    d, n = len(at.varying), _count(pieces)
    square, fourth = np.zeros((d, d), dtype=np.float32), 0.0
    for rows in _rows(pieces):
        x = at.centred(rows, layer)
        square += x.T @ x
        fourth += float((np.einsum("nd,nd->n", x, x, dtype=np.float64) ** 2).sum())
    covariance = square / np.float32(n)
    size = float(np.einsum("ij,ij->", covariance, covariance, dtype=np.float64))
    variance = float(np.trace(covariance, dtype=np.float64)) / max(1, d)
    spread, error = size - d * variance**2, (fourth / n - size) / n
    s = min(1.0, max(0.0, error / spread)) if spread > 0 else 1.0
    shrunk = (1 - s) * covariance.astype(np.float64)
    shrunk[np.diag_indices(d)] += s * variance + (_FLOOR * variance or _FLOOR**2)
    factor = np.linalg.cholesky(shrunk)
    return Shape(
        covariance=covariance,
        shrinkage=s,
        factor=np.asfortranarray(factor, dtype=np.float32),
        log_determinant=2 * float(np.log(np.diag(factor)).sum()),
        size=float(np.sqrt(variance)),
    )


@dataclass(frozen=True, kw_only=True)
class Likelihoods:
    """How likely vectors around their own layer's mean are under the shape of each layer: a quadratic classifier."""

    forms: Floats  # [n, K], x' C_k^-1 x
    log_determinants: Floats  # [K]
    sizes: Floats  # [K]
    d: int

    def likeliest(self) -> Labels:
        """Labels [n]: of the largest - x' C_k^-1 x / 2 - log det C_k / 2."""
        return np.asarray((self.forms + self.log_determinants).argmin(axis=1), dtype=np.int64)

    def likeliest_of_one_size(self, own: Labels) -> Labels:
        """The same after vectors were divided by the size of their own layer [n], and shapes by theirs."""
        sizes = np.where(self.sizes > 0, self.sizes, 1.0)
        forms = self.forms * (sizes / sizes[own][:, None]) ** 2
        return np.asarray(
            (forms + self.log_determinants - 2 * self.d * np.log(sizes)).argmin(axis=1), dtype=np.int64
        )


def _count(pieces: Sequence[Vectors]) -> int:
    return sum(piece.shape[0] * piece.shape[1] for piece in pieces)


def _rows(pieces: Sequence[Vectors]) -> Iterator[Vectors]:
    """Their vectors [n, d], some documents at a time."""
    for piece in pieces:
        step = max(1, _PIECE // piece.shape[1])
        for start in range(0, len(piece), step):
            yield piece[start : start + step].reshape(-1, piece.shape[-1])
