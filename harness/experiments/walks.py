"""Walks: how a row's number goes from the published procedure to the rigorous protocol, an ingredient at a time."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from layerclaims.errors import NotTestedError
from layerclaims.experiments import fitted
from layerclaims.experiments.conditions import OWN_CONTEXT, SIZES, at_context, of_texts
from layerclaims.experiments.measurement import Measurement, Series, Values, measurement
from layerclaims.experiments.probes import (
    MASKED,
    MASKED_NEIGHBOURS,
    RAW,
    SHORTEST,
    UNIT,
    UNIT_CELL,
    layer_probe,
    raw_at,
)
from layerclaims.experiments.sgd import CONTEXTS, FEWEST_TEXTS, Cell
from layerclaims.experiments.solved import Solved
from layerclaims.experiments.study import Study
from layerclaims.metrics import attribution
from layerclaims.probing import answers
from layerclaims.probing.certificate import worst
from layerclaims.statistics.counts import Recipe, Statistic, compute

SOLVED: Final = "a probe solved to its tolerance"
STANDARDISED: Final = "features standardised on the training part"
BY_DOCUMENT: Final = "split by document"


@measurement(layer_probe, "main", name="masked-by-plain-weights")
def masked_by_plain_weights(study: Study) -> Values:
    """The rigorous probes with dimensions masked that are chosen by plain weights: neighbours, and they themselves."""
    rows, probes = study.rows("main"), fitted.probes_of(study.values(layer_probe))
    shares = np.mean([fitted.plain_shares(probe) for probe in probes], axis=0)
    recurring = [int(i) for i in attribution.recurrence(shares).dimensions[: attribution.MASKED]]
    masks = {PLAIN_NEIGHBOURS: fitted.neighbours(recurring, len(shares)), PLAIN_MASKED: recurring}
    named = {
        series.name: answers.held_out(rows, [probe.masked(dimensions) for probe in probes])
        for series, dimensions in masks.items()
    }
    return fitted.counted(rows, named, probes)


PLAIN_NEIGHBOURS: Final = Series("masked neighbours by plain weights", masked_by_plain_weights)
PLAIN_MASKED: Final = Series("masked by plain weights", masked_by_plain_weights)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A number on the way: of series of the published study, or of the rigorous one."""

    ingredient: str  # the one of the rigorous protocol that is new here
    choice: str
    series: tuple[Series, ...]
    rigorous: bool = False


@dataclass(frozen=True, kw_only=True)
class Walk:
    """The way of one row's number; the first step is the published procedure, the last the rigorous protocol."""

    claim: str
    quantity: str
    steps: tuple[Step, ...]
    alone: tuple[Step, ...] = ()  # single changes of the published procedure

    @property
    def needs(self) -> Iterator[tuple[bool, Measurement]]:
        """The measurements behind it, each with whether it is one of the rigorous study."""
        for step in (*self.steps, *self.alone):
            for series in step.series:
                yield step.rigorous, series.of


def _published(*series: Series) -> Step:
    return Step(ingredient="published", choice="the published procedure", series=series)


def _solved(cell: Cell) -> tuple[Series, Series]:
    """Solved on the published features, and on standardised ones."""
    return Solved(cell).series, Solved(cell, standardised=True).series


_RAW, _RAW_STANDARDISED = _solved(Cell())
_UNIT, _UNIT_STANDARDISED = _solved(UNIT_CELL)


def _of_probe(claim: str, quantity: str, *pairs: tuple[Series, Series, Series]) -> Walk:
    """Of what is measured alike under both protocols: solver, features, split; (measured, solved, standardised)."""
    own, solved, standardised = zip(*pairs, strict=True)
    return Walk(
        claim=claim,
        quantity=quantity,
        steps=(
            _published(*own),
            Step(ingredient="solver", choice=SOLVED, series=solved),
            Step(ingredient="features", choice=STANDARDISED, series=standardised),
            Step(ingredient="split", choice=BY_DOCUMENT, series=own, rigorous=True),
        ),
    )


