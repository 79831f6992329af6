"""The forest plot over all claims, one SVG a row, and a claim's own strips."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from layerclaims.report.plots.svg import (
    INK,
    MUTED,
    PAGE,
    WIDTH,
    Element,
    add,
    add_hint,
    add_text,
    coord,
    cut,
    finish,
    new_root,
    round_ticks,
    scale,
    whisker,
)
from layerclaims.runtime.text import short
from layerclaims.verdicts.criterion import Relation
from layerclaims.verdicts.style import STYLES
from layerclaims.verdicts.verdict import Verdict

FOREST_WIDTH, FOREST_HEIGHT, FOREST_REACH = 230.0, 20.0, 300.0


@dataclass(frozen=True, kw_only=True)
class Mark:
    """An estimate and its interval on the axis that all rows share."""

    distance: float  # the estimate's from the threshold, in half-widths of its interval
    bar: tuple[float, float]  # the interval's ends, in the same unit
    verdict: Verdict
    hint: str
    hollow: bool = False


def forest_row(marks: Sequence[Mark], *, published: float | None, alt: str, interactive: bool) -> str:
    """Return one row of the forest plot on the axis that all rows share, its marks in lanes of their own.

    The axis is the signed distance from the row's threshold in half-widths of the row's own interval,
    positive where the claim replicates, drawn as asinh so that 1, 10 and 100 can stand on one axis.
    `published` is the published number's distance; what lies beyond FOREST_REACH is an arrow at the edge.
    """
    root = new_root(FOREST_WIDTH, FOREST_HEIGHT, "forest")
    middle = forest_x(0.0)
    add(
        root,
        "rect",
        x=middle,
        y=0,
        width=FOREST_WIDTH - middle,
        height=FOREST_HEIGHT,
        fill="#e8edf1",
        class_="fig-region",
    )
    for ticks, ink, shape in (
        ((-100, -10, -1), "#eceff2", "fig-rule"),
        ((1, 10, 100), "#ffffff", "fig-rule-in"),
    ):
        lines = "".join(f"M{coord(forest_x(tick))} 0v{coord(FOREST_HEIGHT)}" for tick in ticks)
        add(root, "path", d=lines, stroke=ink, stroke_width=0.8, class_=shape)
    zero = f"M{coord(middle)} 0v{coord(FOREST_HEIGHT)}"
    add(root, "path", d=zero, stroke=INK, stroke_width=1.2, class_="fig-zero")
    if published is not None:
        diamond = add(
            root,
            "path",
            d=f"M{coord(forest_x(published))} {coord(FOREST_HEIGHT / 2 - 5)}l5 5l-5 5l-5 -5z",
            fill="none",
            stroke=INK,
            stroke_width=1.1,
            class_="fig-published",
        )
        add_hint(diamond, "published value", interactive)
    size = 1.0 if len(marks) == 1 else 0.9
    for lane, mark in enumerate(marks):
        _mark(root, mark, FOREST_HEIGHT / 2 + 9 * (lane - (len(marks) - 1) / 2), size, interactive)
    return finish(root, alt, interactive)


def _mark(root: Element, mark: Mark, y: float, size: float, interactive: bool) -> None:
    colour, shape = STYLES[mark.verdict].colour, f"fig-{STYLES[mark.verdict].css}"
    add(
        root,
        "path",
        d=whisker(forest_x(min(mark.bar)), forest_x(max(mark.bar)), y, cap=3.2 * size),
        fill="none",
        stroke=colour,
        stroke_width=1.6,
        class_=shape,
    )
    x, solid = forest_x(mark.distance), "fig-hollow" if mark.hollow else "fig-solid"
    fill = "#ffffff" if mark.hollow else colour
    if abs(mark.distance) > FOREST_REACH:
        tip = 6.5 * size * (1 if mark.distance > 0 else -1)
        outline = f"M{coord(x)} {coord(y)}l{coord(-tip)} {coord(-4.4 * size)}v{coord(8.8 * size)}z"
        drawn = add(
            root, "path", d=outline, fill=fill, stroke=colour, stroke_width=1.4, class_=f"{shape} {solid}"
        )
    else:
        drawn = add(
            root,
            "circle",
            cx=x,
            cy=y,
            r=3.6 * size,
            fill=fill,
            stroke=colour,
            stroke_width=1.6,
            class_=f"{shape} {solid}",
        )
    add_hint(drawn, mark.hint, interactive)


def forest_axis(*, interactive: bool) -> str:
    """Return the head of the forest plot's column: which side is which, and the shared axis' ticks."""
    root = new_root(FOREST_WIDTH, 32.0, "forest-axis")
    middle = forest_x(0.0)
    add_text(root, middle - 7, 11.0, "← does not", 12, anchor="end")
    add_text(root, middle + 7, 11.0, "replicates →", 12)
    for tick in (-100, -10, -1, 0, 1, 10, 100):
        add_text(root, forest_x(tick), 28.0, short(tick), 12, anchor="middle")
    return finish(
        root,
        "Axis: distance from the pass mark in half-widths of the interval, from −300 to 300",
        interactive,
    )


def forest_x(distance: float) -> float:
    """Return the x coordinate of a distance in half-widths, within the row."""
    scaled = math.asinh(distance) / math.asinh(FOREST_REACH)
    return FOREST_WIDTH / 2 + (FOREST_WIDTH / 2 - 7) * min(1.0, max(-1.0, scaled))


def strip(
    rows: Sequence[tuple[str, float, Sequence[float] | None, Verdict | None]],
    *,
    relation: Relation,
    threshold: float | Sequence[float],
    name: str,
    alt: str,
    interactive: bool,
    heading: bool,
) -> str:
    """Return one quantity on its own linear scale: success region shaded, one line of `rows` beneath another.

    Each row is (label, estimate, interval, verdict); a row without a verdict is the published number.
    """
    ends = [float(end) for end in threshold] if isinstance(threshold, Sequence) else [float(threshold)]
    values = [*ends, *(v for _, estimate, interval, _ in rows for v in (estimate, *(interval or ())))]
    low, high = min(values), max(values)
    room = (high - low) * 0.07 or abs(high) * 0.1 or 1.0
    low, high = low - room, high + room
    width, left, line = (PAGE, 118.0, 18.0) if interactive else (WIDTH, 170.0, 18.0)
    top = 18.0 if heading else 2.0
    bottom = top + 4 + line * len(rows)
    root = new_root(width, bottom + 21, "strip")
    if heading:
        add_text(root, left, 12.0, cut(name, int((width - left) / 6)), 11, ink=INK)
    x = scale(low, high, left, width - 10)
    shaded = {
        "inside": (ends[0], ends[-1]),
        ">": (ends[0], high),
        "<": (low, ends[0]),
        "contains": (ends[0], ends[0]),
        "not above": (low, ends[0]),
    }[relation]
    add(
        root,
        "rect",
        x=x(shaded[0]),
        y=top,
        width=x(shaded[1]) - x(shaded[0]),
        height=bottom - top,
        fill="#e8edf1",
        class_="fig-region",
    )
    add(
        root,
        "path",
        d=f"M{coord(left)} {coord(bottom)}H{coord(width - 10)}",
        stroke=MUTED,
        stroke_width=1,
        class_="fig-axis",
    )
    for tick in round_ticks(low, high, 5):
        add(
            root,
            "path",
            d=f"M{coord(x(tick))} {coord(bottom)}v3",
            stroke=MUTED,
            stroke_width=1,
            class_="fig-axis",
        )
        add_text(root, x(tick), bottom + 15, short(tick), 10.5, anchor="middle")
    for end in ends:
        add(
            root,
            "path",
            d=f"M{coord(x(end))} {coord(top)}V{coord(bottom)}",
            stroke=INK,
            stroke_width=1.2,
            class_="fig-zero",
        )
    for number, (label, estimate, interval, verdict) in enumerate(rows):
        y = top + 2 + line * (number + 0.5)
        add_text(root, left - 10, y + 4, cut(label, 17 if interactive else 26), 11, anchor="end", ink=INK)
        if verdict is None:
            mark = add(
                root,
                "path",
                d=f"M{coord(x(estimate))} {coord(y - 5)}l5 5l-5 5l-5 -5z",
                fill="none",
                stroke=INK,
                stroke_width=1.2,
                class_="fig-published",
            )
        else:
            colour, shape = STYLES[verdict].colour, f"fig-{STYLES[verdict].css}"
            if interval is not None:
                a, b = x(interval[0]), x(interval[1])
                add(
                    root,
                    "path",
                    d=whisker(a, b, y, cap=4),
                    fill="none",
                    stroke=colour,
                    stroke_width=1.7,
                    class_=shape,
                )
            mark = add(
                root,
                "circle",
                cx=x(estimate),
                cy=y,
                r=3.8,
                fill=colour,
                stroke=colour,
                class_=f"{shape} fig-solid",
            )
        limits = f" [{short(interval[0])}, {short(interval[1])}]" if interval is not None else ""
        add_hint(mark, f"{name}, {label}: {short(estimate)}{limits}", interactive)
    return finish(root, alt, interactive)
