"""Tiny models and texts, made in seconds: real architectures of transformers, real tokenizer, no network.

`build("gpt2", directory)` saves a Hugging Face directory as a user has one: config.json, model.safetensors,
tokenizer.json. `ARCHITECTURES` names all that there are; the weights are random, drawn from `seed`.
"""

import functools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

VOCABULARY = 320
HIDDEN = 32
BLOCKS = 3
CONTEXT = 256

_WORDS = [
    "river",
    "stone",
    "lantern",
    "orchard",
    "winter",
    "copper",
    "market",
    "bridge",
    "engine",
    "garden",
    "shadow",
    "window",
    "letter",
    "mountain",
    "harbour",
    "silver",
    "candle",
    "thunder",
    "morning",
    "island",
    "forest",
    "kitchen",
    "soldier",
    "doctor",
    "village",
    "painter",
]


def texts(n: int, *, seed: int = 0, words: tuple[int, int] = (12, 40)) -> list[str]:
    """`n` made-up documents of `words` words."""
    rng = random.Random(seed)
    return [
        " ".join(rng.choice(_WORDS) for _ in range(rng.randint(*words))).capitalize() + "." for _ in range(n)
    ]


def write_jsonl(path: Path, documents: list[str]) -> Path:
    """Write documents as a corpus file."""
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents), encoding="utf-8")
    return path


@functools.cache
def _trained() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(300, seed=1), trainer)
    return tokenizer


def tokenizer(*, bos: bool = False) -> Any:
    """A small byte-level BPE tokenizer; with `bos` it puts <s> first, as Llama's and Gemma's do."""
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer.from_str(_trained().to_str())
    if bos:
        inner.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")


def _made(config: str, **values: Any) -> Callable[[], Any]:
    """Maker of a configuration of transformers; imports nothing before it is asked."""

    def make() -> Any:
        import transformers

        return getattr(transformers, config)(vocab_size=VOCABULARY, bos_token_id=0, eos_token_id=1, **values)

    return make


def _llama_like(config: str, **changes: Any) -> Callable[[], Any]:
    values: dict[str, Any] = {
        "hidden_size": HIDDEN, "num_hidden_layers": BLOCKS, "num_attention_heads": 4, "intermediate_size": 48,
        "max_position_embeddings": CONTEXT, "pad_token_id": None,
    }  # fmt: skip
    return _made(config, **{**values, **changes})


_GPT: dict[str, Any] = {"n_embd": HIDDEN, "n_layer": BLOCKS, "n_head": 4, "n_positions": CONTEXT}
_OPT: dict[str, Any] = {"ffn_dim": 48, "word_embed_proj_dim": HIDDEN, "pad_token_id": 1}

ARCHITECTURES: dict[str, Callable[[], Any]] = {
    "gpt2": _made("GPT2Config", **_GPT),
    "llama": _llama_like("LlamaConfig", num_key_value_heads=2),
    "gpt_neox": _llama_like("GPTNeoXConfig"),
    "gemma3": _llama_like(
        "Gemma3TextConfig", num_key_value_heads=1, head_dim=8, sliding_window=64, query_pre_attn_scalar=8
    ),
    "qwen2": _llama_like("Qwen2Config", num_key_value_heads=2),
    "qwen3": _llama_like("Qwen3Config", num_key_value_heads=2, head_dim=8),
    "opt": _llama_like("OPTConfig", **_OPT),
    # opt-350m's ways: norm after the block, so no final norm, and a projection at both ends
    "opt_post_norm": _llama_like(
        "OPTConfig", **{**_OPT, "do_layer_norm_before": False, "word_embed_proj_dim": 16}
    ),
    "phi": _llama_like("PhiConfig"),
    "falcon": _llama_like("FalconConfig"),
    "mpt": _made(
        "MptConfig", d_model=HIDDEN, n_layers=BLOCKS, n_heads=4, max_seq_len=CONTEXT, expansion_ratio=2
    ),
    "bloom": _made("BloomConfig", hidden_size=HIDDEN, n_layer=BLOCKS, n_head=4),
    "gptj": _made("GPTJConfig", rotary_dim=4, **_GPT),
    "gpt_neo": _made(
        "GPTNeoConfig", hidden_size=HIDDEN, num_layers=4, num_heads=4, max_position_embeddings=CONTEXT,
        attention_types=[[["global", "local"], 2]],
    ),
    "mistral": _llama_like("MistralConfig", num_key_value_heads=2),
    "olmo2": _llama_like("Olmo2Config", num_key_value_heads=2),
    "stablelm": _llama_like("StableLmConfig", num_key_value_heads=2),
    "mixtral": _llama_like("MixtralConfig", num_key_value_heads=2, num_local_experts=2),
}  # fmt: skip


def config(architecture: str, **changes: Any) -> Any:
    """Configuration of a tiny model; `changes` are set on it."""
    made = ARCHITECTURES[architecture]()
    for key, value in changes.items():
        setattr(made, key, value)
    return made


def model(architecture: str, *, seed: int = 0, **changes: Any) -> Any:
    """A tiny random causal model, in eval mode; leaves torch's generator as it was."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config(architecture, **changes)).float().eval()


def save(made: Any, directory: Path, *, bos: bool = False) -> Path:
    """Save a model (also one that a test changed) with the tokenizer as a Hugging Face directory."""
    directory.mkdir(parents=True, exist_ok=True)
    made.save_pretrained(directory)
    tokenizer(bos=bos).save_pretrained(directory)
    return directory


def build(architecture: str, directory: Path, *, seed: int = 0, bos: bool = False, **changes: Any) -> Path:
    """Make and save a tiny random model; returns the directory."""
    return save(model(architecture, seed=seed, **changes), directory, bos=bos)
