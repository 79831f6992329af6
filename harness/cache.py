"""The cache directory: where it is, what it holds, whether that is sound, and making room.

Layout: `states/<key>/` is one model on one corpus, `measurements/<key>/` the measurements of one study. A key is
32 hexadecimal digits; nothing else there is ever counted, read or removed.
"""

import contextlib
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.files import TEMPORARY_SUFFIX, read_file, sweep
from layerclaims.runtime.paths import KEY, KINDS, MANIFEST, Kind
from layerclaims.runtime.text import shown

DAY: Final = 86_400.0  # seconds
_PRUNED: Final = f"-pruned{TEMPORARY_SUFFIX}"  # ends the name of an entry that is being removed
_DOOMED: Final = re.compile(rf"\.{KEY.pattern}{re.escape(_PRUNED)}")
_LARGEST_MANIFEST: Final = 512_000_000  # bytes; token ids of 1e6 texts


@dataclass(frozen=True, kw_only=True)
class CacheEntry:
    """One directory of the cache."""

    kind: Kind
    path: Path
    size: int  # bytes of its files, without what links point to
    used: float  # seconds since the epoch: when it was last read or written, as far as the file system tells
    model: str  # "" where the directory does not say
    corpus: str
    state: Literal["whole", "unfinished", "link"]

    @property
    def key(self) -> str:
        """Name of the directory."""
        return self.path.name


def entries(cache_dir: Path) -> list[CacheEntry]:
    """All entries, states first, the one used last on top. A cache directory that is not there has none.

    A link in place of an entry is listed as such and not looked into.
    """
    found = [entry for kind in KINDS for entry in _of_kind(cache_dir, kind)]
    return sorted(found, key=lambda entry: (KINDS.index(entry.kind), -entry.used, entry.key))


def damaged(entry: CacheEntry) -> dict[str, str]:
    """Read every byte of an entry again; what is wrong with which file, as a clause.

    Bytes that are not those that were written, what belongs elsewhere, measurements of other states than those in the
    cache. An unfinished entry is no damage: the next run goes on with what is there, and checks that itself.
    """
    if entry.state != "whole":
        return {}
    return _damaged_states(entry.path) if entry.kind == "states" else _damaged_measurements(entry.path)


def _damaged_states(directory: Path) -> dict[str, str]:
    from layerclaims.activations.store import ActivationStore

    try:
        store = ActivationStore.open(directory)
        if store.key != directory.name:
            return {MANIFEST: f"it belongs to states/{store.key}"}
        return store.verify()
    except LayerclaimsError as error:
        return _first_damaged(directory, str(error))
    except (KeyError, TypeError, ValueError, RecursionError):
        return {MANIFEST: "its bytes are not those that were written"}


def _damaged_measurements(directory: Path) -> dict[str, str]:
    from layerclaims.experiments.kept import SUFFIX, UnfitError, load

    found = {}
    present: dict[str, str | None] = {}  # digest of each store; None where there is none to compare with
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        try:
            sources, _ = load(path)
        except UnfitError as error:
            found[path.name] = str(error)
            continue
        for key, digest in sources.items():
            if key not in present:
                present[key] = _digest(directory.parent.parent / "states" / key)
            if present[key] not in (None, digest):
                found[path.name] = f"it was made of other states than those in states/{key}"
    return found


