"""What a PDF of layerclaims never holds: code that runs, forms, other files, and changes put on top of it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from layerclaims.results import attachment
from layerclaims.runtime.text import shown

if TYPE_CHECKING:
    import pikepdf

# key of a dictionary -> what it brings
KEYS: Final = {
    "/JavaScript": "JavaScript",
    "/JS": "JavaScript",
    "/OpenAction": "an action when it is opened (OpenAction)",
    "/AA": "actions that run by themselves (AA)",
    "/AcroForm": "a form (AcroForm)",
    "/XFA": "a form (XFA)",
    "/OCProperties": "layers that can be hidden",
}
ACTIONS: Final = frozenset({"/URI", "/GoTo"})  # of links
ACTION_KEYS: Final = ("/A", "/Next")
DEEPEST: Final = 50


def foreign(pdf: "pikepdf.Pdf", data: bytes) -> list[str]:
    """What the PDF has that no report has, a sentence each."""
    found = {f"the PDF has {what}": None for obj in pdf.objects for what in _within(obj, 0)}
    for page in pdf.pages:
        for note in page.obj.get("/Annots", []):
            if str(note.get("/Subtype")) != "/Link":
                found[f"the PDF has an annotation that is no link: {shown(note.get('/Subtype'))}"] = None
    names = [name for name, _ in attachment.embedded(pdf)]
    others = [name for name in names if name != attachment.NAME]
    streams = sum(_type(obj) == "/EmbeddedFile" for obj in pdf.objects)
    if others or streams > len(names):
        called = f": {shown(others[0])}" if others else ""
        found[f"the PDF has another file embedded beside {attachment.NAME}{called}"] = None
    if pdf.is_encrypted:
        found["the PDF is encrypted"] = None
    if data.count(b"startxref") != 1 or "/Prev" in pdf.trailer:
        found["the PDF was changed after it was written: it has more than one table of its objects"] = None
    return list(found)


def _type(obj: "pikepdf.Object") -> str:
    import pikepdf

    return str(obj.get("/Type")) if isinstance(obj, pikepdf.Stream | pikepdf.Dictionary) else ""


def _within(obj: "pikepdf.Object", depth: int) -> Iterator[str]:
    """What an object brings, and all that it holds itself; what it refers to is an object of its own."""
    import pikepdf

    if depth > DEEPEST:
        yield "objects nested deeper than any report's"
        return
    if isinstance(obj, pikepdf.Array):
        for item in obj.as_list():
            if isinstance(item, pikepdf.Array | pikepdf.Dictionary) and not item.is_indirect:
                yield from _within(item, depth + 1)
    elif isinstance(obj, pikepdf.Dictionary | pikepdf.Stream):
        for key, item in obj.items():
            if key in KEYS:
                yield KEYS[key]
            held = isinstance(item, pikepdf.Dictionary)
            if held and key in ACTION_KEYS and "/S" in item and str(item["/S"]) not in ACTIONS:
                yield f"an action that is no link: {shown(item['/S'])}"
            if (held or isinstance(item, pikepdf.Array)) and not item.is_indirect:
                yield from _within(item, depth + 1)
