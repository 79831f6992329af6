"""What a report shows, as data: texts already cleaned, numbers already formatted, figures already drawn."""

from dataclasses import dataclass

from layerclaims.report.baseline import Comparison
from layerclaims.results.records import Results
from layerclaims.verdicts.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Line:
    """One quantity with its interval and rule: a part of a claim or a control."""

    name: str
    estimand: str
    estimate: str
    interval: str
    confidence: str
    rule: str
    outcome: Verdict | None  # of this quantity alone; None where nothing is judged
    method: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Untrained:
    """The same claim on the untrained twin of the model."""

    verdict: Verdict
    numbers: str  # estimate and interval, or why there are none
    remark: str  # what it means for the claim's own verdict; empty where it means nothing


@dataclass(frozen=True, kw_only=True)
class Result:
    """One claim under one protocol."""

    protocol: str  # as in the file
    protocol_name: str  # as printed
    verdict: Verdict
    reason: str
    # the part on which the verdict rests: the failed, else the undecided, else the first
    decisive: Line | None
    forest: str  # SVG of the page; empty in print, and where there is nothing to draw
    distance: float | None  # from the threshold in half-widths of the interval, positive where it replicates
    published: str  # the published number where it belongs to the decisive part
    parts: tuple[Line, ...]
    controls: tuple[Line, ...]
    certificate: str
    calibration: str  # the row's measured error rates as a sentence; empty where none were measured
    error_rates: str  # the same as two numbers
    structureless: str  # how often null models pass the rule; empty where none was drawn
    weakness: str  # what it means that they do in most draws; empty where they do not
    passing: str  # the one that passes oftenest, in a word or two
    untrained: Untrained | None
    converged: bool | None
    p_values: str
    holm_warning: bool
    sample: str
    caution: str  # what there is to say against the verdict beyond its reason
    open: str  # why an inconclusive verdict is open, in a line of its own; empty for any other
    command: str
    seconds: str

    @property
    def remark(self) -> str:
        """What the untrained twin's verdict means; empty where it means nothing."""
        return self.untrained.remark if self.untrained else ""

    @property
    def cautions(self) -> list[str]:
        """What there is to say against the verdict, a sentence each."""
        holm = "It does not pass Holm’s correction for many claims." if self.holm_warning else ""
        return [said for said in (self.caution, self.weakness, self.remark, holm) if said]

    @property
    def judged(self) -> bool:
        """Whether there is evidence behind the verdict."""
        return self.verdict not in (Verdict.NOT_TESTED, Verdict.ERROR)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One numbered figure: a drawing, or the same drawing under either protocol side by side."""

    number: int
    title: str
    caption: str
    pair: bool  # whether the drawings stand side by side
    narrow: bool  # whether the whole of it takes half of the print edition's column
    panels: tuple[tuple[str, str], ...]  # heading (empty for one panel), SVG


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """The states of the model under one protocol, drawn: one numbered figure of several pictures."""

    number: int  # 0 where no picture could be drawn
    protocol_name: str  # empty where the run has one protocol
    panels: tuple[tuple[str, str], ...]  # title, SVG
    bar: str  # SVG of the colours' scale
    caption: tuple[str, ...]  # sentences
    missing: tuple[str, ...]  # a sentence for each picture that is not there


@dataclass(frozen=True, kw_only=True)
class TableLine:
    """A part or a control under one protocol: a line of a claim's table."""

    protocol_name: str
    line: Line
    control: bool
    first: bool  # the first line of this quantity, where its name is printed


