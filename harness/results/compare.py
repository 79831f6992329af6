"""Two results files -> what changed, claim by claim: a regression needs evidence, not another sample.

**The rule.** Verdicts are ordered REPLICATED > INCONCLUSIVE > NOT_REPLICATED. A claim *regressed* when its
verdict got worse and, for at least one of the parts that got worse, the intervals of the two runs separate
(no number lies in both) with the new one on the wrong side. It *improved* when the same holds the other way
round. Any other verdict that changed is *changed*: no regression, and told in words ("weaker verdict, within error:
the intervals overlap"). Two equal verdicts are the *same*.

Why separate intervals and not a changed verdict: near a threshold every other sample of documents changes
the verdict of an unchanged model. Two 95 % intervals of one and the same number separate in one direction
in about .3 % of pairs of independent samples (1.96 x 2 / sqrt(2) = 2.77 standard errors of the difference),
so a verdict that got worse by chance counts as a regression at most that often. REPLICATED -> NOT_REPLICATED
always separates, since the two intervals then lie on opposite sides of the threshold. What the rule costs
is power: a change has to exceed the sum of both half-widths.

**Comparable** are two results of one estimand: same claim and protocol, context, number of labels, corpora
(those that the claim uses), alpha and parts. Another seed, more texts, other folds or a newer model are
comparable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from layerclaims.errors import LayerclaimsError
from layerclaims.results.change_records import BaselineRecord, ChangeRecord, SideRecord, Status, outcome
from layerclaims.runtime.text import digits, inert, shown
from layerclaims.verdicts.criterion import MINIMUM_DOCUMENTS
from layerclaims.verdicts.verdict import Verdict

if TYPE_CHECKING:
    from layerclaims.results.records import ClaimRecord, PartRecord, Results


FailOn = Literal["regression", "change"]
FAIL_ON: tuple[FailOn, ...] = ("regression", "change")
RANK: Mapping[Verdict, int] = {Verdict.NOT_REPLICATED: 0, Verdict.INCONCLUSIVE: 1, Verdict.REPLICATED: 2}
_WHY: Mapping[
    bool | None, str
] = {  # a verdict may change without evidence, by whether the intervals separate
    True: "but not for its estimate",
    False: "within error: the intervals overlap",
    None: "and there are no two intervals to compare",
}
STATE: Mapping[bool | None, int] = {False: 0, None: 1, True: 2}  # of a part, as the verdicts


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What claims stand on: where two runs differ in it, they ask different questions."""

    context: int  # tokens of each document
    alpha: float
    n_labels: int
    corpora: Mapping[str, tuple[str, str]]  # role -> name, and SHA-256 of the ids that were read
    corpus_of: Mapping[str, str]  # "PROTOCOL/SERIES" -> role

    @classmethod
    def of(cls, results: "Results") -> Self:
        """That of a whole run."""
        return cls(
            context=results.protocol.context,
            alpha=results.protocol.alpha,
            n_labels=results.model.n_blocks + 1,
            corpora={corpus.role: (corpus.name, corpus.ids_sha256) for corpus in results.corpora},
            corpus_of={name: series.corpus for name, series in results.documents.items()},
        )


def compare(baseline: "Results", new: "Results") -> list[ChangeRecord]:
    """Every claim (and protocol) of either run, in the order of the new run, then those it lacks.

    The module's docstring states the rule.
    """
    return changes(baseline, new.claims, Ground.of(new))


def changes(baseline: "Results", claims: Sequence["ClaimRecord"], ground: Ground) -> list[ChangeRecord]:
    """As `compare`, for claims of a run that is not over."""
    old_ground = Ground.of(baseline)
    before = {(claim.id, claim.protocol): claim for claim in baseline.claims}
    after = {(claim.id, claim.protocol): claim for claim in claims}
    protocols = {protocol for _, protocol in before}
    found = []
    for key, claim in after.items():
        if key in before:
            old = before[key]
            found.append(_change(old, claim, _difference(old, claim, old_ground, ground)))
            continue
        others = sorted(protocol for name, protocol in before if name == key[0])
        if others and key[1] not in protocols:
            note = f"the protocol differs: {', '.join(others)} in the baseline, {key[1]} now"
            found.append(_without(claim, "incomparable", note, side="new"))
        else:
            note = "the baseline does not have this claim"
            found.append(_without(claim, "no baseline", note, side="new"))
    ran = {protocol for _, protocol in after}
    for key, claim in before.items():
        # a baseline of both protocols serves a run of one
        if key not in after and key[1] in ran:
            note = "the new run does not have this claim"
            found.append(_without(claim, "incomparable", note, side="baseline"))
    return found


