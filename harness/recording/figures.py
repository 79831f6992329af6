"""The figures of the report, as series of plain numbers taken from a study."""

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from layerclaims.errors import NotTestedError
from layerclaims.experiments import runs
from layerclaims.experiments.conditions import contexts, texts
from layerclaims.experiments.geometry import UNIT as UNIT_VECTORS
from layerclaims.experiments.geometry import layer_geometry, reduction
from layerclaims.experiments.measurement import Series
from layerclaims.experiments.norms import norms_by_state
from layerclaims.experiments.probes import UNIT_CELL, layer_probe, layer_weights, recurring_dimensions
from layerclaims.experiments.series import (
    MASKED,
    MASKED_AT_RANDOM,
    MASKED_NEIGHBOURS,
    MASKED_TO_MEAN,
    MASKED_WIDEST,
    MIXED_ON_MAIN,
    MIXED_ON_TRANSFER,
    NORM,
    RANDOM,
    RANDOM_TRAINED,
    RAW,
    SHUFFLED,
    SIZES,
    STRIPPED,
    STRIPPED_TRANSFER,
    TRANSFER,
    TRANSFER_BACK,
    TRANSFER_OWN,
    TREE,
    UNIT,
    raw_of,
)
from layerclaims.experiments.sgd import CONTEXTS, TEXTS, Cell, sgd_fit
from layerclaims.experiments.study import Study
from layerclaims.metrics import attribution, growth
from layerclaims.metrics.geometry import Reducer, drift_correlation
from layerclaims.quantities.attribution import shares_of_fits
from layerclaims.quantities.separability import models_by_size
from layerclaims.quantities.stability import accuracy_of_runs
from layerclaims.recording.figure import figure
from layerclaims.recording.published_curves import curves_over_context, curves_over_texts, with_published
from layerclaims.results.figure_records import (
    BarsRecord,
    CurveRecord,
    LinesRecord,
    MatrixRecord,
    PathRecord,
    PlacesRecord,
    ReferenceRecord,
    ScaleRecord,
    TrailRecord,
)
from layerclaims.runtime.text import number
from numpy.typing import NDArray


@figure(RAW)
def accuracy_by_layer(study: Study) -> LinesRecord:
    """Recall of each layer."""
    raw = study.counts(RAW).recall
    low = int(raw.argmin())
    return LinesRecord(
        kind="lines",
        title="How well each layer is recognised",
        caption=f"Share of a layer's vectors, among {_unseen(study)}, that the probe assigns to that layer. "
        f"State 0 is the embedding, state i the residual stream after block i.",
        alt=f"Recall by state; lowest at state {low} with {number(float(raw[low]))}.",
        x=PlacesRecord(label="state", values=tuple(range(study.n_labels))),
        y=ScaleRecord(label="recall", log=False),
        series=(_line("recall", raw),),
        reference=(ReferenceRecord(label="chance", value=1 / study.n_labels),),
    )


@figure(RAW)
def confusion(study: Study) -> MatrixRecord:
    """Which layers are taken for which."""
    counts = study.values(layer_probe).arrays["confusion"]
    share = counts / counts.sum(1, keepdims=True)
    layers = tuple(range(study.n_labels))
    return MatrixRecord(
        kind="matrix",
        title="Which layers are taken for which",
        caption="Rows: the layer that a vector comes from. Columns: the layer that the probe names. Each row "
        "sums to 1.",
        alt=f"Confusion matrix; {number(float(np.trace(share) / len(share)))} of the mass on the diagonal.",
        x=PlacesRecord(label="named by the probe", values=layers),
        y=PlacesRecord(label="true state", values=layers),
        values=_rows(share),
        unit="share",
    )


