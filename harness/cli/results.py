"""`layerclaims compare`, `verify` and `schema`: what results files say."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerclaims.cli.claims import add_claims, known_claims
from layerclaims.cli.parser import FAILED, command

if TYPE_CHECKING:
    from layerclaims.results.records import Results
    from layerclaims.results.verification import Pages


def add_compare(commands: Any) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "compare",
        _compare,
        "Compare two runs claim by claim. It prints what changed, and what got worse first. A claim regressed if its "
        "verdict got worse and the intervals of both runs do not overlap. A verdict that changed while they overlap is "
        "within error: another sample of documents may do that. The exit status is 0 whatever changed, unless you ask "
        "for another one with --fail-on.",
        "layerclaims compare baseline.json reports/gpt2/results.json --fail-on regression",
    )
    parser.add_argument(
        "baseline", type=Path, metavar="BASELINE", help="the earlier run: a results.json or report.pdf"
    )
    parser.add_argument("new", type=Path, metavar="NEW", help="the later run: a results.json or report.pdf")
    parser.add_argument(
        "--fail-on",
        choices=("regression", "change"),
        help="exit with 1 on a regression, on a claim that broke and if nothing can be compared; or on any change, one "
        "within error too",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--all", action="store_true", help="print the claims that are the same in both runs too"
    )
    form.add_argument(
        "--csv",
        action="store_true",
        help="print comma-separated values instead, a line for each claim of either run",
    )


def _compare(arguments: argparse.Namespace) -> int:
    from layerclaims.results import compare, comparison_text
    from layerclaims.results import file as results

    baseline, new = results.read_results(arguments.baseline), results.read_results(arguments.new)
    changes = compare.compare(baseline, new)
    if arguments.csv:
        print(comparison_text.as_csv(changes), end="")
    else:
        print(comparison_text.text(baseline, new, changes, whole=arguments.all))
    return compare.exit_status(changes, arguments.fail_on)


def add_verify(commands: Any) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "verify",
        _verify,
        "Recompute every verdict that a file allows. Estimates, intervals, p-values and verdicts are computed again "
        "from the counts per document. The texts and published figures are compared with the code of the claims. A PDF "
        "is rendered again and its pages are compared. The last line says how much was checked. A mismatch exits "
        "with 1.",
        "layerclaims verify reports/gpt2/report.pdf",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a results.json or report.pdf")
    add_claims(parser)


def _verify(arguments: argparse.Namespace) -> int:
    from layerclaims.results.verify import verify_file

    outcome = verify_file(arguments.file, claims=known_claims(arguments), compare_pages=_compare_pages)
    print(outcome.text())
    return 0 if outcome.verified else FAILED


def _compare_pages(data: bytes, results: "Results") -> "Pages":
    """Render the pages again; only here, since what renders takes long to load."""
    from layerclaims.report.rerender import compare_pages
    from layerclaims.runtime import progress

    progress.note("layerclaims: rendering the report again to compare its pages")
    return compare_pages(data, results)


def add_schema(commands: Any) -> None:
    """Declare the command."""
    command(
        commands,
        "schema",
        _schema,
        "Print the JSON Schema of results.json.",
        "layerclaims schema > results.schema.json",
    )


def _schema(_: argparse.Namespace) -> int:
    import json

    from layerclaims.results.file import schema

    print(json.dumps(schema(), indent=2))
    return 0
