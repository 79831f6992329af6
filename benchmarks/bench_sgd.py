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
    epochs: int = 1,
) -> float:
    """Milliseconds that each fit takes for a step, without looks at the learning curve; of some epochs."""
    every, none = np.arange(len(x)), np.arange(0)
    tasks = [
        Task(train=every, test=none, transform=one, seed=(seed,)) for seed in seeds for one in transforms
    ]
    wanted = epochs * len(tasks) * (tasks[0].steps // tasks[0].epochs)
    made, times = [0], list[float]()

    def advance(steps: int) -> None:
        made[0] += steps
        times.append(time.perf_counter())
        if made[0] >= wanted:
            raise Enough

    begin = time.perf_counter()
    with contextlib.suppress(Enough):
        fit_sgd(x, y, tasks, n_labels=LABELS, advance=advance)
    return 1000 * (times[-1] - begin) / made[0]


def loop(x: NDArray[np.float32], y: NDArray[np.int64]) -> float:
    """Milliseconds of a step as one would write it; of an epoch."""
    import torch

    vectors, labels = torch.from_numpy(x), torch.from_numpy(y)
    layer, loss = torch.nn.Linear(WIDTH, LABELS), torch.nn.CrossEntropyLoss()
    solver = torch.optim.SGD(layer.parameters(), lr=sgd.RATE)
    begin = time.perf_counter()
    batches = torch.randperm(len(x)).split(sgd.BATCH)
    for rows in batches:
        solver.zero_grad()
        loss(layer(vectors[rows]), labels[rows]).backward()
        solver.step()
    return 1000 * (time.perf_counter() - begin) / len(batches)


def rounds(**contenders: Callable[[], float]) -> dict[str, list[float]]:
    """What each contender says, in turn."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(1 + ROUNDS):
        for name, run in contenders.items():
            found[name].append(run())
    return {name: values[1:] for name, values in found.items()}  # the first round loads what it needs


def steps(path: str) -> None:
    """One core: the loop, and fits whose vectors go through nothing, through one phase's scaling, and through all."""
    import torch

    torch.set_num_threads(1)
    x, y = load(path)
    every = np.arange(len(x))
    unit, scaled = standardised_unit(x, every), one_scale(x, every, unit=True)
    common.answer(
        **rounds(
            loop=lambda: loop(x, y),
            raw=lambda: mine(x, y, [RAW]),
            unit=lambda: mine(x, y, [unit]),
            scaled=lambda: mine(x, y, [scaled]),
            shared=lambda: mine(x, y, [RAW, unit, scaled]),
        )
    )


def side(path: str) -> None:
    """Two fits on one core and on two, and one on both."""
    import torch

    x, y = load(path)

    def on(threads: int, *seeds: int) -> float:
        torch.set_num_threads(threads)
        return mine(x, y, [RAW], seeds=seeds, epochs=2)

    common.answer(**rounds(one=lambda: on(1, 1), two=lambda: on(2, 1, 2), lone=lambda: on(2, 1)))


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
        paired("two fits on two cores, by one on one", beside["two"], beside["one"], "1/2"),
        paired("one fit on two cores, by one on one", beside["lone"], beside["one"]),
        common.row("memory of one fit", one["taken"] / 1e6, "MB", peer=one["matrix"] / 1e6, target="200 MB"),
        common.row("memory of two fits", two["taken"] / 1e6, "MB", peer=one["matrix"] / 1e6, target="400 MB"),
    ]
    common.write("sgd", rows, vectors=documents * LABELS * POSITIONS, width=WIDTH, labels=LABELS)


if __name__ == "__main__":
    main()
