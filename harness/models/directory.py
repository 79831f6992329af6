"""What a model's directory holds: configuration, the weight files that are loaded, tokenizer; else a refusal."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from layerclaims.errors import LayerclaimsError
from layerclaims.models.files import is_directory, is_file, names_in, read_json
from layerclaims.models.weights import check_tensors, read_headers
from layerclaims.runtime.text import shown

CONFIG: Final = "config.json"
WEIGHTS: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"
ADAPTER: Final = re.compile(r"adapter_(config\.json|model\..*)")
DISTRIBUTED: Final = re.compile(r"shard-\d{5}-model-\d{5}-of-\d{5}\.safetensors")
PICKLE: Final = re.compile(r".*\.(bin|pt|pth|ckpt)")
# every file of transformers' tokenizers that can change a token id; chat templates cannot
TOKENIZER_FILES: Final = (
    "added_tokens.json", "bpe.codes", "merges.txt", "prophetnet.tokenizer", "sentencepiece.bpe.model",
    "special_tokens_map.json", "spiece.model", "spm.model", "tekken.json", "tiktoken.model",
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.bpe", "vocab.json", "vocab.txt",
)  # fmt: skip
# those of a decoder first: beside an encoder it has its own number
_N_BLOCKS_KEYS: Final = (
    "decoder_layers",
    "num_decoder_layers",
    "num_hidden_layers",
    "n_layer",
    "n_layers",
    "num_layers",
)
HIDDEN_KEYS: Final = ("hidden_size", "n_embd", "d_model")
CONTEXT_KEYS: Final = ("max_position_embeddings", "n_positions", "max_seq_len")
# numbers that must be whole and positive, and the largest that is believed
_LARGEST: Final[Mapping[str, int]] = {
    **dict.fromkeys(_N_BLOCKS_KEYS, 10**4),
    **dict.fromkeys(
        (*HIDDEN_KEYS, "vocab_size", "num_attention_heads", "n_head", "num_key_value_heads"), 10**8
    ),
    **dict.fromkeys(CONTEXT_KEYS, 10**10),
}
_OTHER_FILES: Final = {  # keys that make transformers read a file of another name
    CONFIG: ("transformers_weights", "configuration_files"),
    "tokenizer_config.json": ("fast_tokenizer_files",),
}


def text_config(directory: Path) -> Mapping[str, Any]:
    """The text model's part of config.json; raises LayerclaimsError where its counts are none."""
    whole = read_json(directory / CONFIG)
    text = whole.get("text_config")
    found = text if isinstance(text, dict) else whole
    for key, largest in _LARGEST.items():
        value = found.get(key)
        if value is not None and (type(value) is not int or not 1 <= value <= largest):
            raise LayerclaimsError(
                f"{shown(directory / CONFIG)} has {key!r}: {shown(value, 40)}, where a whole number from 1 to "
                f"{largest:,} is expected; correct it or fetch it again."
            )
    return found


def n_blocks_keys(model_type: object) -> Sequence[str]:
    """The names under which a configuration of a type may say its number of blocks, the surest first.

    A block of LongCat-Flash has two attention layers, and its num_hidden_layers counts these.
    """
    return ("num_layers",) if model_type == "longcat_flash" else _N_BLOCKS_KEYS


def count(config: Mapping[str, Any], keys: Sequence[str]) -> int | None:
    """The first of some numbers that a configuration has under several names."""
    return next((config[key] for key in keys if type(config.get(key)) is int), None)


def weight_files(directory: Path, name: str) -> list[str]:
    """Names of the files that the weights and their configuration are read from, config.json first.

    Raises LayerclaimsError when the directory is not a model that can be read, by what is there instead.
    """
    if not is_directory(directory):
        raise LayerclaimsError(
            f"The model directory {shown(directory)} does not exist; check the path, or leave out the "
            "leading ./ or local: for an id of the hub."
        )
    names = names_in(directory)
    _refuse_other_sources(directory, names, name)
    if not is_file(directory / CONFIG):
        raise _without_config(directory, names, name)
    if is_file(directory / WEIGHTS):  # before an index, as transformers does
        return [CONFIG, WEIGHTS]
    if is_file(directory / INDEX):
        return [CONFIG, INDEX, *_indexed(directory, name)]
    raise LayerclaimsError(
        f"The model {shown(name)} has no {WEIGHTS} in {shown(directory)}{_instead(names)}; convert it with "
        "save_pretrained of transformers, or give a model in safetensors or GGUF."
    )


