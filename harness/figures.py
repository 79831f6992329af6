"""Figures of results.json -> SVG: lines, bars, matrix, path."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.drawing import (
    DASHES,
    GRID,
    HALF,
    INK,
    MUTED,
    PAGE,
    SERIES,
    WIDTH,
    Element,
    add,
    add_hint,
    add_text,
    add_vertical,
    coord,
    cut,
    finish,
    log_ticks,
    new_root,
    round_ticks,
    scale,
    short,
    sparse,
    tick_text,
    whisker,
)

LEFT, RIGHT, TOP = 56.0, 12.0, 12.0  # the plot area's margins, in user units; a legend adds to the top
FAINT = 0.005  # matrix cells below this share of the largest are left blank: they would be invisible


def svg(figure: Mapping[str, Any], *, interactive: bool, half: bool = False) -> str:
    """Return the SVG text of one figure of results.json; half=True lets two stand side by side in print.

    interactive=True (the page) names each value in a <title> that browsers show on hover and puts the
    alternative text into aria-label; False (the PDF) puts it into the root <title>, which becomes /Alt.
    """
    draw = {"lines": _lines, "bars": _bars, "matrix": _matrix, "path": _path}[figure["kind"]]
    width = PAGE if interactive else HALF if half else WIDTH
    return finish(draw(figure, interactive, width), str(figure["alt"]), interactive)


def _lines(figure: Mapping[str, Any], interactive: bool, width: float) -> Element:
    root, plot = _frame(figure, 165 if width == HALF else 205, width)
    places = _places(figure["x"]["values"])
    series = figure["series"]
    low, high = _range(series, figure.get("reference", []), log=_log(figure))
    x = scale(min(places), max(places), plot.left, plot.right, pad=0.02)
    y = _axis_y(root, plot, low, high, log=_log(figure))
    _axis_x(root, plot, figure["x"]["values"], [x(place) for place in places])
    _references(root, plot, figure.get("reference", []), y)
    for index, one in enumerate(series):
        colour = SERIES[index % len(SERIES)]
        shape = f"fig-s{index % len(SERIES)}"
        values = one["values"]
        bounds = list(
            zip(one.get("low") or [None] * len(values), one.get("high") or [None] * len(values), strict=True)
        )
        band = [
            (x(p), y(a), y(b))
            for p, (a, b) in zip(places, bounds, strict=True)
            if a is not None and b is not None
        ]
        if len(band) > 1:
            upper = "L".join(f"{coord(a)} {coord(c)}" for a, _, c in band)
            lower = "L".join(f"{coord(a)} {coord(b)}" for a, b, _ in reversed(band))
            add(
                root,
                "path",
                d=f"M{upper}L{lower}Z",
                fill=colour,
                fill_opacity=0.16,
                class_=f"fig-band {shape}",
            )
        known = [
            (x(p), y(v), i) for i, (p, v) in enumerate(zip(places, values, strict=True)) if v is not None
        ]
        points = "L".join(f"{coord(a)} {coord(b)}" for a, b, _ in known)
        if known:
            add(
                root,
                "path",
                d=f"M{points}",
                fill="none",
                stroke=colour,
                stroke_width=1.8,
                stroke_linejoin="round",
                class_=f"fig-line {shape}",
                stroke_dasharray=DASHES[index % len(DASHES)] or None,
            )
        for a, b, i in known:
            if len(known) <= (40 if interactive else 12):
                add(root, "circle", cx=a, cy=b, r=2.2, fill=colour, class_=f"fig-dot {shape}")
            if interactive:
                target = add(root, "circle", cx=a, cy=b, r=7, class_="fig-target")
                add_hint(target, _value_text(figure, one, i), interactive)
    return root


def _bars(figure: Mapping[str, Any], interactive: bool, width: float) -> Element:
    root, plot = _frame(figure, 165 if width == HALF else 205, width)
    labels, series = figure["x"]["values"], figure["series"]
    log = _log(figure)
    low, high = _range(series, figure.get("reference", []), log=log)
    if not log:
        low, high = min(0.0, low), max(0.0, high)
    y = _axis_y(root, plot, low, high, log=log)
    slot = (plot.right - plot.left) / max(len(labels), 1)
    centres = [plot.left + slot * (i + 0.5) for i in range(len(labels))]
    _axis_x(root, plot, labels, centres)
    _references(root, plot, figure.get("reference", []), y)
    thick = min(slot * 0.78, 54.0 * len(series)) / len(series)
    base = y(low if log else 0.0)
    for index, one in enumerate(series):
        colour, shape = SERIES[index % len(SERIES)], f"fig-s{index % len(SERIES)}"
        for i, value in enumerate(one["values"]):
            if value is None:
                continue
            left = centres[i] + (index - len(series) / 2) * thick
            top, bottom = sorted((y(value), base))
            bar = add(
                root,
                "rect",
                x=left + thick * 0.06,
                y=top,
                width=thick * 0.88,
                height=max(bottom - top, 0.5),
                fill=colour,
                fill_opacity=0.85,
                class_=f"fig-bar {shape}",
            )
            add_hint(bar, _value_text(figure, one, i), interactive)
            if (
                one.get("low")
                and one.get("high")
                and one["low"][i] is not None
                and one["high"][i] is not None
            ):
                a, b, c = left + thick / 2, y(one["low"][i]), y(one["high"][i])
                add(
                    root,
                    "path",
                    d=whisker(b, c, a, cap=4, upright=True),
                    fill="none",
                    stroke=INK,
                    stroke_width=1.2,
                    class_="fig-whisker",
                )
    return root


def _matrix(figure: Mapping[str, Any], interactive: bool, width: float) -> Element:
    rows, columns = figure["y"]["values"], figure["x"]["values"]
    values = figure["values"]
    side = {WIDTH: 330.0, HALF: 212.0, PAGE: 300.0}[width]
    cell = side / max(len(rows), len(columns), 1)
    wide, tall = cell * len(columns), cell * len(rows)
    left, top = LEFT, 8.0
    root = new_root(width, top + tall + 42, "figure")
    add(root, "rect", x=left, y=top, width=wide, height=tall, fill="#f4f6f8", class_="fig-ground")
    largest = max((abs(v) for row in values for v in row if v is not None), default=0.0) or 1.0
    levels: dict[tuple[float, bool], list[str]] = {}
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            if value is None or abs(value) < FAINT * largest:
                continue
            x, y = left + j * cell, top + i * cell
            shade, positive = round(abs(value) / largest, 3), value > 0
            if interactive:
                one = add(
                    root,
                    "rect",
                    x=x,
                    y=y,
                    width=cell,
                    height=cell,
                    fill=SERIES[0 if positive else 1],
                    fill_opacity=shade,
                    class_=f"fig-cell fig-s{0 if positive else 1}",
                )
                add_hint(one, f"{tick_text(rows[i])} → {tick_text(columns[j])}: {short(value)}", interactive)
            else:  # one path for all cells of a shade: hundreds of elements would slow the PDF down
                levels.setdefault((round(shade * 25) / 25, positive), []).append(
                    f"M{coord(x)} {coord(y)}h{coord(cell)}v{coord(cell)}h{coord(-cell)}z"
                )
    for (shade, positive), cells in sorted(levels.items()):
        if shade:
            add(root, "path", d="".join(cells), fill=SERIES[0 if positive else 1], fill_opacity=shade)
    size = 10.5
    for j in sparse(len(columns), int(wide // 26)):
        add_text(
            root,
            left + (j + 0.5) * cell,
            top + tall + 15,
            cut(tick_text(columns[j]), 8),
            size,
            anchor="middle",
        )
    for i in sparse(len(rows), int(tall // 16)):
        add_text(root, left - 6, top + (i + 0.5) * cell + 3.6, cut(tick_text(rows[i]), 8), size, anchor="end")
    add_text(root, left + wide / 2, top + tall + 35, cut(figure["x"]["label"], 60), 11.5, anchor="middle")
    add_vertical(root, 14, top + tall / 2, cut(figure["y"]["label"], 50))
    bar_x, bar_top, steps = left + wide + (34 if width == WIDTH else 12), top + 14, 20
    for step in range(steps):
        share = 1 - (step + 0.5) / steps
        add(
            root,
            "rect",
            x=bar_x,
            y=bar_top + step * 8,
            width=10,
            height=8,
            fill=SERIES[0],
            fill_opacity=round(share, 3),
            class_="fig-cell fig-s0",
        )
    for share in (1.0, 0.5, 0.0):
        add_text(root, bar_x + 14, bar_top + (1 - share) * steps * 8 + 4, f"{share * largest:.2g}", size)
    unit = figure.get("unit")
    if unit:
        add_text(root, bar_x, bar_top - 8, cut(unit, 24), size)
    return root


def _path(figure: Mapping[str, Any], interactive: bool, width: float) -> Element:
    root, plot = _frame(figure, 270, width)
    points = [point for one in figure["series"] for point in one["points"]]
    spans = [(min(axis), max(axis)) for axis in zip(*points, strict=True)]
    # one unit is as long on x as on y: distances are what the figure is about
    per_unit = (
        max(
            (spans[0][1] - spans[0][0]) / (plot.right - plot.left),
            (spans[1][1] - spans[1][0]) / (plot.bottom - plot.top),
            1e-12,
        )
        * 1.1
    )
    middle = [(a + b) / 2 for a, b in spans]
    half = ((plot.right - plot.left) / 2 * per_unit, (plot.bottom - plot.top) / 2 * per_unit)
    x = scale(middle[0] - half[0], middle[0] + half[0], plot.left, plot.right)
    y = _axis_y(root, plot, middle[1] - half[1], middle[1] + half[1], log=False, exact=True)
    ticks = round_ticks(middle[0] - half[0], middle[0] + half[0], 7)
    _axis_x(root, plot, ticks, [x(tick) for tick in ticks])
    for index, one in enumerate(figure["series"]):
        colour, shape = SERIES[index % len(SERIES)], f"fig-s{index % len(SERIES)}"
        places = [(x(a), y(b)) for a, b in one["points"]]
        if len(places) > 1:
            add(
                root,
                "path",
                d="M" + "L".join(f"{coord(a)} {coord(b)}" for a, b in places),
                fill="none",
                stroke=colour,
                stroke_width=1.4,
                stroke_opacity=0.6,
                class_=f"fig-line {shape}",
            )
        labels = one.get("labels") or list(range(len(places)))
        named = set(sparse(len(places), 8)) | {len(places) - 1}
        for i, (a, b) in enumerate(places):
            ends = i in (0, len(places) - 1)
            dot = add(
                root, "circle", cx=a, cy=b, r=4.4 if ends else 2.8, fill=colour, class_=f"fig-dot {shape}"
            )
            add_hint(
                dot,
                f"{one['name']}, {tick_text(labels[i])}: {short(one['points'][i][0])}, "
                f"{short(one['points'][i][1])}",
                interactive,
            )
            if i in named and (ends or abs(i - len(places) + 1) > 2):
                add_text(root, a + 7, b - 6, cut(tick_text(labels[i]), 16), 10.5)
    return root


class _Plot:
    """The plot area in user units."""

    def __init__(self, left: float, right: float, top: float, bottom: float) -> None:
        self.left, self.right, self.top, self.bottom = left, right, top, bottom


def _frame(figure: Mapping[str, Any], height: float, width: float) -> tuple[Element, _Plot]:
    """Return the root with legend and axis labels drawn, and where the plot area lies."""
    names = [str(one["name"]) for one in figure["series"]]
    rows = _legend_rows(names, width) if len(names) > 1 else []
    top = TOP + 19 * len(rows)
    plot = _Plot(LEFT, width - RIGHT, top, top + height)
    root = new_root(width, top + height + 43, "figure")
    for number, row in enumerate(rows):
        for index, name, left in row:
            y, colour, shape = (
                TOP + 19 * number + 1,
                SERIES[index % len(SERIES)],
                f"fig-s{index % len(SERIES)}",
            )
            if figure["kind"] == "lines":
                add(
                    root,
                    "path",
                    d=f"M{coord(left)} {coord(y)}h24",
                    stroke=colour,
                    stroke_width=2.2,
                    fill="none",
                    class_=f"fig-line {shape}",
                    stroke_dasharray=DASHES[index % len(DASHES)] or None,
                )
            else:
                add(
                    root,
                    "rect",
                    x=left + 10,
                    y=y - 5,
                    width=10,
                    height=10,
                    fill=colour,
                    class_=f"fig-bar {shape}",
                )
            add_text(root, left + 30, y + 4, name, 11.5, ink=INK)
    add_text(
        root,
        (plot.left + plot.right) / 2,
        plot.bottom + 36,
        cut(figure["x"]["label"], int(width / 7)),
        11.5,
        anchor="middle",
    )
    add_vertical(root, 14, (plot.top + plot.bottom) / 2, cut(figure["y"]["label"], 40))
    return root, plot


def _legend_rows(names: Sequence[str], width: float) -> list[list[tuple[int, str, float]]]:
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


def _axis_y(
    root: Element, plot: _Plot, low: float, high: float, *, log: bool, exact: bool = False
) -> Callable[[float], float]:
    if log:
        ticks = log_ticks(low, high)
        if len(ticks) < 3:  # less than a decade: round numbers serve better
            ticks = [tick for tick in round_ticks(low, high, 4) if tick > 0]
        inner = scale(math.log10(low), math.log10(high), plot.bottom, plot.top, pad=0.04)

        def y(value: float) -> float:
            return inner(math.log10(max(value, 1e-300)))

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


def _axis_x(root: Element, plot: _Plot, values: Sequence[Any], places: Sequence[float]) -> None:
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


def _references(
    root: Element, plot: _Plot, lines: Sequence[Mapping[str, Any]], y: Callable[[float], float]
) -> None:
    for line in lines:
        place = y(line["value"])
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
            f"{cut(line['label'], int((plot.right - plot.left) / 9))} {short(line['value'])}",
            10.5,
            anchor="end",
            ink=INK,
        )


def _range(
    series: Sequence[Mapping[str, Any]], lines: Sequence[Mapping[str, Any]], *, log: bool
) -> tuple[float, float]:
    values = [
        v for one in series for key in ("values", "low", "high") for v in one.get(key) or [] if v is not None
    ]
    values += [line["value"] for line in lines]
    if log:
        values = [value for value in values if value > 0]
    if not values:
        return (1.0, 10.0) if log else (0.0, 1.0)
    low, high = min(values), max(values)
    if low == high:
        return (
            (low / 2, high * 2) if log else (low - (abs(low) * 0.1 or 0.5), high + (abs(high) * 0.1 or 0.5))
        )
    return low, high


def _log(figure: Mapping[str, Any]) -> bool:
    """Return whether the y axis is logarithmic; data with nothing positive fall back to linear."""
    return bool(figure["y"].get("log")) and any(
        v is not None and v > 0 for s in figure["series"] for v in s["values"]
    )


def _places(values: Sequence[Any]) -> list[float]:
    """Return positions on the x axis: the numbers themselves, or 0, 1, 2 ... for words."""
    if values and all(isinstance(value, int | float) for value in values):
        return [float(value) for value in values]
    return [float(i) for i in range(len(values))] or [0.0]


def _value_text(figure: Mapping[str, Any], series: Mapping[str, Any], i: int) -> str:
    low, high = series.get("low"), series.get("high")
    interval = ""
    if low and high and low[i] is not None and high[i] is not None:
        interval = f" [{short(low[i])}, {short(high[i])}]"
    place = f"{figure['x']['label']} {tick_text(figure['x']['values'][i])}"
    return f"{series['name']}, {place}: {short(series['values'][i])}{interval}"
