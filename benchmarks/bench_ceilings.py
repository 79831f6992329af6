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

    from harness.objective import BLOCK, Objective, TrainingSet

    rng = np.random.default_rng(0)
    per = LABELS * POSITIONS
    X = rng.standard_normal((DOCUMENTS * per, WIDTH), dtype=np.float32)
    y = np.tile(np.repeat(np.arange(LABELS), POSITIONS), DOCUMENTS)
    fold = DOCUMENTS // FOLDS * per
    rows = [[slice(0, k * fold), slice((k + 1) * fold, len(X))] for k in range(FOLDS)]
    how: Any = {"unit": False, "n_labels": LABELS, "l2": 1e-4, "standardise": True}
    single = Objective(X, [TrainingSet(rows=[slice(0, len(X))], y=y)], **how)
    folds = Objective(X, [TrainingSet(rows=part, y=y) for part in rows], **how)
    v = 0.01 * rng.standard_normal((WIDTH + 1) * LABELS)
    wide = single.width
    x, w = torch.from_numpy(X[:BLOCK]), torch.randn(WIDTH, wide)
    w_folds, error, errors = (
        torch.randn(WIDTH, FOLDS * wide),
        torch.randn(BLOCK, wide),
        torch.randn(BLOCK, FOLDS * wide),
    )
    big = torch.from_numpy(X)

    def blocks(columns: Any, errors: Any) -> Callable[[], None]:
        """The products of a pass over as many rows, with one block that stays in cache."""

        def work() -> None:
            for _ in range(len(X) // BLOCK):
                x @ columns
                errors.T @ x

        return work

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "file"
        content = X[: 64 * per].tobytes()

        def to_disk() -> None:
            with path.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())

        seconds = best(
            {
                "products": blocks(w, error),
                "products of folds": blocks(w_folds, errors),
                "pass": lambda: single({0: v}),
                "pass of folds": lambda: folds(dict.fromkeys(range(FOLDS), v)),
                "memory": lambda: big.sum(),
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
