"""Values kept on disk: computed once, by one process, and read by all that ask for the same.

A file says which place it belongs to, and from which states its numbers were made. Its checksum covers both.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from layerclaims.errors import LayerclaimsError
from layerclaims.experiments.measurement import Values
from layerclaims.runtime import progress as screen
from layerclaims.runtime.files import alone, check_writable, if_free, regular, say_unkept, write_whole
from layerclaims.runtime.text import inert
from numpy.typing import NDArray

Sources = Mapping[str, str]  # key of each store that was read -> its digest then
ABOUT: Final = "layerclaims"  # one entry of metadata alone: the library writes several in any order
SUFFIX: Final = ".safetensors"


class UnfitError(LayerclaimsError):
    """A file is not the kept measurement that its name says; the message is why, as a clause."""


class KeptValues:
    """The values of measurements that share a key, a file each; what is damaged is computed again."""

    def __init__(self, directory: Path) -> None:
        """Use `directory`, which is made when the first file is."""
        self._directory = directory
        self._read: dict[str, Values] = {}

    def get(self, name: str, compute: Callable[[], Values], sources: Sources) -> Values:
        """The values of that name: from memory, from disk, or computed now and written.

        `sources` are the present states: what was made of others is computed again. Reading takes no lock and
        writes nothing. Where nothing can be written the values are computed all the same, and a note says that they
        are not kept.
        """
        found = self.recall(name, sources)
        if found is None:
            with alone(self._directory / f".{name}.lock"):
                found = self.recall(name, sources, notes=False)  # another process was quicker
                if found is None:
                    found = compute()
                    self.put(name, found, sources)
        return found

    def attempt(self, name: str, compute: Callable[[], Values], sources: Sources) -> bool:
        """As `get`, unless another process computes these values: then False at once."""
        with self.if_free(name) as free:
            if free and self.recall(name, sources, notes=False) is None:
                self.put(name, compute(), sources)
        return free

    @contextlib.contextmanager
    def if_free(self, name: str) -> Iterator[bool]:
        """Hold the lock under which values of that name are computed; False where another process is at it.

        True also where nothing can be kept, and so nothing be locked.
        """
        try:
            check_writable(self._directory, "--cache-dir")
        except LayerclaimsError as error:
            say_unkept(str(error))
            yield True
            return
        with if_free(self._directory / f".{name}.lock") as free:
            yield free

    def recall(self, name: str, sources: Sources, *, notes: bool = True) -> Values | None:
        """The values of that name from memory or from disk; None, and a note, where they are not fit for use."""
        if name not in self._read:
            path = self.path(name)
            try:
                made_of, values = load(path)
                if made_of != sources:
                    raise UnfitError("it was made of other states than those in the cache")
            except FileNotFoundError:
                return None
            except UnfitError as error:
                if notes:
                    screen.note(f"layerclaims: {path} is not used and is computed again: {error}")
                return None
            self._read[name] = values
        return self._read[name]

    def put(self, name: str, values: Values, sources: Sources) -> None:
        """Hold values and write them; where they find no room a note says so, once a run."""
        self._read[name] = values
        try:
            _save(self.path(name), values, sources)
        except LayerclaimsError as error:
            say_unkept(str(error))

    def path(self, name: str) -> Path:
        """The file of that name, there or not."""
        return self._directory / f"{name}{SUFFIX}"

    def has(self, name: str, sources: Sources) -> bool:
        """Whether values of that name are held, or a file says that it has them and was made of these states."""
        if name in self._read:
            return True
        try:
            about, _ = _about(self.path(name), arrays=False)
        except (FileNotFoundError, UnfitError):
            return False
        return about.sources == sources


def drop_made_of(measurements: Path, store: str) -> list[Path]:
    """Remove what was made of a store, by its key, and half-done fits beside it; the files that are gone.

    `measurements` is the folder of the cache that has a folder for each key.
    """
    gone = []
    for path in sorted(measurements.glob(f"*/*{SUFFIX}")):
        with contextlib.suppress(OSError, UnfitError):
            if store in _about(path, arrays=False)[0].sources:
                path.unlink()
                gone.append(path)
    for directory in {path.parent for path in gone}:
        for path in directory.glob("*.partial"):
            path.unlink(missing_ok=True)
    return gone


@dataclass(frozen=True, kw_only=True)
class _About:
    """What a file says of itself."""

    place: str  # as `_place`
    sources: Sources
    facts: str  # JSON
    sha256: str


def _place(path: Path) -> str:
    """The key and the name that a file's values belong to."""
    return f"measurements/{path.parent.absolute().name}/{path.name.removesuffix(SUFFIX)}"


def _save(path: Path, values: Values, sources: Sources) -> None:
    from safetensors.numpy import save

    # safetensors writes a numpy array's memory as it lies: only C order is what its header says
    arrays = {name: np.ascontiguousarray(array) for name, array in values.arrays.items()}
    facts = json.dumps(values.facts, allow_nan=False, sort_keys=True)
    place = _place(path)
    about = {
        "place": place,
        "sources": dict(sources),
        "facts": facts,
        "sha256": _digest(arrays, place, sources, facts),
    }
    write_whole(path, save(arrays, metadata={ABOUT: json.dumps(about, sort_keys=True)}))


def load(path: Path) -> tuple[Sources, Values]:
    """What a file's values were made of, and they themselves, after every byte was checked.

    Raises UnfitError where they are damaged or belong elsewhere, FileNotFoundError.
    """
    about, arrays = _about(path, arrays=True)
    if about.sha256 != _digest(
        arrays, about.place, about.sources, about.facts
    ):  # a flipped bit loads all the same
        raise UnfitError("its bytes are not those that were written")
    return about.sources, Values(arrays=arrays, facts=json.loads(about.facts))


def _about(path: Path, *, arrays: bool) -> tuple[_About, dict[str, NDArray[Any]]]:
    from safetensors import SafetensorError, safe_open

    try:
        # the library would wait for a writer of a pipe
        with regular(path), safe_open(path, framework="np") as file:
            said = json.loads(file.metadata()[ABOUT])
            found = {name: file.get_tensor(name) for name in file.keys()} if arrays else {}  # noqa: SIM118
        about = _About(**said)
        if not (isinstance(about.sources, dict) and isinstance(about.facts, str)):
            raise TypeError
    except FileNotFoundError:
        raise
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UnfitError("its bytes are not those that were written") from error
    if about.place != _place(path):
        raise UnfitError(f"it is {inert(str(about.place))}, which belongs elsewhere")
    return about, found


def _digest(arrays: Mapping[str, NDArray[Any]], place: str, sources: Sources, facts: str) -> str:
    digest = hashlib.sha256(json.dumps([place, dict(sources), facts], sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()
