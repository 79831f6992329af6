"""One claim of a file, judged again: what its counts give, what its code declares, what its parts decide."""

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from layerclaims.errors import NotTestedError
from layerclaims.protocol import Protocol
from layerclaims.results.agreement import Mismatches, same
from layerclaims.results.earlier import Rules
from layerclaims.results.evidence_check import criterion_words, reason_fits, stated_estimate
from layerclaims.results.records import ClaimRecord, PartRecord, ProtocolRecord, RecipeRecord
from layerclaims.results.text_check import check_texts
from layerclaims.runtime.text import digits, shown
from layerclaims.statistics.counts import AnswerCounts, Recipe, compute, sample_of
from layerclaims.statistics.estimate import Estimate
from layerclaims.verdicts.criterion import CONTROL_CONFIDENCE, CONTROLS, MINIMUM_DOCUMENTS, Criterion
from layerclaims.verdicts.quantity import Setup
from layerclaims.verdicts.registry import RegisteredClaim
from layerclaims.verdicts.verdict import Verdict

Basis = Literal["recomputed", "partly", "stated", "without"]  # how much of a verdict follows from counts
MOST_ESTIMATES: Final = 500  # that a hostile file may ask for; a run of both protocols has about 60


class ClaimCheck:
    """Checks the claims of one run."""

    def __init__(
        self,
        protocol: ProtocolRecord,
        series: Mapping[str, AnswerCounts],
        mismatches: Mismatches,
        *,
        claims: Mapping[str, RegisteredClaim],
        setup: Setup | None,
        options: Protocol | None,
        n_texts: int,
        rules: Rules,
        words: bool,
    ) -> None:
        """`series` are those whose counts are sound, by "PROTOCOL/SERIES"; `n_texts` counts all corpora.

        `claims` are those whose rules are known, `setup` what their thresholds follow from and `options` the
        protocol that the file's options make, if these are known. `rules` are those of the file's schema version;
        `words` says that it comes from this very version, so that its sentences are to be those that are made here.
        """
        self._rules, self._words, self._options = rules, words, options
        self._protocol, self._series, self._mismatches = protocol, series, mismatches
        self._claims, self._setup, self._n_texts = claims, setup, n_texts
        self._estimates: dict[tuple[str, str, tuple[str, ...], float], Estimate] = {}

    def check(self, claim: ClaimRecord) -> Basis:
        """Note what does not agree; how much of the verdict was computed again."""
        name = named(claim)
        tested = claim.verdict not in (Verdict.NOT_TESTED, Verdict.ERROR)
        known = self._claims.get(claim.id)
        if known is not None:
            check_texts(name, claim, known, self._options, self._mismatches)
        elif claim.calibration is not None and self._words:
            self._mismatches.note(name, "has error rates, and its rule was never calibrated")
        elif claim.nulls and self._words:
            self._mismatches.note(name, "has null models, and none was ever judged by its rule")
        if not claim.parts or not tested:
            if claim.parts:
                self._mismatches.note(name, f"says {claim.verdict} and has parts that decide it")
            if tested:
                self._mismatches.note(name, f"says {claim.verdict} and has no part that decides it")
            self._unmeasured(name, claim)
            return "without"
        holds, computed = [], []
        rule = self._rule(name, claim)
        for part, criterion in zip(claim.parts, rule, strict=True):
            estimate, state = self._part(f"{name}, {part.name}", claim.protocol, part, criterion)
            holds.append(state)
            computed.append(estimate)
        self._top(name, claim)
        sizes = self._sample(name, claim, computed)
        needs_convergence = self._rules.published_needs_convergence or claim.protocol == "rigorous"
        verdict = _verdict(claim, holds, computed, needs_convergence)
        if claim.verdict != verdict:
            self._mismatches.note(name, f"says {claim.verdict}, and its parts give {verdict}")
        criteria = [criterion for criterion in rule if criterion is not None]
        if len(criteria) == len(rule) and self._words:
            self._sentences(name, claim, criteria, computed, sizes)
        done = sum(estimate is not None for estimate in computed)
        return "recomputed" if done == len(computed) else "partly" if done else "stated"

    def _sentences(
        self,
        name: str,
        claim: ClaimRecord,
        criteria: Sequence[Criterion],
        computed: Sequence[Estimate | None],
        sizes: Sequence[int | None],
    ) -> None:
        """What the claim says in words of its parts: the reason of its verdict, and its criterion in numbers."""
        known = self._claims.get(claim.id)
        declared = known is not None and known.declaration is not None and self._setup is not None
        needs_convergence = claim.protocol == "rigorous"
        if not reason_fits(
            claim, criteria, computed, sizes, needs_convergence=needs_convergence, declared=declared
        ):
            self._mismatches.note(name, f"the reason {shown(claim.reason)} is not what its parts give")
        words = criterion_words(claim, criteria)
        if not claim.criterion.text.endswith(words):
            self._mismatches.note(
                name, f"the criterion's text {shown(claim.criterion.text)} does not end with {shown(words)}"
            )

    def _unmeasured(self, name: str, claim: ClaimRecord) -> None:
        """A claim without parts has no number of its own."""
        shown_too = [
            what
            for what in ("estimate", "interval", "p_value", "probe", "calibration", "control_untrained")
            if getattr(claim, what) is not None
        ]
        shown_too += [what for what in ("controls", "figures", "nulls") if getattr(claim, what)]
        shown_too += [what for what in ("n_documents", "n_vectors") if getattr(claim, what)]
        if claim.criterion.text or claim.criterion.threshold is not None:
            shown_too.append("criterion")
        if shown_too and not claim.parts and self._rules.whole:
            self._mismatches.note(name, f"was not measured and has {', '.join(shown_too)}")

    def _rule(self, name: str, claim: ClaimRecord) -> list[Criterion | None]:
        """Regions and recipes against those that the claim's code declares; the region of each part."""
        parts = claim.parts
        places = [f"{name}, {part.name}" for part in parts]
        stated = [self._criterion(place, part) for place, part in zip(places, parts, strict=True)]
        known = self._claims.get(claim.id)
        rule = None if known is None else known.declaration
        if rule is None:
            return stated
        try:
            rule = rule.under(claim.protocol)
        except NotTestedError:
            self._mismatches.note(name, "has a verdict on what was never published")
            return stated
        conditions = rule.for_parts(len(parts))
        if len(parts) != len(conditions):
            self._mismatches.note(name, f"has {len(parts)} parts, and its rule {len(conditions)}")
            return stated
        for index, (place, part, condition) in enumerate(zip(places, parts, conditions, strict=True)):
            if self._setup is not None:
                want = condition.criterion(self._setup)
                if part.relation == want.relation and same(part.threshold, want.threshold):
                    stated[index] = want  # not rounded to the digits of the file
                else:
                    self._mismatches.note(
                        place,
                        f"is held against {part.relation} {digits(part.threshold)}, and the rule is "
                        f"{want.relation} {digits(want.threshold)}",
                    )
            if condition.quantity.several:
                continue  # each of its numbers has a name and series of its own
            if part.name != condition.quantity.name:
                self._mismatches.note(place, f"is not what the rule speaks of: {condition.quantity.name}")
            declared = condition.quantity.recipe
            # of a number of counts that has no note of its own, nothing is said beyond its name
            unsaid = declared is not None and getattr(condition.quantity, "note", "") is None
            if unsaid and part.estimand != part.name:
                self._mismatches.note(
                    place, f"has the estimand {shown(part.estimand)}, and its code names none"
                )
            recipe = None if declared is None else RecipeRecord.model_validate(declared.as_json())
            if part.recipe != recipe:
                self._mismatches.note(
                    place, f"rests on {_source(part.recipe)}, and the rule on {_source(recipe)}"
                )
        return stated

    def _criterion(self, place: str, part: PartRecord) -> Criterion | None:
        """A part's region as the file states it; None where it states none."""
        if part.threshold is None:
            return None
        try:
            criterion = Criterion(relation=part.relation, threshold=part.threshold)
            criterion.holds(stated_estimate(part))
        except ValueError as error:
            self._mismatches.note(place, str(error))
            return None
        return criterion

    def _part(
        self, place: str, protocol: str, part: PartRecord, criterion: Criterion | None
    ) -> tuple[Estimate | None, bool | None]:
        """The estimate computed again, None where it cannot be; and whether the part holds by it."""
        estimate = None if part.recipe is None else self._compute(place, protocol, part, part.recipe)
        state = None
        if criterion is not None:
            state = criterion.holds(estimate or stated_estimate(part))
            if estimate is not None:
                self._mismatches.hold_p(place, part.p_value, self._rules.p_value(criterion, estimate))
            else:
                self._stated_p(place, part, criterion, state)
        if part.holds != state:
            self._mismatches.note(
                place, f"says that it {_holds(part.holds)}, and its interval that it {_holds(state)}"
            )
        return estimate, state

    def _compute(self, place: str, protocol: str, part: PartRecord, recipe: RecipeRecord) -> Estimate | None:
        """A part's estimate and interval from the counts, compared with what is stated."""
        confidence = 1 - (2 if part.relation == "inside" else 1) * self._protocol.alpha
        if part.relation == "not above":
            confidence = CONTROL_CONFIDENCE
        absent = [name for name in recipe.series if f"{protocol}/{name}" not in self._series]
        if absent:
            self._mismatches.note(
                place, f"rests on {shown(absent[0])}, of which the file has no sound counts"
            )
            return None
        key = (protocol, recipe.statistic, recipe.series, confidence)
        if key not in self._estimates:
            if len(self._estimates) >= MOST_ESTIMATES:
                self._mismatches.note(
                    place, f"is one of more than {MOST_ESTIMATES} numbers, which no run has"
                )
                return None
            try:
                self._estimates[key] = compute(
                    Recipe(statistic=recipe.statistic, series=recipe.series),
                    {name: self._series[f"{protocol}/{name}"] for name in recipe.series},
                    confidence=confidence,
                    seed=self._protocol.seed,
                )
            except (TypeError, ValueError, ArithmeticError) as error:
                self._mismatches.note(place, f"has a recipe that cannot be followed: {shown(error)}")
                return None
        estimate = self._estimates[key]
        self._mismatches.hold(place, "estimate", part.estimate, estimate.value)
        self._mismatches.hold(place, "interval", part.interval, (estimate.low, estimate.high))
        self._mismatches.hold(place, "confidence", part.confidence, confidence)
        if part.method != estimate.method:
            self._mismatches.note(
                place, f"names the method {shown(part.method)}, and it is {shown(estimate.method)}"
            )
        return estimate

    def _stated_p(self, place: str, part: PartRecord, criterion: Criterion, state: bool | None) -> None:
        """A p-value that cannot be computed again still has to be there and to agree with its interval.

        The intervals are those that contain what their test does not reject (see `statistics.Estimate`).
        """
        p, confidence, method = part.p_value, part.confidence, part.method
        measured = part.estimate is not None and part.interval is not None
        if self._rules.present:
            if part.relation in CONTROLS and p is not None:
                self._mismatches.note(place, f"has the p-value {digits(p)}, and a control has none")
            elif part.relation not in CONTROLS and p is None and measured:
                self._mismatches.note(place, "has no p-value, and its interval is finite")
            if self._claims and not self._at_alpha(criterion, part):
                self._mismatches.note(
                    place,
                    f"has the confidence {digits(confidence)}, which does not follow from alpha "
                    f"{digits(self._protocol.alpha)}",
                )
        elif method in ("percentile", "exact", "bound"):
            return
        if p is None or confidence is None or method is None or part.relation in CONTROLS:
            return
        level = self._rules.level(criterion, method, confidence)
        if not math.isclose(p, level, rel_tol=1e-6) and (p < level) != (state is True):
            self._mismatches.note(place, f"has the p-value {digits(p)}, which its interval contradicts")

    def _at_alpha(self, criterion: Criterion, part: PartRecord) -> bool:
        """Whether a stated part's interval has the confidence that its rule asks for."""
        if part.confidence is None:
            return False
        if part.relation == "not above":
            return same(part.confidence, CONTROL_CONFIDENCE)
        return same(criterion.level(part.method, part.confidence), self._protocol.alpha)

    def _top(self, name: str, claim: ClaimRecord) -> None:
        """The numbers shown for the claim are those of its first part, the p-value the largest of all."""
        first = claim.parts[0]
        for what, stated, right in (
            ("estimate", claim.estimate, first.estimate),
            ("interval", claim.interval, first.interval),
            ("confidence", claim.confidence, first.confidence),
        ):
            self._mismatches.hold(name, what, stated, right, source="its first part says")
        threshold = first.threshold
        if isinstance(threshold, tuple) and not isinstance(claim.criterion.threshold, tuple):
            threshold = threshold[-1]  # an equivalence margin is shown by its upper border
        self._mismatches.hold(
            name, "threshold", claim.criterion.threshold, threshold, source="its first part says"
        )
        tested = [part.p_value for part in claim.parts if part.relation not in CONTROLS]
        known = [p for p in tested if p is not None]
        largest = max(known) if known and len(known) == len(tested) else None
        self._mismatches.hold_p(name, claim.p_value, largest, source="the largest of its parts is")

    def _sample(self, name: str, claim: ClaimRecord, computed: Sequence[Estimate | None]) -> list[int | None]:
        """Numbers of documents and vectors against the counts; the documents of each part that rests on counts."""
        found: list[int | None] = []
        for index, (part, estimate) in enumerate(zip(claim.parts, computed, strict=True)):
            if estimate is None or part.recipe is None:
                found.append(None)
                continue
            documents, vectors = sample_of(
                [self._series[f"{claim.protocol}/{one}"] for one in part.recipe.series]
            )
            found.append(documents)
            if index == 0 and claim.n_vectors != vectors:
                self._mismatches.note(name, f"n_vectors is {claim.n_vectors}, and the counts give {vectors}")
        sizes = [size for size in found if size is not None]
        stated, whole = claim.n_documents, len(sizes) == len(computed)
        if sizes and (stated is None or stated > min(sizes) or (whole and stated < min(sizes))):
            self._mismatches.note(name, f"n_documents is {stated}, and the counts give {min(sizes)}")
        elif not sizes and stated is not None and stated > self._n_texts:
            self._mismatches.note(name, f"n_documents is {stated}, and the run has {self._n_texts} texts")
        return found


