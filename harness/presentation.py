"""results -> views: order, cleaned texts, formatted numbers and drawn figures. No markup here."""

import itertools
from collections.abc import Iterator
from typing import Any

from harness import contrast, figures, forest
from harness.drawing import short
from harness.overview import ORDER, bibtex, certainty, contents, facts, headline, tally
from harness.results import plain
from harness.views import Claim, Figure, Quantity, Report, Result, Row, Untrained
from harness.wording import (
    LONGEST_LABEL,
    LONGEST_NAME,
    PROTOCOLS,
    WORDS,
    calibration,
    certificate,
    change,
    clean,
    cleaned,
    distance_of,
    error_rates,
    measured,
    p_values,
    quoted,
    rule_text,
    sample_text,
    sentence,
    short_name,
    value_text,
)

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
    "device": "--device",
    "control": "--control",
}
LONGEST_SECTION = 40  # as much as a running head holds
HOLDS = {"REPLICATED": "holds", "NOT_REPLICATED": "fails", "INCONCLUSIVE": "undecided"}
# the order of the post; what a newer suite adds comes after
SECTIONS = ("separability", "norm", "geometry", "attribution", "transfer", "stability", "subspaces")


def present(results: dict[str, Any], *, interactive: bool) -> Report:
    """Return everything that a report prints; interactive=True draws figures for the page (hover values)."""
    results = plain(results)
    command = _command(results)
    data = cleaned({key: value for key, value in results.items() if key != "documents"})
    data["model"]["name"] = clean(results["model"]["name"], LONGEST_NAME)
    drawn: set[str] = set()
    numbers = itertools.count(1)
    grouped: dict[str, list[dict[str, Any]]] = {}
    for entry in data["claims"]:
        grouped.setdefault(entry["id"], []).append(entry)
    order = {name: place for place, name in enumerate(SECTIONS)}
    claims = []
    for number, entries in enumerate(
        sorted(grouped.values(), key=lambda entries: order.get(entries[0]["section"], len(order))), 1
    ):
        entries.sort(key=lambda entry: list(PROTOCOLS).index(entry["protocol"]))
        made = tuple(_result(entry, data, command, interactive) for entry in entries)
        first = entries[0]
        claims.append(
            Claim(
                id=first["id"],
                title=first["id"].replace("-", " ").capitalize().replace("Pca ", "PCA "),
                section=clean(first["section"], LONGEST_SECTION),
                statement=first["statement"],
                source=first["source"],
                reported=first["reported"] or "",
                rule=first["criterion"]["text"],
                number=number,
                severity=min(ORDER.index(result.verdict) for result in made[:1]),
                results=made,
                forest="" if interactive else _forest(entries, interactive),
                strips=tuple(_strips(entries, interactive)),
                quantities=tuple(_quantities(made)),
                figures=tuple(_figures(entries, data["figures"], drawn, numbers, interactive)),
                disagreement=contrast.disagreement(entries, data.get("ablation", [])),
            )
        )
    sections: dict[str, list[Claim]] = {}
    for claim in claims:
        sections.setdefault(claim.section, []).append(claim)
    protocols = list(dict.fromkeys(result.protocol for claim in claims for result in claim.results))
    protocols.sort(key=list(PROTOCOLS).index)
    tallies = tuple(tally(protocol, claims) for protocol in protocols)
    model = data["model"]["name"]
    return Report(
        results=data,
        model=model,
        short_model=short_name(model),
        title=f"Layer claims on {short_name(model)}",
        claims=tuple(claims),
        ranked=tuple(sorted(claims, key=lambda claim: (claim.severity, claim.number))),
        sections=tuple((name, tuple(members)) for name, members in sections.items()),
        tallies=tallies,
        headline=headline(tallies),
        both=len(protocols) > 1,
        calibrated=any(result.calibration for claim in claims for result in claim.results),
        untrained=any(result.untrained for claim in claims for result in claim.results),
        ablation=contrast.table(data.get("ablation", [])),
        groups=tuple(
            (verdict.lower().replace("_", "-"), WORDS[verdict], members)
            for severity, verdict in enumerate(ORDER)
            if (members := tuple(claim for claim in claims if claim.severity == severity))
        ),
        contents=contents(sections, both=len(protocols) > 1),
        certainty=tuple(certainty(claims, protocols)) if claims else (),
        facts=tuple(facts(data)),
        options=tuple(
            (str(option["name"]), value_text(option["value"]), str(option["source"]))
            for option in data["protocol"]["options"]
        ),
        packages=tuple(
            (str(name), str(version)) for name, version in data["environment"]["packages"].items()
        ),
        date=data["created"][:10],
        bibtex_tool=bibtex(data),
        version=str(data["harness"]["version"]),
        command=" ".join(["pytest claims/", *command]),
    )


