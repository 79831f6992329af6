"""L-BFGS whose memory survives a change of the objective: what a sample taught serves on all rows."""

from collections import deque
from collections.abc import Callable

import numpy as np
from layerclaims.probing.objective import Value
from layerclaims.probing.scaling import Floats
from numpy.typing import NDArray
from scipy.linalg.blas import saxpy, sdot

PAIRS = 100  # of curvature to remember, 8 bytes a coordinate each
DECREASE, CURVATURE = 1e-4, 0.9  # of the Wolfe conditions, as is usual for quasi-Newton steps
ROUNDING = 1e-4  # of a value: as much may be float32's resolution of the logits, where losses are small
TRIALS = 12  # steps along one line; rounding is all that is left where none of them will do
Single = NDArray[np.float32]


class Descent:
    """Minimises one smooth function after another, each near the one before (Nocedal 1980).

    Curvature pairs (s, y) are of whatever objective they were seen on. They only bend directions: values,
    gradients and what ends a run are those of the present objective.
    """

    def __init__(self) -> None:
        """Without memory: the first direction is the negative gradient."""
        self._pairs: deque[tuple[Single, Single, float]] = deque(maxlen=PAIRS)  # s, y, 1/(s'y)

    def run(
        self,
        ask: Callable[[Floats], Value],
        start: tuple[Floats, Value],
        *,
        iterations: int,
        done: Callable[[Value], bool],
    ) -> tuple[Floats, Value, int]:
        """Go down from a point [n] and its value; the last point, its value and the number of iterations.

        Ends when `done` says so of the value after an iteration, when no step goes down any more, or after
        `iterations`.
        """
        v, at = start
        for iteration in range(iterations):
            found = self._step(ask, v, at)
            if found is None and iteration == 0 and self._pairs:
                self._pairs.clear()  # the curvature was learnt on other rows, and leads nowhere here
                found = self._step(ask, v, at)
            if found is None:
                return v, at, iteration
            there, value = found
            self._remember(there - v, value.gradient - at.gradient)
            v, at = there, value
            if done(at):
                return v, at, iteration + 1
        return v, at, iterations

    def _step(self, ask: Callable[[Floats], Value], v: Floats, at: Value) -> tuple[Floats, Value] | None:
        """A point further down and its value; None where no step goes down."""
        direction = self._direction(at.gradient)
        if not (slope := float(at.gradient @ direction)) < 0:
            return None
        step, below, above = 1.0, 0.0, np.inf
        # bisection between a step that is too short and one that is too long (Lewis, Overton 2013)
        for _ in range(TRIALS):
            there = v + step * direction
            value = ask(there)
            slope_there = float(value.gradient @ direction)
            if not _goes_down(step, slope, at.value, slope_there, value.value):
                above = step
            elif slope_there < CURVATURE * slope:
                below = step
            else:
                return there, value
            step = 2 * step if above == np.inf else (below + above) / 2
        return None

    def _remember(self, s: Floats, y: Floats) -> None:
        product = float(s @ y)  # positive by the Wolfe conditions
        self._pairs.append((s.astype(np.float32), y.astype(np.float32), 1 / product))

    def _direction(self, gradient: Floats) -> Floats:
        """Less the gradient times an estimate of the inverse Hessian: two loops over the pairs.

        By BLAS itself: descents side by side share the interpreter, where numpy takes two to three times as long.
        """
        q, weights = gradient.astype(np.float32), []
        for s, y, inverse in reversed(self._pairs):
            weights.append(inverse * sdot(s, q))
            q = saxpy(y, q, a=-weights[-1])
        if self._pairs:
            _, y, inverse = self._pairs[-1]
            q /= np.float32(inverse * sdot(y, y))
        for (s, y, inverse), weight in zip(self._pairs, reversed(weights), strict=True):
            q = saxpy(s, q, a=weight - inverse * sdot(y, q))
        return -q.astype(np.float64)


def _goes_down(step: float, slope: float, value: float, slope_there: float, value_there: float) -> bool:
    """Whether a step makes enough of its slope; by slopes where values are as good as equal (Hager, Zhang 2005)."""
    by_slopes = value_there <= value + ROUNDING * abs(value) and slope_there <= -0.8 * slope
    return by_slopes or value_there <= value + DECREASE * step * slope