def _digest(directory: Path) -> str | None:
    from layerclaims.activations.store import ActivationStore

    if not KEY.fullmatch(directory.name):
        return None
    try:
        return ActivationStore.open(directory).digest
    except (LayerclaimsError, KeyError, TypeError, ValueError, RecursionError):
        return None  # damage of the states is said there


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What became of an entry that was to be removed."""

    entry: CacheEntry
    kept: str  # why it is still there; "" when it is gone


def prune(cache_dir: Path, *, older_than: float | None = None, now: float | None = None) -> Iterator[Removal]:
    """Remove entries that were not used for `older_than` days (None: all), one at a time, and say so.

    What killed processes left goes too. What a running process holds locked is kept. A link in place of an entry is
    removed itself, never what it points to, and below a `states` or `measurements` that is a link nothing is touched.
    """
    limit = (time.time() if now is None else now) - (0.0 if older_than is None else older_than * DAY)
    sweep_leftovers(cache_dir)
    for entry in entries(cache_dir):
        if older_than is None or entry.used < limit:
            yield _remove(entry)


def _of_kind(cache_dir: Path, kind: Kind) -> Iterator[CacheEntry]:
    directory = cache_dir / kind
    try:
        # a directory that is a link leads out of the cache: what is behind it belongs to someone else
        if not stat.S_ISDIR(directory.lstat().st_mode):
            return
        names = sorted(entry.name for entry in os.scandir(directory) if KEY.fullmatch(entry.name))
    except FileNotFoundError:
        return
    except OSError as error:
        raise LayerclaimsError(
            f"The cache directory {shown(directory)} cannot be read: {error.strerror or error}."
        ) from error
    for name in names:
        with contextlib.suppress(FileNotFoundError):  # removed by another process meanwhile
            yield _entry(kind, directory / name)


def _entry(kind: Kind, path: Path) -> CacheEntry:
    about = path.lstat()
    if not stat.S_ISDIR(about.st_mode):
        return CacheEntry(
            kind=kind, path=path, size=0, used=about.st_mtime, model="", corpus="", state="link"
        )
    size, used = 0, about.st_mtime
    for root, _, files in os.walk(path, followlinks=False):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                file = (Path(root) / name).lstat()
                size += file.st_size
                # most systems note the time of reading about once a day: enough to know what is in use
                used = max(used, file.st_mtime, file.st_atime)
    model = corpus = ""
    whole = True
    if kind == "states":
        manifest = _manifest(path / MANIFEST)
        whole = (path / MANIFEST).exists()
        model, corpus = _name(manifest, "model"), _name(manifest, "corpus")
    return CacheEntry(
        kind=kind,
        path=path,
        size=size,
        used=used,
        model=model,
        corpus=corpus,
        state="whole" if whole else "unfinished",
    )


def _manifest(path: Path) -> dict[str, Any]:
    try:
        about = path.stat()
        if about.st_size > _LARGEST_MANIFEST:
            return {}
        content = json.loads(read_file(path))
        with contextlib.suppress(OSError):
            # to look at an entry is not to use it: give back the time of reading that this has changed
            os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _name(manifest: dict[str, Any], key: str) -> str:
    about = manifest.get(key)
    return str(about.get("name", "")) if isinstance(about, dict) else ""


def _first_damaged(directory: Path, why: str) -> dict[str, str]:
    """Which file keeps a store from being opened: a shard that is missing or cut off, else the manifest."""
    shards = _manifest(directory / MANIFEST).get("shards", [])
    for shard in shards if isinstance(shards, list) else []:
        if isinstance(shard, dict) and isinstance(shard.get("name"), str):
            file = directory / Path(shard["name"]).name
            if not file.is_file() or file.stat().st_size != shard.get("bytes"):
                return {file.name: "it is missing or cut off"}
    return {MANIFEST: why}


def _remove(entry: CacheEntry) -> Removal:
    if entry.state == "link":
        entry.path.unlink(missing_ok=True)
        return Removal(entry=entry, kept="")
    doomed = entry.path.with_name(f".{entry.key}{_PRUNED}")
    try:
        with _all_locks(entry.path) as free:
            if not free:
                return Removal(entry=entry, kept="in use by another process")
            # in one step, so that nobody finds half an entry
            entry.path.rename(doomed)
        _delete(doomed)
    except OSError as error:
        return Removal(entry=entry, kept=error.strerror or str(error))
    return Removal(entry=entry, kept="")


def _delete(directory: Path) -> None:
    """Remove a directory that another process may be removing too. Does not follow links."""
    while directory.exists():
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(directory)


def sweep_leftovers(cache_dir: Path) -> list[Path]:
    """Remove what killed processes left: half-written files, and entries that were about to be removed.

    What a running process writes is left alone, as is all that is not named as ours are. Gives the entries.
    """
    found = []
    for kind in KINDS:
        directory = cache_dir / kind
        if directory.is_symlink() or not directory.is_dir():
            continue
        for path in sorted(directory.iterdir()):
            if path.is_symlink() or not path.is_dir():
                continue
            if KEY.fullmatch(path.name):
                sweep(path)
            elif _DOOMED.fullmatch(path.name):
                with contextlib.suppress(OSError):
                    _delete(path)
                    found.append(path)
    return found


@contextlib.contextmanager
def _all_locks(directory: Path) -> Iterator[bool]:
    """Hold the locks that writers in `directory` take; False where one of them is held by another."""
    import filelock

    with contextlib.ExitStack() as held:
        for path in directory.glob(".*lock"):
            if path.is_symlink():
                continue
            lock = filelock.FileLock(path, fallback_to_soft=False)
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                yield False
                return
            held.callback(lock.release)
        yield True
