"""What classifiers in closed form make of the states: means, one shared covariance, one covariance a layer."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from layerclaims.experiments import fitted
from layerclaims.experiments.conditions import chosen_folds, each_fold
from layerclaims.experiments.measurement import Series, Values, measurement, never_published
from layerclaims.experiments.study import Study
from layerclaims.probing import gaussian, vectors
from layerclaims.probing.gaussian import Likelihoods
from layerclaims.probing.probe import LayerProbe
from layerclaims.probing.vectors import Vectors
from numpy.typing import NDArray

Labels = NDArray[np.int64]
POSITIONS: Final = 8  # of a document, drawn at random, that the quadratic classifier names: d^2 steps a layer
FEW: Final = 4  # positions of a document that the probe of centred vectors is fitted on
SHARES: Final = (1 / 20, 1 / 10, 1 / 4, 1 / 2, 1.0)  # of the dimensions


@measurement("main", name="closed-form", weight=0.5, check=never_published("classifier in closed form"))
def closed_form(study: Study) -> Values:
    """Nearest mean and LDA on documents that they never saw, LDA on few dimensions, and shapes without their means.

    The quadratic classifier is asked vectors less the mean that their own layer has over the training documents.
    """
    rows, rng, drawing = study.rows("main"), study.rng(19), study.rng(20)
    d = rows.x.shape[-1]
    named: dict[Series, dict[int, Labels]] = {
        one: {} for one in (LDA, NEAREST_MEAN, SHAPES, SHAPES_OF_ONE_SIZE)
    }
    asked: dict[int, Labels] = {}
    curves = np.zeros((2, len(SHARES), 2))
    for fold in each_fold("means and shapes of the layers", chosen_folds(rows)):
        layers = _training_layers(rows, fold)
        at = gaussian.places(layers)
        asked[fold] = _some_positions(rows, fold, drawing)
        own = rows.labels[asked[fold]]
        likelihoods, covariance = _likelihoods(study, rows, asked[fold], layers, at)
        named[SHAPES][fold] = likelihoods.likeliest()
        named[SHAPES_OF_ONE_SIZE][fold] = likelihoods.likeliest_of_one_size(own)
        tested, truth = rows.flat[rows.tested(fold)], rows.labels[rows.tested(fold)]
        named[LDA][fold] = gaussian.shared_covariance(at, covariance).predict(tested)
        named[NEAREST_MEAN][fold] = gaussian.nearest_mean(at).predict(tested)
        for i, share in enumerate(SHARES):
            n = max(1, round(share * d))
            for row, dimensions in enumerate((rng.permutation(d)[:n], np.arange(n))):
                right = gaussian.shared_covariance(at, covariance, dimensions).predict(tested) == truth
                curves[row, i] += right.sum(), right.size
    more = {"shares": np.array(SHARES), "by dimensions": curves[..., 0] / curves[..., 1]}
    return fitted.joined(
        *(fitted.counted_folds(one.name, rows, named[one], []) for one in (LDA, NEAREST_MEAN)),
        *(fitted.counted_rows(one.name, rows, asked, named[one], []) for one in (SHAPES, SHAPES_OF_ONE_SIZE)),
        Values(arrays=more, facts={}),
    )


LDA: Final = Series("lda", closed_form)
NEAREST_MEAN: Final = Series("nearest mean", closed_form)
SHAPES: Final = Series("shapes", closed_form)
SHAPES_OF_ONE_SIZE: Final = Series("shapes of one size", closed_form)


@measurement("main", name="centred", weight=0.3, check=never_published("probe of centred vectors"))
def centred_probe(study: Study) -> Values:
    """The layer probe of vectors less the mean of their own layer over the training documents.

    It is fitted on a few positions of a document, drawn at random: all of them would make a second corpus.
    """
    rows, rng = study.rows("main"), study.rng(24)
    probes, named = [], {}
    for fold in each_fold("layer probe less the means of the layers", chosen_folds(rows)):
        means = gaussian.places(_training_layers(rows, fold)).means.astype(np.float32)
        n = min(FEW, rows.x.shape[2])
        chosen = vectors.draw_positions(rows, fold, of=rows.x.shape[2], n=n, rng=rng)
        x, y = vectors.take(rows, chosen, empty=study.memory.empty)
        x -= means[y]
        probes.append(LayerProbe(device=study.computes_on).fit(x, y, n_labels=rows.n_labels))
        del x, y
        own = rows.folds[fold]
        answers = [probes[-1].predict(_flat(rows.x[i] - means[:, None])) for i in range(own.start, own.stop)]
        named[fold] = np.concatenate(answers)
    return fitted.counted_folds(CENTRED.name, rows, named, probes)


CENTRED: Final = Series("centred", centred_probe)


def _flat(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return x.reshape(-1, x.shape[-1])


def _training_layers(rows: Vectors, fold: int) -> list[list[NDArray[np.float32]]]:
    """Of each layer the vectors that a fold's probe may see, as views [documents, positions, d]."""
    own = rows.folds[fold]
    parts = [part for part in (rows.x[: own.start], rows.x[own.stop :]) if len(part)]
    return [[part[:, k] for part in parts] for k in range(rows.n_labels)]


def _likelihoods(
    study: Study,
    rows: Vectors,
    asked: Labels,
    layers: Sequence[Sequence[NDArray[np.float32]]],
    at: gaussian.Places,
) -> tuple[Likelihoods, NDArray[np.float64]]:
    """Of the flat rows asked for, around their own layer's mean; and the mean covariance of the layers.

    One layer's covariance is held at a time.
    """
    own, k = rows.labels[asked], rows.n_labels
    x = study.memory.empty((len(asked), len(at.varying)))
    for layer in range(k):
        x[own == layer] = at.centred(rows.flat[asked[own == layer]], layer)
    forms, log_determinants, sizes = np.empty((len(x), k)), np.empty(k), np.empty(k)
    covariance = np.zeros((x.shape[1], x.shape[1]))
    for layer, pieces in enumerate(layers):
        found = gaussian.shape(pieces, at, layer)
        forms[:, layer] = found.forms(x)
        log_determinants[layer], sizes[layer] = found.log_determinant, found.size
        covariance += found.covariance / k
    return Likelihoods(forms=forms, log_determinants=log_determinants, sizes=sizes, d=x.shape[1]), covariance


def _some_positions(rows: Vectors, fold: int, rng: np.random.Generator) -> Labels:
    """Flat rows of a few positions of each of a fold's documents, of all labels."""
    positions = rows.x.shape[2]
    first, last = rows.tested(fold).start, rows.tested(fold).stop
    flat = np.arange(first, last, dtype=np.int64).reshape(-1, rows.n_labels, positions)
    drawn = rng.permuted(np.tile(np.arange(positions), (len(flat), 1)), axis=1)[:, :POSITIONS]
    return np.take_along_axis(flat, np.sort(drawn, axis=1)[:, None, :], axis=2).ravel()
