"""What a report shows: results -> cleaned texts, formatted numbers, order, and drawn figures. No markup here.

Every text of the results passes `clean` once, here, before any template sees it: control characters,
direction overrides and other invisible characters become visible escapes, and lengths are bounded.
"""

import itertools
import math
import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness import figures
from harness.figures import short
from harness.results import plain

ORDER = ("NOT_REPLICATED", "INCONCLUSIVE", "ERROR", "REPLICATED", "NOT_TESTED")  # failures first
WORDS = {
    "REPLICATED": "replicated",
    "NOT_REPLICATED": "not replicated",
    "INCONCLUSIVE": "inconclusive",
    "NOT_TESTED": "not tested",
    "ERROR": "error",
}
PROTOCOLS = {"rigorous": "rigorous", "as-published": "as published"}
OPTIONS = {
    "corpus": "--corpus", "transfer_corpus": "--transfer-corpus", "profile": "--profile", "n_texts": "--n-texts",
    "context": "--context", "folds": "--folds", "seed": "--seed", "alpha": "--alpha", "dtype": "--dtype",
    "device": "--device",
}  # fmt: skip
LONGEST_TEXT, LONGEST_NAME = 2000, 240
CLOSE = 2.0  # half-widths: a decided verdict nearer to its threshold than this is named as a close call


