"""Working: a session of pytest that captures and measures what its claims need, and judges none of them."""

import contextlib
import io
import sys
from collections.abc import Sequence
from typing import Any, Final

import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.plugin.collection import reason

# pytest wants to rewrite this package's asserts, of which there are none that matter, and it is imported already
QUIET: Final = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
UNMEASURED: Final = (
    3  # exit status of a worker of which a measurement failed, as it will in any other process
)


class Working:
    """Stands in the place of the tests of a session: the plugin calls it with the plan."""

    def __init__(self) -> None:
        """Nothing has been done yet."""
        self.error: LayerclaimsError | None = None
        self.reached = False  # the plan

    def do(self, plan: Any) -> None:
        """Do the work of a plan, together with other processes; keep what is to be said at the end."""
        from layerclaims.experiments.work import work

        self.reached = True
        try:
            work(plan)
        except LayerclaimsError as error:
            self.error = error


def work(arguments: Sequence[str]) -> int:
    """Do the work of `pytest ARGUMENT...`, with no test; the exit status of a command.

    Raises LayerclaimsError, KeyboardInterrupt.
    """
    working, said = Working(), io.StringIO()
    with contextlib.redirect_stdout(said):
        status = pytest.main([*QUIET, *arguments], plugins=[working])
    if working.error is not None:
        raise working.error
    if working.reached and status == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if working.reached:  # whatever pytest says of tests, of which none was to be run
        return 0
    if status != pytest.ExitCode.USAGE_ERROR:  # of which pytest has said what it is
        raise LayerclaimsError(f"The claims cannot be collected: {reason(said.getvalue())}")
    return 2


def as_worker() -> int:
    """The same for an engine, which is told whether all but some measurements was done."""
    from layerclaims.experiments.work import UnmeasuredError

    try:
        return work(sys.argv[1:])
    except UnmeasuredError:
        return UNMEASURED


if __name__ == "__main__":
    from layerclaims.cli.main import end
    from layerclaims.plugin.working import (
        as_worker as run,  # the class that the session knows is that module's
    )

    sys.exit(end(run))
