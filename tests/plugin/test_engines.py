"""Engines: the same files whoever makes them, and one sentence where an engine cannot be had."""

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from layerclaims.engines.on_ray import run_on_ray
from layerclaims.errors import LayerclaimsError

from tests import warm
from tests.plugin_runs import ROOT, Place

FEW = ("-k", "norm_is_a_feature")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place.make(tmp_path_factory.mktemp("engines"))


def files(cache: Path) -> dict[str, str]:
    """Digest of each file of a cache but for locks."""
    return {
        str(path.relative_to(cache)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(cache.rglob("*"))
        if path.is_file() and not path.name.endswith("lock")
    }


def work(place: Place, *more: str, cache: Path) -> subprocess.CompletedProcess[str]:
    command = ["-m", "layerclaims.cli", "work", *place.options(*more, cache_dir=cache)]
    return warm.run(command, cwd=ROOT, env=place.environment())


def test_workers_make_the_very_files_that_one_process_makes_and_the_run_finds_them(place) -> None:
    one, two = place.path / "one", place.path / "two"
    done = work(place, *FEW, cache=one)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert files(one)
    run = place.run(*FEW, "--workers", "2", "--verdicts-only", cache_dir=two)
    assert run.status == 0, run.out + run.err
    assert files(two) == files(one)
    assert "states of model on main.jsonl take" not in run.err  # this process captured none
    assert list(run.verdicts) == ["norm-is-a-feature"]


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install ray")
def test_a_run_on_ray_finds_the_files_that_its_worker_made(place) -> None:
    run = place.run(
        *FEW, "--engine", "ray", "--workers", "1", "--verdicts-only", cache_dir=place.path / "ray"
    )
    assert run.status == 0, run.out + run.err
    assert files(place.path / "ray") == files(place.path / "one")
    assert "states of model on main.jsonl take" not in run.err
    assert "raylet" not in run.out + run.err


def test_more_workers_than_processors_are_refused_before_ray_is_started(place) -> None:
    run = place.run(*FEW, "--engine", "ray", "--workers", "640", cache_dir=place.path / "many")
    assert run.status == 4
    assert "--workers 640 is not possible: the Ray cluster has" in run.err
    assert "Traceback" not in run.err


def test_without_ray_one_sentence_names_the_extra(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # cannot be imported
    with pytest.raises(LayerclaimsError) as refused:
        run_on_ray(["x"], workers=1, address="auto", environment={}, cwd=tmp_path, tick=lambda: None)
    assert (
        str(refused.value)
        == "--engine ray needs Ray, which is not installed; run: pip install 'layerclaims[ray]'."
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--workers", "0"), "--workers 0 is not possible: it has to be 1 to 10000."),
        (("--ray-address", "auto"), "--ray-address 'auto' is for --engine ray only; give that too."),
        (("--model", "./nowhere"), "nowhere"),
    ],
)
def test_work_says_what_is_wrong_in_one_sentence(place, options, sentence) -> None:
    done = work(place, *options, cache=place.path / "wrong")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (place.path / "wrong" / "states").exists()


def test_nothing_imports_ray_before_it_is_asked_for() -> None:
    code = (
        "import sys, layerclaims, layerclaims.plugin.hooks, layerclaims.engines.on_ray\n"
        "for name in layerclaims.__all__:\n    getattr(layerclaims, name)\n"
        "sys.exit('ray' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
