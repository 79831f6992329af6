"""Verdicts -> results.json: a claim's record, and the whole file of a run."""

import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from layerclaims import __version__
from layerclaims.corpora.corpus import Role
from layerclaims.errors import NotTestedError
from layerclaims.experiments.study import Study
from layerclaims.experiments.walks import WALKS, walk
from layerclaims.protocol import Protocol, ProtocolName
from layerclaims.results.figure_records import FIGURES, FigureRecord
from layerclaims.results.file import plain, sealed
from layerclaims.results.records import (
    SCHEMA_VERSION,
    CalibrationRecord,
    ClaimRecord,
    ControlRecord,
    CorpusRecord,
    CriterionRecord,
    EnvironmentRecord,
    HarnessRecord,
    ModelRecord,
    PartRecord,
    ProbeRecord,
    ProtocolRecord,
    RecipeRecord,
    Results,
    SeriesRecord,
    TwinRecord,
    WalkRecord,
)
from layerclaims.runtime import progress as screen
from layerclaims.statistics.hypotheses import holm
from layerclaims.verdicts import calibration
from layerclaims.verdicts.claim import POST, Claim
from layerclaims.verdicts.criterion import CONTROLS
from layerclaims.verdicts.declaration import Declaration, Figure
from layerclaims.verdicts.evidence import Evidence, Finding, Part
from layerclaims.verdicts.published import published_figure
from layerclaims.verdicts.verdict import Verdict, decide

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


def judged(claim: Claim, evidence: Evidence, *, rule: str, protocol: Protocol, seconds: float) -> ClaimRecord:
    """The record of a claim that was measured; `rule` is its success region in words."""
    verdict, reason = decide(evidence)
    first = evidence.parts[0]
    p_values = [part.criterion.p_value(part.finding.estimate) for part in evidence.parts]
    known = [p for p in p_values if p is not None]
    tested = [part for part in evidence.parts if part.criterion.relation not in CONTROLS]
    certificate = evidence.certificate
    # measured on our rows under the rigorous protocol: another's claim of the same name has another rule
    calibrated = claim.source == POST and not protocol.published
    rates = calibration.rates(claim.id) if calibrated else None
    return ClaimRecord(
        **_head(claim, protocol),
        estimate=_finite(first.finding.estimate.value),
        interval=_interval(first.finding),
        confidence=first.finding.estimate.confidence,
        criterion=CriterionRecord(
            text=f"{rule} Here: {', and '.join(map(str, evidence.parts))}.".lstrip(),
            threshold=first.criterion.bounds[-1],
        ),
        parts=tuple(_part(part, p) for part, p in zip(evidence.parts, p_values, strict=True)),
        # joined by "and": the claim's p is its weakest part's (intersection-union)
        p_value=max(known) if len(known) == len(tested) else None,
        n_documents=min(part.finding.n_documents for part in evidence.parts),
        n_vectors=first.finding.n_vectors,
        controls=(
            *map(_control, evidence.controls),
            *(
                ControlRecord(name=name, estimate=None, interval=None, note=fact)
                for name, fact in evidence.facts.items()
            ),
        ),
        probe=None if certificate is None else ProbeRecord.model_validate(certificate.as_json()),
        verdict=verdict,
        reason=reason,
        figures=tuple(figure.id for figure in evidence.figures),
        calibration=None if rates is None else CalibrationRecord.model_validate(rates),
        seconds=round(seconds, 3),
        p_holm=None,
    )


def control(declaration: Declaration, twin: Study) -> TwinRecord:
    """Verdict, estimate, interval and reason of a claim's rule on the untrained twin of its model."""
    try:
        evidence = twin.evidence(replace(declaration, controls=(), figures=(), facts=()))
    except NotTestedError as error:
        return TwinRecord(verdict=Verdict.NOT_TESTED, estimate=None, interval=None, reason=str(error))
    verdict, reason = decide(evidence)
    first = evidence.parts[0].finding
    return TwinRecord(
        verdict=verdict, estimate=_finite(first.estimate.value), interval=_interval(first), reason=reason
    )


