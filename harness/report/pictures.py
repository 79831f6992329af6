"""The states of a run as a reader sees them: the pictures drawn, and a caption that says how to read them."""

from collections.abc import Iterator

from layerclaims.report.escaping import clean
from layerclaims.report.plots.scatter import colour_bar, scatter
from layerclaims.report.views import Gallery
from layerclaims.report.wording import PROTOCOLS, sentence
from layerclaims.results.picture_records import PictureRecord, PicturesRecord
from layerclaims.results.records import Results

LONGEST_TITLE = 80


def galleries(data: Results, numbers: Iterator[int], *, interactive: bool) -> tuple[Gallery, ...]:
    """Return the pictures of each protocol of a run; none where a file has none.

    A drawing that fails is left out with its reason: it must not cost the report.
    """
    return tuple(
        _gallery(
            record, data.model.n_blocks, numbers, several=len(data.pictures) > 1, interactive=interactive
        )
        for record in data.pictures
        if record.pictures or record.missing
    )


def _gallery(
    record: PicturesRecord, last: int, numbers: Iterator[int], *, several: bool, interactive: bool
) -> Gallery:
    panels, drawn, missing = [], list[PictureRecord](), list(record.missing.items())
    for picture in record.pictures:
        title = clean(picture.title, LONGEST_TITLE)
        try:
            svg = scatter(picture, last=last, alt=_alt(picture, title), interactive=interactive)
        except Exception as error:  # one drawing must not cost the report
            missing.append((title, f"{type(error).__name__}: {error}"))
            continue
        panels.append((title, svg))
        drawn.append(picture)
    return Gallery(
        number=next(numbers) if panels else 0,
        protocol_name=PROTOCOLS[record.protocol] if several else "",
        panels=tuple(panels),
        bar=colour_bar(last, interactive=interactive) if panels else "",
        caption=tuple(_caption(record, drawn)),
        missing=tuple(
            f"Not drawn: {clean(title, LONGEST_TITLE)}. {sentence(clean(why))}" for title, why in missing
        ),
    )


def _alt(picture: PictureRecord, title: str) -> str:
    """The picture in one sentence, for who does not see it."""
    said = f"{title}: {picture.x.size:,} vectors of states {picture.states[0]} to {picture.states[-1]}"
    if not picture.axes:
        return f"{said}, coloured by state."
    first, second = (f"{100 * axis.share:.0f} %" for axis in picture.axes)
    return f"{said}, coloured by state, with the path of their means; {first} and {second} of the variance."


def _caption(record: PicturesRecord, drawn: list[PictureRecord]) -> Iterator[str]:
    """Yield sentences: what is drawn, of how many documents, and what not to read from it."""
    if not drawn:
        return
    yield "A point is one vector, coloured by its state."
    linear = [picture for picture in drawn if picture.axes]
    other = [picture for picture in drawn if not picture.axes]
    where = "position 0 of each text is left out"
    if record.first_position == 0:
        where = "every position counts, also position 0, whose vectors are far longer than the rest in many models"
    if linear:
        sizes = {picture.states[0] == 0: f"{picture.x.size:,}" for picture in linear}
        both = f"; {sizes[False]} without state 0, the embedding" if len(sizes) == 2 else ""
        size = sizes.get(True) or sizes[False]
        yield f"PCA shows the same {_tokens(linear[0])} in every state ({size} vectors{both}); {where}."
        if both:
            yield "State 0 is drawn where the title says so, as in the post's figures 2 to 4."
        yield (
            "The percentages are shares of the variance, and each axis has its own scale. The line joins the means of "
            "the states in order of depth."
        )
    if record.protocol == "as-published":
        yield "Unit vectors are standardised feature by feature before they are divided by their length."
    else:
        yield "Unit vectors are divided by their length."
    if other:
        names = " and ".join(picture.method for picture in other)
        verb, them = ("show", "They keep") if len(other) > 1 else ("shows", "It keeps")
        yield (
            f"{names} {verb} {other[0].x.size:,} vectors ({_tokens(other[0])} in every state). {them} near vectors "
            "near and nothing else: distances between groups, their sizes and their places mean nothing, so there are "
            "no axes."
        )


def _tokens(picture: PictureRecord) -> str:
    """As in "60 tokens of 57 documents"."""
    tokens, documents = picture.x.shape[1], picture.n_documents
    return f"{tokens:,} token{'s' if tokens != 1 else ''} of {documents:,} document{'s' if documents != 1 else ''}"