@dataclass(frozen=True, kw_only=True)
class Row:
    """One quantity with its interval and rule: a part of a claim or a control."""

    name: str
    estimand: str
    estimate: str
    interval: str
    confidence: str
    rule: str
    holds: str  # "yes", "no", "undecided", or "" where nothing is judged
    method: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """One claim under one protocol."""

    protocol: str  # as in the file
    protocol_name: str  # as printed
    verdict: str
    word: str
    css: str
    reason: str
    decisive: (
        Row | None
    )  # the part on which the verdict rests: the failed, else the undecided, else the first
    forest: str  # SVG, empty where there is nothing to draw
    distance: float | None  # from the threshold in half-widths of the interval, positive where it replicates
    published: str  # the published number where it belongs to the decisive part
    parts: tuple[Row, ...]
    controls: tuple[Row, ...]
    certificate: str
    converged: bool | None
    p_values: str
    holm_warning: bool
    sample: str
    change: str
    command: str
    seconds: str


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One numbered figure: a drawing, or the same drawing under either protocol side by side."""

    number: int
    title: str
    caption: str
    panels: tuple[tuple[str, str], ...]  # heading (empty for one panel), SVG


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A part or a control under one protocol: a line of a claim's table."""

    protocol_name: str
    row: Row
    control: bool
    first: bool  # the first line of this quantity, where its name is printed


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of the post with its result under each protocol of the run."""

    id: str
    title: str
    section: str
    statement: str
    source: str
    reported: str
    rule: str
    number: int  # place in the post, from 1
    severity: int  # 0 is the worst verdict
    results: tuple[Result, ...]
    strips: tuple[str, ...]  # SVG, one a quantity
    quantities: tuple[Quantity, ...]
    figures: tuple[Figure, ...]

    @property
    def differs(self) -> bool:
        """Whether the protocols disagree."""
        return len({result.verdict for result in self.results}) > 1


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How many claims came out which way under one protocol."""

    protocol: str
    counts: tuple[tuple[str, str, int], ...]  # CSS class, word, count; failures first
    total: int
    replicated: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that the templates print."""

    results: dict[str, Any]  # cleaned
    model: str
    title: str
    claims: tuple[Claim, ...]  # in the post's order
    ranked: tuple[Claim, ...]  # failures first
    sections: tuple[tuple[str, tuple[Claim, ...]], ...]
    tallies: tuple[Tally, ...]
    both: bool
    groups: tuple[tuple[str, str, tuple[Claim, ...]], ...]  # CSS class, word, claims: failures first
    contents: tuple[tuple[tuple[int, str, str], ...], ...]  # columns of (level, anchor, text)
    headline: str
    certainty: tuple[tuple[str, str], ...]  # label, sentence: what the run is sure of, and what not
    facts: tuple[tuple[str, str], ...]
    options: tuple[tuple[str, str, str], ...]
    packages: tuple[tuple[str, str], ...]
    date: str
    bibtex_tool: str
    version: str
    command: str


def clean(text: str, limit: int = LONGEST_TEXT) -> str:
    """Return text whose every character is visible, on one line, at most about `limit` characters long.

    Controls, line separators, direction marks and overrides, zero-width and private-use characters,
    unassigned code points and lone surrogates become escapes such as \\x1b or \\u202e.
    """
    cut = text[:limit]
    made = "".join(
        c
        if c == " " or unicodedata.category(c) not in _HIDDEN
        else " "
        if c in "\n\t"
        else c.encode("unicode_escape").decode("ascii")
        for c in cut
    )
    # a pile of combining marks climbs over the lines above: three are enough for any script
    made = _MARKS.sub(lambda found: found.group()[:3], made)
    return made if len(text) <= limit else f"{made.rstrip()}… ({len(text):,} characters)"


_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_MARKS = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4,}")


def cleaned(value: Any) -> Any:
    """Return plain JSON data with every text, names of members included, passed through `clean`."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [cleaned(item) for item in value]
    if isinstance(value, dict):
        return {clean(key): item if key == "documents" else cleaned(item) for key, item in value.items()}
    return value


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
    claims = []
    for number, entries in enumerate(grouped.values(), 1):
        entries.sort(key=lambda entry: list(PROTOCOLS).index(entry["protocol"]))
        made = tuple(_result(entry, data, command, interactive) for entry in entries)
        first = entries[0]
        claims.append(
            Claim(
                id=first["id"],
                title=first["id"].replace("-", " ").capitalize().replace("Pca ", "PCA "),
                section=first["section"],
                statement=first["statement"],
                source=first["source"],
                reported=first["reported"] or "",
                rule=first["criterion"]["text"],
                number=number,
                severity=min(ORDER.index(result.verdict) for result in made[:1]),
                results=made,
                strips=tuple(_strips(entries, interactive)),
                quantities=tuple(_quantities(made)),
                figures=tuple(_figures(entries, data["figures"], drawn, numbers, interactive)),
            )
        )
    sections: dict[str, list[Claim]] = {}
    for claim in claims:
        sections.setdefault(claim.section, []).append(claim)
    protocols = list(dict.fromkeys(result.protocol for claim in claims for result in claim.results))
    protocols.sort(key=list(PROTOCOLS).index)
    tallies = tuple(_tally(protocol, claims) for protocol in protocols)
    model = data["model"]["name"]
    return Report(
        results=data,
        model=model,
        title=f"Layer claims on {model}",
        claims=tuple(claims),
        ranked=tuple(sorted(claims, key=lambda claim: (claim.severity, claim.number))),
        sections=tuple((name, tuple(members)) for name, members in sections.items()),
        tallies=tallies,
        headline=_headline(tallies),
        both=len(protocols) > 1,
        groups=tuple(
            (verdict.lower().replace("_", "-"), WORDS[verdict], members)
            for severity, verdict in enumerate(ORDER)
            if (members := tuple(claim for claim in claims if claim.severity == severity))
        ),
        contents=_contents(sections, both=len(protocols) > 1),
        certainty=tuple(_certainty(claims, protocols)) if claims else (),
        facts=tuple(_facts(data)),
        options=tuple(
            (str(option["name"]), _value(option["value"]), str(option["source"]))
            for option in data["protocol"]["options"]
        ),
        packages=tuple(
            (str(name), str(version)) for name, version in data["environment"]["packages"].items()
        ),
        date=data["created"][:10],
        bibtex_tool=_bibtex(data),
        version=str(data["harness"]["version"]),
        command=" ".join(["pytest claims/", *command]),
    )


def _result(
    entry: dict[str, Any], data: dict[str, Any], command: list[str], interactive: bool
) -> Result:
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
        css=entry["verdict"].lower().replace("_", "-"),
        reason=_sentence(entry["reason"]),
        decisive=_row(part) if part is not None else None,
        forest=_forest(entry, part, published, interactive),
        published=short(published) if published is not None else "",
        parts=tuple(_row(part) for part in parts),
        controls=tuple(_row(control) for control in entry["controls"]),
        certificate=_certificate(entry["probe"]),
        converged=entry["probe"]["converged"] if entry["probe"] else None,
        p_values=_p_values(entry),
        holm_warning=entry["verdict"] == "REPLICATED" and entry.get("survives_holm") is False,
        sample=_sample(entry),
        change=_change(entry, part),
        distance=_distance(part, part["estimate"]) if part is not None else None,
        command=" ".join(one),
        seconds=f"{entry['seconds']:.1f} s" if entry["seconds"] else "",
    )


