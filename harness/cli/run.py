"""`layerclaims run`: judges the claims of the post, from wherever it is called."""

import argparse
from typing import Any

from layerclaims.cli.parser import command


def add_run(commands: Any) -> None:
    """Declare the command."""
    command(
        commands,
        "run",
        _run,
        "Judge the claims of the post. This is the same as pytest --pyargs layerclaims.claims and takes every option "
        "of pytest. pytest --help lists the options of layerclaims in the group “replication (layerclaims)”.",
        "layerclaims run --model gpt2-medium --profile quick -k norm",
    )


def _run(arguments: argparse.Namespace) -> int:
    import pytest

    return int(pytest.main(["--pyargs", "layerclaims.claims", *arguments.arguments]))
