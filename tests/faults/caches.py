"""Caches that are damaged, mixed up, full, shared and read-only: the next run is right or refuses."""

import ctypes
import os
import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.faults import damage, forks, outcomes
from tests.faults.outcomes import Outcome
from tests.faults.world import SELECTIONS, World

# what a cache consists of
FILES = {
    "shard": "states/*/*.safetensors",
    "checksum of a shard": "states/*/*.sha256",
    "manifest": "states/*/manifest.json",
    "measurement": "measurements/*/*.safetensors",
}
NEW_NAMESPACES = 0x10000000 | 0x00020000  # CLONE_NEWUSER | CLONE_NEWNS


def _next_run(world: World, place: Path, random: Random) -> Outcome:
    selection = random.choice(SELECTIONS)
    ended = forks.run(world.pytest(selection, place))
    return world.judged(selection, ended, place)


def _some(cache: Path, kind: str, random: Random) -> Path | None:
    found = sorted(cache.glob(FILES[kind]))
    return random.choice(found) if found else None


def damaged(world: World, random: Random, *, how: str, kind: str | None = None) -> Outcome:
    """One file of a cache damaged, then a run."""
    place = world.place()
    cache = world.cache(place, random)
    path = _some(cache, kind or random.choice(list(FILES)), random) or sorted(cache.glob(FILES["shard"]))[0]
    damage.KINDS[how](path, random)
    found = _next_run(world, place, random)
    return Outcome.wrong(f"{path.relative_to(cache)}: {found.detail}") if found.word == "wrong" else found


def untouched(world: World, random: Random) -> Outcome:
    """A cache of which a part is still to be made, and no fault: what the other trials are held against."""
    place = world.place()
    world.cache(place, random)
    return _next_run(world, place, random)


def damaged_unfinished(world: World, random: Random) -> Outcome:
    """A store that has no manifest yet, as a killed run leaves it, with a damaged shard or checksum."""
    place = world.place()
    cache = world.cache(place, random)
    manifest = _some(cache, "manifest", random)
    assert manifest is not None
    manifest.unlink()
    path = random.choice(sorted(manifest.parent.glob("shard-*")) or [cache])
    if path.is_file():
        damage.KINDS[random.choice(list(damage.KINDS))](path, random)
    return _next_run(world, place, random)


def swapped(world: World, random: Random) -> Outcome:
    """Files that are sound, in each other's place."""
    place = world.place()
    cache = world.cache(place, random)
    how = random.choice(list(SWAPS))
    SWAPS[how](world, cache, random)
    found = _next_run(world, place, random)
    return Outcome.wrong(f"{how}: {found.detail}") if found.word == "wrong" else found


def _two(paths: list[Path], random: Random) -> tuple[Path, Path] | None:
    return tuple(random.sample(paths, 2)) if len(paths) > 1 else None  # type: ignore[return-value]


def _shards(world: World, cache: Path, random: Random) -> None:
    """Two shards of a store, half of the time with their checksums."""
    store = random.choice(sorted((cache / "states").iterdir()))
    if two := _two(sorted(store.glob("*.safetensors")), random):
        damage.swap(*two)
        if random.random() < 0.5:
            sums = [path.with_suffix(".sha256") for path in two]
            if all(path.exists() for path in sums):
                damage.swap(sums[0], sums[1])
            if random.random() < 0.5:
                (store / "manifest.json").unlink(missing_ok=True)


def _stores(world: World, cache: Path, random: Random) -> None:
    """Two stores, or a part of them."""
    if two := _two(sorted((cache / "states").iterdir()), random):
        name = random.choice(("", "manifest.json", "shard-00000.safetensors"))
        if all((path / name).exists() for path in two):
            damage.swap(two[0] / name, two[1] / name)


def _measurements(world: World, cache: Path, random: Random) -> None:
    """Two measurements, of one folder or of two."""
    if two := _two(sorted((cache / "measurements").glob("*/*.safetensors")), random):
        damage.swap(*two)


def _folders(world: World, cache: Path, random: Random) -> None:
    """Two folders of measurements."""
    if two := _two(sorted((cache / "measurements").iterdir()), random):
        damage.swap(*two)


def _other_seed(world: World, cache: Path, random: Random) -> None:
    """The measurement of this name that another seed gave."""
    theirs = {path.name: path for path in sorted(world.another.glob(FILES["measurement"]))}
    ours = [path for path in sorted(cache.glob(FILES["measurement"])) if path.name in theirs]
    for path in random.sample(ours, min(len(ours), 3)):
        damage.replace(path, theirs[path.name])


