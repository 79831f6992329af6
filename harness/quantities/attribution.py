"""Which dimensions the probe reads, and whether they are the same in every layer and every run."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from layerclaims.errors import NotTestedError
from layerclaims.experiments import fitted
from layerclaims.experiments.conditions import all_positions, shuffled_labels
from layerclaims.experiments.measurement import Measurement, at_least
from layerclaims.experiments.probes import LISTS_DIFFER, layer_probe, recurring_dimensions
from layerclaims.experiments.runs import repeated_fits, runs_apart, shuffled_runs_apart
from layerclaims.experiments.study import Study
from layerclaims.metrics import attribution
from layerclaims.probing.certificate import Certificate, worst
from layerclaims.quantities.computed import left_out, of_study, quantity, shown, without_each
from layerclaims.statistics.jackknife import jackknife_highest
from layerclaims.verdicts.declaration import Fact
from layerclaims.verdicts.evidence import Finding
from layerclaims.verdicts.quantity import Bound, Setup
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# a share of .05 takes more than 20 dimensions; of two layers each has the other's weights turned round
_SHARES = at_least(states=3, dimensions=21)
_SIGNS = at_least(states=3, dimensions=attribution.LISTED + 1)
_OVERLAPS = at_least(dimensions=22)  # of fewer, tens drawn at random overlap by .3


def _lists_can_differ(study: Study) -> None:
    """Lists drawn at random must seldom have a dimension that stands in all: none could recur oftener."""
    LISTS_DIFFER(study)
    if study.size is None:
        return
    states, d = study.size
    if d * (attribution.LISTED / d) ** states > study.protocol.alpha:
        raise NotTestedError(
            f"The model is too small for this: in {states} states of {d} dimensions, lists of ten that are drawn at "
            "random have one in common, and none can recur oftener than that."
        )


@quantity("largest share of one dimension", repeated_fits, takes=_SHARES)
def largest_share(study: Study) -> Finding:
    """The largest contribution of one dimension to one layer, over all dimensions and layers."""
    shares = shares_of_fits(study)
    most = attribution.largest_share(np.mean(shares, axis=0))
    note = f"largest: dimension {most.dimension} in state {most.layer}" if most.dimension >= 0 else ""
    estimate = jackknife_highest(
        _each_left_out(study, np.stack([s.max(axis=0) for s in shares])),
        confidence=1 - study.protocol.alpha,
        support=(0.0, 1.0),
        n_documents=study.store("main").n_documents,
    )
    return of_study(study, estimate, _vectors(study), _certificate(study), note)


@quantity("largest share with the first position", all_positions)
def largest_share_of_all_positions(study: Study) -> Finding:
    """The largest share of the probes that read the first position, too."""
    weights = study.values(all_positions).arrays["weights"]
    shares = np.mean([attribution.contribution_shares(one) for one in weights], axis=0)
    value = attribution.largest_share(shares).share
    return shown(study, value)


@quantity(
    "share of dimensions behind 90 %", repeated_fits, takes=at_least(dimensions=10)
)  # of even ones nine
def fewest_dimensions(study: Study) -> Finding:
    """n90 / d of the layer that needs the fewest dimensions for 90 % of its contribution."""
    values = [attribution.dimensions_needed(s, 0.9).min() / len(s) for s in shares_of_fits(study)]
    return _of_fits(study, values, resolution=1 / study.facts.hidden_size)


@quantity("variation of n50 over layers", repeated_fits, takes=_SHARES)
def variation_over_layers(study: Study) -> Finding:
    """Coefficient of variation over the layers of n50, the dimensions that hold half the contribution."""
    counts = [attribution.dimensions_needed(s, 0.5) for s in shares_of_fits(study)]
    return _of_fits(
        study,
        [attribution.variation(c) for c in counts],
        support=(0.0, float(study.n_labels) ** 0.5),
        resolution=attribution.variation_resolution(counts[0]),
    )


@quantity("share of layers that list the most frequent dimension", repeated_fits, takes=_lists_can_differ)
def recurrence(study: Study) -> Finding:
    """Share of layers that list the most frequent dimension among their top ten."""
    return _of_fits(study, _frequencies(study), resolution=1 / study.n_labels)


@quantity(
    "recurrence beyond probes of shuffled labels", repeated_fits, shuffled_labels, takes=_lists_can_differ
)
def recurrence_beyond_shuffled(study: Study) -> Finding:
    """`recurrence` minus the largest that the probes of shuffled labels have: dimensions recur by themselves too."""
    shuffled = [
        attribution.recurrence(attribution.contribution_shares(weights)).frequency
        for weights in study.values(shuffled_labels).arrays["weights"]
    ]
    own = np.array(_frequencies(study))
    found = _of_fits(study, own - max(shuffled), support=(-1.0, 1.0), resolution=1 / study.n_labels)
    return replace(
        found, note=f"{own.mean():.3f} of the layers, against {', '.join(f'{v:.3f}' for v in shuffled)}"
    )


def _chance_recurrence(setup: Setup) -> float:
    rng = np.random.default_rng([setup.seed, 7])
    return attribution.null_recurrence(setup.hidden_size, setup.n_labels, level=1 - setup.alpha, rng=rng)


# the 1 - alpha quantile of the same share if every layer drew its ten at random
chance_recurrence = Bound(words="what lists drawn at random reach", of=_chance_recurrence)


def _frequencies(study: Study) -> list[float]:
    return [attribution.recurrence(shares).frequency for shares in shares_of_fits(study)]


def _negative_share(which: int, study: Study) -> Finding:
    thirds = [attribution.negative_share_by_thirds(weights)[which] for weights in weights_of_fits(study)]
    return _of_fits(study, thirds, resolution=1 / (attribution.LISTED * max(1, study.n_labels // 3)))


@quantity("negative share in the first third", repeated_fits, takes=_SIGNS)
def negative_share_first_third(study: Study) -> Finding:
    """Share of negative weights among the ten largest contributions of the first third of the layers."""
    return _negative_share(0, study)


@quantity("negative share in the last third", repeated_fits, takes=_SIGNS)
def negative_share_last_third(study: Study) -> Finding:
    """The same of the last third."""
    return _negative_share(1, study)


@quantity("overlap of recurring dimensions", runs_apart, takes=_OVERLAPS)
def overlap_of_runs(study: Study) -> Finding:
    """Mean pairwise Jaccard overlap of the runs' ten recurring dimensions; a run is a probe of one fold alone."""
    return _of_runs(study, runs_apart, attribution.overlap)


