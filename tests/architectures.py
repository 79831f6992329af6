"""A tiny model of every causal-LM type that transformers has, and where a reader of its code finds its states.

A configuration is made small by the names of its fields, which the library uses alike; SHRUNK says how, and EXCEPTIONS
what a type wants besides. Blocks and final norm are found by their names in the code of transformers, which is another
way than layerclaims goes: it watches what runs.
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests import tiny

RECORD: Final = Path(__file__).with_name("architectures.json")
HIDDEN: Final = 32
BLOCKS: Final = 3
HEADS: Final = 4
CONTEXT: Final = 64
HEAD: Final = HIDDEN // HEADS

SHRUNK: Final[Mapping[str, Any]] = {
    **dict.fromkeys(
        ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "num_decoder_layers"), BLOCKS
    ),
    **dict.fromkeys(("encoder_layers", "num_encoder_layers"), 1),
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "emb_dim", "embedding_size", "hidden_size_global"), HIDDEN),
    **dict.fromkeys(
        (
            "num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads", "decoder_attention_heads",
            "encoder_attention_heads", "num_decoder_attention_heads", "num_encoder_attention_heads",
        ),
        HEADS,
    ),
    **dict.fromkeys(("num_key_value_heads", "swa_num_key_value_heads"), 2),
    "swa_num_attention_heads": HEADS,
    **dict.fromkeys(("head_dim", "swa_head_dim", "v_head_dim", "qk_rope_head_dim", "qk_nope_head_dim"), HEAD),
    **dict.fromkeys(
        (
            "intermediate_size", "moe_intermediate_size", "shared_expert_intermediate_size", "decoder_ffn_dim",
            "encoder_ffn_dim", "ffn_dim", "shared_intermediate_size", "ffn_hidden_size", "expert_ffn_hidden_size",
            "dim_ff", "dff", "d_inner", "intermediate_size_mlp", "dense_intermediate_size",
            "moe_shared_expert_intermediate_size", "shared_experts_intermediate_size",
        ),
        48,
    ),
    **dict.fromkeys(("num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_topk", "moe_k"), 2),
    **dict.fromkeys(("n_group", "topk_group"), 1),
    **dict.fromkeys(("kv_lora_rank", "q_lora_rank", "o_lora_rank"), 16),
    "index_n_heads": 2, "index_head_dim": 16, "index_topk": CONTEXT,
    **dict.fromkeys(
        ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx", "max_target_positions"), CONTEXT
    ),
    **dict.fromkeys(("sliding_window", "sliding_window_size", "attention_window_size", "window_size"), 16),
    **dict.fromkeys(("state_size", "mamba_d_state", "ssm_state_size"), 8),
    **dict.fromkeys(("mamba_chunk_size", "chunk_size"), 16),
    **dict.fromkeys(("vocab_size", "vocab_size_per_layer_input"), tiny.VOCABULARY),
    "rotary_dim": 4, "hidden_size_per_layer_input": 8, "type_vocab_size": 2,
    "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
    "is_decoder": True, "pad_token_id": 2, "bos_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0,
    "tie_word_embeddings": False,
}  # fmt: skip
_MAMBA: Final = {"mamba_n_heads": 8}
_SHARING: Final = {"num_kv_shared_layers": 0}
_SIGLIP: Final = {"model_type": "siglip_vision_model", "image_size": 28, "patch_size": 14}
EXCEPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "bamba": _MAMBA,
    "blt": {"encoder_hash_byte_group_vocab": 50, "encoder_hash_byte_group_size": [3]},
    "cohere_compass_text": {
        "rope_parameters": {
            kind: {"rope_type": "default", "rope_theta": 1e4} for kind in ("full_attention", "sliding_attention")
        }
    },
    "dbrx": {"attn_config": {"rope_theta": 1e4, "clip_qkv": 8}},
    "dots1": {"n_shared_experts": 1},
    "dots3_note": {"text_config": {"num_key_value_heads": HEADS, "per_layer_config": {}}},
    "dots3_note_text": {"num_key_value_heads": HEADS},
    "fuyu": {"text_config": {"model_type": "persimmon"}},
    "gemma3": {"vision_config": _SIGLIP, "mm_tokens_per_image": 4},
    "gemma3n_text": _SHARING,
    "got_ocr2": {"text_config": {"model_type": "qwen2"}},
    "gpt_neo": {"num_layers": 4, "attention_types": [[["global", "local"], 2]]},
    "granitemoehybrid": _MAMBA,
    "kimi_linear": {"linear_head_dim": 8, "linear_num_heads": 4},
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv"], "num_dense_layers": 1},
    "longcat_flash": {"zero_expert_num": 1, "head_dim": HEAD},
    "mamba2": {"num_heads": 8, "head_dim": 8, "n_groups": 1},
    "moss_transcribe_diarize": {"text_config": {"model_type": "qwen3"}},
    "reformer": {
        "axial_pos_embds_dim": [16, 16], "axial_pos_shape": [8, 8], "attn_layers": ["local", "lsh", "local"],
        "attention_head_size": HEAD, "feed_forward_size": 48,
    },
    "roc_bert": {
        "pronunciation_embed_dim": 8, "pronunciation_vocab_size": 20, "shape_embed_dim": 8, "shape_vocab_size": 20,
    },
    "xmod": {"default_language": "en_XX"},
    "zamba2": {"layers_block_type": ["mamba", "hybrid", "mamba"]},
    "zaya": {"num_experts_per_tok": 1},
}  # fmt: skip


def kinds() -> list[str]:
    """Every type of a causal language model that the installed transformers has."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def config(kind: str) -> Any:
    """A tiny configuration of a type of transformers."""
    from transformers import CONFIG_MAPPING

    return _shrunk(CONFIG_MAPPING[kind], EXCEPTIONS.get(kind, {}))


