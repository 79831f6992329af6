"""Evidence: the measured numbers that a verdict rests on, each with the region that it has to lie in."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from layerclaims.probing.certificate import Certificate, worst
from layerclaims.statistics.counts import Recipe
from layerclaims.statistics.estimate import Estimate
from layerclaims.verdicts.criterion import Criterion


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a quantity is on a study: an estimate, and all that a verdict has to know of where it came from."""

    name: str = ""  # the quantity's
    estimate: Estimate
    n_documents: int  # test documents behind it
    n_vectors: int
    certificate: Certificate | None = None
    recipe: Recipe | None = None  # how it follows from the counts in results.json
    series: tuple[Any, ...] = ()  # the series that the recipe names
    note: str = ""  # shown with a control


@dataclass(frozen=True, kw_only=True)
class Part:
    """One condition of a claim."""

    finding: Finding
    criterion: Criterion

    def __str__(self) -> str:
        """As in "accuracy above .274"."""
        return f"{self.finding.name} {self.criterion}"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that a verdict rests on. The parts join by "and"; the first one is shown as the claim's number."""

    parts: tuple[Part, ...]
    controls: tuple[Finding, ...] = ()
    figures: tuple[Any, ...] = ()  # shown with the result, drawn later
    facts: Mapping[str, str] = field(default_factory=dict)  # shown beside the result
    needs_convergence: bool = True  # whether a probe that did not converge leaves the verdict open

    def __post_init__(self) -> None:
        """Refuse evidence of nothing."""
        if not self.parts:
            raise ValueError("a claim needs at least one part")

    @property
    def certificate(self) -> Certificate | None:
        """The worst certificate of all parts."""
        return worst([p.finding.certificate for p in self.parts if p.finding.certificate is not None])


def unconverged(*, iterations: int, gradient_norm: float) -> Certificate:
    """The certificate of a probe of which is known that it did not converge, and after how many iterations."""
    return Certificate(
        converged=False, iterations=iterations, gradient_norm=gradient_norm, relative_gap=math.nan
    )
