"""Figures of accuracies: by layer, by what the probe sees, by what it was trained and tested on."""

import numpy as np
from layerclaims.experiments import runs
from layerclaims.experiments.closed_form import closed_form
from layerclaims.experiments.probes import layer_probe, recurring_dimensions
from layerclaims.experiments.series import (
    A_TENTH,
    CENTRED,
    LDA,
    MASKED,
    MASKED_AT_RANDOM,
    MASKED_NEIGHBOURS,
    MASKED_TO_MEAN,
    MASKED_WIDEST,
    MIXED_ON_MAIN,
    MIXED_ON_TRANSFER,
    NEAREST_MEAN,
    NORM,
    RANDOM,
    RANDOM_TRAINED,
    RAW,
    SEEN,
    SHAPES,
    SHAPES_OF_ONE_SIZE,
    SHUFFLED,
    SIZES,
    STRIPPED,
    STRIPPED_TRANSFER,
    TRANSFER,
    TRANSFER_BACK,
    TRANSFER_OWN,
    TREE,
    UNIT,
    UNSEEN,
    raw_of,
)
from layerclaims.experiments.study import Study
from layerclaims.quantities.separability import models_by_size
from layerclaims.quantities.stability import accuracy_of_runs
from layerclaims.recording.figure import figure
from layerclaims.recording.figures.drawing import bars, curve, line, rows, unseen
from layerclaims.results.figure_records import (
    BarsRecord,
    LinesRecord,
    MatrixRecord,
    PlacesRecord,
    ReferenceRecord,
    ScaleRecord,
)
from layerclaims.runtime.text import number


@figure(RAW)
def accuracy_by_layer(study: Study) -> LinesRecord:
    """Recall of each layer."""
    raw = study.counts(RAW).recall
    low = int(raw.argmin())
    return LinesRecord(
        kind="lines",
        title="How well each layer is recognised",
        caption=f"Share of a layer's vectors, among {unseen(study)}, that the probe assigns to that layer. "
        f"State 0 is the embedding, state i the residual stream after block i.",
        alt=f"Recall by state; lowest at state {low} with {number(float(raw[low]))}.",
        x=PlacesRecord(label="state", values=tuple(range(study.n_labels))),
        y=ScaleRecord(label="recall", log=False),
        series=(line("recall", raw),),
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
        values=rows(share),
        unit="share",
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
    return bars(study, "What the probe sees", "features", names)


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
    return bars(study, f"Four dimensions masked (recurring: {dimensions})", "mask", names)


@figure(RAW, TRANSFER, TRANSFER_BACK)
def accuracy_by_corpus(study: Study) -> BarsRecord:
    """Accuracy from one corpus to the other."""
    names = {"main to main": RAW, "main to transfer": TRANSFER, "transfer to main": TRANSFER_BACK}
    return bars(study, "Trained on one corpus, tested on another", "corpora", names)


@figure(RAW, TREE)
def accuracy_by_classifier(study: Study) -> BarsRecord:
    """Accuracy of the linear probe and of a decision tree."""
    return bars(study, "Two kinds of classifier", "classifier", {"linear probe": RAW, "decision tree": TREE})


@figure(*SIZES)
def accuracy_by_size(study: Study) -> LinesRecord:
    """Accuracy over the share of the training documents."""
    names = {"all" if one is RAW else one.name.removeprefix("size "): one for one in SIZES}
    return curve(study, "More documents to learn from", "share of the training documents", names)


@figure(runs.accuracy_by_model)
def accuracy_by_model(study: Study) -> LinesRecord:
    """Accuracy over the models of the run, from the smallest to the largest."""
    names = {
        f"{name} ({study.family[name].facts.n_parameters / 1e6:,.0f} M)": raw_of(name)
        for name in models_by_size(study)
    }
    figure = curve(study, "Larger models", "model (parameters)", names)
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
    return bars(study, "Trained on both corpora, tested on either", "tested on", names)


@figure(RAW, TRANSFER, STRIPPED, STRIPPED_TRANSFER)
def punctuation(study: Study) -> BarsRecord:
    """Accuracy with and without punctuation."""
    names = {
        "main": RAW,
        "transfer": TRANSFER,
        "main, stripped": STRIPPED,
        "transfer, stripped": STRIPPED_TRANSFER,
    }
    return bars(study, "With and without punctuation", "tested on", names)


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
        series=(line("accuracy", values),),
        reference=(ReferenceRecord(label="mean", value=float(values.mean())),),
    )


@figure(SHAPES, CENTRED, SHAPES_OF_ONE_SIZE)
def beyond_means(study: Study) -> BarsRecord:
    """Accuracy on states less the mean of their layer."""
    names = {"shapes": SHAPES, "shapes of one size": SHAPES_OF_ONE_SIZE, "linear probe": CENTRED}
    return bars(study, "What is left without the means of the layers", "classifier", names)


@figure(RAW, LDA, NEAREST_MEAN)
def accuracy_in_closed_form(study: Study) -> BarsRecord:
    """Accuracy of classifiers that need no search."""
    names = {"layer probe": RAW, "LDA": LDA, "nearest mean": NEAREST_MEAN}
    return bars(study, "Means of the layers", "classifier", names)


@figure(SEEN, UNSEEN)
def accuracy_by_token(study: Study) -> LinesRecord:
    """Recall of each layer, on tokens that the training documents have and on others."""
    return LinesRecord(
        kind="lines",
        title="Known and unknown tokens",
        caption="Share of a layer's vectors that the probe assigns to that layer, for tokens that its training "
        "documents have and for tokens that they do not have.",
        alt=f"Accuracy on known tokens {number(study.counts(SEEN).accuracy)}, on unknown ones "
        f"{number(study.counts(UNSEEN).accuracy)}.",
        x=PlacesRecord(label="state", values=tuple(range(study.n_labels))),
        y=ScaleRecord(label="recall", log=False),
        series=(
            line("known tokens", study.counts(SEEN).recall),
            line("unknown tokens", study.counts(UNSEEN).recall),
        ),
        reference=(ReferenceRecord(label="chance", value=1 / study.n_labels),),
    )


@figure(RAW, A_TENTH, closed_form)
def accuracy_by_dimensions(study: Study) -> LinesRecord:
    """Accuracy over the share of the dimensions, of LDA."""
    arrays = study.values(closed_form).arrays
    drawn, first = arrays["by dimensions"]
    tenth = study.counts(A_TENTH).accuracy
    return LinesRecord(
        kind="lines",
        title="Fewer dimensions",
        caption="Accuracy of LDA on a share of the dimensions, drawn at random or the first ones. The layer probe "
        f"reaches {number(tenth)} with a tenth of them, drawn at random.",
        alt=f"LDA from {number(float(drawn[0]))} to {number(float(drawn[-1]))}.",
        x=PlacesRecord(label="share of dimensions", values=tuple(map(float, arrays["shares"]))),
        y=ScaleRecord(label="accuracy", log=False),
        series=(line("drawn at random", drawn), line("the first ones", first)),
        reference=(ReferenceRecord(label="chance", value=1 / study.n_labels),),
    )
