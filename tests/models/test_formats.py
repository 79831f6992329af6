"""--dtype auto is the checkpoint's own format where a GPU has it, and float32 on a processor."""

import pytest
import torch
from layerclaims.models import formats
from layerclaims.models.formats import format_of
from layerclaims.models.loaded import loaded_source
from layerclaims.models.model import LanguageModel
from layerclaims.models.source import resolve
from layerclaims.runtime.dtypes import DTYPES

from tests import tiny


@pytest.mark.parametrize("saved", DTYPES)
def test_auto_is_float32_on_a_processor_whatever_the_checkpoint(saved, tmp_path):
    path = tiny.save(tiny.model("gpt2").to(getattr(torch, saved)), tmp_path / "m")
    assert format_of(resolve(str(path)), "auto", device="cpu") == "float32"
    model = LanguageModel.load(resolve(str(path)), device="cpu", dtype="auto")
    assert model.facts.dtype == "float32"
    assert {p.dtype for p in model._decoder.parameters()} == {torch.float32}


@pytest.mark.parametrize("saved", DTYPES)
@pytest.mark.parametrize("has_bfloat16", [True, False])
def test_auto_is_the_checkpoints_own_on_a_gpu_that_has_it(saved, has_bfloat16, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "device_of", torch.device)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has_bfloat16)
    path = tiny.save(tiny.model("gpt2").to(getattr(torch, saved)), tmp_path / "m")
    used = "float32" if (saved, has_bfloat16) == ("bfloat16", False) else saved
    assert format_of(resolve(str(path)), "auto", device="cuda") == used


@pytest.mark.parametrize("has", DTYPES)
def test_auto_is_what_a_loaded_model_has(has):
    made = tiny.model("gpt2").to(getattr(torch, has))
    assert format_of(loaded_source(made, tiny.tokenizer(), name="x"), "auto", device="cpu") == has


def test_a_format_that_is_named_is_taken(tmp_path):
    path = tiny.build("gpt2", tmp_path / "m")
    assert format_of(resolve(str(path)), "bfloat16", device="cpu") == "bfloat16"


@pytest.mark.parametrize(("dtype", "apart"), [("int8", 0.05), ("int4", 0.5)])
def test_a_quantised_model_has_states_of_float32_near_its_own(dtype, apart, tmp_path, capfd):
    pytest.importorskip("bitsandbytes")
    path = tiny.build("llama", tmp_path / "m", hidden_size=64, intermediate_size=128)
    whole = LanguageModel.load(resolve(str(path)), device="cpu")
    capfd.readouterr()
    model = LanguageModel.load(resolve(str(path)), device="cpu", dtype=dtype)
    ids = torch.arange(3, 15)[None]
    states = model.states(ids)
    assert (model.facts.dtype, states.dtype) == (dtype, torch.float32)
    assert model.facts.n_parameters == whole.facts.n_parameters
    assert 0 < (states - whole.states(ids)).abs().max() / states.abs().max() < apart
    assert capfd.readouterr() == ("", "")
