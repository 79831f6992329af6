"""`layerclaims explain`: what a claim says and how it is decided."""

import argparse
from typing import Any

from layerclaims.cli.claims import add_claims, known_claims
from layerclaims.cli.parser import UsageError, command
from layerclaims.runtime.text import inert, shown


def add_explain(commands: Any) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "explain",
        _explain,
        "Explain a claim, or list them all. You see what the source says, what is estimated, the pass mark and why, "
        "and where the code is.",
        "layerclaims explain norm-is-a-feature",
    )
    parser.add_argument("id", nargs="?", metavar="ID", help="the claim. Default: list the ids of all")
    add_claims(parser)


def _explain(arguments: argparse.Namespace) -> int:
    from layerclaims.verdicts.claim import POST

    found = known_claims(arguments)
    if arguments.id is None:
        for name, entry in found.items():
            print(f"{name:<44} {inert(entry.claim.statement)}")
        return 0
    if arguments.id not in found:
        from difflib import get_close_matches

        near = get_close_matches(arguments.id[:200], found, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else "; layerclaims explain lists them."
        raise UsageError(f"There is no claim {shown(arguments.id)}{hint}")
    entry = found[arguments.id]
    row = entry.claim
    for label, text in (
        ("claim", row.id),
        ("section", row.section),
        ("the post says" if row.source == POST else "it says", row.statement),
        ("source", row.cited),
        ("it reported", row.reported or "no number"),
        ("estimated is", row.estimand),
        ("pass mark", entry.rule),
        ("as published", entry.published_rule),
        ("why", row.rationale or "not stated"),
        ("code", entry.location),
    ):
        print(_paragraph(label, inert(text)))
    return 0


def _paragraph(label: str, text: str) -> str:
    import textwrap

    return textwrap.fill(
        text, 100, initial_indent=f"{label:<15}", subsequent_indent=" " * 15, break_on_hyphens=False
    )
