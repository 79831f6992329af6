"""The evidence behind a claim, built again from its record; what it says in words is held against the record.

The words of a verdict are made by `verdict.decide`, as in a run. What a record does not keep of a part (its own probe's
certificate, the sample behind a number that rests on no counts) leaves several sentences possible; one has to be there.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from layerclaims.results.records import ClaimRecord, PartRecord
from layerclaims.statistics.estimate import Estimate
from layerclaims.verdicts.criterion import Criterion
from layerclaims.verdicts.evidence import Evidence, Finding, Part, unconverged
from layerclaims.verdicts.verdict import decide

# a file keeps ten digits: at the border of a third decimal, the run may have rounded the other way
NUDGES: Final = (0.0, 1e-9, -1e-9)
# what a record cannot tell of a part that is one of several, or that rests on no counts
OF_ITS_PROBE: Final = (re.compile(r"within \d+ iterations \(gradient norm [^)]+\)"), "within N iterations")
OF_ITS_SAMPLE: Final = (
    re.compile(
        r"; (about|more than) [\d,]+ (documents|runs) (might decide it|would be needed to decide it)"
        r"|^Only \d+ test documents"
    ),
    "",
)


def stated_estimate(part: PartRecord, n_documents: int = 0) -> Estimate:
    """A part's number as the file states it."""
    low, high = part.interval or (math.nan, math.nan)
    return Estimate(
        value=math.nan if part.estimate is None else part.estimate,
        low=low,
        high=high,
        confidence=part.confidence or math.nan,
        method=part.method or "percentile",  # of a file that names none: one of which nothing follows
        n_documents=n_documents,
    )


def criterion_words(claim: ClaimRecord, criteria: Sequence[Criterion]) -> str:
    """The end of a criterion's text: the conditions of this run in numbers."""
    return f"Here: {', and '.join(f'{p.name} {c}' for p, c in zip(claim.parts, criteria, strict=True))}."


def reason_fits(
    claim: ClaimRecord,
    criteria: Sequence[Criterion],
    computed: Sequence[Estimate | None],
    sizes: Sequence[int | None],
    *,
    needs_convergence: bool,
    declared: bool,
) -> bool:
    """Whether the claim's reason is what its parts give.

    `computed` are their estimates and `sizes` the documents behind them, None where they are only stated. What a
    failure means, which stands before the numbers, only the claim's code can tell: whether that is at hand is
    `declared`.
    """
    several, by_counts = len(claim.parts) > 1, None not in computed
    for evidence in _possible(claim, criteria, computed, sizes, needs_convergence):
        _, right = decide(evidence)
        stated = claim.reason
        for pattern, plain in (OF_ITS_PROBE,) * several + (OF_ITS_SAMPLE,) * (not by_counts):
            stated, right = pattern.sub(plain, stated), pattern.sub(plain, right)
        if stated == right or (not declared and stated.endswith(f". {right}")):
            return True
    return False


def _possible(
    claim: ClaimRecord,
    criteria: Sequence[Criterion],
    computed: Sequence[Estimate | None],
    sizes: Sequence[int | None],
    needs_convergence: bool,
) -> Iterator[Evidence]:
    n_documents, probe, certificate = claim.n_documents or 0, claim.probe, None
    if probe is not None and not probe.converged:
        norm = math.nan if probe.gradient_norm is None else probe.gradient_norm
        certificate = unconverged(iterations=probe.iterations or 0, gradient_norm=norm)
    for nudge in NUDGES:
        findings = []
        for part, estimate, size in zip(claim.parts, computed, sizes, strict=True):
            found = estimate or stated_estimate(part, n_documents)
            found = replace(
                found,
                value=found.value * (1 + nudge),
                low=found.low * (1 + nudge),
                high=found.high * (1 + nudge),
            )
            behind = n_documents if size is None else size
            findings.append(Finding(name=part.name, estimate=found, n_documents=behind, n_vectors=0))
        # the probe that did not converge is one of the parts'
        for own in range(len(findings)) if certificate is not None else (None,):
            parts = (
                Part(
                    finding=replace(finding, certificate=certificate if index == own else None),
                    criterion=criterion,
                )
                for index, (finding, criterion) in enumerate(zip(findings, criteria, strict=True))
            )
            yield Evidence(parts=tuple(parts), needs_convergence=needs_convergence)