def named(claim: ClaimRecord) -> str:
    """A claim as "ID (PROTOCOL)"."""
    return f"{claim.id} ({claim.protocol})"


def _verdict(
    claim: ClaimRecord,
    holds: Sequence[bool | None],
    computed: Sequence[Estimate | None],
    needs_convergence: bool,
) -> Verdict:
    """As `verdict.decide`, from what the file says."""
    sizes = [] if claim.n_documents is None else [claim.n_documents]
    sizes += [estimate.n_documents for estimate in computed if estimate is not None]
    too_few = any(size < MINIMUM_DOCUMENTS for size in sizes)
    unconverged = needs_convergence and claim.probe is not None and not claim.probe.converged
    undefined = any(part.estimate is None or part.interval is None for part in claim.parts)
    if too_few or unconverged or undefined:
        return Verdict.INCONCLUSIVE
    if False in holds:
        return Verdict.NOT_REPLICATED
    return Verdict.INCONCLUSIVE if None in holds else Verdict.REPLICATED


def _source(recipe: RecipeRecord | None) -> str:
    return "no counts" if recipe is None else shown(f"{recipe.statistic} of {', '.join(recipe.series)}")


def _holds(state: bool | None) -> str:
    return {True: "holds", False: "does not hold", None: "is undecided"}[state]
