"""What data without structure do under a claim's rule, in words."""

from collections.abc import Sequence

from layerclaims.report.escaping import clean
from layerclaims.results.records import NullRecord
from layerclaims.runtime.text import undotted

WEAK = 0.5  # a rule that a null model passes in more of its draws says little
# null model -> in a cell, and as the subject of a sentence
NAMES = {
    "random walk": ("walk", "a random walk through the layers"),
    "random points": ("points", "layers at random points"),
    "means only": ("means", "layers that differ in their means only"),
    "shuffled labels": ("shuffled", "layers that change places at random"),
}
LONGEST = 40


def shares(nulls: Sequence[NullRecord]) -> str:
    """Return the share of draws that pass, of each null model, as a sentence; empty where none was drawn."""
    said = ", ".join(f"{clean(one.name, LONGEST)} {_percent(one.passed)}" for one in nulls)
    draws = " and ".join(f"{n:,}" for n in dict.fromkeys(one.draws for one in nulls))
    return f"{said} ({draws} draws each)." if said else ""


def weakness(nulls: Sequence[NullRecord]) -> str:
    """Return what it means that null models pass in most of their draws; empty where none does."""
    passing = [
        f"{NAMES.get(one.name, ('', clean(one.name, LONGEST)))[1]} ({_percent(one.passed)} of draws)"
        for one in nulls
        if one.passed > WEAK
    ]
    if not passing:
        return ""
    *first, last = passing
    who = f"{', '.join(first)} and {last}" if first else last
    one_walks = not first and last.startswith("a ")
    return (
        f"{who[:1].upper()}{who[1:]} pass{'es' if one_walks else ''} this rule too, so passing it says little about "
        "trained layers."
    )


def most(nulls: Sequence[NullRecord]) -> str:
    """Return the null model that passes oftenest, as in "walk 100 %"; empty where none was drawn."""
    if not nulls:
        return ""
    best = max(nulls, key=lambda one: one.passed)
    if not best.passed:
        return "none"
    return f"{NAMES.get(best.name, (clean(best.name, LONGEST),))[0]} {_percent(best.passed)}"


def _percent(share: float) -> str:
    return f"{undotted(f'{100 * share:.1f}'.removesuffix('.0'))} %"
