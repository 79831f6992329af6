"""Repositories of each kind and habit on a stand-in for the hub: right states, or one plain sentence."""

import shutil

import pytest
import torch
from layerclaims.errors import LayerclaimsError
from layerclaims.models.model import LanguageModel
from layerclaims.models.source import resolve
from layerclaims.models.tokenizer import Tokenizer
from layerclaims.runtime import hub as limits
from safetensors.torch import save as safetensors_of

from tests import tiny
from tests.models.test_gguf import write
from tests.stand_in_hub import COMMIT, OTHER, asked_by_its_client


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.build("llama", tmp_path_factory.mktemp("hub") / "m")


@pytest.fixture(scope="module")
def files(model):
    return {path.name: path.read_bytes() for path in model.iterdir()}


@pytest.fixture
def hub(files, tmp_path):
    with asked_by_its_client(tmp_path / "hub") as hub:
        hub.serve("acme/tiny", files)
        yield hub


def states(source):
    model = LanguageModel.load(source, device="cpu")
    return model.states(torch.arange(3, 15)[None])


def refusal(name, **options):
    with pytest.raises(LayerclaimsError) as caught:
        resolve(name, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestHabits:
    def test_one_that_was_renamed_is_followed(self, hub, model):
        hub.renamed["old/name"] = "acme/tiny"
        source = resolve("old/name")
        assert source.revision == COMMIT
        assert torch.equal(states(source), states(resolve(str(model))))
        assert resolve("old/name", offline=True).weights_sha256 == source.weights_sha256

    def test_one_that_moves_while_it_is_fetched_is_read_at_one_commit(self, hub, files, model):
        hub.serve("acme/tiny", dict.fromkeys(files, b"{}"), OTHER)
        hub.revisions["acme/tiny"]["main"] = COMMIT
        hub.moves["acme/tiny"] = OTHER
        source = resolve("acme/tiny")
        assert source.revision == COMMIT
        assert torch.equal(states(source), states(resolve(str(model))))

    def test_a_slow_one_is_waited_for_as_long_as_it_goes_on(self, hub, model, monkeypatch):
        monkeypatch.setattr(limits, "TRIES", 1)
        hub.failures["GET"] = "slow"
        assert torch.equal(states(resolve("acme/tiny")), states(resolve(str(model))))


class TestGguf:
    @pytest.fixture
    def served(self, hub, tmp_path):
        path = write(tmp_path / "tiny.gguf")
        hub.serve(
            "acme/gguf", {"README.md": b"", "sub/tiny.F32.gguf": path.read_bytes(), "other.gguf": b"GGUF"}
        )
        return path

    @pytest.mark.parametrize("name", ["acme/gguf::sub/tiny.F32.gguf", "acme/gguf@main::sub/tiny.F32.gguf"])
    def test_one_file_of_a_repository_is_read(self, hub, served, name):
        source = resolve(name)
        assert (source.name, source.revision) == (name, COMMIT)
        assert hub.fetched == ["sub/tiny.F32.gguf"]
        assert torch.equal(states(source), states(resolve(str(served))))
        assert resolve(name, offline=True).weights_sha256 == resolve(str(served)).weights_sha256

    @pytest.mark.usefixtures("served")
    def test_a_file_that_is_not_there_is_refused_with_those_that_are(self, hub):
        assert "has no 'x.gguf' on the hub, only 'other.gguf', 'sub/tiny.F32.gguf'" in refusal(
            "acme/gguf::x.gguf"
        )
        assert "name it with :: after the id" in refusal("acme/gguf")
        assert hub.fetched == []

    @pytest.mark.parametrize(
        "file", ["../x.gguf", "/x.gguf", "a/../x.gguf", ".gguf", "a//x.gguf", "a\nb.gguf"]
    )
    def test_its_name_does_not_lead_out_of_the_cache(self, hub, file):
        assert "is not the name of a file of 'acme/gguf'" in refusal(f"acme/gguf::{file}")
        assert hub.seen.total() == 0


class TestAdapter:
    @pytest.fixture
    def served(self, hub, tmp_path):
        peft = pytest.importorskip("peft")
        config = peft.LoraConfig(r=2, target_modules=["q_proj"])
        config.save_pretrained(tmp_path / "adapter")
        names = [
            f"base_model.model.model.layers.{i}.self_attn.q_proj.lora_{part}.weight"
            for i in range(3)
            for part in "AB"
        ]
        weights = {name: torch.ones((2, 32) if "_A" in name else (32, 2)) for name in names}
        there = {
            "adapter_config.json": (tmp_path / "adapter" / "adapter_config.json").read_bytes(),
            "adapter_model.safetensors": safetensors_of(weights),
        }
        hub.serve("acme/lora", there)
        return there

    def test_it_is_fetched_named_and_applied(self, model, served, tmp_path):
        for name, body in served.items():
            (tmp_path / "adapter" / name).write_bytes(body)
        source = resolve("acme/tiny", adapter="acme/lora")
        assert (source.adapter.name, source.adapter.revision) == ("acme/lora", COMMIT)
        local = resolve(str(model), adapter=str(tmp_path / "adapter"))
        assert source.weights_sha256 == local.weights_sha256
        assert torch.equal(states(source), states(local))
        assert not torch.equal(states(source), states(resolve(str(model))))
        assert "name its base model, and this as --adapter" in refusal("acme/lora")

    def test_a_pickle_is_not_fetched(self, hub, served):
        hub.serve(
            "acme/pickled", {"adapter_config.json": served["adapter_config.json"], "adapter_model.bin": b"x"}
        )
        hub.fetched.clear()
        said = refusal("acme/tiny", adapter="acme/pickled")
        assert "has no 'adapter_model.safetensors' on the hub, only 'adapter_model.bin', a pickle" in said
        assert "adapter_model.bin" not in hub.fetched


def test_a_tokenizer_of_the_hub_takes_the_place_of_the_models_own(hub, tmp_path):
    tiny.tokenizer(bos=True).save_pretrained(tmp_path / "t")
    files = {path.name: path.read_bytes() for path in (tmp_path / "t").iterdir()}
    hub.serve("acme/tokens", {**files, "model.safetensors": b"not wanted"})
    source = resolve("acme/tiny", tokenizer="acme/tokens")
    assert Tokenizer(source)("river")[0] == 0
    assert set(hub.fetched) >= files.keys()
    shutil.rmtree(tmp_path / "t")
    assert (
        resolve("acme/tiny", tokenizer="acme/tokens", offline=True).tokenizer_sha256
        == source.tokenizer_sha256
    )
