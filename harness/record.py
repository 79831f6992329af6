"""Verdicts -> results.json: a claim's record, and the whole file of a run."""

import math
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from harness import __version__, calibration
from harness import progress as screen
from harness.ablation import ablation
from harness.claim import Claim, Evidence, Measured, Part, Verdict, decide
from harness.errors import NotTestedError
from harness.exhibits import exhibit
from harness.protocol import Protocol, ProtocolName
from harness.results import SCHEMA_VERSION, sealed
from harness.statistics import holm
from harness.study import Study

DISPLAYED = {"embedded": "SmolLM2-135M-Instruct (embedded)"}  # a name for readers
PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "transformers",
    "safetensors",
    "tokenizers",
    "weasyprint",
)


def judged(
    claim: Claim, evidence: Evidence, *, rule: str, protocol: Protocol, seconds: float
) -> dict[str, Any]:
    """The record of a claim that was measured; `rule` is its success region in words."""
    verdict, reason = decide(evidence)
    first = evidence.parts[0]
    p_values = [part.criterion.p_value(part.measured.estimate) for part in evidence.parts]
    known = [p for p in p_values if p is not None]
    tested = [part for part in evidence.parts if part.criterion.relation != "contains"]
    borders = first.criterion.bounds
    certificate = evidence.certificate
    return {
        **_head(claim, protocol),
        "estimate": _finite(first.measured.estimate.value),
        "interval": _interval(first.measured),
        "confidence": first.measured.estimate.confidence,
        "criterion": {
            "text": f"{rule} Here: {', and '.join(map(str, evidence.parts))}.",
            "threshold": borders[-1],
        },
        "parts": [_part(part, p) for part, p in zip(evidence.parts, p_values, strict=True)],
        # joined by "and": the claim's p is its weakest part's (intersection-union)
        "p_value": max(known) if len(known) == len(tested) else None,
        "n_documents": min(part.measured.n_documents for part in evidence.parts),
        "n_vectors": first.measured.n_vectors,
        "controls": [_control(control) for control in evidence.controls]
        + [
            {"name": name, "estimate": None, "interval": None, "note": fact}
            for name, fact in evidence.extra.items()
        ],
        "probe": None if certificate is None else certificate.as_json(),
        "verdict": str(verdict),
        "reason": reason,
        "figures": list(evidence.figures),
        "calibration": calibration.rates(claim.id),
        "seconds": round(seconds, 3),
    }


def control(test: Callable[..., Any], twin: Study) -> dict[str, Any]:
    """Verdict, estimate, interval and reason of a claim's test on the untrained twin of its model."""
    judge = _Keep()
    try:
        test(study=twin, judge=judge)
    except NotTestedError as error:
        return {"verdict": str(Verdict.NOT_TESTED), "estimate": None, "interval": None, "reason": str(error)}
    assert judge.evidence is not None
    verdict, reason = decide(judge.evidence)
    first = judge.evidence.parts[0].measured
    return {
        "verdict": str(verdict),
        "estimate": _finite(first.estimate.value),
        "interval": _interval(first),
        "reason": reason,
    }


class _Keep:
    """Stands for the fixture `judge` and keeps the evidence."""

    evidence: Evidence | None = None

    def __call__(self, *parts: Part, controls: Sequence[Measured] = (), **_: Any) -> None:
        self.evidence = Evidence(parts=parts, controls=tuple(controls))


def unjudged(
    claim: Claim, verdict: Verdict, reason: str, *, protocol: Protocol, seconds: float
) -> dict[str, Any]:
    """The record of a claim that could not be measured: NOT_TESTED or ERROR."""
    return {
        **_head(claim, protocol),
        "estimate": None,
        "interval": None,
        "confidence": 1 - protocol.alpha,
        "criterion": {"text": "", "threshold": None},
        "parts": [],
        "p_value": None,
        "n_documents": 0,
        "n_vectors": 0,
        "controls": [],
        "probe": None,
        "verdict": str(verdict),
        "reason": reason,
        "figures": [],
        "seconds": round(seconds, 3),
    }


def _head(claim: Claim, protocol: Protocol) -> dict[str, Any]:
    return {
        "id": claim.id,
        "section": claim.section,
        "statement": claim.statement,
        "source": claim.source,
        "reported": claim.reported,
        "reported_value": claim.reported_value,
        "protocol": protocol.name,
        "estimand": claim.estimand,
    }


def _part(part: Part, p_value: float | None) -> dict[str, Any]:
    measured, criterion = part.measured, part.criterion
    return {
        "name": measured.name,
        "estimand": measured.note or measured.name,
        "estimate": _finite(measured.estimate.value),
        "interval": _interval(measured),
        "confidence": measured.estimate.confidence,
        "method": measured.estimate.method,
        "relation": criterion.relation,
        "threshold": list(criterion.threshold)
        if isinstance(criterion.threshold, tuple)
        else criterion.threshold,
        "p_value": p_value,
        "holds": criterion.holds(measured.estimate),
        "recipe": None if measured.recipe is None else dict(measured.recipe),
    }


