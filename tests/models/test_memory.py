"""A model that does not fit is told before it is loaded, and memory that runs out is one sentence."""

import pytest
import torch
from layerclaims.errors import LayerclaimsError
from layerclaims.models import memory
from layerclaims.models.model import LanguageModel
from layerclaims.models.source import resolve

from tests import tiny

WAYS_OUT = r"--batch-size, --dtype bfloat16, another --device"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return str(tiny.build("gpt2", tmp_path_factory.mktemp("memory") / "m"))


def test_what_is_available_is_read_from_the_system(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    memory.MEMINFO.write_text("MemTotal:  900 kB\nMemAvailable:     123 kB\n")
    assert memory.available() == 123 * 1024
    memory.MEMINFO.write_text("MemTotal: 900 kB\n")
    assert memory.available() > 10**8  # all that the machine has
    memory.MEMINFO.unlink()
    monkeypatch.delattr("os.sysconf")
    assert memory.available() is None


def test_a_model_that_does_not_fit_is_not_loaded(place, monkeypatch):
    size = sum(p.numel() for p in tiny.model("gpt2").parameters())
    for dtype, width in (("float32", 4), ("bfloat16", 2)):
        monkeypatch.setattr(memory, "available", lambda width=width: size * width)
        assert LanguageModel.load(resolve(place), device="cpu", dtype=dtype)
        monkeypatch.setattr(memory, "available", lambda width=width: size * width - 1)
        with pytest.raises(
            LayerclaimsError, match=r"takes .* of memory, and this machine has .* left; use --dtype"
        ):
            LanguageModel.load(resolve(place), device="cpu", dtype=dtype)


def test_the_untrained_twin_is_drawn_in_float32(place, monkeypatch):
    size = sum(p.numel() for p in tiny.model("gpt2").parameters())
    monkeypatch.setattr(memory, "available", lambda: size * 4 - 1)
    with pytest.raises(LayerclaimsError, match="of memory"):
        LanguageModel.load(resolve(place), device="cpu", dtype="bfloat16", initialise=0)


def test_a_device_of_its_own_memory_is_asked_too(monkeypatch):
    monkeypatch.setattr(memory, "free_on", lambda _: 10)
    memory.check_room(10, "cuda:0", "m")
    with pytest.raises(LayerclaimsError, match=r"takes 11 B of memory, and cuda:0 has 10 B left; .*--device"):
        memory.check_room(11, "cuda:0", "m")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    ],
    ids=lambda error: type(error).__name__,
)
class TestMemoryThatRunsOut:
    def test_while_loading(self, place, monkeypatch, error):
        def fail(*args, **kwargs):
            raise error

        monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", fail)
        with pytest.raises(LayerclaimsError, match=f"Loading the model .* ran out of memory; .*{WAYS_OUT}"):
            LanguageModel.load(resolve(place), device="cpu")

    def test_in_a_forward_pass(self, place, monkeypatch, error):
        model = LanguageModel.load(resolve(place), device="cpu")

        def fail(*args, **kwargs):
            raise error

        monkeypatch.setattr(model._decoder.h[1], "forward", fail)
        with pytest.raises(LayerclaimsError, match=f"The model .* ran out of memory; .*{WAYS_OUT}"):
            model.states(torch.arange(3, 9)[None])
