"""The unembedding of a model gives the model's own logits of the last state, whatever its forward adds to them."""

import pytest
import torch
from layerclaims.errors import NotTestedError
from layerclaims.models.loaded import loaded_source
from layerclaims.models.loading import Module
from layerclaims.models.model import LanguageModel
from layerclaims.models.source import resolve
from layerclaims.models.unembedding import unembedding_of
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoTokenizer

from tests import tiny

IDS = torch.stack([torch.arange(3, 15), torch.arange(40, 52)])

# what their forward adds after the final norm: a bounded logit, a factor, a divisor, a projection, a bias
MORE = {
    "gemma2": tiny._llama_like(
        "Gemma2Config",
        num_key_value_heads=1,
        head_dim=8,
        query_pre_attn_scalar=8,
        final_logit_softcapping=0.2,
    ),
    "cohere": tiny._llama_like("CohereConfig", logit_scale=0.3),
    "granite": tiny._llama_like("GraniteConfig", logits_scaling=4.0),
}


@pytest.fixture
def architectures(monkeypatch):
    monkeypatch.setattr(tiny, "ARCHITECTURES", {**tiny.ARCHITECTURES, **MORE})


def load(path, **options):
    return LanguageModel.load(resolve(str(path)), device="cpu", head=True, **options)


def own_logits(model, ids=IDS):
    with torch.inference_mode():
        return model(ids).logits.float()


def blocks_of(model):
    return next(list(m) for m in model.modules() if isinstance(m, nn.ModuleList))


@pytest.mark.parametrize("architecture", [*tiny.ARCHITECTURES, *MORE])
def test_gives_the_models_own_logits_of_the_last_state(architecture, tmp_path, architectures):
    made = tiny.model(architecture)
    loaded = load(tiny.save(made, tmp_path / "m"))
    unembedding = loaded.unembedding(IDS)
    last = loaded.states(IDS)[-2]
    found = unembedding(last.flatten(0, 1))
    torch.testing.assert_close(found, own_logits(made).flatten(0, 1), rtol=1e-5, atol=1e-6)
    assert unembedding.vocabulary == tiny.VOCABULARY


@pytest.mark.parametrize("architecture", ["gemma2", "cohere", "granite"])
def test_what_the_forward_adds_is_not_left_out(architecture, tmp_path, architectures):
    """Norm and head alone would give other logits than these: gemma2 caps them, cohere and granite scale them."""
    made = tiny.model(architecture)
    loaded = load(tiny.save(made, tmp_path / "m"))
    found = loaded.unembedding(IDS)(loaded.states(IDS)[-2].flatten(0, 1))
    with torch.inference_mode():
        plain = made.lm_head(loaded.states(IDS)[-1]).flatten(0, 1)
    assert (found - plain).abs().max() > 0.05 * plain.abs().max()


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "opt"])
def test_an_earlier_state_goes_through_final_norm_and_head(architecture, tmp_path):
    made = tiny.model(architecture)
    loaded = load(tiny.save(made, tmp_path / "m"))
    state = loaded.states(IDS)[1].flatten(0, 1)
    norm = {"gpt2": "transformer.ln_f", "llama": "model.norm", "opt": "model.decoder.final_layer_norm"}
    with torch.inference_mode():
        expected = made.lm_head(made.get_submodule(norm[architecture])(state))
    torch.testing.assert_close(loaded.unembedding(IDS)(state), expected, rtol=1e-5, atol=1e-6)


def test_a_head_of_its_own_with_a_bias_is_used(tmp_path):
    """Phi has one; it decides here which token comes first."""
    made = tiny.model("phi")
    with torch.no_grad():
        made.lm_head.bias[7] = 50.0
    loaded = load(tiny.save(made, tmp_path / "m"))
    assert not loaded.facts.tied_embeddings
    assert bool((loaded.unembedding(IDS)(torch.randn(5, tiny.HIDDEN)).argmax(-1) == 7).all())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_logits_of_halves_are_float32(dtype, tmp_path):
    loaded = load(tiny.build("llama", tmp_path / "m"), dtype=dtype)
    assert loaded.unembedding(IDS)(loaded.states(IDS)[-2][0]).dtype == torch.float32


def test_holds_no_block_and_no_copy_of_the_head(tmp_path):
    model = tiny.model("llama")
    tokenizer = AutoTokenizer.from_pretrained(tiny.save(model, tmp_path / "m"))
    loaded = LanguageModel.load(loaded_source(model, tokenizer, name="x"), head=True)
    held = list(loaded.unembedding(IDS)._causal.parameters())
    assert {p.data_ptr() for p in held} == {
        p.data_ptr() for p in (model.lm_head.weight, model.model.embed_tokens.weight, model.model.norm.weight)
    }