def _quantities(results: tuple[Result, ...]) -> Iterator[Quantity]:
    """Yield a claim's parts and then its controls, the protocols of each beneath one another."""
    for control in (False, True):
        rows: dict[str, list[tuple[str, Row]]] = {}
        for result in results:
            for index, row in enumerate(result.controls if control else result.parts):
                rows.setdefault(f"{index} {row.name}", []).append((result.protocol_name, row))
        for lines in rows.values():
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
        half = len(members) == 2
        captions = list(dict.fromkeys(figure["caption"] for _, figure in members))
        yield Figure(
            number=next(numbers),
            title=title,
            caption=" ".join(captions),
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
        name=item["name"],
        estimand=item.get("estimand") or "",
        estimate=estimate,
        interval=interval,
        confidence=f"{100 * confidence:g} %" if confidence else "",
        rule=_rule(item["relation"], item["threshold"]) if "relation" in item else "",
        holds=holds,
        method=item.get("method") or "",
        note=item.get("note") or "",
    )


def measured(estimate: float | None, interval: list[float] | None) -> tuple[str, str]:
    """Return an estimate and its interval as text, to the decimals that the interval's width supports."""
    if estimate is None:
        return "–", ""
    if interval is None:
        return short(estimate), ""
    width = interval[1] - interval[0]
    largest = max(abs(estimate), abs(interval[0]), abs(interval[1]))
    if largest >= 1e6 or (0 < largest < 1e-4):
        return short(estimate), f"[{short(interval[0])}, {short(interval[1])}]"
    decimals = 3 if width <= 0 else min(6, max(0, 1 - math.floor(math.log10(width))))
    decimals = max(decimals, 2) if largest < 10 else decimals
    text = [f"{value:,.{decimals}f}".replace("-", "−") for value in (estimate, *interval)]
    return text[0], f"[{text[1]}, {text[2]}]"


def _rule(relation: str, threshold: float | list[float] | None) -> str:
    if threshold is None:
        return ""
    if isinstance(threshold, list):
        low, high = threshold
        within = f"±{short(high)}" if low == -high else f"[{short(low)}, {short(high)}]"
        return f"within {within}"
    sign = {"<": "<", ">": ">", "inside": "inside", "contains": "contains"}[relation]
    return f"{sign} {short(threshold)}"


def _distance(part: dict[str, Any], value: float | None) -> float | None:
    """Return how far `value` lies from the border of the success region, in half-widths of the interval.

    Positive inside the region. None where there is no interval or no region with an inside.
    """
    interval, threshold = part["interval"], part["threshold"]
    if value is None or interval is None or threshold is None or part["relation"] == "contains":
        return None
    inside = min(value - threshold[0], threshold[1] - value) if isinstance(threshold, list) else (
        value - threshold if part["relation"] == ">" else threshold - value)  # fmt: skip
    half = (interval[1] - interval[0]) / 2
    return inside / half if half > 0 else math.copysign(math.inf, inside) if inside else 0.0


def _forest(entry: dict[str, Any], part: dict[str, Any] | None, published: float | None, interactive: bool) -> str:
    if part is None or (distance := _distance(part, part["estimate"])) is None:
        return ""
    row = _row(part)
    text = f"{row.name}: {row.estimate} {row.interval}, must be {row.rule}"
    alt = f"{text}; {WORDS[entry['verdict']]}" + (f"; published {short(published)}" if published is not None else "")
    low, high = (_distance(part, end) for end in part["interval"])
    assert low is not None
    assert high is not None
    return figures.forest_row(
        distance=distance,
        # an interval around the middle of an equivalence region reaches its greatest distance at the estimate
        bar=(min(low, high, distance), max(low, high, distance)),
        published=_distance(part, published),
        verdict=entry["verdict"],
        alt=alt,
        hint=text,
        interactive=interactive,
        hollow=entry["protocol"] == "as-published",
    )


