"""A claim's verdict and its evidence -> its record in results.json."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from layerclaims.errors import LayerclaimsError, NotTestedError
from layerclaims.experiments.study import Study
from layerclaims.protocol import Protocol
from layerclaims.recording.exhibits import left_out, reason
from layerclaims.results.file import plain
from layerclaims.results.records import (
    CalibrationRecord,
    ClaimRecord,
    ControlRecord,
    CriterionRecord,
    NullRecord,
    PartRecord,
    ProbeRecord,
    RecipeRecord,
    TwinRecord,
)
from layerclaims.verdicts import calibration, nulls
from layerclaims.verdicts.claim import POST, Claim
from layerclaims.verdicts.criterion import CONTROLS
from layerclaims.verdicts.declaration import Declaration
from layerclaims.verdicts.evidence import Evidence, Finding, Part
from layerclaims.verdicts.published import reported
from layerclaims.verdicts.verdict import Verdict, decide
from pydantic import ValidationError


def gathered(study: Study, rule: Declaration) -> tuple[Evidence, dict[str, str]]:
    """The evidence of a rule under the study's protocol, and why a control or a fact is not among it, by name.

    What is only shown beside a verdict costs it nothing. Raises as `Study.evidence`: NotTestedError before anything
    takes its time.
    """
    for need in rule.needs:
        study.check(need)
    evidence = study.evidence(replace(rule, controls=(), facts=()))
    controls: list[Finding] = []
    facts, missing = {}, {}
    for control in rule.controls:
        try:
            found = list(control.find(study))
            for one in found:
                ControlRecord.model_validate(plain(_control(one)))  # rounded, as the file has it
            controls += found
        except Exception as error:
            missing[control.name] = left_out(f"the control {control.name}", error)
    for fact in rule.facts:
        try:
            facts[fact.name] = fact.text(study)
        except Exception as error:
            missing[fact.name] = left_out(fact.name, error)
    return replace(evidence, controls=tuple(controls), facts=facts), missing


def judged(
    claim: Claim,
    evidence: Evidence,
    *,
    rule: str,
    protocol: Protocol,
    seconds: float,
    missing: Mapping[str, str] | None = None,
) -> ClaimRecord:
    """The record of a claim that was measured; `rule` is its success region in words.

    `missing` says why something is not shown beside it, by name. Raises LayerclaimsError where results.json cannot
    hold the record.
    """
    try:
        record = _judged(claim, evidence, rule=rule, protocol=protocol, seconds=seconds)
        ClaimRecord.model_validate(plain(record))  # rounded, as the file has it
    except ValidationError as error:
        raise LayerclaimsError(f"The record of this claim cannot be written: {reason(error)}.") from None
    return record.model_copy(update={"missing": dict(missing)}) if missing else record


def _judged(
    claim: Claim, evidence: Evidence, *, rule: str, protocol: Protocol, seconds: float
) -> ClaimRecord:
    verdict, why = decide(evidence)
    first = evidence.parts[0]
    p_values = [part.criterion.p_value(part.finding.estimate) for part in evidence.parts]
    known = [p for p in p_values if p is not None]
    tested = [part for part in evidence.parts if part.criterion.relation not in CONTROLS]
    certificate = evidence.certificate
    # measured on our rows under the rigorous protocol: another's claim of the same name has another rule
    calibrated = claim.source == POST and not protocol.published
    rates = calibration.rates(claim.id) if calibrated else None
    passed = nulls.passed(claim.id) if calibrated else []
    more: dict[str, Any] = {"nulls": tuple(map(NullRecord.model_validate, passed))} if passed else {}
    return ClaimRecord(
        **_head(claim, protocol),
        estimate=_finite(first.finding.estimate.value),
        interval=_interval(first.finding),
        confidence=first.finding.estimate.confidence,
        criterion=CriterionRecord(
            text=f"{rule} Here: {', and '.join(map(str, evidence.parts))}.".lstrip(),
            threshold=first.criterion.bounds[-1],
        ),
        parts=tuple(_part(part, p) for part, p in zip(evidence.parts, p_values, strict=True)),
        # joined by "and": the claim's p is its weakest part's (intersection-union)
        p_value=max(known) if len(known) == len(tested) else None,
        n_documents=min(part.finding.n_documents for part in evidence.parts),
        n_vectors=first.finding.n_vectors,
        controls=(
            *map(_control, evidence.controls),
            *(
                ControlRecord(name=name, estimate=None, interval=None, note=fact)
                for name, fact in evidence.facts.items()
            ),
        ),
        probe=None if certificate is None else ProbeRecord.model_validate(certificate.as_json()),
        verdict=verdict,
        reason=why,
        figures=tuple(figure.id for figure in evidence.figures),
        calibration=None if rates is None else CalibrationRecord.model_validate(rates),
        **more,
        seconds=round(seconds, 3),
        p_holm=None,
    )


def control(declaration: Declaration, twin: Study) -> TwinRecord:
    """Verdict, estimate, interval and reason of a claim's rule on the untrained twin of its model.

    Raises whatever breaks on the way, ValidationError where results.json cannot hold it: the claim stands without.
    """
    try:
        evidence = twin.evidence(replace(declaration, controls=(), figures=(), facts=()))
    except NotTestedError as error:
        return TwinRecord(verdict=Verdict.NOT_TESTED, estimate=None, interval=None, reason=str(error))
    verdict, why = decide(evidence)
    first = evidence.parts[0].finding
    found = TwinRecord(
        verdict=verdict, estimate=_finite(first.estimate.value), interval=_interval(first), reason=why
    )
    TwinRecord.model_validate(plain(found))  # rounded, as the file has it
    return found


def unjudged(
    claim: Claim, verdict: Verdict, reason: str, *, protocol: Protocol, seconds: float
) -> ClaimRecord:
    """The record of a claim that could not be measured: NOT_TESTED or ERROR."""
    return ClaimRecord(
        **_head(claim, protocol),
        estimate=None,
        interval=None,
        confidence=1 - protocol.alpha,
        criterion=CriterionRecord(text="", threshold=None),
        parts=(),
        p_value=None,
        n_documents=0,
        n_vectors=0,
        controls=(),
        probe=None,
        verdict=verdict,
        reason=reason,
        figures=(),
        seconds=round(seconds, 3),
        p_holm=None,
    )


def _head(claim: Claim, protocol: Protocol) -> dict[str, Any]:
    """What a record says of the claim itself, with its source's figure for this very run where there is one."""
    return {
        "id": claim.id,
        "section": claim.section,
        "statement": claim.statement,
        "source": claim.source,
        "where": claim.where,
        **reported(claim, protocol),
        "protocol": protocol.name,
        "estimand": claim.estimand,
    }


def _part(part: Part, p_value: float | None) -> PartRecord:
    found, criterion = part.finding, part.criterion
    return PartRecord(
        name=found.name,
        estimand=found.note or found.name,
        estimate=_finite(found.estimate.value),
        interval=_interval(found),
        confidence=found.estimate.confidence,
        method=found.estimate.method,
        relation=criterion.relation,
        threshold=criterion.threshold,
        p_value=p_value,
        holds=criterion.holds(found.estimate),
        recipe=None if found.recipe is None else RecipeRecord.model_validate(found.recipe.as_json()),
    )


def _control(control: Finding) -> ControlRecord:
    return ControlRecord(
        name=control.name,
        estimate=_finite(control.estimate.value),
        interval=_interval(control),
        note=control.note,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _interval(finding: Finding) -> tuple[float, float] | None:
    low, high = finding.estimate.low, finding.estimate.high
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None
