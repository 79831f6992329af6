"""Values kept on disk: computed once, by one process, and read by all that ask for the same."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from layerclaims.experiments.measurement import Values
from layerclaims.runtime.files import check_writable, locked, write_whole
from numpy.typing import NDArray


class KeptValues:
    """The values of measurements that share a key, a file each; what is damaged is computed again."""

    def __init__(self, directory: Path) -> None:
        """Use `directory`, which is made when the first file is."""
        self._directory = directory
        self._read: dict[str, Values] = {}

    def get(self, name: str, compute: Callable[[], Values]) -> Values:
        """The values of that name: from memory, from disk, or computed now and written."""
        if name not in self._read:
            path = self.path(name)
            found = load(path)
            if found is None:
                check_writable(self._directory, "--cache-dir")
                with locked(self._directory / f".{name}.lock"):
                    found = load(path)  # another process was quicker
                    if found is None:
                        found = compute()
                        _save(path, found)
            self._read[name] = found
        return self._read[name]

    def put(self, name: str, values: Values) -> None:
        """Write values that were found on the way to others."""
        check_writable(self._directory, "--cache-dir")
        _save(self.path(name), values)

    def path(self, name: str) -> Path:
        """The file of that name, there or not."""
        return self._directory / f"{name}.safetensors"


def _save(path: Path, values: Values) -> None:
    from safetensors.numpy import save

    # safetensors writes a numpy array's memory as it lies: only C order is what its header says
    arrays = {name: np.ascontiguousarray(array) for name, array in values.arrays.items()}
    facts = json.dumps(values.facts, allow_nan=False, sort_keys=True)
    write_whole(path, save(arrays, metadata={"facts": facts, "sha256": _digest(arrays, facts)}))


def load(path: Path) -> Values | None:
    """A file's values; None where it is missing or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata()
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a mapping
        if metadata["sha256"] != _digest(arrays, metadata["facts"]):  # a flipped bit loads all the same
            return None
        return Values(arrays=arrays, facts=json.loads(metadata["facts"]))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None


def _digest(arrays: Mapping[str, NDArray[Any]], facts: str) -> str:
    digest = hashlib.sha256(facts.encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()
