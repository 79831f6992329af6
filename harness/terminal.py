"""What a run shows in the terminal: a line for each claim as it is judged, then the table of verdicts."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from harness.claim import Verdict, number
from harness.files import shown

LETTERS: Final[Mapping[Verdict, str]] = {
    Verdict.REPLICATED: "R",
    Verdict.NOT_REPLICATED: "N",
    Verdict.INCONCLUSIVE: "I",
    Verdict.NOT_TESTED: "-",
    Verdict.ERROR: "E",
}
COLOURS: Final[Mapping[Verdict, dict[str, bool]]] = {
    Verdict.REPLICATED: {"green": True},
    Verdict.NOT_REPLICATED: {"red": True},
    Verdict.INCONCLUSIVE: {"yellow": True},
    Verdict.NOT_TESTED: {"yellow": True},
    Verdict.ERROR: {"red": True, "bold": True},
}
# what asks for attention stands first
ORDER: Final = (
    Verdict.ERROR,
    Verdict.NOT_REPLICATED,
    Verdict.INCONCLUSIVE,
    Verdict.NOT_TESTED,
    Verdict.REPLICATED,
)
COLUMN: Final = max(map(len, Verdict)) + 2
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


def inert(text: object, limit: int = 400) -> str:
    """The text on one line, with everything escaped that a terminal would obey."""
    return shown(text, limit)[1:-1]


def name(record: Mapping[str, Any], label: str | None) -> str:
    """A claim's id, with the model and protocol in brackets where there are several."""
    return f"{record['id']} ({label})" if label else str(record["id"])


def write_live(
    out: Writer, record: Mapping[str, Any], label: str | None, *, done: int, of: int, width: int, note: str
) -> None:
    """`[ 3/10] REPLICATED      norm-is-a-feature  .107 [.067, .147]`, as soon as the claim is judged."""
    verdict = Verdict(record["verdict"])
    out.write(f"[{done:>{len(str(of))}}/{of}] ")
    out.write(f"{verdict:<{COLUMN}}", **COLOURS[verdict])
    said = name(record, label)
    if record["estimate"] is not None:
        said = f"{said:<{width}}  {number(record['estimate'])}"
        if record["interval"] is not None:
            said += f" [{number(record['interval'][0])}, {number(record['interval'][1])}]"
    elif verdict in (Verdict.NOT_TESTED, Verdict.ERROR):
        said = f"{said:<{width}}  {inert(record['reason'])}"
    out.line(f"{said}  ({note})" if note else said)


def write_table(out: Writer, records: Sequence[tuple[Mapping[str, Any], str | None]]) -> None:
    """Every claim with the sentence that says why, what did not replicate first; then how many of each."""
    ordered = sorted(records, key=lambda found: ORDER.index(Verdict(found[0]["verdict"])))
    width = max(len(name(record, label)) for record, label in ordered)
    wide = out.fullwidth >= WIDE
    for record, label in ordered:
        verdict = Verdict(record["verdict"])
        indent = COLUMN + (width + 2 if wide else 0)
        sentence = textwrap.wrap(
            inert(record["reason"], 2000), max(out.fullwidth - 1 - indent, 40), break_on_hyphens=False
        )
        out.write(f"{verdict:<{COLUMN}}", **COLOURS[verdict])
        head = name(record, label)
        if wide and sentence:
            head = f"{head:<{width}}  {sentence.pop(0)}"
        out.line(head)
        for line in sentence:
            out.line(" " * indent + line)
    counts = {verdict: sum(record["verdict"] == verdict for record, _ in records) for verdict in ORDER[::-1]}
    out.line()
    out.line(", ".join(f"{n} {verdict}" for verdict, n in counts.items() if n))


def write_paths(out: Writer, paths: Iterable[Path], *, relative_to: Path) -> None:
    """Where the files are, a line each."""
    for path in paths:
        near = path.relative_to(relative_to) if path.is_relative_to(relative_to) else path
        out.line(f"written: {inert(near, 4000)}")
