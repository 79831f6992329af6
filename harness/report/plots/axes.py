"""The frame of a figure: plot area, axes, legend, reference lines."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from layerclaims.report.plots.svg import (
    DASHES,
    GRID,
    INK,
    MUTED,
    SERIES,
    Element,
    add,
    add_text,
    add_vertical,
    coord,
    cut,
    log_ticks,
    new_root,
    round_ticks,
    scale,
    sparse,
    tick_text,
)
from layerclaims.results.figure_records import (
    BarsRecord,
    CurveRecord,
    LinesRecord,
    PathRecord,
    ReferenceRecord,
    TrailRecord,
)
from layerclaims.runtime.text import short

SMALLEST = 1e-300  # that a logarithmic axis shows: half of a denormal number may be 0
BEHIND = ("6 3", "2 3", "8 3 2 3", "12 3")  # dashes that are still seen on a thin grey line
LEFT, RIGHT, TOP = 56.0, 12.0, 12.0  # the plot area's margins, in user units; a legend adds to the top


@dataclass(frozen=True)
class Plot:
    """The plot area in user units."""

    left: float
    right: float
    top: float
    bottom: float


@dataclass(frozen=True)
class Look:
    """How a series is drawn."""

    colour: str
    shape: str  # class by which the page's style sheet re-colours it
    dash: str  # empty: drawn through
    thick: float  # of a line, in user units
    opacity: float  # of a bar


def looks(series: Sequence[CurveRecord | TrailRecord]) -> list[Look]:
    """Return how each series is drawn: published ones alike in grey, told apart by their dashes alone."""
    made, own, published = [], 0, 0
    for one in series:
        if isinstance(one, CurveRecord) and one.published:
            made.append(Look(MUTED, "fig-behind", BEHIND[published % len(BEHIND)], 1.0, 0.45))
            published += 1
        else:
            hue = own % len(SERIES)
            made.append(Look(SERIES[hue], f"fig-s{hue}", DASHES[own % len(DASHES)], 1.8, 0.85))
            own += 1
    return made


def label_of(one: CurveRecord | TrailRecord) -> str:
    """Return a series' name; one that comes from the source says so."""
    if isinstance(one, CurveRecord) and one.published and not one.name.startswith("published"):
        return f"published: {one.name}"
    return one.name


def behind_first(series: Sequence[CurveRecord]) -> list[int]:
    """Return the order in which series are drawn, as indices: what is published, then what covers it."""
    return sorted(range(len(series)), key=lambda index: not series[index].published)


def frame(figure: LinesRecord | BarsRecord | PathRecord, height: float, width: float) -> tuple[Element, Plot]:
    """Return the root with legend and axis labels drawn, and where the plot area lies."""
    names = [label_of(one) for one in figure.series]
    rows = legend_rows(names, width) if len(names) > 1 else []
    top = TOP + 19 * len(rows)
    plot = Plot(LEFT, width - RIGHT, top, top + height)
    root = new_root(width, top + height + 43, "figure")
    legend(root, rows, looks(figure.series), lines=figure.kind == "lines")
    add_text(
        root,
        (plot.left + plot.right) / 2,
        plot.bottom + 36,
        cut(figure.x.label, int(width / 7)),
        11.5,
        anchor="middle",
    )
    add_vertical(root, 14, (plot.top + plot.bottom) / 2, cut(figure.y.label, int((height + 20) / 6)))
    return root, plot


def legend(
    root: Element, rows: Sequence[Sequence[tuple[int, str, float]]], looks: Sequence[Look], *, lines: bool
) -> None:
    """Draw the series' names, each beside a piece of its line or a patch of its colour."""
    for number, row in enumerate(rows):
        for index, name, left in row:
            y, look = TOP + 19 * number + 1, looks[index]
            if lines:
                add(
                    root,
                    "path",
                    d=f"M{coord(left)} {coord(y)}h24",
                    stroke=look.colour,
                    stroke_width=look.thick + 0.4,
                    fill="none",
                    class_=f"fig-line {look.shape}",
                    stroke_dasharray=look.dash or None,
                )
            else:
                add(
                    root,
                    "rect",
                    x=left + 10,
                    y=y - 5,
                    width=10,
                    height=10,
                    fill=look.colour,
                    class_=f"fig-bar {look.shape}",
                )
            add_text(root, left + 30, y + 4, name, 11.5, ink=INK)


def legend_rows(names: Sequence[str], width: float) -> list[list[tuple[int, str, float]]]:
    """Return the legend's rows as (index of the series, name, left edge), wrapped at the width."""
    rows: list[list[tuple[int, str, float]]] = [[]]
    left = LEFT
    for index, name in enumerate(names):
        name = cut(name, int(width / 9))
        wide = 46 + 6.6 * len(name)
        if rows[-1] and left + wide > width:
            rows.append([])
            left = LEFT
        rows[-1].append((index, name, left))
        left += wide
    return rows


