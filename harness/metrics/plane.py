"""The plane of a sample's first two principal components, and a grid of whole numbers that a plane is drawn on.

A sample is some tokens in every state of a path: vectors [S, m, d]. Places in a plane are [S, m, 2].
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from layerclaims.errors import NotTestedError
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CELLS: Final = 1000  # of the grid along either axis: finer than a printed point


@dataclass(frozen=True, kw_only=True)
class Plane:
    """Where the vectors of a sample lie in the plane of its first two principal components."""

    places: Floats  # [S, m, 2]
    shares: Floats  # [2], of the sample's variance


def principal_plane(vectors: NDArray[Any]) -> Plane:
    """PCA of a whole sample [S, m, d], of its covariance or its Gram matrix, whichever is smaller.

    The axes' signs are set so that the path of the states' means ends at higher coordinates than it began. Where d is
    1 the second coordinate is 0. NotTestedError where a value is not finite, or all vectors are the same.
    """
    from scipy.linalg import eigh

    states, m, d = vectors.shape
    x = np.asarray(vectors, dtype=np.float64).reshape(-1, d)
    if not np.isfinite(x).all():
        raise NotTestedError("Some vectors of the sample have values that are not finite.")
    x = x - x.mean(axis=0)
    total = float(np.einsum("nd,nd->", x, x))
    if not 0 < total < np.inf:
        raise NotTestedError("All vectors of the sample are the same, or too large to be squared.")
    wide = d > len(x)
    matrix = x @ x.T if wide else x.T @ x
    values, directions = eigh(matrix, subset_by_index=(max(0, len(matrix) - 2), len(matrix) - 1))
    values = np.maximum(values[::-1], 0)
    places = directions[:, ::-1] * np.sqrt(values) if wide else x @ directions[:, ::-1]
    if places.shape[1] == 1:
        places, values = np.hstack([places, np.zeros_like(places)]), np.append(values, 0.0)
    places = places.reshape(states, m, 2)
    steps = places[-1].mean(axis=0) - places[0].mean(axis=0)
    return Plane(places=places * np.where(steps < 0, -1.0, 1.0), shares=np.minimum(values / total, 1.0))


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Places of a plane as whole numbers: cell k of an axis stands for low + k * step."""

    cells: NDArray[np.int64]  # [S, m, 2], 0 to CELLS - 1
    low: tuple[float, float]
    step: tuple[float, float]


def on_grid(places: NDArray[Any], *, alike: bool) -> Grid:
    """Places [S, m, 2] on a grid that they fill; with `alike` one unit is as long on either axis.

    NotTestedError where a place is not finite.
    """
    x = np.asarray(places, dtype=np.float64)
    if not np.isfinite(x).all():
        raise NotTestedError("Some places in the plane are not finite.")
    low, high = x.min(axis=(0, 1)), x.max(axis=(0, 1))
    extent = high - low
    if alike:
        extent = np.full(2, extent.max())
        low = (low + high - extent) / 2  # the narrower axis lies in the middle
    step = np.where(extent > 0, extent, 1.0) / (CELLS - 1)
    cells = np.clip(np.rint((x - low) / step), 0, CELLS - 1).astype(np.int64)
    return Grid(cells=cells, low=(float(low[0]), float(low[1])), step=(float(step[0]), float(step[1])))