def against(baseline: "Results", new: "Results") -> BaselineRecord:
    """What the new run's file says of the baseline that it was held against."""
    changes = compare(baseline, new)
    return BaselineRecord(
        model=baseline.model.name,
        revision=baseline.model.revision,
        created=baseline.created,
        n_texts=baseline.protocol.n_texts,
        context=baseline.protocol.context,
        seed=baseline.protocol.seed,
        sha256=baseline.sha256,
        outcome=outcome(changes),
        changes=tuple(changes),
    )


def exit_status(changes: Sequence[ChangeRecord], fail_on: str | None) -> int:
    """0, or 1 where `fail_on` says that the changes are a failure.

    None never fails. "regression": a claim regressed, or its test broke (ERROR) where the baseline has a
    verdict, or there are claims in both runs and none of them could be compared (a gate that compares nothing
    would pass for ever). "change": any status other than "same". LayerclaimsError for another word.
    """
    if fail_on is None:
        return 0
    if fail_on not in FAIL_ON:
        raise LayerclaimsError(f"--fail-on {shown(fail_on)} is not possible: choose {' or '.join(FAIL_ON)}.")
    if fail_on == "change":
        return int(any(change.status != "same" for change in changes))
    incomparable = [change.status == "incomparable" for change in changes if change.status != "no baseline"]
    nothing = bool(incomparable) and all(incomparable)
    return int(nothing or any(change.status == "regressed" or change.lost for change in changes))


def _change(before: "ClaimRecord", after: "ClaimRecord", difference: str | None) -> ChangeRecord:
    old, now = before.verdict, after.verdict
    parts = list(zip(before.parts, after.parts, strict=False))
    shown_part = 0  # whose numbers are shown: the first, or the one that tells the runs apart
    status: Status = "same"
    note = ""
    if old not in RANK:
        status = "same" if old == now else "no baseline"
        if old != now:
            note = f"the baseline has no verdict, it says {old}"
    elif now not in RANK:
        status = "incomparable"
        note = f"the new run has no verdict, it says {now}: {inert(after.reason, 120)}"
    elif difference is not None:
        status, note = "incomparable", difference
    elif old != now and (doubt := _doubt(before, after)) is not None:
        status, note = "incomparable", doubt
    elif old == now:
        if separate(*parts[0]) if parts else separate(before, after):
            note = "the verdict stands, but its estimate moved by more than both intervals allow"
    else:
        worse = RANK[now] < RANK[old]
        went = [  # the parts that went the way of the verdict
            index
            for index, (b, n) in enumerate(parts)
            if n.holds != b.holds and (STATE[n.holds] < STATE[b.holds]) == worse
        ]
        evidence = [index for index in went if is_evidence(*parts[index], parts[index][1], worse=worse)]
        shown_part = next(iter(evidence or went), 0)
        if evidence:
            status = "regressed" if worse else "improved"
        else:
            status, word = "changed", "weaker" if worse else "stronger"
            apart = separate(*parts[shown_part]) if parts else separate(before, after)
            note = f"{word} verdict, {_WHY[apart]}"
    b: ClaimRecord | PartRecord = before
    n: ClaimRecord | PartRecord = after
    name = ""
    if parts:
        old_part, new_part = parts[shown_part]
        b, n, name = old_part, new_part, new_part.name
        thresholds = digits(old_part.threshold), digits(new_part.threshold)
        if status != "incomparable" and thresholds[0] != thresholds[1] and old in RANK and now in RANK:
            words = f"the threshold was {thresholds[0]} and is {thresholds[1]}"
            note = "; ".join(filter(None, [note, words]))
    comparable = status not in ("incomparable", "no baseline")
    return ChangeRecord(
        id=after.id,
        protocol=after.protocol,
        status=status,
        baseline=_side(old, b),
        new=_side(now, n),
        part=name,
        separate=separate(b, n) if comparable else None,
        note=note,
    )


