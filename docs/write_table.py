"""Writes README's table of three answers from a run of both protocols: `python docs/write_table.py results.json`."""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCK = re.compile(r"(<!-- verdicts: generated -->\n.*?\n\n)\|.*?(<!-- verdicts: end -->)", re.DOTALL)


def main(path: str) -> None:
    """Put the table of a results file in the place of README's."""
    from layerclaims import read_results
    from layerclaims.report.render import three_answers_markdown

    table = three_answers_markdown(read_results(Path(path)))
    if not table:
        sys.exit(f"{path} is no run of both protocols")
    text = README.read_text(encoding="utf-8")
    README.write_text(BLOCK.sub(lambda found: found[1] + table.rstrip() + "\n" + found[2], text), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
