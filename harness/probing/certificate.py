"""Certificate: how near to its optimum a fit ended."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """How well the probe behind a number converged: the worst of the fits that it rests on."""

    converged: bool
    iterations: int
    gradient_norm: float
    relative_gap: float  # (objective - optimum) / objective, estimated or bounded

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "converged": self.converged,
            "gradient_norm": self.gradient_norm,
            "iterations": self.iterations,
            "relative_gap": self.relative_gap if math.isfinite(self.relative_gap) else None,
        }


def worst(certificates: Sequence[Certificate]) -> Certificate | None:
    """The certificate that speaks for several fits; None for none."""
    if not certificates:
        return None
    return Certificate(
        converged=all(c.converged for c in certificates),
        iterations=max(c.iterations for c in certificates),
        gradient_norm=max(c.gradient_norm for c in certificates),
        relative_gap=max(c.relative_gap for c in certificates),
    )