def unjudged(
    claim: Claim, verdict: Verdict, reason: str, *, protocol: Protocol, seconds: float
) -> ClaimRecord:
    """The record of a claim that could not be measured: NOT_TESTED or ERROR."""
    return ClaimRecord(
        **_head(claim, protocol),
        estimate=None,
        interval=None,
        confidence=1 - protocol.alpha,
        criterion=CriterionRecord(text="", threshold=None),
        parts=(),
        p_value=None,
        n_documents=0,
        n_vectors=0,
        controls=(),
        probe=None,
        verdict=verdict,
        reason=reason,
        figures=(),
        seconds=round(seconds, 3),
        p_holm=None,
    )


def _head(claim: Claim, protocol: Protocol) -> dict[str, Any]:
    """What a record says of the claim itself, with its source's figure for this very run where there is one."""
    figure = None
    if claim.source == POST:
        figure = published_figure(
            claim.id,
            model=protocol.model,
            corpus=protocol.corpus,
            transfer_corpus=protocol.transfer_corpus,
            context=protocol.context,
            n_texts=protocol.n_texts,
        )
    return {
        "id": claim.id,
        "section": claim.section,
        "statement": claim.statement,
        "source": claim.source,
        "where": claim.where,
        "reported": claim.reported if figure is None else figure.text,
        "reported_value": claim.reported_value if figure is None else figure.value,
        "reported_cell": None if figure is None else figure.cell,
        "reported_exact": figure is not None,
        "protocol": protocol.name,
        "estimand": claim.estimand,
    }


def _part(part: Part, p_value: float | None) -> PartRecord:
    found, criterion = part.finding, part.criterion
    return PartRecord(
        name=found.name,
        estimand=found.note or found.name,
        estimate=_finite(found.estimate.value),
        interval=_interval(found),
        confidence=found.estimate.confidence,
        method=found.estimate.method,
        relation=criterion.relation,
        threshold=criterion.threshold,
        p_value=p_value,
        holds=criterion.holds(found.estimate),
        recipe=None if found.recipe is None else RecipeRecord.model_validate(found.recipe.as_json()),
    )


