"""What figures are made of: bars and curves of accuracies, lines, rows of a matrix."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from layerclaims.errors import NotTestedError
from layerclaims.experiments.measurement import Series
from layerclaims.experiments.study import Study
from layerclaims.results.figure_records import (
    BarsRecord,
    CurveRecord,
    LinesRecord,
    PlacesRecord,
    ReferenceRecord,
    ScaleRecord,
)
from layerclaims.runtime.text import number
from numpy.typing import NDArray


def bars(study: Study, title: str, label: str, names: Mapping[str, Series]) -> BarsRecord:
    """Accuracies of some series as bars, those that are measured under the study's protocol."""
    return BarsRecord(kind="bars", **_accuracies(study, title, label, names))


def curve(study: Study, title: str, label: str, names: Mapping[str, Series]) -> LinesRecord:
    """As bars, drawn as a line: what is named stands in order."""
    return LinesRecord(kind="lines", **_accuracies(study, title, label, names))


def _accuracies(study: Study, title: str, label: str, names: Mapping[str, Series]) -> dict[str, Any]:
    confidence = 1 - study.protocol.alpha
    names = {name: one for name, one in names.items() if _measured(study, one)}
    measured = [study.estimate("accuracy", (one,), confidence=confidence) for one in names.values()]
    curve = CurveRecord(
        name="accuracy",
        values=tuple(estimate.value for estimate in measured),
        low=tuple(estimate.low for estimate in measured),
        high=tuple(estimate.high for estimate in measured),
    )
    return {
        "title": title,
        "caption": f"Accuracy on {unseen(study)}, with {confidence:.0%} intervals over documents.",
        "alt": ", ".join(
            f"{name} {number(estimate.value)}" for name, estimate in zip(names, measured, strict=True)
        ),
        "x": PlacesRecord(label=label, values=tuple(names)),
        "y": ScaleRecord(label="accuracy", log=False),
        "series": (curve,),
        "reference": (ReferenceRecord(label="chance", value=1 / study.n_labels),),
    }


def _measured(study: Study, series: Series) -> bool:
    """Whether a series is measured under the study's protocol at all."""
    try:
        study.check(series.of)
    except NotTestedError:
        return False
    return f"{series.name}/documents" in study.values(series.of).arrays


def unseen(study: Study) -> str:
    """What a probe is tested on."""
    if study.protocol.published:
        return "vectors that the probe never saw"
    return "vectors of documents that the probe never saw"


def line(name: str, values: NDArray[np.float64]) -> CurveRecord:
    """Values without intervals."""
    return CurveRecord(name=name, values=tuple(map(float, values)), low=None, high=None)


def rows(matrix: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    """A matrix as records have it."""
    return tuple(tuple(row) for row in matrix.tolist())
