"""`python -m tests.faults.workers`: workers of one plan, one of them killed; the files have to be the same every time.

Each trial starts three workers on a tiny model, as processes that do what `layerclaims work` does, and kills one at a
random moment. The others have to end by themselves, with every file as an undisturbed worker makes it. What was begun
more than once is counted.
"""

import argparse
import hashlib
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

from layerclaims.activations import making
from layerclaims.activations import plan as cut
from layerclaims.experiments.plan import make_plan
from layerclaims.experiments.study import Study
from layerclaims.experiments.work import work
from layerclaims.protocol import resolve_options
from layerclaims.verdicts.declaration import rule_of
from layerclaims.verdicts.registry import post_claims

from tests import tiny

LONGEST = 200.0  # seconds after which workers that are left count as hanging
WORKERS = 3
FORK = multiprocessing.get_context("fork")
CLAIMS = (
    "norm-is-a-feature",
    "layers-linearly-separable",
    "accuracy-drops-on-another-corpus",
    "random-vectors-fail",
)


def child(place: Path, cache: Path) -> None:
    """A worker. It writes the name of each piece into a file when it begins with it."""
    cut.SHARD_BYTES = 8_000
    compute, capture = Study._compute, making.capture_shard

    def begin(name: str) -> None:
        with (cache / "begun").open("a") as file:
            file.write(f"{name}\n")

    def computing(self: Study, measurement: Any) -> Any:
        begin(measurement.name)
        return compute(self, measurement)

    def capturing(model: Any, ids: Any, *rest: Any) -> Any:
        begin(hashlib.sha256(ids.numpy().tobytes()).hexdigest())
        return capture(model, ids, *rest)

    Study._compute, making.capture_shard = computing, capturing  # type: ignore[method-assign, assignment]
    options = {
        "model": str(place / "model"), "corpus": str(place / "main.jsonl"), "n_texts": 40, "context": 8,
        "transfer_corpus": str(place / "other.jsonl"),
    }  # fmt: skip
    study = Study(resolve_options({name: (value, "") for name, value in options.items()}), cache_dir=cache)
    known = post_claims()
    work(make_plan([(study, [rule_of(known[name].test) for name in CLAIMS], ())]))
    os._exit(0)  # nothing of the parent's is to be ended


def start(place: Path, cache: Path) -> Any:
    cache.mkdir(exist_ok=True)
    process = FORK.Process(target=child, args=(place, cache))
    process.start()
    return process


def files(cache: Path) -> dict[str, str]:
    return {
        str(path.relative_to(cache)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(cache.rglob("*"))
        if path.is_file() and not path.name.endswith(("lock", ".tmp", "begun"))
    }


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
        place = Path(directory)
        tiny.build("gpt2", place / "model", n_layer=2, n_embd=16)
        tiny.write_jsonl(place / "main.jsonl", tiny.texts(60))
        tiny.write_jsonl(place / "other.jsonl", tiny.texts(60, seed=5))
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
