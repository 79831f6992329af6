"""SVG elements, scales, ticks and numbers: what every drawing of the report is made of.

Each element carries its colours as presentation attributes, which the PDF uses, and a class beside them,
through which the page's style sheet re-colours it for dark mode. Text stays text. Elements are built with
ElementTree, so that no name in the results can become markup. docs/decisions/0001-figures.md says why not
Matplotlib.
"""

import math
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from layerclaims.runtime.text import short

Element = ElementTree.Element
# Okabe and Ito's palette without yellow and black, in an order that stays apart in greyscale too
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 4", "12 3")
INK, MUTED, GRID = "#1d242c", "#5a6570", "#dfe3e8"
FONT = "Inter, sans-serif"
WIDTH, HALF, PAGE = 640.0, 312.0, 360.0  # the print edition's column, half of it, and the page's


def scale(low: float, high: float, start: float, end: float, *, pad: float = 0.0) -> Callable[[float], float]:
    """Return the linear map from [low, high] to [start, end], widened by the share `pad` at either end."""
    width = high - low
    if width <= 0:
        return lambda value: (start + end) / 2  # noqa: ARG005  a single place stands in the middle
    low, width = low - pad * width, width * (1 + 2 * pad)
    return lambda value: start + (value - low) / width * (end - start)


def round_ticks(low: float, high: float, wanted: int) -> list[float]:
    """Return round numbers (1, 2, 2.5 or 5 times a power of ten apart) within [low, high]."""
    raw = (high - low) / max(wanted, 1)
    if raw <= 0 or not math.isfinite(raw):
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [float(f"{i * step:.12g}") + 0.0 for i in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten, with 2 and 5 between them over few decades, within [low, high]."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if last - first <= 3 else (1,)
    every = max(1, (last - first) // 8)
    ticks = [f * 10.0**p for p in range(first, last + 1, every) for f in factors]
    return [tick for tick in ticks if low * 0.95 <= tick <= high * 1.05]


def sparse(count: int, most: int) -> list[int]:
    """Return at most about `most` evenly spaced indices of range(count), with a round stride."""
    stride = next(
        (s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500) if count / s <= max(most, 1)), max(count, 1)
    )
    return list(range(0, count, stride))


def tick_text(value: object) -> str:
    """Return a tick label: numbers shortened, words as they are."""
    return short(float(value)) if isinstance(value, int | float) else str(value)


def whisker(low: float, high: float, across: float, *, cap: float, upright: bool = False) -> str:
    """Return the path of an interval with caps, lying at y=across or standing at x=across."""
    a, b, c, side = coord(low), coord(high), coord(across), coord(across - cap)
    long = coord(2 * cap)
    if upright:
        return f"M{c} {a}V{b}M{side} {a}h{long}M{side} {b}h{long}"
    return f"M{a} {c}H{b}M{a} {side}v{long}M{b} {side}v{long}"


def cut(text: object, limit: int) -> str:
    """Return text of at most `limit` characters, with an ellipsis where it was cut."""
    text = str(text)
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def coord(value: float) -> str:
    """Return a coordinate with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def new_root(width: float, height: float, kind: str) -> Element:
    """Return an empty svg element of this size in user units."""
    return Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {coord(width)} {coord(height)}",
            "width": coord(width),
            "height": coord(height),
            "class": kind,
            "font-family": FONT,
        },
    )


def add(parent: Element, tag: str, **attributes: Any) -> Element:
    """Append an element; `class_` stands for class, `stroke_width` for stroke-width, None is left out."""
    made = {}
    for key, value in attributes.items():
        if value is not None:
            name = key.rstrip("_").replace("_", "-")
            made[name] = coord(value) if isinstance(value, float) and name != "fill-opacity" else str(value)
    return ElementTree.SubElement(parent, tag, made)


def add_text(
    parent: Element, x: float, y: float, text: str, size: float, *, anchor: str = "start", ink: str = MUTED
) -> Element:
    """Append a text element."""
    kind = "fig-ink" if ink == INK else "fig-muted"
    made = add(parent, "text", x=x, y=y, font_size=str(size), text_anchor=anchor, fill=ink, class_=kind)
    made.text = text
    return made


def add_vertical(parent: Element, x: float, y: float, text: str) -> None:
    """Append a text that reads upwards, centred at (x, y)."""
    made = add_text(parent, 0.0, 0.0, text, 11.5, anchor="middle")
    made.set("transform", f"translate({coord(x)} {coord(y)}) rotate(-90)")


def add_hint(element: Element, text: str, interactive: bool) -> None:
    """Name a value on hover, where the reader can hover."""
    if interactive:
        ElementTree.SubElement(element, "title").text = text


def finish(root: Element, alt: str, interactive: bool) -> str:
    """Return the SVG text: alternative text in aria-label for the page, in the root <title> for the PDF."""
    if interactive:
        root.set("role", "img")
        root.set("aria-label", alt)
    else:
        for element in root.iter():  # no style sheet reaches into an SVG of the PDF
            element.attrib.pop("class", None)
        title = Element("title")
        title.text = alt
        root.insert(0, title)
    return ElementTree.tostring(root, encoding="unicode")
