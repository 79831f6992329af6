"""What a model's name means, from its spelling alone: a kind, a path or a repository, and a revision."""

import os
import re
from pathlib import Path
from typing import Final, Literal

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import inert, shown

SourceKind = Literal["embedded", "gguf", "directory", "hub", "loaded"]
EMBEDDED_NAME: Final = "embedded"
LONGEST_PART: Final = 255  # bytes of one part of a path, on every common file system


def parse(name: str) -> tuple[SourceKind, str, str | None]:
    """Kind, path or repository, and revision that a name means; raises LayerclaimsError for none of them."""
    if name == EMBEDDED_NAME:
        return "embedded", "", None
    if name.lower().endswith(".gguf"):
        return "gguf", _path(name), None
    if name.lower().endswith((".safetensors", ".safetensors.index.json")):
        raise _file_of_weights(name)
    if (
        name.startswith(("local:", "/", "./", "../", "~"))
        or name.endswith("/")
        or "\\" in name
        or name.partition("@")[0].count("/") > 1  # a revision may have more: refs/pr/1
        or name in (".", "..")
    ):
        return "directory", _path(name), None
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


def hub_id(name: str) -> str | None:
    """Repository of the hub that a model's name means, without its revision; None for any other name."""
    try:
        kind, repository, _ = parse(name)
    except LayerclaimsError:
        return None
    return repository if kind == "hub" else None


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