def _other_store(world: World, cache: Path, random: Random) -> None:
    """The states that another seed gave, whole or in part."""
    ours = random.choice(sorted((cache / "states").iterdir()))
    theirs = random.choice(sorted((world.another / "states").iterdir()))
    name = random.choice(("", "manifest.json", "shard-00000.safetensors"))
    if (ours / name).exists() and (theirs / name).exists():
        damage.replace(ours / name, theirs / name)
        sums = "shard-00000.sha256"
        if name.startswith("shard") and random.random() < 0.5 and (theirs / sums).exists():
            damage.replace(ours / sums, theirs / sums)


SWAPS: dict[str, Callable[[World, Path, Random], None]] = {
    "two shards": _shards,
    "two stores": _stores,
    "two measurements": _measurements,
    "two folders of measurements": _folders,
    "measurements of another seed": _other_seed,
    "states of another seed": _other_store,
}


# --- disks


def _limited(size: int) -> Callable[[], None]:
    def install() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return install


def _then_again(world: World, place: Path, selection: str, before: Callable[[], object]) -> Outcome:
    """A run under a difficulty, which it may refuse; then one without, which has to be right."""
    ended = forks.run(world.pytest(selection, place, before=before))
    if ended.status == NOT_HERE:
        return Outcome(word="not possible here", detail=ended.text.strip()[-200:])
    found = world.judged(selection, ended, place)
    if found.word == "wrong":
        return found
    again = forks.run(world.pytest(selection, place))
    after = world.judged(selection, again, place)
    return found if after.word == "right" else Outcome.wrong(f"without the difficulty: {after.detail}", again)


def full_for_large_files(world: World, random: Random) -> Outcome:
    """No file can be longer than so many bytes."""
    place = world.place()
    if random.random() < 0.4:
        world.cache(place, random)
    return _then_again(world, place, random.choice(SELECTIONS), _limited(int(2 ** random.uniform(0, 17))))


def full_disk(world: World, random: Random) -> Outcome:
    """A small file system behind the cache directory, or behind the report's."""
    place = world.place()
    where = place / random.choice(("cache", "cache", "out"))
    where.mkdir()
    size = int(2 ** random.uniform(12, 20))
    mount = [
        "mount",
        "-t",
        "tmpfs",
        "-o",
        f"size={size},nr_inodes={random.choice((8, 30, 1000))}",
        "tmpfs",
        str(where),
    ]
    return _then_again(world, place, random.choice(SELECTIONS), lambda: _mounted(mount))


def read_only_cache(world: World, random: Random) -> Outcome:
    """A cache that nobody can write to, with everything in it or not."""
    place = world.place()
    cache = world.cache(place, random)
    mounts = [["mount", "--bind", str(cache), str(cache)], ["mount", "-o", "remount,ro,bind", str(cache)]]
    return _then_again(world, place, random.choice(SELECTIONS), lambda: _mounted(*mounts))


NOT_HERE = 77


def _mounted(*commands: list[str]) -> None:
    """Mount in namespaces of this process' own; ends it with NOT_HERE where the system lets nobody do so."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(NEW_NAMESPACES) != 0:
        print(f"unshare: {os.strerror(ctypes.get_errno())}")
        raise SystemExit(NOT_HERE)
    for name, content in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        Path(f"/proc/self/{name}").write_text(content, "ascii")
    for command in (["mount", "--make-rprivate", "/"], *commands):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr)
            raise SystemExit(NOT_HERE)


# --- several processes


def race(world: World, random: Random) -> Outcome:
    """Two to four processes on one cache that is empty, or that is being damaged and repaired."""
    place = world.place()
    if random.random() < 0.4:
        cache = world.cache(place, random)
        if (path := _some(cache, random.choice(list(FILES)), random)) is not None:
            damage.flip(path, random)
    one = random.choice(SELECTIONS)
    selections = [
        one if random.random() < 0.5 else random.choice(SELECTIONS) for _ in range(random.randint(2, 4))
    ]
    for selection in selections:
        world.right(selection)
    outs = [place / f"out-{n}" for n in range(len(selections))]
    calls = [world.pytest(selection, place, out=out) for selection, out in zip(selections, outs, strict=True)]
    for selection, out, ended in zip(selections, outs, forks.together(calls), strict=True):
        status, numbers = world.right(selection)
        found = outcomes.of_run(ended, out / "results.json", status=status, right=numbers)
        if found.word != "right":
            return Outcome.wrong(f"of {len(outs)} processes one is {found.word}: {found.detail}", ended)
    return outcomes.RIGHT
