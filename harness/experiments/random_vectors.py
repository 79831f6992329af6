"""Random vectors in place of the states: a probe trained on them could only read norms."""

from typing import Final

import numpy as np
from layerclaims.experiments import fitted
from layerclaims.experiments.conditions import chosen_folds, each_fold
from layerclaims.experiments.measurement import Series, Values, measurement
from layerclaims.experiments.sgd import WEIGHT, Cell
from layerclaims.experiments.sgd import fitted as fitted_by_sgd
from layerclaims.experiments.study import Study
from layerclaims.probing import answers, fit, vectors
from layerclaims.probing.sgd import Task
from layerclaims.probing.transforms import Transform, predict, standardised_unit
from layerclaims.probing.vectors import Vectors
from numpy.typing import NDArray


@measurement("main", name="trained-on-random", weight=0.5)
def random_probe(study: Study) -> Values:
    """A probe trained and tested on isotropic directions that have the norms of the standardised vectors.

    As many folds are fitted as hold enough documents, as under other conditions.
    """
    drawn, norms = _blank(study)
    vectors.fill_directions(drawn.flat, norms, study.rng(16))
    folds = chosen_folds(drawn)
    fits = fit.fit_folds(drawn, folds=folds, device=study.computes_on)
    named, probes = {}, []
    for fold, probe in zip(each_fold("layer probe on random vectors", folds), fits, strict=True):
        named[fold] = probe.predict(drawn.flat[drawn.tested(fold)])
        probes.append(probe)
    return fitted.counted_folds(RANDOM_TRAINED.name, drawn, named, probes)


RANDOM_TRAINED: Final = Series("trained on random", random_probe)


@random_probe.as_published("main", weight=WEIGHT)
def published_random_probe(study: Study) -> Values:
    """The authors' random vectors: uniform entries, of norms drawn by label, and a probe trained on them.

    Features are standardised first; the norm of a vector is normal with its label's mean norm and, as its
    deviation, its label's variance of norms.
    """
    drawn, norms = _blank(study)
    labels, split = drawn.labels, Cell().split(study, drawn)
    rng = study.rng(17)
    mean, variance = (
        np.array([statistic(norms[labels == label]) for label in range(study.n_labels)])
        for statistic in (np.mean, np.var)
    )
    vectors.fill_uniform(drawn.flat, rng.normal(mean[labels], variance[labels]), rng)
    task = Task(
        train=split.training,
        test=split.tested,
        seed=(study.protocol.seed, 21),
        checkpoint=study.kept_at(random_probe).with_suffix(".partial"),
    )
    (found,) = fitted_by_sgd(study, drawn.flat, labels, [task])
    named = predict(drawn.flat, split.tested, found.weights, found.bias, Transform())
    certificate = {
        "converged": False,
        "gradient_norm": found.gradient_norm,
        "iterations": found.steps,
        "relative_gap": None,
    }
    counts = answers.counts_of_rows(drawn, split.tested, named)
    return fitted.of_series(RANDOM_TRAINED.name, *counts, [certificate])


def _blank(study: Study) -> tuple[Vectors, NDArray[np.float64]]:
    """A matrix to fill, in the place of that of the main corpus, and the norms of its standardised vectors."""
    rows = study.rows("main")
    order, folds, shape = rows.rows, rows.folds, rows.x.shape
    reciprocal = standardised_unit(rows.flat, np.arange(len(rows.flat))).after
    assert reciprocal is not None
    norms = np.divide(1, reciprocal, out=np.zeros(len(reciprocal)), where=reciprocal > 0)
    del rows
    study.release()  # first, so that two are never held
    return Vectors(x=study.memory.empty(shape), rows=order, folds=folds), norms
