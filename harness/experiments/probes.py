"""The layer probe on whole corpora: on states as they are, on what is left of them, and on another corpus."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from layerclaims.corpora.corpus import PUBLISHED
from layerclaims.experiments import fitted
from layerclaims.experiments.measurement import (
    Series,
    Values,
    at_least,
    measurement,
    never_published,
)
from layerclaims.experiments.sgd import Cell, marks, probe_of, sgd_fit, transforms
from layerclaims.experiments.solved import Solved, solved_fit
from layerclaims.experiments.study import Study
from layerclaims.metrics import attribution
from layerclaims.probing import answers, fit, vectors
from layerclaims.probing.probe import Probe
from layerclaims.probing.vectors import Vectors
from layerclaims.runtime import progress as screen
from numpy.typing import NDArray

SHORTEST: Final = 5  # tokens of the shortest context that is compared


def fit_folds(study: Study, label: str, rows: Vectors, *, unit: bool = False) -> list[Probe]:
    """A probe a fold, with progress; as `probing.fit.fit_folds`."""
    probes = []
    with screen.Progress(label, len(rows.folds), "probes") as bar:
        for probe in fit.fit_folds(rows, unit=unit, device=study.computes_on):
            probes.append(probe)
            bar.advance()
    return probes


@measurement("main", name="linear")
def layer_probe(study: Study) -> Values:
    """The probe on states as they are: fits, held-out answers, and what it says of random and of masked vectors."""
    rows = study.rows("main")
    probes = fit_folds(study, "layer probe", rows)
    predicted = answers.held_out(rows, probes)
    rng, guesses = study.rng(2), np.empty_like(predicted)
    for fold, probe in enumerate(probes):
        part = rows.tested(fold)
        guesses.reshape(-1)[part] = probe.predict(vectors.random_directions(rows.flat[part], rng))
    named = {RAW.name: predicted, RANDOM.name: guesses}
    for series, dimensions, to_mean in _masks(study, rows, probes):
        blind = [probe.masked(dimensions, to_mean=to_mean) for probe in probes]
        named[series.name] = answers.held_out(rows, blind)
    early = {EARLY.name: predicted[:, :, : SHORTEST - study.first_position]}
    more = {"confusion": answers.confusion(predicted), "runs": answers.counts_by_fold(rows, predicted)}
    return fitted.joined(
        fitted.counted(rows, named | early, probes), fitted.of_probes(probes), Values(arrays=more, facts={})
    )


RAW: Final = Series("raw", layer_probe)
EARLY: Final = Series("raw, early positions", layer_probe)  # those of the shortest context
RANDOM: Final = Series("random", layer_probe)
# in fewer dimensions every layer lists all of them, and none recurs more than others
LISTS_DIFFER: Final = at_least(dimensions=attribution.LISTED + 1)
MASKED: Final = Series("masked", layer_probe, takes=LISTS_DIFFER)
MASKED_NEIGHBOURS: Final = Series("masked neighbours", layer_probe, takes=LISTS_DIFFER)
MASKED_TO_MEAN: Final = Series("masked to mean", layer_probe, takes=LISTS_DIFFER)
MASKED_AT_RANDOM: Final = Series("masked at random", layer_probe, takes=LISTS_DIFFER)
MASKED_WIDEST: Final = Series("masked widest", layer_probe, takes=LISTS_DIFFER)


def _masks(study: Study, rows: Vectors, probes: Sequence[Probe]) -> list[tuple[Series, list[int], bool]]:
    """Series, dimensions, and whether they read their mean and not 0, of each mask."""
    recurring = fitted.recurring([probe.weights for probe in probes])
    d = rows.x.shape[-1]
    spread = np.mean([np.where(np.isfinite(p.sd), p.sd, 0) for p in probes], axis=0)
    widest = np.argsort(-spread, kind="stable")[: attribution.MASKED]
    return [
        (MASKED, recurring, False),
        (MASKED_NEIGHBOURS, fitted.neighbours(recurring, d), False),
        (MASKED_TO_MEAN, recurring, True),
        (MASKED_AT_RANDOM, _others(study, recurring, d), False),
        (MASKED_WIDEST, [int(i) for i in widest], False),
    ]


def _others(study: Study, dimensions: Sequence[int], d: int) -> list[int]:
    """Four dimensions drawn among the others."""
    others = [i for i in range(d) if i not in dimensions]
    n = min(attribution.MASKED, len(others))
    return sorted(int(i) for i in study.rng(3).choice(others, n, replace=False))


@layer_probe.as_published(sgd_fit(Cell()), solved_fit(Solved(Cell())), weight=0.1)
def published_layer_probe(study: Study) -> Values:
    """The authors' probe: what it says of its fifth of the vectors, as they are and with dimensions masked."""
    rows, d = study.rows("main"), study.facts.hidden_size
    probe = probe_of(study, rows)
    recurring = fitted.recurring([probe.weights])
    named = {
        RAW: probe,
        MASKED: probe.masked(recurring),
        MASKED_NEIGHBOURS: probe.masked(fitted.neighbours(recurring, d)),
        MASKED_AT_RANDOM: probe.masked(_others(study, recurring, d)),
        **{raw_at(cell): probe_of(study, rows, step=step) for cell, step in marks(study).items()},
    }
    certificates = [certificate_of(study, Cell())]
    answers_of = {series: one.predict(rows) for series, one in named.items()}
    counts = [
        fitted.of_series(series.name, *answers.counts_of_rows(rows, probe.split.tested, said), certificates)
        for series, said in answers_of.items()
    ]
    truth = rows.labels[probe.split.tested]
    more = {
        "weights": probe.weights[None],
        "confusion": answers.confusion_of(truth, answers_of[RAW], study.n_labels),
    }
    return fitted.joined(*counts, Values(arrays=more, facts={"fits": certificates}))


