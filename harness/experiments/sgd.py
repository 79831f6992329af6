"""The probes of the published procedure: plain SGD on a fifth less of the vectors, fitted side by side."""

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, Literal

import numpy as np
from layerclaims.errors import NotTestedError
from layerclaims.experiments.measurement import Measurement, Values, measurement
from layerclaims.experiments.study import Study
from layerclaims.probing import sgd
from layerclaims.probing.sgd import SgdFit, Task
from layerclaims.probing.transforms import Transform, one_scale, predict, standardised_unit
from layerclaims.probing.vectors import TESTED_SHARE, Split, Vectors
from layerclaims.runtime import progress as screen
from layerclaims.runtime.progress import duration
from numpy.typing import NDArray

Kind = Literal["raw", "unit"]  # vectors as they come; or standardised, then divided by their norm
RUNS: Final = 3  # of the same texts: other splits, other starts, other orders
TEXTS: Final = (10, 50, 100, 250, 500, 1000, 2000)  # of the authors' runs
FEWEST_TEXTS: Final = 50  # the fewest of these that an interval over texts can be made of
CONTEXTS: Final = (10, 20, 30, 40, 50, 100)  # tokens, of the authors' runs
MANY_STEPS: Final = 50_000  # of all fits: what takes less is over before a forecast would help
TRIALS: Final = (4, 68)  # batches that tell how long a step takes
WEIGHT: Final = 6.0  # how long a fit takes beside others, where the layer probe takes 1


@dataclass(frozen=True)
class Cell:
    """What one probe of the published procedure is fitted on, and how."""

    kind: Kind = "raw"
    run: int = 0
    texts: int | None = None  # the first so many documents; None: all
    context: int | None = None  # their first so many tokens; None: all

    @property
    def name(self) -> str:
        """As in "sgd-raw" or "sgd-raw-50-texts"."""
        parts = [f"sgd-{self.kind}"]
        parts += [f"run-{self.run}"] if self.run else []
        parts += [f"{self.texts}-texts"] if self.texts else []
        parts += [f"{self.context}-tokens"] if self.context else []
        return "-".join(parts)

    def check(self, study: Study) -> None:
        """Raise NotTestedError where the run has no more texts, or tokens, than the cell."""
        protocol = study.protocol
        if self.texts is not None and protocol.n_texts <= self.texts:
            raise NotTestedError(
                f"The run has {protocol.n_texts} texts, and no fewer than {self.texts} are compared; raise --n-texts."
            )
        if self.context is not None and protocol.context <= self.context:
            raise NotTestedError(
                f"The run's context is {protocol.context} tokens, and no fewer than {self.context} are compared; "
                "raise --context."
            )

    def split(self, study: Study, rows: Vectors) -> Split:
        """The vectors that it is trained on, and the fifth that it is tested on."""
        return rows.split([study.protocol.seed, 10, self.run], documents=self.texts, positions=self.context)

    def share(self, study: Study) -> float:
        """Of the vectors of the corpus."""
        texts, context = study.protocol.n_texts, study.protocol.context
        return (self.texts or texts) / texts * (self.context or context) / context


@cache
def sgd_fit(cell: Cell) -> Measurement:
    """The fit of a cell: weights [d, K], bias, the same at some earlier steps, and the learning curve."""
    share = (cell.texts or 200) / 200 * (cell.context or 30) / 30  # of a usual run

    def compute(study: Study) -> Values:
        return _side_by_side(study, cell)

    made = measurement("main", name=cell.name, weight=WEIGHT * share, check=cell.check)(compute)
    _cells[made] = cell
    return made


_cells: dict[Measurement, Cell] = {}


def _side_by_side(study: Study, cell: Cell) -> Values:
    """Fit a cell, and beside it others that the run is going to ask for and no other process fits: a core each."""
    own = sgd_fit(cell)
    with contextlib.ExitStack() as held:
        waiting = {own: cell}
        for one in study.wanted:
            if study.beside is not None and len(waiting) >= study.beside:
                break
            if one in waiting or one not in _cells or study.has(one):
                continue
            if held.enter_context(study.if_free(one)) and not study.has(one):  # or it was fitted meanwhile
                waiting[one] = _cells[one]
        screen.join((id(study), one.name) for one in waiting)
        rows = study.rows("main")
        tasks = {one: _task(study, rows, its) for one, its in waiting.items()}
        found = fitted(study, rows.flat, rows.labels, list(tasks.values()))
        values = {one: _values(fit) for one, fit in zip(tasks, found, strict=True)}
        for one, its in values.items():
            if one is not own:
                study.keep(one, its)
        for task in tasks.values():
            if task.checkpoint is not None:
                with contextlib.suppress(OSError):  # a directory that can only be read has none
                    task.checkpoint.unlink()
    return values[own]


