"""What a report says about the run as a whole: headline, tallies, certainty, contents, facts, citation."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from layerclaims.report.escaping import clean
from layerclaims.report.views import Assessment, Remark, Tally
from layerclaims.report.wording import CLOSE, PROTOCOLS
from layerclaims.results.records import Results
from layerclaims.verdicts.style import FINDINGS_FIRST, STYLES
from layerclaims.verdicts.verdict import Verdict

MOST_NAMED: Final = 6  # claims in one sentence

STATES = "The states, seen"  # heading of the pictures


def contents(
    sections: dict[str, list[Assessment]], *, both: bool, states: bool, baseline: bool
) -> tuple[tuple[tuple[int, str, str], ...], ...]:
    """Return the table of contents in two columns of about the same length, never split inside a section."""
    blocks = [[(1, "baseline", "Against the baseline")]] if baseline else []
    blocks += [[(1, "answers", "Three answers to each claim")]] if both else []
    blocks += [[(1, "verdicts", "Verdicts")]]
    blocks += [[(1, "states", STATES)]] if states else []
    for index, (name, claims) in enumerate(sections.items(), 1):
        blocks.append(
            [(1, f"section-{index}", name.capitalize())] + [(2, claim.id, claim.title) for claim in claims]
        )
    ends = [
        ("methods", "Methods"),
        ("environment", "Environment"),
        ("limits", "Limits"),
        ("references", "References"),
        ("citing", "How to cite"),
    ]
    blocks += [[(1, anchor, text)] for anchor, text in ends]
    total, left, right = sum(map(len, blocks)), list[tuple[int, str, str]](), list[tuple[int, str, str]]()
    for block in blocks:
        (left if not right and len(left) + len(block) / 2 <= total / 2 else right).extend(block)
    return tuple(left), tuple(right)


def tally(protocol: str, claims: list[Assessment]) -> Tally:
    """Count the verdicts under one protocol."""
    verdicts = Counter(r.verdict for claim in claims for r in claim.results if r.protocol == protocol)
    return Tally(
        protocol=PROTOCOLS[protocol],
        counts=tuple((verdict, verdicts[verdict]) for verdict in FINDINGS_FIRST if verdicts[verdict]),
        total=sum(verdicts.values()),
        replicated=verdicts[Verdict.REPLICATED],
    )


def headline(tallies: tuple[Tally, ...]) -> str:
    """Return the report in one sentence."""
    if not any(tally.total for tally in tallies):
        return "This run judged no claim."
    if all(
        {verdict for verdict, _ in tally.counts} <= {Verdict.NOT_TESTED, Verdict.ERROR} for tally in tallies
    ):
        return "No claim could be tested in this run."
    first, *rest = tallies
    if first.total == 1:
        said = [STYLES[tally.counts[0][0]].word for tally in tallies if tally.counts]
        both = f" under the rigorous protocol, {said[-1]} under the protocol as published" if rest else ""
        return f"The one claim of this run: {said[0]}{both}."
    verb = "replicate" if first.replicated > 1 else "replicates"
    text = f"{first.replicated or 'None'} of {first.total} claims {verb}"
    if not rest:
        return f"{text}."
    return (
        f"{text} under the rigorous protocol, {rest[0].replicated or 'none'} under the protocol as published."
    )


def with_selection(sentence: str, data: Results) -> str:
    """Return the headline, with how many claims were run of how many where the run left some out."""
    chosen = data.selected
    if chosen is None or chosen.claims == chosen.of:
        return sentence
    return f"{sentence.removesuffix('.')}; {chosen.claims} of {chosen.of} claims selected."


def certainty(claims: list[Assessment], protocols: list[str]) -> list[Remark]:
    """Return labelled sentences on what the run is sure of and what not, about its first protocol."""
    mine = [(claim, claim.results[0]) for claim in claims if claim.results[0].protocol == protocols[0]]
    decided = [(c, r) for c, r in mine if r.verdict in (Verdict.REPLICATED, Verdict.NOT_REPLICATED)]
    near = [(abs(r.distance), c) for c, r in decided if r.distance is not None and abs(r.distance) < CLOSE]
    close = [claim for _, claim in sorted(near, key=lambda found: (found[0], found[1].title))]
    flagged = [c for c, r in mine if r.holm_warning]
    twins = [c for c, r in mine if r.untrained is not None and r.untrained.remark]
    weak = [c for c, r in mine if r.verdict is Verdict.REPLICATED and r.weakness]
    stalled = [c for c in claims if any(r.converged is False and r.protocol == "rigorous" for r in c.results)]
    made = [
        _remark("Clear", _clear(len(decided), len(close)), []),
        _remark("Close calls", "{who} close to the pass mark", close, ("verdict is", "verdicts are")),
        _remark(
            "Not decided",
            "{who} open; each row gives the reason",
            [c for c, r in mine if r.verdict is Verdict.INCONCLUSIVE],
            ("claim is", "claims are"),
        ),
        _remark(
            "Correction",
            "{who} not pass Holm’s correction for many claims",
            flagged,
            ("replicated claim does", "replicated claims do"),
        ),
        _remark(
            "Untrained",
            "{who} little about training, because an untrained network passes too",
            twins,
            SAY,
        ),
        _remark(
            "Weak rules",
            "{who} little about trained layers, because data without structure pass the same rule",
            weak,
            SAY,
        ),
        _remark(
            "Unreliable",
            "{who} unreliable, because a probe did not finish fitting",
            stalled,
            ("verdict is", "verdicts are"),
        ),
    ]
    if len(protocols) > 1:
        made.append(_between(claims))
    return [remark for remark in made if remark is not None]


SAY: Final = ("replicated claim says", "replicated claims say")


def _clear(decided: int, close: int) -> str:
    if not decided:
        return ""
    if decided == 1:
        return "" if close else "The verdict is clear."
    if not close:
        return f"All {decided} verdicts are clear."
    far = decided - close
    return f"{far or 'None'} of {decided} verdicts {'is' if far == 1 else 'are'} clear."


def _remark(
    label: str, words: str, claims: Sequence[Assessment], counted: tuple[str, str] = ("", "")
) -> Remark | None:
    """A remark on some claims; None where there are none of them, or nothing is said."""
    if counted != ("", ""):
        if not claims:
            return None
        words = words.format(who=f"{len(claims)} {counted[len(claims) != 1]}")
    if not words:
        return None
    links = tuple((claim.id, claim.title) for claim in claims[:MOST_NAMED])
    return Remark(label=label, said=words, claims=links, more=max(0, len(claims) - MOST_NAMED))


def _between(claims: Sequence[Assessment]) -> Remark | None:
    judged = sum(claim.compared for claim in claims)
    differing = [claim for claim in claims if claim.differs]
    if differing:
        said = f"They disagree on {len(differing)} of the {judged} claims that both judged"
    elif judged:
        said = "They agree on every claim that both judged."
    else:
        said = "They share no claim that both judged."
    return _remark("Protocols", said, differing)


def facts(data: Results) -> list[tuple[str, str]]:
    """Return what was tested and how, as (label, text)."""
    model, protocol = data.model, data.protocol
    size = f"{model.n_parameters:,} parameters, {model.n_blocks} blocks, width {model.hidden_size}"
    made = [("Model", f"{model.name}, {clean(model.architecture or 'unknown architecture', 80)}, {size}")]
    for corpus in data.corpora:
        role = {
            "main": "Corpus",
            "transfer": "Transfer corpus",
            "transfer as published": "Transfer, as published",
        }[corpus.role]
        made.append((role, f"{corpus.name}: {corpus.n_texts:,} texts × {protocol.context} tokens"))
    names = {"both": "rigorous and as published", **PROTOCOLS}
    profile = f", profile {protocol.profile}" if protocol.profile else ""
    made.append(
        ("Protocol", f"{names[protocol.name]}{profile}, {protocol.folds} folds, seed {protocol.seed}")
    )
    if said := _control(data):
        made.append(("Control", said))
    return made


def _control(data: Results) -> str:
    """How many of the replicated claims hold on the untrained twin as well; empty where it was not asked for."""
    judged = [claim for claim in data.claims if claim.control_untrained is not None]
    asked = any(one.name == "control" and one.value == "untrained" for one in data.protocol.options)
    if not judged:
        return "the untrained twin was asked for, and no claim could be judged on it" if asked else ""
    own = [claim for claim in judged if claim.verdict is Verdict.REPLICATED]
    too = sum(
        claim.control_untrained is not None and claim.control_untrained.verdict is Verdict.REPLICATED
        for claim in own
    )
    return f"untrained twin; {too} of the {len(own)} replicated claims hold on it too"


def bibtex(data: Results) -> str:
    """Return the BibTeX entry of this tool and run."""
    commit = data.harness.git_commit
    note = f"commit {commit[:12]}, " if commit else ""
    model = re.sub(
        r"([{}\\%#&_$~^])",
        lambda found: "\\" + found.group() if found.group() in "{}%#&_$" else "",
        data.model.name,
    )
    return (
        f"@software{{layerclaims,\n"
        f"  title   = {{layerclaims: which claims about a language model's hidden states replicate}},\n"
        f"  version = {{{data.harness.version}}},\n"
        f"  year    = {{{data.created[:4]}}},\n"
        f"  note    = {{{note}results for {model}, protocol hash {data.protocol.hash}}},\n"
        f"}}"
    )
