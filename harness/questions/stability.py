"""Whether repeated runs agree. The folds serve as runs: each has its own training and test documents."""

import numpy as np

from harness.claim import Measured
from harness.measure.accuracy import fold_order
from harness.statistics import standard_deviation_upper_bound
from harness.study import Study


def spread_of_accuracy(study: Study) -> Measured:
    """Standard deviation of accuracy over the folds, with one-sided bounds either way."""
    series = study.series("raw")
    order, folds = fold_order(len(series.documents), study.protocol.folds, study.protocol.seed)
    rows = np.argsort(series.documents)  # row of each document, whatever the series' order
    values = []
    for fold in folds:
        members = rows[order[fold]]
        values.append(series.correct[members].sum() / series.total[members].sum())
    estimate = standard_deviation_upper_bound(
        np.array(values), confidence=1 - study.protocol.alpha, lower_bound=True
    )
    accuracies = ", ".join(f"{v:.4f}" for v in values)
    return study.measured("standard deviation of accuracy", estimate, "raw", note=f"runs: {accuracies}")
