"""Whether a GPU gives what the processor gives: states, probes, plain SGD and geometry, and what memory it takes.

Run `python benchmarks/check_gpu.py` where torch finds a GPU: it makes its own model and vectors, needs no network, and
takes some minutes. A line a check; the exit status is 1 where one of them fails, or where there is no GPU.
"""

import argparse
import contextlib
import gc
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import common
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(common.ROOT))

ACCURACY = 0.001  # by which the accuracies of the two may differ
NEAR = 1e-4  # by which states may, relative to the largest of their layer
GROWTH = 1.05  # of a deep model's peak by a shallow one's: an allocator rounds


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the model and the matrices are."""

    width: int = 1024
    blocks: tuple[int, int] = (6, 24)
    texts: int = 16
    tokens: int = 64
    vectors: int = 300_000
    features: int = 1024
    labels: int = 25
    epochs: int = 5


SMALL = Size(width=32, blocks=(2, 6), texts=4, tokens=8, vectors=4_000, features=16, labels=4, epochs=2)


@dataclass(frozen=True, kw_only=True)
class Line:
    """What a check found."""

    holds: bool
    said: str


def checks(device: str, size: Size) -> Iterator[Line]:
    """Every check of a device against the processor, one after the other."""
    with tempfile.TemporaryDirectory() as directory:
        yield from states(device, size, Path(directory))
    yield from fits(device, size)
    yield from geometry(device, size)


def states(device: str, size: Size, directory: Path) -> Iterator[Line]:
    """The states of a shallow and a deep model, what they take beside the weights, and the deep one spread."""
    import torch
    from layerclaims.models import placement
    from layerclaims.models.model import LanguageModel
    from layerclaims.models.source import resolve

    from tests import tiny

    ids = torch.randint(
        0, tiny.VOCABULARY, (size.texts, size.tokens), generator=torch.Generator().manual_seed(0)
    )
    peaks = []
    for blocks in size.blocks:
        place = directory / str(blocks)
        tiny.build(
            "llama", place, hidden_size=size.width, intermediate_size=2 * size.width, num_hidden_layers=blocks
        )
        own = LanguageModel.load(resolve(str(place)), device="cpu").states(ids)
        model = LanguageModel.load(resolve(str(place)), device=device)
        there = torch.empty_like(own)
        model.states(ids, out=there)  # what is loaded at the first pass is no pass's
        peaks.append(peak(device, lambda model=model, there=there: model.states(ids, out=there)))
        del model
        yield _near(f"states of {blocks} blocks", own, there)
    shallow, deep = peaks
    yield Line(
        holds=deep <= GROWTH * shallow,
        said=f"memory beside the weights: {shallow / 1e6:.1f} MB for {size.blocks[0]} blocks, {deep / 1e6:.1f} MB for "
        f"{size.blocks[1]}",
    )
    room = sum(file.stat().st_size for file in place.glob("*.safetensors")) // 2
    with _memory_of(device, room, placement):
        model = LanguageModel.load(
            resolve(str(place)),
            device="cpu" if device == "cpu" else "auto",
            device_map="auto",
            offload_dir=directory / "offload",
        )
        spread = model.states(ids)
        yield Line(
            holds=model.spread, said=f"the model is spread where {room / 1e6:.1f} MB are free, half of it"
        )
    yield _near("states of the spread model", own, spread)


def peak(device: str, work: Callable[[], Any]) -> int:
    """Bytes of the device that some work takes at most, beyond what is taken."""
    import torch

    if device == "cpu":
        from tests.alive import Alive

        with Alive() as alive:
            work()
        return alive.peak
    gc.collect()  # a model that is gone holds itself in a circle
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    return int(torch.cuda.max_memory_allocated(device)) - before


@contextlib.contextmanager
def _memory_of(device: str, room: int, placement: Any) -> Iterator[None]:
    """Let models have so many bytes of a device, and no more."""
    import torch

    if device == "cpu":
        with mock.patch.object(placement, "available", return_value=room):
            yield
        return
    gc.collect()
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info(device)
    number = torch.device(device).index  # None for the present one
    taken = (
        torch.cuda.memory_reserved(device) + room + 300 * 10**6
    )  # what a pass takes, and products' own workspace
    torch.cuda.set_per_process_memory_fraction(taken / total, number)
    try:
        with mock.patch.object(placement, "free_on", return_value=min(room, free)):
            yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, number)


def _near(what: str, own: Any, there: Any) -> Line:
    """Whether states [states, texts, tokens, d] are the same but for rounding."""
    apart = float(((own - there).abs().amax((1, 2, 3)) / own.abs().amax((1, 2, 3))).max())
    return Line(holds=apart <= NEAR, said=f"{what}: {apart:.1e} apart, relative to the largest of a layer")


def fits(device: str, size: Size) -> Iterator[Line]:
    """The layer probe with the matrix on the device and streamed to it, and plain SGD."""
    from layerclaims.probing.probe import LayerProbe
    from layerclaims.probing.sgd import Task, fit_sgd
    from layerclaims.runtime import devices

    x, y = _vectors(size)
    n = 4 * len(x) // 5
    train, tested = [slice(0, n)], slice(n, len(x))

    def probe(on: str) -> tuple[float, float]:
        LayerProbe(device=on).fit(x[:2000], y[:2000], n_labels=size.labels)  # what is loaded first
        fit = LayerProbe(device=on).fit
        found, seconds = common.timed(lambda: fit(x, y, rows=train, n_labels=size.labels))
        return float(np.mean(found.predict(x[tested]) == y[tested])), seconds

    def plain(on: str) -> tuple[float, float]:
        rows = np.arange(len(x))
        task = Task(train=rows[:n], test=rows[tested], seed=(0,), epochs=size.epochs)
        found, seconds = common.timed(lambda: fit_sgd(x, y, [task], n_labels=size.labels, device=on))
        return float(found[0].curve.accuracy[-1]), seconds

    own = probe("cpu")
    yield _as_accurate("layer probe", own, probe(device))
    with mock.patch.object(devices, "free_on", return_value=0):
        yield _as_accurate("layer probe, the matrix streamed", own, probe(device))
    yield _as_accurate("plain SGD", plain("cpu"), plain(device))


def _vectors(size: Size) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Vectors [n, d] of classes that overlap, some of their features a hundred times as wide as others."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, size.labels, size.vectors)
    x = rng.standard_normal((size.vectors, size.features), dtype=np.float32)
    x += (2 / np.sqrt(size.features) * rng.standard_normal((size.labels, size.features))).astype(np.float32)[
        y
    ]
    x *= np.geomspace(0.1, 10, size.features).astype(np.float32)
    return x, y


def _as_accurate(what: str, own: tuple[float, float], there: tuple[float, float]) -> Line:
    """Of accuracies and seconds."""
    return Line(
        holds=abs(own[0] - there[0]) <= ACCURACY,
        said=f"{what}: accuracy {own[0]:.4f} on the processor, {there[0]:.4f} on the device; {own[1]:.1f} s and "
        f"{there[1]:.1f} s, {own[1] / there[1]:.1f} times as fast",
    )


def geometry(device: str, size: Size) -> Iterator[Line]:
    """Moments, what neighbours miss, ranks and the path of three states."""
    from layerclaims.runtime.devices import computing

    with computing("The geometry", device):
        _geometry(device, SMALL)  # what is loaded first
        (own, slow), (there, fast) = (
            common.timed(lambda on=on: _geometry(on, size)) for on in ("cpu", device)
        )
    apart = max(float(np.abs(a - b).max()) for a, b in zip(own, there, strict=True))
    yield Line(
        holds=apart <= ACCURACY,
        said=f"geometry: numbers {apart:.1e} apart; {slow:.1f} s and {fast:.1f} s, {slow / fast:.1f} times as fast",
    )


def _geometry(on: str, size: Size) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What neighbours miss of a state, and effective ranks."""
    from layerclaims.metrics.moments import assign_halves, state_moments
    from layerclaims.metrics.subspaces import Subspaces, effective_ranks

    rng = np.random.default_rng(0)
    folds = np.arange(10 * size.texts) % 5
    halves = assign_halves(folds, rng)
    angles, ranks = Subspaces(device=on), []
    turn = np.linalg.qr(rng.standard_normal((size.features, size.features)))[0].astype(np.float32)
    shape = (len(folds), size.tokens, size.features)
    state = rng.standard_normal(shape, dtype=np.float32) * np.geomspace(
        1, 10, size.features, dtype=np.float32
    )
    for _ in range(3):
        found = state_moments(state, folds, halves, unit=True, device=on)
        angles.update(found)
        ranks.append(effective_ranks(found, on))
        state = state @ turn
    return angles.missed, np.stack(ranks)


def main(arguments: list[str] | None = None) -> int:
    """Print a line a check; the exit status."""
    import torch

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--device", default="cuda", help="what is held against the processor. Default: cuda")
    options.add_argument(
        "--small", action="store_true", help="seconds instead of minutes, and no times to speak of"
    )
    given = options.parse_args(arguments)
    if given.device != "cpu" and not torch.cuda.is_available():
        print("Nothing was checked: torch finds no GPU here.")
        return 1
    torch.backends.cuda.matmul.allow_tf32 = True  # a process may have it so, and no number may show it
    missed = 0
    for line in checks(given.device, SMALL if given.small else Size()):
        print("holds " if line.holds else "MISSES", line.said, flush=True)
        missed += not line.holds
    print(f"{missed} missed" if missed else "all hold")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
