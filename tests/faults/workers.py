"""`python -m tests.faults.workers`: workers of one plan, one of them killed; the files have to be the same every time.

Each trial starts three workers on a tiny model, as processes that do what `layerclaims work` does, and kills one at a
random moment. The others have to end by themselves, with every file as an undisturbed worker makes it. What was begun
more than once is counted.
"""

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.faults.worker import child, files, make_place

LONGEST = 200.0  # seconds after which workers that are left count as hanging
WORKERS = 3
FORK = multiprocessing.get_context("fork")


def start(place: Path, cache: Path) -> Any:
    process = FORK.Process(target=child, args=(place, cache))
    process.start()
    return process


def trial(place: Path, cache: Path, expected: dict[str, str], moment: float) -> tuple[str, int]:
    """What was wrong, "" for nothing; and how many pieces were begun more than once."""
    workers = [start(place, cache) for _ in range(WORKERS)]
    time.sleep(moment)
    os.kill(workers[0].pid, signal.SIGKILL)
    end = time.monotonic() + LONGEST
    for worker in workers:
        worker.join(max(0.0, end - time.monotonic()))
    if any(worker.exitcode is None for worker in workers):
        for worker in workers:
            worker.kill()
        return "a worker hangs", 0
    begun = Counter((cache / "begun").read_text().splitlines())
    again = sum(begun.values()) - len(begun)
    if [worker.exitcode for worker in workers[1:]] != [0] * (WORKERS - 1):
        return "a worker failed", again
    return "" if files(cache) == expected else "other files", again


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill workers of a plan at random.")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance, wrong = random.Random(arguments.seed), 0
    with tempfile.TemporaryDirectory() as directory:
        place = make_place(Path(directory))
        began = time.monotonic()
        start(place, place / "undisturbed").join()
        usual, expected = time.monotonic() - began, files(place / "undisturbed")
        print(f"undisturbed: {len(expected)} files in {usual:.1f} s", flush=True)
        for number in range(arguments.trials):
            moment = chance.uniform(0.05, 0.9) * usual
            why, again = trial(place, place / f"trial-{number}", expected, moment)
            wrong += bool(why)
            print(
                f"{number}: killed at {moment:.1f} s, {again} begun again: {why or 'same files'}", flush=True
            )
    print(f"{arguments.trials - wrong} of {arguments.trials} right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