def _of_sweep(claim: str, quantity: str, smaller: Series, cell: Cell, own: Sequence[Series]) -> Walk:
    """Of a sweep: with the number of SGD steps held fixed, then solver and features; `own` is the rigorous row's."""
    solved, standardised = _solved(cell)
    return Walk(
        claim=claim,
        quantity=quantity,
        steps=(
            _published(RAW, smaller),
            Step(
                ingredient="steps",
                choice="as many steps of SGD as the smaller fit takes",
                series=(raw_at(cell), smaller),
            ),
            Step(ingredient="solver", choice=SOLVED, series=(_RAW, solved)),
            Step(ingredient="features", choice=STANDARDISED, series=(_RAW_STANDARDISED, standardised)),
            Step(
                ingredient="rigorous",
                choice="split by document, and the sizes of the rigorous protocol",
                series=tuple(own),
                rigorous=True,
            ),
        ),
    )


_raw, _unit = (RAW, _RAW, _RAW_STANDARDISED), (UNIT, _UNIT, _UNIT_STANDARDISED)
WALKS: Final = (
    _of_probe("layers-linearly-separable", "accuracy", _raw),
    _of_probe("norm-is-a-feature", "accuracy lost by unit-normalising", _raw, _unit),
    _of_probe("norm-is-not-the-only-feature", "accuracy on unit vectors", _unit),
    Walk(
        claim="masking-recurring-dimensions-is-negligible",
        quantity="accuracy lost by masking",
        steps=(
            _published(RAW, MASKED_NEIGHBOURS),
            Step(ingredient="solver", choice=SOLVED, series=(_RAW, Solved(Cell()).neighbours)),
            Step(
                ingredient="features",
                choice=STANDARDISED,
                series=(_RAW_STANDARDISED, Solved(Cell(), standardised=True).neighbours),
            ),
            Step(ingredient="split", choice=BY_DOCUMENT, series=(RAW, PLAIN_NEIGHBOURS), rigorous=True),
            Step(
                ingredient="mask",
                choice="the recurring dimensions themselves masked",
                series=(RAW, PLAIN_MASKED),
                rigorous=True,
            ),
            Step(
                ingredient="contribution",
                choice="weights times the deviation of their feature",
                series=(RAW, MASKED),
                rigorous=True,
            ),
        ),
        alone=(
            Step(
                ingredient="mask", choice="the recurring dimensions themselves masked", series=(RAW, MASKED)
            ),
        ),
    ),
    _of_sweep(
        "more-data-higher-accuracy",
        "accuracy gained by more texts",
        of_texts(FEWEST_TEXTS),
        Cell(texts=FEWEST_TEXTS),
        (RAW, SIZES[0]),
    ),
    _of_sweep(
        "longer-context-higher-accuracy",
        "accuracy gained by a longer context",
        at_context(CONTEXTS[0]),
        Cell(context=CONTEXTS[0]),
        (OWN_CONTEXT, at_context(SHORTEST)),
    ),
)


def walk(way: Walk, *, rigorous: Study, published: Study) -> dict[str, Any] | None:
    """The steps of a walk as results.json has them; None where one of the measurements cannot be had."""
    for of_rigorous, need in way.needs:
        try:
            (rigorous if of_rigorous else published).check(need)
        except NotTestedError:
            return None
    steps, alone = (
        [_found(step, rigorous if step.rigorous else published) for step in some]
        for some in (way.steps, way.alone)
    )
    return {"claim": way.claim, "quantity": way.quantity, "steps": steps, "alone": alone}


def _found(step: Step, study: Study) -> dict[str, Any]:
    counts = {one.name: study.counts(one) for one in step.series}
    statistic: Statistic = "accuracy" if len(step.series) == 1 else "difference"
    recipe = Recipe(statistic=statistic, series=tuple(counts))
    protocol = study.protocol
    estimate = compute(recipe, counts, confidence=1 - protocol.alpha, seed=protocol.seed)
    certificate = worst([c for one in step.series for c in study.certificates(one)])
    finite = math.isfinite(estimate.low) and math.isfinite(estimate.high)
    return {
        "ingredient": step.ingredient,
        "choice": step.choice,
        "value": estimate.value,
        "interval": [estimate.low, estimate.high] if finite else None,
        "converged": None if certificate is None else certificate.converged,
    }
