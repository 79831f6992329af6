"""What the weight files hold is what is computed, or the model is refused by the name of a tensor."""

import json

import pytest
import torch
from layerclaims.errors import LayerclaimsError
from layerclaims.models.model import LanguageModel
from layerclaims.models.source import check_model_name, resolve
from layerclaims.models.weights import harmless
from safetensors.torch import load_file, save_file

from tests import tiny


def load(path, **options):
    return LanguageModel.load(resolve(str(path)), device="cpu", **options)


def states(path):
    return load(path).states(torch.arange(3, 15)[None])


def change(path, change_tensors=lambda tensors: tensors, **config):
    """Rewrite the tensors of a saved model by a function, and some entries of its config.json."""
    tensors = load_file(path / "model.safetensors")
    changed = change_tensors(tensors) or tensors
    save_file(
        {k: v.contiguous() for k, v in changed.items()}, path / "model.safetensors", metadata={"format": "pt"}
    )
    whole = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**whole, **config}))
    return path


def adding(**tensors):
    return lambda own: own.update({name.replace("__", "."): t for name, t in tensors.items()})


@pytest.fixture
def llama(tmp_path):
    return tiny.build("llama", tmp_path / "m")


@pytest.fixture
def gpt2(tmp_path):
    return tiny.build("gpt2", tmp_path / "m")


class TestWhatIsNotTaken:
    def test_blocks_that_the_configuration_does_not_count(self, llama):
        with pytest.raises(
            LayerclaimsError, match=r"hold 9 tensors .* no place for, such as 'model\.layers\.2\."
        ):
            load(change(llama, num_hidden_layers=2))

    def test_biases_that_the_configuration_does_not_know(self, llama):
        bias = adding(model__layers__1__self_attn__q_proj__bias=torch.ones(tiny.HIDDEN))
        with pytest.raises(
            LayerclaimsError, match=r"hold 1 tensors .*'model\.layers\.1\.self_attn\.q_proj\.bias'"
        ):
            load(change(llama, bias))

    def test_an_adapter_that_is_not_merged(self, llama):
        lora = adding(model__layers__0__self_attn__q_proj__lora_A__weight=torch.ones(2, tiny.HIDDEN))
        with pytest.raises(LayerclaimsError, match=r"lora_A\.weight'.*: merge the adapter into the weights"):
            load(change(llama, lora))

    def test_what_the_library_takes_out_of_its_own_report(self, tmp_path):
        path = tiny.build("gpt_neox", tmp_path / "m")
        bias = adding(gpt_neox__layers__0__attention__bias=torch.ones(tiny.HIDDEN))
        with pytest.raises(LayerclaimsError, match=r"'gpt_neox\.layers\.0\.attention\.bias'"):
            load(change(path, bias))

    def test_the_untrained_twin_needs_no_weights(self, llama):
        change(llama, num_hidden_layers=2)
        assert load(llama, initialise=0).facts.n_blocks == 2

    def test_a_shape_that_the_configuration_does_not_ask_for(self, llama):
        with pytest.raises(
            LayerclaimsError, match=r"'.*mlp.*' with the shape \(\d+, \d+\), .* asks for \(\d+, \d+\)"
        ):
            load(change(llama, intermediate_size=64))

    def test_more_blocks_than_there_are_tensors_is_told_before_any_is_made(self, llama):
        change(llama, num_hidden_layers=9_999)
        with pytest.raises(
            LayerclaimsError, match="asks for 9999 blocks, but its weight files hold 30 tensors"
        ):
            check_model_name(str(llama))

    def test_a_tensor_in_two_files(self, tmp_path):
        path = tmp_path / "m"
        tiny.model("llama").save_pretrained(path, max_shard_size="60KB")
        tiny.tokenizer().save_pretrained(path)
        one, other = sorted(path.glob("*.safetensors"))[:2]
        save_file({**load_file(other), **load_file(one)}, other, metadata={"format": "pt"})
        with pytest.raises(LayerclaimsError, match="is in two weight files"):
            resolve(str(path))


class TestWhatIsHarmless:
    def test_masks_and_constants_of_old_files(self, gpt2):
        before = states(gpt2)
        mask = torch.ones(1, 1, 8, 8, dtype=torch.uint8)
        masks = adding(
            transformer__h__0__attn__bias=mask,
            transformer__h__0__attn__masked_bias=torch.tensor(-1e4),
            h__1__attn__rotary_emb__inv_freq=torch.ones(4),
        )
        assert torch.equal(states(change(gpt2, masks)), before)

    def test_heads_and_parts_that_a_text_does_not_go_through(self, llama):
        before = states(llama)
        parts = adding(
            v_head__weight=torch.ones(1, 4),
            vision_tower__layers__0__weight=torch.ones(2, 2),
            multi_modal_projector__linear__weight=torch.ones(2, 2),
            mtp__layers__0__weight=torch.ones(2, 2),
        )
        assert torch.equal(states(change(llama, parts)), before)

    def test_no_output_head(self, llama):
        before = states(llama)
        change(llama, lambda tensors: {k: t for k, t in tensors.items() if not k.startswith("lm_head")})
        assert torch.equal(states(llama), before)

    @pytest.mark.parametrize(
        ("tensor", "shape", "expected"),
        [
            ("h.0.attn.bias", (1, 1, 8, 8), True),
            ("h.0.attn.bias", (32,), False),
            ("h.0.attn.c_attn.bias", (96,), False),
            ("model.layers.0.mlp.score.weight", (4, 4), False),
            ("model.layers.0.self_attn.vision_gate.weight", (4, 4), False),
            ("model.language_model.layers.40.mlp.up_proj.weight", (4, 4), False),
            ("model.visual.blocks.0.attn.qkv.weight", (4, 4), True),
            ("model.layers.0.self_attn.rotary_emb.inv_freq", (4,), True),
            ("model.norm.bias", (4,), False),
            ("output.weight", (4, 4), True),
        ],
    )
    def test_by_name_and_shape(self, tensor, shape, expected):
        assert harmless(tensor, shape) is expected


class TestNumberFormats:
    @pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn, torch.int32])
    def test_a_matrix_that_is_not_of_floats_is_refused(self, llama, dtype):
        name = "model.layers.0.mlp.down_proj.weight"
        change(llama, lambda tensors: tensors.update({name: (tensors[name] * 100).to(dtype)}))
        with pytest.raises(LayerclaimsError, match=rf"'{name}' in the number format .*not quantised"):
            check_model_name(str(llama))

    def test_half_precision_is_read(self, llama):
        change(llama, lambda tensors: {name: t.to(torch.bfloat16) for name, t in tensors.items()})
        assert states(llama).isfinite().all()


class TestFilesThatAreNotWhole:
    @pytest.mark.parametrize("size", [0, 7, 100, 20_000, -1])
    def test_cut_off(self, llama, size):
        weights = llama / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:size])
        with pytest.raises(LayerclaimsError, match=r"is not a whole safetensors file .*fetch it again"):
            check_model_name(str(llama))

    def test_a_pointer_of_git_lfs(self, llama):
        (llama / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
        with pytest.raises(LayerclaimsError, match=r"Git LFS pointer.*git lfs pull"):
            check_model_name(str(llama))
