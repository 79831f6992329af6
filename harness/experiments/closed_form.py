"""What classifiers in closed form make of the states: means, one shared covariance, one covariance a layer."""

from typing import Final

import numpy as np
from layerclaims.experiments import fitted
from layerclaims.experiments.conditions import chosen_folds, each_fold
from layerclaims.experiments.measurement import Series, Values, measurement, never_published
from layerclaims.experiments.study import Study
from layerclaims.probing import gaussian
from layerclaims.probing.gaussian import LayerMoments
from layerclaims.probing.probe import LayerProbe
from layerclaims.probing.vectors import Vectors
from numpy.typing import NDArray

Labels = NDArray[np.int64]
POSITIONS: Final = (
    8  # of a document, drawn at random, that the quadratic classifier names: it reads all of d x d
)
SHARES: Final = (1 / 20, 1 / 10, 1 / 4, 1 / 2, 1.0)  # of the dimensions


def training_moments(rows: Vectors, fold: int) -> LayerMoments:
    """Means and covariances of each layer over the documents that a fold's probe may see."""
    own = rows.folds[fold]
    others = (rows.x[: own.start], rows.x[own.stop :])
    return gaussian.layer_moments(
        [[part[:, k].reshape(-1, part.shape[-1]) for part in others] for k in range(rows.n_labels)]
    )


@measurement("main", name="layer-means", weight=0.2, check=never_published("classifier of layer means"))
def layer_means(study: Study) -> Values:
    """Nearest mean and LDA on documents that they never saw, and LDA on few dimensions."""
    rows, rng = study.rows("main"), study.rng(19)
    d = rows.x.shape[-1]
    named: dict[Series, dict[int, Labels]] = {LDA: {}, NEAREST_MEAN: {}}
    curves = np.zeros((2, len(SHARES), 2))
    for fold in each_fold("layer means", chosen_folds(rows)):
        moments, tested = training_moments(rows, fold), rows.flat[rows.tested(fold)]
        truth = rows.labels[rows.tested(fold)]
        named[LDA][fold] = gaussian.shared_covariance(moments).predict(tested)
        named[NEAREST_MEAN][fold] = gaussian.nearest_mean(moments).predict(tested)
        for i, share in enumerate(SHARES):
            n = max(1, round(share * d))
            for row, dimensions in enumerate((rng.permutation(d)[:n], np.arange(n))):
                right = gaussian.shared_covariance(moments, np.sort(dimensions)).predict(tested) == truth
                curves[row, i] += right.sum(), right.size
    counts = [fitted.counted_folds(one.name, rows, by_fold, []) for one, by_fold in named.items()]
    more = {"shares": np.array(SHARES), "by dimensions": curves[..., 0] / curves[..., 1]}
    return fitted.joined(*counts, Values(arrays=more, facts={}))


LDA: Final = Series("lda", layer_means)
NEAREST_MEAN: Final = Series("nearest mean", layer_means)


@measurement("main", name="beyond-means", weight=0.5, check=never_published("classifier of centred vectors"))
def beyond_means(study: Study) -> Values:
    """What is left of the layers when each is moved to one place: shapes, shapes of one size, and a linear probe."""
    rows, rng = study.rows("main"), study.rng(20)
    d, parts = rows.x.shape[-1], []
    named: dict[Series, dict[int, Labels]] = {SHAPES: {}, SHAPES_OF_ONE_SIZE: {}, CENTRED: {}}
    probes = []
    rows_tested: dict[int, NDArray[np.int64]] = {}
    for fold in each_fold("layers less their means", chosen_folds(rows)):
        moments = training_moments(rows, fold)
        centre = moments.means.astype(np.float32)
        tested = _some_positions(rows, fold, rng)
        truth = rows.labels[tested]
        x = rows.flat[tested] - centre[truth]
        rows_tested[fold] = tested
        named[SHAPES][fold] = gaussian.shapes(moments).predict(x)
        sizes = np.sqrt(np.einsum("kii->k", moments.covariances, dtype=np.float64) / d)
        sizes = np.where(sizes > 0, sizes, 1.0)
        named[SHAPES_OF_ONE_SIZE][fold] = gaussian.shapes(_of_size_one(moments, sizes)).predict(
            (x / sizes[truth][:, None]).astype(np.float32)
        )
        del moments
        moved, y = _centred(study, rows, fold, centre)
        probes.append(LayerProbe().fit(moved, y, n_labels=rows.n_labels))
        named[CENTRED][fold] = probes[-1].predict(x)
        del moved, y
    for series, by_fold in named.items():
        fits = fitted.certified(probes) if series is CENTRED else []
        parts.append(fitted.counted_rows(series.name, rows, rows_tested, by_fold, fits))
    return fitted.joined(*parts)


SHAPES: Final = Series("shapes", beyond_means)
SHAPES_OF_ONE_SIZE: Final = Series("shapes of one size", beyond_means)
CENTRED: Final = Series("centred", beyond_means)


def _some_positions(rows: Vectors, fold: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Flat rows of a few positions of each of a fold's documents, of all labels."""
    positions = rows.x.shape[2]
    first, last = rows.tested(fold).start, rows.tested(fold).stop
    flat = np.arange(first, last, dtype=np.int64).reshape(-1, rows.n_labels, positions)
    drawn = rng.permuted(np.tile(np.arange(positions), (len(flat), 1)), axis=1)[:, :POSITIONS]
    return np.take_along_axis(flat, np.sort(drawn, axis=1)[:, None, :], axis=2).ravel()


def _of_size_one(moments: LayerMoments, sizes: NDArray[np.float64]) -> LayerMoments:
    """The moments of vectors divided by the deviation of their layer [K]."""
    scale = (sizes**2)[:, None, None].astype(np.float32)
    return LayerMoments(
        counts=moments.counts,
        means=moments.means / sizes[:, None],
        covariances=moments.covariances / scale,
        shrinkages=moments.shrinkages,
    )


def _centred(
    study: Study, rows: Vectors, fold: int, centre: NDArray[np.float32]
) -> tuple[NDArray[np.float32], Labels]:
    """The vectors that a fold's probe may see, each less the mean of its layer, and their labels."""
    own = rows.folds[fold]
    documents = np.delete(np.arange(len(rows.x)), np.arange(own.start, own.stop))
    x = study.memory.empty((len(documents), *rows.x.shape[1:]))
    for place, document in enumerate(documents):
        np.subtract(rows.x[document], centre[:, None, :], out=x[place])
    labels = np.tile(np.repeat(np.arange(rows.n_labels), rows.x.shape[2]), len(documents))
    return x.reshape(-1, x.shape[-1]), labels
