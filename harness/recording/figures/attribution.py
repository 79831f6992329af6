"""Figures of what the probe reads: shares of dimensions, by layer."""

import numpy as np
from layerclaims.experiments.probes import RAW, layer_weights
from layerclaims.experiments.study import Study
from layerclaims.metrics import attribution
from layerclaims.quantities.attribution import shares_of_fits
from layerclaims.recording.figure import figure
from layerclaims.recording.figures.drawing import line, rows
from layerclaims.results.figure_records import (
    LinesRecord,
    MatrixRecord,
    PlacesRecord,
    ReferenceRecord,
    ScaleRecord,
)
from layerclaims.runtime.text import number
from numpy.typing import NDArray


@figure(RAW)
def largest_shares(study: Study) -> LinesRecord:
    """The largest contribution of one dimension, by layer."""
    largest = _shares(study).max(axis=0)
    return LinesRecord(
        kind="lines",
        title="Largest contribution of one dimension, by layer",
        caption=f"Share of {_contribution(study)} that the largest dimension has in each layer, averaged over the "
        "fits.",
        alt=f"Largest share by state, at most {number(float(largest.max()))}.",
        x=PlacesRecord(label="state", values=tuple(range(study.n_labels))),
        y=ScaleRecord(label="share", log=False),
        series=(line("largest share", largest),),
        reference=(ReferenceRecord(label="all alike", value=1 / study.facts.hidden_size),),
    )


@figure(RAW)
def cumulative_contribution(study: Study) -> LinesRecord:
    """How many dimensions hold how much of the contribution."""
    curves = attribution.cumulative_shares(_shares(study))
    last = study.n_labels - 1
    chosen = sorted({0, last // 4, last // 2, 3 * last // 4, last})
    return LinesRecord(
        kind="lines",
        title="How many dimensions hold how much of the contribution",
        caption="Cumulative share of a layer's contribution over its dimensions, largest first, for some states.",
        alt="Cumulative contribution curves by state.",
        x=PlacesRecord(label="share of dimensions", values=tuple(map(float, attribution.CURVE_GRID))),
        y=ScaleRecord(label="share of contribution", log=False),
        series=tuple(line(f"state {i}", curves[i]) for i in chosen),
        reference=(),
    )


@figure(RAW)
def top_dimensions(study: Study) -> MatrixRecord:
    """The recurring dimensions' signed contributions, by layer."""
    dimensions = attribution.recurrence(_shares(study)).dimensions
    weights = np.mean(layer_weights(study), axis=0)
    signed = weights / np.abs(weights).sum(axis=0)
    return MatrixRecord(
        kind="matrix",
        title="Recurring dimensions by layer",
        caption="Contribution, with the sign of its weight, of the ten dimensions that are most often among a "
        "layer's ten largest; averaged over the fits.",
        alt=f"Signed shares of dimensions {', '.join(map(str, dimensions))} in each state.",
        x=PlacesRecord(label="state", values=tuple(range(study.n_labels))),
        y=PlacesRecord(label="dimension", values=tuple(map(str, dimensions))),
        values=rows(signed[list(dimensions)]),
        unit="signed share",
    )


def _shares(study: Study) -> NDArray[np.float64]:
    """Shares [d, K], the mean over the fits."""
    return np.asarray(np.mean(shares_of_fits(study), axis=0), dtype=np.float64)


def _contribution(study: Study) -> str:
    """What a share is of."""
    return "|weight|" if study.protocol.published else "|weight| x standard deviation of the feature"