@figure(norms_by_state)
def norms_by_layer(study: Study) -> LinesRecord:
    """Largest, mean and smallest norm of each state, position 0 left out."""
    table = study.values(norms_by_state).arrays
    positions = "of all positions"
    if study.first_position:
        most = number(float(table["largest"].max()))
        positions = f"without the first position of each text, where norms reach {most}"
    states = (*(str(i) for i in range(study.n_labels)), "final")
    return LinesRecord(
        kind="lines",
        title="Norms by layer",
        caption=f"Largest, mean and smallest norm of the vectors of each state, {positions}. “final” is the last "
        "state after the final norm.",
        alt=f"Mean norm from {number(float(table['mean_later'][0]))} at state 0 to "
        f"{number(float(table['mean_later'][-2]))} at state {study.n_labels - 1}.",
        x=PlacesRecord(label="state", values=states),
        y=ScaleRecord(label="norm", log=True),
        series=(
            _line("largest", table["largest_later"]),
            _line("mean", table["mean_later"]),
            _line("smallest", table["smallest_later"]),
        ),
        reference=(),
    )


@figure(norms_by_state)
def laws_of_growth(study: Study) -> LinesRecord:
    """Mean norm by layer, and every law of growth that was fitted to it."""
    means = study.values(norms_by_state).arrays["mean_later"][1 : study.n_labels]
    errors = growth.fit_errors(means)
    return LinesRecord(
        kind="lines",
        title="Laws of growth",
        caption="Mean norm of states 1 to L and five laws of two parameters, each fitted to the logarithm of all of "
        "them. In brackets the error with which a law predicts the log norm of a state that is left out.",
        alt="; ".join(f"{law}: error {number(float(e))}" for law, e in zip(growth.LAWS, errors, strict=True)),
        x=PlacesRecord(label="state", values=tuple(range(1, study.n_labels))),
        y=ScaleRecord(label="mean norm", log=True),
        series=(
            _line("measured", means),
            *(
                _line(f"{law} ({number(float(error))})", curve)
                for law, error, curve in zip(growth.LAWS, errors, growth.fitted_laws(means), strict=True)
            ),
        ),
        reference=(),
    )


@figure(RAW, UNIT, NORM, RANDOM, RANDOM_TRAINED, SHUFFLED)
def accuracy_by_features(study: Study) -> BarsRecord:
    """Accuracy by what the probe sees of a vector."""
    names = {
        "as they are": RAW,
        "unit vectors": UNIT,
        "norm only": NORM,
        "random directions": RANDOM,
        "trained on random": RANDOM_TRAINED,
        "shuffled labels": SHUFFLED,
    }
    return _bars(study, "What the probe sees", "features", names)


@figure(RAW)
def accuracy_masked(study: Study) -> BarsRecord:
    """Accuracy with four dimensions masked, in several ways."""
    names = {
        "no mask": RAW,
        "recurring four": MASKED,
        "their neighbours": MASKED_NEIGHBOURS,
        "recurring, to mean": MASKED_TO_MEAN,
        "random four": MASKED_AT_RANDOM,
        "widest four": MASKED_WIDEST,
    }
    dimensions = ", ".join(map(str, recurring_dimensions(study)))
    return _bars(study, f"Four dimensions masked (recurring: {dimensions})", "mask", names)


@figure(RAW, TRANSFER, TRANSFER_BACK)
def accuracy_by_corpus(study: Study) -> BarsRecord:
    """Accuracy from one corpus to the other."""
    names = {"main to main": RAW, "main to transfer": TRANSFER, "transfer to main": TRANSFER_BACK}
    return _bars(study, "Trained on one corpus, tested on another", "corpora", names)


@figure(RAW, TREE)
def accuracy_by_classifier(study: Study) -> BarsRecord:
    """Accuracy of the linear probe and of a decision tree."""
    return _bars(study, "Two kinds of classifier", "classifier", {"linear probe": RAW, "decision tree": TREE})


@figure(*SIZES)
def accuracy_by_size(study: Study) -> LinesRecord:
    """Accuracy over the share of the training documents."""
    names = {"all" if one is RAW else one.name.removeprefix("size "): one for one in SIZES}
    return _curve(study, "More documents to learn from", "share of the training documents", names)