def _strips(entries: list[dict[str, Any]], interactive: bool) -> list[str]:
    """Return one drawing for each quantity of a claim, all protocols of the run in it."""
    made = []
    for index, part in enumerate(entries[0]["parts"]):
        rows: list[tuple[str, float, list[float] | None, str | None]] = []
        for entry in entries:
            same = entry["parts"][index] if index < len(entry["parts"]) else None
            if same is not None and same["estimate"] is not None and same["name"] == part["name"]:
                verdict = {True: "REPLICATED", False: "NOT_REPLICATED", None: "INCONCLUSIVE"}[same["holds"]]
                label = PROTOCOLS[entry["protocol"]] if len(entries) > 1 else same["name"]
                rows.append((label, same["estimate"], same["interval"], verdict))
        if not rows or part["threshold"] is None:
            continue
        if index == 0 and entries[0].get("reported_value") is not None:
            rows.append(("published", entries[0]["reported_value"], None, None))
        said = "; ".join(f"{label} {short(value)}" for label, value, _, _ in rows)
        made.append(
            figures.strip(
                rows,
                relation=part["relation"],
                threshold=part["threshold"],
                name=part["name"],
                alt=f"{part['name']}, success region {_rule(part['relation'], part['threshold'])}: {said}",
                interactive=interactive,
                heading=len(entries) > 1,
            )
        )
    return made


def _certificate(probe: dict[str, Any] | None) -> str:
    if probe is None:
        return ""
    words = ["The probe converged" if probe["converged"] else "The probe did not converge"]
    if probe.get("iterations") is not None:
        words.append(f"after {probe['iterations']:,} iterations" if probe["converged"] else
                     f"within {probe['iterations']:,} iterations")  # fmt: skip
    details = []
    if probe.get("gradient_norm") is not None:
        details.append(f"gradient norm {short(probe['gradient_norm'])}")
    if probe.get("relative_gap") is not None:
        details.append(f"relative objective gap at most {short(probe['relative_gap'])}")
    return " ".join(words) + (f" ({', '.join(details)})." if details else ".")


def _p_values(entry: dict[str, Any]) -> str:
    if entry["p_value"] is None:
        return ""
    text = f"p = {_p(entry['p_value'])}"
    if entry["p_holm"] is not None:
        text += f"; {_p(entry['p_holm'])} after Holm’s correction over the rows of this model"
    return text.replace("= <", "< ").replace("; <", "; < ")


def _p(value: float) -> str:
    return "<.0001" if value < 1e-4 else f"{value:.4f}".rstrip("0").rstrip(".") if value else "0"


def _sample(entry: dict[str, Any]) -> str:
    if entry["n_documents"] is None:
        return ""
    vectors = f", {entry['n_vectors']:,} vectors" if entry["n_vectors"] else ""
    return f"{entry['n_documents']:,} documents{vectors}"


def _change(entry: dict[str, Any], part: dict[str, Any] | None) -> str:
    """Say in one or two sentences what would have to be different for another verdict."""
    verdict = entry["verdict"]
    if verdict == "NOT_TESTED":
        return "A verdict needs what is named above; nothing was measured."
    if verdict == "ERROR":
        return "The harness failed before it could measure; the verdict says nothing about the model."
    if part is None or part["estimate"] is None or not part["interval"] or part["threshold"] is None:
        return ""
    low, high = part["interval"]
    row = _row(part)
    distance = _distance(part, part["estimate"])
    far = ""
    if distance is not None and math.isfinite(distance):
        far = f" (the estimate lies {_times(abs(distance))} the interval’s half-width from it)"
    if verdict == "INCONCLUSIVE":
        return (
            f"The interval {row.interval} of {row.name} would have to lie wholly inside the success region "
            f"({row.rule}) or wholly outside it: more documents narrow it."
        )
    if isinstance(part["threshold"], list):
        bottom, top = part["threshold"]
        if verdict == "REPLICATED":
            return f"An interval of {row.name} that reaches beyond {short(bottom)} or {short(top)} would undo the verdict."
        return f"The whole interval {row.interval} of {row.name} would have to lie inside {row.rule.removeprefix('within ')}."
    if part["relation"] == "contains":
        wish = "no longer contain" if verdict == "REPLICATED" else "contain"
        return f"The interval {row.interval} of {row.name} would have to {wish} {short(part['threshold'])}."
    if verdict == "REPLICATED":
        edge, side = (low, "lower") if part["relation"] == ">" else (high, "upper")
        return (
            f"The {side} end of the interval of {row.name}, now {_like(edge, part)}, would have to cross "
            f"{short(part['threshold'])}{far}."
        )
    edge, side = (low, "lower") if part["relation"] == ">" else (high, "upper")
    direction = "above" if part["relation"] == ">" else "below"
    return (
        f"The {side} end of the interval of {row.name}, now {_like(edge, part)}, would have to lie {direction} "
        f"{short(part['threshold'])}{far}."
    )


