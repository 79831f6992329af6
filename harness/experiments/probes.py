"""The layer probe on whole corpora: on states as they are, on what is left of them, and on another corpus."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from layerclaims.errors import NotTestedError
from layerclaims.experiments import fitted
from layerclaims.experiments.measurement import OfEveryModel, Series, Values, measurement
from layerclaims.experiments.study import Study
from layerclaims.metrics import attribution
from layerclaims.probing import answers, fit, vectors
from layerclaims.probing.probe import Probe
from layerclaims.probing.vectors import Vectors
from layerclaims.runtime import progress as screen


def fit_folds(study: Study, label: str, rows: Vectors, **how: Any) -> list[Probe]:
    """A probe a fold, with progress; as `probing.fit.fit_folds`."""
    probes = []
    with screen.Progress(label, len(rows.folds), "probes") as bar:
        for probe in fit.fit_folds(rows, study.protocol.setting, **how):
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
    more = {"confusion": answers.confusion(predicted), "runs": answers.counts_by_fold(rows, predicted)}
    return fitted.joined(
        fitted.counted(rows, named, probes), fitted.of_probes(probes), Values(arrays=more, facts={})
    )


RAW: Final = Series("raw", layer_probe)
RANDOM: Final = Series("random", layer_probe)
MASKED: Final = Series("masked", layer_probe)
MASKED_TO_MEAN: Final = Series("masked to mean", layer_probe)
MASKED_AT_RANDOM: Final = Series("masked at random", layer_probe)
MASKED_WIDEST: Final = Series("masked widest", layer_probe)


def _masks(study: Study, rows: Vectors, probes: Sequence[Probe]) -> list[tuple[Series, list[int], bool]]:
    """Series, dimensions, and whether they read their mean and not 0, of each mask."""
    recurring = fitted.recurring(probes)
    d = rows.x.shape[-1]
    others = [i for i in range(d) if i not in recurring]
    n = min(attribution.MASKED, len(others))
    drawn = sorted(int(i) for i in study.rng(3).choice(others, n, replace=False))
    spread = np.mean([np.where(np.isfinite(p.sd), p.sd, 0) for p in probes], axis=0)
    widest = np.argsort(-spread, kind="stable")[: attribution.MASKED]
    return [
        (MASKED, recurring, False),
        (MASKED_TO_MEAN, recurring, True),
        (MASKED_AT_RANDOM, drawn, False),
        (MASKED_WIDEST, [int(i) for i in widest], False),
    ]


def layer_probes(study: Study) -> list[Probe]:
    """The fold probes on states as they are."""
    return fitted.probes_of(study.values(layer_probe))


def recurring_dimensions(study: Study) -> list[int]:
    """The dimensions that are most often among the ten largest contributions of a layer."""
    return fitted.recurring(layer_probes(study))


@measurement("main", name="unit", weight=0.4)
def unit_probe(study: Study) -> Values:
    """The probe on unit vectors."""
    rows = study.rows("main")
    probes = fit_folds(study, "layer probe on unit vectors", rows, unit=True)
    return fitted.counted(rows, {UNIT.name: answers.held_out(rows, probes)}, probes)


UNIT: Final = Series("unit", unit_probe)


@measurement("main", name="norm", weight=0.1)
def norm_probe(study: Study) -> Values:
    """The probe on the norm of each vector alone."""
    rows = vectors.norm_features(study.rows("main"))
    probes = fit_folds(study, "layer probe on norms", rows)
    return fitted.counted(rows, {NORM.name: answers.held_out(rows, probes)}, probes)


NORM: Final = Series("norm", norm_probe)


@measurement(layer_probe, "transfer", name="transfer", weight=0.1)
def transferred(study: Study) -> Values:
    """The main corpus' probes on the transfer corpus, where every document is unseen by all of them."""
    probes = layer_probes(study)  # before the other corpus takes the memory
    rows = study.rows("transfer")
    return fitted.counted(rows, {TRANSFER.name: named_by_all(probes, rows)}, probes)


TRANSFER: Final = Series("transfer", transferred, tested_on="transfer")


def named_by_all(probes: Sequence[Probe], rows: Vectors) -> Any:
    """The labels that all probes name for every vector, [documents, labels, probes * positions]."""
    shape = rows.x.shape[:3]
    return np.concatenate([probe.predict(rows.flat).reshape(shape) for probe in probes], axis=2)


@measurement("main", name="runs-apart")
def runs_apart(study: Study) -> Values:
    """The weights [folds, d, K] of a probe of each fold's documents alone.

    The probes that are tested on the folds will not do as repeated runs: any two share three quarters of their
    documents at five folds, and would agree on half of their dimensions where nothing is there to agree on.
    """
    rows, probes = study.rows("main"), []
    per = rows.x.shape[1] * rows.x.shape[2]
    own = [[slice(fold.start * per, fold.stop * per)] for fold in rows.folds]
    with screen.Progress("layer probe, one run a fold", len(own), "probes") as bar:
        for probe in fit.fit_sets(rows, study.protocol.setting, own):
            probes.append(probe)
            bar.advance()
    return Values(
        arrays={"weights": np.stack([probe.weights for probe in probes])},
        facts={"fits": fitted.certified(probes)},
    )


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