@quantity("overlap of recurring dimensions, shuffled labels", shuffled_runs_apart)
def overlap_of_shuffled_runs(study: Study) -> Finding:
    """The same of probes of shuffled labels, which have nothing to agree on but the vectors."""
    return _of_runs(study, shuffled_runs_apart, attribution.overlap)


@quantity("overlap of runs beyond that with shuffled labels", runs_apart, shuffled_runs_apart)
def overlap_beyond_shuffled(study: Study) -> Finding:
    """Overlap of the runs with each other, minus theirs with the other runs on shuffled labels."""
    shuffled = _recurring(study, shuffled_runs_apart)
    own = _recurring(study, runs_apart)
    places = {id(run): place for place, run in enumerate(own)}

    def excess(runs: Sequence[Sequence[int]]) -> float:
        across = [shuffled[places[id(run)]] for run in runs]
        return attribution.overlap(runs) - attribution.overlap_with(runs, across)

    return _of_runs(study, runs_apart, excess, runs=own, support=(-1.0, 1.0))


def _recurring(study: Study, of: Measurement) -> list[tuple[int, ...]]:
    """The ten recurring dimensions of each run."""
    return [
        attribution.recurrence(attribution.contribution_shares(weights)).dimensions
        for weights in study.values(of).arrays["weights"]
    ]


def _of_runs(
    study: Study,
    of: Measurement,
    statistic: Callable[[Sequence[Sequence[int]]], float],
    *,
    runs: Sequence[tuple[int, ...]] | None = None,
    support: tuple[float, float] = (0.0, 1.0),
) -> Finding:
    """A mean over pairs of runs, and its jackknife: each run left out in turn (Arvesen 1969)."""
    runs = _recurring(study, of) if runs is None else runs
    n = len(runs)
    if n < 3 or not all(runs):
        values, value = np.full(max(n, 2), np.nan), float("nan")
    else:
        values = np.array([statistic([*runs[:g], *runs[g + 1 :]]) for g in range(n)])
        value = statistic(runs)
    return left_out(
        study,
        values,
        value=value,
        support=support,
        resolution=attribution.overlap_resolution(n),
        certificate=worst(fitted.fits_of(study.values(of))),
        n_vectors=_vectors(study),
    )


named_recurring_dimensions = Fact(
    name="recurring dimensions",
    needs=(layer_probe,),
    text=lambda study: ", ".join(map(str, recurring_dimensions(study))),
)


def weights_of_fits(study: Study) -> list[Floats]:
    """The weights [d, K] of the fits that are compared: the folds' probes; as published, three runs."""
    return list(study.values(repeated_fits).arrays["weights"])


def shares_of_fits(study: Study) -> list[Floats]:
    """Contribution shares [d, K] of each of these fits."""
    return [attribution.contribution_shares(weights) for weights in weights_of_fits(study)]


def _vectors(study: Study) -> int:
    """How many vectors a probe is tested on: all that count, over the folds; as published a fifth of them."""
    if study.protocol.published:
        return int(study.values(repeated_fits).arrays["runs"][0, 1])
    store = study.store("main")
    return store.n_documents * (store.n_positions - study.first_position) * study.n_labels


def _certificate(study: Study) -> Certificate | None:
    return worst(fitted.fits_of(study.values(repeated_fits)))


def _each_left_out(study: Study, values: Floats) -> Floats:
    """What is left of numbers [fits, ...] without each of the fits.

    A fold's probe is the fit without that fold. Of independent runs it is the mean of the others, which makes
    their jackknife Student's interval of a mean.
    """
    return without_each(values) if study.protocol.published else values


def _of_fits(
    study: Study,
    values: Floats | Sequence[float],
    *,
    support: tuple[float, float] = (0.0, 1.0),
    resolution: float = 0.0,
) -> Finding:
    return left_out(
        study,
        _each_left_out(study, np.asarray(values, dtype=np.float64)),
        support=support,
        resolution=resolution,
        certificate=_certificate(study),
        n_vectors=_vectors(study),
    )