def _like(value: float, part: dict[str, Any]) -> str:
    return measured(value, part["interval"])[0]


def _times(margin: float) -> str:
    return f"{margin:.1f} times" if margin < 100 else f"{margin:,.0f} times"


def _contents(sections: dict[str, list[Claim]], *, both: bool) -> tuple[tuple[tuple[int, str, str], ...], ...]:
    """Return the table of contents in two columns of about the same length, never split inside a section."""
    blocks = [[(1, "verdicts", "Verdicts")]]
    for index, (name, claims) in enumerate(sections.items(), 1):
        blocks.append([(1, f"section-{index}", name.capitalize())] + [(2, claim.id, claim.title) for claim in claims])
    ends = [("protocols", "Protocols side by side")] if both else []
    ends += [("methods", "Methods"), ("environment", "Environment"), ("limits", "Limits"),
             ("references", "References"), ("citing", "How to cite")]  # fmt: skip
    blocks += [[(1, anchor, text)] for anchor, text in ends]
    total, left, right = sum(map(len, blocks)), list[tuple[int, str, str]](), list[tuple[int, str, str]]()
    for block in blocks:
        (left if not right and len(left) + len(block) / 2 <= total / 2 else right).extend(block)
    return tuple(left), tuple(right)


def _tally(protocol: str, claims: list[Claim]) -> Tally:
    verdicts = Counter(r.verdict for claim in claims for r in claim.results if r.protocol == protocol)
    return Tally(
        protocol=PROTOCOLS[protocol],
        counts=tuple(
            (verdict.lower().replace("_", "-"), WORDS[verdict], verdicts[verdict])
            for verdict in ORDER
            if verdicts[verdict]
        ),
        total=sum(verdicts.values()),
        replicated=verdicts["REPLICATED"],
    )


def _headline(tallies: tuple[Tally, ...]) -> str:
    """Return the report in one sentence."""
    if not any(tally.total for tally in tallies):
        return "This run judged no claim."
    if all({css for css, _, _ in tally.counts} <= {"not-tested", "error"} for tally in tallies):
        return "No claim could be tested in this run."
    first, *rest = tallies
    noun, verb = ("claim", "replicates") if first.total == 1 else ("claims", "replicate")
    text = f"{first.replicated or 'None'} of {first.total} {noun} {verb if first.replicated != 1 else 'replicates'}"
    if not rest:
        return f"{text}."
    return f"{text} under the rigorous protocol, {rest[0].replicated or 'none'} under the protocol as published."


