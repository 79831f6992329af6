"""Two results files -> what changed, claim by claim: a regression needs evidence, not another sample.

**The rule.** Verdicts are ordered REPLICATED > INCONCLUSIVE > NOT_REPLICATED. A claim *regressed* when its
verdict got worse and, for at least one of the parts that got worse, the intervals of the two runs separate
(no number lies in both) with the new one on the wrong side. It *improved* when the same holds the other way
round. Every other pair of verdicts is the *same*: a verdict that changed while the intervals overlap is
told in words ("weaker, within sampling error") and is no regression.

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
from typing import TYPE_CHECKING, Literal, Self

from layerclaims.errors import LayerclaimsError
from layerclaims.protocol import ProtocolName
from layerclaims.runtime.text import digits, inert, shown, with_interval
from layerclaims.verdicts.criterion import MINIMUM_DOCUMENTS
from layerclaims.verdicts.verdict import Verdict

if TYPE_CHECKING:
    from layerclaims.results.records import ClaimRecord, PartRecord, Results


Status = Literal["regressed", "improved", "same", "incomparable", "no baseline"]
FailOn = Literal["regression", "change"]
# in the order of the table
STATUSES: tuple[Status, ...] = ("regressed", "improved", "incomparable", "no baseline", "same")
FAIL_ON: tuple[FailOn, ...] = ("regression", "change")
RANK: Mapping[Verdict, int] = {Verdict.NOT_REPLICATED: 0, Verdict.INCONCLUSIVE: 1, Verdict.REPLICATED: 2}
_STATE = {False: 0, None: 1, True: 2}  # of a part, as the verdicts


@dataclass(frozen=True, kw_only=True)
class Side:
    """What one run says of a claim; the numbers are those of the part that `Change.part` names."""

    verdict: Verdict
    estimate: float | None
    interval: tuple[float, float] | None

    def __str__(self) -> str:
        """As in ".931 [.925, .937]"."""
        return "-" if self.estimate is None else with_interval(self.estimate, self.interval)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One claim under one protocol in both runs."""

    id: str
    protocol: ProtocolName
    status: Status
    baseline: Side | None  # None: not in the baseline
    new: Side | None  # None: not in the new run
    part: str  # name of the part that the numbers belong to; "" for a claim without any
    separate: bool | None  # whether the intervals have no number in common; None where there are not two
    note: str  # one plain sentence, or "" where there is nothing to say

    @property
    def verdict_changed(self) -> bool:
        """Whether both runs have a verdict and these differ, with or without evidence."""
        if self.baseline is None or self.new is None:
            return False
        return self.baseline.verdict != self.new.verdict

    @property
    def lost(self) -> bool:
        """The harness failed in the new run where the baseline has a verdict."""
        return (
            self.baseline is not None
            and self.baseline.verdict is not Verdict.ERROR
            and self.new is not None
            and self.new.verdict is Verdict.ERROR
        )


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


def compare(baseline: "Results", new: "Results") -> list[Change]:
    """Every claim (and protocol) of either run, in the order of the new run, then those it lacks.

    The module's docstring states the rule.
    """
    return changes(baseline, new.claims, Ground.of(new))


def changes(baseline: "Results", claims: Sequence["ClaimRecord"], ground: Ground) -> list[Change]:
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


def table(changes: Sequence[Change]) -> str:
    """The comparison as text for a terminal: what got worse first, then a line for each note and a tally."""
    if not changes:
        return "There is no claim to compare."
    ordered = sorted(changes, key=lambda change: STATUSES.index(change.status))
    both = len({change.protocol for change in changes}) > 1
    rows = [("status", "claim", "verdict", "estimate", "intervals")]
    for change in ordered:
        name = f"{change.id} ({change.protocol})" if both else change.id
        separate = {True: "separate", False: "overlap", None: "-"}[change.separate]
        rows.append((change.status, name, _verdicts(change), _estimates(change), separate))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    told: dict[str, list[str]] = {}  # a note that several claims share is told once
    for change in ordered:
        if change.note:
            told.setdefault(change.note, []).append(f"{change.id} ({change.protocol})" if both else change.id)
    notes = [
        f"{names[0] if len(names) == 1 else f'{len(names)} claims'}: {note}." for note, names in told.items()
    ]
    tally = ", ".join(
        f"{count} {status}"
        for status in STATUSES
        if (count := sum(change.status == status for change in changes))
    )
    return "\n".join([*lines, *(["", *notes] if notes else []), "", f"{tally}."])