@figure(of_protocol=lambda protocol: tuple(texts(protocol).values()))
def accuracy_by_texts(study: Study) -> LinesRecord:
    """As published: accuracy over the number of texts."""
    series = texts(study.protocol)
    ours = _curve(study, "More texts to learn from", "texts", {f"{n:,}": one for n, one in series.items()})
    context = study.protocol.context
    return _before_published(study, ours, series, TEXTS, partial(curves_over_texts, context=context))


def _before_published(
    study: Study,
    ours: LinesRecord,
    measured: Collection[int],
    theirs: Sequence[int],
    curves: Callable[[Mapping[str, int]], tuple[CurveRecord, ...]],
) -> LinesRecord:
    """The authors' curves behind ours; as published at all of their numbers, also those that the run has not."""
    places = sorted({*measured, *(theirs if study.protocol.published else ())})
    (own,) = ours.series
    assert own.low is not None
    assert own.high is not None
    spread = {
        name: tuple(dict(zip(measured, values, strict=True)).get(n) for n in places)
        for name, values in (("values", own.values), ("low", own.low), ("high", own.high))
    }
    labels = {f"{n:,}": n for n in places}
    x = ours.x.model_copy(update={"values": tuple(labels)})
    figure = ours.model_copy(update={"x": x, "series": (own.model_copy(update=spread),)})
    return with_published(figure, curves(labels))


def _learning(study: Study, what: str, title: str, *, log: bool) -> LinesRecord:
    """The learning curves of the published procedure: raw and unit vectors by epoch."""
    curves = {
        "as they are": study.values(sgd_fit(Cell())).arrays,
        "unit vectors": study.values(sgd_fit(UNIT_CELL)).arrays,
    }
    epochs = tuple(f"{int(epoch):,}" for epoch in curves["as they are"]["epochs"])
    on = "the vectors that it is trained on" if what == "loss" else _unseen(study)
    last = ", ".join(f"{name} {number(float(arrays[what][-1]))}" for name, arrays in curves.items())
    return LinesRecord(
        kind="lines",
        title=title,
        caption=f"{what.capitalize()} of the published probe on {on}, after so many epochs of SGD.",
        alt=f"After {epochs[-1]} epochs: {last}.",
        x=PlacesRecord(label="epochs", values=epochs),
        y=ScaleRecord(label="mean cross entropy" if what == "loss" else what, log=log),
        series=tuple(_line(name, arrays[what]) for name, arrays in curves.items()),
        reference=(),
    )


@figure(sgd_fit(Cell()), sgd_fit(UNIT_CELL))
def learning_accuracy(study: Study) -> LinesRecord:
    """As published: accuracy by epoch."""
    return _learning(study, "accuracy", "How far the published fit gets: accuracy", log=False)


@figure(sgd_fit(Cell()), sgd_fit(UNIT_CELL))
def learning_loss(study: Study) -> LinesRecord:
    """As published: loss by epoch."""
    return _learning(study, "loss", "How far the published fit gets: loss", log=True)


@figure(of_protocol=lambda protocol: tuple(contexts(protocol).values()))
def accuracy_by_context(study: Study) -> LinesRecord:
    """Accuracy over the tokens of context."""
    series = contexts(study.protocol)
    ours = _curve(study, "Longer texts", "tokens of context", {str(n): one for n, one in series.items()})
    n_texts = study.protocol.n_texts
    return _before_published(study, ours, series, CONTEXTS, partial(curves_over_context, n_texts=n_texts))


@figure(runs.accuracy_by_model)
def accuracy_by_model(study: Study) -> LinesRecord:
    """Accuracy over the models of the run, from the smallest to the largest."""
    names = {
        f"{name} ({study.family[name].facts.n_parameters / 1e6:,.0f} M)": raw_of(name)
        for name in models_by_size(study)
    }
    figure = _curve(study, "Larger models", "model (parameters)", names)
    return figure.model_copy(update={"reference": ()})  # chance is another one for each