def _control(control: Measured) -> dict[str, Any]:
    return {
        "name": control.name,
        "estimate": _finite(control.estimate.value),
        "interval": _interval(control),
        "note": control.note,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _interval(measured: Measured) -> list[float] | None:
    low, high = measured.estimate.low, measured.estimate.high
    return [low, high] if math.isfinite(low) and math.isfinite(high) else None


def with_holm(records: Sequence[Mapping[str, Any]], *, alpha: float) -> list[dict[str, Any]]:
    """The records with p-values adjusted over all claims of one protocol; a REPLICATED one may not survive."""
    out = [dict(record) for record in records]
    for name in {record["protocol"] for record in out}:
        group = [record for record in out if record["protocol"] == name]
        for record, adjusted in zip(group, holm([r["p_value"] for r in group]), strict=True):
            record["p_holm"] = adjusted
            replicated = record["verdict"] == Verdict.REPLICATED
            record["survives_holm"] = adjusted < alpha if replicated and adjusted is not None else None
    return out


def _drawn(study: Study, figure: str) -> dict[str, Any] | None:
    """A figure's data; None, with a line that says why, where they cannot be had: verdicts do not hang on it."""
    try:
        return exhibit(study, figure)
    except Exception as error:  # whatever it is, hours of work must not be lost to a drawing
        screen.note(f"layerclaims: the figure {figure} is left out: {type(error).__name__}: {error}")
        return None


def assemble(
    studies: Mapping[ProtocolName, Study],
    records: Iterable[Mapping[str, Any]],
    *,
    options: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """results.json of one model: `studies` by protocol name, and the records of all claims in order."""
    rows: list[dict[str, Any]] = [dict(record) for record in records]
    study = next(iter(studies.values()))
    protocol = study.protocol
    name = "both" if len(studies) > 1 else protocol.name
    documents: dict[str, Any] = {}
    figures: dict[str, Any] = {}
    for record in rows:
        one = studies[record["protocol"]]
        for part in record["parts"]:
            for series in (part["recipe"] or {}).get("series", ()):
                key = f"{one.protocol.name}/{series}"
                if key not in documents:
                    documents[key] = one.series(series).as_json()
        for figure in record["figures"]:
            key = figure if len(studies) == 1 else f"{figure}-{one.protocol.name}"
            if key not in figures:
                figures[key] = _drawn(one, figure)
        if len(studies) > 1:
            record["figures"] = [f"{figure}-{one.protocol.name}" for figure in record["figures"]]
        record["figures"] = [key for key in record["figures"] if figures[key] is not None]
    figures = {key: figure for key, figure in figures.items() if figure is not None}
    # the protocols differ in how a probe is fitted: without a probe there is nothing to take apart
    both = len(studies) > 1 and any(record["probe"] is not None for record in rows)
    walk = {"ablation": ablation(study)} if both else {}
    facts = study.facts
    return sealed(
        {
            "schema_version": SCHEMA_VERSION,
            "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "harness": {"version": __version__, "git_commit": _git_commit()},
            "protocol": {**protocol.as_json(), "name": name, "options": list(options)},
            "model": {
                # the store may have been captured under another name of the same weights
                "name": DISPLAYED.get(protocol.model, protocol.model),
                "revision": study.source.revision,
                "architecture": facts.architecture,
                "n_blocks": facts.n_blocks,
                "hidden_size": facts.hidden_size,
                "n_parameters": facts.n_parameters,
                "dtype": facts.dtype,
                "tied_embeddings": facts.tied_embeddings,
                "weights_sha256": facts.weights_sha256,
            },
            "corpora": [_corpus(study, role) for role in ("main", "transfer")],
            "environment": environment(),
            "claims": with_holm(rows, alpha=protocol.alpha),
            **walk,
            "documents": documents,
            "figures": figures,
        }
    )


def _corpus(study: Study, role: Any) -> dict[str, Any]:
    captured, corpus = study.store(role).manifest["corpus"], study.corpora[role]
    counts = {key: captured[key] for key in ("n_texts", "n_available", "skipped", "ids_sha256")}
    return {"role": role, "name": corpus.name, "revision": corpus.revision, **counts}


def environment() -> dict[str, Any]:
    """What the numbers were computed with."""
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "threads": _threads(),
        "packages": packages,
    }


def _threads() -> int:
    if "torch" in sys.modules:
        return int(sys.modules["torch"].get_num_threads())
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _git_commit() -> str | None:
    """The commit of the checkout that this module stands in; None where it stands in none."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    commit = found.stdout.strip()
    return commit if found.returncode == 0 and len(commit) == 40 else None
