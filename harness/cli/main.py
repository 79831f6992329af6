"""The command `layerclaims`: everything that needs no run of pytest."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence

from layerclaims import __version__
from layerclaims.cli.cache import add_cache
from layerclaims.cli.capture import add_capture
from layerclaims.cli.explain import add_explain
from layerclaims.cli.fetch import add_fetch
from layerclaims.cli.parser import CLOSED_PIPE, FAILED, INTERRUPTED, USAGE, Parser, UsageError
from layerclaims.cli.report import add_report
from layerclaims.cli.results import add_compare, add_schema, add_verify
from layerclaims.cli.run import add_run
from layerclaims.cli.sweep import add_sweep
from layerclaims.cli.work import add_work
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime import signals
from layerclaims.runtime.text import inert


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status. `arguments` are those after the program's name.

    0: done. 1: it failed, or found what it was asked to fail on. 2: a mistake in the command line. 130: Ctrl-C or
    SIGTERM.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            # a terminal of another encoding shows an escape and not a traceback
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]

    def run() -> int:
        parsed = parse(sys.argv[1:] if arguments is None else arguments)
        return int(parsed.command(parsed))

    return end(run)


def end(run: Callable[[], int]) -> int:
    """What `run` gives, or the exit status of how it ended otherwise, after one sentence on it; as `main`."""
    restore = signals.interrupt_on_terminate()
    try:
        status = run()
        sys.stdout.flush()
    except LayerclaimsError as error:
        print(f"layerclaims: {inert(error)}", file=sys.stderr)
        return USAGE if isinstance(error, UsageError) else FAILED
    except KeyboardInterrupt:
        print("\nlayerclaims: Stopped; what was finished is kept.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # the reader has gone, as with `| head`; what Python still wants to flush must not complain either
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return CLOSED_PIPE
    finally:
        restore()
    return status


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line as the commands take it; a mistake in it ends the program with one sentence."""
    given = list(arguments)
    # what comes after `run` and `work` is pytest's, but for a question about the command itself
    own = given[:1] if given[:1] in (["run"], ["work"]) and given[1:2] not in (["-h"], ["--help"]) else given
    return parser().parse_args(own, argparse.Namespace(arguments=given[1:]))


def parser() -> argparse.ArgumentParser:
    """The parser of every command; the reference in the documentation is made from it."""
    made = Parser(
        prog="layerclaims",
        description="Reports, comparisons and checks of what `pytest claims/` measured.",
        epilog="example: layerclaims verify reports/smollm2-135m-instruct/report.pdf",
        allow_abbrev=False,
    )
    made.add_argument("--version", action="version", version=f"layerclaims {__version__}")
    commands = made.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    for add in (
        add_run,
        add_work,
        add_sweep,
        add_report,
        add_compare,
        add_verify,
        add_cache,
        add_explain,
        add_schema,
        add_capture,
        add_fetch,
    ):
        add(commands)
    return made