def raw_at(cell: Cell) -> Series:
    """As published: the probe of all vectors, as it stood when the smaller fit of a sweep was done."""
    return Series(f"raw at the steps of {cell.name}", layer_probe)


def certificate_of(study: Study, cell: Cell) -> dict[str, Any]:
    """How far from its optimum a published fit ended, as a certificate in plain JSON types.

    The gap is its loss less that of a solved probe of the same vectors, over its loss; unknown but for the two fits
    of all vectors of the first run.
    """
    facts = study.values(sgd_fit(cell)).facts
    gap = None
    if cell in (Cell(), Cell("unit")) and facts["loss"]:
        solved = study.values(solved_fit(Solved(cell))).facts["loss"]
        gap = max(0.0, (facts["loss"] - solved) / facts["loss"])
    return {
        "converged": False,
        "gradient_norm": facts["gradient_norm"],
        "iterations": facts["steps"],
        "relative_gap": gap,
    }


def layer_weights(study: Study) -> list[NDArray[np.float64]]:
    """The weights [d, K] of the fits on states as they are: of the fold probes, or of the published one."""
    return list(study.values(layer_probe).arrays["weights"])


def recurring_dimensions(study: Study) -> list[int]:
    """The dimensions that are most often among the ten largest contributions of a layer."""
    return fitted.recurring(layer_weights(study))


@measurement("main", name="unit", weight=0.4)
def unit_probe(study: Study) -> Values:
    """The probe on unit vectors."""
    rows = study.rows("main")
    probes = fit_folds(study, "layer probe on unit vectors", rows, unit=True)
    return fitted.counted(rows, {UNIT.name: answers.held_out(rows, probes)}, probes)


UNIT: Final = Series("unit", unit_probe)
UNIT_CELL: Final = Cell("unit")


@unit_probe.as_published(sgd_fit(UNIT_CELL), solved_fit(Solved(UNIT_CELL)), weight=0.1)
def published_unit_probe(study: Study) -> Values:
    """The authors' probe of unit vectors."""
    rows = study.rows("main")
    probe = probe_of(study, rows, UNIT_CELL)
    counts = answers.counts_of_rows(rows, probe.split.tested, probe.predict(rows))
    return fitted.of_series(UNIT.name, *counts, [certificate_of(study, UNIT_CELL)])


@measurement("main", name="norm", weight=0.1, check=never_published("probe of norms alone"))
def norm_probe(study: Study) -> Values:
    """The probe on the norm of each vector alone."""
    rows = vectors.norm_features(study.rows("main"))
    probes = fit_folds(study, "layer probe on norms", rows)
    return fitted.counted(rows, {NORM.name: answers.held_out(rows, probes)}, probes)


NORM: Final = Series("norm", norm_probe)


@measurement(layer_probe, "transfer", name="transfer", weight=0.1)
def transferred(study: Study) -> Values:
    """The main corpus' probes on the transfer corpus, where every document is unseen by all of them."""
    probes = fitted.probes_of(study.values(layer_probe))  # before the other corpus takes the memory
    rows = study.rows("transfer")
    return fitted.counted(rows, {TRANSFER.name: named_by_all(probes, rows)}, probes)


TRANSFER: Final = Series("transfer", transferred, tested_on="transfer")


@transferred.as_published(layer_probe, PUBLISHED, weight=0.1)
def published_transfer(study: Study) -> Values:
    """The authors' probe on a fifth of the vectors of the other corpus' longer texts."""
    probe = probe_of(study, study.rows("main"))
    rows = study.rows(PUBLISHED)
    split = Cell().split(study, rows)
    _, transform = transforms(study, rows, "raw", split)
    named = replace(probe, split=split, transform=transform).predict(rows)
    counts = answers.counts_of_rows(rows, split.tested, named)
    return fitted.of_series(TRANSFER.name, *counts, [certificate_of(study, Cell())])


def named_by_all(probes: Sequence[Probe], rows: Vectors) -> Any:
    """The labels that all probes name for every vector, [documents, labels, probes * positions]."""
    shape = rows.x.shape[:3]
    return np.concatenate([probe.predict(rows.flat).reshape(shape) for probe in probes], axis=2)
