"""Sweeps: what a file names, what of it is missing, and a small one from end to end."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from layerclaims.cli.main import main
from layerclaims.errors import LayerclaimsError
from layerclaims.sweeps import run as module
from layerclaims.sweeps.file import read_sweep
from layerclaims.sweeps.progress import State, described
from layerclaims.verdicts.published import published

from tests import tiny, warm
from tests.plugin_runs import ROOT


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


class TestFile:
    def test_each_combination_is_a_target_once_and_those_of_the_same_states_are_neighbours(self, tmp_path):
        sweep = read_sweep(
            write(
                tmp_path / "s.toml",
                'keep_states = false\n[[grid]]\nmodels = ["gpt2", "gpt2-xl"]\ntexts = [50, 100]\n'
                'protocols = ["rigorous", "as-published"]\n[[grid]]\nmodels = "gpt2"\ntexts = 50\n',
            )
        )
        states = [target.states for target in sweep.targets]
        assert len(sweep.targets) == len({target.name for target in sweep.targets}) == 8
        assert states[::2] == states[1::2]
        assert len(set(states)) == 4
        assert (sweep.out, sweep.keep_states) == (Path("reports/s"), False)
        assert sweep.targets[0].name == "gpt2-imdb-50x30-seed0-rigorous"

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("[[grid]]\nmodel = 'gpt2'", "has no key 'model'; did you mean models?"),
            ("[[grid]]\nmodels = 'gpt2'\ntexts = ['many']", "texts = .* has to be a whole number or a list"),
            ("[[grid]]\nmodels = 'gpt2'\ntexts = true", "texts = 'True' has to be a whole number"),
            (
                "[[grid]]\nmodels = 'gpt2'\ntexts = 3",
                "Grid 1 .* cannot be run: --n-texts '3' is not possible",
            ),
            (
                "[[grid]]\nmodels = 'gpt2'\nprotocols = 'both'",
                "cannot be run: --protocol 'both' is not possible",
            ),
            ("[[grid]]\ntexts = 50", "names no models"),
            ("keep_states = 1\n[[grid]]\nmodels = 'gpt2'", "keep_states = '1' has to be true or false"),
            ("out = 'here'", "has no grid"),
            ("[[grid", "is no TOML"),
        ],
    )
    def test_what_is_wrong_is_one_sentence(self, tmp_path, text, sentence):
        with pytest.raises(LayerclaimsError, match=sentence):
            read_sweep(write(tmp_path / "s.toml", text))

    def test_the_sweep_of_the_post_holds_every_cell_of_the_authors_but_those_without_a_run(self):
        cells = {
            (t.protocol.model, t.protocol.corpus, t.protocol.context, t.protocol.n_texts)
            for t in read_sweep(ROOT / "sweeps" / "post.toml").targets
        }
        assert {(c.model, c.corpus, c.context, c.n_texts) for c in published().imdb} <= cells
        theirs = {(r.cell.model, r.cell.corpus, r.cell.context, r.cell.n_texts) for r in published().pile}
        # one was filtered to ASCII, one had states that no other run of that model has
        assert theirs - cells == {("gpt2-medium", "pile", 20, 5000), ("gpt2-xl", "pile", 10, 1000)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sweep")
    tiny.build("gpt2", made / "model", n_layer=2, n_embd=16)
    tiny.write_jsonl(made / "texts.jsonl", tiny.texts(60))
    write(
        made / "small.toml",
        'out = "out"\nkeep_states = false\n[[grid]]\nmodels = "./model"\ncorpora = "texts.jsonl"\n'
        'transfer_corpus = "none"\ncontexts = 6\ntexts = [20, 30]\nclaims = "random_vectors_fail"\n',
    )
    return made


def sweep(place: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = ["-m", "layerclaims.cli", "sweep", "small.toml", "--cache-dir", "cache", *more]
    return warm.run(command, cwd=place, env={**os.environ, "OMP_NUM_THREADS": "1"})


def test_a_sweep_runs_what_is_missing_and_ends_in_a_board(place: Path) -> None:
    plan = sweep(place, "--dry-run")
    assert plan.stdout.splitlines()[0] == "2 targets in out, 0 of them done"
    assert "left: 2 targets, 300 tokens, 76.8 kB of states, dropped after each" in plan.stdout
    assert not (place / "out").exists()
    done = sweep(place)
    assert done.returncode == 0, done.stdout + done.stderr
    results = sorted((place / "out").glob("*/results.json"))
    assert [json.loads(path.read_text())["protocol"]["n_texts"] for path in results] == [20, 30]
    assert "random-vectors-fail" in (place / "out" / "board.md").read_text("utf-8")
    assert not list((place / "out" / "states").iterdir())
    before = results[1].read_bytes()
    results[0].unlink()
    assert "left: 1 targets, 120 tokens" in sweep(place, "--dry-run").stdout
    assert sweep(place).returncode == 0
    assert results[0].exists()
    assert results[1].read_bytes() == before


def test_the_engine_is_passed_on_to_each_target(tmp_path, monkeypatch, capsys) -> None:
    path = write(tmp_path / "s.toml", "[[grid]]\nmodels = 'gpt2'\ntexts = 50\n")
    monkeypatch.chdir(tmp_path)
    given: list[str] = []
    monkeypatch.setattr(module, "run", lambda *_, options, **__: given.extend(options) or {})
    assert main(["sweep", str(path), "--engine", "ray", "--ray-address", "auto"]) == 0
    assert given == ["--layerclaims-engine=ray", "--layerclaims-ray-address=auto"]
    assert main(["sweep", str(path), "--ray-address", "auto"]) == 2
    assert "--ray-address is for --engine ray only" in capsys.readouterr().err


def test_a_target_that_fails_costs_no_other_and_is_named(place, tmp_path, monkeypatch) -> None:
    path = write(tmp_path / "s.toml", "[[grid]]\nmodels = 'gpt2'\ntexts = [50, 100, 250]\n")
    monkeypatch.chdir(tmp_path)
    state = State(read_sweep(path))
    ran = []

    def run_one(state, target, *rest):
        ran.append(target.protocol.n_texts)
        return "There is no room." if target.protocol.n_texts == 100 else ""

    monkeypatch.setattr(module, "_run_one", run_one)
    said: list[str] = []
    failed = module.run(
        state, state.sweep.targets, workers=2, cache_dir=tmp_path / "cache", options=[], say=said.append
    )
    assert sorted(ran) == [50, 100, 250]
    with pytest.raises(
        LayerclaimsError, match="1 of 3 targets were not run to their ends, such as gpt2-imdb-100x30"
    ):
        module.check(state, failed)
    again = State(read_sweep(path))
    assert again.seconds_left(list(again.sweep.targets)) is not None
    assert "about" in described(again, list(again.sweep.targets))
