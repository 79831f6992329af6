"""`python -m tests.faults.worker PLACE CACHE [CLAIM...]`: the work of a plan on a tiny model, by one worker.

It writes the name of each piece into the file `begun` of the cache when it begins with it.
"""

import hashlib
import os
import sys
from collections.abc import Sequence
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

CLAIMS = (
    "norm-is-a-feature",
    "layers-linearly-separable",
    "accuracy-drops-on-another-corpus",
    "random-vectors-fail",
)


def make_place(place: Path) -> Path:
    """A tiny model and two corpora."""
    tiny.build("gpt2", place / "model", n_layer=2, n_embd=16)
    tiny.write_jsonl(place / "main.jsonl", tiny.texts(60))
    tiny.write_jsonl(place / "other.jsonl", tiny.texts(60, seed=5))
    return place


def files(cache: Path) -> dict[str, str]:
    """Digest of each file that a worker made."""
    return {
        str(path.relative_to(cache)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(cache.rglob("*"))
        if path.is_file() and not path.name.endswith(("lock", ".tmp", "begun"))
    }


def child(place: Path, cache: Path, claims: Sequence[str] = CLAIMS) -> None:
    """Do the work, then end without what Python does at its end: nothing of a parent's is to be ended."""
    cache.mkdir(exist_ok=True)
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
    work(make_plan([(study, [rule_of(known[name].test) for name in claims], ())]))
    os._exit(0)


if __name__ == "__main__":
    child(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or CLAIMS)
