"""Two results files -> what changed, claim by claim: a regression needs evidence, not another sample.

**The rule.** Verdicts are ordered REPLICATED > INCONCLUSIVE > NOT_REPLICATED. A claim *regressed* when its
verdict got worse and, for at least one of the parts that got worse, the intervals of the two runs separate
(no number lies in both) with the new one on the wrong side. It *improved* when the same holds the other way
round. Every other pair of verdicts is the *same*: a verdict that changed while the intervals overlap is
told in words ("weaker, within sampling error") and is no regression.

Why separate intervals and not a changed verdict: near a threshold every other sample of documents changes
the verdict of an unchanged model. Two 95 % intervals of one and the same number separate in one direction
in about .3 % of pairs of independent samples (1.96 x 2 / sqrt(2) = 2.77 standard errors of the difference),
so a verdict that got worse by chance cries regression at most that often. REPLICATED -> NOT_REPLICATED
always separates, since the two intervals then lie on opposite sides of the threshold. What the rule costs
is power: a change has to exceed the sum of both half-widths.

**Comparable** are two results of one estimand: same claim and protocol, context, number of labels, corpora
(those that the claim uses), alpha and parts. Another seed, more texts, other folds or a newer model are
comparable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.claim import MINIMUM_DOCUMENTS, Verdict, number
from harness.errors import LayerclaimsError
from harness.files import shown

Status = Literal["regressed", "improved", "same", "incomparable", "no baseline"]
FailOn = Literal["regression", "change"]
# in the order of the table
STATUSES: tuple[Status, ...] = ("regressed", "improved", "incomparable", "no baseline", "same")
FAIL_ON: tuple[FailOn, ...] = ("regression", "change")
RANK: Mapping[str, int] = {
    Verdict.NOT_REPLICATED.value: 0,
    Verdict.INCONCLUSIVE.value: 1,
    Verdict.REPLICATED.value: 2,
}
_STATE = {False: 0, None: 1, True: 2}  # of a part, as the verdicts


@dataclass(frozen=True, kw_only=True)
class Side:
    """What one run says of a claim; the numbers are those of the part that `Change.part` names."""

    verdict: str
    estimate: float | None
    interval: tuple[float, float] | None

    def __str__(self) -> str:
        """As in ".931 [.925, .937]"."""
        if self.estimate is None:
            return "-"
        if self.interval is None:
            return number(self.estimate)
        return f"{number(self.estimate)} [{number(self.interval[0])}, {number(self.interval[1])}]"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One claim under one protocol in both runs."""

    id: str
    protocol: str
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
            and self.baseline.verdict != Verdict.ERROR
            and self.new is not None
            and self.new.verdict == Verdict.ERROR
        )


