"""Exhibits: the figures of results.json, as series of plain numbers taken from a study."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.claim import number
from harness.study import Study


def exhibit(study: Study, name: str) -> dict[str, Any]:
    """The figure of that name, as results.json has it; KeyError for a name that is none."""
    return {**EXHIBITS[name](study), "protocol": study.protocol.name}


def _accuracy_by_layer(study: Study) -> dict[str, Any]:
    raw = study.series("raw").recall
    low = int(raw.argmin())
    return {
        "kind": "lines",
        "title": "How well each layer is recognised",
        "caption": "Share of a layer's vectors, in documents that the probe never saw, that it assigns to that "
        "layer. State 0 is the embedding, state i the residual stream after block i.",
        "alt": f"Recall by state; lowest at state {low} with {number(float(raw[low]))}.",
        "x": {"label": "state", "values": list(range(study.n_labels))},
        "y": {"label": "recall", "log": False},
        "series": [_line("recall", raw)],
        "reference": [{"label": "chance", "value": study.chance}],
    }


def _confusion(study: Study) -> dict[str, Any]:
    counts = study.linear.arrays["confusion"]
    share = counts / counts.sum(1, keepdims=True)
    layers = list(range(study.n_labels))
    return {
        "kind": "matrix",
        "title": "Which layers are taken for which",
        "caption": "Rows: the layer that a vector comes from. Columns: the layer that the probe names. Each row "
        "sums to 1.",
        "alt": f"Confusion matrix; {number(float(np.trace(share) / len(share)))} of the mass on the diagonal.",
        "x": {"label": "named by the probe", "values": layers},
        "y": {"label": "true state", "values": layers},
        "values": share.tolist(),
        "unit": "share",
    }


def _norms_by_layer(study: Study) -> dict[str, Any]:
    table = study.norms.arrays
    first = float(table["largest"].max())
    states = [*(str(i) for i in range(study.n_labels)), "final"]
    return {
        "kind": "lines",
        "title": "Norms by layer",
        "caption": "Largest, mean and smallest norm of the vectors of each state, without the first position of "
        f"each text, where norms reach {number(first)}. “final” is the last state after the final norm.",
        "alt": f"Mean norm from {number(float(table['mean_later'][0]))} at state 0 to "
        f"{number(float(table['mean_later'][-2]))} at state {study.n_labels - 1}.",
        "x": {"label": "state", "values": states},
        "y": {"label": "norm", "log": True},
        "series": [
            _line("largest", table["largest_later"]),
            _line("mean", table["mean_later"]),
            _line("smallest", table["smallest_later"]),
        ],
        "reference": [],
    }


def _accuracy_by_features(study: Study) -> dict[str, Any]:
    names = {
        "as they are": "raw",
        "unit vectors": "unit",
        "norm only": "norm",
        "random directions": "random",
        "shuffled labels": "shuffled",
    }
    return _bars(study, "What the probe sees", "features", names)


def _accuracy_masked(study: Study) -> dict[str, Any]:
    names = {
        "no mask": "raw",
        "recurring four": "masked",
        "recurring, to mean": "masked to mean",
        "random four": "masked at random",
        "widest four": "masked widest",
    }
    dimensions = ", ".join(map(str, study.recurring_dimensions))
    return _bars(study, f"Four dimensions masked (recurring: {dimensions})", "mask", names)


def _accuracy_by_corpus(study: Study) -> dict[str, Any]:
    names = {"main to main": "raw", "main to transfer": "transfer", "transfer to main": "transfer back"}
    return _bars(study, "Trained on one corpus, tested on another", "corpora", names)


def _bars(study: Study, title: str, label: str, names: Mapping[str, str]) -> dict[str, Any]:
    measured = [study.accuracy(series) for series in names.values()]
    values = [m.estimate.value for m in measured]
    return {
        "kind": "bars",
        "title": title,
        "caption": f"Accuracy on unseen documents with {1 - study.protocol.alpha:.0%} intervals over documents.",
        "alt": ", ".join(f"{n} {number(v)}" for n, v in zip(names, values, strict=True)),
        "x": {"label": label, "values": list(names)},
        "y": {"label": "accuracy", "log": False},
        "series": [
            {
                "name": "accuracy",
                "values": values,
                "low": [m.estimate.low for m in measured],
                "high": [m.estimate.high for m in measured],
            }
        ],
        "reference": [{"label": "chance", "value": study.chance}],
    }


def _line(name: str, values: NDArray[np.float64]) -> dict[str, Any]:
    return {"name": name, "values": [float(v) for v in values], "low": None, "high": None}


EXHIBITS: Mapping[str, Callable[[Study], dict[str, Any]]] = {
    "accuracy-by-layer": _accuracy_by_layer,
    "confusion": _confusion,
    "norms-by-layer": _norms_by_layer,
    "accuracy-by-features": _accuracy_by_features,
    "accuracy-masked": _accuracy_masked,
    "accuracy-by-corpus": _accuracy_by_corpus,
}
