"""results -> views: order, cleaned texts, formatted numbers and drawn figures. No markup here."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

from layerclaims.report import answers, structureless
from layerclaims.report import protocols as between
from layerclaims.report.baseline import comparison
from layerclaims.report.drawings import drawn_figures, forest_row, left_out, quantity_line, strips
from layerclaims.report.escaping import clean, cleaned, quoted
from layerclaims.report.overview import bibtex, certainty, contents, facts, headline, tally, with_selection
from layerclaims.report.pictures import galleries
from layerclaims.report.views import Assessment, Line, Report, Result, TableLine, Untrained
from layerclaims.report.wording import (
    PROTOCOLS,
    calibration,
    caution,
    certificate,
    cited,
    distance_of,
    error_rates,
    measured,
    of_post,
    open_question,
    p_values,
    reported,
    sample_text,
    sentence,
    short_name,
    title_of,
    value_text,
)
from layerclaims.results.records import ClaimRecord, Results
from layerclaims.runtime.text import short
from layerclaims.verdicts.style import FINDINGS_FIRST
from layerclaims.verdicts.verdict import Verdict

OPTIONS = {
    "corpus": "--corpus",
    "transfer_corpus": "--transfer-corpus",
    "profile": "--profile",
    "n_texts": "--n-texts",
    "context": "--context",
    "folds": "--folds",
    "seed": "--seed",
    "alpha": "--alpha",
    "dtype": "--dtype",
    "adapter": "--adapter",
    "tokenizer": "--tokenizer",
    "device": "--device",
    "device_map": "--device-map",
    "control": "--control",
}
LONGEST_NAME = 240
LONGEST_SECTION = 40  # as much as a running head holds
WITH_THE_PROCEDURE = 3  # the schema version from which on as published means what the authors ran
# the order of the post; other sections come after, as they are met
SECTIONS = (
    "separability",
    "norm",
    "geometry",
    "attribution",
    "transfer",
    "stability",
    "subspaces",
    "plans and caveats",
)


def present(results: Results, *, interactive: bool) -> Report:
    """Return everything that a report prints; interactive=True draws figures for the page (hover values)."""
    command = _command(results)
    data: Results = cleaned(results.model_copy(update={"documents": {}}))
    model = clean(results.model.name, LONGEST_NAME)
    data = data.model_copy(update={"model": data.model.model_copy(update={"name": model})})
    drawn: dict[str, tuple[int, str]] = {}
    told: set[str] = set()
    numbers = itertools.count(1)
    states = galleries(data, numbers, interactive=interactive)  # they stand before the claims
    grouped: dict[str, list[ClaimRecord]] = {}
    for claim in data.claims:
        grouped.setdefault(claim.id, []).append(claim)
    order = {name: place for place, name in enumerate(SECTIONS)}
    claims = []
    walks = {walk.claim: walk for walk in data.walks}
    series_of = {name: counts.corpus for name, counts in results.documents.items()}
    older = data.schema_version < WITH_THE_PROCEDURE and not data.walks
    rows: list[answers.Row] = []
    for number, records in enumerate(
        sorted(grouped.values(), key=lambda records: order.get(records[0].section, len(order))), 1
    ):
        records.sort(key=lambda claim: list(PROTOCOLS).index(claim.protocol))
        made = tuple(_result(claim, command, _corpora(claim, series_of), interactive) for claim in records)
        first = records[0]
        title = title_of(first.id)
        rigorous, published = (
            next((claim for claim in records if claim.protocol == name), None) for name in PROTOCOLS
        )
        walk = walks.get(first.id)
        why = between.reason(rigorous, published, walk, older=older)
        pictures, seen, undrawn = drawn_figures(records, data.figures, drawn, numbers, interactive)
        rows.append(answers.Row(title=title, rigorous=rigorous, published=published, why=why))
        claims.append(
            Assessment(
                id=first.id,
                title=title,
                section=clean(first.section, LONGEST_SECTION),
                statement=first.statement,
                source=cited(first),
                reported=first.reported or "",
                said=reported(first),
                rule=first.criterion.text,
                number=number,
                severity=FINDINGS_FIRST.index(first.verdict),
                results=made,
                forest="" if interactive else forest_row(records, interactive),
                strips=tuple(strips(records, interactive)),
                quantities=tuple(_quantities(made)),
                figures=pictures,
                seen=seen,
                missing=(*_missing(records, told), *undrawn),
                contrast=between.contrast(rigorous, published, walk, older=older),
                walk=between.table(walk),
            )
        )
    sections: dict[str, list[Assessment]] = {}
    for one in claims:
        sections.setdefault(one.section, []).append(one)
    protocols = list(dict.fromkeys(result.protocol for one in claims for result in one.results))
    protocols.sort(key=list(PROTOCOLS).index)
    both = len(protocols) > 1
    tallies = tuple(tally(protocol, claims) for protocol in protocols)
    return Report(
        results=data,
        model=model,
        short_model=short_name(model),
        title=f"Layer claims on {short_name(model)}",
        claims=tuple(claims),
        ranked=tuple(sorted(claims, key=lambda claim: (claim.severity, claim.number))),
        sections=tuple((name, tuple(members)) for name, members in sections.items()),
        tallies=tallies,
        headline=with_selection(
            answers.headline(rows) if both and len(rows) > 1 else headline(tallies), results
        ),
        baseline=comparison(data),
        both=both,
        of_post=all(of_post(claim) for claim in data.claims),
        cites_post=any(of_post(claim) for claim in data.claims),
        calibrated=any(result.calibration for claim in claims for result in claim.results),
        structureless=any(result.structureless for claim in claims for result in claim.results),
        untrained=any(result.untrained for claim in claims for result in claim.results),
        older=older,
        answers=answers.groups(rows) if both else (),
        groups=tuple(
            (verdict, members)
            for severity, verdict in enumerate(FINDINGS_FIRST)
            if (members := tuple(claim for claim in claims if claim.severity == severity))
        ),
        galleries=states,
        contents=contents(sections, both=both, states=bool(states), baseline=data.baseline is not None),
        certainty=tuple(certainty(claims, protocols)) if claims else (),
        facts=tuple(facts(data)),
        options=tuple(
            (option.name, value_text(option.value), option.source) for option in data.protocol.options
        ),
        packages=tuple(data.environment.packages.items()),
        date=data.created[:10],
        bibtex_tool=bibtex(data),
        version=data.harness.version,
        command=" ".join(command),
    )


def _corpora(claim: ClaimRecord, series_of: Mapping[str, str]) -> int:
    """How many corpora the counts behind a claim are of; 1 where it rests on none."""
    named = {f"{claim.protocol}/{one}" for part in claim.parts if part.recipe for one in part.recipe.series}
    return max(1, len({series_of[name] for name in named if name in series_of}))


def _result(claim: ClaimRecord, command: list[str], corpora: int, interactive: bool) -> Result:
    part = claim.decisive
    published = claim.reported_value if part is not None and part is claim.parts[0] else None
    test = "test_" + claim.id.replace("-", "_")
    # elsewhere, since a run of one claim does not replace a report of more
    one = " ".join([*command, "-k", test, "--out", f"reports/{claim.id}-{claim.protocol}"])
    one = re.sub("--protocol[ =]both", f"--protocol {claim.protocol}", one)
    return Result(
        protocol=claim.protocol,
        protocol_name=PROTOCOLS[claim.protocol],
        verdict=claim.verdict,
        reason=sentence(claim.reason),
        decisive=quantity_line(part) if part is not None else None,
        forest=forest_row([claim], interactive) if interactive else "",
        published=short(published) if published is not None else "",
        parts=tuple(map(quantity_line, claim.parts)),
        controls=tuple(map(quantity_line, claim.controls)),
        certificate=certificate(claim.probe, claim.protocol),
        calibration=calibration(claim.calibration),
        error_rates=error_rates(claim.calibration),
        structureless=structureless.shares(claim.nulls),
        weakness=structureless.weakness(claim.nulls),
        passing=structureless.most(claim.nulls),
        untrained=_untrained(claim),
        converged=claim.probe.converged if claim.probe else None,
        p_values=p_values(claim),
        holm_warning=claim.verdict is Verdict.REPLICATED and claim.survives_holm is False,
        sample=sample_text(claim, corpora),
        caution=caution(claim, part),
        open=open_question(claim),
        distance=distance_of(part, part.estimate) if part is not None else None,
        command=one,
        seconds=f"{claim.seconds:.1f} s" if claim.seconds else "",
    )


def _untrained(claim: ClaimRecord) -> Untrained | None:
    twin = claim.control_untrained
    if twin is None:
        return None
    numbers = " ".join(measured(twin.estimate, twin.interval)).strip()
    too = claim.verdict is twin.verdict is Verdict.REPLICATED
    return Untrained(
        verdict=twin.verdict,
        numbers=sentence(twin.reason if twin.estimate is None else numbers),
        remark="An untrained network satisfies it too, so it says little about training." if too else "",
    )


def _quantities(results: tuple[Result, ...]) -> Iterator[TableLine]:
    """Yield a claim's parts and then its controls, the protocols of each beneath one another."""
    for control in (False, True):
        found: dict[str, list[tuple[str, Line]]] = {}
        for result in results:
            for index, line in enumerate(result.controls if control else result.parts):
                found.setdefault(f"{index} {line.name}", []).append((result.protocol_name, line))
        for lines in found.values():
            if len(lines) == len(results) > 1 and len({line for _, line in lines}) == 1:
                lines = [("both", lines[0][1])]
            for number, (protocol_name, line) in enumerate(lines):
                yield TableLine(protocol_name=protocol_name, line=line, control=control, first=number == 0)