def check_weights(directory: Path, files: Sequence[str], name: str) -> None:
    """Raise LayerclaimsError where the headers of the weight files do not go with config.json."""
    whole, text = read_json(directory / CONFIG), text_config(directory)
    tensors = read_headers(directory / file for file in files if file.endswith(".safetensors"))
    check_tensors(tensors, {**whole, **text}, name, count(text, n_blocks_keys(text.get("model_type"))))


def tokenizer_files(directory: Path, name: str) -> list[str]:
    """Names of the tokenizer's files in a directory; raises LayerclaimsError where there are none."""
    files = [file for file in TOKENIZER_FILES if is_file(directory / file)]
    if not set(files) - {"special_tokens_map.json", "added_tokens.json", "tokenizer_config.json"}:
        raise LayerclaimsError(
            f"The model {shown(name)} has no tokenizer in {shown(directory)} (such as tokenizer.json); save "
            "the tokenizer into the same directory."
        )
    if "tokenizer_config.json" in files:
        _refuse_named_files(directory / "tokenizer_config.json")
    return files


def _refuse_other_sources(directory: Path, names: Sequence[str], name: str) -> None:
    """Refuse files beside the weights that transformers would read too, and that would change what is computed."""
    adapter = next(filter(ADAPTER.fullmatch, names), None)
    if adapter is not None:
        only = "" if CONFIG in names else ", and no whole model"
        raise LayerclaimsError(
            f"The model {shown(name)} has an adapter, {shown(adapter)}, in {shown(directory)}{only}; name the base "
            "model, and this directory as --adapter, or merge it (merge_and_unload of peft) and save that."
        )
    shard = next(filter(DISTRIBUTED.fullmatch, names), None)
    if shard is not None:
        raise LayerclaimsError(
            f"The model {shown(name)} has a part of a distributed checkpoint, {shown(shard)}, in {shown(directory)}; "
            "save it as one with save_pretrained of transformers."
        )
    if CONFIG in names:
        _refuse_named_files(directory / CONFIG)


def _refuse_named_files(path: Path) -> None:
    content = read_json(path)
    for key in _OTHER_FILES[path.name]:
        if content.get(key):
            raise LayerclaimsError(
                f"{shown(path)} names other files to read in {key!r} ({shown(content[key])}); take that entry out and "
                "give the files their usual names."
            )


def _indexed(directory: Path, name: str) -> list[str]:
    """Names of the files that the index lists."""
    listed = read_json(directory / INDEX).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise LayerclaimsError(
            f"{shown(directory / INDEX)} lists no files under 'weight_map'; fetch it again."
        )
    files = sorted({str(file) for file in listed.values()})
    for file in files:
        # names come from the model: they must not lead out of its directory
        if Path(file).name != file or not file.endswith(".safetensors"):
            raise LayerclaimsError(
                f"{shown(directory / INDEX)} lists {shown(file)}, which is not the name of a safetensors file."
            )
        if not is_file(directory / file):
            raise LayerclaimsError(
                f"The model {shown(name)} is incomplete: {shown(file)}, which its index lists, is not in "
                f"{shown(directory)}; fetch it again."
            )
    return files


def _without_config(directory: Path, names: Sequence[str], name: str) -> LayerclaimsError:
    ggufs = [file for file in names if file.lower().endswith(".gguf")]
    hint = (
        f"; it has {shown(ggufs[0])}: name that file"
        if ggufs
        else f"{_instead(names)}; give a model's directory"
    )
    return LayerclaimsError(f"The model {shown(name)} has no {CONFIG} in {shown(directory)}{hint}.")


def _instead(names: Sequence[str]) -> str:
    """What a directory holds in place of the weights that are looked for."""
    for found, what in (
        ([file for file in names if file.lower().endswith(".gguf")], "it has {}, which can be named itself"),
        ([file for file in names if file.endswith(".safetensors")], "it has {}, which no index lists"),
        (list(filter(PICKLE.fullmatch, names)), "only the pickle {}, which could run any code when read"),
    ):
        if found:
            return f", {what.format(shown(found[0]))}"
    return ""
