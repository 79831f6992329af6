"""The check of a GPU, run here on the processor against itself, so that the script is known to run."""

import dataclasses
import importlib.util
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from layerclaims.probing.probe import LayerProbe

from tests import pretend
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def script():
    """benchmarks/check_gpu.py as a module."""
    sys.path.insert(0, str(ROOT / "benchmarks"))  # its neighbour `common`
    try:
        spec = importlib.util.spec_from_file_location("check_gpu", ROOT / "benchmarks" / "check_gpu.py")
        made: ModuleType = importlib.util.module_from_spec(spec)
        sys.modules["check_gpu"] = made  # its dataclasses look themselves up there
        spec.loader.exec_module(made)
        yield made
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
        sys.modules.pop("check_gpu", None)


@pytest.fixture(autouse=True)
def tf32():
    """Put back what the script allows."""
    yield
    torch.backends.cuda.matmul.allow_tf32 = False


def test_the_processor_holds_against_itself(script, capsys):
    assert script.main(["--device", "cpu", "--small"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "all hold"
    for what in (
        "states of 6 blocks",
        "memory beside",
        "spread model",
        "layer probe",
        "plain SGD",
        "geometry",
    ):
        assert any(line.startswith("holds ") and what in line for line in lines), what


def test_a_pretended_gpu_holds_in_fits_and_geometry(script, monkeypatch):
    with pretend.gpu(monkeypatch):
        lines = [*script.fits(pretend.GPU, script.SMALL), *script.geometry(pretend.GPU, script.SMALL)]
    assert len(lines) == 4
    assert all(line.holds for line in lines), lines


def test_without_a_gpu_it_says_so(script, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert script.main([]) == 1
    assert capsys.readouterr().out == "Nothing was checked: torch finds no GPU here.\n"


class TestMiss:
    """Each kind of check misses what is wrong."""

    def test_of_states(self, script):
        own = torch.ones(2, 1, 3, 4)
        there = own.clone()
        assert script._near("states", own, there).holds
        there[1, 0, 2, 3] += 1e-3
        assert not script._near("states", own, there).holds

    def test_of_memory(self, script, monkeypatch, tmp_path):
        peaks = iter((100, 200))
        monkeypatch.setattr(script, "peak", lambda *_: next(peaks))
        lines = list(script.states("cpu", script.SMALL, tmp_path))
        assert [line.said for line in lines if not line.holds] == [
            "memory beside the weights: 0.0 MB for 2 blocks, 0.0 MB for 6"
        ]

    def test_of_an_accuracy_and_the_exit_status(self, script, monkeypatch, capsys):
        fit, seen = LayerProbe.fit, []

        def wrong(probe, *args, **how):
            found = fit(probe, *args, **how)
            seen.append(found)
            if len(seen) == 4:  # the device's, after one of few vectors
                found = dataclasses.replace(found, weights=np.zeros_like(found.weights))
            return found

        monkeypatch.setattr(LayerProbe, "fit", wrong)
        monkeypatch.setattr(script, "checks", script.fits)
        assert script.main(["--device", "cpu", "--small"]) == 1
        said = capsys.readouterr().out
        assert "MISSES layer probe: accuracy" in said
        assert said.endswith("1 missed\n")
