"""The end of a sweep: the board of its runs, and the authors' figures beside those measured at their cells."""

from collections.abc import Sequence
from pathlib import Path

from layerclaims.report import board
from layerclaims.report.escaping import md_escape
from layerclaims.results.records import Results
from layerclaims.runtime.files import write_whole
from layerclaims.runtime.text import number, with_interval


def write(runs: Sequence[Results], directory: Path) -> list[Path]:
    """Write board.html, board.md and, where there are such cells, published.md. Raises LayerclaimsError."""
    made = board.make(runs)
    written = board.write(made, directory, ("html", "md"))
    lines = beside_published(runs)
    if lines:
        path = directory / "published.md"
        write_whole(path, "\n".join([*lines, ""]).encode(), parents=True)
        written.append(path)
    return written


def beside_published(runs: Sequence[Results]) -> list[str]:
    """Markdown: a row for each claim and run of which the authors have a figure at the very cell; none for none."""
    rows = []
    for run in runs:
        for claim in run.claims:
            if claim.reported_exact and claim.reported_value is not None and claim.estimate is not None:
                cell = f"{md_escape(claim.reported_cell or '')}"
                measured = with_interval(claim.estimate, claim.interval)
                gap = number(claim.estimate - claim.reported_value)
                published = number(claim.reported_value)
                rows.append(
                    f"| {cell} | {claim.id} | {claim.protocol} | {published} | {measured} | {gap} | {claim.verdict} |"
                )
    if not rows:
        return []
    return [
        "| cell | claim | protocol | published | measured | difference | verdict |",
        "| --- | --- | --- | ---: | ---: | ---: | --- |",
        *sorted(rows),
    ]
