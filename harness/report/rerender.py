"""A PDF's pages against those that the results attached to it give when they are rendered again."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from layerclaims.report import render
from layerclaims.report.renderer import KEY, renderer
from layerclaims.results import attachment
from layerclaims.results import file as results_file
from layerclaims.results.records import Results
from layerclaims.results.verification import Pages
from layerclaims.runtime.text import shown

if TYPE_CHECKING:
    import pikepdf

# of a report that is rendered to be compared: a hostile one must not take hours. A run of both protocols has 56.
MOST_CLAIMS: Final = 200
MOST_BYTES: Final = 8 * 2**20  # of results without their counts
OWN_FONTS: Final = frozenset(family.replace(" ", "-") for family, *_ in render.FACES)
ORIGIN: Final = "the PDF"
MOST_NAMED: Final = 5  # differences


def compare_pages(data: bytes, results: Results) -> Pages:
    """Render `results` again and compare with the PDF's bytes; not where another renderer made the PDF.

    Equal bytes need the same versions of all that renders, and no font but those that come with layerclaims.
    """
    try:
        here = renderer()
    except OSError:
        return Pages(unseen="Pango is missing here, with which they would be rendered again")
    with attachment.opened(data, origin=ORIGIN) as pdf:
        stated = pdf.docinfo.get(f"/{KEY}")
        made_with = None if stated is None else str(stated)
    if made_with is None:
        return Pages(unseen="it does not say what it was rendered with")
    if made_with != here:
        return Pages(unseen=f"it was rendered with {_difference(made_with, here)}")
    kept = results.model_copy(update={"documents": {}})
    if len(results.claims) > MOST_CLAIMS or len(results_file.dumps(kept)) > MOST_BYTES:
        return Pages(unseen="the report is larger than any that is rendered again for a comparison")
    try:
        made = render.pdf(results)
    except Exception as error:  # whatever it is, it says nothing of the pages that are there
        return Pages(unseen=f"they cannot be rendered again here ({type(error).__name__})")
    with attachment.opened(made, origin=ORIGIN) as right:
        if made == data:
            return Pages(same=len(right.pages))
        foreign = sorted({name for name in _fonts(right) if not _own(name)})
        if foreign:
            return Pages(
                unseen=f"they are set in a font of the machine that rendered them ({shown(foreign[0])}), which may be "
                "another one here"
            )
        with attachment.opened(data, origin=ORIGIN) as stated_pdf:
            return Pages(mismatches=tuple(_differences(stated_pdf, right)))


def _difference(stated: str, here: str) -> str:
    """The first thing in which two renderers differ."""
    for one, other in zip(stated.split(", "), here.split(", "), strict=False):
        if one != other:
            return f"{shown(one, 60)}, and here is {shown(other, 60)}"
    return shown(stated, 60)


def _fonts(pdf: "pikepdf.Pdf") -> Iterator[str]:
    import pikepdf

    for obj in pdf.objects:
        if isinstance(obj, pikepdf.Dictionary) and str(obj.get("/Type")) == "/FontDescriptor":
            yield str(obj.get("/FontName", "")).removeprefix("/")


def _own(name: str) -> bool:
    """Whether a font's name, as in "LNXIQZ+Inter-Semi-Bold", is one that comes with layerclaims."""
    bare = name.partition("+")[2] or name
    return any(bare == own or bare.startswith(f"{own}-") for own in OWN_FONTS)


def _differences(stated: "pikepdf.Pdf", right: "pikepdf.Pdf") -> Iterator[str]:
    """In what a PDF differs from the one that its results give, as far as that is cheap to say."""
    has, gives = len(stated.pages), len(right.pages)
    if has != gives:
        yield f"the PDF has {has} page{'s' * (has != 1)}, and its results give {gives}"
    others = [
        number
        for number, (one, other) in enumerate(zip(stated.pages, right.pages, strict=False), 1)
        if _drawn(one) != _drawn(other)
    ]
    for number in others[:MOST_NAMED]:
        yield f"page {number} of the PDF is not what its results give"
    if len(others) > MOST_NAMED:
        yield f"{len(others) - MOST_NAMED} more pages of the PDF are not what its results give"
    if has == gives and not others:
        yield (
            "the PDF is not, byte for byte, what its results give: what its pages draw is the same, and something that "
            "they draw it with (fonts, links, metadata) is not, or another program wrote it again"
        )


def _drawn(page: "pikepdf.Page") -> list[bytes]:
    """What a page draws, compressed as it is: unpacking a hostile one could take all memory."""
    import pikepdf

    contents = page.obj.get("/Contents")
    streams = list(contents) if isinstance(contents, pikepdf.Array) else [contents]
    return [one.read_raw_bytes() for one in streams if isinstance(one, pikepdf.Stream)]