def _certainty(claims: list[Claim], protocols: list[str]) -> list[tuple[str, str]]:
    """Return labelled sentences on what the run is sure of and what not, about its first protocol."""
    made = []
    mine = [(claim, claim.results[0]) for claim in claims if claim.results[0].protocol == protocols[0]]
    decided = [(c, r) for c, r in mine if r.verdict in ("REPLICATED", "NOT_REPLICATED")]
    close = sorted(
        (abs(r.distance), c.title) for c, r in decided if r.distance is not None and abs(r.distance) < CLOSE
    )
    if decided:
        far = len(decided) - len(close)
        made.append((
            "Firm",
            f"{'All' if far == len(decided) else f'{far} of the'} {len(decided)} decided verdicts stand at least two half-widths of their interval away "
            "from the threshold." if len(decided) > 1 or close else
            "The verdict stands at least two half-widths of its interval away from the threshold.",
        ))  # fmt: skip
    if close:
        made.append(("Close calls", f"{_listed([title for _, title in close])}."))
    if undecided := [c.title for c, r in mine if r.verdict == "INCONCLUSIVE"]:
        made.append(("Undecided", f"{_listed(undecided)}. Each claim’s section says what would decide it."))
    if flagged := [c.title for c, r in mine if r.holm_warning]:
        made.append(("Flagged", f"Replicated, but not after Holm’s correction for many claims: {_listed(flagged)}."))
    stalled = [(r.protocol, sum(c.results[i].converged is False for c in claims if i < len(c.results)))
               for i, r in enumerate(claims[0].results)] if claims else []  # fmt: skip
    for protocol, count in stalled:
        if count:
            where = f" under the protocol {PROTOCOLS[protocol]}" if protocol != "rigorous" else ""
            made.append(("Unconverged", f"{count} {'verdict rests' if count == 1 else 'verdicts rest'} on a probe that "
                         f"did not converge{where}; they speak of the optimiser as much as of the model."))  # fmt: skip
    if len(protocols) > 1:
        differing = [claim.title for claim in claims if claim.differs]
        made.append(
            ("Protocols", f"They disagree on {len(differing)} of {len(claims)} claims: {_listed(differing)}.")
            if differing
            else ("Protocols", "They agree on every claim.")
        )
    return made


def _listed(titles: list[str], most: int = 6) -> str:
    more = f" and {len(titles) - most} more" if len(titles) > most else ""
    return ", ".join(f"“{title}”" for title in titles[:most]) + more


def _facts(data: dict[str, Any]) -> list[tuple[str, str]]:
    model, protocol = data["model"], data["protocol"]
    size = f"{model['n_parameters']:,} parameters, {model['n_blocks']} blocks, width {model['hidden_size']}"
    made = [("Model", f"{model['name']}"), ("", f"{model['architecture'] or 'unknown architecture'}, {size}")]
    for corpus in data["corpora"]:
        role = {"main": "Corpus", "transfer": "Transfer corpus"}[corpus["role"]]
        made.append((role, f"{corpus['name']}: {corpus['n_texts']:,} texts × {protocol['context']} tokens"))
    names = {"both": "rigorous and as published", **PROTOCOLS}
    profile = f", profile {protocol['profile']}" if protocol.get("profile") else ""
    made.append(
        (
            "Protocol",
            f"{names[protocol['name']]}{profile}, {protocol['folds']} folds, seed {protocol['seed']}",
        )
    )
    return made


def _value(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, list):
        return ", ".join(_value(item) for item in value)
    return short(float(value)) if isinstance(value, float) else str(value)


def _sentence(text: str) -> str:
    text = text.strip()
    return (
        text[:1].upper() + text[1:] + ("" if text.endswith((".", "…", "!", "?", ")")) else ".")
        if text
        else ""
    )


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


def quoted(word: str) -> str:
    """Return `word` as one word of a POSIX command line; with characters that cannot be seen, as bash's $'...'."""
    if word == clean(word, len(word)):
        return shlex.quote(word) if len(word) <= LONGEST_TEXT else f"'{word[:40]}…'"
    escaped = "".join(
        "\\" + c if c in "\\'" else c if unicodedata.category(c) not in _HIDDEN else _ansi(c)
        for c in word[:LONGEST_TEXT]
    )
    return f"$'{escaped}'"


def _ansi(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _bibtex(data: dict[str, Any]) -> str:
    commit = data["harness"]["git_commit"]
    note = f"commit {commit[:12]}, " if commit else ""
    model = re.sub(r"([{}\\%#&_$~^])", lambda found: "\\" + found.group() if found.group() in "{}%#&_$" else "",
                   data["model"]["name"])  # fmt: skip
    return (
        f"@software{{layerclaims,\n"
        f"  title   = {{layerclaims: which claims about a language model's hidden states replicate}},\n"
        f"  version = {{{data['harness']['version']}}},\n"
        f"  year    = {{{data['created'][:4]}}},\n"
        f"  note    = {{{note}results for {model}, protocol hash {data['protocol']['hash']}}},\n"
        f"}}"
    )
