"""Counts per document -> estimates. The suite judges by these functions and `verify` recomputes by them.

AnswerCounts are what one probe got right: `correct` and `total` [documents, labels] (or [documents]), as stored under
"documents" in results.json. A recipe names a statistic and its series, and is all that is needed to compute an
estimate and its interval again.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Literal

import numpy as np
from layerclaims.statistics.bootstrap import bootstrap_documents, bootstrap_lowest, bootstrap_two_samples
from layerclaims.statistics.estimate import Estimate
from layerclaims.statistics.hypotheses import page_trend
from numpy.typing import NDArray

Floats = NDArray[np.float64]


Statistic = Literal[
    "accuracy",
    "lowest recall",
    "difference",
    "page trend",
    "page trend over labels",
    "half the drop",
    "share above chance",
    "beyond half the drop",
]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How an estimate follows from counts: a statistic, and the names of its series in order."""

    statistic: Statistic | str  # a file may name one that is none
    series: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"statistic": self.statistic, "series": list(self.series)}


@dataclass(frozen=True, kw_only=True)
class AnswerCounts:
    """Right answers of a probe by document and label."""

    corpus: str  # "main" or "transfer": series of one corpus are paired by document
    documents: NDArray[np.int64]  # [n] place of each document in its corpus
    correct: NDArray[np.int64]  # [n, labels]
    total: NDArray[np.int64]  # [n, labels]

    def __post_init__(self) -> None:
        """Refuse counts that cannot be."""
        if not (self.correct.shape == self.total.shape and self.correct.ndim == 2):
            raise ValueError(f"correct {self.correct.shape} and total {self.total.shape} are one matrix each")
        if len(self.documents) != len(self.correct) or len(set(self.documents.tolist())) != len(
            self.documents
        ):
            raise ValueError("a series has one row for each document")
        if (self.correct < 0).any() or (self.correct > self.total).any():
            raise ValueError("right answers lie between 0 and their total")

    @property
    def columns(self) -> Floats:
        """[n, 2]: right answers and answers of each document."""
        return np.stack([self.correct.sum(1), self.total.sum(1)], axis=1).astype(np.float64)

    @property
    def accuracy(self) -> float:
        """Share of right answers over all documents."""
        return float(self.correct.sum() / self.total.sum())

    @property
    def recall(self) -> Floats:
        """Share of right answers by label, [labels]."""
        return np.asarray(self.correct.sum(0) / self.total.sum(0), dtype=np.float64)

    def over_labels(self) -> "AnswerCounts":
        """The same with one column for all labels."""
        correct, total = (counts.sum(1, keepdims=True) for counts in (self.correct, self.total))
        return replace(self, correct=correct, total=total)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types; a single column as a plain list."""
        correct, total = (
            counts[:, 0] if counts.shape[1] == 1 else counts for counts in (self.correct, self.total)
        )
        return {
            "corpus": self.corpus,
            "documents": self.documents.tolist(),
            "correct": correct.tolist(),
            "total": total.tolist(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "AnswerCounts":
        """The inverse of `as_json`; ValueError for counts that cannot be."""
        correct, total = (np.asarray(value[key], dtype=np.int64) for key in ("correct", "total"))
        if correct.ndim == 1:
            correct, total = correct[:, None], total[:, None]
        return cls(
            corpus=str(value["corpus"]),
            documents=np.asarray(value["documents"], dtype=np.int64),
            correct=correct,
            total=total,
        )


def compute(recipe: Recipe, series: Mapping[str, AnswerCounts], *, confidence: float, seed: int) -> Estimate:
    """The estimate that a recipe names: a document-cluster bootstrap with a generator of its own.

    Statistics: "accuracy" of one series; "difference" of the accuracies of two, paired by document where they
    are of one corpus, else two independent samples; "lowest recall" of one series over its labels; "page trend"
    of three series or more of one corpus, in order; "page trend over labels" of one series, whose labels are three or
    more; "half the drop" of four, two of either corpus in turn: half
    of the first difference minus the second; "share above chance" of two of one corpus: how far the first lies above
    chance, one over the number of labels, over how far the second does; "beyond half the drop" of three: the first
    and second of the corpus that is transferred to, and the third of the one before, first - (second + third) / 2. The
    generator depends on the seed and the recipe, so that every
    estimate can be had alone. KeyError for a series that is not there, ValueError for a statistic that is none.
    """
    statistic, names = recipe.statistic, recipe.series
    rng = np.random.default_rng([seed, zlib.crc32("|".join([statistic, *names]).encode())])
    chosen = [series[name] for name in names]
    if statistic == "accuracy":
        (one,) = chosen
        return bootstrap_documents(
            one.columns,
            _accuracy,
            confidence=confidence,
            rng=rng,
            support=(0, 1),
            vectors=_fewest(one.columns[:, 1]),
        )
    if statistic == "lowest recall":
        (one,) = chosen
        labels = one.correct.shape[1]
        columns = np.concatenate([one.correct, one.total], axis=1).astype(np.float64)
        return bootstrap_lowest(
            columns,
            lambda sums: sums[..., :labels] / sums[..., labels:],
            confidence=confidence,
            rng=rng,
            support=(0, 1),
            vectors=_fewest(one.total),
        )
    if statistic == "difference":
        a, b = chosen
        if a.corpus != b.corpus:
            return bootstrap_two_samples(
                a.columns,
                b.columns,
                lambda x, y: _accuracy(x) - _accuracy(y),
                confidence=confidence,
                rng=rng,
                support=(-1, 1),
                vectors=min(_fewest(a.columns[:, 1]), _fewest(b.columns[:, 1])),
            )
        columns = np.concatenate(paired(a, b), axis=1)
        return bootstrap_documents(
            columns,
            lambda sums: _accuracy(sums[..., :2]) - _accuracy(sums[..., 2:]),
            confidence=confidence,
            rng=rng,
            support=(-1, 1),
            vectors=_fewest(columns[:, [1, 3]]),
        )
    if statistic == "page trend":
        return page_trend(
            np.stack([sums[:, 0] / sums[:, 1] for sums in paired(*chosen)], axis=1), confidence=confidence
        )
    if statistic == "page trend over labels":
        (one,) = chosen
        if not one.total.all():
            raise ValueError("a trend over labels needs answers of every document on every label")
        return page_trend(one.correct / one.total, confidence=confidence)
    if statistic == "half the drop":
        main, transfer = (np.concatenate(paired(*chosen[i::2]), axis=1) for i in (0, 1))
        return bootstrap_two_samples(
            main,
            transfer,
            lambda x, y: _half_minus(x) - _half_minus(y),
            confidence=confidence,
            rng=rng,
            support=(-1.5, 1.5),
            vectors=min(_fewest(main[:, 1::2]), _fewest(transfer[:, 1::2])),
        )
    if statistic == "share above chance":
        chance = 1 / chosen[0].correct.shape[1]
        columns = np.concatenate(paired(*chosen), axis=1)
        return bootstrap_documents(
            columns,
            lambda sums: _share_above(_accuracy(sums[..., :2]) - chance, _accuracy(sums[..., 2:]) - chance),
            confidence=confidence,
            rng=rng,
            support=(-1, 2),
            vectors=_fewest(columns[:, [1, 3]]),
        )
    if statistic == "beyond half the drop":
        known, every, before = chosen
        transfer = np.concatenate(paired(known, every), axis=1)
        return bootstrap_two_samples(
            transfer,
            before.columns,
            lambda x, y: _accuracy(x[..., :2]) - (_accuracy(x[..., 2:]) + _accuracy(y)) / 2,
            confidence=confidence,
            rng=rng,
            support=(-1, 1),
            vectors=min(_fewest(transfer[:, [1, 3]]), _fewest(before.columns[:, 1])),
        )
    raise ValueError(f"{statistic!r} is not a statistic that can be computed from counts")


def paired(*series: AnswerCounts) -> list[Floats]:
    """The columns of series of one corpus over the documents that all have, in one order; ValueError for none."""
    common = reduce(np.intersect1d, [one.documents for one in series])
    if not len(common):
        raise ValueError("series of one corpus share no document")
    rows = [
        np.intersect1d(common, one.documents, assume_unique=True, return_indices=True)[2] for one in series
    ]
    return [one.columns[chosen] for one, chosen in zip(series, rows, strict=True)]


def sample_of(series: Sequence[AnswerCounts]) -> tuple[int, int]:
    """How many documents, of the smaller corpus, and how many answers on them a statistic of these rests on."""
    corpora = {one.corpus: [s for s in series if s.corpus == one.corpus] for one in series}
    columns = [paired(*members) for members in corpora.values()]
    return min(len(one[0]) for one in columns), sum(int(c[:, 1].sum()) for one in columns for c in one)


def _share_above(first: Floats, second: Floats) -> Floats:
    """One skill over another; NaN where the other is none."""
    return np.where(second > 0, first / np.where(second > 0, second, 1.0), np.nan)


def _half_minus(sums: Floats) -> Floats:
    """Half of one accuracy minus another, of their columns side by side."""
    return _accuracy(sums[..., :2]) / 2 - _accuracy(sums[..., 2:])


def _fewest(totals: NDArray[Any]) -> int:
    """The smallest number of answers that a document has; 1 if one has none."""
    return max(1, int(totals.min()))


def _accuracy(sums: Floats) -> Floats:
    return np.asarray(sums[..., 0] / sums[..., 1], dtype=np.float64)
