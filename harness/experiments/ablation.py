"""Ablation: from the rigorous protocol to the published one and back, one ingredient changed at a time."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from layerclaims.experiments.measurement import Measurement, Values
from layerclaims.experiments.study import Study
from layerclaims.probing import fit as fitting
from layerclaims.probing.answers import counts_of_tested
from layerclaims.probing.vectors import Vectors, fold_order, gather, split_vectors
from layerclaims.protocol import SETTINGS, LastLabel, ProtocolName, Setting
from layerclaims.runtime import progress as screen
from layerclaims.statistics.counts import AnswerCounts, Recipe, compute
from layerclaims.statistics.estimate import Estimate
from numpy.typing import NDArray

DOCUMENTS: Final = 200  # of the main corpus at most, and
FOLD: Final = 0  # the probe of one fold only: twenty fits, half of them scikit-learn's, are slow enough


@dataclass(frozen=True, kw_only=True)
class Step:
    """One setting of the walk: a protocol's own, or its own with one ingredient of the other's."""

    start: ProtocolName
    changed: str | None  # the ingredient; None: the protocol as it is
    setting: Setting


def steps() -> list[Step]:
    """Each protocol and every single change of it towards the other."""
    rigorous, published = SETTINGS["rigorous"], SETTINGS["as-published"]
    ends: tuple[tuple[ProtocolName, Setting, Setting], ...] = (
        ("rigorous", rigorous, published),
        ("as-published", published, rigorous),
    )
    walk = []
    for start, own, other in ends:
        walk.append(Step(start=start, changed=None, setting=own))
        for name in own.differing(other):
            changed = replace(own, **{name: other.ingredients[name]})  # type: ignore[arg-type]
            walk.append(Step(start=start, changed=name, setting=changed))
    return walk


def ablation(study: Study) -> list[dict[str, Any]]:
    """The rows of results.json: accuracy on states as they are and on unit vectors under each step's setting.

    One fold of at most DOCUMENTS documents of the main corpus, intervals over documents, kept on disk like every
    measurement. Any protocol's study will do: only its states, folds, seed and alpha count.
    """
    walk = steps()
    held: dict[LastLabel, Vectors] = {}

    def vectors(last: LastLabel) -> Vectors:
        if last not in held:
            held.clear()  # first, so that two are never held
            study.release()
            held[last] = _gather(study, last)
        return held[last]

    found = {}
    with screen.Progress("ablation between the protocols", len(walk), "settings") as bar:
        for step in sorted(walk, key=lambda step: step.setting.last):  # each matrix is read once
            name = "-".join(["ablation", *step.setting.ingredients.values()]).replace(" ", "-")
            compute = _measure(vectors, step.setting, study.protocol.seed)
            found[step] = study.values(Measurement(name, compute, ("main",)))
            bar.advance()
    return [_row(step, found[step], study) for step in walk]


def _gather(study: Study, last: LastLabel) -> Vectors:
    """The documents of the ablation, labelled with raw states but for the last one."""
    store = study.store("main")
    n = min(DOCUMENTS, store.n_documents)
    order, folds = fold_order(n, study.protocol.folds, study.protocol.seed)
    states = [*range(store.n_blocks), store.final if last == "final" else store.n_blocks]
    block = (store.state(i, slice(0, n)) for i in states)
    return gather([block], len(states), order, folds)


def _measure(
    vectors: Callable[[LastLabel], Vectors], setting: Setting, seed: int
) -> Callable[[Study], Values]:
    def measure(_: Study) -> Values:
        chosen = vectors(setting.last)
        if setting.split == "vector":
            chosen = split_vectors(chosen, seed)
        arrays: dict[str, NDArray[Any]] = {}
        certificates = {}
        for name in ("raw", "unit"):
            probe = fitting.fit_fold(chosen, FOLD, setting, unit=name == "unit")
            tested = probe.predict(chosen.flat[chosen.tested(FOLD)])
            arrays["documents"], arrays[f"{name}/correct"], arrays[f"{name}/total"] = counts_of_tested(
                chosen, {FOLD: tested}
            )
            certificates[name] = probe.certificate.as_json()
        return Values(arrays=arrays, facts={"certificates": certificates})

    return measure


def _row(step: Step, found: Values, study: Study) -> dict[str, Any]:
    row: dict[str, Any] = {
        "start": step.start,
        "changed": step.changed,
        "ingredients": step.setting.ingredients,
    }
    for name, prefix in (("raw", ""), ("unit", "unit_")):
        estimate = _estimate(name, found.arrays, study)
        finite = all(math.isfinite(v) for v in (estimate.low, estimate.high))
        row[f"{prefix}accuracy"] = estimate.value
        row[f"{prefix}interval"] = [estimate.low, estimate.high] if finite else None
        row[f"{prefix}converged"] = found.facts["certificates"][name]["converged"]
    row["n_documents"] = len(found.arrays["documents"])
    return row


def _estimate(name: str, arrays: Mapping[str, NDArray[Any]], study: Study) -> Estimate:
    series = AnswerCounts(
        corpus="main",
        documents=arrays["documents"],
        correct=arrays[f"{name}/correct"],
        total=arrays[f"{name}/total"],
    )
    recipe = Recipe(statistic="accuracy", series=(name,))
    protocol = study.protocol
    return compute(recipe, {name: series}, confidence=1 - protocol.alpha, seed=protocol.seed)