def axis_y(
    root: Element, plot: Plot, low: float, high: float, *, log: bool, exact: bool = False
) -> Callable[[float], float]:
    """Draw the y axis' ticks and grid; return where a value lies. Ends are rounded outwards unless exact."""
    if log:
        ticks = log_ticks(low, high)
        if len(ticks) < 3:  # less than a decade: round numbers serve better
            ticks = [tick for tick in round_ticks(low, high, 4) if tick > 0]
        inner = scale(math.log10(low), math.log10(high), plot.bottom, plot.top, pad=0.04)

        def y(value: float) -> float:
            return inner(math.log10(max(value, SMALLEST)))

        placed: Callable[[float], float] = y
    else:
        ticks = round_ticks(low, high, 5)
        if not exact and ticks:
            step = ticks[1] - ticks[0] if len(ticks) > 1 else abs(ticks[0]) or high - low
            low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
            ticks = round_ticks(low, high, 5)
        placed = scale(low, high, plot.bottom, plot.top)
    for tick in ticks:
        place = placed(tick)
        add(
            root,
            "path",
            d=f"M{coord(plot.left)} {coord(place)}H{coord(plot.right)}",
            stroke=GRID,
            stroke_width=1,
            class_="fig-grid",
        )
        add_text(root, plot.left - 7, place + 3.8, short(tick), 10.5, anchor="end")
    return placed


def axis_x(root: Element, plot: Plot, values: Sequence[float | str], places: Sequence[float]) -> None:
    """Draw the x axis with as many of its labels as fit."""
    add(
        root,
        "path",
        d=f"M{coord(plot.left)} {coord(plot.bottom)}H{coord(plot.right)}",
        stroke=MUTED,
        stroke_width=1,
        class_="fig-axis",
    )
    words = any(isinstance(value, str) for value in values)
    room = (plot.right - plot.left) / max(len(values), 1)
    chosen = range(len(values)) if words and room > 60 else sparse(len(values), 60 if words else 16)
    last = -math.inf
    for i in chosen:
        label = cut(tick_text(values[i]), max(3, int(room / 6.4)) if words else 10)
        if places[i] - last < 6.4 * len(label) + 4:
            continue
        last = places[i]
        add(
            root,
            "path",
            d=f"M{coord(places[i])} {coord(plot.bottom)}v4",
            stroke=MUTED,
            stroke_width=1,
            class_="fig-axis",
        )
        add_text(root, places[i], plot.bottom + 17, label, 10.5, anchor="middle")


def references(
    root: Element, plot: Plot, lines: Sequence[ReferenceRecord], y: Callable[[float], float]
) -> None:
    """Draw the named horizontal lines."""
    for line in lines:
        place = y(line.value)
        add(
            root,
            "path",
            d=f"M{coord(plot.left)} {coord(place)}H{coord(plot.right)}",
            stroke=INK,
            stroke_width=1.1,
            stroke_dasharray="3 3",
            class_="fig-reference",
        )
        add_text(
            root,
            plot.right - 3,
            place - 5,
            f"{cut(line.label, int((plot.right - plot.left) / 9))} {short(line.value)}",
            10.5,
            anchor="end",
            ink=INK,
        )


def range_of(
    series: Sequence[CurveRecord], lines: Sequence[ReferenceRecord], *, log: bool
) -> tuple[float, float]:
    """Return the least and greatest of all values, bounds and reference lines; never an empty range."""
    values = [
        v for one in series for some in (one.values, one.low, one.high) for v in some or () if v is not None
    ]
    values += [line.value for line in lines]
    if log:
        values = [value for value in values if value > SMALLEST]
    if not values:
        return (1.0, 10.0) if log else (0.0, 1.0)
    low, high = min(values), max(values)
    if low == high:
        return (
            (low / 2, high * 2) if log else (low - (abs(low) * 0.1 or 0.5), high + (abs(high) * 0.1 or 0.5))
        )
    return low, high


def is_log(figure: LinesRecord | BarsRecord) -> bool:
    """Return whether the y axis is logarithmic; data with nothing positive fall back to linear."""
    return figure.y.log and any(v is not None and v > SMALLEST for one in figure.series for v in one.values)


def places_of(values: Sequence[float | str]) -> list[float]:
    """Return positions on the x axis: the numbers themselves, or 0, 1, 2 ... for words."""
    numbers = [float(value) for value in values if not isinstance(value, str)]
    if numbers and len(numbers) == len(values):
        return numbers
    return [float(i) for i in range(len(values))] or [0.0]


def value_text(figure: LinesRecord | BarsRecord, curve: CurveRecord, i: int) -> str:
    """Return what the pointer shows: series, place, value, interval."""
    value, (low, high) = curve.values[i], bounds_of(curve)[i]
    interval = f" [{short(low)}, {short(high)}]" if low is not None and high is not None else ""
    place = f"{figure.x.label} {tick_text(figure.x.values[i])}"
    return f"{label_of(curve)}, {place}: {'' if value is None else short(value)}{interval}"


def bounds_of(curve: CurveRecord) -> list[tuple[float | None, float | None]]:
    """Return the bounds of each value; None where there are none."""
    absent = [None] * len(curve.values)
    return list(zip(curve.low or absent, curve.high or absent, strict=True))
