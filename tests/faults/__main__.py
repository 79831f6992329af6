"""`python -m tests.faults`: the campaign, in two processes; docs/reliability.md at the end; 1 if anything was wrong.

--minutes N   stop after so many (20)
--seed N      other places, moments and selections (0); a bad input is the same under any seed
--kind NAME   only trials of one kind;  --trial N  only this one, with all that is printed
--short       the few trials that `make test` makes, one process, no page; --json FILE takes what became of them
"""

import argparse
import dataclasses
import json
import os
import select
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from tests.faults import campaign, forks, outputs, page
from tests.faults.campaign import Trial, Tried
from tests.faults.outcomes import Outcome
from tests.faults.world import World


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", default=None)
    parser.add_argument("--trial", type=int, default=None)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--no-page", action="store_true")
    given = parser.parse_args()
    begun = time.monotonic()
    world = World.make()
    try:
        if given.trial is not None:
            forks.show.append("all")
            tried = [
                campaign.attempt(
                    world, Trial(kind=given.kind or campaign.BAD, seed=given.trial), seed=given.seed
                )
            ]
        else:
            todo = campaign.trials(short=given.short, kind=given.kind)
            processes = 1 if given.short else 2
            tried = side_by_side(world, todo, processes, seed=given.seed, end=begun + 60 * given.minutes - 20)
    finally:
        world.remove()
    wrong = [one for one in tried if one.outcome.word == "wrong"]
    for one in wrong:
        print(
            f"\nWRONG  {one.trial.kind} {one.about}\n       {one.outcome.detail}\n       {one.trial.command}"
        )
    print(
        f"\n{page.table(tried)}\n\n{len(tried)} trials in {time.monotonic() - begun:.0f} s, {len(wrong)} wrong"
    )
    if given.json is not None:
        given.json.write_text(json.dumps([dataclasses.asdict(one) for one in tried]), "utf-8")
    if not (given.short or given.kind or given.trial is not None or given.no_page):
        page.write(tried, seed=given.seed, seconds=time.monotonic() - begun)
    return 1 if wrong else 0


def side_by_side(world: World, todo: list[Trial], processes: int, *, seed: int, end: float) -> list[Tried]:
    """Every n-th trial in each of n processes, until all are done or the time is up."""
    _ = (
        world.everything,
        world.another,
        world.seconds,
        outputs.written(world),
    )  # made once, before processes part
    pipes: dict[int, bytes] = {}  # pipe -> the line that has begun
    children = []
    for number in range(processes):
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            os._exit(_work(world, todo[number::processes], writing, seed=seed, end=end))
        os.close(writing)
        pipes[reading] = b""
        children.append(child)
    tried: list[Tried] = []
    begun = shown = time.monotonic()
    while pipes:
        for pipe in select.select(list(pipes), [], [], 5)[0]:
            part = os.read(pipe, 1 << 16)
            *lines, rest = (pipes[pipe] + part).split(b"\n")
            pipes[pipe] = rest
            tried += [_of_json(json.loads(line)) for line in lines]
            if not part:
                del pipes[pipe]
        if time.monotonic() - shown > 10 and tried:
            shown = time.monotonic()
            left = min(end - shown, (shown - begun) / len(tried) * (len(todo) - len(tried)))
            bad = sum(one.outcome.word == "wrong" for one in tried)
            print(
                f"{len(tried)} of {len(todo)} trials, {bad} wrong, about {left / 60:.1f} minutes left",
                flush=True,
            )
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if any(statuses):
        raise SystemExit(f"the campaign itself failed: statuses {statuses}")
    return tried


def _of_json(one: dict[str, Any]) -> Tried:
    return Tried(Trial(**one["trial"]), Outcome(**one["outcome"]), one["about"])


def _work(world: World, todo: list[Trial], writing: int, *, seed: int, end: float) -> int:
    """Try, and say in a line what became of each."""
    with os.fdopen(writing, "w", encoding="utf-8") as out:
        for trial in todo:
            if time.monotonic() > end:
                break
            try:
                tried = campaign.attempt(world, trial, seed=seed)
            except Exception:
                print(trial.command, file=sys.stderr)
                traceback.print_exc()
                return 1
            print(json.dumps(dataclasses.asdict(tried)), file=out, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
