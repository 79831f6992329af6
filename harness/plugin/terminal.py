"""What a run shows in the terminal: a line for each claim as it is judged, then the table of verdicts."""

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from layerclaims.runtime.text import inert, with_interval
from layerclaims.verdicts.style import FAULTS_FIRST, STYLES
from layerclaims.verdicts.verdict import Verdict

if TYPE_CHECKING:
    from layerclaims.results.records import ClaimRecord


COLUMN: Final = max(map(len, Verdict)) + 2
LONGEST_PART: Final = 80  # characters of a part's name on the live line
LONGEST_CLAUSE: Final = 120  # characters of a reason on the live line
WIDE: Final = 140  # columns from which on a sentence fits beside its claim


class Writer(Protocol):
    """As much of pytest's terminal writer as is used."""

    @property
    def fullwidth(self) -> int:
        """Columns of the terminal."""

    def write(self, msg: str, **markup: bool) -> None:
        """Write a piece of a line."""

    def line(self, s: str = "", **markup: bool) -> None:
        """Write the rest of a line and end it."""


def name(claim_id: str, label: str | None) -> str:
    """A claim's id, with the model and protocol in brackets where there are several."""
    return f"{claim_id} ({label})" if label else claim_id


def write_live(
    out: Writer, record: "ClaimRecord", label: str | None, *, done: int, of: int, width: int, note: str
) -> None:
    """`[ 3/10] REPLICATED      norm-is-a-feature  .107 [.067, .147]`, as soon as the claim is judged.

    Of a claim with several parts the numbers are those of the part that decides, with its name. What decides
    nothing says why in a few words.
    """
    out.write(f"[{done:>{len(str(of))}}/{of}] ")
    out.write(f"{record.verdict:<{COLUMN}}", **STYLES[record.verdict].markup)
    said = name(record.id, label)
    part = record.decisive
    if part is not None and part.estimate is not None:
        said = f"{said:<{width}}  {with_interval(part.estimate, part.interval)}"
        if len(record.parts) > 1:
            said += f" {inert(part.name, LONGEST_PART)}"
        if record.verdict is Verdict.INCONCLUSIVE:
            said += f": {_undecided(record)}"
    elif record.verdict in (Verdict.NOT_TESTED, Verdict.ERROR):
        said = f"{said:<{width}}  {inert(record.reason, 400)}"
    out.line(f"{said}  ({note})" if note else said)


def _undecided(record: "ClaimRecord") -> str:
    """Why a claim is undecided, in the first clause of its reason after the numbers; the table has all of it."""
    from layerclaims.report.wording import open_question

    clause = re.split(r"; | \(|, (?:and|so|because) ", open_question(record).rstrip("."), maxsplit=1)[0]
    return inert(clause[:1].lower() + clause[1:], LONGEST_CLAUSE)


def write_table(out: Writer, records: Sequence[tuple["ClaimRecord", str | None]]) -> None:
    """Every claim and why it has its verdict, what did not replicate first; then how many of each."""
    ordered = sorted(records, key=lambda found: FAULTS_FIRST.index(found[0].verdict))
    width = max(len(name(record.id, label)) for record, label in ordered)
    wide = out.fullwidth >= WIDE
    for record, label in ordered:
        indent = COLUMN + (width + 2 if wide else 0)
        # no line may end before a percent sign
        said = inert(record.reason, 2000).replace(" %", "\u00a0%")
        wrapped = textwrap.wrap(said, max(out.fullwidth - 1 - indent, 40), break_on_hyphens=False)
        sentence = [line.replace("\u00a0", " ") for line in wrapped]
        out.write(f"{record.verdict:<{COLUMN}}", **STYLES[record.verdict].markup)
        head = name(record.id, label)
        if wide and sentence:
            head = f"{head:<{width}}  {sentence.pop(0)}"
        out.line(head)
        for line in sentence:
            out.line(" " * indent + line)
    counts = Counter(record.verdict for record, _ in records)
    out.line()
    out.line(", ".join(f"{counts[verdict]} {verdict}" for verdict in FAULTS_FIRST[::-1] if counts[verdict]))


def write_twin(out: Writer, records: Sequence[tuple["ClaimRecord", str | None]]) -> None:
    """What the untrained twin says: how many of the claims that replicate do so there too, and which."""
    replicated = [(record, label) for record, label in records if record.verdict is Verdict.REPLICATED]
    judged = [
        (record.control_untrained.verdict, name(record.id, label))
        for record, label in replicated
        if record.control_untrained is not None
    ]
    too = [said for verdict, said in judged if verdict is Verdict.REPLICATED]
    text = f"Untrained twin: {len(too)} of the {len(judged)} claims that replicate do so there too"
    if lost := len(replicated) - len(judged):
        text += f", {lost} could not be judged there"
    text += f": {', '.join(too)}." if too else "."
    for line in textwrap.wrap(text, max(out.fullwidth - 1, 40), break_on_hyphens=False):
        out.line(line)


def write_paths(out: Writer, paths: Iterable[Path], *, relative_to: Path) -> None:
    """Where the files are, a line each."""
    for path in paths:
        near = path.relative_to(relative_to) if path.is_relative_to(relative_to) else path
        out.line(f"written: {inert(near, 4000)}")