def _result(entry: dict[str, Any], data: dict[str, Any], command: list[str], interactive: bool) -> Result:
    parts = entry["parts"]
    decisive = _decisive(parts)
    part = parts[decisive] if decisive is not None else None
    published = entry.get("reported_value") if decisive == 0 else None
    test = "test_" + entry["id"].replace("-", "_")
    one = ["pytest claims/", "-k", test, *command]
    if data["protocol"]["name"] == "both":
        one = [word if word != "--protocol both" else f"--protocol {entry['protocol']}" for word in one]
    return Result(
        protocol=entry["protocol"],
        protocol_name=PROTOCOLS[entry["protocol"]],
        verdict=entry["verdict"],
        word=WORDS[entry["verdict"]],
        brief=HOLDS.get(entry["verdict"], WORDS[entry["verdict"]]),
        css=entry["verdict"].lower().replace("_", "-"),
        reason=sentence(entry["reason"]),
        decisive=_row(part) if part is not None else None,
        forest=_forest([entry], interactive) if interactive else "",
        published=short(published) if published is not None else "",
        parts=tuple(_row(part) for part in parts),
        controls=tuple(_row(control) for control in entry["controls"]),
        certificate=certificate(entry["probe"]),
        calibration=calibration(entry.get("calibration")),
        error_rates=error_rates(entry.get("calibration")),
        untrained=_untrained(entry),
        converged=entry["probe"]["converged"] if entry["probe"] else None,
        p_values=p_values(entry),
        holm_warning=entry["verdict"] == "REPLICATED" and entry.get("survives_holm") is False,
        sample=sample_text(entry),
        change=change(entry, part),
        distance=distance_of(part, part["estimate"]) if part is not None else None,
        command=" ".join(one),
        seconds=f"{entry['seconds']:.1f} s" if entry["seconds"] else "",
    )


def _untrained(entry: dict[str, Any]) -> Untrained | None:
    control = entry.get("control_untrained")
    if control is None:
        return None
    numbers = " ".join(measured(control["estimate"], control["interval"])).strip()
    too = entry["verdict"] == control["verdict"] == "REPLICATED"
    return Untrained(
        verdict=control["verdict"],
        word=WORDS[control["verdict"]],
        brief=HOLDS.get(control["verdict"], WORDS[control["verdict"]]),
        css=control["verdict"].lower().replace("_", "-"),
        numbers=sentence(control["reason"] if control["estimate"] is None else numbers),
        remark="An untrained network satisfies it too, so it says little about training." if too else "",
    )


def _quantities(results: tuple[Result, ...]) -> Iterator[Quantity]:
    """Yield a claim's parts and then its controls, the protocols of each beneath one another."""
    for control in (False, True):
        rows: dict[str, list[tuple[str, Row]]] = {}
        for result in results:
            for index, row in enumerate(result.controls if control else result.parts):
                rows.setdefault(f"{index} {row.name}", []).append((result.protocol_name, row))
        for lines in rows.values():
            if len(lines) == len(results) > 1 and len({row for _, row in lines}) == 1:
                lines = [("both", lines[0][1])]
            for number, (protocol_name, row) in enumerate(lines):
                yield Quantity(protocol_name=protocol_name, row=row, control=control, first=number == 0)


def _figures(
    entries: list[dict[str, Any]],
    available: dict[str, Any],
    drawn: set[str],
    numbers: Iterator[int],
    interactive: bool,
) -> Iterator[Figure]:
    """Yield a claim's figures that no earlier claim has shown; equal titles of two protocols make a pair."""
    groups: dict[str, list[tuple[str, Any]]] = {}
    for entry in entries:
        for name in entry["figures"]:
            if name not in drawn:
                drawn.add(name)
                figure = available[name]
                groups.setdefault(figure["title"], []).append((PROTOCOLS[entry["protocol"]], figure))
    for title, members in groups.items():
        # what has several panels already takes the whole width, one protocol beneath the other
        half = len(members) == 2 and not any(figures.has_panels(figure) for _, figure in members)
        captions = list(dict.fromkeys(figure["caption"] for _, figure in members))
        if len(captions) > 1:
            captions = [f"{name.capitalize()}: {figure['caption']}" for name, figure in members]
        yield Figure(
            number=next(numbers),
            title=title,
            caption=" ".join(captions),
            pair=half,
            panels=tuple(
                (name if len(members) > 1 else "", figures.svg(figure, interactive=interactive, half=half))
                for name, figure in members
            ),
        )


