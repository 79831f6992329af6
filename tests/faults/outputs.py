"""What a run has written, damaged or mixed up, then read by verify, compare, report and --baseline."""

import json
import re
import shutil
from functools import cache
from pathlib import Path
from random import Random

from tests.faults import damage, forks, outcomes
from tests.faults.outcomes import Outcome
from tests.faults.world import SELECTIONS, World

# a reader that goes on with a file which is not what was written has to say so
SAID = re.compile(
    r"checksum|sha-?256|changed|edited|altered|does not match|mismatch|not what was written", re.I
)
READERS = ("verify", "compare", "report", "baseline")
SELECTION = SELECTIONS[1]


@cache
def written(world: World) -> Path:
    """A folder with the results of two runs, and the first one's report as PDF."""
    place = world.folder / "written"
    place.mkdir()
    for number, seed in enumerate((0, 1)):
        ended = forks.run(world.pytest(SELECTION, place, seed=seed, out=place / str(number)))
        assert (place / str(number) / "results.json").exists(), ended.text
    made = forks.run(world.command(place, "report", "0/results.json", "--out", "0", "--report", "pdf"))
    assert made.status in (0, 1), made.text
    return place


def _read(world: World, reader: str, place: Path, file: Path) -> tuple[forks.Ended, str]:
    """What a reader says of a file, and what it wrote."""
    if reader == "verify":
        call = world.command(place, "verify", file)
    elif reader == "compare":
        call = world.command(
            place, "compare", file, written(world) / "1" / "results.json", "--fail-on", "change"
        )
    elif reader == "report":
        call = world.command(place, "report", file, "--out", "made", "--report", "md,html")
    else:
        if not (place / "cache").exists():
            shutil.copytree(world.everything, place / "cache")
        call = world.pytest(SELECTION, place, baseline=file)
    ended = forks.run(call)
    made = "".join(
        path.read_text("utf-8", "replace") for path in sorted((place / "made").glob("*")) if path.is_file()
    )
    return ended, made


@cache
def _undisturbed(world: World, reader: str, name: str) -> tuple[int, str, str]:
    place = world.place()
    file = place / name
    shutil.copyfile(written(world) / "0" / name, file)
    ended, made = _read(world, reader, place, file)
    return ended.status, _said(ended.text, place), made


def _said(text: str, place: Path) -> str:
    """What was printed, without what is another one each time."""
    return re.sub(
        r"\d+\.\d+s( \(\d+:\d+:\d+\))?|=+|\d{4}-\d\d-\d\dT[\d:]+Z", "", text.replace(str(place), ".")
    )


def damaged(world: World, random: Random, *, how: str) -> Outcome:
    """A results file damaged, then read."""
    name = random.choice(("results.json", "results.json", "report.pdf"))
    if name == "report.pdf" and not (written(world) / "0" / name).exists():
        name = "results.json"  # no WeasyPrint here
    place = world.place()
    file = place / name
    shutil.copyfile(written(world) / "0" / name, file)
    damage.KINDS[how](file, random)
    return _judged(world, random.choice(READERS), place, file)


def mixed(world: World, random: Random) -> Outcome:
    """A part of one run's results in the results of another run."""
    place = world.place()
    one, other = (json.loads((written(world) / n / "results.json").read_bytes()) for n in ("0", "1"))
    part = random.choice(("claims", "documents", "corpora", "protocol", "a claim", "an estimate"))
    if part == "a claim":
        at = random.randrange(len(one["claims"]))
        one["claims"][at] = other["claims"][at]
    elif part == "an estimate":
        at = random.randrange(len(one["claims"]))
        for key in ("estimate", "interval", "verdict"):
            one["claims"][at][key] = other["claims"][at][key]
    else:
        one[part] = other[part]
    file = place / "results.json"
    file.write_text(json.dumps(one), "utf-8")
    return _judged(world, random.choice(READERS), place, file)


def _judged(world: World, reader: str, place: Path, file: Path) -> Outcome:
    status, said, made = _undisturbed(world, reader, file.name)
    ended, made_here = _read(world, reader, place, file)
    if what := outcomes.fault(ended):
        return Outcome.wrong(f"{reader}: {what}", ended)
    if (ended.status, _said(ended.text, place), made_here) == (status, said, made):
        return outcomes.RIGHT
    if SAID.search(ended.text) or SAID.search(made_here.replace(made, "")):
        return outcomes.REFUSED
    if not made_here and (ended.status or reader == "report"):
        found = outcomes.refusal(ended)
        if reader == "baseline" and (place / "out" / "results.json").exists():
            return Outcome.wrong("baseline: judged against a file that is not what was written", ended)
        if reader == "compare" and len(ended.lines) > 2:
            return Outcome.wrong("compare: another table without a word about the file", ended)
        return Outcome.wrong(f"{reader}: {found.detail}") if found.word == "wrong" else found
    return Outcome.wrong(f"{reader}: other numbers without a word about the file", ended)


def full_device(world: World, random: Random) -> Outcome:
    """/dev/full in place of a file that a run writes."""
    place = world.place()
    shutil.copytree(world.everything, place / "cache")
    where = random.choice(("results.json", "baseline", "summary.md", "report.html"))
    (place / "out").mkdir()
    changed: dict[str, object] = {}
    if where == "baseline":
        changed = {"save_baseline": "/dev/full"}
    else:
        (place / "out" / where).symlink_to("/dev/full")
        changed = {"report": "md,html"}
    selection = random.choice(SELECTIONS)
    ended = forks.run(world.pytest(selection, place, **changed))
    if what := outcomes.fault(ended):
        return Outcome.wrong(f"{where}: {what}", ended)
    if where != "baseline" and not (place / "out" / where).is_symlink():
        return world.judged(
            selection, ended, place
        )  # replaced in one step: nothing was written through the link
    return (
        outcomes.refusal(ended)
        if ended.status
        else Outcome.wrong(f"{where}: written to a full device", ended)
    )
