"""Plain SGD of the published procedure against the loop that one would write with PyTorch's own layer and solver."""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import common
import numpy as np
from layerclaims.probing import sgd
from layerclaims.probing.sgd import Task, fit_sgd
from layerclaims.probing.transforms import RAW, Transform, one_scale, standardised_unit
from numpy.typing import NDArray

LABELS, WIDTH, POSITIONS = 31, 576, 30  # as the embedded model's
DOCUMENTS, FULL = 160, 1000
ROUNDS = 7


def states(documents: int) -> NDArray[np.float32]:
    """Vectors [n, d] that drift from layer to layer, a document after the other."""
    rng = np.random.default_rng(0)
    drift = np.cumsum(rng.standard_normal((LABELS, WIDTH), dtype=np.float32), axis=0) * np.float32(0.2)
    x = np.empty((documents, LABELS, POSITIONS, WIDTH), dtype=np.float32)
    for document in x:
        document[:] = drift[:, None] + rng.standard_normal(document.shape, dtype=np.float32)
    return x.reshape(-1, WIDTH)


def load(path: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The matrix, resident, and its labels."""
    x = np.load(path)
    return x, np.tile(np.repeat(np.arange(LABELS), POSITIONS), len(x) // (LABELS * POSITIONS))


class Enough(Exception):  # noqa: N818  it ends what has run for long enough
    pass


def mine(
    x: NDArray[np.float32],
    y: NDArray[np.int64],
    transforms: Sequence[Transform],
    *,
    seeds: Sequence[int] = (0,),
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Milliseconds that each fit takes for a step, from its first stretch of an epoch to the end of the second.

    Getting ready, and looks at the learning curve, are a thousandth of a whole fit and left out.
    """
    every, none = np.arange(len(x)), np.arange(0)
    tasks = [
        Task(train=every, test=none, transform=one, seed=(seed,)) for seed in seeds for one in transforms
    ]
    wanted = 2 * len(tasks) * (tasks[0].steps // tasks[0].epochs)
    told = list[tuple[float, int]]()

    def advance(steps: int) -> None:
        told.append((clock(), steps))
        if sum(made for _, made in told) >= wanted:
            raise Enough

    with contextlib.suppress(Enough):
        fit_sgd(x, y, tasks, n_labels=LABELS, advance=advance)
    first = len(seeds)  # stretches, after which all fits are under way
    return 1000 * (told[-1][0] - told[first - 1][0]) / sum(made for _, made in told[first:])


def loop(x: NDArray[np.float32], y: NDArray[np.int64]) -> float:
    """Milliseconds of a core for a step as one would write it; of an epoch."""
    import torch

    vectors, labels = torch.from_numpy(x), torch.from_numpy(y)
    layer, loss = torch.nn.Linear(WIDTH, LABELS), torch.nn.CrossEntropyLoss()
    solver = torch.optim.SGD(layer.parameters(), lr=sgd.RATE)
    begin = time.process_time()
    batches = torch.randperm(len(x)).split(sgd.BATCH)
    for rows in batches:
        solver.zero_grad()
        loss(layer(vectors[rows]), labels[rows]).backward()
        solver.step()
    return 1000 * (time.process_time() - begin) / len(batches)


def rounds(**contenders: Callable[[], float]) -> dict[str, list[float]]:
    """What each contender says, in turn."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(1 + ROUNDS):
        for name, run in contenders.items():
            found[name].append(run())
    return {name: values[1:] for name, values in found.items()}  # the first round loads what it needs


def steps(path: str) -> None:
    """On one core: the loop, and fits whose vectors go through nothing, one phase's scaling, and all at once.

    Time is the core's, since others wait for it on a shared machine.
    """
    import torch

    torch.set_num_threads(1)
    x, y = load(path)
    every = np.arange(len(x))
    unit, scaled = standardised_unit(x, every), one_scale(x, every, unit=True)

    def fit(*transforms: Transform) -> float:
        return mine(x, y, transforms, clock=time.process_time)

    common.answer(
        **rounds(
            loop=lambda: loop(x, y),
            raw=lambda: fit(RAW),
            unit=lambda: fit(unit),
            scaled=lambda: fit(scaled),
            shared=lambda: fit(RAW, unit, scaled),
        )
    )


def side(path: str) -> None:
    """A fit alone on one core, two on two cores by the time of these, and one on two by the clock."""
    import torch

    x, y = load(path)

    def on(threads: int, *seeds: int, clock: Callable[[], float] = time.perf_counter) -> float:
        torch.set_num_threads(threads)
        return mine(x, y, [RAW], seeds=seeds, clock=clock)

    common.answer(
        **rounds(
            one=lambda: on(1, 1, clock=time.process_time),
            two=lambda: on(2, 1, 2, clock=time.process_time),
            alone=lambda: on(1, 1),
            lone=lambda: on(2, 1),
        )
    )


def memory(path: str, fits: str) -> None:
    """Bytes beyond the matrix, labels and libraries that some fits on each of two cores take."""
    import torch

    torch.set_num_threads(2)
    x, y = load(path)
    every = np.arange(len(x))
    unit = standardised_unit(x, every)
    mine(x[:2000], y[:2000], [RAW])
    base = common.peak_bytes()
    tasks = [
        Task(train=every, test=every, transform=unit, seed=(seed,), epochs=1) for seed in range(int(fits))
    ]
    fit_sgd(x, y, tasks, n_labels=LABELS)
    common.answer(taken=common.peak_bytes() - base, base=base, matrix=x.nbytes)


def main() -> None:
    options = common.parser(__doc__ or "")
    options.add_argument("paths", nargs="*", help="the vectors' file, for a child")
    given = options.parse_args()
    if given.contender:
        sgd.CURVE = ()  # type: ignore[misc]
        {one.__name__: one for one in (steps, side, memory)}[given.contender](*given.paths)
        return
    documents = FULL if given.full else DOCUMENTS
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory) / "states.npy")
        np.save(path, states(documents))
        step = common.in_child(__file__, "steps", path)
        beside = common.in_child(__file__, "side", path)
        one, two = (common.in_child(__file__, "memory", path, fits) for fits in ("1", "2"))

    def paired(what: str, values: list[float], peers: list[float], target: str = "") -> dict[str, object]:
        """Median of the values; the ratio is the median of the rounds' own."""
        ratio = statistics.median(value / peer for value, peer in zip(values, peers, strict=True))
        value = statistics.median(values)
        return {**common.row(what, value, "ms/step", peer=value / ratio, target=target), "ratio": ratio}

    rows = [
        common.row("plain PyTorch loop", statistics.median(step["loop"]), "ms/step"),
        paired("as they come", step["raw"], step["loop"], "1/2"),
        paired("standardised, then unit norm", step["unit"], step["loop"], "1/2"),
        paired("unit norm, then one mean and deviation", step["scaled"], step["loop"], "1/2"),
        paired("each of these three on the same batches", step["shared"], step["loop"], "1/2"),
        paired("unit norm by as they come", step["unit"], step["raw"]),
        paired("beside another fit, by alone", beside["two"], beside["one"]),
        paired("one fit on two cores, by one on one (clock)", beside["lone"], beside["alone"]),
        common.row("memory of one fit", one["taken"] / 1e6, "MB", peer=one["matrix"] / 1e6, target="200 MB"),
        common.row("memory of two fits", two["taken"] / 1e6, "MB", peer=one["matrix"] / 1e6, target="400 MB"),
    ]
    common.write("sgd", rows, vectors=documents * LABELS * POSITIONS, width=WIDTH, labels=LABELS)


if __name__ == "__main__":
    main()
