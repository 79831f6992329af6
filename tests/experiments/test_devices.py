"""Where things are computed: each fit of a study, and its geometry, on the GPU that the model ran on."""

import dataclasses
import inspect

import pytest
import torch
from layerclaims.experiments import closed_form, conditions, dimensions, probes, runs, subject, tokens
from layerclaims.experiments.geometry import layer_geometry
from layerclaims.experiments.random_vectors import random_probe
from layerclaims.experiments.sgd import Cell, sgd_fit
from layerclaims.experiments.solved import Solved, solved_fit
from layerclaims.experiments.study import Study
from layerclaims.metrics import moments, spectra
from layerclaims.probing import sgd
from layerclaims.probing.probe import LayerProbe
from layerclaims.protocol import Protocol
from layerclaims.runtime import progress

from tests import pretend, tiny

GPU = "cuda:7"
FITS = [
    probes.layer_probe,
    probes.unit_probe,
    probes.norm_probe,
    conditions.all_positions,
    conditions.shuffled_labels,
    conditions.growing_shares,
    conditions.own_context,
    conditions.probes_of_transfer,
    conditions.mixed_training,
    conditions.without_punctuation,
    runs.runs_apart,
    runs.shuffled_runs_apart,
    tokens.control_task,
    closed_form.centred_probe,
    dimensions.a_tenth,
    random_probe,
    solved_fit(Solved(Cell())),
]


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """How to make a study of a tiny model, on a device; its states are captured on the processor, once."""
    place = tmp_path_factory.mktemp("devices")
    for seed, name in enumerate(("main", "transfer")):
        tiny.write_jsonl(place / f"{name}.jsonl", tiny.texts(40, seed=seed))
    protocol = Protocol(
        model=f"local:{tiny.build('llama', place / 'model')}",
        corpus=str(place / "main.jsonl"),
        transfer_corpus=str(place / "transfer.jsonl"),
        n_texts=20,
        context=8,
    )
    for role in ("main", "transfer"):
        Study(protocol, cache_dir=place / "cache", device="cpu").store(role)

    def study(device, **changes):
        made = Study(dataclasses.replace(protocol, **changes), cache_dir=place / "cache", device="cpu")
        made.__dict__["computes_on"] = device
        return made

    return study


@pytest.fixture
def seen(monkeypatch):
    """The devices on which probes are fitted, and SGD runs; all of it is done by the processor."""
    devices, together, plain = [], LayerProbe.fit_growing, sgd.fit_sgd

    def fit_growing(probe, *args, **how):
        devices.append(probe.device)
        return together(dataclasses.replace(probe, device="cpu"), *args, **how)

    def fit_sgd(x, y, tasks, *, device, **how):
        devices.append(device)
        return plain(
            x, y, [dataclasses.replace(one, epochs=1, marks=(), checkpoint=None) for one in tasks], **how
        )

    monkeypatch.setattr(LayerProbe, "fit_growing", fit_growing)
    monkeypatch.setattr(sgd, "fit_sgd", fit_sgd)
    return devices


@pytest.mark.parametrize("measurement", FITS, ids=lambda one: one.name)
def test_a_probe_is_fitted_there(studied, seen, measurement):
    study = studied(GPU)
    measurement.compute(study)
    assert set(seen) == {GPU}


def test_the_published_procedure_runs_there(studied, seen):
    sgd_fit(Cell()).compute(studied(GPU, name="as-published"))
    assert set(seen) == {GPU}


def noting(function, devices):
    """The same function, whose devices are noted."""

    def noted(*args, **how):
        devices.append(inspect.signature(function).bind(*args, **how).arguments.get("device", "cpu"))
        return function(*args, **how)

    return noted


def test_geometry_is_the_processors(studied, monkeypatch):
    devices = []
    for module, name in ((moments, "state_moments"), (spectra, "leading"), (spectra, "eigenvalues")):
        monkeypatch.setattr(module, name, noting(getattr(module, name), devices))
    own = layer_geometry.compute(studied("cpu"))
    assert set(devices) == {"cpu"}
    devices.clear()
    with pretend.gpu(monkeypatch):
        there = layer_geometry.compute(studied(pretend.GPU))
    assert set(devices) == {pretend.GPU}
    assert own.arrays.keys() == there.arrays.keys()
    for name, numbers in own.arrays.items():
        assert there.arrays[name] == pytest.approx(numbers, rel=1e-6, abs=1e-7, nan_ok=True), name


@pytest.mark.parametrize(
    ("device", "where"),
    [("cpu", "cpu"), ("cuda", "cuda"), ("cuda:1", "cuda:1"), ("mps", "cpu")],
)
def test_a_gpu_without_float64_has_the_model_alone(studied, monkeypatch, device, where):
    said = []
    monkeypatch.setattr(subject, "device_of", torch.device)
    monkeypatch.setattr(progress, "note", said.append)
    study = studied("cpu")
    del study.__dict__["computes_on"]
    monkeypatch.setattr(study, "_device", device)
    assert (study.computes_on, study.computes_on) == (where, where)
    assert len(said) == (device == "mps")  # once
    assert all(
        "the model runs on mps; probes and geometry are computed on the processor" in one for one in said
    )