@figure(RAW, MIXED_ON_MAIN, TRANSFER_OWN, MIXED_ON_TRANSFER)
def mixed_training(study: Study) -> BarsRecord:
    """Accuracy of a probe of both corpora beside that of each corpus' own."""
    names = {
        "main, own probe": RAW,
        "main, mixed probe": MIXED_ON_MAIN,
        "transfer, own probe": TRANSFER_OWN,
        "transfer, mixed probe": MIXED_ON_TRANSFER,
    }
    return _bars(study, "Trained on both corpora, tested on either", "tested on", names)


@figure(RAW, TRANSFER, STRIPPED, STRIPPED_TRANSFER)
def punctuation(study: Study) -> BarsRecord:
    """Accuracy with and without punctuation."""
    names = {
        "main": RAW,
        "transfer": TRANSFER,
        "main, stripped": STRIPPED,
        "transfer, stripped": STRIPPED_TRANSFER,
    }
    return _bars(study, "With and without punctuation", "tested on", names)


@figure(RAW)
def accuracy_by_run(study: Study) -> LinesRecord:
    """Accuracy of each run."""
    values = accuracy_of_runs(study)
    run = (
        "run on its fifth of the vectors"
        if study.protocol.published
        else "fold on the documents of that fold"
    )
    return LinesRecord(
        kind="lines",
        title="Accuracy of each run",
        caption=f"Accuracy of the probe of each {run}. The dashed line is their mean.",
        alt=f"Accuracies from {number(float(values.min()))} to {number(float(values.max()))}.",
        x=PlacesRecord(label="run", values=tuple(range(1, len(values) + 1))),
        y=ScaleRecord(label="accuracy", log=False),
        series=(_line("accuracy", values),),
        reference=(ReferenceRecord(label="mean", value=float(values.mean())),),
    )


def _bars(study: Study, title: str, label: str, names: Mapping[str, Series]) -> BarsRecord:
    return BarsRecord(kind="bars", **_accuracies(study, title, label, names))


def _curve(study: Study, title: str, label: str, names: Mapping[str, Series]) -> LinesRecord:
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
        "caption": f"Accuracy on {_unseen(study)}, with {confidence:.0%} intervals over documents.",
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
    return True


def _unseen(study: Study) -> str:
    """What a probe is tested on."""
    if study.protocol.published:
        return "vectors that the probe never saw"
    return "vectors of documents that the probe never saw"


def _line(name: str, values: NDArray[np.float64]) -> CurveRecord:
    return CurveRecord(name=name, values=tuple(map(float, values)), low=None, high=None)


def _rows(matrix: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())


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
        series=(_line("largest share", largest),),
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
        series=tuple(_line(f"state {i}", curves[i]) for i in chosen),
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
        values=_rows(signed[list(dimensions)]),
        unit="signed share",
    )


@figure(layer_geometry)
def path_of_layers(study: Study) -> PathRecord:
    """The path of the layers' centroids."""
    arrays = study.values(layer_geometry).arrays
    labels = tuple(map(str, range(study.n_labels)))
    chosen = {"unit vectors": arrays[f"{UNIT_VECTORS}/layers"][0], "as they are": arrays["raw/layers"][0]}
    return PathRecord(
        kind="path",
        title="The path of the layers",
        caption="Centroids of the states in the first two principal components of their vectors, from state 0 to "
        f"state {study.n_labels - 1}; each path scaled to its own extent. Position 0 is "
        f"{'left out' if study.first_position else 'kept'}.",
        alt="Centroids of the layers, joined in order of depth, for unit vectors and for vectors as they are.",
        x=PlacesRecord(label="first component", values=()),
        y=ScaleRecord(label="second component", log=False),
        series=tuple(_path(name, c, labels) for name, c in chosen.items()),
        reference=(),
    )


