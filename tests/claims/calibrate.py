"""Measure how often each row's verdict is wrong: `make calibrate`, or `python -m tests.claims.calibrate --rows ID`.

Every row judges hundreds of data sets with a known truth (plants.py) by its own test. What is counted goes to
harness/verdicts/calibration.json after each row, so that a run that was stopped can go on with the rows that are left;
docs/calibration.md is written from there.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from math import isfinite
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

import numpy as np
from layerclaims.metrics import geometry
from layerclaims.verdicts.calibration import FILE, share_of
from layerclaims.verdicts.declaration import declared
from layerclaims.verdicts.registry import registered
from layerclaims.verdicts.verdict import Verdict, decide

from tests.claims.plants import LARGE, PLANTS, SECOND, plant_of

DOCS = Path(__file__).parents[2] / "docs"
ALPHA = 0.05
ELSEWHERE = 100  # plants at a knob that is not the border; with two knobs a side, 200 on each
FITTED = 0.5  # of these where every plant takes probes to be fitted
KEPT = 5  # plants at the border whose verdict and estimate are kept, so that a changed statistic shows
COUNTED = {
    "replicated": Verdict.REPLICATED,
    "not_replicated": Verdict.NOT_REPLICATED,
    "inconclusive": Verdict.INCONCLUSIVE,
}


def judged(row, knob, seed, *, second=False, **size):
    """Verdict, the estimate that the knob turns, and its threshold, of one plant."""
    plant = plant_of(row, second=second)
    study = plant.draw(seed, knob, **size)
    with mock.patch.object(geometry, "check_installed"):  # paths are drawn: UMAP itself is not needed
        rule = declared(registered(row).test, study=study)
        evidence = study.evidence(replace(rule, controls=(), facts=()))  # which decide nothing
    part = evidence.parts[plant.part]
    return decide(evidence)[0], part.finding.estimate.value, part.criterion.bounds[-1]


def cell(row, knob, pool, n, *, second):
    """The verdicts on `n` plants at one knob."""
    plant, one = plant_of(row, second=second), partial(judged, row, knob, second=second)
    large = pool.submit(one, 10**6, documents=LARGE) if plant.truth == "large" else None
    found = list(pool.map(one, range(n), chunksize=10))
    verdicts = Counter(verdict for verdict, _, _ in found)
    assert sum(verdicts[v] for v in COUNTED.values()) == n, verdicts
    estimates = [estimate for _, estimate, _ in found if isfinite(estimate)]
    mean = float(np.mean(estimates))
    truth = mean if plant.truth == "mean" else knob if large is None else large.result()[1]
    return {
        "knob": knob,
        "truth": round(truth, 4),
        "mean": round(mean, 4),
        "plants": n,
        **{name: verdicts[verdict] for name, verdict in COUNTED.items()},
    }, found


def calibrated(row, pool, *, second=False):
    """What is kept of a row's plant, or of that of its second condition."""
    plant = plant_of(row, second=second)
    share = FITTED if plant.fitted else 1
    numbers = [int(share * (plant.plants if knob == plant.border else ELSEWHERE)) for knob in plant.knobs]
    cells = [cell(row, knob, pool, n, second=second) for knob, n in zip(plant.knobs, numbers, strict=True)]
    return {
        "plant": plant.what,
        "threshold": cells[0][1][0][2],
        "border": plant.border,
        "first": [[str(v), round(e, 6)] for v, e, _ in cells[len(plant.outside)][1][:KEPT]],
        "cells": [counts for counts, _ in cells],
    }


def at_border(found):
    """The counts at the border of what is kept of a plant."""
    (border,) = (one for one in found["cells"] if one["knob"] == found["border"])
    return border


def quiet():
    """Workers take one thread each and show no progress of single measurements."""
    import torch

    torch.set_num_threads(1)
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  for the life of the worker


def commit():
    """The commit whose rules are measured; files that the run itself writes do not count as changes."""

    def git(*arguments):
        return subprocess.run(
            ["git", *arguments], cwd=DOCS, check=True, capture_output=True, encoding="utf-8"
        ).stdout.strip()

    changed = git(
        "status", "--porcelain", "--untracked-files=no", "--", "../harness", "../claims", "../tests/claims"
    )
    others = [line for line in changed.splitlines() if not line.endswith(FILE.name)]
    return git("rev-parse", "--short=10", "HEAD") + (" with changes" if others else "")


