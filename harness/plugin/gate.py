"""A claim's record -> how its test ends: by its verdict alone, or by what changed since a baseline."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from layerclaims.results import compare
from layerclaims.verdicts.verdict import Verdict

if TYPE_CHECKING:
    from layerclaims.experiments.study import Study
    from layerclaims.results.records import ClaimRecord, Results
    from layerclaims.verdicts.evidence import Evidence


End = Literal["pass", "fail", "known"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a claim's test ends. "known": it does not replicate, and that is no news (as a strict xfail)."""

    end: End
    sentence: str  # what a test that does not pass says
    status: compare.Status | None = None  # against the baseline; None without one
    note: str = ""  # what there is to say of the comparison


def by_verdict(record: "ClaimRecord", *, lenient: bool, verdicts_only: bool) -> Outcome:
    """Without a baseline: REPLICATED passes; so does INCONCLUSIVE if `lenient`, everything if `verdicts_only`."""
    verdict = record.verdict
    passes = verdicts_only or verdict is Verdict.REPLICATED or (lenient and verdict is Verdict.INCONCLUSIVE)
    return Outcome(end="pass" if passes else "fail", sentence=f"{verdict}: {record.reason}")


def by_baseline(record: "ClaimRecord", evidence: "Evidence", study: "Study", baseline: "Results") -> Outcome:
    """Against a baseline's results: only a regression, as `compare` defines it, fails."""
    change = compare.changes(baseline, [record], _ground(evidence, study))[0]
    verdict, status = record.verdict, change.status
    if status == "regressed":
        end: End = "fail"
    else:
        end = "pass" if verdict is Verdict.REPLICATED else "known"
    said = {
        "regressed": "regressed from the baseline",
        "improved": "better than in the baseline",
        "same": "as in the baseline",
        "incomparable": "incomparable with the baseline",
        "no baseline": "no baseline for this claim",
    }[status]
    sentence = f"{verdict}, {said}: {record.reason}"
    if status == "regressed":
        sentence += f" It was {change.baseline}."
    return Outcome(end=end, sentence=sentence, status=status, note=change.note)


def _ground(evidence: "Evidence", study: "Study") -> compare.Ground:
    """As much of a run as a comparison of one claim needs."""
    protocol = study.protocol
    series = {one.name: one for part in evidence.parts for one in part.finding.series}
    corpora = {role: study.store(role).manifest["corpus"] for role in study.corpora_read}
    return compare.Ground(
        context=protocol.context,
        alpha=protocol.alpha,
        n_labels=study.n_labels,
        corpora={role: (corpus["name"], corpus["ids_sha256"]) for role, corpus in corpora.items()},
        corpus_of={f"{protocol.name}/{name}": one.corpus(protocol.name) for name, one in series.items()},
    )
