"""How near the probe's passes come to what the machine can do: products in cache, memory, disk."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import numpy as np

DOCUMENTS, LABELS, POSITIONS, WIDTH = 200, 31, 30, 576  # as the embedded model's
FOLDS = 5
ROUNDS = 5  # of all in turn, since the machine's speed drifts; the best of each counts


def best(works: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Fewest seconds of each."""
    seconds = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):
        for name, work in works.items():
            seconds[name] = min(seconds[name], common.timed(work)[1])
    return seconds


def main() -> None:
    common.parser(__doc__ or "").parse_args()
    import torch
    from layerclaims.probing.objective import BLOCK, Objective, TrainingSet
    from layerclaims.runtime import threads as cores

    rng = np.random.default_rng(0)
    per = LABELS * POSITIONS
    X = rng.standard_normal((DOCUMENTS * per, WIDTH), dtype=np.float32)
    y = np.tile(np.repeat(np.arange(LABELS), POSITIONS), DOCUMENTS)
    fold = DOCUMENTS // FOLDS * per
    big = torch.from_numpy(X)
    with tempfile.TemporaryDirectory() as directory, cores.workers() as pool:

        def objective(*rows: list[slice]) -> Objective:
            sets = [TrainingSet(rows=part, y=y) for part in rows]
            return Objective(
                X, sets, unit=False, n_labels=LABELS, l2=1e-4, standardise=True, rounds=False, pool=pool
            )

        single = objective([slice(0, len(X))])
        folds = objective(*([slice(0, k * fold), slice((k + 1) * fold, len(X))] for k in range(FOLDS)))
        v = 0.01 * rng.standard_normal((WIDTH + 1) * LABELS)
        wide, path = single.width, Path(directory) / "file"
        content = X[: 64 * per].tobytes()

        def products(columns: int) -> Callable[[], None]:
            """Those of a pass over as many rows, shared among the cores, each with a block that stays in cache."""
            weights, errors = torch.randn(WIDTH, columns), torch.randn(BLOCK, columns)

            def once(x: torch.Tensor) -> None:
                x @ weights
                errors.T @ x

            def work() -> None:
                own = [big[start : start + BLOCK].clone() for start in (0, BLOCK)]
                for _ in pool.map(once, (own[i % 2] for i in range(len(X) // BLOCK))):
                    pass

            return work

        def to_disk() -> None:
            with path.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())

        seconds = best(
            {
                "products": products(wide),
                "products of folds": products(FOLDS * wide),
                "pass": lambda: single({0: v}),
                "pass of folds": lambda: folds(dict.fromkeys(range(FOLDS), v)),
                "memory": lambda: list(pool.map(torch.sum, big.chunk(64))),
                "disk": to_disk,
            }
        )
    flops = 4 * len(X) * WIDTH * wide / 1e9
    of_folds = flops * FOLDS
    rows_ = [
        common.row(f"products {wide} columns wide, in cache", flops / seconds["products"], "GFLOP/s"),
        common.row("a pass of one probe", flops / seconds["pass"], "GFLOP/s", peer=flops / seconds["products"]),
        common.row(
            f"products {FOLDS * wide} columns wide, in cache", of_folds / seconds["products of folds"], "GFLOP/s"
        ),
        common.row(
            # each fold's probe sees the rows of the others
            f"a pass of {FOLDS} folds' probes", of_folds * (1 - 1 / FOLDS) / seconds["pass of folds"], "GFLOP/s",
            peer=of_folds / seconds["products of folds"],
        ),
        common.row("memory, read", X.nbytes / seconds["memory"] / 1e9, "GB/s"),
        common.row(
            "memory, by a pass of one probe", X.nbytes / seconds["pass"] / 1e9, "GB/s",
            peer=X.nbytes / seconds["memory"] / 1e9,
        ),
        common.row("disk, written and synced", len(content) / seconds["disk"] / 1e9, "GB/s"),
    ]  # fmt: skip
    common.write("ceilings", rows_, vectors=len(X), width=WIDTH, labels=LABELS, rounds=ROUNDS)


if __name__ == "__main__":
    main()
