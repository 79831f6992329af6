"""Claim, Criterion, Evidence, Verdict, and how one becomes the other: a pure function, `decide`."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeVar

from harness.statistics import Estimate, documents_to_decide, equivalent

MINIMUM_DOCUMENTS = 30  # below it the bootstrap's coverage is not known (DESIGN, "Statistics")

Section = Literal["separability", "norm", "geometry", "attribution", "transfer", "stability", "subspaces"]
Relation = Literal[">", "<", "inside", "contains"]


class Verdict(StrEnum):
    """What a run says of a claim."""

    REPLICATED = "REPLICATED"
    NOT_REPLICATED = "NOT_REPLICATED"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_TESTED = "NOT_TESTED"
    ERROR = "ERROR"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence of the post that can be true or false of a model: one row of the suite."""

    id: str
    section: Section
    statement: str  # what the post says
    source: str  # where the post says it
    estimand: str  # what is estimated, in words
    reported: str | None = None  # what the post measured
    reported_value: float | None = None  # the same as a number on the scale of the estimate
    rationale: str = ""  # why the rule is as it is


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """A success region, declared before any number is seen."""

    relation: Relation
    threshold: float | tuple[float, float]

    def __post_init__(self) -> None:
        """Refuse a region that is none."""
        two = isinstance(self.threshold, tuple)
        if two != (self.relation == "inside") or not all(math.isfinite(bound) for bound in self.bounds):
            raise ValueError(f"{self.relation!r} does not go with the threshold {self.threshold!r}")

    @property
    def bounds(self) -> tuple[float, ...]:
        """The region's finite borders."""
        return self.threshold if isinstance(self.threshold, tuple) else (self.threshold,)

    def holds(self, estimate: Estimate) -> bool | None:
        """True: the interval lies inside the region; False: inside its complement; None: neither.

        A control that must contain a value and does not makes the measurement doubtful, and refutes nothing:
        None.
        """
        low, high = estimate.low, estimate.high
        if not (math.isfinite(low) and math.isfinite(high)):
            return None
        border = self.bounds[0]
        if self.relation == ">":
            return True if low > border else False if high <= border else None
        if self.relation == "<":
            return True if high < border else False if low >= border else None
        if self.relation == "contains":
            return True if low <= border <= high else None
        return equivalent(estimate, self._margin).holds

    def p_value(self, estimate: Estimate) -> float | None:
        """p of "outside the region"; None for a control, and where the estimate is not finite."""
        if self.relation == "contains" or math.isnan(estimate.value):
            return None
        if self.relation == "inside":
            return equivalent(estimate, self._margin).p_value
        p = estimate.p_value(self.bounds[0], "above" if self.relation == ">" else "below")
        return None if math.isnan(p) else p

    @property
    def _margin(self) -> float:
        low, high = self.bounds
        if low != -high:
            raise ValueError(f"an equivalence region lies evenly around zero, not {self.threshold!r}")
        return float(high)

    def __str__(self) -> str:
        """As in "acc > .274"."""
        if self.relation == "inside":
            return f"inside ±{number(self.bounds[1])}"
        return f"{self.relation} {number(self.bounds[0])}"


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


def worst(certificates: "list[Certificate]") -> Certificate | None:
    """The certificate that speaks for several fits; None for none."""
    if not certificates:
        return None
    return Certificate(
        converged=all(c.converged for c in certificates),
        iterations=max(c.iterations for c in certificates),
        gradient_norm=max(c.gradient_norm for c in certificates),
        relative_gap=max(c.relative_gap for c in certificates),
    )


@dataclass(frozen=True, kw_only=True)
class Measured:
    """An estimate with its name and all that a verdict has to know of where it came from."""

    name: str  # short, as in "accuracy on unit vectors"
    estimate: Estimate
    n_documents: int  # test documents behind it
    n_vectors: int
    certificate: Certificate | None = None
    recipe: Mapping[str, Any] | None = None  # how it follows from the counts in results.json; see recipes.py
    note: str = ""  # shown with a control

    def above(self, threshold: float) -> "Part":
        """The claim needs the estimate above the threshold."""
        return Part(measured=self, criterion=Criterion(relation=">", threshold=threshold))

    def below(self, threshold: float) -> "Part":
        """The claim needs the estimate below the threshold."""
        return Part(measured=self, criterion=Criterion(relation="<", threshold=threshold))

    def inside(self, margin: float) -> "Part":
        """The claim needs equivalence: the interval within ±margin."""
        return Part(measured=self, criterion=Criterion(relation="inside", threshold=(-margin, margin)))

    def contains(self, value: float) -> "Part":
        """A control: the interval must contain the value."""
        return Part(measured=self, criterion=Criterion(relation="contains", threshold=value))