def _decisive(parts: list[dict[str, Any]]) -> int | None:
    """Return the index of the part on which the verdict rests."""
    for wanted in (False, None):
        for index, part in enumerate(parts):
            if part["holds"] is wanted:
                return index
    return 0 if parts else None


def _row(item: dict[str, Any]) -> Row:
    estimate, interval = measured(item["estimate"], item.get("interval"))
    confidence = item.get("confidence")
    holds = {True: "yes", False: "no", None: "undecided"}[item["holds"]] if "holds" in item else ""
    return Row(
        name=clean(item["name"], LONGEST_LABEL),
        estimand=item.get("estimand") or "",
        estimate=estimate,
        interval=interval,
        confidence=f"{100 * confidence:g} %" if confidence else "",
        rule=rule_text(item["relation"], item["threshold"]) if "relation" in item else "",
        holds=holds,
        method=item.get("method") or "",
        note=item.get("note") or "",
    )


def _forest(entries: list[dict[str, Any]], interactive: bool) -> str:
    """Return one row of the forest plot with a mark for each of the entries that has a number."""
    marks, said, published = [], [], None
    for entry in entries:
        decisive = _decisive(entry["parts"])
        part = entry["parts"][decisive] if decisive is not None else None
        if part is None or (distance := distance_of(part, part["estimate"])) is None:
            continue
        row = _row(part)
        text = f"{row.name}: {row.estimate} {row.interval}, must be {row.rule}"
        protocol = f"{PROTOCOLS[entry['protocol']]}, " if len(entries) > 1 else ""
        said.append(f"{protocol}{text}; {WORDS[entry['verdict']]}")
        low, high = (distance_of(part, end) for end in part["interval"])
        assert low is not None
        assert high is not None
        marks.append(
            forest.Mark(
                distance=distance,
                # an interval around the middle of an equivalence region is farthest inside at the estimate
                bar=(min(low, high, distance), max(low, high, distance)),
                verdict=entry["verdict"],
                hint=text,
                hollow=entry["protocol"] == "as-published",
            )
        )
        if decisive == 0 and published is None and entry.get("reported_value") is not None:
            published = distance_of(part, entry["reported_value"])
            said.append(f"published {short(entry['reported_value'])}")
    if not marks:
        return ""
    return forest.forest_row(marks, published=published, alt="; ".join(said), interactive=interactive)


def _strips(entries: list[dict[str, Any]], interactive: bool) -> list[str]:
    """Return one drawing for each quantity of a claim, all protocols of the run in it."""
    made = []
    room = 17 if interactive else 26  # characters to the left of a strip
    headed = len(entries) > 1 or any(len(part["name"]) > room for part in entries[0]["parts"])
    for index, part in enumerate(entries[0]["parts"]):
        rows: list[tuple[str, float, list[float] | None, str | None]] = []
        for entry in entries:
            same = entry["parts"][index] if index < len(entry["parts"]) else None
            if same is not None and same["estimate"] is not None and same["name"] == part["name"]:
                verdict = {True: "REPLICATED", False: "NOT_REPLICATED", None: "INCONCLUSIVE"}[same["holds"]]
                label = (
                    PROTOCOLS[entry["protocol"]]
                    if len(entries) > 1
                    else "measured"
                    if headed
                    else same["name"]
                )
                rows.append((label, same["estimate"], same["interval"], verdict))
        if not rows or part["threshold"] is None:
            continue
        if index == 0 and entries[0].get("reported_value") is not None:
            rows.append(("published", entries[0]["reported_value"], None, None))
        region = rule_text(part["relation"], part["threshold"])
        said = "; ".join(f"{label} {short(value)}" for label, value, _, _ in rows)
        made.append(
            forest.strip(
                rows,
                relation=part["relation"],
                threshold=part["threshold"],
                name=part["name"],
                alt=f"{part['name']}, success region {region}: {said}",
                interactive=interactive,
                heading=headed,
            )
        )
    return made


def _command(results: dict[str, Any]) -> list[str]:
    """Return the words of the command line that repeats this run, quoted for a POSIX shell."""
    options = {option["name"]: option["value"] for option in results["protocol"]["options"]}
    models = options.get("model") or results["model"]["name"]
    words = [f"--model {quoted(str(name))}" for name in (models if isinstance(models, list) else [models])]
    for option in results["protocol"]["options"]:
        flag, value = OPTIONS.get(option["name"]), option["value"]
        if flag is None or value is None or str(option["source"]).startswith(("default", "profile")):
            continue
        words += [
            f"{flag} {quoted(_plainly(one))}" for one in (value if isinstance(value, list) else [value])
        ]
    if results["protocol"]["name"] != "rigorous":
        words.append(f"--protocol {results['protocol']['name']}")
    return words


def _plainly(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
