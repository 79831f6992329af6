"""A claim's pictures for a report: its figures, its row of the forest plot, a strip for each of its quantities."""

from collections.abc import Iterator, Mapping, Sequence

from layerclaims.report.escaping import clean
from layerclaims.report.plots import figure as figures
from layerclaims.report.plots import forest
from layerclaims.report.plots.path import has_panels
from layerclaims.report.views import Figure, Line
from layerclaims.report.wording import PROTOCOLS, distance_of, measured, rule_text
from layerclaims.results.figure_records import FigureRecord
from layerclaims.results.records import ClaimRecord, ControlRecord, PartRecord
from layerclaims.runtime.text import short
from layerclaims.verdicts.style import STYLES, of_part
from layerclaims.verdicts.verdict import Verdict

LONGEST_LABEL = 80


def drawn_figures(
    claims: Sequence[ClaimRecord],
    available: Mapping[str, FigureRecord],
    drawn: dict[str, tuple[int, str]],
    numbers: Iterator[int],
    interactive: bool,
) -> tuple[tuple[Figure, ...], tuple[tuple[int, str], ...], tuple[str, ...]]:
    """Return a claim's figures, where those stand that an earlier claim shows, and why some cannot be drawn.

    `drawn` says of each figure that was drawn its number and claim; this claim's are added. Equal titles of two
    protocols make a pair.
    """
    groups: dict[str, list[tuple[str, str, FigureRecord]]] = {}
    seen: dict[tuple[int, str], None] = {}
    for claim in claims:
        for name in claim.figures:
            if name in drawn:
                seen[drawn[name]] = None
            else:
                groups.setdefault(available[name].title, []).append(
                    (name, PROTOCOLS[claim.protocol], available[name])
                )
    made, missing = [], []
    for title, members in groups.items():
        # what has several panels already takes the whole width, one protocol beneath the other
        half = not any(has_panels(figure) for *_, figure in members)
        captions = list(dict.fromkeys(figure.caption for *_, figure in members))
        if len(captions) > 1:
            captions = [f"{protocol.capitalize()}: {figure.caption}" for _, protocol, figure in members]
        try:
            panels = tuple(
                (
                    protocol if len(members) > 1 else "",
                    figures.svg(figure, interactive=interactive, half=half),
                )
                for _, protocol, figure in members
            )
        except Exception as error:  # one drawing must not cost the report
            missing.append(left_out(title, f"{type(error).__name__}: {error}"))
            continue
        number, pair = next(numbers), half and len(members) == 2
        drawn |= {name: (number, claims[0].id) for name, *_ in members}
        made.append(
            Figure(
                number=number,
                title=title,
                caption=" ".join(captions),
                pair=pair,
                narrow=half and not pair,
                panels=panels,
            )
        )
    return tuple(made), tuple(seen), tuple(missing)


def left_out(name: str, why: str) -> str:
    """Return a sentence on what is not shown, and why."""
    return f"Left out: {name}, since {clean(why).rstrip('.')}."


def quantity_line(item: PartRecord | ControlRecord) -> Line:
    """Return a part of a claim, or a control, as a line of a table."""
    estimate, interval = measured(item.estimate, item.interval)
    part = item if isinstance(item, PartRecord) else None
    return Line(
        name=clean(item.name, LONGEST_LABEL),
        estimand=part.estimand or "" if part else "",
        estimate=estimate,
        interval=interval,
        confidence=f"{100 * part.confidence:g} %" if part and part.confidence else "",
        rule=rule_text(part.relation, part.threshold) if part else "",
        outcome=of_part(part.holds) if part else None,
        method=part.method or "" if part else "",
        note=item.note or "" if isinstance(item, ControlRecord) else "",
    )


def forest_row(claims: Sequence[ClaimRecord], interactive: bool) -> str:
    """Return one row of the forest plot with a mark for each of the claims that has a number."""
    marks, said, published = [], [], None
    for claim in claims:
        part = claim.decisive
        if part is None or (distance := distance_of(part, part.estimate)) is None:
            continue
        line = quantity_line(part)
        text = f"{line.name}: {line.estimate} {line.interval}, must be {line.rule}"
        protocol = f"{PROTOCOLS[claim.protocol]}, " if len(claims) > 1 else ""
        said.append(f"{protocol}{text}; {STYLES[claim.verdict].word}")
        assert part.interval is not None
        low, high = (distance_of(part, end) for end in part.interval)
        assert low is not None
        assert high is not None
        marks.append(
            forest.Mark(
                distance=distance,
                # an interval around the middle of an equivalence region is farthest inside at the estimate
                bar=(min(low, high, distance), max(low, high, distance)),
                verdict=claim.verdict,
                hint=text,
                hollow=claim.protocol == "as-published",
            )
        )
        if part is claim.parts[0] and published is None and claim.reported_value is not None:
            published = distance_of(part, claim.reported_value)
            said.append(f"published {short(claim.reported_value)}")
    if not marks:
        return ""
    return forest.forest_row(marks, published=published, alt="; ".join(said), interactive=interactive)


def strips(claims: Sequence[ClaimRecord], interactive: bool) -> list[str]:
    """Return one drawing for each quantity of a claim, all protocols of the run in it."""
    made = []
    room = 17 if interactive else 26  # characters to the left of a strip
    first = claims[0]
    headed = len(claims) > 1 or any(len(part.name) > room for part in first.parts)
    for index, part in enumerate(first.parts):
        rows: list[tuple[str, float, Sequence[float] | None, Verdict | None]] = []
        for claim in claims:
            same = claim.parts[index] if index < len(claim.parts) else None
            if same is not None and same.estimate is not None and same.name == part.name:
                label = PROTOCOLS[claim.protocol] if len(claims) > 1 else "measured" if headed else same.name
                rows.append((label, same.estimate, same.interval, of_part(same.holds)))
        if not rows or part.threshold is None:
            continue
        if index == 0 and first.reported_value is not None:
            rows.append(("published", first.reported_value, None, None))
        region = rule_text(part.relation, part.threshold)
        said = "; ".join(f"{label} {short(value)}" for label, value, _, _ in rows)
        made.append(
            forest.strip(
                rows,
                relation=part.relation,
                threshold=part.threshold,
                name=part.name,
                alt=f"{part.name}, pass mark {region}: {said}",
                interactive=interactive,
                heading=headed,
            )
        )
    return made
