"""How a run compares with its baseline, as a report shows it: the outcome, and each claim that is not the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from layerclaims.report.wording import PROTOCOLS, measured, short_name, title_of
from layerclaims.results.change_records import BaselineRecord, ChangeRecord, SideRecord
from layerclaims.results.records import ClaimRecord, Results
from layerclaims.verdicts.verdict import Verdict

MOST_LINES: Final = 100  # a table of thousands would take the PDF minutes
WORDS: Final[Mapping[str, str]] = {"changed": "another verdict"}  # of a status that needs more than its name


@dataclass(frozen=True, kw_only=True)
class ChangeLine:
    """A claim that is not the same as in the baseline."""

    id: str
    title: str
    shown: bool  # whether the report has the claim, so that a link leads to it
    status: str
    before: Verdict | None  # None: the baseline has none
    after: Verdict
    numbers_before: str  # estimate and interval; a dash where there are none
    numbers_after: str
    part: str  # whose numbers they are, in a claim of several parts
    protocol_name: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The outcome, the earlier run in a few words, and what is not the same."""

    outcome: str  # "2 regressed, 1 improved, 30 same"
    regressed: bool
    baseline: str
    lines: tuple[ChangeLine, ...]
    more: int  # lines that are left out


def comparison(data: Results) -> Comparison | None:
    """How the run compares with its baseline; None where it was held against none. `data` is cleaned."""
    found = data.baseline
    if found is None:
        return None
    claims = {(claim.id, claim.protocol): claim for claim in data.claims}
    lines = [
        _line(change, change.new, claims.get((change.id, change.protocol)))
        for change in found.shown
        if change.new is not None and change.status != "same"
    ]
    return Comparison(
        outcome=found.outcome,
        regressed=any(change.status == "regressed" or change.lost for change in found.changes),
        baseline=_run(found),
        lines=tuple(lines[:MOST_LINES]),
        more=max(0, len(lines) - MOST_LINES),
    )


def _run(found: BaselineRecord) -> str:
    revision = f" at {found.revision[:12]}" if found.revision else ""
    return (
        f"{short_name(found.model)}{revision}, run on {found.created[:10]} with {found.n_texts:,} texts of "
        f"{found.context} tokens and seed {found.seed}"
    )


def _line(change: ChangeRecord, new: SideRecord, claim: ClaimRecord | None) -> ChangeLine:
    several = claim is not None and len(claim.parts) > 1
    return ChangeLine(
        id=change.id,
        title=title_of(change.id),
        shown=claim is not None,
        status=WORDS.get(change.status, change.status),
        before=None if change.baseline is None else change.baseline.verdict,
        after=new.verdict,
        numbers_before=_numbers(change.baseline),
        numbers_after=_numbers(new),
        part=change.part if several else "",
        protocol_name=PROTOCOLS[change.protocol],
        note=change.note,
    )


def _numbers(side: SideRecord | None) -> str:
    return "–" if side is None else " ".join(measured(side.estimate, side.interval)).strip()