def read():
    return json.loads(FILE.read_text(encoding="utf-8"))["rows"] if FILE.exists() else {}


def write(rows):
    rows = {row: rows[row] for row in PLANTS if row in rows}
    text = json.dumps({"alpha": ALPHA, "rows": rows}, indent=1) + "\n"
    FILE.write_text(text, encoding="utf-8")
    (DOCS / "calibration.md").write_text(page(rows), encoding="utf-8")


def page(rows):
    """docs/calibration.md."""
    commits = sorted({found["commit"] for found in rows.values()})
    lines = [
        "# How often verdicts are wrong",
        "",
        f"This page is written by `make calibrate` of commit {', '.join(commits)}. Do not edit it.",
        "",
        "Each claim judges simulated data sets whose truth is known. We call such a data set a plant.",
        "",
        "In the first table the truth lies exactly at the pass mark. Such a case is neither true nor false, so",
        "REPLICATED and NOT_REPLICATED are both wrong there. No other truth is mistaken as often, and alpha =",
        f"{ALPHA} is the most that is allowed. Brackets are exact 95 % intervals (Clopper and Pearson). The report",
        "shows the same numbers beside each verdict. Where two conditions of a claim are planted, it shows those of",
        "the first.",
        "",
        "All of it is about the rigorous protocol. Verdicts on the published procedure are not calibrated. Its test",
        "vectors are drawn from the texts that it was trained on, and its runs from the same texts. So its intervals",
        "say nothing about other texts.",
        "",
        "| claim | plants at the border | false REPLICATED | false NOT_REPLICATED |",
        "| --- | --- | --- | --- |",
    ]
    for row, found in _plants(rows):
        border = at_border(found)
        shares = " | ".join(_share(border[v], border["plants"]) for v in ("replicated", "not_replicated"))
        lines.append(f"| {row} | {border['plants']:,} | {shares} |")
    lines += [
        "",
        "## What is planted, and what is found at which truth",
        "",
        f"The truth of states that were drawn is the row's number on {LARGE:,} documents; elsewhere it is what was",
        "drawn, or the mean where the plant says so.",
        "“Mean” is the average estimate over the plants. Rows go from clearly false to clearly true; the border is in",
        "bold. A claim whose rule has several conditions has a plant in which one of them is turned and the others",
        "hold clearly; some have another plant for the second one.",
    ]
    for row, found in _plants(rows):
        lines += [
            "", f"### {row}", "", f"{found['plant']}", "",
            "| knob | truth | mean | plants | REPLICATED | NOT_REPLICATED | INCONCLUSIVE |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]  # fmt: skip
        for one in found["cells"]:
            mark = "**" if one["knob"] == found["border"] else ""
            shares = " | ".join(f"{one[v] / one['plants']:.3f}" for v in COUNTED)
            numbers = f"{one['truth']:.4g} | {one['mean']:.4g} | {one['plants']:,}"
            lines.append(f"| {mark}{one['knob']:.4g}{mark} | {numbers} | {shares} |")
    return "\n".join(lines) + "\n"


def _plants(rows):
    """Name and what is kept of every plant."""
    for row, found in rows.items():
        yield row, found
        if "second" in found:
            yield f"{row}, second condition", found["second"]


def _share(count, n):
    share, low, high = share_of(count, n)
    return f"{share:.3f} [{low:.3f}, {high:.3f}]"


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="make calibrate", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=PLANTS, metavar="ID", help="only these (default: all)")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    of = commit()
    print(f"calibrating {len(options.rows or PLANTS)} rows of commit {of}", flush=True)
    with ProcessPoolExecutor(options.processes, get_context("spawn"), quiet) as pool:
        for row in options.rows or PLANTS:
            start = time.monotonic()
            found = calibrated(row, pool)
            if row in SECOND:
                found["second"] = calibrated(row, pool, second=True)
            found["commit"] = of
            rows = read()  # anew: another run may be at work on other rows
            rows[row] = found
            write(rows)
            border = at_border(found)
            print(
                f"{row}: false REPLICATED {_share(border['replicated'], border['plants'])}, "
                f"false NOT_REPLICATED {_share(border['not_replicated'], border['plants'])}, "
                f"{time.monotonic() - start:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
