"""GGUF files: what transformers would leave out of them is refused, and what changes nothing is read."""

import json
import os
import struct
import types

import numpy as np
import pytest
import torch
from gguf import GGUFWriter, TokenType
from layerclaims.errors import LayerclaimsError
from layerclaims.models.gguf import check_rope_base, check_sizes
from layerclaims.models.model import LanguageModel
from layerclaims.models.source import check_model_name, resolve
from layerclaims.models.tokenizer import Tokenizer

from tests import tiny

NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def string(body):
    """A string as GGUF has it."""
    return struct.pack("<Q", len(body)) + body


def write(path, *, metadata=(), tensors=(), tied=False):
    """A tiny Llama as a GGUF file, with further entries and tensors; `tied` has no output head of its own."""
    made = tiny.model("llama")
    writer = GGUFWriter(str(path), "llama")
    writer.add_name("tiny")
    writer.add_context_length(tiny.CONTEXT)
    writer.add_block_count(tiny.BLOCKS)
    writer.add_embedding_length(tiny.HIDDEN)
    writer.add_feed_forward_length(48)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(8)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(tiny.VOCABULARY)
    vocabulary = tiny.tokenizer().get_vocab()
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(sorted(vocabulary, key=vocabulary.__getitem__))
    writer.add_token_types([TokenType.NORMAL] * len(vocabulary))
    merges = json.loads(tiny.tokenizer().backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    for key, value in dict(metadata).items():
        if isinstance(value, str):
            writer.add_string(key, value)
        elif isinstance(value, int):
            writer.add_uint16(key, value)
        else:
            writer.add_float32(key, value)
    held = {
        "token_embd.weight": made.model.embed_tokens.weight,
        "output_norm.weight": made.model.norm.weight,
        **({} if tied else {"output.weight": made.lm_head.weight}),
    }
    for i, block in enumerate(made.model.layers):
        held |= {f"blk.{i}.{NAMES[name[:-7]]}.weight": weight for name, weight in block.named_parameters()}
    for name, tensor in [*held.items(), *dict(tensors).items()]:
        writer.add_tensor(name, tensor.detach().float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def states(path):
    return LanguageModel.load(resolve(str(path)), device="cpu").states(torch.arange(3, 15)[None])


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return states(write(tmp_path_factory.mktemp("gguf") / "plain.gguf"))


class TestRotaryPositions:
    @pytest.mark.parametrize(
        ("metadata", "tensors"),
        [
            ({"llama.rope.scaling.type": "none", "llama.rope.scaling.factor": 4.0}, {}),
            ({"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 1.0}, {}),
            ({}, {"rope_freqs.weight": torch.ones(4)}),
        ],
    )
    def test_that_are_not_scaled_are_read(self, tmp_path, plain, metadata, tensors):
        path = write(tmp_path / "m.gguf", metadata=metadata, tensors=tensors)
        assert torch.equal(states(path), plain)

    @pytest.mark.parametrize(
        ("metadata", "tensors", "named"),
        [
            ({"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}, {}, r"factor = 4\.0"),
            ({"llama.rope.scaling.factor": 2.0}, {}, r"factor = 2\.0"),
            ({"llama.rope.scale_linear": 2.0}, {}, r"scale_linear = 2\.0"),
            ({"llama.rope.scaling.type": "yarn"}, {}, "type = yarn"),
            ({}, {"rope_freqs.weight": torch.tensor([1.0, 1.0, 2.0, 8.0])}, r"rope_freqs\.weight"),
        ],
    )
    def test_that_are_scaled_are_refused(self, tmp_path, metadata, tensors, named):
        path = write(tmp_path / "m.gguf", metadata=metadata, tensors=tensors)
        with pytest.raises(LayerclaimsError, match=rf"scales its rotary positions .*{named}"):
            states(path)

    def test_a_base_that_the_model_does_not_get_is_refused(self, tmp_path):
        fields = {"general.architecture": "x", "x.rope.freq_base": 5e5}
        reader = types.SimpleNamespace(
            fields={k: types.SimpleNamespace(contents=lambda v=v: v) for k, v in fields.items()}
        )

        def config(**parameters):
            return types.SimpleNamespace(rope_parameters=parameters)

        check_rope_base(reader, tmp_path, config(rope_theta=500_000.0))
        check_rope_base(reader, tmp_path, config(full={"rope_theta": 5e5}, sliding={"rope_theta": 1e4}))
        check_rope_base(reader, tmp_path, config())
        with pytest.raises(LayerclaimsError, match=r"500000 as the base .* with 10000 of it"):
            check_rope_base(reader, tmp_path, config(rope_theta=10_000.0))


class TestTensors:
    def test_biases_that_transformers_has_no_place_for_are_refused(self, tmp_path):
        path = write(tmp_path / "m.gguf", tensors={"blk.0.attn_q.bias": torch.ones(tiny.HIDDEN)})
        with pytest.raises(LayerclaimsError, match=r"hold 1 tensors .*'blk\.0\.attn_q\.bias'"):
            states(path)

    def test_are_the_models_own(self, plain):
        made = tiny.model("llama").model
        assert torch.equal(plain[0, 0], made.embed_tokens.weight[3:15])
        torch.testing.assert_close(made.norm(plain[-2]), plain[-1])

    @pytest.mark.parametrize("tied", [False, True])
    def test_are_what_states_are_unembedded_with(self, tied, tmp_path):
        made = tiny.model("llama")
        path = write(tmp_path / "m.gguf", tied=tied)
        loaded = LanguageModel.load(resolve(str(path)), device="cpu", head=True)
        ids = torch.arange(3, 15)[None]
        last = loaded.states(ids)[-2, 0]
        head = made.model.embed_tokens.weight if tied else made.lm_head.weight
        expected = (made.model.norm(last) @ head.T).detach()
        assert loaded.facts.tied_embeddings is tied
        torch.testing.assert_close(loaded.unembedding(ids)(last), expected, rtol=1e-4, atol=1e-5)

    def test_a_tokenizer_beside_the_file_is_not_read_in_place_of_its_own(self, tmp_path):
        ids = Tokenizer(resolve(str(write(tmp_path / "m.gguf"))))("river stone")
        (tmp_path / "other").mkdir()
        tiny.tokenizer(bos=True).save_pretrained(tmp_path / "other")
        source = resolve(str(write(tmp_path / "other" / "m.gguf")))
        assert Tokenizer(source)("river stone") == ids


class TestParts:
    def test_by_name(self, tmp_path):
        path = write(tmp_path / "m-00002-of-00003.gguf")
        for ask in (check_model_name, resolve):
            with pytest.raises(LayerclaimsError, match=r"part 2 of 3 of a split GGUF file; merge"):
                ask(str(path))

    def test_by_what_it_says(self, tmp_path):
        path = write(tmp_path / "m.gguf", metadata={"split.no": 0, "split.count": 3})
        for ask in (Tokenizer, LanguageModel.load):
            with pytest.raises(LayerclaimsError, match=r"part 1 of 3 of a split GGUF file; merge"):
                ask(resolve(str(path)))

    def test_one_part_is_whole(self, tmp_path, plain):
        path = write(tmp_path / "m-00001-of-00001.gguf", metadata={"split.no": 0, "split.count": 1})
        assert torch.equal(states(path), plain)


class TestOtherFiles:
    def test_a_pointer_of_git_lfs(self, tmp_path):
        path = tmp_path / "m.gguf"
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
        with pytest.raises(LayerclaimsError, match=r"Git LFS pointer.*git lfs pull"):
            check_model_name(str(path))

    def test_a_pipe_is_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "m.gguf")
        with pytest.raises(LayerclaimsError, match="is a pipe, device or socket where a file is expected"):
            check_model_name(str(tmp_path / "m.gguf"))

    @pytest.mark.parametrize("size", [24, 300, 5_000])
    def test_cut_off(self, tmp_path, size):
        path = write(tmp_path / "m.gguf")
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(LayerclaimsError, match=r"holds more than|is cut off|could not be loaded"):
            states(path)

    def test_numbers_that_lead_nowhere(self, tmp_path):
        huge = np.array([2**62, 2**62], dtype="<u8").tobytes()
        (tmp_path / "m.gguf").write_bytes(b"GGUF\x03\0\0\0" + huge)
        with pytest.raises(LayerclaimsError, match=r"holds more than|is cut off|could not be loaded"):
            states(tmp_path / "m.gguf")


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (struct.pack("<IQQ", 3, 2**40, 0), "says that it holds more than"),
        (struct.pack("<IQQ", 3, 0, 2**40), "says that it holds more than"),
        (struct.pack("<IQQ", 3, 0, 1) + string(b"a") + struct.pack("<IIQ", 9, 4, 2**60), "more than"),
        (struct.pack("<IQQ", 3, 0, 1) + string(b"a") + struct.pack("<IIQ", 9, 8, 2**31), "more than"),
        (struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**63), "more than"),
        (struct.pack("<IQQ", 3, 0, 1) + string(b"a") + struct.pack("<I", 77), "unknown type 77"),
        (struct.pack("<IQ", 3, 0), "cut off"),
    ],
)
def test_a_file_that_says_it_holds_more_than_it_has_is_refused_at_once(tmp_path, head, why):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + head)
    with pytest.raises(LayerclaimsError, match=why):
        check_sizes(path)
