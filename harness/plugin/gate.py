"""A claim's record -> how its test ends: by its verdict alone, or by what changed since a baseline."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from layerclaims.runtime.text import inert
from layerclaims.verdicts.verdict import Verdict

if TYPE_CHECKING:
    from layerclaims.experiments.study import Study
    from layerclaims.results.change_records import ChangeRecord, Status
    from layerclaims.results.compare import Ground
    from layerclaims.results.records import ClaimRecord, Results
    from layerclaims.verdicts.evidence import Evidence


End = Literal["pass", "fail", "known"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a claim's test ends. "known": it does not replicate, and that is no news (as a strict xfail)."""

    end: End
    sentence: str  # what a test that does not pass says
    change: "ChangeRecord | None" = None  # against the baseline; None without one

    @property
    def status(self) -> "Status | None":
        """How the claim compares with the baseline; None without one."""
        return None if self.change is None else self.change.status


def by_verdict(record: "ClaimRecord", *, lenient: bool, verdicts_only: bool) -> Outcome:
    """Without a baseline: REPLICATED passes; so does INCONCLUSIVE if `lenient`, everything if `verdicts_only`."""
    verdict = record.verdict
    passes = verdicts_only or verdict is Verdict.REPLICATED or (lenient and verdict is Verdict.INCONCLUSIVE)
    return Outcome(end="pass" if passes else "fail", sentence=f"{verdict}: {record.reason}")


def by_baseline(record: "ClaimRecord", evidence: "Evidence", study: "Study", baseline: "Results") -> Outcome:
    """Against a baseline's results: only a regression, as `compare` defines it, fails."""
    from layerclaims.results import compare

    change = compare.changes(baseline, [record], _ground(evidence, study))[0]
    if change.status == "regressed":
        end: End = "fail"
    else:
        end = "pass" if record.verdict is Verdict.REPLICATED else "known"
    said = {
        "regressed": "regressed from the baseline",
        "improved": "better than in the baseline",
        "changed": f"another verdict than in the baseline{', within error' if change.within_error else ''}",
        "same": "as in the baseline",
        "incomparable": "incomparable with the baseline",
        "no baseline": "no baseline for this claim",
    }[change.status]
    sentence = f"{record.verdict}, {said}: {record.reason}"
    if change.baseline is not None and change.verdict_changed:
        of_part = f", {inert(change.part, 120)}" if len(record.parts) > 1 and change.part else ""
        sentence += f" In the baseline it was {change.baseline.verdict}{of_part}: {change.baseline}."
    return Outcome(end=end, sentence=sentence, change=change)


def _ground(evidence: "Evidence", study: "Study") -> "Ground":
    """As much of a run as a comparison of one claim needs."""
    from layerclaims.results.compare import Ground

    protocol = study.protocol
    series = {one.name: one for part in evidence.parts for one in part.finding.series}
    corpora = {role: study.store(role).manifest["corpus"] for role in study.corpora_read}
    return Ground(
        context=protocol.context,
        alpha=protocol.alpha,
        n_labels=study.n_labels,
        corpora={role: (corpus["name"], corpus["ids_sha256"]) for role, corpus in corpora.items()},
        corpus_of={f"{protocol.name}/{name}": one.corpus(protocol.name) for name, one in series.items()},
    )
