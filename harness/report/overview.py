"""What a report says about the run as a whole: headline, tallies, certainty, contents, facts, citation."""

import re
from collections import Counter

from layerclaims.report.escaping import clean
from layerclaims.report.views import Assessment, Tally
from layerclaims.report.wording import PROTOCOLS
from layerclaims.results.records import Results
from layerclaims.verdicts.style import FINDINGS_FIRST, STYLES
from layerclaims.verdicts.verdict import Verdict

CLOSE = 2.0  # half-widths: a decided verdict nearer to its threshold than this is named as a close call

STATES = "The states, seen"  # heading of the pictures


def contents(
    sections: dict[str, list[Assessment]], *, both: bool, states: bool
) -> tuple[tuple[tuple[int, str, str], ...], ...]:
    """Return the table of contents in two columns of about the same length, never split inside a section."""
    blocks = [[(1, "answers", "Three answers to each claim")]] if both else []
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


def certainty(claims: list[Assessment], protocols: list[str]) -> list[tuple[str, str]]:
    """Return labelled sentences on what the run is sure of and what not, about its first protocol."""
    made = []
    mine = [(claim, claim.results[0]) for claim in claims if claim.results[0].protocol == protocols[0]]
    decided = [(c, r) for c, r in mine if r.verdict in (Verdict.REPLICATED, Verdict.NOT_REPLICATED)]
    close = sorted(
        (abs(r.distance), c.title) for c, r in decided if r.distance is not None and abs(r.distance) < CLOSE
    )
    far = len(decided) - len(close)
    if len(decided) > 1:
        share = "All" if far == len(decided) else f"{far or 'None'} of the"
        where = "stand at least two half-widths of their interval away from the threshold."
        made.append(("Firm", f"{share} {len(decided)} decided verdicts {where}"))
    elif decided and not close:
        made.append(
            ("Firm", "The threshold lies at least two half-widths of the interval from the estimate.")
        )
    if close:
        made.append(("Close calls", f"{_listed([title for _, title in close])}."))
    if undecided := [c.title for c, r in mine if r.verdict is Verdict.INCONCLUSIVE]:
        made.append(("Undecided", f"{_listed(undecided)}. Each claim’s section says what would decide it."))
    if flagged := [c.title for c, r in mine if r.holm_warning]:
        made.append(
            ("Flagged", f"Replicated, but not after Holm’s correction for many claims: {_listed(flagged)}.")
        )
    twins = [c.title for c, r in mine if r.untrained is not None and r.untrained.remark]
    if twins:
        said = f"{len(twins)} replicated claim{'s say' if len(twins) > 1 else ' says'}"
        same = f"an untrained network satisfies the same: {_listed(twins)}."
        made.append(("Untrained", f"{said} little about training, since {same}"))
    weak = [c.title for c, r in mine if r.verdict is Verdict.REPLICATED and r.weakness]
    if weak:
        said = (
            f"{len(weak)} replicated claim{'s say' if len(weak) > 1 else ' says'} little about trained layers"
        )
        made.append(("Weak", f"{said}, since structureless data pass the same rule: {_listed(weak)}."))
    stalled = sum(r.converged is False for c in claims for r in c.results if r.protocol == "rigorous")
    if stalled:
        rests = "verdict rests" if stalled == 1 else "verdicts rest"
        optimiser = "did not converge; they speak of the optimiser as much as of the model."
        made.append(("Unconverged", f"{stalled} {rests} on a probe that {optimiser}"))
    if len(protocols) > 1:
        differing = [claim.title for claim in claims if claim.differs]
        judged = sum(claim.compared for claim in claims)
        if differing:
            said = f"They disagree on {len(differing)} of the {judged} claims that both judged: {_listed(differing)}."
        else:
            said = (
                "They agree on every claim that both judged."
                if judged
                else "They share no claim that both judged."
            )
        made.append(("Protocols", said))
    return made


def _listed(titles: list[str], most: int = 6) -> str:
    more = f" and {len(titles) - most} more" if len(titles) > most else ""
    return ", ".join(f"“{title}”" for title in titles[:most]) + more


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
