"""docs/commands.md: the command `layerclaims`, as its parser declares it."""

import argparse
from collections.abc import Iterator

from docs.writers import cell

HEAD = """# Commands

This page is generated from the code. `make docs` writes it.

`layerclaims` works on what a run has written. Only `run` and `capture` load a model. Where a command takes results,
give it a `results.json` or a `report.pdf`: the PDF carries its own `results.json`.

The exit status is 0 when a command did its work. It is 1 when the command failed or found what you asked it to fail on,
2 after a mistake in the command line, and 130 after Ctrl-C.
"""


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _argument(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    values = action.metavar or "|".join(map(str, action.choices or ()))
    return f"`{action.option_strings[-1]}{' ' if values and action.nargs != 0 else ''}{values}`".replace(
        "|", "\\|"
    )


def _block(name: str, parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    yield f"{'#' * level} {name}\n"
    yield f"{parser.description}\n"
    actions = _subparsers(parser)
    if not actions:
        yield f"```sh\n{(parser.epilog or '').removeprefix('example: ')}\n```\n"
    arguments = [
        action
        for action in parser._actions
        if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    ]
    if arguments:
        yield "| argument | meaning |\n| --- | --- |"
        yield "\n".join(f"| {_argument(action)} | {cell(action.help or '')} |" for action in arguments) + "\n"
    for action, below in actions.items():
        yield from _block(f"{name} {action}", below, level + 1)


def text() -> str:
    """The whole page."""
    from layerclaims.cli.main import parser

    blocks = [
        line
        for name, below in _subparsers(parser()).items()
        for line in _block(f"layerclaims {name}", below, 2)
    ]
    return "\n".join([HEAD, *blocks]).rstrip() + "\n"
