"""What a file says of its baseline, against its own claims and against itself.

The baseline's numbers stand in another file. But how a claim compares follows from the numbers of both runs as the row
gives them, and the new run's are those of the claim.
"""

from collections import Counter

from layerclaims.results.agreement import Mismatches, same
from layerclaims.results.change_records import ChangeRecord, SideRecord, Status, outcome
from layerclaims.results.compare import RANK, STATE, is_evidence, separate
from layerclaims.results.records import ClaimRecord, PartRecord, Results
from layerclaims.runtime.text import shown

ALWAYS: Status = "incomparable"  # for reasons that may lie in the baseline alone


def check_baseline(results: Results, mismatches: Mismatches) -> None:
    """Each claim has one row, with its own numbers and a status that they allow; the rows are counted right."""
    found = results.baseline
    if found is None:
        return
    if found.outcome != (right := outcome(found.changes)):
        mismatches.note("baseline/outcome", f"is {shown(found.outcome)}, and its rows give {shown(right)}")
    claims = {(claim.id, claim.protocol): claim for claim in results.claims}
    times = Counter((change.id, change.protocol) for change in found.changes)
    for (name, protocol), count in times.items():
        if count > 1:
            mismatches.note(f"baseline, {name} ({protocol})", f"stands there {count} times")
    for name, protocol in sorted(set(claims) - set(times)):
        mismatches.note(f"baseline, {name} ({protocol})", "is a claim of the run and has no row there")
    for change in found.changes:
        _check(change, claims.get((change.id, change.protocol)), mismatches)


def _check(change: ChangeRecord, claim: ClaimRecord | None, mismatches: Mismatches) -> None:
    place = f"baseline, {change.id} ({change.protocol})"
    if claim is None or change.new is None:
        if (claim is None) != (change.new is None):
            mismatches.note(place, "does not say truly whether the run has this claim")
        elif change.status != ALWAYS:
            mismatches.note(place, f"is {shown(change.status)}, and the run does not have this claim")
        return
    part = next((one for one in claim.parts if one.name == change.part), None)
    if part is None and (claim.parts or change.part):
        mismatches.note(place, f"shows the part {shown(change.part)}, which the claim does not have")
        return
    if change.new.verdict is not claim.verdict:
        mismatches.note(place, f"has the verdict {change.new.verdict}, and the claim {claim.verdict}")
        return
    numbers = part or claim
    mismatches.hold(place, "estimate", change.new.estimate, numbers.estimate, "the claim gives")
    mismatches.hold(place, "interval", change.new.interval, numbers.interval, "the claim gives")
    allowed = _allowed(change.baseline, change.new, part)
    if change.status != ALWAYS and change.status != allowed:
        mismatches.note(place, f"is {shown(change.status)}, and its numbers give {shown(allowed)}")
    compared = change.baseline is not None and change.status not in (ALWAYS, "no baseline")
    apart = separate(change.baseline, change.new) if compared and change.baseline is not None else None
    if not same(change.separate, apart):
        mismatches.note(place, f"has separate: {change.separate}, and its intervals give {apart}")


def _allowed(before: SideRecord | None, after: SideRecord, part: PartRecord | None) -> Status:
    """The status that follows from what a row shows, if the claim can be compared at all."""
    if before is None:
        return "no baseline"
    if before.verdict is after.verdict:
        return "same"
    if before.verdict not in RANK:
        return "no baseline"
    if after.verdict not in RANK:
        return ALWAYS
    worse = RANK[after.verdict] < RANK[before.verdict]
    # a part that did not end where the verdict did is shown for want of a better one, and decides nothing
    decides = part is not None and STATE[part.holds] == RANK[after.verdict]
    if part is not None and decides and is_evidence(before, after, part, worse=worse):
        return "regressed" if worse else "improved"
    return "changed"
