"""Planted truth without a model: counts of answers, norms, weights or whole states drawn around known values.

Studies here are the suite's own Study with some of its measurements put in place, so that the claims' tests run on
them as they stand. Drawing counts is cheap: hundreds of runs show how often a verdict is wrong.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from layerclaims.corpora.corpus import PUBLISHED
from layerclaims.experiments import fitted
from layerclaims.experiments.conditions import shuffled_labels
from layerclaims.experiments.measurement import Measurement, Values
from layerclaims.experiments.norms import norms_by_state
from layerclaims.experiments.probes import RAW
from layerclaims.experiments.runs import accuracy_by_model
from layerclaims.experiments.study import Study
from layerclaims.models.facts import ModelFacts
from layerclaims.probing.certificate import Certificate
from layerclaims.probing.probe import Probe
from layerclaims.protocol import Protocol, ProtocolName

CERTIFICATE = {"converged": True, "gradient_norm": 1e-6, "iterations": 50, "relative_gap": 1e-6}
CORRELATION = 0.1  # of two answers of a document: the upper end of what real probes show


def facts(n_blocks: int, hidden_size: int) -> ModelFacts:
    return ModelFacts(
        name="synthetic",
        revision=None,
        architecture="Synthetic",
        n_blocks=n_blocks,
        hidden_size=hidden_size,
        n_parameters=1,
        dtype="float32",
        tied_embeddings=False,
        weights_sha256="0" * 64,
        bos_added=False,
        final_norm=True,
    )


class Drawn(Study):
    """A study of measurements that were drawn: series of counts, sums of norms, weights of the fits compared."""

    def __init__(
        self,
        *,
        seed: int,
        labels: int,
        counts: Mapping[str, np.ndarray] | None = None,
        totals: int = 10,
        sums: np.ndarray | None = None,
        weights: np.ndarray | None = None,
        shuffled: np.ndarray | None = None,
        paths: Mapping[str, np.ndarray] | None = None,
        parameters: int = 1,
        name: ProtocolName = "rigorous",
    ) -> None:
        """`counts` name -> right answers [documents, labels] of `totals` each; `weights` [fits, d, labels].

        The fits are the folds' probes; as published, runs. `sums` [documents, states] of norms, the last ones
        those of the final-normed state; `shuffled` are the weights of
        the probes of shuffled labels; `paths` reducer -> centroids [folds, states, 2].
        """
        super().__init__(Protocol(n_texts=200, seed=seed, name=name), cache_dir=Path("not used"))
        self._labels, self._counts, self._totals = labels, dict(counts or {}), totals
        self._sums, self._weights, self._paths = sums, weights, dict(paths or {})
        self._shuffled = shuffled
        self._parameters = parameters

    @property
    def facts(self) -> ModelFacts:
        d = 32 if self._weights is None else self._weights.shape[1]
        return replace(facts(self._labels - 1, d), n_parameters=self._parameters)

    @property
    def size(self) -> tuple[int, int]:
        return self._labels, self.facts.hidden_size

    @property
    def states(self) -> list[int]:
        return list(range(self._labels))

    def values(self, measurement: Measurement) -> Values:
        if measurement is accuracy_by_model:
            return measurement.compute(self)
        if measurement is norms_by_state:
            return Values(arrays={"sums": self._sums, "sums of all positions": self._sums}, facts={})
        if measurement is shuffled_labels and self._shuffled is not None:
            return Values(arrays={"weights": self._shuffled}, facts={})
        if measurement.name.startswith("reduced-"):
            reducer = measurement.name.removeprefix("reduced-")
            return Values(arrays={"centroids": self._paths[reducer]}, facts={})
        folds = self.protocol.folds
        weights = np.ones((folds, 32, self._labels)) if self._weights is None else self._weights
        parts = [fitted.of_probes([_probe(one) for one in weights])]
        for name, correct in self._counts.items():
            total = np.full_like(correct, self._totals)
            certificates = [CERTIFICATE] * folds
            parts.append(fitted.of_series(name, np.arange(len(correct)), correct, total, certificates))
            if name == RAW.name:
                split = (np.array_split(counts.sum(1), folds) for counts in (correct, total))
                runs = np.array([[part.sum() for part in of] for of in split]).T
                parts.append(Values(arrays={"runs": runs}, facts={}))
        return fitted.joined(*parts)

    def store(self, role: str) -> Any:  # noqa: ARG002  for the numbers of documents behind the norms
        drawn = [self._sums] if self._sums is not None else list(self._counts.values())
        documents = max(map(len, drawn), default=self.protocol.n_texts)
        return _Sizes(
            n_documents=documents,
            document_ids=tuple(range(documents)),
            n_positions=self._totals,
            n_blocks=self._labels - 1,
        )


def _probe(weights: np.ndarray) -> Probe:
    d, labels = weights.shape
    return Probe(
        weights=weights,
        bias=np.zeros(labels),
        mean=np.zeros(d),
        sd=np.ones(d),
        unit=False,
        certificate=Certificate(**CERTIFICATE),
    )


class _Sizes:
    def __init__(self, **sizes: int) -> None:
        self.__dict__.update(sizes)


def answers(
    rng: np.random.Generator, *means: float, documents: int, labels: int, totals: int
) -> list[np.ndarray]:
    """Right answers [documents, labels] of several probes on the same documents, with their mean accuracies.

    Beta-binomial: documents share their difficulty between the probes, the first of which must be the best.
    """
    s = 1 / CORRELATION - 1
    best = means[0]
    shares = rng.beta(best * s, (1 - best) * s, size=(documents, 1))
    return [
        rng.binomial(totals, np.minimum(shares * mean / best, 1), size=(documents, labels)) for mean in means
    ]


class States:
    """Stands for an ActivationStore: states [L + 2, documents, positions, d] in memory."""

    def __init__(self, states: np.ndarray, name: str) -> None:
        self._states = np.ascontiguousarray(states, dtype=np.float32)
        self.n_states, self.n_documents, self.n_positions, self.hidden_size = states.shape
        self.n_blocks = self.n_states - 2
        self.final = self.n_blocks + 1
        self.document_ids = tuple(range(self.n_documents))
        self.facts = facts(self.n_blocks, self.hidden_size)
        self.manifest = {"key": name}
        self.key, self.digest = name, name
        # words that say nothing of the states, most of them several times
        shape = (self.n_documents, self.n_positions)
        self.token_ids = np.random.default_rng(40).integers(0, 4 * self.n_documents, size=shape)

    def state(self, i: int, documents: Any = None) -> np.ndarray:
        return self._states[i].copy() if documents is None else self._states[i][documents]

    def blocks(self, states: list[int]) -> list[np.ndarray]:
        return np.array_split(self._states[states], 3, axis=1)


class InMemory(Study):
    """A study of states in memory; what it measures is not kept on disk."""

    def __init__(
        self,
        main: np.ndarray,
        transfer: np.ndarray | None = None,
        *,
        cache_dir: Path = Path("not used"),
        **protocol: Any,
    ) -> None:
        """States [L + 2, documents, positions, d], the last of them after the final norm.

        As published it takes a `cache_dir`: SGD has checkpoints.
        """
        super().__init__(
            Protocol(**{"n_texts": main.shape[1], "context": max(5, main.shape[2]), **protocol}),
            cache_dir=cache_dir,
        )
        other = States(main if transfer is None else transfer, "t")
        self._stores = {"main": States(main, "main"), "transfer": other, PUBLISHED: other}
        self._found: dict[str, Values] = {}

    def values(self, measurement: Measurement) -> Values:
        measurement = measurement.under(self.protocol.name)
        if measurement.name not in self._found:
            self._found[measurement.name] = measurement.compute(self)
        return self._found[measurement.name]


def gaussian(
    rng: np.random.Generator,
    offsets: np.ndarray,
    *,
    documents: int = 60,
    positions: int = 4,
    factors: np.ndarray | None = None,
    moved: np.ndarray | float = 0.0,
    of_documents: float = 0.3,
    own: float = 0.0,
) -> np.ndarray:
    """States c_i (token + V_i), the token standard normal around its document: [L + 2, documents, positions, d].

    `offsets` V_0..V_L [L + 1, d], `factors` c_0..c_L; `moved` is added to every token (another corpus);
    `of_documents` is the spread of the documents' means, `own` that of what a document adds to each state by
    itself. The final-normed state is state L over its norm.
    """
    labels, d = offsets.shape
    tokens = rng.normal(size=(1, documents, positions, d)) + moved
    tokens += of_documents * rng.normal(size=(1, documents, 1, d))
    x = tokens + offsets[:, None, None, :] + own * rng.normal(size=(labels, documents, 1, d))
    if factors is not None:
        x *= factors[:, None, None, None]
    final = x[-1:] / np.linalg.norm(x[-1:], axis=-1, keepdims=True)
    return np.concatenate([x, final])
