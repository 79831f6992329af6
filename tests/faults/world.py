"""What the faults happen to: a tiny random Llama, two corpora, a cache that has everything, runs without a fault."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from tests import tiny
from tests.faults import forks, outcomes
from tests.faults.forks import Ended
from tests.faults.outcomes import Numbers

ROOT = Path(__file__).resolve().parents[2]
SHARD_BYTES = 60_000  # so that a store of 40 texts has several shards
# what is judged, as -k takes it: one claim, a section, claims that need the other corpus
SELECTIONS = (
    "last_layer_norm or growth or grow_exponentially",
    "random_vectors or norm_is_a_feature",
    "normalising_tightens or layer_zero",
    "linearly_separable or every_layer or dimension",
    "accuracy_drops or transfer_beats",
    "subspace",
    "accuracy_stable or top_dimensions or sign_flips",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """A folder with a model and two corpora; a trial gets a folder in it."""

    folder: Path
    known: dict[str, tuple[int, Numbers]] = field(default_factory=dict)

    @classmethod
    def make(cls) -> "World":
        """Build the model and the corpora, and load the model once: what that imports no fork has to import again."""
        forks.prepare()
        plan = sys.modules.get("layerclaims.activations.plan")
        if hasattr(plan, "SHARD_BYTES"):  # without it there is one shard a store, and no two to be swapped
            plan.SHARD_BYTES = SHARD_BYTES
        from transformers.utils import logging

        logging.disable_progress_bar()
        world = cls(folder=Path(tempfile.mkdtemp(prefix="layerclaims-faults-")))
        tiny.build("llama", world.model)
        tiny.write_jsonl(world.main, tiny.texts(60))
        tiny.write_jsonl(world.other, tiny.texts(60, seed=5))
        (world.folder / "pytest.ini").write_text("[pytest]\n", "ascii")
        from transformers import AutoModelForCausalLM, AutoTokenizer

        AutoModelForCausalLM.from_pretrained(world.model, use_safetensors=True)
        AutoTokenizer.from_pretrained(world.model)
        return world

    def remove(self) -> None:
        """Leave nothing."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def model(self) -> Path:
        """Directory of the model."""
        return self.folder / "model"

    @property
    def main(self) -> Path:
        """Corpus that claims are judged on."""
        return self.folder / "main.jsonl"

    @property
    def other(self) -> Path:
        """Corpus of the transfer."""
        return self.folder / "other.jsonl"

    def place(self) -> Path:
        """An empty folder for a trial of this process."""
        self.trials.mkdir(exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self.trials))

    @property
    def trials(self) -> Path:
        """The folder of this process' trials."""
        return self.folder / f"trials-{os.getpid()}"

    # --- runs

    def pytest(
        self,
        selection: str,
        place: Path,
        *more: str,
        before: Callable[[], object] | None = None,
        **changed: Any,
    ) -> Callable[[], int]:
        """`pytest claims/` with cache and report in `place`; a keyword replaces an option, None leaves it out."""
        options: dict[str, Any] = {
            "model": self.model, "corpus": self.main, "transfer-corpus": self.other, "n-texts": 40, "context": 8,
            "report": "none", "out": place / "out", "cache-dir": place / "cache",
            **{name.replace("_", "-"): value for name, value in changed.items()},
        }  # fmt: skip
        given = [
            str(part) for name, value in options.items() if value is not None for part in (f"--{name}", value)
        ]
        fixed = [
            "-c",
            str(self.folder / "pytest.ini"),
            "-p",
            "layerclaims.plugin.hooks",
            "-p",
            "no:cacheprovider",
        ]
        selected = ["-k", selection] if selection else []

        def call() -> int:
            import pytest

            os.chdir(place)
            if before is not None:
                before()
            return int(pytest.main([str(ROOT / "claims"), *fixed, *selected, *given, *more]))

        return call

    def command(
        self, place: Path, *arguments: object, before: Callable[[], object] | None = None
    ) -> Callable[[], int]:
        """`layerclaims ARGUMENTS`, called in `place`."""

        def call() -> int:
            from layerclaims.cli.main import main

            os.chdir(place)
            if before is not None:
                before()
            return main([str(argument) for argument in arguments])

        return call

    def right(self, selection: str) -> tuple[int, Numbers]:
        """Exit status and numbers of a selection that nothing disturbs, from an empty cache."""
        if selection not in self.known:
            place = self.place()
            ended = forks.run(self.pytest(selection, place))
            found = outcomes.read(place / "out" / "results.json")
            assert found is not None, ended.text
            self.known[selection] = (ended.status, found)
            shutil.rmtree(place)
        return self.known[selection]

    def judged(self, selection: str, ended: Ended, place: Path) -> outcomes.Outcome:
        """What became of a run of `selection` in `place`."""
        status, numbers = self.right(selection)
        return outcomes.of_run(ended, place / "out" / "results.json", status=status, right=numbers)

    # --- caches

    def _filled(self, name: str, selections: Sequence[str], **changed: Any) -> Path:
        place = self.folder / name
        if not place.exists():
            place.mkdir()
            ended = forks.run(self.pytest(" or ".join(selections), place, **changed))
            assert ended.status in (0, 1), ended.text
        return place / "cache"

    @cached_property
    def everything(self) -> Path:
        """A cache with the states and measurements of all selections."""
        return self._filled("everything", SELECTIONS)

    @cached_property
    def another(self) -> Path:
        """The same of another seed."""
        return self._filled("another", SELECTIONS[:2], seed=1)

    def cache(self, place: Path, random: Random) -> Path:
        """A copy of the full cache in `place`, of whose measurements a random part is still to be made."""
        copy = place / "cache"
        shutil.copytree(self.everything, copy)
        share = random.choice((0.0, 0.5, 0.5, 1.0))
        for path in sorted((copy / "measurements").rglob("*.safetensors")):
            if random.random() < share:
                path.unlink()
        return copy

    @cached_property
    def seconds(self) -> float:
        """How long a cold run of the first selection takes here."""
        place = self.place()
        begun = time.monotonic()
        forks.run(self.pytest(SELECTIONS[0], place))
        shutil.rmtree(place)
        return time.monotonic() - begun
