"""The three answers to each claim: what the post found, what its procedure finds here, what is true of the model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from layerclaims.report.escaping import clean
from layerclaims.report.protocols import compared, never_published
from layerclaims.report.views import Answer, AnswerGroup, AnswerLine
from layerclaims.report.wording import measured
from layerclaims.results.records import ClaimRecord, PartRecord
from layerclaims.runtime.text import short
from layerclaims.verdicts.verdict import Verdict

LONGEST_POST: Final = 20  # characters that its column holds


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What two verdicts together say of a claim: a group of the table, and its words in the headline."""

    heading: str
    note: str
    one: str
    many: str


HOLDS: Final = Kind(
    heading="Holds",
    note="its procedure finds it here, and it is true of the model",
    one="holds",
    many="hold",
)
PROCEDURE: Final = Kind(
    heading="Comes back only with the procedure",
    note="its procedure finds it here, and it is not true of the model",
    one="comes back only with the published procedure",
    many="come back only with the published procedure",
)
HIDDEN: Final = Kind(
    heading="True of the model, but its procedure does not show it",
    note="",
    one="is true of the model though its procedure does not show it",
    many="are true of the model though their procedure does not show them",
)
GONE: Final = Kind(
    heading="Does not come back",
    note="its procedure does not find it here, and it is not true of the model",
    one="does not come back",
    many="do not come back",
)
UNDECIDED: Final = Kind(
    heading="Not decided",
    note="one of the two verdicts is open, or both are",
    one="is not decided",
    many="are not decided",
)
NEVER: Final = Kind(
    heading="Never published",
    note="the authors ran nothing, so only what is true of the model can be said",
    one="was never published",
    many="were never published",
)
UNJUDGED: Final = Kind(
    heading="Not judged",
    note="something was missing, or the harness failed",
    one="was not judged",
    many="were not judged",
)
KINDS: Final = (HOLDS, PROCEDURE, HIDDEN, GONE, UNDECIDED, NEVER, UNJUDGED)  # in the order of the table
_DECIDED: Final = {
    (Verdict.REPLICATED, Verdict.REPLICATED): HOLDS,
    (Verdict.REPLICATED, Verdict.NOT_REPLICATED): PROCEDURE,
    (Verdict.NOT_REPLICATED, Verdict.REPLICATED): HIDDEN,
    (Verdict.NOT_REPLICATED, Verdict.NOT_REPLICATED): GONE,
}


def kind(published: Verdict | None, rigorous: Verdict | None, *, never: bool = False) -> Kind:
    """The group of a claim by its two verdicts; None stands for a protocol that does not have the claim."""
    if never:
        return NEVER
    if {published, rigorous} & {Verdict.NOT_TESTED, Verdict.ERROR, None}:
        return UNJUDGED
    if Verdict.INCONCLUSIVE in (published, rigorous):
        return UNDECIDED
    assert published is not None
    assert rigorous is not None
    return _DECIDED[published, rigorous]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A claim's records under both protocols, and what the table says of it."""

    title: str
    rigorous: ClaimRecord | None
    published: ClaimRecord | None
    why: str

    @property
    def kind(self) -> Kind:
        """Its group."""
        verdicts = [None if claim is None else claim.verdict for claim in (self.published, self.rigorous)]
        return kind(*verdicts, never=never_published(self.published))


def groups(rows: Sequence[Row]) -> tuple[AnswerGroup, ...]:
    """The rows in their groups, each in the order in which it has them; without empty groups."""
    return tuple(
        AnswerGroup(heading=one.heading, note=one.note, lines=tuple(map(_line, members)))
        for one in KINDS
        if (members := [row for row in rows if row.kind is one])
    )


def headline(rows: Sequence[Row]) -> str:
    """The table in one sentence."""
    found = [(one, [row for row in rows if row.kind is one]) for one in KINDS]
    said = [
        f"{len(members)} {one.one if len(members) == 1 else one.many}{_beside(one, members)}"
        for one, members in found
        if members
    ]
    *before, last = said
    return f"Of {len(rows)} claims, {', '.join(before)}{' and ' if before else ''}{last}."


def _beside(one: Kind, members: Sequence[Row]) -> str:
    if one is not NEVER:
        return ""
    true = sum(row.rigorous is not None and row.rigorous.verdict is Verdict.REPLICATED for row in members)
    return f" ({true or 'none'} of them true of the model)" if len(members) > 1 else ""


def _line(row: Row) -> AnswerLine:
    rigorous, published = compared(row.rigorous, row.published)
    some = row.rigorous or row.published
    assert some is not None
    shown = rigorous or published
    return AnswerLine(
        id=some.id,
        title=row.title,
        post=reported(some),
        part=clean(shown.name) if shown is not None and shown.name != some.parts[0].name else "",
        published=_answer(None if never_published(row.published) else row.published, published),
        rigorous=_answer(row.rigorous, rigorous),
        why=row.why,
    )


def _answer(claim: ClaimRecord | None, part: PartRecord | None) -> Answer:
    if claim is None:
        return Answer(verdict=None, number="")
    number = (
        measured(part.estimate, part.interval)[0] if part is not None and part.estimate is not None else ""
    )
    return Answer(verdict=claim.verdict, number=number)


def reported(claim: ClaimRecord) -> str:
    """What a claim's source measured, as short as its column: all of it, its number, or how it begins."""
    text = re.sub(r"\s*->\s*", " → ", clean(claim.reported or ""))
    if not text:
        return "–"
    if len(text) <= LONGEST_POST:
        return text
    if claim.reported_value is not None:
        return short(claim.reported_value)
    begins = re.split(r"\s*[;(]", text)[0]
    if 0 < len(begins) <= LONGEST_POST:
        return begins
    cut = text[: LONGEST_POST - 1]
    return f"{cut.rsplit(' ', 1)[0] if ' ' in cut[8:] else cut}…"