def test_the_model_itself_stays_as_it_was(tmp_path):
    made = tiny.model("gpt2")
    tokenizer = AutoTokenizer.from_pretrained(tiny.save(made, tmp_path / "m"))
    before = own_logits(made)
    loaded = LanguageModel.load(loaded_source(made, tokenizer, name="x"), head=True)
    loaded.unembedding(IDS)(torch.randn(3, tiny.HIDDEN))
    assert torch.equal(own_logits(made), before)
    assert torch.equal(loaded.states(IDS)[-1], made.transformer.ln_f(loaded.states(IDS)[-2]).detach())


class TestWithoutOne:
    def without_head(self, path, architecture="llama", **changes):
        """Save a model whose files hold no output head, as a base model's do."""
        tiny.build(architecture, path, **changes)
        tensors = load_file(path / "model.safetensors")
        del tensors["lm_head.weight"]
        save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
        return path

    def test_files_that_lack_a_head_of_its_own_are_not_tested(self, tmp_path):
        loaded = load(self.without_head(tmp_path / "m"))
        with pytest.raises(NotTestedError, match=r"not in its weight files .*lm_head\.weight"):
            loaded.unembedding(IDS)

    def test_states_can_be_had_all_the_same(self, tmp_path):
        assert load(self.without_head(tmp_path / "m")).states(IDS).isfinite().all()

    def test_a_head_that_is_tied_to_the_embeddings_is_not_missing(self, tmp_path):
        made = tiny.model("llama", tie_word_embeddings=True)
        path = tiny.save(made, tmp_path / "m")
        assert "lm_head.weight" not in load_file(path / "model.safetensors")
        loaded = load(path)
        assert loaded.facts.tied_embeddings
        found = loaded.unembedding(IDS)(loaded.states(IDS)[-2].flatten(0, 1))
        torch.testing.assert_close(found, own_logits(made).flatten(0, 1), rtol=1e-5, atol=1e-6)

    def test_a_head_that_the_model_has_no_place_for_is_not_tested(self, tmp_path):
        path = tiny.build("gptj", tmp_path / "m")
        tensors = load_file(path / "model.safetensors")
        tensors["embed_out.weight"] = torch.ones(tiny.VOCABULARY, tiny.HIDDEN)
        save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(NotTestedError, match=r"embed_out\.weight"):
            load(path).unembedding(IDS)


class TestRefused:
    def test_a_forward_that_does_more_with_the_last_state(self):
        """Here the logits hang on the embeddings, too: no state of a layer gives them."""
        model = tiny.model("llama")
        embedded = {}
        model.model.embed_tokens.register_forward_hook(lambda _, __, output: embedded.update(now=output))
        model.model.norm.register_forward_hook(
            lambda _, __, output: output + embedded["now"] * (output.shape[1] > 1)
        )
        with pytest.raises(NotTestedError, match=r"give logits that differ by .* from its own"):
            unembedding_of(model, blocks_of(model), IDS, name="x")

    def test_a_forward_that_was_put_in_the_place_of_the_models_own(self):
        """It is bound to the whole model, so that empty blocks would not be what it runs."""
        model = tiny.model("llama")
        own = model.model.forward
        model.model.forward = lambda *args, **kwargs: own(*args, **kwargs)
        with pytest.raises(NotTestedError, match="cannot be read"):
            unembedding_of(model, blocks_of(model), IDS, name="x")

    def test_a_model_without_logits(self):
        class Silent(nn.Module):
            def __init__(self):
                super().__init__()
                self.blocks = nn.ModuleList([nn.Linear(2, 2)])

            def forward(self, input_ids, use_cache):  # noqa: ARG002
                return self.blocks[0](torch.ones(*input_ids.shape, 2))

        model = Silent()
        with pytest.raises(NotTestedError, match="gives no logits for every token"):
            unembedding_of(model, list(model.blocks), IDS, name="x")


def test_the_head_is_kept_only_where_it_is_asked_for(tmp_path):
    path = tiny.build("llama", tmp_path / "m")
    loaded = LanguageModel.load(resolve(str(path)), device="cpu")
    assert not loaded.has_head
    assert Module(causal=None).head_lacks == ()
    with pytest.raises(ValueError, match="head=True"):
        loaded.unembedding(IDS)
