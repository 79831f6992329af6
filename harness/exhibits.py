"""Exhibits: the figures of results.json, as series of plain numbers taken from a study."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.claim import number
from harness.errors import NotTestedError
from harness.measure import attribution
from harness.measure.geometry import Reducer
from harness.questions import geometry, separability
from harness.study import RAW_OF, Study
from harness.variants import contexts, sizes


def exhibit(study: Study, name: str) -> dict[str, Any]:
    """The figure of that name, as results.json has it; KeyError for a name that is none."""
    return {**EXHIBITS[name](study), "protocol": study.protocol.name}


def _accuracy_by_layer(study: Study) -> dict[str, Any]:
    raw = study.series("raw").recall
    low = int(raw.argmin())
    return {
        "kind": "lines",
        "title": "How well each layer is recognised",
        "caption": f"Share of a layer's vectors, among {_unseen(study)}, that the probe assigns to that layer. "
        f"State 0 is the embedding, state i the residual stream after block i{_last(study)}.",
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


def _accuracy_by_classifier(study: Study) -> dict[str, Any]:
    return _bars(
        study, "Two kinds of classifier", "classifier", {"linear probe": "raw", "decision tree": "tree"}
    )


def _accuracy_by_size(study: Study) -> dict[str, Any]:
    names = {name.removeprefix("size ") if name != "raw" else "all": name for name in sizes()}
    return _curve(study, "More documents to learn from", "share of the training documents", names)


def _accuracy_by_context(study: Study) -> dict[str, Any]:
    names = {str(n): name for n, name in contexts(study.protocol.context).items()}
    return _curve(study, "Longer texts", "tokens of context", names)


def _accuracy_by_model(study: Study) -> dict[str, Any]:
    names = {
        f"{name} ({study.family[name].facts.n_parameters / 1e6:,.0f} M)": f"{RAW_OF}{name}"
        for name in separability.models_by_size(study)
    }
    figure = _curve(study, "Larger models", "model (parameters)", names)
    return {**figure, "reference": []}  # chance is another one for each


def _mixed_training(study: Study) -> dict[str, Any]:
    names = {
        "main, own probe": "raw",
        "main, mixed probe": "mixed on main",
        "transfer, own probe": "transfer own",
        "transfer, mixed probe": "mixed on transfer",
    }
    return _bars(study, "Trained on both corpora, tested on either", "tested on", names)


def _punctuation(study: Study) -> dict[str, Any]:
    names = {
        "main": "raw",
        "transfer": "transfer",
        "main, stripped": "stripped",
        "transfer, stripped": "stripped transfer",
    }
    return _bars(study, "With and without punctuation", "tested on", names)


def _accuracy_by_run(study: Study) -> dict[str, Any]:
    values = np.array([correct / total for correct, total in study.linear.arrays["runs"]])
    return {
        "kind": "lines",
        "title": "Accuracy of each run",
        "caption": "Accuracy of the probe of each fold on the documents of that fold. The dashed line is their mean.",
        "alt": f"Accuracies from {number(float(values.min()))} to {number(float(values.max()))}.",
        "x": {"label": "fold", "values": list(range(1, len(values) + 1))},
        "y": {"label": "accuracy", "log": False},
        "series": [_line("accuracy", values)],
        "reference": [{"label": "mean", "value": float(values.mean())}],
    }


def _curve(study: Study, title: str, label: str, names: Mapping[str, str]) -> dict[str, Any]:
    """As bars, drawn as a line: what is named stands in order."""
    return {**_bars(study, title, label, names), "kind": "lines"}


def _bars(study: Study, title: str, label: str, names: Mapping[str, str]) -> dict[str, Any]:
    measured = [study.accuracy(series) for series in names.values()]
    values = [m.estimate.value for m in measured]
    return {
        "kind": "bars",
        "title": title,
        "caption": f"Accuracy on {_unseen(study)}, with {1 - study.protocol.alpha:.0%} intervals over documents.",
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


def _unseen(study: Study) -> str:
    """What a probe is tested on."""
    if study.protocol.setting.split == "vector":
        return "vectors that the probe never saw"
    return "vectors of documents that the probe never saw"


def _last(study: Study) -> str:
    """What the last state is, where that is not the residual stream."""
    last = study.n_labels - 1
    return f"; state {last} is taken after the final norm" if study.protocol.setting.last == "final" else ""


def _line(name: str, values: NDArray[np.float64]) -> dict[str, Any]:
    return {"name": name, "values": [float(v) for v in values], "low": None, "high": None}


def _largest_shares(study: Study) -> dict[str, Any]:
    largest = _shares(study).max(axis=0)
    return {
        "kind": "lines",
        "title": "Largest contribution of one dimension, by layer",
        "caption": "Share of |weight| x standard deviation of the feature that the largest dimension has in each "
        "layer, averaged over the folds.",
        "alt": f"Largest share by state, at most {number(float(largest.max()))}.",
        "x": {"label": "state", "values": list(range(study.n_labels))},
        "y": {"label": "share", "log": False},
        "series": [_line("largest share", largest)],
        "reference": [{"label": "all alike", "value": 1 / study.facts.hidden_size}],
    }


def _cumulative_contribution(study: Study) -> dict[str, Any]:
    curves = attribution.cumulative_shares(_shares(study))
    last = study.n_labels - 1
    chosen = sorted({0, last // 4, last // 2, 3 * last // 4, last})
    return {
        "kind": "lines",
        "title": "How many dimensions hold how much of the contribution",
        "caption": "Cumulative share of a layer's contribution over its dimensions, largest first, for some states.",
        "alt": "Cumulative contribution curves by state.",
        "x": {"label": "share of dimensions", "values": [float(v) for v in attribution.CURVE_GRID]},
        "y": {"label": "share of contribution", "log": False},
        "series": [_line(f"state {i}", curves[i]) for i in chosen],
        "reference": [],
    }


def _top_dimensions(study: Study) -> dict[str, Any]:
    dimensions = attribution.recurrence(_shares(study)).dimensions
    weights = np.mean([probe.weights for probe in study.probes], axis=0)
    signed = weights / np.abs(weights).sum(axis=0)
    return {
        "kind": "matrix",
        "title": "Recurring dimensions by layer",
        "caption": "Contribution, with the sign of its weight, of the ten dimensions that are most often among a "
        "layer's ten largest; averaged over the folds.",
        "alt": f"Signed shares of dimensions {', '.join(map(str, dimensions))} in each state.",
        "x": {"label": "state", "values": list(range(study.n_labels))},
        "y": {"label": "dimension", "values": [str(i) for i in dimensions]},
        "values": signed[list(dimensions)].tolist(),
        "unit": "signed share",
    }


def _path_of_layers(study: Study) -> dict[str, Any]:
    arrays = geometry.measured(study).arrays
    labels = [str(i) for i in range(study.n_labels)]
    chosen = {"unit vectors": arrays["unit/layers"][0], "as they are": arrays["raw/layers"][0]}
    return {
        "kind": "path",
        "title": "The path of the layers",
        "caption": "Centroids of the states in the first two principal components of their vectors, from state 0 to "
        f"state {study.n_labels - 1}{_last(study)}; each path scaled to its own extent. Position 0 is left out.",
        "alt": "Centroids of the layers, joined in order of depth, for unit vectors and for vectors as they are.",
        "x": {"label": "first component", "values": []},
        "y": {"label": "second component", "log": False},
        "series": [_path(name, c, labels) for name, c in chosen.items()],
        "reference": [],
    }


def _reductions(study: Study) -> dict[str, Any]:
    labels = [str(i) for i in range(study.n_labels)]
    reducers: tuple[Reducer, ...] = ("PCA", "t-SNE", "UMAP")
    chosen = {}
    for reducer in reducers:
        with contextlib.suppress(NotTestedError):  # UMAP is an extra
            chosen[reducer] = geometry.reduced(study, reducer)[0]
    return {
        "kind": "path",
        "title": f"{', '.join(list(chosen)[:-1])} and {list(chosen)[-1]} of the same vectors",
        "caption": "Centroids of the states in the two dimensions of each method, joined in order of depth, of one "
        f"sample of unit vectors{_last(study)}; each path scaled to its own extent.",
        "alt": "; ".join(
            f"{name}: drift correlation {number(geometry.drift_of(c))}" for name, c in chosen.items()
        ),
        "x": {"label": "first dimension", "values": []},
        "y": {"label": "second dimension", "log": False},
        "series": [_path(name, c, labels) for name, c in chosen.items()],
        "reference": [],
    }


def _path(name: str, centroids: NDArray[np.float64], labels: list[str]) -> dict[str, Any]:
    """A path around its own middle, scaled to its own extent."""
    moved = centroids - (centroids.max(axis=0) + centroids.min(axis=0)) / 2
    extent = float(np.abs(moved).max())
    return {"name": name, "points": (moved / extent if extent > 0 else moved).tolist(), "labels": labels}


def _angles(study: Study) -> dict[str, Any]:
    arrays = geometry.measured(study).arrays
    layers = list(range(study.n_labels))
    return {
        "kind": "matrix",
        "title": "Principal angles between layers",
        "caption": "Mean principal angle in degrees between the PCA bases of two layers, each on another half of the "
        "documents. The diagonal is a layer with itself: what sampling alone leaves.",
        "alt": f"Angles between layers; {number(float(arrays['apart'].mean()))} degrees to the next layer on average, "
        f"{number(float(arrays['own'].mean()))} of a layer with itself.",
        "x": {"label": "state", "values": layers},
        "y": {"label": "state", "values": layers},
        "values": np.nan_to_num(arrays["angles"]).tolist(),
        "unit": "degrees",
    }


def _effective_rank(study: Study) -> dict[str, Any]:
    ranks = geometry.measured(study).arrays["ranks"][0]
    return {
        "kind": "lines",
        "title": "Effective rank by layer",
        "caption": "Exponential of the spectral entropy of the covariance of unit vectors, over d.",
        "alt": f"Effective rank over d from {number(float(ranks.min()))} to {number(float(ranks.max()))}.",
        "x": {"label": "state", "values": list(range(study.n_labels))},
        "y": {"label": "effective rank / d", "log": False},
        "series": [_line("effective rank", ranks)],
        "reference": [{"label": "half", "value": 0.5}],
    }


def _shares(study: Study) -> NDArray[np.float64]:
    """Shares [d, K], the mean over the folds."""
    return np.asarray(
        np.mean([attribution.contribution_shares(p.weights) for p in study.probes], axis=0), dtype=np.float64
    )


EXHIBITS: Mapping[str, Callable[[Study], dict[str, Any]]] = {
    "accuracy-by-layer": _accuracy_by_layer,
    "confusion": _confusion,
    "norms-by-layer": _norms_by_layer,
    "accuracy-by-features": _accuracy_by_features,
    "accuracy-masked": _accuracy_masked,
    "accuracy-by-classifier": _accuracy_by_classifier,
    "accuracy-by-size": _accuracy_by_size,
    "accuracy-by-context": _accuracy_by_context,
    "accuracy-by-model": _accuracy_by_model,
    "accuracy-by-run": _accuracy_by_run,
    "mixed-training": _mixed_training,
    "punctuation": _punctuation,
    "reductions": _reductions,
    "accuracy-by-corpus": _accuracy_by_corpus,
    "largest-shares": _largest_shares,
    "cumulative-contribution": _cumulative_contribution,
    "top-dimensions": _top_dimensions,
    "path-of-layers": _path_of_layers,
    "angles": _angles,
    "effective-rank": _effective_rank,
}
