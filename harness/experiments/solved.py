"""Solved probes on the vectors of the published procedure: what a better solver alone makes of them."""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from layerclaims.experiments import fitted
from layerclaims.experiments.measurement import Measurement, Series, Values, measurement
from layerclaims.experiments.sgd import Cell, transforms
from layerclaims.experiments.study import Study
from layerclaims.metrics import attribution
from layerclaims.probing import vectors
from layerclaims.probing.answers import counts_of_rows
from layerclaims.probing.probe import L2, LayerProbe, Probe
from layerclaims.probing.transforms import Transform
from layerclaims.probing.vectors import Vectors
from layerclaims.runtime import progress as screen
from numpy.typing import NDArray
from scipy.special import logsumexp

Matrix = NDArray[np.float32]
WEIGHT: Final = 0.5
BLOCK: Final = 8192  # vectors that are in float64 at once
SAMPLE: Final = 10_000  # vectors that tell how large features are


@dataclass(frozen=True)
class Solved:
    """A cell of the published procedure, solved: on its own features, or on standardised ones."""

    cell: Cell
    standardised: bool = False

    @property
    def name(self) -> str:
        """As in "solved-raw" or "solved-unit-standardised"."""
        return self.cell.name.replace("sgd", "solved") + ("-standardised" if self.standardised else "")

    @property
    def series(self) -> Series:
        """What its probe gets right among the vectors that it is tested on."""
        return Series(self.name, solved_fit(self))

    @property
    def neighbours(self) -> Series:
        """The same with the right-hand neighbours of its recurring dimensions masked."""
        return Series(f"{self.name} masked", solved_fit(self))


@cache
def solved_fit(one: Solved) -> Measurement:
    """The solved probe of a cell: counts, and the loss that it reaches on the training vectors."""

    @measurement("main", name=one.name, weight=WEIGHT, check=one.cell.check)
    def solve(study: Study) -> Values:
        rows = study.rows("main")
        split = one.cell.split(study, rows)
        train, test = transforms(study, rows, one.cell.kind, split)
        x, y = _taken(study, rows, split.training, None if one.standardised else train)
        # a penalty on weights of features as they come is as strong as on those of standardised ones, by the median
        probe = LayerProbe(
            l2=L2 if one.standardised else L2 * _median_variance(x),
            standardise=one.standardised,
            device=study.computes_on,
        )
        unit = one.standardised and one.cell.kind == "unit"
        with screen.Progress(one.name.replace("-", " ")):
            found = probe.fit(x, y, unit=unit, n_labels=study.n_labels)
        facts = {} if one.standardised else {"loss": _mean_loss(x, y, found)}
        del x
        named = _predicted(study, rows, split.tested, found, None if one.standardised else test)
        parts = [_counted(one.name, rows, split.tested, named, found)]
        if one.cell == Cell():
            four = attribution.recurrence(fitted.plain_shares(found)).dimensions[: attribution.MASKED]
            blind = found.masked(fitted.neighbours(four, rows.x.shape[-1]))
            named = _predicted(study, rows, split.tested, blind, None if one.standardised else test)
            parts.append(_counted(f"{one.name} masked", rows, split.tested, named, found))
        return fitted.joined(*parts, Values(arrays={}, facts=facts))

    return solve


def _median_variance(x: Matrix) -> float:
    """Of the features of x [n, d] that vary, by a sample of the vectors; 1 where none does."""
    variances = x[:: max(1, len(x) // SAMPLE)].var(axis=0)
    varying = variances[variances > 0]
    return float(np.median(varying)) if len(varying) else 1.0


def _taken(
    study: Study, rows: Vectors, chosen: NDArray[np.int64], transform: Transform | None
) -> tuple[Matrix, NDArray[np.int64]]:
    """A copy of some rows, transformed where there is a transform."""
    x, y = vectors.take(rows, chosen, empty=study.memory.empty)
    if transform is not None:
        _transform(x, chosen, transform)
    return x, y


def _predicted(
    study: Study, rows: Vectors, chosen: NDArray[np.int64], probe: Probe, transform: Transform | None
) -> NDArray[np.int64]:
    x, _ = _taken(study, rows, chosen, transform)
    return probe.predict(x)


def _counted(
    name: str, rows: Vectors, chosen: NDArray[np.int64], named: NDArray[np.int64], probe: Probe
) -> Values:
    return fitted.of_series(name, *counts_of_rows(rows, chosen, named), fitted.certified([probe]))


def _transform(x: Matrix, chosen: NDArray[np.int64], transform: Transform) -> None:
    """Put the transformed vectors in the place of x [n, d], which are those of the rows `chosen` [n]."""
    for start in range(0, len(x), BLOCK):
        part, rows = x[start : start + BLOCK], chosen[start : start + BLOCK]
        if transform.before is not None:
            part *= transform.before[rows, None]
        if transform.shift is not None:
            part -= transform.shift
        if transform.scale is not None:
            part *= transform.scale
        if transform.after is not None:
            part *= transform.after[rows, None]


def _mean_loss(x: Matrix, y: NDArray[np.int64], probe: Probe) -> float:
    """Mean cross entropy of a probe on x [n, d] and y [n], in nats."""
    total = 0.0
    for start in range(0, len(x), BLOCK):
        logits = probe.logits(x[start : start + BLOCK]).astype(np.float64)
        chosen = logits[np.arange(len(logits)), y[start : start + BLOCK]]
        total += float((logsumexp(logits, axis=1) - chosen).sum())
    return total / len(x)
