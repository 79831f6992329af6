"""A claim's record -> how its test ends: by its verdict alone, or by what changed since a baseline."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from harness import compare
from harness.claim import Verdict

if TYPE_CHECKING:
    from harness.study import Study

End = Literal["pass", "fail", "known"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a claim's test ends. "known": it does not replicate, and that is no news (as a strict xfail)."""

    end: End
    sentence: str  # what a test that does not pass says
    status: compare.Status | None = None  # against the baseline; None without one
    note: str = ""  # what there is to say of the comparison


def by_verdict(record: Mapping[str, Any], *, lenient: bool, verdicts_only: bool) -> Outcome:
    """Without a baseline: REPLICATED passes; so does INCONCLUSIVE if `lenient`, everything if `verdicts_only`."""
    verdict = record["verdict"]
    passes = verdicts_only or verdict == Verdict.REPLICATED or (lenient and verdict == Verdict.INCONCLUSIVE)
    return Outcome(end="pass" if passes else "fail", sentence=f"{verdict}: {record['reason']}")


def by_baseline(record: Mapping[str, Any], study: "Study", baseline: Mapping[str, Any]) -> Outcome:
    """Against a baseline's results: only a regression, as `compare` defines it, fails."""
    change = compare.compare(baseline, _results(record, study))[0]
    verdict, status = record["verdict"], change.status
    if status == "regressed":
        end: End = "fail"
    else:
        end = "pass" if verdict == Verdict.REPLICATED else "known"
    said = {
        "regressed": "regressed from the baseline",
        "improved": "better than in the baseline",
        "same": "as in the baseline",
        "incomparable": "incomparable with the baseline",
        "no baseline": "no baseline for this claim",
    }[status]
    sentence = f"{verdict}, {said}: {record['reason']}"
    if status == "regressed":
        sentence += f" It was {change.baseline}."
    return Outcome(end=end, sentence=sentence, status=status, note=change.note)


def _results(record: Mapping[str, Any], study: "Study") -> dict[str, Any]:
    """As much of results.json as a comparison of one claim reads."""
    protocol, facts = study.protocol, study.facts
    series = {name for part in record["parts"] for name in (part["recipe"] or {}).get("series", ())}
    return {
        "protocol": protocol.as_json(),
        "model": {"name": facts.name, "n_blocks": facts.n_blocks},
        "corpora": [{"role": role, **study.store(role).manifest["corpus"]} for role in ("main", "transfer")],
        "claims": [record],
        "documents": {
            f"{protocol.name}/{name}": {"corpus": study.series(name).corpus} for name in sorted(series)
        },
    }