@dataclass(frozen=True, kw_only=True)
class WalkLine:
    """One step from the published procedure to the rigorous protocol, or a single change of the procedure."""

    choice: str
    end: bool  # the procedure or the protocol as it is
    alone: bool  # not a step of the walk: the only thing that is changed
    number: str
    interval: str
    converged: str  # "yes", "no", or a dash


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one protocol says of a claim on this model."""

    verdict: Verdict | None  # None: there is none to be had
    number: str  # empty where there is none


@dataclass(frozen=True, kw_only=True)
class AnswerLine:
    """The three answers to a claim."""

    id: str
    title: str
    post: str  # what the post found, in few words; a dash where it gives nothing
    part: str  # whose number stands there, where it is not the claim's first part
    published: Answer
    rigorous: Answer
    why: str  # at most five words


@dataclass(frozen=True, kw_only=True)
class AnswerGroup:
    """Claims whose two verdicts say the same of the post."""

    heading: str
    note: str  # what the heading means
    lines: tuple[AnswerLine, ...]


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """One claim with its result under each protocol of the run."""

    id: str
    title: str
    section: str
    statement: str
    source: str  # whose sentence it is, and where it stands
    reported: str  # what the source measured; empty where it says nothing
    said: str  # the same as a sentence without its stop: for this very setting, or the post's headline
    rule: str
    number: int  # place among the claims, section by section, from 1
    severity: int  # 0 is the worst verdict
    results: tuple[Result, ...]
    forest: str  # SVG of the print edition, all protocols in one row; empty on the page
    strips: tuple[str, ...]  # SVG, one a quantity
    quantities: tuple[TableLine, ...]
    figures: tuple[Figure, ...]
    seen: tuple[tuple[int, str], ...]  # number of a figure that an earlier claim shows, and that claim's id
    missing: tuple[str, ...]  # a sentence for each thing that could not be shown with the claim
    contrast: str  # what makes the two answers differ; empty where there is nothing to say
    walk: tuple[WalkLine, ...]  # empty where the run made none

    def grouped(self, *names: str) -> list[tuple[str, Result]]:
        """Each result with its protocol's name; the first alone, with no name, where `names` are alike in all."""
        if len({tuple(getattr(result, name) for name in names) for result in self.results}) > 1:
            return [(result.protocol_name, result) for result in self.results]
        return [("" if len(self.results) > 1 else self.results[0].protocol_name, self.results[0])]

    @property
    def other(self) -> Line | None:
        """Under the second protocol, the part that decides under the first; None where there is none."""
        first, second = (*self.results, None)[:2]
        if first is None or first.decisive is None or second is None:
            return None
        return next((part for part in second.parts if part.name == first.decisive.name), None)

    @property
    def differs(self) -> bool:
        """Whether the protocols disagree: both judged, and not alike."""
        return self.compared and len({result.verdict for result in self.results}) > 1

    @property
    def compared(self) -> bool:
        """Whether both protocols judged."""
        return len(self.results) > 1 and all(result.judged for result in self.results)


@dataclass(frozen=True, kw_only=True)
class Remark:
    """What there is to say of some claims of the run."""

    label: str
    said: str  # a sentence; without its stop where claims follow
    claims: tuple[tuple[str, str], ...]  # id and title of those that are named
    more: int  # that are not named

    @property
    def text(self) -> str:
        """All of it as plain text."""
        if not self.claims:
            return self.said
        named = ", ".join(f"“{title}”" for _, title in self.claims)
        return f"{self.said}: {named}{f' and {self.more} more' if self.more else ''}."


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How many claims came out which way under one protocol."""

    protocol: str
    counts: tuple[tuple[Verdict, int], ...]  # failures first
    total: int
    replicated: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that the templates print."""

    results: Results  # cleaned, without the counts
    model: str
    short_model: str
    title: str
    claims: tuple[Assessment, ...]  # section by section, in the post's order
    ranked: tuple[Assessment, ...]  # failures first
    sections: tuple[tuple[str, tuple[Assessment, ...]], ...]
    tallies: tuple[Tally, ...]
    both: bool
    of_post: bool  # whether every claim is the post's
    cites_post: bool  # whether any is
    calibrated: bool  # whether any row has measured error rates
    structureless: bool  # whether null models were judged by the rule of any row
    untrained: bool  # whether any row was judged on the untrained twin as well
    older: bool  # whether as published meant scikit-learn's defaults when the file was written
    answers: tuple[AnswerGroup, ...]  # empty under one protocol alone
    groups: tuple[tuple[Verdict, tuple[Assessment, ...]], ...]  # failures first
    galleries: tuple[Gallery, ...]  # the states, drawn; one for each protocol
    contents: tuple[tuple[tuple[int, str, str], ...], ...]  # columns of (level, anchor, text)
    headline: str
    baseline: Comparison | None  # None: the run was held against none
    certainty: tuple[Remark, ...]  # what the run is sure of, and what not
    facts: tuple[tuple[str, str], ...]
    options: tuple[tuple[str, str, str], ...]
    packages: tuple[tuple[str, str], ...]
    date: str
    bibtex_tool: str
    version: str
    command: str
