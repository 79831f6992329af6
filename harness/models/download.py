"""From the hub into its client's cache: which files of a model, at which commit."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.hub import Get, HubError, Repository, obtain
from layerclaims.runtime.text import shown

WAYS_OUT: Final = (
    "give a local directory (./DIR or local:DIR), a .gguf file or 'embedded', set HF_ENDPOINT to a mirror "
    "that can be reached, or HF_TOKEN if access must be granted"
)
SUFFIX: Final = ".safetensors"
INDEX_SUFFIX: Final = ".safetensors.index.json"
PICKLES: Final = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack")


def download(
    name: str, repository: str, revision: str | None, *, wanted: Sequence[str], offline: bool
) -> tuple[Path, str]:
    """Snapshot directory in the hub client's cache, and its commit.

    Of `wanted` whatever the repository has is fetched, of the weights either the one file or its index with the
    files that the index lists. Raises LayerclaimsError.
    """
    weights = next(file for file in wanted if file.endswith(SUFFIX))
    index = next(file for file in wanted if file.endswith(INDEX_SUFFIX))

    def fetch(there: frozenset[str], get: Get) -> None:
        if weights not in there and index not in there:
            raise HubError(_what_is_there(there))
        if small := [file for file in wanted if file in there and file not in (weights, index)]:
            get(*small)
        # weights come last: a snapshot that has them has everything
        listed = [weights] if weights in there else listed_files(get(index))
        for file in listed:
            if file not in there:
                raise HubError(
                    f"is incomplete on the hub: {shown(file)}, which its index lists, is not there"
                )
        get(*listed)

    def missing(snapshot: Path) -> str | None:
        needed = ["config.json", weights]
        if not (snapshot / weights).is_file() and (snapshot / index).is_file():
            needed = ["config.json", *listed_files(snapshot / index)]
        return next((file for file in needed if not (snapshot / file).is_file()), None)

    source = Repository(kind="model", name=repository, revision=revision or "main")
    try:
        snapshot = obtain(source, fetch=fetch, missing=missing, offline=offline)
    except HubError as error:
        twin = f" (the directory of that name here is ./{repository})" if Path(repository).is_dir() else ""
        raise LayerclaimsError(f"The model {shown(name)} {error}{twin}: {WAYS_OUT}.") from error
    return snapshot, snapshot.name


def download_files(
    what: str,
    repository: str,
    revision: str | None,
    wanted: Sequence[str] = (),
    *,
    needed: Sequence[str] = (),
    offline: bool,
) -> tuple[Path, str]:
    """Snapshot directory with some files of a repository of models, and its commit.

    Of `wanted` whatever there is, of `needed` all. `what` names it in a sentence. Raises LayerclaimsError.
    """

    def fetch(there: frozenset[str], get: Get) -> None:
        for file in needed:
            if file not in there:
                raise HubError(f"has no {shown(file)} on the hub{_pickle_instead(file, there)}")
        if found := [file for file in (*wanted, *needed) if file in there]:
            get(*found)

    def missing(snapshot: Path) -> str | None:
        if not needed and not any((snapshot / file).is_file() for file in wanted):
            return wanted[0]
        return next((file for file in needed if not (snapshot / file).is_file()), None)

    source = Repository(kind="model", name=repository, revision=revision or "main")
    try:
        snapshot = obtain(source, fetch=fetch, missing=missing, offline=offline)
    except HubError as error:
        raise LayerclaimsError(f"The {what} {error}: {WAYS_OUT}.") from error
    return snapshot, snapshot.name


def _pickle_instead(file: str, there: frozenset[str]) -> str:
    found = sorted(name for name in there if name.endswith(PICKLES) and not name.endswith(SUFFIX))
    other = sorted(name for name in there if name.lower().endswith(".gguf"))
    if file.lower().endswith(".gguf") and other:
        return f", only {', '.join(shown(name) for name in other[:5])}"
    return f", only {shown(found[0])}, a pickle or another format that is not read" if found else ""


def listed_files(index: Path) -> list[str]:
    """Names of the weight files that an index lists, sorted; raises HubError for what is no index."""
    try:
        content = json.loads(index.read_bytes())
        files = {str(file) for file in content["weight_map"].values()}
    except (OSError, ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise HubError(f"has an index that lists no files under 'weight_map' ({index.name})") from error
    for file in files:
        # names come from the model: they must not lead out of its directory
        if (
            not file.endswith(SUFFIX)
            or not file.isprintable()
            or set(file) & set("/\\:*?[]")
            or file[0] in ".-"
        ):
            raise HubError(
                f"has an index that lists {shown(file)}, which is not the name of a safetensors file"
            )
    if not files:
        raise HubError(f"has an index that lists no files under 'weight_map' ({index.name})")
    return sorted(files)


def _what_is_there(there: frozenset[str]) -> str:
    """What a repository without safetensors weights has instead."""
    said = "has no safetensors weights on the hub"
    files = sorted(there)
    if adapter := next((file for file in files if file.startswith("adapter_model.")), None):
        return f"{said}, only the adapter {shown(adapter)}: name its base model, and this as --adapter"
    if gguf := next((file for file in files if file.lower().endswith(".gguf")), None):
        return f"{said}, but the GGUF file {shown(gguf)}: name it with :: after the id"
    if pickle := next((file for file in files if file.endswith(PICKLES)), None):
        return (
            f"{said}, only {shown(pickle)}, a pickle or another format that is not read: convert it with "
            "save_pretrained"
        )
    if other := next((file for file in files if file.endswith(SUFFIX)), None):
        return f"{said} under the usual name, only {shown(other)}"
    return said