def _shrunk(cls: Any, changes: Mapping[str, Any]) -> Any:
    fields = {field.name for field in dataclasses.fields(cls)}
    values = {name: value for name, value in SHRUNK.items() if name in fields}
    if "qk_rope_head_dim" in fields:
        values.pop("head_dim", None)  # it follows
        values["num_key_value_heads"] = HEADS
    values |= changes
    for name, part in cls.sub_configs.items():
        inner = values.pop(name, {})
        if isinstance(inner, Mapping) and (kind := inner.get("model_type", getattr(part, "model_type", ""))):
            from transformers import CONFIG_MAPPING

            rest = {key: value for key, value in inner.items() if key != "model_type"}
            inner = _shrunk(CONFIG_MAPPING[kind] if part.__name__ == "AutoConfig" else part, rest)
        if inner:
            values[name] = inner
    return cls(**values)


def model(kind: str, *, seed: int = 0) -> Any:
    """A tiny model of a type, every weight moved at random: none is zero, and no norm is the identity."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = AutoModelForCausalLM.from_config(config(kind)).float().eval()
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    return made


_BLOCKS: Final = re.compile(r"\w+(\.decoder|\.encoder|\.language_model)?\.(layers|layer|h|blocks)")
_NORMS: Final = (
    "norm", "final_layernorm", "ln_f", "norm_f", "final_layer_norm", "layer_norm", "ln_out", "final_norm", "out_norm",
    "output_layernorm", "embedding_norm", "layernorm", "ln",
    "LayerNorm",
)  # fmt: skip
_NORM_OF: Final = {"bigbird_pegasus": "model.decoder.layernorm_embedding"}  # named after another place


def blocks_and_norm(model: Any) -> tuple[Any, Any]:
    """The blocks of a model and its final norm, None where it has none, by their names in its code."""
    from torch import nn

    name, blocks = next(
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and _BLOCKS.fullmatch(name)
    )
    if (norm := _NORM_OF.get(model.config.model_type)) is not None:
        return blocks, model.get_submodule(norm)
    above = name.rpartition(".")[0]
    beside = {
        child: module
        for place in {above.rpartition(".")[0], above} - {""}
        for child, module in model.get_submodule(place).named_children()
    }
    return blocks, next((beside[norm] for norm in _NORMS if norm in beside), None)


def reference(model: Any, ids: Any) -> Any:
    """States of token ids [texts, tokens] as the code of transformers has them: [states, texts, tokens, width]."""
    import torch

    blocks, norm = blocks_and_norm(model)
    found: dict[int, Any] = {}

    def first(value: Any) -> Any:
        return (value if torch.is_tensor(value) else value[0]).clone()

    def entering(_: Any, args: Any, kwargs: Any) -> None:
        found[0] = first(args[0] if args else kwargs["hidden_states"])

    handles = [blocks[0].register_forward_pre_hook(entering, with_kwargs=True)] + [
        block.register_forward_hook(lambda _, __, output, i=i: found.__setitem__(i, first(output)))
        for i, block in enumerate(blocks, 1)
    ]
    with torch.inference_mode():
        model(input_ids=ids, use_cache=False)
        for handle in handles:
            handle.remove()
        last = len(blocks)
        found[last + 1] = found[last] if norm is None else norm(found[last])
    return torch.stack([found[i] for i in range(last + 2)])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """What became of a type: its states were read, and rightly; or why not."""

    model: str | None  # class of transformers, None where it cannot make one
    refused: str | None = None


def examine(kind: str, place: Path) -> Finding:
    """Read the states of a tiny model of a type out of files in `place`; raises AssertionError for wrong ones."""
    import torch
    from layerclaims.errors import LayerclaimsError
    from layerclaims.models.model import LanguageModel
    from layerclaims.models.source import resolve

    try:
        made = model(kind)
    except Exception as error:
        return Finding(model=None, refused=f"{type(error).__name__}: {' '.join(str(error).split())[:150]}")
    name = type(made).__name__
    ids = torch.randint(3, tiny.VOCABULARY, (3, 12), generator=torch.Generator().manual_seed(1))
    try:
        tiny.save(made, place)
        if (
            made.config.model_type != kind
        ):  # the part for texts of a larger model: its files say what the whole is
            config(kind).save_pretrained(place)
        read = LanguageModel.load(resolve(str(place)), device="cpu")
        states = read.states(ids)
    except LayerclaimsError as error:
        return Finding(model=name, refused=_reason(str(error)))
    alike(states, reference(made, ids), "states are not those of its blocks and its final norm")
    alike(states[:, :, :8], read.states(ids[:, :8]), "states of a shorter context are not a prefix")
    single = torch.cat([read.states(row[None]) for row in ids], dim=1)
    alike(states, single, "states of a batch are not those of single texts")
    return Finding(model=name)


def _reason(refusal: str) -> str:
    """The reason in the sentence of a refusal, without the name of the model before and the way out after it."""
    found = re.search(r"cannot be read: (.*); give a|could not be loaded \((.*)\); give a", refusal)
    return refusal if found is None else str(found[1] or found[2])


def recorded() -> dict[str, Any]:
    """What was found last: the version of transformers, and of each type the fields of its `Finding`."""
    found: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return found


def alike(states: Any, others: Any, why: str) -> None:
    """Raise AssertionError unless every state is the same up to rounding."""
    assert states.shape == others.shape, why
    for i, (one, other) in enumerate(zip(states, others, strict=True)):
        apart, size = float((one - other).abs().max()), float(one.abs().max())
        assert apart <= 1e-4 * size, f"{why}: state {i} differs by {apart:.2g} of {size:.2g}"


def main() -> None:
    """Examine every type and write down what was found."""
    import tempfile

    import transformers

    found = {}
    for kind in kinds():
        with tempfile.TemporaryDirectory() as place:
            found[kind] = dataclasses.asdict(examine(kind, Path(place)))
        print(f"{kind}: {found[kind]['refused'] or 'read'}", flush=True)
    record = {"transformers": transformers.__version__, "types": found}
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