def _without(
    claim: "ClaimRecord", status: Status, note: str, *, side: Literal["baseline", "new"]
) -> ChangeRecord:
    part = claim.parts[0] if claim.parts else None
    found = _side(claim.verdict, part or claim)
    return ChangeRecord(
        id=claim.id,
        protocol=claim.protocol,
        status=status,
        baseline=found if side == "baseline" else None,
        new=found if side == "new" else None,
        part=part.name if part else "",
        separate=None,
        note=note,
    )


def _side(verdict: Verdict, numbers: "ClaimRecord | PartRecord") -> SideRecord:
    return SideRecord(verdict=verdict, estimate=numbers.estimate, interval=numbers.interval)


def _difference(before: "ClaimRecord", after: "ClaimRecord", baseline: Ground, new: Ground) -> str | None:
    """The first field in which the runs differ and which makes the claim's estimand another one."""
    for name, old, now in (
        ("context", baseline.context, new.context),
        ("alpha", baseline.alpha, new.alpha),
        ("number of labels", baseline.n_labels, new.n_labels),
    ):
        if old != now:
            return f"the {name} differs: {old:g} in the baseline, {now:g} now"
    uses_transfer = _uses_transfer(before, baseline) or _uses_transfer(after, new)
    for role in ("main", "transfer as published" if after.protocol == "as-published" else "transfer"):
        if role != "main" and not uses_transfer:
            continue
        old_name, old_ids = baseline.corpora.get(role, ("none", ""))
        new_name, new_ids = new.corpora.get(role, ("none", ""))
        # one file under two paths is one corpus
        if old_name != new_name and old_ids != new_ids:
            word = "corpus" if role == "main" else "transfer corpus"
            return f"the {word} differs: {shown(old_name)} in the baseline, {shown(new_name)} now"
    rules = [[(part.name, part.relation) for part in claim.parts] for claim in (before, after)]
    if all(rules) and rules[0] != rules[1]:
        return "the rule differs: its parts are not those of the baseline"
    return None


def _uses_transfer(claim: "ClaimRecord", ground: Ground) -> bool:
    if claim.section == "transfer":
        return True
    series = [name for part in claim.parts if part.recipe for name in part.recipe.series]
    return any(
        ground.corpus_of.get(f"{claim.protocol}/{name}") in ("transfer", "transfer as published")
        for name in series
    )


def _doubt(before: "ClaimRecord", after: "ClaimRecord") -> str | None:
    """Why a changed verdict speaks of how it was measured: one run's probe or sample is not to be trusted."""
    for claim, run in ((before, "baseline"), (after, "new run")):
        if not (claim.probe is None or claim.probe.converged or claim.protocol == "as-published"):
            return f"the probe of the {run} did not converge"
        if claim.n_documents is not None and claim.n_documents < MINIMUM_DOCUMENTS:
            return f"the {run} has {claim.n_documents} test documents, fewer than {MINIMUM_DOCUMENTS}"
    return None


Numbers: TypeAlias = "ClaimRecord | PartRecord | SideRecord"  # whatever has an estimate and an interval


def is_evidence(before: Numbers, after: Numbers, part: "PartRecord", *, worse: bool) -> bool:
    """Whether the numbers of a part, before and after, are evidence that it got worse, or else better.

    The intervals separate and the estimate went the way that the verdict went: a threshold that moved is no evidence.
    """
    if not separate(before, after):
        return False
    if part.relation not in (">", "<") or after.estimate is None or before.estimate is None:
        return True
    return (after.estimate < before.estimate) == ((part.relation == ">") == worse)


def separate(a: Numbers, b: Numbers) -> bool | None:
    """Whether two intervals have no number in common; None where there are not two."""
    if a.interval is None or b.interval is None:
        return None
    return a.interval[1] < b.interval[0] or b.interval[1] < a.interval[0]