def compare(baseline: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Every claim (and protocol) of either run, in the order of the new run, then those it lacks.

    Both are results as `results.read` returns them. The module's docstring states the rule.
    """
    before = {(entry["id"], entry["protocol"]): entry for entry in baseline["claims"]}
    after = {(entry["id"], entry["protocol"]): entry for entry in new["claims"]}
    protocols = {protocol for _, protocol in before}
    changes = []
    for key, entry in after.items():
        if key in before:
            changes.append(_change(before[key], entry, _difference(before[key], entry, baseline, new)))
            continue
        others = sorted(protocol for name, protocol in before if name == key[0])
        if others and key[1] not in protocols:
            note = f"the protocol differs: {', '.join(others)} in the baseline, {key[1]} now"
            changes.append(_without(entry, "incomparable", note, side="new"))
        else:
            note = "the baseline does not have this claim"
            changes.append(_without(entry, "no baseline", note, side="new"))
    ran = {protocol for _, protocol in after}
    for key, entry in before.items():
        # a baseline of both protocols serves a run of one
        if key not in after and key[1] in ran:
            note = "the new run does not have this claim"
            changes.append(_without(entry, "incomparable", note, side="baseline"))
    return changes


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


def heading(baseline: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Two lines: model, texts and seed of each run."""

    def line(word: str, results: Mapping[str, Any]) -> str:
        model, protocol = results["model"], results["protocol"]
        revision = f" at {_plain(model['revision'])}" if model["revision"] else ""
        return (
            f"{word} {_plain(model['name'])}{revision}, {protocol['n_texts']} texts of "
            f"{protocol['context']} tokens, seed {protocol['seed']}, {results['created']}"
        )

    return f"{line('baseline:', baseline)}\n{line('new:     ', new)}"


def _change(before: Mapping[str, Any], after: Mapping[str, Any], difference: str | None) -> Change:
    old, now = before["verdict"], after["verdict"]
    parts = list(zip(before["parts"], after["parts"], strict=False))
    shown_part = 0  # whose numbers are shown: the first, or the one that tells the runs apart
    status: Status = "same"
    note = ""
    if old not in RANK:
        status = "same" if old == now else "no baseline"
        if old != now:
            note = f"the baseline has no verdict, it says {old}"
    elif now not in RANK:
        status, note = "incomparable", f"the new run has no verdict, it says {now}: {_plain(after['reason'])}"
    elif difference is not None:
        status, note = "incomparable", difference
    elif old != now and (doubt := _doubt(before, after)) is not None:
        status, note = "incomparable", doubt
    elif old == now:
        first = parts[0] if parts else (before, after)
        if _separate(*first):
            note = "the verdict stands, but its estimate moved by more than both intervals allow"
    else:
        worse = RANK[now] < RANK[old]
        evidence = [
            index
            for index, (b, n) in enumerate(parts)
            if (_STATE[n["holds"]] < _STATE[b["holds"]]) == worse
            and n["holds"] != b["holds"]
            and _separate(b, n)
            and _moved(b, n, worse=worse)
        ]
        if evidence:
            status, shown_part = ("regressed" if worse else "improved"), evidence[0]
        else:
            changed = [index for index, (b, n) in enumerate(parts) if n["holds"] != b["holds"]]
            shown_part = changed[0] if changed else 0
            word = "weaker" if worse else "stronger"
            apart = bool(parts) and _separate(*parts[shown_part])
            why = "but not for its estimate" if apart else "within sampling error: the intervals overlap"
            note = f"{word} verdict, {why}"
    if parts:
        b, n = parts[shown_part]
        if status != "incomparable" and b["threshold"] != n["threshold"] and old in RANK and now in RANK:
            note = "; ".join(
                filter(None, [note, f"the threshold was {b['threshold']} and is {n['threshold']}"])
            )
    else:
        b, n = before, after
    comparable = status not in ("incomparable", "no baseline")
    return Change(
        id=after["id"],
        protocol=after["protocol"],
        status=status,
        baseline=_side(old, b),
        new=_side(now, n),
        part=str(n.get("name", "")),
        separate=_separate(b, n) if comparable else None,
        note=note,
    )


def _without(
    entry: Mapping[str, Any], status: Status, note: str, *, side: Literal["baseline", "new"]
) -> Change:
    part = entry["parts"][0] if entry["parts"] else entry
    found = _side(entry["verdict"], part)
    return Change(
        id=entry["id"],
        protocol=entry["protocol"],
        status=status,
        baseline=found if side == "baseline" else None,
        new=found if side == "new" else None,
        part=str(part.get("name", "")),
        separate=None,
        note=note,
    )


def _side(verdict: str, part: Mapping[str, Any]) -> Side:
    interval = part["interval"]
    return Side(
        verdict=verdict,
        estimate=part["estimate"],
        interval=None if interval is None else (interval[0], interval[1]),
    )


def _difference(
    before: Mapping[str, Any], after: Mapping[str, Any], baseline: Mapping[str, Any], new: Mapping[str, Any]
) -> str | None:
    """The first field in which the runs differ and which makes the claim's estimand another one."""
    for name in ("context", "alpha"):
        old, now = baseline["protocol"][name], new["protocol"][name]
        if old != now:
            return f"the {name} differs: {old:g} in the baseline, {now:g} now"
    old, now = baseline["model"]["n_blocks"] + 1, new["model"]["n_blocks"] + 1
    if old != now:
        return f"the number of labels differs: {old} in the baseline, {now} now"
    for role in ("main", "transfer"):
        if role == "transfer" and not (_uses_transfer(before, baseline) or _uses_transfer(after, new)):
            continue
        a, b = _corpus(baseline, role), _corpus(new, role)
        # one file under two paths is one corpus
        if a["name"] != b["name"] and a["ids_sha256"] != b["ids_sha256"]:
            word = "corpus" if role == "main" else "transfer corpus"
            return f"the {word} differs: {shown(a['name'])} in the baseline, {shown(b['name'])} now"
    relations = [[part["relation"] for part in entry["parts"]] for entry in (before, after)]
    if all(relations) and relations[0] != relations[1]:
        return "the rule differs: its parts are not those of the baseline"
    return None


def _uses_transfer(entry: Mapping[str, Any], results: Mapping[str, Any]) -> bool:
    if entry["section"] == "transfer":
        return True
    series = [
        f"{entry['protocol']}/{name}"
        for part in entry["parts"]
        for name in (part.get("recipe") or {}).get("series", [])
    ]
    return any(results["documents"].get(name, {}).get("corpus") == "transfer" for name in series)


def _corpus(results: Mapping[str, Any], role: str) -> Mapping[str, Any]:
    absent = {"name": "none", "ids_sha256": ""}
    return next((corpus for corpus in results["corpora"] if corpus["role"] == role), absent)


def _doubt(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """Why a changed verdict speaks of how it was measured: one run's probe or sample is not to be trusted."""
    for entry, run in ((before, "baseline"), (after, "new run")):
        if entry["probe"] is not None and not entry["probe"]["converged"]:
            return f"the probe of the {run} did not converge"
        if entry["n_documents"] is not None and entry["n_documents"] < MINIMUM_DOCUMENTS:
            return f"the {run} has {entry['n_documents']} test documents, fewer than {MINIMUM_DOCUMENTS}"
    return None


def _separate(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool | None:
    if a["interval"] is None or b["interval"] is None:
        return None
    return bool(a["interval"][1] < b["interval"][0] or b["interval"][1] < a["interval"][0])


def _moved(before: Mapping[str, Any], after: Mapping[str, Any], *, worse: bool) -> bool:
    """Whether the estimate went the way that the verdict went: a threshold that moved is no evidence."""
    if after["relation"] not in (">", "<"):
        return True
    fell = after["estimate"] < before["estimate"]
    return bool(fell == ((after["relation"] == ">") == worse))


def _verdicts(change: Change) -> str:
    old = "-" if change.baseline is None else change.baseline.verdict
    now = "-" if change.new is None else change.new.verdict
    return old if old == now else f"{old} → {now}"


def _estimates(change: Change) -> str:
    if change.baseline is None or change.new is None:
        return str(change.new or change.baseline)
    return f"{change.baseline} → {change.new}"


def _plain(text: object) -> str:
    return shown(text)[1:-1]
