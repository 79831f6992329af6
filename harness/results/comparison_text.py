"""What changed between two runs, as text for a terminal or as a table for other programs."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from layerclaims.results.change_records import ChangeRecord, SideRecord, ordered, outcome
from layerclaims.runtime.text import digits, inert

if TYPE_CHECKING:
    from layerclaims.results.records import Results

COLUMNS: Final = (
    "status", "claim", "protocol", "part", "baseline_verdict", "baseline_estimate", "baseline_low", "baseline_high",
    "new_verdict", "new_estimate", "new_low", "new_high", "intervals", "note",
)  # fmt: skip
LONGEST: Final = 300  # characters of a text that comes from a file
MOST_NAMED: Final = 5  # claims that the new run does not have


def text(baseline: "Results", new: "Results", changes: Sequence[ChangeRecord], *, whole: bool = False) -> str:
    """The comparison for a terminal: how many claims changed which way, then the two runs, then what changed.

    Without `whole` the claims that are the same in both runs are only counted.
    """
    if not changes:
        return "There is no claim to compare."
    blocks = [f"{outcome(changes)}.", heading(baseline, new), *_blocks(changes, whole=whole)]
    return "\n\n".join(blocks)


def _blocks(changes: Sequence[ChangeRecord], *, whole: bool) -> Iterator[str]:
    """A table with what got worse first, a line for each note, and what the new run does not have."""
    both = len({change.protocol for change in changes}) > 1
    run = [change for change in ordered(changes) if change.new is not None]
    rows = [change for change in run if whole or change.status != "same"]
    if rows:
        yield "\n".join(_table(rows, both=both))
    told: dict[str, list[str]] = {}  # a note that several claims share is told once
    for change in run:
        if change.note:
            told.setdefault(change.note, []).append(_name(change, both))
    if told:
        yield "\n".join(
            f"{names[0] if len(names) == 1 else f'{len(names)} claims'}: {inert(note, LONGEST).rstrip('.')}."
            for note, names in told.items()
        )
    absent = [_name(change, both) for change in changes if change.new is None]
    if absent:
        named = absent if whole else absent[:MOST_NAMED]
        more = f" and {len(absent) - len(named)} more" if len(named) < len(absent) else ""
        yield f"Not in the new run: {', '.join(named)}{more}."


def _table(changes: Sequence[ChangeRecord], *, both: bool) -> Iterator[str]:
    rows = [("status", "claim", "verdict", "estimate", "intervals")]
    rows += [
        (change.status, _name(change, both), verdicts(change), estimates(change), intervals(change))
        for change in changes
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def heading(baseline: "Results", new: "Results") -> str:
    """Two lines: model, texts and seed of each run."""

    def line(word: str, results: "Results") -> str:
        model, protocol = results.model, results.protocol
        revision = f" at {inert(model.revision, 120)}" if model.revision else ""
        return (
            f"{word} {inert(model.name, 120)}{revision}, {protocol.n_texts} texts of "
            f"{protocol.context} tokens, seed {protocol.seed}, {results.created}"
        )

    return f"{line('baseline:', baseline)}\n{line('new:     ', new)}"


def as_csv(changes: Sequence[ChangeRecord]) -> str:
    """All changes as comma-separated values, a line each below the names of the columns.

    A number that there is not is an empty field.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for change in ordered(changes):
        apart = {True: "separate", False: "overlap", None: ""}[change.separate]
        writer.writerow(
            [
                change.status, change.id, change.protocol, _cell(change.part), *_numbers(change.baseline),
                *_numbers(change.new), apart, _cell(change.note),
            ]
        )  # fmt: skip
    return out.getvalue()


def verdicts(change: ChangeRecord) -> str:
    """As in "REPLICATED → INCONCLUSIVE", or one verdict where both are the same; a dash for none."""
    old = "-" if change.baseline is None else str(change.baseline.verdict)
    now = "-" if change.new is None else str(change.new.verdict)
    return old if old == now else f"{old} → {now}"


def estimates(change: ChangeRecord) -> str:
    """Both estimates with their intervals, or the one that there is."""
    if change.baseline is None or change.new is None:
        return str(change.new or change.baseline)
    return f"{change.baseline} → {change.new}"


def intervals(change: ChangeRecord) -> str:
    """Whether the intervals have a number in common, and what that means for a verdict that changed."""
    if change.within_error:
        return "overlap: within error"
    return {True: "separate", False: "overlap", None: "-"}[change.separate]


def _name(change: ChangeRecord, both: bool) -> str:
    return f"{change.id} ({change.protocol})" if both else change.id


def _numbers(side: SideRecord | None) -> list[str]:
    if side is None:
        return [""] * 4
    low, high = side.interval or (None, None)
    numbers = ("" if value is None else digits(value) for value in (side.estimate, low, high))
    return [str(side.verdict), *numbers]


def _cell(text: str) -> str:
    """A text of a file as a field of a table: inert, and no formula for a program that opens it."""
    plain = inert(text, LONGEST)
    return f"'{plain}" if plain.startswith(("=", "+", "-", "@")) else plain
