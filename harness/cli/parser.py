"""How the commands read their arguments and end."""

import argparse
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import inert

FAILED, USAGE, INTERRUPTED, CLOSED_PIPE = 1, 2, 130, 141  # exit statuses besides 0
Command = Callable[[argparse.Namespace], int]


class UsageError(LayerclaimsError):
    """A mistake in what was typed, found after the options were parsed."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        """End with the sentence."""
        text = inert(message)
        print(f"{self.prog}: {text[:1].upper()}{text[1:]}; see {self.prog} --help.", file=sys.stderr)
        raise SystemExit(USAGE)


def command(
    commands: Any, name: str, run: Command | None, what: str, example: str
) -> argparse.ArgumentParser:
    """Add a command; the first sentence of `what` is its line in the list of commands."""
    added: argparse.ArgumentParser = commands.add_parser(
        name,
        help=(what[0].lower() + what[1:]).partition(". ")[0].removesuffix("."),
        description=what,
        epilog=f"example: {example}",
        allow_abbrev=False,
    )
    if run is not None:
        added.set_defaults(command=run)
    return added
