"""A LoRA adapter is merged into the model whole, or refused; another tokenizer takes the place of the model's own."""

import json

import pytest
import torch
from layerclaims.errors import LayerclaimsError
from layerclaims.models.adapter import resolve_adapter
from layerclaims.models.model import LanguageModel
from layerclaims.models.source import check_model_name, resolve
from layerclaims.models.tokenizer import Tokenizer
from safetensors.torch import load_file, save_file

from tests import tiny

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # of peft about transformers


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny.build("llama", tmp_path_factory.mktemp("base") / "m")


@pytest.fixture
def adapter(base, tmp_path):
    """An adapter as peft saves it, whose every weight is drawn at random; and the model with it, merged by peft."""
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    wrapped = peft.get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        peft.LoraConfig(r=4, target_modules=["q_proj", "down_proj"]),
    )
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn_like(parameter))
    wrapped.save_pretrained(tmp_path / "adapter")
    wrapped.merge_and_unload().save_pretrained(tmp_path / "merged")
    tiny.tokenizer().save_pretrained(tmp_path / "merged")
    return tmp_path / "adapter"


def states_of(path, **options):
    model = LanguageModel.load(resolve(str(path), **options), device="cpu")
    return model.states(torch.tensor([model.encode(text)[:12] for text in tiny.texts(3)]))


class TestAdapter:
    def test_states_are_those_of_the_merged_model(self, base, adapter):
        found = states_of(base, adapter=str(adapter))
        torch.testing.assert_close(found, states_of(adapter.parent / "merged"))
        assert not torch.allclose(found, states_of(base))

    def test_it_is_named_and_hashed(self, base, adapter):
        source, plain = resolve(str(base), adapter=str(adapter)), resolve(str(base))
        assert source.weights_sha256 != plain.weights_sha256
        assert source.name == f"{base} with the adapter {adapter}"
        assert source.adapter.sha256 == resolve_adapter(f"local:{adapter}").sha256
        tensors = load_file(adapter / WEIGHTS)
        save_file({name: tensor * 2 for name, tensor in tensors.items()}, adapter / WEIGHTS)
        assert resolve(str(base), adapter=str(adapter)).weights_sha256 != source.weights_sha256

    @pytest.mark.parametrize("how", ["absent", "renamed", "other model"])
    def test_one_that_does_not_fit_whole_is_refused(self, base, adapter, tmp_path, how):
        tensors = load_file(adapter / WEIGHTS)
        name = next(iter(tensors))
        moved = tensors.pop(name)
        if how == "renamed":
            tensors[name.replace("layers.0", "layers.9")] = moved
        if how == "other model":
            tensors[name] = moved
            base = tiny.build("gpt2", tmp_path / "other")
        save_file(tensors, adapter / WEIGHTS)
        with pytest.raises(LayerclaimsError, match=r"^The adapter '.*' does not fit") as caught:
            states_of(base, adapter=str(adapter))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("damage", "why"),
        [
            (lambda path: (path / WEIGHTS).unlink(), "has no adapter_model.safetensors"),
            (
                lambda path: (path / WEIGHTS).rename(path / "adapter_model.bin"),
                "only the pickle adapter_model.bin",
            ),
            (lambda path: (path / CONFIG).unlink(), "has no adapter_config.json"),
            (lambda path: (path / CONFIG).write_text("[]"), "is not a JSON object"),
            (
                lambda path: (path / CONFIG).write_text('{"peft_type": "PREFIX_TUNING"}'),
                "only LORA changes nothing",
            ),
            (lambda path: (path / WEIGHTS).write_bytes(b"x"), "is not a whole safetensors file"),
        ],
    )
    def test_what_is_no_adapter_is_refused_before_anything_is_loaded(self, base, adapter, damage, why):
        damage(adapter)
        with pytest.raises(LayerclaimsError, match=why):
            check_model_name(str(base), adapter=str(adapter))

    def test_a_configuration_that_makes_no_sense_is_one_sentence(self, base, adapter):
        config = json.loads((adapter / CONFIG).read_text())
        (adapter / CONFIG).write_text(json.dumps({**config, "r": "four"}))
        with pytest.raises(LayerclaimsError, match="does not fit"):
            states_of(base, adapter=str(adapter))

    @pytest.mark.parametrize("name", ["embedded", "x.gguf", "a b"])
    def test_what_can_be_no_adapter(self, base, name):
        pytest.importorskip("peft")
        with pytest.raises(LayerclaimsError, match="is not the name of"):
            check_model_name(str(base), adapter=name)


def test_without_peft_the_package_is_named(base, monkeypatch):
    monkeypatch.setattr("layerclaims.models.adapter.find_spec", lambda _: None)
    with pytest.raises(LayerclaimsError, match=r"which is not installed; install layerclaims\[adapter\]"):
        check_model_name(str(base), adapter="./x")


class TestTokenizer:
    def test_another_one_is_read_in_place_of_the_models_own(self, base, tmp_path):
        tiny.tokenizer(bos=True).save_pretrained(tmp_path / "t")
        source = resolve(str(base), tokenizer=str(tmp_path / "t"))
        assert Tokenizer(source)("river") == [0, *Tokenizer(resolve(str(base)))("river")]
        assert source.weights_sha256 == resolve(str(base)).weights_sha256
        assert source.tokenizer_sha256 != resolve(str(base)).tokenizer_sha256
        assert LanguageModel.load(source, device="cpu").facts.bos_added

    def test_a_model_without_one_can_be_read_with_it(self, tmp_path):
        path = tiny.build("gpt2", tmp_path / "m")
        for file in path.glob("tokenizer*"):
            file.rename(tmp_path / file.name)
        with pytest.raises(LayerclaimsError, match="has no tokenizer"):
            check_model_name(str(path))
        check_model_name(str(path), tokenizer=f"{tmp_path}/")
        assert Tokenizer(resolve(str(path), tokenizer=f"{tmp_path}/"))("river")

    @pytest.mark.parametrize("name", ["embedded", "x.gguf", "a b"])
    def test_what_can_be_no_tokenizer(self, base, name):
        with pytest.raises(LayerclaimsError, match="is not the name of"):
            check_model_name(str(base), tokenizer=name)
