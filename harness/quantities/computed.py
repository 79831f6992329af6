"""Quantities computed from measurements by a function of their own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from layerclaims.experiments.measurement import Measurement
from layerclaims.experiments.study import Study
from layerclaims.probing.certificate import Certificate
from layerclaims.statistics.bootstrap import bootstrap_documents
from layerclaims.statistics.estimate import Estimate
from layerclaims.statistics.jackknife import jackknife_groups
from layerclaims.verdicts.evidence import Finding
from layerclaims.verdicts.quantity import Quantity
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Computed(Quantity):
    """What a function makes of some measurements of a study."""

    made_of: tuple[Measurement, ...]
    function: Callable[[Study], Finding | Sequence[Finding]]
    takes: Callable[[Study], None] | None = None  # raises NotTestedError for a model that is too small

    def check(self, study: Study) -> None:
        """As `takes`."""
        if self.takes is not None:
            self.takes(study)

    @property
    def needs(self) -> tuple[Measurement, ...]:
        """The measurements that the function reads."""
        return self.made_of

    def find(self, study: Study) -> tuple[Finding, ...]:
        """What the function finds; a single finding goes by the quantity's name."""
        found = self.function(study)
        return (replace(found, name=self.name),) if isinstance(found, Finding) else tuple(found)


def quantity(
    name: str,
    *made_of: Measurement,
    several: bool = False,
    takes: Callable[[Study], None] | None = None,
) -> Callable[[Callable[[Study], Finding | Sequence[Finding]]], Computed]:
    """Make a function of a study a quantity: a constant that claims can hold against a region."""

    def make(function: Callable[[Study], Finding | Sequence[Finding]]) -> Computed:
        return Computed(name=name, made_of=made_of, function=function, several=several, takes=takes)

    return make


def mean_of(made_of: Measurement, array: str, *, name: str) -> Computed:
    """The mean over documents of an array [documents] of a measurement, by a document bootstrap."""

    def function(study: Study) -> Finding:
        values = np.asarray(study.values(made_of).arrays[array], dtype=np.float64)
        columns = np.stack([values, np.ones(len(values))], axis=1)
        estimate = bootstrap_documents(
            columns,
            lambda sums: np.asarray(sums[..., 0] / sums[..., 1]),
            confidence=1 - study.protocol.alpha,
            rng=study.rng(15),
            support=(float(values.min()), float(values.max())),
        )
        return Finding(estimate=estimate, n_documents=len(values), n_vectors=len(values))

    return Computed(name=name, made_of=(made_of,), function=function)


def without_each(values: Floats) -> Floats:
    """The means [n] of independent numbers [n, ...] without each: their jackknife is Student's interval of a mean."""
    return np.asarray((values.sum(axis=0) - values) / (len(values) - 1))


def left_out(
    study: Study,
    values: Floats | Sequence[float],
    *,
    value: float | None = None,
    support: tuple[float, float] = (-np.inf, np.inf),
    resolution: float = 0.0,
    certificate: Certificate | None = None,
    n_vectors: int | None = None,
    note: str = "",
) -> Finding:
    """A number made of what was fitted: delete-a-group jackknife of `values` [folds], each without one fold.

    `value` is the number itself, by default their mean. Position 0 counts among the vectors as published only.
    """
    store = study.store("main")
    estimate = jackknife_groups(
        np.asarray(values, dtype=np.float64),
        value=value,
        confidence=1 - study.protocol.alpha,
        support=support,
        resolution=resolution,
        n_documents=store.n_documents,
    )
    vectors = store.n_documents * (store.n_positions - study.first_position) * study.n_labels
    return of_study(study, estimate, vectors if n_vectors is None else n_vectors, certificate, note)


def of_study(
    study: Study,
    estimate: Estimate,
    n_vectors: int,
    certificate: Certificate | None = None,
    note: str = "",
) -> Finding:
    """A finding that rests on all documents of the main corpus."""
    return Finding(
        estimate=estimate,
        n_documents=study.store("main").n_documents,
        n_vectors=n_vectors,
        certificate=certificate,
        note=note,
    )


def shown(study: Study, value: float) -> Finding:
    """A number of all positions, the first one too, that is shown without an interval."""
    store = study.store("main")
    nothing = Estimate(
        value=value,
        low=float("nan"),
        high=float("nan"),
        confidence=1 - study.protocol.alpha,
        method="bound",
        n_documents=store.n_documents,
    )
    return of_study(study, nothing, store.n_documents * store.n_positions * study.n_labels)