@figure(reduction("PCA"), reduction("t-SNE"), reduction("UMAP"))
def reductions(study: Study) -> PathRecord:
    """The same path under PCA, t-SNE and UMAP, as far as they are installed."""
    labels = tuple(map(str, range(study.n_labels)))
    reducers: tuple[Reducer, ...] = ("PCA", "t-SNE", "UMAP")
    chosen = {}
    for reducer in reducers:
        with contextlib.suppress(NotTestedError):  # UMAP is an extra
            chosen[reducer] = study.values(reduction(reducer)).arrays["centroids"][0]
    return PathRecord(
        kind="path",
        title=f"{', '.join(list(chosen)[:-1])} and {list(chosen)[-1]} of the same vectors",
        caption="Centroids of the states in the two dimensions of each method, joined in order of depth, of one "
        "sample of unit vectors; each path scaled to its own extent.",
        alt="; ".join(
            f"{name}: drift correlation {number(drift_correlation(c))}" for name, c in chosen.items()
        ),
        x=PlacesRecord(label="first dimension", values=()),
        y=ScaleRecord(label="second dimension", log=False),
        series=tuple(_path(name, c, labels) for name, c in chosen.items()),
        reference=(),
    )


def _path(name: str, centroids: NDArray[np.float64], labels: tuple[str, ...]) -> TrailRecord:
    """A path around its own middle, scaled to its own extent."""
    moved = centroids - (centroids.max(axis=0) + centroids.min(axis=0)) / 2
    extent = float(np.abs(moved).max())
    points = (moved / extent if extent > 0 else moved).tolist()
    return TrailRecord(name=name, points=tuple((x, y) for x, y in points), labels=labels)


@figure(layer_geometry)
def missed_by_neighbours(study: Study) -> LinesRecord:
    """What the directions of the next layer miss of each."""
    missed = study.values(layer_geometry).arrays["missed"][0]
    return LinesRecord(
        kind="lines",
        title="What the next layer's directions miss",
        caption="Of the variance that a layer's own ten principal directions carry on other documents, the share that "
        "those of the next layer do not.",
        alt=f"Share missed from {number(float(np.nanmin(missed)))} to {number(float(np.nanmax(missed)))}.",
        x=PlacesRecord(label="state", values=tuple(range(len(missed)))),
        y=ScaleRecord(label="share missed", log=False),
        series=(_line("share missed", missed),),
        reference=(ReferenceRecord(label="pass mark", value=0.05),),
    )


@figure(layer_geometry)
def angles(study: Study) -> MatrixRecord:
    """Principal angles between layers."""
    arrays = study.values(layer_geometry).arrays
    layers = tuple(range(study.n_labels))
    return MatrixRecord(
        kind="matrix",
        title="Principal angles between layers",
        caption="Mean principal angle in degrees between the PCA bases of two layers, each on another half of the "
        "documents. The diagonal is a layer with itself: what sampling alone leaves.",
        alt=f"Angles between layers; {number(float(arrays['apart'].mean()))} degrees to the next layer on average, "
        f"{number(float(arrays['own'].mean()))} of a layer with itself.",
        x=PlacesRecord(label="state", values=layers),
        y=PlacesRecord(label="state", values=layers),
        values=_rows(np.nan_to_num(arrays["angles"])),
        unit="degrees",
    )


@figure(layer_geometry)
def effective_rank(study: Study) -> LinesRecord:
    """Effective rank of each layer, over d."""
    ranks = study.values(layer_geometry).arrays["ranks"][0]
    return LinesRecord(
        kind="lines",
        title="Effective rank by layer",
        caption="Exponential of the spectral entropy of the covariance of unit vectors, over d.",
        alt=f"Effective rank over d from {number(float(ranks.min()))} to {number(float(ranks.max()))}.",
        x=PlacesRecord(label="state", values=tuple(range(study.n_labels))),
        y=ScaleRecord(label="effective rank / d", log=False),
        series=(_line("effective rank", ranks),),
        reference=(ReferenceRecord(label="half", value=0.5),),
    )


def _shares(study: Study) -> NDArray[np.float64]:
    """Shares [d, K], the mean over the fits."""
    return np.asarray(np.mean(shares_of_fits(study), axis=0), dtype=np.float64)


def _contribution(study: Study) -> str:
    """What a share is of."""
    return "|weight|" if study.protocol.published else "|weight| x standard deviation of the feature"
