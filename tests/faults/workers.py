"""`python -m tests.faults.workers`: workers of one plan, killed at random; the files have to be the same every time.

Each trial starts `layerclaims work` twice on a tiny model and kills one of the two at a random moment. The other has to
end by itself, with every file as an undisturbed run makes it. What was redone is counted by the writes of each file.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.plugin_runs import ROOT, Place

LONGEST = 300.0  # seconds after which a worker that is left counts as hanging
FEW = ("-k", "norm_is or random_vectors or masking or drops")


def start(place: Place, cache: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "layerclaims.cli", "work", *place.options(*FEW, cache_dir=cache)],
        cwd=ROOT, env=place.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def files(cache: Path) -> dict[str, str]:
    return {
        str(path.relative_to(cache)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(cache.rglob("*"))
        if path.is_file() and not path.name.endswith(("lock", ".tmp"))
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill workers of a plan at random.")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance, wrong = random.Random(arguments.seed), 0
    with tempfile.TemporaryDirectory() as directory:
        place = Place.make(Path(directory))
        began = time.monotonic()
        if start(place, place.path / "undisturbed").wait():
            return 1
        usual, expected = time.monotonic() - began, files(place.path / "undisturbed")
        print(f"undisturbed: {len(expected)} files in {usual:.0f} s", flush=True)
        for trial in range(arguments.trials):
            cache = place.path / f"trial-{trial}"
            both = [start(place, cache) for _ in range(2)]
            moment = chance.uniform(0.2, 1.0) * usual
            time.sleep(moment)
            there = files(cache) if cache.exists() else {}
            alive = both[0].poll() is None
            os.kill(both[0].pid, signal.SIGKILL)
            try:
                status: int | None = both[1].wait(LONGEST)
            except subprocess.TimeoutExpired:
                both[1].kill()
                status = None
            both[0].wait()
            found = files(cache)
            kept = sum(found.get(name) == digest for name, digest in there.items() if name in expected)
            lost = sum(name in expected for name in there) - kept
            right = status == 0 and found == expected and lost == 0
            wrong += not right
            print(
                f"{trial}: killed {'at work' if alive else 'after its end'} at {moment:.1f} s with {len(there)} files "
                f"there; {'same files' if right else f'WRONG: status {status}, {lost} made again'}",
                flush=True,
            )
    print(f"{arguments.trials - wrong} of {arguments.trials} right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