def _missing(claims: Sequence[ClaimRecord], told: set[str]) -> Iterator[str]:
    """Yield a sentence for each thing that is not shown with a claim, said once for figures of several claims."""
    for claim in claims:
        for name, why in claim.missing.items():
            if (key := f"{name} {claim.protocol} {why}") not in told:
                told.add(key)
                under = f" ({PROTOCOLS[claim.protocol]})" if len(claims) > 1 else ""
                yield left_out(f"{name}{under}", why)


def _command(results: Results) -> list[str]:
    """Return the words of the command line that repeats this run, quoted for a POSIX shell.

    Older files do not say what was typed: there the options say it.
    """
    if results.command:
        return ["pytest", *map(quoted, results.command)]
    options = {option.name: option.value for option in results.protocol.options}
    models = options.get("model") or results.model.name
    words = ["pytest claims/"]
    words += [f"--model {quoted(str(name))}" for name in (models if isinstance(models, tuple) else [models])]
    for option in results.protocol.options:
        flag, value = OPTIONS.get(option.name), option.value
        if flag is None or value is None or option.source.startswith(("default", "profile")):
            continue
        words += [
            f"{flag} {quoted(_plainly(one))}" for one in (value if isinstance(value, tuple) else [value])
        ]
    if results.protocol.name != "rigorous":
        words.append(f"--protocol {results.protocol.name}")
    return words


def _plainly(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
