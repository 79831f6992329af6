"""Which dimensions the probe reads, and whether they are the same in every layer and every run."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness import fits
from harness import progress as screen
from harness.claim import Measured, worst
from harness.kept import Measurement
from harness.measure import attribution, fitting
from harness.statistics import jackknife_groups, jackknife_highest
from harness.study import Study

Floats = NDArray[np.float64]


def largest_share(study: Study) -> Measured:
    """The largest contribution of one dimension to one layer, over all dimensions and layers."""
    shares = _shares(study)
    most = attribution.largest_share(np.mean(shares, axis=0))
    note = f"largest: dimension {most.dimension} in state {most.layer}" if most.dimension >= 0 else ""
    documents = len(study.series("raw").documents)
    estimate = jackknife_highest(
        np.stack([s.max(axis=0) for s in shares]),
        confidence=1 - study.protocol.alpha,
        support=(0.0, 1.0),
        n_documents=documents,
    )
    return study.measured("largest share of one dimension", estimate, "raw", note=note)


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
    """Mean pairwise Jaccard overlap of the runs' ten recurring dimensions, and what chance reaches.

    A run is a probe of one fold's documents alone. The probes that are tested on the folds will not do: any two
    share three quarters of their documents at five folds, and would agree on half of their dimensions where
    nothing is there to agree on.
    """
    fitted = study.keep("runs apart", lambda: _runs_apart(study))
    runs = [
        attribution.recurrence(attribution.contribution_shares(weights)).dimensions
        for weights in fitted.arrays["weights"]
    ]
    d, n = study.facts.hidden_size, len(runs)
    null = attribution.null_overlap(d, n, level=1 - study.protocol.alpha, rng=study.rng(8))
    if n < 3 or not all(runs):
        values, value = np.full(max(n, 2), np.nan), float("nan")
    else:
        values, value = attribution.overlaps_without_each(runs), attribution.overlap(runs)
    name, resolution = "overlap of recurring dimensions", attribution.overlap_resolution(n)
    measured = _of_fits(study, name, values, value=value, resolution=resolution)
    return replace(measured, certificate=worst(fits.certificates(fitted))), null


def _runs_apart(study: Study) -> Measurement:
    """Weights [folds, d, K] of a probe of each fold's documents."""
    vectors, probes = study.rows("main"), []
    per = vectors.x.shape[1] * vectors.x.shape[2]
    own = [[slice(fold.start * per, fold.stop * per)] for fold in vectors.folds]
    with screen.Progress("layer probe, one run a fold", len(own), "probes") as bar:
        for probe in fitting.fit_sets(vectors, study.protocol.setting, own):
            probes.append(probe)
            bar.advance()
    return Measurement(
        arrays={"weights": np.stack([probe.weights for probe in probes])},
        facts={"certificates": [probe.certificate.as_json() for probe in probes]},
    )


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
