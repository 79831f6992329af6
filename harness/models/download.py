"""From the hub into its client's cache: which files of a model, at which commit."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import brief, shown

WAYS_OUT: Final = (
    "give a local directory (./DIR or local:DIR), a .gguf file or 'embedded', set HF_ENDPOINT to a mirror "
    "that can be reached, or HF_TOKEN if access must be granted"
)


def download(
    name: str, repository: str, revision: str | None, *, wanted: Sequence[str], offline: bool
) -> tuple[Path, str | None]:
    """Snapshot directory and commit, out of the hub client's cache or through it."""
    from huggingface_hub import errors, snapshot_download
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    def unusable(why: str) -> LayerclaimsError:
        twin = f" (the directory of that name here is ./{repository})" if Path(repository).is_dir() else ""
        return LayerclaimsError(f"The model {shown(name)} {why}{twin}: {WAYS_OUT}.")

    silent = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        snapshot = snapshot_download(
            repository,
            revision=revision,
            allow_patterns=["model-*-of-*.safetensors", *wanted],
            local_files_only=offline,
        )
    except errors.GatedRepoError as error:
        raise unusable("is gated on the hub and your token gives no access") from error
    except errors.RevisionNotFoundError as error:
        raise unusable(f"has no revision {shown(revision)} on the hub") from error
    except errors.RepositoryNotFoundError as error:
        raise unusable("does not exist on the hub, or is private") from error
    except errors.LocalEntryNotFoundError as error:
        why = "is not in the hub's local cache" + ("" if offline else " and the hub cannot be reached")
        raise unusable(why) from error
    except (OSError, ValueError, RuntimeError, errors.HfHubHTTPError) as error:
        raise unusable(f"could not be fetched ({brief(error)})") from error
    finally:
        if not silent:
            enable_progress_bars()
    path = Path(snapshot)
    commit = path.name if re.fullmatch(r"[0-9a-f]{40}", path.name) else None
    if not any((path / file).is_file() for file in wanted if "safetensors" in file):
        raise unusable(f"has no safetensors weights {'in the local cache' if offline else 'on the hub'}")
    return path, commit
