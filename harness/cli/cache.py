"""`layerclaims cache`: shows, checks and empties the cache directory."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerclaims.cli.parser import FAILED, Parser, command
from layerclaims.runtime.text import byte_size, inert, shown

if TYPE_CHECKING:
    from layerclaims.cache import CacheEntry


def add_cache(commands: Any) -> None:
    """Declare the command."""
    parser = command(
        commands, "cache", None, "List, check or empty the cache directory.", "layerclaims cache list"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, parser_class=Parser)
    made = [
        command(
            actions,
            "list",
            _cache_list,
            "Show entries with size, age, model and corpus.",
            "layerclaims cache list",
        ),
        command(
            actions,
            "verify",
            _cache_verify,
            "Read every byte again and compare checksums; damage exits with 1.",
            "layerclaims cache verify",
        ),
        command(
            actions,
            "prune",
            _cache_prune,
            "Remove entries, all of them or those not used for some days.",
            "layerclaims cache prune --older-than 30",
        ),
        command(actions, "path", _cache_path, "Print the cache directory.", "layerclaims cache path"),
    ]
    for action in made:
        add_cache_dir(action)
    which = made[2].add_mutually_exclusive_group(required=True)
    which.add_argument("--older-than", type=_days, metavar="DAYS", help="not used for this many days")
    which.add_argument("--all", action="store_true", help="all entries")


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < 1e6:
        raise argparse.ArgumentTypeError(f"{shown(text)} is no number of days")
    return days


def cache_dir(arguments: argparse.Namespace) -> Path:
    """The cache directory that the command line names, or the usual one."""
    from layerclaims.runtime.paths import default_cache_dir, user_path

    if arguments.cache_dir is None:
        return default_cache_dir()
    return user_path(arguments.cache_dir, "--cache-dir")


def _cache_list(arguments: argparse.Namespace) -> int:
    import time

    from layerclaims.cache import DAY, entries

    found = entries(cache_dir(arguments))
    now = time.time()
    for entry in found:
        age = max(0.0, now - entry.used) / DAY
        print(f"{byte_size(entry.size):>9}  used {_ago(age):<14}  {_described(entry)}")
    print(
        f"{byte_size(sum(entry.size for entry in found))} in {len(found)} entries of {inert(cache_dir(arguments))}"
    )
    return 0


def _cache_verify(arguments: argparse.Namespace) -> int:
    from layerclaims.cache import damaged, entries

    found = entries(cache_dir(arguments))
    status = 0
    for entry in found:
        bad = damaged(entry)
        for name, why in bad.items():
            status = FAILED
            print(f"{_described(entry)}: DAMAGED: {inert(name)}, since {inert(why)}")
        if not bad:
            print(f"{_described(entry)}: {'sound' if entry.state == 'whole' else entry.state}")
    if status:
        print("The next run captures or computes again what is damaged; or: layerclaims cache prune --all")
    return status


def _cache_prune(arguments: argparse.Namespace) -> int:
    from layerclaims.cache import prune

    freed, status = 0, 0
    for removal in prune(cache_dir(arguments), older_than=None if arguments.all else arguments.older_than):
        if removal.kept:
            status = FAILED
            print(f"kept     {_described(removal.entry)}: {inert(removal.kept)}")
        else:
            freed += removal.entry.size
            print(f"removed  {_described(removal.entry)}: {byte_size(removal.entry.size)}")
    print(f"{byte_size(freed)} freed")
    return status


def _cache_path(arguments: argparse.Namespace) -> int:
    print(inert(cache_dir(arguments)))
    return 0


def _described(entry: "CacheEntry") -> str:
    about = f"  {inert(entry.model)} on {inert(entry.corpus)}" if entry.model else ""
    note = "" if entry.state == "whole" else f" ({entry.state})"
    return f"{entry.kind}/{entry.key}{about}{note}"


def _ago(days: float) -> str:
    if days < 1:
        return "today"
    return f"{days:.0f} day{'s' if days >= 1.5 else ''} ago"


def add_cache_dir(parser: argparse.ArgumentParser) -> None:
    """Declare the option --cache-dir."""
    parser.add_argument(
        "--cache-dir",
        metavar="DIR",
        help="variable LAYERCLAIMS_CACHE, else ~/.cache/layerclaims",
    )
