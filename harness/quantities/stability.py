"""Whether repeated runs agree: the folds, each with its own training and test documents; as published, three runs."""

import numpy as np
from layerclaims.experiments import fitted
from layerclaims.experiments.probes import RAW
from layerclaims.experiments.runs import repeated_fits
from layerclaims.experiments.study import Study
from layerclaims.probing.certificate import worst
from layerclaims.quantities.computed import of_study, quantity
from layerclaims.statistics.hypotheses import standard_deviation_upper_bound
from layerclaims.verdicts.evidence import Finding
from numpy.typing import NDArray


@quantity("standard deviation of accuracy", repeated_fits)
def spread_of_accuracy(study: Study) -> Finding:
    """Standard deviation of accuracy over the runs, with one-sided bounds either way."""
    values = accuracy_of_runs(study)
    counts = study.counts(RAW)
    by_document = counts.correct.sum(1) / counts.total.sum(1)
    estimate = standard_deviation_upper_bound(
        values,
        # of a mean of n documents it is that of a document / n
        kurtosis=_excess_kurtosis(by_document) * len(values) / len(by_document),
        confidence=1 - study.protocol.alpha,
        lower_bound=True,
    )
    note = f"runs: {', '.join(f'{v:.4f}' for v in values)}"
    return of_study(
        study, estimate, int(counts.total.sum()), worst(fitted.fits_of(study.values(repeated_fits))), note
    )


def accuracy_of_runs(study: Study) -> NDArray[np.float64]:
    """Accuracy of each run on what its probe never saw, [runs]."""
    return np.array([correct / total for correct, total in study.values(repeated_fits).arrays["runs"]])


def _excess_kurtosis(values: NDArray[np.float64]) -> float:
    """Fourth moment over the squared second, less the normal's 3; 0 for values that are all the same."""
    squares = (values - values.mean()) ** 2
    return float((squares**2).mean() / squares.mean() ** 2 - 3) if squares.any() else 0.0