def fitted(study: Study, x: NDArray[np.float32], y: NDArray[np.int64], tasks: Sequence[Task]) -> list[SgdFit]:
    """Fit some tasks on one matrix, and say before the first epoch how long that takes."""
    steps = sum(task.steps for task in tasks)

    def fit(some: Sequence[Task], advance: Callable[[int], None] | None = None) -> list[SgdFit]:
        return sgd.fit_sgd(x, y, some, n_labels=study.n_labels, device=study.computes_on, advance=advance)

    if steps > MANY_STEPS:
        short, long = ([_beginning(task, n) for task in tasks] for n in TRIALS)
        times = [time.perf_counter()]
        for some in (short, long):
            fit(some)
            times.append(time.perf_counter())
        more = sum(task.steps for task in long) - sum(task.steps for task in short)
        seconds = max(0.0, times[2] - 2 * times[1] + times[0]) / max(1, more) * steps
        fits = f"{len(tasks)} probes" if len(tasks) > 1 else "a probe"
        screen.note(
            f"layerclaims: the published procedure fits {fits} with {steps:,} steps of SGD, which takes about "
            f"{duration(seconds)}"
        )
    with screen.Progress("published procedure", steps, "steps") as bar:
        return fit(tasks, bar.advance)


def _beginning(task: Task, batches: int) -> Task:
    """The same on a few batches, once: what both lengths of it have in common is no time of a step."""
    few = task.train[: batches * sgd.BATCH]
    return replace(task, train=few, test=task.test[:0], epochs=1, marks=(), checkpoint=None)


def _task(study: Study, rows: Vectors, cell: Cell) -> Task:
    split = cell.split(study, rows)
    train, test = transforms(study, rows, cell.kind, split)
    return Task(
        train=split.training,
        test=split.tested,
        transform=train,
        test_transform=test,
        seed=(study.protocol.seed, 20, cell.run),
        marks=tuple(marks(study).values()) if cell == Cell() else (),
        checkpoint=study.kept_at(sgd_fit(cell)).with_suffix(".partial"),
    )


def marks(study: Study) -> Mapping[Cell, int]:
    """The steps that the smallest cells of the two sweeps take: where the fit on all vectors is looked at too."""
    found = {}
    for cell in (Cell(texts=FEWEST_TEXTS), Cell(context=CONTEXTS[0])):
        if cell.share(study) < 1:
            n_texts, context = study.store("main").n_documents, study.protocol.context
            n = (cell.texts or n_texts) * (cell.context or context) * study.n_labels
            found[cell] = -(-(n - n // TESTED_SHARE) // sgd.BATCH) * sgd.EPOCHS
    return found


def transforms(study: Study, rows: Vectors, kind: Kind, split: Split) -> tuple[Transform, Transform]:
    """What training and tested vectors go through before the probe sees them.

    In the first phase nothing; for unit vectors every feature is standardised over all vectors, then each vector
    is divided by its norm. In the second phase unit vectors are divided by their norm, and every entry is centred
    and divided by one mean and one deviation, of either part its own.
    """
    if study.protocol.second_phase:
        train, test = (
            one_scale(rows.flat, part, unit=kind == "unit") for part in (split.training, split.tested)
        )
        return train, test
    if kind == "raw":
        return Transform(), Transform()
    made = standardised_unit(rows.flat, np.arange(len(rows.flat)))
    return made, made


def _values(fit: SgdFit) -> Values:
    arrays: dict[str, NDArray[Any]] = {
        "weights": fit.weights,
        "bias": fit.bias,
        "epochs": fit.curve.epochs,
        "loss": fit.curve.loss,
        "accuracy": fit.curve.accuracy,
    }
    for step, (weights, bias) in fit.marked.items():
        arrays |= {f"weights at {step}": weights, f"bias at {step}": bias}
    return Values(
        arrays=arrays,
        facts={"gradient_norm": _finite(fit.gradient_norm), "loss": _finite(fit.loss), "steps": fit.steps},
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


@dataclass(frozen=True, kw_only=True)
class PublishedProbe:
    """A fitted probe with what vectors go through before it sees them."""

    weights: NDArray[np.float64]  # [d, K]
    bias: NDArray[np.float64]
    split: Split
    transform: Transform = field(repr=False)  # of tested vectors

    def predict(self, rows: Vectors, chosen: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """The labels of some flat rows, by default of those that it is tested on."""
        chosen = self.split.tested if chosen is None else chosen
        weights, bias = self.weights.astype(np.float32), self.bias.astype(np.float32)
        return predict(rows.flat, chosen, weights, bias, self.transform)

    def masked(self, dimensions: Sequence[int]) -> "PublishedProbe":
        """The same for vectors whose `dimensions` are set to 0."""
        weights = self.weights.copy()
        weights[list(dimensions)] = 0
        return PublishedProbe(weights=weights, bias=self.bias, split=self.split, transform=self.transform)


def probe_of(study: Study, rows: Vectors, cell: Cell = Cell(), *, step: int | None = None) -> PublishedProbe:
    """The probe of a cell as it ended, or as it stood after so many steps."""
    arrays = study.values(sgd_fit(cell)).arrays
    at = "" if step is None else f" at {step}"
    split = cell.split(study, rows)
    return PublishedProbe(
        weights=arrays[f"weights{at}"].astype(np.float64),
        bias=arrays[f"bias{at}"].astype(np.float64),
        split=split,
        transform=transforms(study, rows, cell.kind, split)[1],
    )
