"""Quantities of counts: accuracies, their differences and trends, which a results file alone can recompute."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from layerclaims.experiments.measurement import Measurement, Series
from layerclaims.experiments.study import Study
from layerclaims.probing.certificate import worst
from layerclaims.statistics.counts import Recipe, Statistic, sample_of
from layerclaims.verdicts.evidence import Finding
from layerclaims.verdicts.quantity import Quantity


@dataclass(frozen=True, kw_only=True)
class OfCounts(Quantity):
    """A statistic of the right answers per document of one series or more."""

    statistic: Statistic
    series: tuple[Series, ...]
    note: Callable[[Study], str] | None = None  # what there is to say of it once it is known

    @property
    def needs(self) -> tuple[Measurement, ...]:
        """The measurements that hold the series."""
        return tuple(dict.fromkeys(one.of for one in self.series))

    def check(self, study: Study) -> None:
        """As its series say."""
        for one in self.series:
            if one.takes is not None:
                one.takes(study)

    @property
    def recipe(self) -> Recipe:
        """The statistic and the names of its series."""
        return Recipe(statistic=self.statistic, series=tuple(one.name for one in self.series))

    def find(self, study: Study) -> tuple[Finding, ...]:
        """The estimate, with the worst certificate of the probes behind the series."""
        n_documents, n_vectors = sample_of([study.counts(one) for one in self.series])
        found = Finding(
            name=self.name,
            estimate=study.estimate(
                self.statistic, self.series, confidence=self.confidence(study.protocol.alpha)
            ),
            n_documents=n_documents,
            n_vectors=n_vectors,
            certificate=worst([c for one in self.series for c in study.certificates(one)]),
            recipe=self.recipe,
            series=self.series,
            note="" if self.note is None else self.note(study),
        )
        return (found,)


def accuracy(series: Series, *, name: str) -> OfCounts:
    """Share of right answers over all documents of a series."""
    return OfCounts(name=name, statistic="accuracy", series=(series,))


def difference(first: Series, second: Series, *, name: str) -> OfCounts:
    """acc(first) - acc(second), paired by document within a corpus."""
    return OfCounts(name=name, statistic="difference", series=(first, second))


def lowest_recall(series: Series, *, name: str = "lowest recall of a layer") -> OfCounts:
    """The lowest of the layers' recalls."""

    def note(study: Study) -> str:
        return f"state {int(study.counts(series).recall.argmin())} is the least recognised"

    return OfCounts(name=name, statistic="lowest recall", series=(series,), note=note)


def trend(series: Sequence[Series], *, name: str) -> OfCounts:
    """How accuracy rises along some series: Page's trend over documents, positive where it does."""
    return OfCounts(name=name, statistic="page trend", series=tuple(series))


def trend_over_states(series: Series, *, name: str) -> OfCounts:
    """How accuracy rises along the states of one series: Page's trend over documents, positive where it does."""
    return OfCounts(name=name, statistic="page trend over labels", series=(series,))


def share_above_chance(first: Series, second: Series, *, name: str) -> OfCounts:
    """(acc(first) - chance) / (acc(second) - chance), paired by document."""
    return OfCounts(name=name, statistic="share above chance", series=(first, second))


def beyond_half_the_drop(known: Series, every: Series, before: Series, *, name: str) -> OfCounts:
    """By how much acc(known) exceeds the middle between acc(every) and acc(before)."""
    return OfCounts(name=name, statistic="beyond half the drop", series=(known, every, before))


def half_the_drop(full: tuple[Series, Series], reduced: tuple[Series, Series], *, name: str) -> OfCounts:
    """Half the drop from the first series to the second, minus the drop of the reduced ones."""
    return OfCounts(name=name, statistic="half the drop", series=(*full, *reduced))