@dataclass(frozen=True, kw_only=True)
class Part:
    """One condition of a claim."""

    measured: Measured
    criterion: Criterion

    def __str__(self) -> str:
        """As in "accuracy > .274"."""
        return f"{self.measured.name} {self.criterion}"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that a verdict rests on. The parts join by "and"; the first one is shown as the claim's number."""

    parts: tuple[Part, ...]
    controls: tuple[Measured, ...] = ()
    figures: tuple[str, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)  # named facts shown beside the result

    def __post_init__(self) -> None:
        """Refuse evidence of nothing."""
        if not self.parts:
            raise ValueError("a claim needs at least one part")

    @property
    def certificate(self) -> Certificate | None:
        """The worst certificate of all parts."""
        return worst([p.measured.certificate for p in self.parts if p.measured.certificate is not None])


def decide(evidence: Evidence) -> tuple[Verdict, str]:
    """The verdict and one plain sentence why.

    Every part's interval inside its region: REPLICATED. One inside the complement: NOT_REPLICATED. Otherwise,
    or with a probe that did not converge, fewer than 30 test documents or an interval that is not finite:
    INCONCLUSIVE.
    """
    for part in evidence.parts:
        measured, estimate = part.measured, part.measured.estimate
        if measured.n_documents < MINIMUM_DOCUMENTS:
            return Verdict.INCONCLUSIVE, (
                f"{measured.n_documents} test documents are fewer than the {MINIMUM_DOCUMENTS} below which an "
                "interval is not trusted."
            )
        if measured.certificate is not None and not measured.certificate.converged:
            return Verdict.INCONCLUSIVE, (
                f"The probe behind the {measured.name} did not converge in {measured.certificate.iterations} "
                f"iterations (gradient norm {measured.certificate.gradient_norm:.1e}): its "
                f"{measured.name} of {number(estimate.value)} speaks of the optimiser as much as of the model."
            )
        if not math.isfinite(estimate.value):
            return Verdict.INCONCLUSIVE, (
                f"The {measured.name} is undefined here: there is nothing that it could be made of."
            )
        if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
            return Verdict.INCONCLUSIVE, f"The {measured.name} has no finite interval."
    outcomes = [part.criterion.holds(part.measured.estimate) for part in evidence.parts]
    for part, outcome in zip(evidence.parts, outcomes, strict=True):
        if outcome is False:
            return Verdict.NOT_REPLICATED, f"{_finding(part.measured)}: not {part.criterion}."
    for part, outcome in zip(evidence.parts, outcomes, strict=True):
        if outcome is None:
            return Verdict.INCONCLUSIVE, _undecided(part)
    return Verdict.REPLICATED, "; ".join(
        f"{_finding(p.measured)}: {p.criterion}" for p in evidence.parts
    ) + "."


def _undecided(part: Part) -> str:
    finding, criterion, estimate = _finding(part.measured), part.criterion, part.measured.estimate
    if criterion.relation == "contains":
        return (
            f"{finding}: a control that should be {number(criterion.bounds[0])} is not, so something leaks."
        )
    if criterion.relation == "inside" and estimate.method in ("exact", "bound"):
        return f"{finding}: no document differs, so the comparison says nothing."
    sentence = f"{finding}: neither {criterion} nor its opposite"
    needed = [documents_to_decide(estimate, border) for border in criterion.bounds]
    if all(n is not None for n in needed):
        n = max(n for n in needed if n is not None)
        runs = (
            estimate.method == "chi-square"
        )  # its sample is the runs, whatever number of documents each has
        if n > (estimate.n_documents if runs else part.measured.n_documents):
            return f"{sentence}; about {_round_up(n):,} {'runs' if runs else 'documents'} would decide it."
    return f"{sentence}."


def _finding(measured: Measured) -> str:
    e = measured.estimate
    name = measured.name[0].upper() + measured.name[1:]
    return f"{name} {number(e.value)} [{number(e.low)}, {number(e.high)}]"


def _round_up(n: int) -> int:
    step: int = 10 ** max(1, len(str(n)) - 2)
    return -(-n // step) * step


def number(value: float) -> str:
    """A number for a sentence: three decimals, or three digits where that would say nothing; no leading 0."""
    if not math.isfinite(value):
        return "undefined"
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    text = f"{value:.3f}" if abs(value) >= 0.001 else f"{value:.2g}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def quarter(share: float, n_labels: int) -> float:
    """`share` of the way from chance (1/n_labels) to perfect: chance + share * (1 - chance)."""
    chance = 1 / n_labels
    return chance + share * (1 - chance)


Test = TypeVar("Test", bound=Callable[..., Any])


def claim(
    *,
    section: Section,
    says: str,
    where: str,
    estimand: str,
    reported: str | None = None,
    reported_value: float | None = None,
    rationale: str = "",
) -> Callable[[Test], Test]:
    """Declare a test function as the row whose id is its name: `test_layers_drift` -> `layers-drift`."""

    def attach(test: Test) -> Test:
        row = Claim(
            id=test.__name__.removeprefix("test_").replace("_", "-"),
            section=section,
            statement=says,
            source=f"post, section “{where}”",
            estimand=estimand,
            reported=reported,
            reported_value=reported_value,
            rationale=rationale,
        )
        test.__dict__["claim"] = row
        return test

    return attach
