"""Geometry with the first position: what the numbers that leave it out would be with it, on all documents."""

from collections.abc import Sequence

import numpy as np
from layerclaims.metrics import geometry, moments, subspaces
from layerclaims.metrics.moments import Moments
from numpy.typing import NDArray

Floats = NDArray[np.float64]
States = NDArray[np.float32]


class WithFirst:
    """The path of the layers, what neighbours miss and effective ranks, a state at a time, in order of depth.

    Sums add up: only the first positions are read once more.
    """

    def __init__(self, layers: Sequence[int], halves: NDArray[np.int64], device: str) -> None:
        """`layers` are the states of the path, `halves` [documents] is 0 or 1; `device` as `spectra` takes it."""
        self._layers, self._halves, self._device = layers, halves, device
        self._paths = {kind: geometry.PathMoments({"layers": layers}, device) for kind in ("raw", "unit")}
        self._missed: list[float] = []
        self._ranks: list[float] = []
        self._last: tuple[list[Floats], Floats] | None = None  # covariances by half, directions

    def update(self, state: int, raw: Moments, unit: Moments, first: States, scaled: States) -> None:
        """Add a state: moments of its later positions, as they are and of unit vectors by half; the first positions.

        `first` and `scaled` [documents, positions, d] hold those, `scaled` as it goes into unit vectors; no position
        at all where nothing was left out.
        """
        if state not in self._layers:
            return
        raw, unit = raw.over_folds(), unit.over_folds()
        if first.shape[1]:
            one = np.zeros(len(first), dtype=np.int64)
            raw += moments.state_moments(first, one, unit=False, first=0, device=self._device)
            unit += moments.state_moments(scaled, one, self._halves, unit=True, first=0, device=self._device)
        self._paths["raw"].update(state, raw)
        self._paths["unit"].update(state, unit)
        self._ranks.append(subspaces.effective_rank(unit.covariance(), self._device))
        covariances = [unit.covariance(half=half).matrix for half in range(2)]
        directions = subspaces.directions(covariances, device=self._device)
        if self._last is not None:
            self._missed.append(subspaces.missed_share(*self._last, directions))
        self._last = covariances, directions

    def arrays(self) -> dict[str, Floats]:
        """Centroids "raw" and "unit" [S, 2], "missed" [S - 1] and "ranks" [S]."""
        return {
            **{kind: path.centroids("layers") for kind, path in self._paths.items()},
            "missed": np.array(self._missed),
            "ranks": np.array(self._ranks),
        }