def _control(control: Finding) -> ControlRecord:
    return ControlRecord(
        name=control.name,
        estimate=_finite(control.estimate.value),
        interval=_interval(control),
        note=control.note,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _interval(finding: Finding) -> tuple[float, float] | None:
    low, high = finding.estimate.low, finding.estimate.high
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def with_holm(records: Sequence[ClaimRecord], *, alpha: float) -> list[ClaimRecord]:
    """The records with p-values adjusted over all claims of one protocol; a REPLICATED one may not survive."""
    adjusted: dict[int, float | None] = {}
    for name in {record.protocol for record in records}:
        group = [index for index, record in enumerate(records) if record.protocol == name]
        adjusted |= zip(group, holm([records[index].p_value for index in group]), strict=True)
    return [
        record.model_copy(
            update={
                "p_holm": p,
                "survives_holm": p < alpha
                if record.verdict is Verdict.REPLICATED and p is not None
                else None,
            }
        )
        for record, p in ((record, adjusted[index]) for index, record in enumerate(records))
    ]


@dataclass
class Exhibits:
    """What records name and results.json holds once, as plain JSON types: they may cross to another process."""

    documents: dict[str, dict[str, Any]] = field(default_factory=dict)  # by the name of a series
    figures: dict[str, dict[str, Any] | None] = field(default_factory=dict)  # by id; None: could not be drawn

    def add(self, other: "Exhibits") -> None:
        """Take over what another one has."""
        self.documents.update(other.documents)
        self.figures.update(other.figures)


def exhibits(study: Study, evidence: Evidence, *, known: Exhibits) -> Exhibits:
    """The counts and the figures behind a claim's evidence, less what is known already."""
    found = Exhibits()
    series = [one for part in evidence.parts for one in part.finding.series]
    for one in series:
        if one.name not in known.documents:
            found.documents[one.name] = study.counts(one).as_json()
    for figure in evidence.figures:
        if figure.id not in known.figures:
            found.figures[figure.id] = _drawn(study, figure)
    return found


def _drawn(study: Study, figure: Figure) -> dict[str, Any] | None:
    """A figure's data; None, with a line that says why, where they cannot be had: verdicts do not hang on it."""
    try:
        drawn = figure.draw(study).model_copy(update={"protocol": study.protocol.name})
        return plain(drawn, exact=True)
    except Exception as error:  # whatever it is, hours of work must not be lost to a drawing
        screen.note(f"layerclaims: the figure {figure.id} is left out: {type(error).__name__}: {error}")
        return None


def assemble(
    studies: Mapping[ProtocolName, Study],
    records: Iterable[ClaimRecord],
    exhibited: Mapping[ProtocolName, Exhibits],
    *,
    options: Sequence[Mapping[str, Any]],
    command: Sequence[str] = (),
) -> Results:
    """The results of one model: studies and exhibits by protocol, and the records of all claims in order.

    `command` is what pytest was given.
    """
    claims: list[ClaimRecord] = []
    study = next(iter(studies.values()))
    protocol = study.protocol
    name = "both" if len(studies) > 1 else protocol.name
    documents: dict[str, SeriesRecord] = {}
    figures: dict[str, FigureRecord] = {}
    for record in records:
        shown_with = exhibited[record.protocol]
        for part in record.parts:
            for series in part.recipe.series if part.recipe else ():
                key = f"{record.protocol}/{series}"
                if key not in documents:
                    documents[key] = SeriesRecord.model_validate(shown_with.documents[series])
        kept = []
        for figure in record.figures:
            key = figure if len(studies) == 1 else f"{figure}-{record.protocol}"
            if (drawn := shown_with.figures.get(figure)) is not None:
                figures[key] = figures.get(key) or FIGURES.validate_python(drawn)
                kept.append(key)
        claims.append(record.model_copy(update={"figures": tuple(kept)}))
    more: dict[str, Any] = {"command": tuple(command)} if command else {}
    more |= {"walks": walks} if (walks := _walks(studies, claims)) else {}
    facts = study.facts
    return sealed(
        Results(
            schema_version=SCHEMA_VERSION,
            created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            harness=HarnessRecord(version=__version__, git_commit=_git_commit()),
            protocol=ProtocolRecord.model_validate(
                {**protocol.as_json(), "name": name, "options": list(options)}
            ),
            model=ModelRecord(
                # the store may have been captured under another name of the same weights
                name=DISPLAYED.get(protocol.model, protocol.model),
                revision=study.source.revision,
                architecture=facts.architecture,
                n_blocks=facts.n_blocks,
                hidden_size=facts.hidden_size,
                n_parameters=facts.n_parameters,
                dtype=facts.dtype,
                tied_embeddings=facts.tied_embeddings,
                weights_sha256=facts.weights_sha256,
            ),
            corpora=tuple(
                _corpus(one, role)
                for role, one in {role: one for one in studies.values() for role in one.corpora_read}.items()
            ),
            environment=environment(),
            claims=tuple(with_holm(claims, alpha=protocol.alpha)),
            **more,
            documents=documents,
            figures={key: figure for key, figure in figures.items() if figure is not None},
        )
    )


def _walks(studies: Mapping[ProtocolName, Study], claims: Sequence[ClaimRecord]) -> tuple[WalkRecord, ...]:
    """How the numbers go from one protocol to the other, for the rows that were measured under both.

    What cannot be had is left out, with a line that says why: verdicts do not hang on it.
    """
    if len(studies) < 2:
        return ()
    measured = [(claim.id, claim.protocol) for claim in claims if claim.parts]
    found = []
    for way in WALKS:
        if not all((way.claim, name) in measured for name in studies):
            continue
        try:
            walked = walk(way, rigorous=studies["rigorous"], published=studies["as-published"])
            found += [] if walked is None else [WalkRecord.model_validate(walked)]
        except Exception as error:  # whatever it is, hours of work must not be lost to an explanation
            why = f"{type(error).__name__}: {error}"
            screen.note(f"layerclaims: the way between the protocols of {way.claim} is left out: {why}")
    return tuple(found)


def _corpus(study: Study, role: Role) -> CorpusRecord:
    captured, corpus = study.store(role).manifest["corpus"], study.corpus(role)
    counts = {key: captured[key] for key in ("n_texts", "n_available", "skipped", "ids_sha256")}
    return CorpusRecord.model_validate(
        {"role": role, "name": corpus.name, "revision": corpus.revision, **counts}
    )


def environment() -> EnvironmentRecord:
    """What the numbers were computed with."""
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return EnvironmentRecord(
        python=platform.python_version(),
        platform=platform.platform(),
        cpu=_cpu(),
        threads=_threads(),
        packages=packages,
    )


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
