"""Whether repeated runs agree. The folds serve as runs: each has its own training and test documents."""

import numpy as np

from harness.claim import Measured
from harness.statistics import standard_deviation_upper_bound
from harness.study import Study


def spread_of_accuracy(study: Study) -> Measured:
    """Standard deviation of accuracy over the folds, with one-sided bounds either way."""
    values = [correct / total for correct, total in study.linear.arrays["runs"]]
    estimate = standard_deviation_upper_bound(
        np.array(values), confidence=1 - study.protocol.alpha, lower_bound=True
    )
    accuracies = ", ".join(f"{v:.4f}" for v in values)
    return study.measured("standard deviation of accuracy", estimate, "raw", note=f"runs: {accuracies}")
