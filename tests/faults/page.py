"""docs/reliability.md: what was tried, what became of it, how to try it again."""

import datetime
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Sequence

from tests.faults import campaign
from tests.faults.campaign import Tried
from tests.faults.world import ROOT

PAGE = ROOT / "docs" / "reliability.md"
INTRODUCTION = """# Reliability

An instrument may refuse; it may not be wrong and silent. `make faults` tries that: it ends runs, damages and mixes up
their files, fills disks, lets processes race and passes bad inputs, on a tiny random Llama and two small corpora, and
writes this page. `make test` runs a short part of it. It takes Linux.

- **right**: the numbers of the run that nothing disturbed, each verdict, estimate, interval and count. A run that was
  ended counts as right when the same command, called again, gives them. A bad input counts as right where it is in fact
  fine.
- **refused**: a status that is not 0, and one sentence that says why; of what is judged all the same, every number is
  the undisturbed run's.
- **wrong**: anything else: other numbers without a word, a traceback, a half-written file, a run that does not end.
"""


def table(tried: Sequence[Tried]) -> str:
    """A row for each kind of fault."""
    lines = ["| fault | tried | right | refused | wrong |", "| --- | ---: | ---: | ---: | ---: |"]
    groups = [*dict.fromkeys(kind.group for kind in campaign.KINDS), campaign.INPUTS]
    for group in groups:
        found = [one for one in tried if campaign.group_of(one.trial.kind) == group]
        if found:
            lines.append(_row(f"**{group}**", found))
        lines += [
            _row(name, [one for one in found if _name(one) == name])
            for name in sorted(set(map(_name, found)))
        ]
    return "\n".join([*lines, _row("**All**", tried)])


def _name(one: Tried) -> str:
    return one.about.partition(",")[0] if one.trial.kind == campaign.BAD else one.trial.kind


def _row(name: str, found: Sequence[Tried]) -> str:
    words = Counter(one.outcome.word for one in found)
    here = len(found) - words["not possible here"]
    counts = (here, words["right"], words["refused"], words["wrong"])
    return f"| {name} | {' | '.join(f'{count:,}' for count in counts)} |"


def write(tried: Sequence[Tried], *, seed: int, seconds: float) -> None:
    """Replace the page."""
    wrong = [one for one in tried if one.outcome.word == "wrong"]
    absent = sorted({one.trial.kind for one in tried if one.outcome.word == "not possible here"})
    planned = len(campaign.trials(short=False))
    parts = [
        INTRODUCTION,
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, commit {_commit()}, seed {seed}: {len(tried):,} of "
        f"{planned:,} planned trials in {seconds / 60:.0f} minutes on {_machine()}.",
        *([f"Not possible on that machine: {', '.join(absent)}."] if absent else []),
        table(tried),
        "## What was wrong" if wrong else "Nothing was wrong.",
        "\n".join(map(_described, wrong)),
        'A trial is its kind and its number under the seed: `python -m tests.faults --kind "swap" --trial 7` makes '
        "that one again. Trials at a moment depend on the machine's speed; those at an event do not.",
    ]
    PAGE.write_text("\n\n".join(part.strip("\n") for part in parts if part) + "\n", "utf-8")


def _described(one: Tried) -> str:
    detail = "".join(c if c.isprintable() else " " for c in one.outcome.detail).replace("`", "'")[:300]
    about = f" ({one.about})" if one.about else ""
    return f"- {one.trial.kind}{about.replace('`', chr(39))}: `{detail}`. `{one.trial.command}`"


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def _machine() -> str:
    system = f"{platform.system()} {platform.release().partition('-')[0]}"
    return f"{os.cpu_count()} cores, {system}, Python {platform.python_version()}"
