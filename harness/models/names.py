"""What a model's name means, from its spelling alone: a kind, a path or a repository, and a revision."""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import inert, shown

SourceKind = Literal["embedded", "gguf", "directory", "hub", "loaded"]
EMBEDDED_NAME: Final = "embedded"
_PART: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_REPOSITORY: Final = rf"(?:{_PART}/)?{_PART}"
LONGEST_PART: Final = 255  # bytes of one part of a path, on every common file system


@dataclass(frozen=True, kw_only=True)
class Name:
    """What a name means."""

    kind: SourceKind
    where: str = ""  # path, or repository of the hub
    revision: str | None = None  # of the repository
    file: str | None = None  # one GGUF file of the repository


def parse(name: str) -> Name:
    """What a name means; raises LayerclaimsError where it can mean nothing."""
    if name == EMBEDDED_NAME:
        return Name(kind="embedded")
    if name.lower().endswith(".gguf"):
        repository, separator, file = name.partition("::")
        if separator and not _is_path(repository) and re.fullmatch(_REPOSITORY, repository.partition("@")[0]):
            parts = file.split("/")
            if not all(re.fullmatch(r"[\w+-][\w.+ -]{0,199}", part) for part in parts):
                raise LayerclaimsError(f"{shown(file)} is not the name of a file of {shown(repository)}.")
            return replace(parse(repository), file=file)
        return Name(kind="gguf", where=_path(name))
    if name.lower().endswith((".safetensors", ".safetensors.index.json")):
        raise _file_of_weights(name)
    if _is_path(name) or name.partition("@")[0].count("/") > 1:  # a revision may have more: refs/pr/1
        return Name(kind="directory", where=_path(name))
    repository, separator, revision = name.partition("@")
    if not re.fullmatch(_REPOSITORY, repository) or re.search(r"\.\.|--", repository):
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
    return Name(kind="hub", where=repository, revision=revision or None)


def _is_path(name: str) -> bool:
    """Whether a name looks like a path, as no id of the hub does."""
    return (
        name.startswith(("local:", "/", "./", "../", "~"))
        or name.endswith("/")
        or "\\" in name
        or name in (".", "..")
    )


def hub_id(name: str) -> str | None:
    """Repository of the hub that a model's name means, without its revision; None for any other name."""
    try:
        found = parse(name)
    except LayerclaimsError:
        return None
    return found.where if found.kind == "hub" and found.file is None else None


def parse_folder(name: str, what: str) -> Name:
    """The directory, or the repository of the hub, that the name of `what` means; raises LayerclaimsError else."""
    found = parse(name)
    if found.kind == "directory" or (found.kind == "hub" and found.file is None):
        return found
    raise LayerclaimsError(
        f"{shown(name)} is not the name of {what}: give an id of the hub (owner/name, with @REVISION if wanted) or a "
        "directory (./DIR or local:DIR)."
    )


def _file_of_weights(name: str) -> LayerclaimsError:
    """What to say of a weights file that is named in place of the model's folder."""
    folder = os.path.dirname(name.removeprefix("local:")) or "."  # noqa: PTH120  as it was typed
    plain = folder if folder.startswith(("/", ".", "~")) else f"./{folder}"
    return LayerclaimsError(
        f"{shown(name)} is a file of weights alone, and a model is its configuration, its weights and its tokenizer; "
        f"name its folder: --model {inert(plain.rstrip('/') or '/', 200)}/"
    )


def _path(name: str) -> str:
    """The path of a name that means one, with the home directory put in for ~."""
    path = name.removeprefix("local:")
    try:
        parts = os.fsencode(path).split(os.fsencode(os.sep))
        if "\0" in path or max(map(len, parts)) > LONGEST_PART:
            raise ValueError
        return str(Path(path).expanduser())
    except ValueError as error:
        raise LayerclaimsError(
            f"{shown(name)} cannot be a path: it has a character that no file's name can have, or a part longer "
            f"than {LONGEST_PART} bytes; check the name of the model."
        ) from error
    except RuntimeError as error:  # no such user, or no home directory
        raise LayerclaimsError(
            f"{shown(name)} begins with the home directory of a user that is not known here; write the path out."
        ) from error
