"""Fitted probes and what they get right, as values that can be kept on disk, and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from layerclaims.experiments.measurement import Series, Values
from layerclaims.metrics import attribution
from layerclaims.probing import answers
from layerclaims.probing.certificate import Certificate
from layerclaims.probing.probe import Probe
from layerclaims.probing.vectors import Vectors
from numpy.typing import NDArray

FIELDS = ("weights", "bias", "mean", "sd")


def of_probes(probes: Sequence[Probe]) -> Values:
    """The probes alone."""
    return Values(
        arrays={field: np.stack([getattr(probe, field) for probe in probes]) for field in FIELDS},
        facts={"unit": [probe.unit for probe in probes], "fits": certified(probes)},
    )


def probes_of(values: Values) -> list[Probe]:
    """The probes as they were fitted."""
    return [
        Probe(
            **{field: values.arrays[field][g] for field in FIELDS},
            unit=bool(values.facts["unit"][g]),
            certificate=certificate,
        )
        for g, certificate in enumerate(fits_of(values))
    ]


def fits_of(values: Values) -> list[Certificate]:
    """How well each of the kept probes converged."""
    return _read(values.facts["fits"])


def counted(vectors: Vectors, predicted: Mapping[str, NDArray[np.int64]], probes: Sequence[Probe]) -> Values:
    """Counts of several series of some probes on all documents: name -> labels [documents, labels, positions]."""
    own = np.argsort(vectors.rows)
    parts = []
    for name, named in predicted.items():
        correct, total = answers.counts_by_document(named)
        parts.append(of_series(name, vectors.rows[own], correct[own], total[own], certified(probes)))
    return joined(*parts)


def counted_folds(
    name: str,
    vectors: Vectors,
    named: Mapping[int, NDArray[np.int64]],
    probes: Sequence[Probe],
    labels: Mapping[int, NDArray[np.int64]] | None = None,
    *,
    positions: int | None = None,
) -> Values:
    """Counts of one series on the documents of some folds: fold -> the labels named for its tested vectors.

    `labels` stand in place of the layers, by fold; only the first `positions` of a document are counted, where given.
    """
    counts = answers.counts_of_tested(vectors, named, labels, positions=positions)
    return of_series(name, *counts, certified(probes))


def counted_draws(
    name: str,
    vectors: Vectors,
    named: Sequence[Mapping[int, NDArray[np.int64]]],
    probes: Sequence[Probe],
) -> Values:
    """Counts of one series that several probes of each fold answer, added up: as `counted_folds`, draw by draw."""
    counts = [answers.counts_of_tested(vectors, by_fold) for by_fold in named]
    correct, total = (np.sum([of[i] for of in counts], axis=0) for i in (1, 2))
    return of_series(name, counts[0][0], correct, total, certified(probes))


def counted_rows(
    name: str,
    vectors: Vectors,
    rows: Mapping[int, NDArray[np.int64]],
    named: Mapping[int, NDArray[np.int64]],
    certificates: Sequence[Any],
) -> Values:
    """Counts of one series on some flat rows, by fold, and the labels named for them."""
    folds = sorted(named)
    chosen, said = (np.concatenate([of[fold] for fold in folds]) for of in (rows, named))
    return of_series(name, *answers.counts_of_rows(vectors, chosen, said), certificates)


def of_series(
    name: str,
    documents: NDArray[np.int64],
    correct: NDArray[np.int64],
    total: NDArray[np.int64],
    certificates: Sequence[Any],
) -> Values:
    """One series: rows of its documents [n], right answers and answers [n, labels], certificates as JSON."""
    return Values(
        arrays={f"{name}/documents": documents, f"{name}/correct": correct, f"{name}/total": total},
        facts={"certificates": {name: list(certificates)}},
    )


def joined(*parts: Values) -> Values:
    """Several as one: their arrays, facts and certificates side by side."""
    facts: dict[str, Any] = {}
    certificates: dict[str, Any] = {}
    for part in parts:
        facts.update(part.facts)
        certificates.update(part.facts.get("certificates", {}))
    arrays = {name: array for part in parts for name, array in part.arrays.items()}
    return Values(arrays=arrays, facts={**facts, "certificates": certificates})


def certified(probes: Sequence[Probe]) -> list[dict[str, Any]]:
    """Their certificates as plain JSON types."""
    return [probe.certificate.as_json() for probe in probes]


def certificates_of(values: Values, series: Series) -> list[Certificate]:
    """How well the probes behind a series converged; none for a classifier that has no optimum."""
    return _read(values.facts["certificates"][series.name])


def _read(certificates: Sequence[Mapping[str, Any]]) -> list[Certificate]:
    return [
        Certificate(**{**c, "relative_gap": float("inf") if c["relative_gap"] is None else c["relative_gap"]})
        for c in certificates
    ]


def plain_shares(probe: Probe) -> NDArray[np.float64]:
    """The contributions [d, K] of a probe by its weights on features as they come, whatever their scale."""
    return attribution.contribution_shares(probe.weights / probe.sd[:, None])


def recurring(weights: Sequence[NDArray[np.float64]]) -> list[int]:
    """The four dimensions to name and mask, by the mean shares of the weights [d, K] of some fits."""
    shares = np.mean([attribution.contribution_shares(one) for one in weights], axis=0)
    return list(attribution.recurrence(shares).dimensions[: attribution.MASKED])


def neighbours(dimensions: Sequence[int], hidden_size: int) -> list[int]:
    """The dimensions that the authors masked: numbers from 1, used as indices that count from 0.

    The right-hand neighbours of some dimensions; the last dimension has none.
    """
    return [int(i) + 1 for i in dimensions if i + 1 < hidden_size]
