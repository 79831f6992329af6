"""Verdict: what the evidence says of a claim, and one sentence why."""

import math
from enum import StrEnum

from layerclaims.runtime.text import number, with_interval
from layerclaims.statistics.sample_size import documents_to_decide
from layerclaims.verdicts.criterion import MINIMUM_DOCUMENTS
from layerclaims.verdicts.evidence import Evidence, Finding, Part


class Verdict(StrEnum):
    """What a run says of a claim."""

    REPLICATED = "REPLICATED"
    NOT_REPLICATED = "NOT_REPLICATED"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_TESTED = "NOT_TESTED"
    ERROR = "ERROR"


def decide(evidence: Evidence) -> tuple[Verdict, str]:
    """The verdict and one plain sentence why.

    Every part's interval inside its region: REPLICATED. One inside the complement: NOT_REPLICATED. Otherwise,
    or with fewer than 30 test documents, an interval that is not finite, or a probe that did not converge where
    the evidence needs that it did: INCONCLUSIVE.
    """
    for part in evidence.parts:
        finding, estimate = part.finding, part.finding.estimate
        if finding.n_documents < MINIMUM_DOCUMENTS:
            return Verdict.INCONCLUSIVE, (
                f"{finding.n_documents} test documents are fewer than the {MINIMUM_DOCUMENTS} below which an "
                "interval is not trusted."
            )
        stalled = finding.certificate is not None and not finding.certificate.converged
        if finding.certificate is not None and stalled and evidence.needs_convergence:
            return Verdict.INCONCLUSIVE, (
                f"The probe behind the {finding.name} did not converge in {finding.certificate.iterations} "
                f"iterations (gradient norm {finding.certificate.gradient_norm:.1e}): its "
                f"{finding.name} of {number(estimate.value)} speaks of the optimiser as much as of the model."
            )
        if not math.isfinite(estimate.value):
            return Verdict.INCONCLUSIVE, (
                f"The {finding.name} is undefined here: there is nothing that it could be made of."
            )
        if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
            return Verdict.INCONCLUSIVE, f"The {finding.name} has no finite interval."
    outcomes = [part.criterion.holds(part.finding.estimate) for part in evidence.parts]
    for part, outcome in zip(evidence.parts, outcomes, strict=True):
        if outcome is False:
            return Verdict.NOT_REPLICATED, f"{_finding(part.finding)}: not {part.criterion}."
    for part, outcome in zip(evidence.parts, outcomes, strict=True):
        if outcome is None:
            return Verdict.INCONCLUSIVE, _undecided(part)
    return Verdict.REPLICATED, "; ".join(
        f"{_finding(p.finding)}: {p.criterion}" for p in evidence.parts
    ) + "."


def _undecided(part: Part) -> str:
    finding, criterion, estimate = _finding(part.finding), part.criterion, part.finding.estimate
    if criterion.relation == "contains":
        return (
            f"{finding}: a control that should be {number(criterion.bounds[0])} is not, so something leaks."
        )
    if criterion.relation == "not above":
        bound = number(criterion.bounds[0])
        return f"{finding}: a control that should be at {bound} lies above it, so something leaks."
    if criterion.relation == "inside" and estimate.method in ("exact", "bound"):
        return f"{finding}: no document differs, so the comparison says nothing."
    sentence = f"{finding}: neither {criterion} nor its opposite"
    needed = [documents_to_decide(estimate, border) for border in criterion.bounds]
    if all(n is not None for n in needed):
        n = max(n for n in needed if n is not None)
        runs = (
            estimate.method == "chi-square"
        )  # its sample is the runs, whatever number of documents each has
        if n > (estimate.n_documents if runs else part.finding.n_documents):
            return f"{sentence}; about {_round_up(n):,} {'runs' if runs else 'documents'} would decide it."
    return f"{sentence}."


def _finding(finding: Finding) -> str:
    e = finding.estimate
    name = finding.name[:1].upper() + finding.name[1:]
    return f"{name} {with_interval(e.value, (e.low, e.high))}"


def _round_up(n: int) -> int:
    step: int = 10 ** max(1, len(str(n)) - 2)
    return -(-n // step) * step
