"""README's table of verdicts and its picture of the report, from a run of every claim."""

import re
import shutil
import subprocess
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from docs.writers import DOCS

if TYPE_CHECKING:
    from layerclaims.results.records import Results

README: Final = DOCS.parent / "README.md"
PICTURE: Final = DOCS / "report.png"
REPORT: Final = DOCS.parent / "reports" / "smollm2-135m-instruct"  # where `make verdict` writes
BLOCK: Final = re.compile(r"(<!-- verdicts: generated -->\n).*?(<!-- verdicts: end -->)", re.DOTALL)
MOST_BYTES: Final = 200_000  # of the picture


def write(report: Path) -> str:
    """Renew README's table and picture from a report's folder; what was done, in one sentence.

    Nothing is changed where the folder has no run of every claim of the post.
    """
    from layerclaims.results.file import read_results

    results = read_results(report / "results.json") if (report / "results.json").exists() else None
    if results is None or not _whole(results):
        return f"README stays as it is: {report.name} has no run of every claim."
    text = README.read_text(encoding="utf-8")
    README.write_text(BLOCK.sub(lambda found: found[1] + block(results) + found[2], text), encoding="utf-8")
    return f"README's table was written from {report.name}/results.json, and {_draw(report / 'report.pdf')}."


def block(results: "Results") -> str:
    """The generated part of README: what was run, what came out in one sentence, and the folded table."""
    from layerclaims.report.present import present
    from layerclaims.report.render import markdown, three_answers_markdown

    protocol = results.protocol
    headline = present(results, interactive=False).headline
    table = three_answers_markdown(results).rstrip() or _first_table(markdown(results))
    return (
        f"One run of every claim with `--protocol {protocol.name}`, on {results.model.name} with "
        f"{protocol.n_texts:,} texts of {protocol.context} tokens and seed {protocol.seed}:\n\n"
        f"<details><summary>{headline}</summary>\n\n{table}\n\n</details>\n"
    )


def _first_table(text: str) -> str:
    """The first table of a page of Markdown."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| "))
    return "\n".join(takewhile(lambda line: line.startswith("|"), lines[start:]))


def _whole(results: "Results") -> bool:
    from layerclaims.verdicts.registry import post_claims

    return {claim.id for claim in results.claims} == set(post_claims())


def _draw(pdf: Path) -> str:
    """Draw page one, at the finest resolution that keeps the picture small; what was done."""
    tool = shutil.which("pdftoppm")
    if tool is None or not pdf.exists():
        return "the picture stays as it is, since pdftoppm or report.pdf is missing"
    for dots in (100, 90, 80, 70, 60, 50):
        made = subprocess.run(
            [tool, "-f", "1", "-l", "1", "-r", str(dots), "-png", pdf], capture_output=True, check=True
        ).stdout
        if len(made) < MOST_BYTES:
            PICTURE.write_bytes(made)
            return f"the picture was drawn from its report.pdf at {dots} dots an inch"
    return "the picture stays as it is, since every drawing of page one is too large"
