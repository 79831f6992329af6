"""What makes a claim's answers differ between the published procedure and the rigorous protocol, in words.

The walk of a claim says it: its number at every step from the one to the other.
"""

import math
import re
from typing import Final

from layerclaims.report.escaping import clean
from layerclaims.report.moves import LONGEST_CHOICE, Causes, causes, decimal, gap
from layerclaims.report.views import WalkLine
from layerclaims.report.wording import measured, rule_text
from layerclaims.results.records import ClaimRecord, PartRecord, decisive
from layerclaims.results.walk_records import WalkRecord
from layerclaims.verdicts.verdict import Verdict

JUDGED: Final = (Verdict.REPLICATED, Verdict.NOT_REPLICATED, Verdict.INCONCLUSIVE)


# where a claim is about the very thing that the ingredient changes
REASONS: Final = {
    ("more-data-higher-accuracy", "steps"): "more steps, not more texts",
    ("longer-context-higher-accuracy", "steps"): "more steps, not longer texts",
    ("norm-is-a-feature", "vectors"): "standardised before unit norm",
}
# what a claim that was not tested needs, by what its reason speaks of
NEEDS: Final = (
    (r"second model|larger one|--model\b", "needs a second model"),
    (r"transfer-corpus|other corpus|second corpus", "needs a second corpus"),
    (r"umap", "needs UMAP"),
    (r"--context", "needs a longer context"),
    (r"number of parameters", "models of one size"),
    (r"--folds|folds", "needs more folds"),
    (r"--n-texts|documents|texts", "needs more texts"),
)


def never_published(published: ClaimRecord | None) -> bool:
    """Whether the authors never ran what a claim asks, so that their procedure has no answer."""
    return (
        published is not None
        and published.verdict is Verdict.NOT_TESTED
        and published.reason.startswith("Never published")
    )


def table(walk: WalkRecord | None) -> tuple[WalkLine, ...]:
    """The steps of a walk as lines of a table, single changes of the published procedure after them."""
    if walk is None:
        return ()
    lines = [("walk", step) for step in walk.steps] + [("alone", step) for step in walk.alone]
    made = []
    for kind, step in lines:
        number, interval = measured(step.value, step.interval)
        choice = clean(step.choice, LONGEST_CHOICE)
        end = kind == "walk" and step.ingredient in ("published", "rigorous")
        made.append(
            WalkLine(
                choice=_capital(choice) if end else choice,
                end=end,
                alone=kind == "alone",
                number=number,
                interval=interval,
                converged={True: "yes", False: "no", None: "–"}[step.converged],
            )
        )
    return tuple(made)


def contrast(
    rigorous: ClaimRecord | None,
    published: ClaimRecord | None,
    walk: WalkRecord | None,
    *,
    older: bool = False,
) -> str:
    """One sentence on what makes a claim's two answers differ; empty where there is nothing to say.

    `older`: the file comes from a version whose protocols differed in other ingredients.
    """
    if rigorous is None or published is None:
        return ""
    if never_published(published):
        return "The authors published no run of this, so their procedure gives no answer. The verdict is ours alone."
    missing = [
        where
        for claim, where in (
            (published, "by the published procedure"),
            (rigorous, "under the rigorous protocol"),
        )
        if claim.verdict not in JUDGED
    ]
    if missing:
        return f"There is nothing to compare: the claim was not judged {' and not '.join(missing)}."
    agree = rigorous.verdict is published.verdict
    noise, found = _noise(rigorous, published, walk), causes(walk)
    if agree:
        if found is None or abs(gap(walk)) <= 2 * noise:
            return ""
        return f"Both agree, although {_clauses(found, walk)}{_rest(found)}."
    if rigorous.probe is not None and not rigorous.probe.converged:
        return (
            "The rigorous probe did not finish fitting, so its number decides nothing and cannot be compared."
        )
    if found is None:
        if older or rigorous.probe is not None or published.probe is not None:
            return "What makes the difference was not measured in this run."
        return (
            "The difference comes from position 0 and the scaling of unit vectors: no probe is fitted for this claim, "
            "and the published procedure keeps position 0 and standardises before it divides by the norm."
        )
    if not found.moves or max(abs(move.effect) for move in found.moves) <= noise:
        return (
            f"No ingredient makes the difference: none moves {_quantity(walk)} by more than half the width of its "
            f"interval, but it lies close to the pass mark{_border(rigorous, published)}."
        )
    if len(found.moves) == 1:
        subject = found.moves[0].words.subject
        if found.alone:
            return (
                f"{_capital(subject)} alone makes the difference: {_clauses(found, walk)}, with everything else as "
                "published."
            )
        opening = f"{_capital(subject)} makes the difference"
    else:
        opening = f"{['Two', 'Three'][len(found.moves) - 2]} ingredients make the difference"
    return f"{opening}: {_clauses(found, walk)}{_rest(found)}."


