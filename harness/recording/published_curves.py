"""What the post's authors measured on IMDB, as curves to stand behind a figure's own."""

from collections.abc import Mapping, Sequence

from layerclaims.results.figure_records import CurveRecord, LinesRecord
from layerclaims.verdicts.published import accuracy_over_context, accuracy_over_texts, published


def curves_over_context(places: Mapping[str, int], *, n_texts: int) -> tuple[CurveRecord, ...]:
    """Accuracy of each GPT-2 over tokens of context, `places` by the label that the x axis gives them.

    Of the authors' numbers of texts it is the largest that does not exceed the run's, else their smallest.
    """
    known = published().n_texts
    row = max((n for n in known if n <= n_texts), default=known[0])
    return _curves(places, accuracy_over_context(row), f"{row:,} texts")


def curves_over_texts(places: Mapping[str, int], *, context: int) -> tuple[CurveRecord, ...]:
    """Accuracy of each GPT-2 over the number of texts, `places` by the label that the x axis gives them.

    Of the authors' contexts it is the one nearest to the run's, the shorter of two.
    """
    row = min(published().contexts, key=lambda one: (abs(one - context), one))
    return _curves(places, accuracy_over_texts(row), f"{row} tokens")


def with_published(figure: LinesRecord, curves: Sequence[CurveRecord]) -> LinesRecord:
    """The figure with published curves behind its own, and a sentence on them in its caption."""
    if not curves:
        return figure
    caption = (
        f"{figure.caption} Thin dashed lines: the post's authors on IMDB, one run a point, their own probe."
    )
    return figure.model_copy(update={"series": (*figure.series, *curves), "caption": caption})


def _curves(
    places: Mapping[str, int], found: Mapping[str, Sequence[tuple[int, float]]], fixed: str
) -> tuple[CurveRecord, ...]:
    """A curve for each model that was run at one of the places at least; null at those that it lacks."""
    made = []
    for model, points in found.items():
        accuracies = dict(points)
        values = tuple(accuracies.get(place) for place in places.values())
        if any(value is not None for value in values):
            made.append(CurveRecord(name=f"published {model}, {fixed}", values=values, published=True))
    return tuple(made)
