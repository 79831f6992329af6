"""Figures of sweeps: as published beside the authors' own curves, and how far the published fit gets."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from layerclaims.experiments.conditions import contexts, texts
from layerclaims.experiments.probes import UNIT_CELL
from layerclaims.experiments.sgd import CONTEXTS, TEXTS, Cell, sgd_fit
from layerclaims.experiments.study import Study
from layerclaims.recording.figure import figure
from layerclaims.recording.figures.drawing import curve, line, unseen
from layerclaims.recording.published_curves import curves_over_context, curves_over_texts, with_published
from layerclaims.results.figure_records import CurveRecord, LinesRecord, PlacesRecord, ScaleRecord
from layerclaims.runtime.text import number


@figure(of_protocol=lambda protocol: tuple(texts(protocol).values()))
def accuracy_by_texts(study: Study) -> LinesRecord:
    """As published: accuracy over the number of texts."""
    series = texts(study.protocol)
    ours = curve(study, "More texts to learn from", "texts", {f"{n:,}": one for n, one in series.items()})
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
    on = "the vectors that it is trained on" if what == "loss" else unseen(study)
    last = ", ".join(f"{name} {number(float(arrays[what][-1]))}" for name, arrays in curves.items())
    return LinesRecord(
        kind="lines",
        title=title,
        caption=f"{what.capitalize()} of the published probe on {on}, after so many epochs of SGD.",
        alt=f"After {epochs[-1]} epochs: {last}.",
        x=PlacesRecord(label="epochs", values=epochs),
        y=ScaleRecord(label="mean cross entropy" if what == "loss" else what, log=log),
        series=tuple(line(name, arrays[what]) for name, arrays in curves.items()),
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
    ours = curve(study, "Longer texts", "tokens of context", {str(n): one for n, one in series.items()})
    n_texts = study.protocol.n_texts
    return _before_published(study, ours, series, CONTEXTS, partial(curves_over_context, n_texts=n_texts))
