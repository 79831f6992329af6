"""Whatever happens to a cache directory between two questions, an answer is right or a sentence."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from layerclaims import LayerclaimsError, Protocol, Study
from layerclaims.cache import damaged, entries, prune

from tests import tiny
from tests.faults import damage
from tests.fuzz.examples import THOROUGH, expect_sentence, fuzzed

CLAIMS = (
    "last-layer-norm-dominates",
    "layer-norms-grow-exponentially",
    "layer-zero-closes-a-ring",
    "random-vectors-fail",
)
CLAIM, SEED, NUMBER = st.sampled_from(CLAIMS), st.integers(0, 1), st.integers(0, 10**6)


@cache
def world() -> Path:
    place = Path(tempfile.mkdtemp(prefix="layerclaims-fuzz-"))
    tiny.build("llama", place / "model")
    for number, name in enumerate(("main", "other")):
        tiny.write_jsonl(place / f"{name}.jsonl", tiny.texts(30, seed=number))
    return place


def answer(claim: str, seed: int, cache_dir: Path) -> str:
    """Verdict and numbers of a claim, by a study that knows nothing yet."""
    protocol = Protocol(
        model=str(world() / "model"), corpus=str(world() / "main.jsonl"), transfer_corpus=str(world() / "other.jsonl"),
        n_texts=20, context=6, seed=seed,
    )  # fmt: skip
    found = Study(protocol, cache_dir=cache_dir).judge(claim)
    return f"{found.verdict} {[part.finding.estimate for part in found.evidence.parts]}"


@cache
def right(claim: str, seed: int) -> str:
    """The same from an empty cache."""
    with tempfile.TemporaryDirectory() as empty:
        return answer(claim, seed, Path(empty))


class Cache(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(dir=world()))

    def teardown(self) -> None:
        shutil.rmtree(self.place)

    def files(self) -> list[Path]:
        return sorted(
            path for path in self.place.rglob("*") if path.is_file() and not path.name.endswith("lock")
        )

    @rule(claim=CLAIM, seed=SEED)
    def ask(self, claim: str, seed: int) -> None:
        try:
            found = answer(claim, seed, self.place)
        except LayerclaimsError as error:
            expect_sentence(error)
        else:
            assert found == right(claim, seed)

    @rule(number=NUMBER, how=st.sampled_from(sorted(set(damage.KINDS) - {"foreign"})), random=st.randoms())
    def damage(self, number: int, how: str, random) -> None:
        if files := self.files():
            damage.KINDS[how](files[number % len(files)], random)

    @rule(one=NUMBER, other=NUMBER)
    def swap(self, one: int, other: int) -> None:
        if files := self.files():
            kind = [path for path in files if path.suffix == files[one % len(files)].suffix]
            if kind[one % len(kind)] != kind[other % len(kind)]:
                damage.swap(kind[one % len(kind)], kind[other % len(kind)])

    @rule(one=NUMBER, other=NUMBER, kind=st.sampled_from(["states", "measurements"]))
    def swap_folders(self, one: int, other: int, kind: str) -> None:
        folders = sorted((self.place / kind).glob("[0-9a-f]*"))
        if folders and folders[one % len(folders)] != folders[other % len(folders)]:
            damage.swap(folders[one % len(folders)], folders[other % len(folders)])

    @rule()
    def prune(self) -> None:
        list(prune(self.place))

    @rule()
    def verify(self) -> None:
        for entry in entries(self.place):
            damaged(entry)


TestCache = Cache.TestCase
TestCache.settings = fuzzed(8, stateful_step_count=20 if THOROUGH else 8)


@pytest.mark.parametrize("kind", ["states", "measurements"])
def test_what_belongs_to_another_seed_is_not_taken_for_this_one_s(kind):
    machine = Cache()
    try:
        for seed in (0, 1):
            machine.ask(CLAIMS[0], seed)
        machine.swap_folders(0, 1, kind)
        if kind == "states":
            shutil.rmtree(machine.place / "measurements")
        for seed in (0, 1):
            machine.ask(CLAIMS[0], seed)
    finally:
        machine.teardown()


def teardown_module() -> None:
    if world.cache_info().currsize:
        shutil.rmtree(world())
