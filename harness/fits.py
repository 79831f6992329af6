"""Fitted probes and what they get right, as a measurement that can be kept on disk, and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.claim import Certificate, worst
from harness.kept import Measurement
from harness.measure import accuracy, attribution
from harness.measure.accuracy import Vectors
from harness.probe import Probe


def as_measurement(
    vectors: Vectors,
    predicted: Mapping[str, NDArray[np.int64]],
    probes: Sequence[Probe],
    **more: NDArray[Any],
) -> Measurement:
    """Counts of each series in the documents' own order, and the probes with their certificates."""
    own = np.argsort(vectors.rows)
    arrays: dict[str, NDArray[Any]] = {"documents": vectors.rows[own], **more}
    for name, answers in predicted.items():
        correct, total = accuracy.count(answers)
        arrays[f"{name}/correct"], arrays[f"{name}/total"] = correct[own], total[own]
    fitted = of_probes(probes)
    return Measurement(arrays={**arrays, **fitted.arrays}, facts=fitted.facts)


def of_probes(probes: Sequence[Probe]) -> Measurement:
    """The probes alone."""
    return Measurement(
        arrays={
            field: np.stack([getattr(probe, field) for probe in probes])
            for field in ("weights", "bias", "mean", "sd")
        },
        facts={
            "unit": [probe.unit for probe in probes],
            "certificates": [probe.certificate.as_json() for probe in probes],
        },
    )


def recurring(probes: Sequence[Probe]) -> list[int]:
    """The four dimensions to name and mask, by the folds' mean shares."""
    shares = np.mean([attribution.contribution_shares(p.weights) for p in probes], axis=0)
    return list(attribution.recurrence(shares).dimensions[: attribution.MASKED])


def certificates(measurement: Measurement) -> list[Certificate]:
    """How well each of a measurement's probes converged."""
    return [
        Certificate(**{**c, "relative_gap": float("inf") if c["relative_gap"] is None else c["relative_gap"]})
        for c in measurement.facts["certificates"]
    ]


def certificate(measurement: Measurement) -> Certificate:
    """The worst of them."""
    found = worst(certificates(measurement))
    assert found is not None
    return found


def probes(measurement: Measurement) -> list[Probe]:
    """The probes of a measurement as they were fitted."""
    a = measurement.arrays
    return [
        Probe(
            weights=a["weights"][g],
            bias=a["bias"][g],
            mean=a["mean"][g],
            sd=a["sd"][g],
            unit=bool(measurement.facts["unit"][g]),
            certificate=certificate,
        )
        for g, certificate in enumerate(certificates(measurement))
    ]