def exit_status(changes: Sequence[Change], fail_on: str | None) -> int:
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


def heading(baseline: "Results", new: "Results") -> str:
    """Two lines: model, texts and seed of each run."""

    def line(word: str, results: "Results") -> str:
        model, protocol = results.model, results.protocol
        revision = f" at {inert(model.revision, 120)}" if model.revision else ""
        return (
            f"{word} {inert(model.name, 120)}{revision}, {protocol.n_texts} texts of "
            f"{protocol.context} tokens, seed {protocol.seed}, {results.created}"
        )

    return f"{line('baseline:', baseline)}\n{line('new:     ', new)}"


def _change(before: "ClaimRecord", after: "ClaimRecord", difference: str | None) -> Change:
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
        if _separate(*parts[0]) if parts else _separate(before, after):
            note = "the verdict stands, but its estimate moved by more than both intervals allow"
    else:
        worse = RANK[now] < RANK[old]
        evidence = [
            index
            for index, (b, n) in enumerate(parts)
            if (_STATE[n.holds] < _STATE[b.holds]) == worse
            and n.holds != b.holds
            and _separate(b, n)
            and _moved(b, n, worse=worse)
        ]
        if evidence:
            status, shown_part = ("regressed" if worse else "improved"), evidence[0]
        else:
            changed = [index for index, (b, n) in enumerate(parts) if n.holds != b.holds]
            shown_part = changed[0] if changed else 0
            word = "weaker" if worse else "stronger"
            apart = bool(parts) and _separate(*parts[shown_part])
            why = "but not for its estimate" if apart else "within sampling error: the intervals overlap"
            note = f"{word} verdict, {why}"
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
    return Change(
        id=after.id,
        protocol=after.protocol,
        status=status,
        baseline=_side(old, b),
        new=_side(now, n),
        part=name,
        separate=_separate(b, n) if comparable else None,
        note=note,
    )


def _without(claim: "ClaimRecord", status: Status, note: str, *, side: Literal["baseline", "new"]) -> Change:
    part = claim.parts[0] if claim.parts else None
    found = _side(claim.verdict, part or claim)
    return Change(
        id=claim.id,
        protocol=claim.protocol,
        status=status,
        baseline=found if side == "baseline" else None,
        new=found if side == "new" else None,
        part=part.name if part else "",
        separate=None,
        note=note,
    )


def _side(verdict: Verdict, numbers: "ClaimRecord | PartRecord") -> Side:
    return Side(verdict=verdict, estimate=numbers.estimate, interval=numbers.interval)


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


def _separate(a: "ClaimRecord | PartRecord", b: "ClaimRecord | PartRecord") -> bool | None:
    if a.interval is None or b.interval is None:
        return None
    return a.interval[1] < b.interval[0] or b.interval[1] < a.interval[0]


def _moved(before: "PartRecord", after: "PartRecord", *, worse: bool) -> bool:
    """Whether the estimate went the way that the verdict went: a threshold that moved is no evidence."""
    if after.relation not in (">", "<") or after.estimate is None or before.estimate is None:
        return True
    fell = after.estimate < before.estimate
    return fell == ((after.relation == ">") == worse)


def _verdicts(change: Change) -> str:
    old = "-" if change.baseline is None else change.baseline.verdict
    now = "-" if change.new is None else change.new.verdict
    return old if old == now else f"{old} → {now}"


def _estimates(change: Change) -> str:
    if change.baseline is None or change.new is None:
        return str(change.new or change.baseline)
    return f"{change.baseline} → {change.new}"