def reason(
    rigorous: ClaimRecord | None,
    published: ClaimRecord | None,
    walk: WalkRecord | None,
    *,
    older: bool = False,
) -> str:
    """Why a claim stands where it stands, in at most five words."""
    if never_published(published):
        return "never published"
    if rigorous is None or published is None:
        return "judged by one protocol only"
    both = (rigorous, published)
    if any(claim.verdict is Verdict.ERROR for claim in both):
        return "the harness failed"
    for claim in both:
        if claim.verdict is Verdict.NOT_TESTED:
            return _need(claim.reason)
    if rigorous.verdict is Verdict.INCONCLUSIVE:
        return _undecided(rigorous)
    if published.verdict is Verdict.INCONCLUSIVE:
        return "undecided by its procedure"
    if rigorous.verdict is published.verdict:
        if rigorous.verdict is Verdict.NOT_REPLICATED:
            return "not even with its procedure"
        twin = rigorous.control_untrained
        trained = twin is None or twin.verdict is not Verdict.REPLICATED
        return "true of the model" if trained else "true, untrained weights too"
    found = causes(walk)
    if found is None:
        unfitted = rigorous.probe is None and published.probe is None and not older
        return "position 0, unit scaling" if unfitted else "cause not measured"
    if not found.moves or max(abs(move.effect) for move in found.moves) <= _noise(rigorous, published, walk):
        return "close to the pass mark"
    first = found.moves[0]
    if len(found.moves) == 1:
        return REASONS.get((rigorous.id, first.step.ingredient), first.words.reason)
    if len(found.moves) == 2:
        return " and ".join(move.words.noun for move in found.moves)
    return "several ingredients together"


def compared(
    rigorous: ClaimRecord | None, published: ClaimRecord | None
) -> tuple[PartRecord | None, PartRecord | None]:
    """The parts whose numbers stand for a claim: those of one name that tell its answers apart, else that decide."""
    own = list(rigorous.parts) if rigorous is not None else []
    others = {part.name: part for part in published.parts} if published is not None else {}
    shared = [(part, others[part.name]) for part in own if part.name in others]
    for part, other in shared:
        if part.holds is not other.holds:
            return part, other
    mine = decisive(own)
    if mine is not None and mine.name in others:
        return mine, others[mine.name]
    return mine, decisive(list(others.values()))


def _noise(rigorous: ClaimRecord, published: ClaimRecord, walk: WalkRecord | None) -> float:
    """Half the width of the widest interval that is known of either answer."""
    ends = [walk.steps[0].interval, walk.steps[-1].interval] if walk is not None else []
    ends += [part.interval for part in compared(rigorous, published) if part is not None and not any(ends)]
    return max(((high - low) / 2 for low, high in filter(None, ends)), default=0.0)


def _border(rigorous: ClaimRecord, published: ClaimRecord) -> str:
    part = compared(rigorous, published)[0]
    rule = rule_text(part.relation, part.threshold) if part is not None else ""
    return f" (it must be {rule})" if rule else ""


def _quantity(walk: WalkRecord | None) -> str:
    name = clean(walk.quantity, LONGEST_CHOICE) if walk is not None else ""
    return name if re.match(r"(the|a|an|its) ", name) else f"the {name}"


def _clauses(found: Causes, walk: WalkRecord | None) -> str:
    first, *more = found.moves
    return ", and ".join([first.says(_quantity(walk)), *(move.says("it") for move in more)])


def _rest(found: Causes) -> str:
    """What all the other steps do at most."""
    if not found.others:
        return ""
    largest = max(found.others)
    if largest == 0:
        return "; nothing else moves it"
    unit = 10.0 ** math.floor(math.log10(largest))
    bound = (math.floor(largest / unit * (1 + 1e-9)) + 1) * unit
    return f"; everything else moves it by less than {decimal(bound, max(0, -math.floor(math.log10(bound) + 1e-9)))}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _need(text: str) -> str:
    return next((need for pattern, need in NEEDS if re.search(pattern, text, re.I)), "not tested")


def _undecided(claim: ClaimRecord) -> str:
    if claim.probe is not None and not claim.probe.converged:
        return "undecided: probe not finished"
    if "undefined" in claim.reason or "no finite interval" in claim.reason:
        return "undecided: number not defined"
    if "leaks" in claim.reason:
        return "undecided: a control leaks"
    return "undecided: too few texts"
