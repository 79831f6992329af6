"""What changed since an earlier run: a row for each claim, and how many of each kind there are."""

from collections.abc import Iterable
from typing import Annotated, Final, Literal

from layerclaims.protocol import ProtocolName
from layerclaims.results.fields import (
    ClaimId,
    Count,
    Integer,
    Interval,
    Many,
    Moment,
    Named,
    Number,
    Record,
    Sha256,
)
from layerclaims.runtime.text import with_interval
from layerclaims.verdicts.verdict import Verdict
from pydantic import Field

MOST_CHANGES: Final = 4_000  # the claims of two files
# "changed": another verdict, without evidence that the model changed
Status = Literal["regressed", "improved", "changed", "incomparable", "no baseline", "same"]
# in the order of a table
STATUSES: Final[tuple[Status, ...]] = (
    "regressed",
    "improved",
    "changed",
    "incomparable",
    "no baseline",
    "same",
)


class SideRecord(Record):
    """What one run says of a claim; the numbers are those of the part that the change names."""

    verdict: Named
    estimate: Number | None
    interval: Interval | None

    def __str__(self) -> str:
        """As in ".931 [.925, .937]"."""
        return "-" if self.estimate is None else with_interval(self.estimate, self.interval)


class ChangeRecord(Record):
    """One claim under one protocol in both runs."""

    id: ClaimId
    protocol: ProtocolName
    status: Status
    baseline: SideRecord | None  # null: not in the baseline
    new: SideRecord | None  # null: not in the new run
    part: str  # name of the part that the numbers belong to; "" for a claim without any
    separate: bool | None  # whether the intervals have no number in common; null where there are not two
    note: str  # one plain sentence without its stop, or "" where there is nothing to say

    @property
    def verdict_changed(self) -> bool:
        """Whether both runs have a verdict and these differ, with or without evidence."""
        if self.baseline is None or self.new is None:
            return False
        return self.baseline.verdict != self.new.verdict

    @property
    def lost(self) -> bool:
        """The harness failed in the new run where the baseline has a verdict."""
        return (
            self.baseline is not None
            and self.baseline.verdict is not Verdict.ERROR
            and self.new is not None
            and self.new.verdict is Verdict.ERROR
        )

    @property
    def within_error(self) -> bool:
        """Whether a verdict changed while the intervals overlap: other texts alone may do that."""
        return self.status == "changed" and self.separate is False


class BaselineRecord(Record):
    """The earlier run that a run was held against, and what changed since."""

    model: str
    revision: str | None
    created: Moment
    n_texts: Count  # documents of each corpus
    context: Count  # tokens of each document
    seed: Integer
    sha256: Sha256 | None  # the checksum that the earlier file carries; null: it carries none
    outcome: str  # how many claims of each kind there are: "2 regressed, 1 improved, 30 same"
    changes: Annotated[Many[ChangeRecord], Field(max_length=MOST_CHANGES)]

    @property
    def shown(self) -> tuple[ChangeRecord, ...]:
        """The rows of claims that the new run has, what got worse first."""
        return tuple(ordered(change for change in self.changes if change.new is not None))


def ordered(changes: Iterable[ChangeRecord]) -> list[ChangeRecord]:
    """The changes with what got worse first; a verdict that changed counts before one that did not."""
    return sorted(changes, key=lambda change: (STATUSES.index(change.status), not change.verdict_changed))


def outcome(changes: Iterable[ChangeRecord]) -> str:
    """How many claims there are of each kind, as in "2 regressed, 1 improved, 30 same".

    Claims of the baseline that the new run does not have are counted apart.
    """
    rows = list(changes)
    run = [change.status for change in rows if change.new is not None]
    counts = [f"{run.count(status)} {status}" for status in STATUSES if status in run]
    absent = len(rows) - len(run)
    return ", ".join([*counts, *([f"{absent} not run"] if absent else [])]) or "no claim to compare"
