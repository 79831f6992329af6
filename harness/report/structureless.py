"""What data without structure do under a claim's rule, in words."""

from collections.abc import Sequence

from layerclaims.report.escaping import clean
from layerclaims.results.records import NullRecord
from layerclaims.runtime.text import undotted

WEAK = 0.5  # a rule that a null model passes in more of its draws says little
# null model -> in a cell, as the subject of a sentence, and as what a rule has passed so many of
NAMES = {
    "random walk": ("walk", "a random walk through the layers", "random walks"),
    "random points": ("points", "layers at random points", "sets of random points"),
    "means only": ("means", "layers that differ in their means only", "sets that differ in their means only"),
    "shuffled labels": ("shuffled", "layers in random order", "sets in random order"),
}
LONGEST = 40


def shares(nulls: Sequence[NullRecord]) -> str:
    """Return how many draws of each null model pass, as a sentence; empty where none was drawn."""
    if not nulls:
        return ""
    said = [
        f"{round(one.passed * one.draws):,} of {one.draws:,} {_names(one)[2]}"
        for one in sorted(nulls, key=lambda one: -one.passed)
    ]
    return f"This rule passes {_joined(said)}."


def weakness(nulls: Sequence[NullRecord]) -> str:
    """Return what it means that null models pass in most of their draws; empty where none does."""
    passing = [_names(one)[1] for one in nulls if one.passed > WEAK]
    if not passing:
        return ""
    who = _joined(passing)
    passes = "passes" if len(passing) == 1 and who.startswith("a ") else "pass"
    return (
        f"{who[:1].upper()}{who[1:]} {passes} this rule too, so passing it says little about trained layers."
    )


def most(nulls: Sequence[NullRecord]) -> str:
    """Return the null model that passes oftenest, as in "walk 100 %"; empty where none was drawn."""
    if not nulls:
        return ""
    best = max(nulls, key=lambda one: one.passed)
    if not best.passed:
        return "none"
    return f"{_names(best)[0]} {undotted(f'{100 * best.passed:.1f}'.removesuffix('.0'))} %"


def _names(one: NullRecord) -> tuple[str, str, str]:
    name = clean(one.name, LONGEST)
    return NAMES.get(one.name, (name, name, f"draws of {name}"))


def _joined(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
