"""`layerclaims report`: renders results again."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from layerclaims.cli.parser import FAILED, UsageError, command
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import inert, shown


def add_report(commands: Any) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "report",
        _report,
        "Render reports again from results.json or a PDF. No model is loaded. If you give several files, you also get "
        "a board of claims by models, ordered by size. A run with several models writes that board itself. "
        "Beside the reports an index.html lists all that have their results there.",
        "layerclaims report reports/gpt2/results.json --report html",
    )
    parser.add_argument(
        "results", nargs="+", type=Path, metavar="RESULTS", help="a results.json or report.pdf"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write into DIR. Default: reports/MODEL for one file, reports for several",
    )
    parser.add_argument(
        "--report", default="pdf,html,md", metavar="FORMATS", help="any of pdf,html,md. Default: pdf,html,md"
    )


def _report(arguments: argparse.Namespace) -> int:
    from layerclaims.protocol import report_name
    from layerclaims.report import render as report
    from layerclaims.results import file as results

    formats = tuple(dict.fromkeys(name.strip() for name in arguments.report.split(",")))
    if unknown := [name for name in formats if name not in report.FORMATS]:
        raise UsageError(
            f"--report {shown(unknown[0])} is not possible: choose from {', '.join(report.FORMATS)}."
        )
    runs = [results.read_results(path) for path in arguments.results]
    names = _distinct([report_name(run.model.name) for run in runs])
    several = len(runs) > 1
    root = arguments.out or Path("reports")
    written: list[Path] = []
    failures: list[str] = []
    for run, name in zip(runs, names, strict=True):
        directory = root / name if several or arguments.out is None else root
        rendered = report.render_each(run, directory, formats)
        written += rendered.paths
        failures += rendered.failures
        for note in (*rendered.notes, *rendered.failures):
            print(f"layerclaims: {inert(note)}", file=sys.stderr)
    if several:
        from layerclaims.report import board

        made = board.make(runs)
        print(board.markdown(made))
        written += board.write(made, root, formats)
    if "html" in formats and (several or arguments.out is None):
        from layerclaims.report import index

        try:
            listed = index.update(root)
        except LayerclaimsError as error:
            failures.append(str(error))
            print(f"layerclaims: {inert(error)}", file=sys.stderr)
        else:
            written += [] if listed is None else [listed]
    for path in written:
        print(f"written: {inert(path)}")
    return FAILED if failures else 0


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, each used once: a second one of the same spelling gets a number."""
    out: list[str] = []
    for name in names:
        candidate, number = name, 2
        while candidate in out:
            candidate, number = f"{name}-{number}", number + 1
        out.append(candidate)
    return out
