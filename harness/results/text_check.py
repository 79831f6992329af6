"""What a claim's record says in words, and of its source, against the code that declares the claim."""

from collections.abc import Sequence
from typing import Any

from layerclaims.errors import NotTestedError
from layerclaims.protocol import Protocol
from layerclaims.results.agreement import Mismatches, same
from layerclaims.results.records import CalibrationRecord, ClaimRecord, NullRecord
from layerclaims.runtime.text import shown
from layerclaims.verdicts import calibration, nulls
from layerclaims.verdicts.claim import POST
from layerclaims.verdicts.published import reported
from layerclaims.verdicts.registry import RegisteredClaim
from layerclaims.verdicts.verdict import Verdict


def check_texts(
    place: str, claim: ClaimRecord, known: RegisteredClaim, protocol: Protocol | None, mismatches: Mismatches
) -> None:
    """Statement, place, reported figure, rule, error rates and null models.

    `protocol` is None where its options are unsound.
    """
    for field, right in declared_head(known, protocol).items():
        stated = getattr(claim, field)
        if not same(stated, right):
            mismatches.note(place, f"the {field} is {shown(stated)}, and its code says {shown(right)}")
    rule = rule_words(known, claim)
    if claim.parts and rule is not None:
        begin = f"{rule} Here: ".lstrip()
        if not claim.criterion.text.startswith(begin):
            mismatches.note(
                place,
                f"the criterion's text is {shown(claim.criterion.text)}, and its code says {shown(begin)}",
            )
    stated, right = claim.calibration, _rates(known, claim)
    if not _same_rates(stated, right):
        mismatches.note(
            place,
            f"the calibration is {shown(_brief(stated))}, and the one measured is {shown(_brief(right))}",
        )
    said, measured = _passed(claim.nulls), _passed(_nulls(known, claim))
    if said != measured:
        mismatches.note(
            place, f"null models are said to pass {shown(said)}, and {shown(measured)} was measured"
        )
    if not claim.parts:
        _check_unmeasured(place, claim, known, mismatches)


def declared_head(known: RegisteredClaim, protocol: Protocol | None) -> dict[str, Any]:
    """What a record says of the claim itself, as its code declares it; without `protocol`, not what was reported."""
    claim = known.claim
    head: dict[str, Any] = {
        name: getattr(claim, name) for name in ("section", "statement", "source", "where", "estimand")
    }
    if protocol is None:
        return head
    return head | reported(claim, protocol)


def rule_words(known: RegisteredClaim, claim: ClaimRecord) -> str | None:
    """The rule that the claim was judged by, in words; None where the code does not tell before the test runs."""
    declaration = known.declaration
    if declaration is None:
        return known.rule if claim.protocol == "rigorous" else None
    try:
        rule = declaration.under(claim.protocol)
    except NotTestedError:
        return None
    return known.rule if rule is declaration else f"As published: {rule.words}."


def _rates(known: RegisteredClaim, claim: ClaimRecord) -> CalibrationRecord | None:
    """The error rates that a record carries."""
    rates = calibration.rates(claim.id) if _calibrated(known, claim) else None
    return None if rates is None else CalibrationRecord.model_validate(rates)


def _nulls(known: RegisteredClaim, claim: ClaimRecord) -> tuple[NullRecord, ...]:
    """The null models that a record carries."""
    passed = nulls.passed(claim.id) if _calibrated(known, claim) else []
    return tuple(map(NullRecord.model_validate, passed))


def _calibrated(known: RegisteredClaim, claim: ClaimRecord) -> bool:
    """Whether a claim is one of the post's that was judged by the rigorous rule: others were not calibrated."""
    return bool(claim.parts) and known.claim.source == POST and claim.protocol == "rigorous"


def _passed(found: Sequence[NullRecord]) -> str:
    return ", ".join(f"{one.name} {one.passed:.10g} of {one.draws}" for one in found) or "none"


def _same_rates(stated: CalibrationRecord | None, right: CalibrationRecord | None) -> bool:
    if stated is None or right is None:
        return stated is right
    return all(same(getattr(stated, name), getattr(right, name)) for name in CalibrationRecord.model_fields)


def _brief(rates: CalibrationRecord | None) -> str:
    if rates is None:
        return "none"
    return f"REPLICATED {rates.false_replicated} and NOT_REPLICATED {rates.false_not_replicated} of {rates.plants}"


def _check_unmeasured(place: str, claim: ClaimRecord, known: RegisteredClaim, mismatches: Mismatches) -> None:
    """A claim without parts shows no number, and what was never published says so."""
    if claim.verdict is Verdict.NOT_TESTED and known.declaration is not None:
        try:
            known.declaration.under(claim.protocol)
        except NotTestedError as error:
            if claim.reason != str(error):
                mismatches.note(
                    place, f"the reason is {shown(claim.reason)}, and its code says {shown(error)}"
                )
