"""`layerclaims work`: does the work of a run, together with other processes that do the same."""

import argparse
from typing import Any

from layerclaims.cli.parser import command


def add_work(commands: Any) -> None:
    """Declare the command."""
    command(
        commands,
        "work",
        _work,
        "Capture and measure what a run needs, and judge nothing. Give it the options of the run. Start it as often "
        "as you like, on any machines that share the cache directory: each process does what no other is at, and "
        "ends when all is done. If one is lost, the others do its part. A run with the same options then finds "
        "everything in the cache.",
        "layerclaims work --model gpt2-medium --profile quick",
    )


def _work(arguments: argparse.Namespace) -> int:
    from layerclaims.plugin.working import work

    return work(["--pyargs", "layerclaims.claims", *arguments.arguments])
