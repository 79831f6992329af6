"""What a session of our own tests may leave behind: nothing in the checkout, nothing in the user's cache."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# without compiled files each process that a test starts compiles all of layerclaims: more work than most tests
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# what Git, the tools and Python keep for themselves
PASSED_OVER = {
    ".git",
    ".venv",
    "build",
    "__pycache__",
    ".hypothesis",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
}
BEFORE = pytest.StashKey[set[Path]]()


def files() -> set[Path]:
    """Everything in the checkout, and the entries of the cache that a user's runs share."""
    found = {
        Path(folder) / name
        for folder, folders, names in os.walk(ROOT)
        for name in (*_kept(folders), *names)
        if not name.endswith(".egg-info")
    }
    shared = Path.home() / ".cache" / "layerclaims"
    return found | {path for kind in ("states", "measurements") for path in (shared / kind).glob("*")}


def _kept(folders: list[str]) -> list[str]:
    folders[:] = [name for name in folders if name not in PASSED_OVER]  # os.walk goes on with these
    return folders


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give the session a cache of its own, which the processes that it starts inherit."""
    if not hasattr(config, "workerinput"):
        config.stash[BEFORE] = files()
    own = tempfile.TemporaryDirectory(prefix="layerclaims-tests-", ignore_cleanup_errors=True)
    config.add_cleanup(own.cleanup)
    os.environ["LAYERCLAIMS_CACHE"] = own.name


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Fail a session that has left something."""
    yield
    if BEFORE in session.config.stash and (left := sorted(files() - session.config.stash[BEFORE])):
        session.config.get_terminal_writer().line(
            f"\nThe tests left {', '.join(map(str, left[:10]))}.", red=True
        )
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
