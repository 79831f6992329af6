"""The claims that a command knows: ours, and the user's own where they are named."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layerclaims.verdicts.registry import RegisteredClaim


def add_claims(parser: argparse.ArgumentParser) -> None:
    """Declare the option --claims."""
    parser.add_argument(
        "--claims",
        action="append",
        default=[],
        metavar="PATH",
        help="a file, a folder or an importable package with claims of your own; repeat the option for several",
    )


def known_claims(arguments: argparse.Namespace) -> "dict[str, RegisteredClaim]":
    """Our claims, and those that --claims names: of one id, the latter's."""
    from layerclaims.verdicts.registry import post_claims

    if not arguments.claims:
        return dict(post_claims())
    from layerclaims.plugin.collection import find

    return {**post_claims(), **find(arguments.claims)}
