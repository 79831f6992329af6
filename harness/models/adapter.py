"""A LoRA adapter: its files, named and hashed; and a model with it merged in by the package peft."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from layerclaims.errors import LayerclaimsError
from layerclaims.models.digests import of_files
from layerclaims.models.download import download_files
from layerclaims.models.files import is_directory, is_file, names_in, read_json
from layerclaims.models.names import parse, parse_folder
from layerclaims.models.weights import read_headers
from layerclaims.runtime.text import brief, shown

ADAPTER_CONFIG: Final = "adapter_config.json"
ADAPTER_WEIGHTS: Final = "adapter_model.safetensors"
_FILES: Final = (ADAPTER_CONFIG, ADAPTER_WEIGHTS)


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """The files of an adapter."""

    name: str  # as the user gave it
    path: Path  # directory
    revision: str | None  # commit on the hub, None for local files
    sha256: str = field(repr=False)  # of its configuration and weights


def check_adapter_name(name: str) -> None:
    """Raise LayerclaimsError for what can be seen without network or hashing."""
    if find_spec("peft") is None:
        raise LayerclaimsError(
            f"The adapter {shown(name)} is applied by the package peft, which is not installed; install "
            "layerclaims[adapter], or give a model into which it is merged."
        )
    found = parse_folder(name, "an adapter")
    if found.kind == "directory":
        _check(Path(found.where), name)


def resolve_adapter(name: str, *, offline: bool = False) -> Adapter:
    """Find the files that an adapter's name means, and their checksum; raises LayerclaimsError."""
    check_adapter_name(name)
    found, revision = parse(name), None
    directory = Path(found.where)
    if found.kind == "hub":
        directory, revision = download_files(
            f"adapter {shown(name)}", found.where, found.revision, needed=_FILES, offline=offline
        )
        _check(directory, name)
    return Adapter(
        name=name,
        path=directory.absolute(),
        revision=revision,
        sha256=of_files(_FILES, directory),
    )


def _check(directory: Path, name: str) -> None:
    if not is_directory(directory):
        raise LayerclaimsError(f"The adapter {shown(name)} does not exist; check the path.")
    for file in _FILES:
        if not is_file(directory / file):
            pickle = "adapter_model.bin" in names_in(directory)
            why = ", only the pickle adapter_model.bin, which could run any code" if pickle else ""
            raise LayerclaimsError(
                f"The adapter {shown(name)} has no {file} in {shown(directory)}{why}; save it with save_pretrained of "
                "peft."
            )
    kind = read_json(directory / ADAPTER_CONFIG).get("peft_type")
    if kind != "LORA":
        raise LayerclaimsError(
            f"The adapter {shown(name)} is of the type {shown(kind)}, and only LORA changes nothing but weights; merge "
            "it yourself and give the merged model."
        )
    read_headers([directory / ADAPTER_WEIGHTS])


def merged(model: Any, adapter: Adapter) -> Any:
    """A causal model of transformers with an adapter merged into its weights, in place.

    Raises LayerclaimsError where a tensor of the adapter finds no place in the model, or one is missing.
    """
    import peft

    what = f"The adapter {shown(adapter.name)} does not fit {type(model).__name__}"
    try:
        config = peft.PeftConfig.from_pretrained(str(adapter.path), local_files_only=True)
        config.inference_mode = True
        wrapped = peft.PeftModel(model, config)
        told = wrapped.load_adapter(str(adapter.path), "default", local_files_only=True)
        missing = [key for key in told.missing_keys if ".default" in key or "lora_" in key]
        left = [*told.unexpected_keys, *missing]
        if not left:
            return wrapped.merge_and_unload(safe_merge=True)
    except Exception as error:  # of a foreign library on foreign files
        raise LayerclaimsError(f"{what}: {brief(error)}.") from error
    raise LayerclaimsError(
        f"{what}: {len(left)} of its tensors, such as {shown(left[0])}, have no place or are absent; name the model "
        "that it was made for."
    )
