"""Records and exhibits of a run -> the whole of results.json."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from layerclaims import __version__
from layerclaims.corpora.corpus import Role
from layerclaims.experiments.study import Study
from layerclaims.experiments.walks import WALKS, walk
from layerclaims.protocol import ProtocolName
from layerclaims.recording.environment import environment, git_commit
from layerclaims.recording.exhibits import Exhibits, left_out
from layerclaims.recording.pictures import REDUCTIONS, pictures
from layerclaims.results.compare import against
from layerclaims.results.figure_records import FIGURES, FigureRecord
from layerclaims.results.file import plain, sealed
from layerclaims.results.model_records import AdapterRecord, ModelRecord
from layerclaims.results.records import (
    SCHEMA_VERSION,
    ClaimRecord,
    CorpusRecord,
    HarnessRecord,
    ProtocolRecord,
    Results,
    SelectedRecord,
    SeriesRecord,
)
from layerclaims.results.walk_records import WalkRecord
from layerclaims.statistics.hypotheses import holm
from layerclaims.verdicts.verdict import Verdict

WALK = "walk"  # its name among what is missing


def assemble(
    studies: Mapping[ProtocolName, Study],
    records: Iterable[ClaimRecord],
    exhibited: Mapping[ProtocolName, Exhibits],
    *,
    options: Sequence[Mapping[str, Any]],
    command: Sequence[str] = (),
    selected: SelectedRecord | None = None,
    baseline: Results | None = None,
) -> Results:
    """The results of one model: studies and exhibits by protocol, and the records of all claims in order.

    `command` is what pytest was given, `selected` how many claims were run of how many there are, `baseline` an earlier
    run to hold this one against. What could not be drawn is absent, with its reason among the claim's `missing`.
    """
    claims: list[ClaimRecord] = []
    study = next(iter(studies.values()))
    protocol = study.protocol
    run = "both" if len(studies) > 1 else protocol.name
    documents: dict[str, SeriesRecord] = {}
    figures: dict[str, FigureRecord] = {}
    for record in records:
        shown_with = exhibited[record.protocol]
        for part in record.parts:
            for series in part.recipe.series if part.recipe else ():
                key = f"{record.protocol}/{series}"
                if key not in documents:
                    documents[key] = SeriesRecord.model_validate(shown_with.documents[series])
        kept, missing = [], dict(record.missing)
        for figure in record.figures:
            key = figure if len(studies) == 1 else f"{figure}-{record.protocol}"
            if (drawn := shown_with.figures.get(figure)) is not None:
                figures[key] = figures.get(key) or FIGURES.validate_python(drawn)
                kept.append(key)
            else:
                missing[figure] = shown_with.missing.get(figure, "it was not drawn")
        claims.append(_with(record, figures=tuple(kept), missing=missing))
    walks, unwalked = _walks(studies, claims)
    claims = [
        _with(one, missing={**one.missing, WALK: unwalked[one.id]})
        if one.id in unwalked and one.protocol == "rigorous"
        else one
        for one in claims
    ]
    more: dict[str, Any] = {"command": tuple(command)} if command else {}
    more |= {"selected": selected} if selected else {}
    more |= {"walks": walks} if walks else {}
    facts = study.facts
    results = Results(
        schema_version=SCHEMA_VERSION,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        harness=HarnessRecord(version=__version__, git_commit=git_commit()),
        protocol=ProtocolRecord.model_validate({**protocol.as_json(), "name": run, "options": list(options)}),
        model=ModelRecord(
            # the store may have been captured under another name of the same weights
            name=protocol.studied,
            revision=study.source.revision,
            architecture=facts.architecture,
            n_blocks=facts.n_blocks,
            hidden_size=facts.hidden_size,
            n_parameters=facts.n_parameters,
            dtype=facts.dtype,
            tied_embeddings=facts.tied_embeddings,
            weights_sha256=facts.weights_sha256,
            **_changes(study),
        ),
        corpora=tuple(
            _corpus(one, role)
            for role, one in {role: one for one in studies.values() for role in one.corpora_read}.items()
        ),
        environment=environment(),
        claims=tuple(with_holm(claims, alpha=protocol.alpha)),
        **more,
        documents=documents,
        figures=figures,
        pictures=tuple(
            pictures(one, reduced=REDUCTIONS in exhibited[name].figures) for name, one in studies.items()
        ),
    )
    if baseline is not None:
        results = results.model_copy(update={"baseline": against(baseline, results)})
    return sealed(results)


def _changes(study: Study) -> dict[str, Any]:
    """Adapter and tokenizer of the model, where it has others than its own; nothing where it has not."""
    adapter, changes = study.source.adapter, dict[str, Any]()
    if adapter is not None:
        changes["adapter"] = AdapterRecord(
            name=adapter.name, revision=adapter.revision, sha256=adapter.sha256
        )
    if study.protocol.tokenizer is not None:
        changes["tokenizer"] = study.protocol.tokenizer
    return changes


def _with(record: ClaimRecord, *, missing: Mapping[str, str], **changed: Any) -> ClaimRecord:
    """A record with some fields changed; `missing` is not written where nothing is."""
    return record.model_copy(update=changed | ({"missing": dict(missing)} if missing else {}))


def _walks(
    studies: Mapping[ProtocolName, Study], claims: Sequence[ClaimRecord]
) -> tuple[tuple[WalkRecord, ...], dict[str, str]]:
    """How the numbers go from one protocol to the other, for the rows that were measured under both.

    What cannot be had is left out, and the reason is returned by claim: verdicts do not hang on it.
    """
    if len(studies) < 2:
        return (), {}
    measured = [(claim.id, claim.protocol) for claim in claims if claim.parts]
    found, missing = [], {}
    for way in WALKS:
        if not all((way.claim, name) in measured for name in studies):
            continue
        try:
            walked = walk(way, rigorous=studies["rigorous"], published=studies["as-published"])
            if walked is not None:
                record = WalkRecord.model_validate(walked)
                WalkRecord.model_validate(plain(record))  # rounded, as the file has it
                found.append(record)
        except Exception as error:  # whatever it is, hours of work must not be lost to an explanation
            missing[way.claim] = left_out(f"the way between the protocols of {way.claim}", error)
    return tuple(found), missing


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


def _corpus(study: Study, role: Role) -> CorpusRecord:
    manifest, corpus = study.store(role).manifest, study.corpus(role)
    captured = manifest["corpus"]
    counts = {key: captured[key] for key in ("n_texts", "n_available", "skipped", "ids_sha256")}
    made = {"made_with": tuple(manifest["made with"])} if manifest.get("made with") else {}
    return CorpusRecord.model_validate(
        {"role": role, "name": corpus.name, "revision": corpus.revision, **counts, **made}
    )
