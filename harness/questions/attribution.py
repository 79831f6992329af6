"""Which dimensions the probe reads, and whether they are the same in every layer and every run."""

import numpy as np
from numpy.typing import NDArray

from harness.claim import Measured
from harness.measure import attribution
from harness.statistics import jackknife_groups
from harness.study import Study

Floats = NDArray[np.float64]


def largest_share(study: Study) -> Measured:
    """The largest contribution of one dimension to one layer, over all dimensions and layers."""
    largest = [attribution.largest_share(shares) for shares in _shares(study)]
    values = np.array([one.share for one in largest])
    most = largest[int(np.argmax(np.nan_to_num(values)))]
    note = f"largest: dimension {most.dimension} in state {most.layer}" if most.dimension >= 0 else ""
    return _of_fits(study, "largest share of one dimension", values, note=note)


def fewest_dimensions(study: Study) -> Measured:
    """n90 / d of the layer that needs the fewest dimensions for 90 % of its contribution."""
    values = np.array([attribution.dimensions_needed(s, 0.9).min() / len(s) for s in _shares(study)])
    return _of_fits(study, "share of dimensions behind 90 %", values, resolution=1 / study.facts.hidden_size)


def variation_over_layers(study: Study) -> Measured:
    """Coefficient of variation over the layers of n50, the dimensions that hold half the contribution."""
    counts = [attribution.dimensions_needed(s, 0.5) for s in _shares(study)]
    values = np.array([attribution.variation(c) for c in counts])
    return _of_fits(
        study,
        "variation of n50 over layers",
        values,
        support=(0.0, float(study.n_labels) ** 0.5),
        resolution=attribution.variation_resolution(counts[0]),
    )


def recurrence(study: Study) -> tuple[Measured, float]:
    """Share of layers that list the most frequent dimension among their top ten, and what chance reaches.

    The second number is the 95 % quantile of the same share if every layer drew its ten at random.
    """
    values = np.array([attribution.recurrence(shares).frequency for shares in _shares(study)])
    null = attribution.null_recurrence(
        study.facts.hidden_size, study.n_labels, level=1 - study.protocol.alpha, rng=study.rng(7)
    )
    name = "share of layers that list the most frequent dimension"
    return _of_fits(study, name, values, resolution=1 / study.n_labels), null


def negative_shares(study: Study) -> tuple[Measured, Measured]:
    """Share of negative weights among the ten largest contributions: first and last third of the layers."""
    thirds = np.array([attribution.negative_share_by_thirds(p.weights) for p in study.probes])
    step = 1 / (attribution.LISTED * max(1, study.n_labels // 3))
    first, last = (
        _of_fits(study, f"negative share, {which} third", thirds[:, i], resolution=step)
        for i, which in enumerate(("first", "last"))
    )
    return first, last


def overlap_of_runs(study: Study) -> tuple[Measured, float]:
    """Mean pairwise Jaccard overlap of the folds' ten recurring dimensions, and what chance reaches."""
    runs = [attribution.recurrence(shares).dimensions for shares in _shares(study)]
    d, n = study.facts.hidden_size, len(runs)
    null = attribution.null_overlap(d, n, level=1 - study.protocol.alpha, rng=study.rng(8))
    if n < 3 or not all(runs):
        values, value = np.full(max(n, 2), np.nan), float("nan")
    else:
        values, value = attribution.overlaps_without_each(runs), attribution.overlap(runs)
    resolution = attribution.overlap_resolution(n)
    return _of_fits(
        study, "overlap of recurring dimensions", values, value=value, resolution=resolution
    ), null


def _shares(study: Study) -> list[Floats]:
    return [attribution.contribution_shares(probe.weights) for probe in study.probes]


def _of_fits(
    study: Study,
    name: str,
    values: Floats,
    *,
    value: float | None = None,
    support: tuple[float, float] = (0.0, 1.0),
    resolution: float = 0.0,
    note: str = "",
) -> Measured:
    """A number made of what was fitted: delete-a-group jackknife over the folds."""
    documents = len(study.series("raw").documents)
    estimate = jackknife_groups(
        values,
        value=value,
        confidence=1 - study.protocol.alpha,
        support=support,
        n_documents=documents,
        resolution=resolution,
    )
    return study.measured(name, estimate, "raw", note=note)
