"""Verdict: what the evidence says of a claim, and why in a sentence or two."""

import math
from enum import StrEnum

from layerclaims.verdicts import sentences
from layerclaims.verdicts.criterion import MINIMUM_DOCUMENTS
from layerclaims.verdicts.evidence import Evidence


class Verdict(StrEnum):
    """What a run says of a claim."""

    REPLICATED = "REPLICATED"
    NOT_REPLICATED = "NOT_REPLICATED"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_TESTED = "NOT_TESTED"
    ERROR = "ERROR"


def decide(evidence: Evidence) -> tuple[Verdict, str]:
    """The verdict, and why in plain sentences.

    Every part's interval inside its region: REPLICATED. One inside the complement: NOT_REPLICATED. Otherwise,
    or with fewer than 30 test documents, an interval that is not finite, or a probe that did not converge where
    the evidence needs that it did: INCONCLUSIVE.
    """
    for part in evidence.parts:
        finding, estimate = part.finding, part.finding.estimate
        if finding.n_documents < MINIMUM_DOCUMENTS:
            return Verdict.INCONCLUSIVE, sentences.too_few(finding.n_documents)
        stalled = finding.certificate is not None and not finding.certificate.converged
        if stalled and evidence.needs_convergence:
            return Verdict.INCONCLUSIVE, sentences.unfinished(finding)
        if not math.isfinite(estimate.value):
            return Verdict.INCONCLUSIVE, sentences.undefined(finding)
        if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
            return Verdict.INCONCLUSIVE, sentences.endless(finding)
    outcomes = [part.criterion.holds(part.finding.estimate) for part in evidence.parts]
    for part, outcome in zip(evidence.parts, outcomes, strict=True):
        if outcome is False:
            return Verdict.NOT_REPLICATED, sentences.fails(part)
    for part, outcome in zip(evidence.parts, outcomes, strict=True):
        if outcome is None:
            return Verdict.INCONCLUSIVE, sentences.undecided(part)
    return Verdict.REPLICATED, " ".join(map(sentences.passes, evidence.parts))
