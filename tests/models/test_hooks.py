"""Blocks and final norm are found in models that call, count or return things in their own way."""

import pytest
import torch
from layerclaims.errors import LayerclaimsError
from layerclaims.models.loading import Module
from layerclaims.models.model import LanguageModel
from layerclaims.models.source import resolve
from transformers import AutoModelForCausalLM

from tests import architectures, tiny

STATE_SPACE = {
    "hidden_size": tiny.HIDDEN,
    "num_hidden_layers": tiny.BLOCKS,
    "state_size": 8,
    "pad_token_id": None,
}
OWN_WAYS = {
    # the library's states begin after block 1
    "mamba": ("MambaConfig", STATE_SPACE, "backbone.layers", "backbone.norm_f"),
    "falcon_mamba": ("FalconMambaConfig", STATE_SPACE, "backbone.layers", "backbone.norm_f"),
    "mamba2": (
        "Mamba2Config", {**STATE_SPACE, "num_heads": 8, "head_dim": 8, "n_groups": 1, "chunk_size": 16},
        "backbone.layers", "backbone.norm_f",
    ),
    # blocks give a list, and there is no final norm
    "openai_gpt": (
        "OpenAIGPTConfig", {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}, "transformer.h", None,
    ),
    # what it calls its decoder is the output head
    "modernbert_decoder": (
        "ModernBertDecoderConfig",
        {
            "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
            "max_position_embeddings": 64, "pad_token_id": 1, "cls_token_id": 0, "sep_token_id": 1,
        },
        "model.layers", "model.final_norm",
    ),
}  # fmt: skip


@pytest.fixture(params=OWN_WAYS)
def made(request, tmp_path):
    import transformers

    config, values, blocks, norm = OWN_WAYS[request.param]
    whole = getattr(transformers, config)(
        vocab_size=tiny.VOCABULARY, bos_token_id=0, eos_token_id=1, **values
    )
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(whole).float().eval()
    return (
        model,
        tiny.save(model, tmp_path / "m"),
        model.get_submodule(blocks),
        norm and model.get_submodule(norm),
    )


def test_models_with_ways_of_their_own_are_read(made):
    model, path, blocks, norm = made
    ids = torch.arange(3, 15).repeat(2, 1)
    expected = {}

    def first(value):
        return (value if torch.is_tensor(value) else value[0]).clone()

    blocks[0].register_forward_pre_hook(lambda _, args: expected.update({0: args[0].clone()}))
    for i, block in enumerate(blocks, 1):
        block.register_forward_hook(lambda _, __, output, i=i: expected.update({i: first(output)}))
    with torch.inference_mode():
        model(ids)
    states = LanguageModel.load(resolve(str(path)), device="cpu").states(ids)
    assert len(states) == len(blocks) + 2
    for i, state in expected.items():
        torch.testing.assert_close(states[i], state, rtol=1e-5, atol=1e-6)
    last = states[-2] if norm is None else norm(states[-2]).detach()
    torch.testing.assert_close(states[-1], last, rtol=1e-5, atol=1e-6)


class TestRefused:
    def load(self, path, model, monkeypatch):
        """Load a model whose class is changed after it is made."""
        source = resolve(str(tiny.save(model, path)))
        monkeypatch.setattr("layerclaims.models.model.load_module", lambda *_, **__: Module(causal=model))
        return LanguageModel.load(source, device="cpu")

    def test_a_stream_of_another_width_than_the_configuration_says(self, tmp_path, monkeypatch):
        model = tiny.model("llama")
        model.config.hidden_size = 8
        with pytest.raises(
            LayerclaimsError, match="through its blocks is 32 wide, and its configuration says 8"
        ):
            self.load(tmp_path, model, monkeypatch)

    def test_a_final_state_that_is_not_the_models_own(self, tmp_path, monkeypatch):
        model = tiny.model("llama")
        own = model.model.forward

        def doubled(**kwargs):
            output = own(**kwargs)
            output.last_hidden_state = output.last_hidden_state * 2
            return output

        monkeypatch.setattr(model.model, "forward", doubled)
        with pytest.raises(
            LayerclaimsError, match="after its last block and norm is not what it gives in the end"
        ):
            self.load(tmp_path, model, monkeypatch)

    def test_hidden_states_that_differ_from_the_librarys(self, tmp_path, monkeypatch):
        model = tiny.model("llama")
        own = model.model.forward

        def shifted(**kwargs):
            output = own(**kwargs)
            output.hidden_states = (output.hidden_states[1], *output.hidden_states[1:])
            return output

        monkeypatch.setattr(model.model, "forward", shifted)
        with pytest.raises(LayerclaimsError, match="differ from the library's own hidden states"):
            self.load(tmp_path, model, monkeypatch)

    def test_a_model_that_cannot_run(self, tmp_path, monkeypatch):
        model = tiny.model("llama")
        monkeypatch.setattr(model.model.layers[1], "forward", lambda *_, **__: 1 / 0)
        with pytest.raises(LayerclaimsError, match=r"cannot run on a few tokens .ZeroDivisionError"):
            self.load(tmp_path, model, monkeypatch)

    def test_a_stream_that_is_changed_between_blocks(self, tmp_path, monkeypatch):
        config = architectures.config("rwkv")
        config.rescale_every = 2  # it halves the stream after every second block
        model = AutoModelForCausalLM.from_config(config).eval()
        with pytest.raises(LayerclaimsError, match="what leaves block 2 is not what enters block 3"):
            self.load(tmp_path, model, monkeypatch)

    def test_blocks_that_are_run_several_times(self, tmp_path, monkeypatch):
        model = tiny.model("llama")
        own = model.model.layers[0].forward
        monkeypatch.setattr(
            model.model.layers[1], "forward", lambda x, **more: model.model.layers[0](own(x, **more), **more)
        )
        with pytest.raises(LayerclaimsError, match="its blocks are run several times each"):
            self.load(tmp_path, model, monkeypatch)
