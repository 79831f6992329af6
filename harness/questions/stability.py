"""Whether repeated runs agree. The folds serve as runs: each has its own training and test documents."""

import numpy as np
from numpy.typing import NDArray

from harness.claim import Measured
from harness.statistics import standard_deviation_upper_bound
from harness.study import Study


def spread_of_accuracy(study: Study) -> Measured:
    """Standard deviation of accuracy over the folds, with one-sided bounds either way."""
    values = np.array([correct / total for correct, total in study.linear.arrays["runs"]])
    series = study.series("raw")
    by_document = series.correct.sum(1) / series.total.sum(1)
    estimate = standard_deviation_upper_bound(
        values,
        # of a mean of n documents it is that of a document / n
        kurtosis=_excess_kurtosis(by_document) * len(values) / len(by_document),
        confidence=1 - study.protocol.alpha,
        lower_bound=True,
    )
    accuracies = ", ".join(f"{v:.4f}" for v in values)
    return study.measured("standard deviation of accuracy", estimate, "raw", note=f"runs: {accuracies}")


def _excess_kurtosis(values: NDArray[np.float64]) -> float:
    """Fourth moment over the squared second, less the normal's 3; 0 for values that are all the same."""
    squares = (values - values.mean()) ** 2
    return float((squares**2).mean() / squares.mean() ** 2 - 3) if squares.any() else 0.0
