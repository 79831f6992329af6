"""Repeated fits: whose weights and accuracies are compared, within a model and between the models of a run."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from layerclaims.errors import NotTestedError
from layerclaims.experiments import fitted
from layerclaims.experiments.measurement import (
    OfEveryModel,
    Series,
    Values,
    measurement,
    never_published,
)
from layerclaims.experiments.probes import RAW, certificate_of, layer_probe
from layerclaims.experiments.sgd import RUNS, Cell, probe_of, sgd_fit
from layerclaims.experiments.solved import Solved, solved_fit
from layerclaims.experiments.study import Study
from layerclaims.probing import fit, vectors
from layerclaims.probing.vectors import Vectors
from layerclaims.runtime import progress as screen
from numpy.typing import NDArray


@measurement(layer_probe, name="repeated-fits", weight=0.0)
def repeated_fits(study: Study) -> Values:
    """The fits whose weights and accuracies are compared: the folds'; as published, three runs.

    Weights [fits, d, K], right answers and answers [fits, 2].
    """
    found = study.values(layer_probe)
    return Values(
        arrays={name: found.arrays[name] for name in ("weights", "runs")}, facts={"fits": found.facts["fits"]}
    )


RUN_CELLS: Final = tuple(Cell(run=run) for run in range(RUNS))


@repeated_fits.as_published(*map(sgd_fit, RUN_CELLS), solved_fit(Solved(Cell())), weight=0.1)
def published_runs(study: Study) -> Values:
    """Three runs on the same texts, each with a split, a start and an order of its own."""
    rows = study.rows("main")
    probes = [probe_of(study, rows, cell) for cell in RUN_CELLS]
    right = [int((probe.predict(rows) == rows.labels[probe.split.tested]).sum()) for probe in probes]
    return Values(
        arrays={
            "weights": np.stack([probe.weights for probe in probes]),
            "runs": np.array([[n, len(p.split.tested)] for n, p in zip(right, probes, strict=True)]),
        },
        facts={"fits": [certificate_of(study, cell) for cell in RUN_CELLS]},
    )


@measurement("main", name="runs-apart")
def runs_apart(study: Study) -> Values:
    """The weights [folds, d, K] of a probe of each fold's documents alone.

    The probes that are tested on the folds will not do as repeated runs: any two share three quarters of their
    documents at five folds, and would agree on half of their dimensions where nothing is there to agree on.
    """
    rows = study.rows("main")
    return _apart(study, rows, "layer probe, one run a fold", [rows.labels] * len(rows.folds))


@measurement("main", name="runs-apart-shuffled", check=never_published("probe of shuffled labels"))
def shuffled_runs_apart(study: Study) -> Values:
    """The same on shuffled labels: which dimensions recur where there is nothing to learn."""
    rows, rng = study.rows("main"), study.rng(23)
    labels = [vectors.shuffled_labels(rows, rng) for _ in rows.folds]
    return _apart(study, rows, "layer probe on shuffled labels, one run a fold", labels)


def _apart(study: Study, rows: Vectors, label: str, labels: Sequence[NDArray[np.int64]]) -> Values:
    """Weights [folds, d, K] of a probe of each fold's documents alone, with labels of its own."""
    per, probes = rows.x.shape[1] * rows.x.shape[2], []
    own = [[slice(fold.start * per, fold.stop * per)] for fold in rows.folds]
    with screen.Progress(label, len(own), "probes") as bar:
        for probe in fit.fit_sets(rows, own, labels=labels, device=study.computes_on):
            probes.append(probe)
            bar.advance()
    return Values(
        arrays={"weights": np.stack([probe.weights for probe in probes])},
        facts={"fits": fitted.certified(probes)},
    )


@runs_apart.as_published(repeated_fits, weight=0.0)
def published_runs_apart(study: Study) -> Values:
    """The weights of the three runs."""
    found = study.values(repeated_fits)
    return Values(arrays={"weights": found.arrays["weights"]}, facts={"fits": found.facts["fits"]})


def _check_models(study: Study) -> None:
    if len(study.family) < 2:
        raise NotTestedError("One model alone has no larger one: give --model several times.")


@measurement(OfEveryModel(layer_probe), name="accuracy-by-model", weight=0.0, check=_check_models)
def accuracy_by_model(study: Study) -> Values:
    """The counts of the layer probe of every model of the run, over all labels; matrices never lie side by side."""
    study.release()
    parts = []
    for name, other in study.family.items():
        counts = other.counts(RAW).over_labels()
        certificates = [c.as_json() for c in other.certificates(RAW)]
        columns = (counts.documents, counts.correct, counts.total)
        parts.append(fitted.of_series(raw_of(name).name, *columns, certificates))
        other.release()
    return fitted.joined(*parts)


def raw_of(model: str) -> Series:
    """The series "raw" of another model of the run, with all labels together."""
    return Series(f"raw of {model}", accuracy_by_model, tested_on=None)
