"""Study: one model under one protocol; what is measured of it is computed once and kept on disk."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np
from layerclaims.activations.store import ActivationStore
from layerclaims.corpora.corpus import Role
from layerclaims.errors import LayerclaimsError
from layerclaims.experiments import fitted
from layerclaims.experiments.inputs import Inputs
from layerclaims.experiments.kept import KeptValues, Sources
from layerclaims.experiments.measurement import Measurement, OfEveryModel, Series, Values
from layerclaims.probing.certificate import Certificate
from layerclaims.protocol import MEASUREMENTS_VERSION
from layerclaims.runtime import progress as screen
from layerclaims.runtime.paths import key_name
from layerclaims.statistics.counts import AnswerCounts, Recipe, Statistic, compute
from layerclaims.statistics.estimate import Estimate
from layerclaims.verdicts.claim import Claim
from layerclaims.verdicts.declaration import Declaration, Test, declared
from layerclaims.verdicts.evidence import Evidence, Part
from layerclaims.verdicts.registry import registered
from layerclaims.verdicts.verdict import Verdict, decide


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a study says of a claim."""

    claim: Claim
    verdict: Verdict
    reason: str  # one sentence
    evidence: Evidence


class Study(Inputs):
    """One model under one protocol on its corpora.

    Nothing is read or computed before it is asked for, so that any subset of the claims runs alone; what was
    computed once is read from the cache directory ever after, also by other processes.
    """

    # the studies of all models of the run, by name; set where a run has several
    family: Mapping[str, "Study"] = MappingProxyType({})
    # what the run is going to ask for: work that goes well side by side is done together
    wanted: Sequence[Measurement] = ()
    # how many of these at most, where other processes do the rest; None: all of them
    beside: int | None = None

    @cached_property
    def _kept(self) -> dict[Path, KeptValues]:
        return {}

    @cached_property
    def _at_work(self) -> list[Measurement]:
        return []  # those that are being computed, each for the one before it

    @cached_property
    def _estimates(self) -> dict[tuple[Recipe, float], Estimate]:
        return {}

    # --- what is measured

    def values(self, measurement: Measurement) -> Values:
        """What a measurement found: from memory, from the cache directory, or computed now and kept there."""
        measurement = measurement.under(self.protocol.name)
        self._check_declared(measurement)
        return self.mended(
            lambda: self._of(measurement).get(
                measurement.name, lambda: self._compute(measurement), self.sources(measurement)
            )
        )

    def attempt(self, measurement: Measurement) -> bool:
        """Compute what is not kept yet and keep it, unless another process computes it: then False at once."""
        measurement = measurement.under(self.protocol.name)
        return self.mended(
            lambda: self._of(measurement).attempt(
                measurement.name, lambda: self._compute(measurement), self.sources(measurement)
            )
        )

    def if_free(self, measurement: Measurement) -> contextlib.AbstractContextManager[bool]:
        """Hold the lock under which a measurement is computed; False where another process does that."""
        measurement = measurement.under(self.protocol.name)
        return self._of(measurement).if_free(measurement.name)

    def recall(self, measurement: Measurement) -> bool:
        """Read what an earlier run computed, checksums and all; whether it is there and fit for use."""
        measurement = measurement.under(self.protocol.name)
        return self._of(measurement).recall(measurement.name, self.sources(measurement)) is not None

    def has(self, measurement: Measurement) -> bool:
        """Whether it was computed by an earlier run of these states, which must be there. Reads no numbers."""
        measurement = measurement.under(self.protocol.name)
        return self._of(measurement).has(measurement.name, self.sources(measurement))

    def kept_at(self, measurement: Measurement) -> Path:
        """The file that holds it, there or not; the states that it reads must be there."""
        measurement = measurement.under(self.protocol.name)
        return self._of(measurement).path(measurement.name)

    def keep(self, measurement: Measurement, values: Values) -> None:
        """Keep what was found on the way to something else."""
        measurement = measurement.under(self.protocol.name)
        self._of(measurement).put(measurement.name, values, self.sources(measurement))

    def forget(self, store: ActivationStore) -> None:
        """Drop what was made of states that turned out to be damaged, in memory too."""
        super().forget(store)
        self._kept.clear()
        self._estimates.clear()

    def _compute(self, measurement: Measurement) -> Values:
        self.check(measurement)
        self._at_work.append(measurement)
        try:
            with screen.step(measurement.name, key=(id(self), measurement.name)):
                return measurement.compute(self)
        finally:
            self._at_work.pop()

    def store(self, role: Role) -> ActivationStore:
        """The states of one corpus, as `Inputs.store`; a measurement is given those that it names among its needs."""
        self._check_declared(role)
        return super().store(role)

    def _check_declared(self, need: Role | Measurement) -> None:
        """Refuse what the measurement at work does not name: it would be kept under a key that knows nothing of it."""
        if self._at_work and need not in self._at_work[-1].allowed(self.protocol.name):
            what = (
                f"the states of the {need} corpus"
                if isinstance(need, str)
                else f"the measurement {need.name}"
            )
            raise LayerclaimsError(
                f"The measurement {self._at_work[-1].name} reads {what}; name it among the needs of the measurement."
            )

    def check(self, measurement: Measurement) -> None:
        """Raise NotTestedError, before anything takes its time, where a measurement cannot be had."""
        for need in measurement.all_needs(self.protocol.name):
            if isinstance(need, Measurement) and need.check is not None:
                need.check(self)

    def _of(self, measurement: Measurement) -> KeptValues:
        directory = self.cache_dir / "measurements" / self._key(measurement)
        return self._kept.setdefault(directory, KeptValues(directory))

    def sources(self, measurement: Measurement) -> Sources:
        """The states that it is made of, of its own model and of others: key -> digest."""
        name = self.protocol.name
        stores = [super(Study, self).store(role) for role in measurement.roles(name)]
        found = {store.key: store.digest for store in stores}
        for need in measurement.all_needs(name):
            if isinstance(need, OfEveryModel):
                for study in self.family.values():
                    found |= study.sources(need.measurement)
        return found

    def _key(self, measurement: Measurement) -> str:
        """32 hexadecimal digits of everything that changes its numbers by more than rounding: not of the device."""
        name = self.protocol.name
        needs = measurement.all_needs(name)
        models = [need.measurement for need in needs if isinstance(need, OfEveryModel)]
        key = {
            "version": MEASUREMENTS_VERSION,
            "own version": [
                need.version for need in needs if isinstance(need, Measurement) and need.version > 1
            ],
            "states": {
                role: super(Study, self).store(role).manifest["key"] for role in measurement.roles(name)
            },
            "models": {
                other: [study._key(one) for one in models] for other, study in self.family.items() if models
            },
            "protocol": name,
            "second phase": self.protocol.second_phase,
            "folds": self.protocol.folds,
            "seed": self.protocol.seed,
        }
        return key_name(key)

    # --- what its counts say

    def counts(self, series: Series) -> AnswerCounts:
        """Right answers per document and label of a series, documents by their place in the corpus."""
        arrays = self.values(series.of).arrays
        documents = arrays[f"{series.name}/documents"]
        if series.tested_on is not None:
            role = self.role(series.tested_on)
            documents = np.array(self.store(role).document_ids, dtype=np.int64)[documents]
        return AnswerCounts(
            corpus=series.corpus(self.protocol.name),
            documents=documents,
            correct=arrays[f"{series.name}/correct"],
            total=arrays[f"{series.name}/total"],
        )

    def certificates(self, series: Series) -> list[Certificate]:
        """How well the probes behind a series converged."""
        return fitted.certificates_of(self.values(series.of), series)

    def estimate(self, statistic: Statistic, series: tuple[Series, ...], *, confidence: float) -> Estimate:
        """A statistic of counts, computed once a study."""
        recipe = Recipe(statistic=statistic, series=tuple(one.name for one in series))
        if (recipe, confidence) not in self._estimates:
            found = {one.name: self.counts(one) for one in series}
            self._estimates[recipe, confidence] = compute(
                recipe, found, confidence=confidence, seed=self.protocol.seed
            )
        return self._estimates[recipe, confidence]

    # --- what claims ask

    def evidence(self, declaration: Declaration) -> Evidence:
        """The numbers that a declared rule asks for. Raises NotTestedError before any of them takes its time."""
        declaration = declaration.under(self.protocol.name)
        for need in declaration.needs:
            self.check(need)
        setup = self.setup
        for condition in declaration.conditions:
            condition.quantity.check(self)
        parts = tuple(
            Part(finding=finding, criterion=condition.criterion(setup))
            for condition in declaration.conditions
            for finding in condition.quantity.find(self)
        )
        return Evidence(
            parts=parts,
            controls=tuple(found for control in declaration.controls for found in control.find(self)),
            figures=declaration.figures,
            # theirs did not converge: what it gave is the question
            needs_convergence=not self.protocol.published,
            facts={fact.name: fact.text(self) for fact in declaration.facts},
        )

    def judge(self, claim: str | Test) -> Judgement:
        """Judge a claim: the id of one of the post's, or a test function with @claim. Raises LayerclaimsError.

        Raises NotTestedError where something that the claim needs is absent.
        """
        found = registered(claim)
        declaration = declared(found.test, study=self)
        if declaration is None:
            raise LayerclaimsError(f"The test of {found.claim.id} ended without asking for a verdict.")
        evidence = self.evidence(declaration)
        verdict, reason = decide(evidence)
        return Judgement(claim=found.claim, verdict=verdict, reason=reason, evidence=evidence)
