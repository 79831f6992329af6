"""Figures of results.json -> SVG: lines, bars, matrix, path."""

from collections.abc import Mapping
from typing import Any

from harness.axes import (
    LEFT,
    RIGHT,
    TOP,
    Plot,
    axis_x,
    axis_y,
    frame,
    is_log,
    legend,
    legend_rows,
    places_of,
    range_of,
    references,
    value_text,
)
from harness.drawing import (
    DASHES,
    GRID,
    HALF,
    INK,
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
    new_root,
    round_ticks,
    scale,
    short,
    sparse,
    tick_text,
    undotted,
    whisker,
)

PANEL_LEFT, PANEL_TOP = 52.0, 24.0  # margins of one of several panels, in user units
FAINT = 0.005  # matrix cells below this share of the largest are left blank: they would be invisible


def svg(figure: Mapping[str, Any], *, interactive: bool, half: bool = False) -> str:
    """Return the SVG text of one figure of results.json; half=True lets two stand side by side in print.

    interactive=True (the page) names each value in a <title> that browsers show on hover and puts the
    alternative text into aria-label; False (the PDF) puts it into the root <title>, which becomes /Alt.
    """
    draw = {"lines": _lines, "bars": _bars, "matrix": _matrix, "path": _path}[figure["kind"]]
    width = PAGE if interactive else HALF if half else WIDTH
    return finish(draw(figure, interactive, width), str(figure["alt"]), interactive)


def has_panels(figure: Mapping[str, Any]) -> bool:
    """Return whether a figure is drawn as several panels: a path of more than one series."""
    return figure["kind"] == "path" and len(figure["series"]) > 1


def _lines(figure: Mapping[str, Any], interactive: bool, width: float) -> Element:
    root, plot = frame(figure, 165 if width == HALF else 205, width)
    places = places_of(figure["x"]["values"])
    series = figure["series"]
    low, high = range_of(series, figure.get("reference", []), log=is_log(figure))
    x = scale(min(places), max(places), plot.left, plot.right, pad=0.02)
    y = axis_y(root, plot, low, high, log=is_log(figure))
    axis_x(root, plot, figure["x"]["values"], [x(place) for place in places])
    references(root, plot, figure.get("reference", []), y)
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
                add_hint(target, value_text(figure, one, i), interactive)
    return root


def _bars(figure: Mapping[str, Any], interactive: bool, width: float) -> Element:
    labels, series = figure["x"]["values"], figure["series"]
    log = is_log(figure)
    if not log and any(isinstance(label, str) for label in labels):
        return _bars_across(figure, interactive, width)
    root, plot = frame(figure, 165 if width == HALF else 205, width)
    low, high = range_of(series, figure.get("reference", []), log=log)
    if not log:
        low, high = min(0.0, low), max(0.0, high)
    y = axis_y(root, plot, low, high, log=log)
    slot = (plot.right - plot.left) / max(len(labels), 1)
    centres = [plot.left + slot * (i + 0.5) for i in range(len(labels))]
    axis_x(root, plot, labels, centres)
    references(root, plot, figure.get("reference", []), y)
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
            add_hint(bar, value_text(figure, one, i), interactive)
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


def _bars_across(figure: Mapping[str, Any], interactive: bool, width: float) -> Element:
    """Bars of named things lie, so that the names can be read."""
    labels, series = figure["x"]["values"], figure["series"]
    left = {WIDTH: 190.0, HALF: 104.0, PAGE: 118.0}[width]
    rows = legend_rows([str(one["name"]) for one in series], width) if len(series) > 1 else []
    thick = 15.0 if len(series) == 1 else 12.0
    slot = thick * len(series) + 9
    references = figure.get("reference", [])
    top = TOP + 19 * len(rows) + (8 if references else 0)
    bottom = top + slot * len(labels)
    root = new_root(width, bottom + 40, "figure")
    legend(root, rows, lines=False)
    low, high = range_of(series, references, log=False)
    low, high = min(0.0, low), max(0.0, high)
    x = scale(low, high + (high - low) * 0.12, left, width - RIGHT)  # room for the numbers
    for tick in round_ticks(low, high, 4 if width == HALF else 6):
        line = f"M{coord(x(tick))} {coord(top)}V{coord(bottom)}"
        add(root, "path", d=line, stroke=GRID, stroke_width=1, class_="fig-grid")
        add_text(root, x(tick), bottom + 15, short(tick), 10.5, anchor="middle")
    add_text(
        root, (left + width - RIGHT) / 2, bottom + 34, cut(figure["y"]["label"], 40), 11.5, anchor="middle"
    )
    for i, label in enumerate(labels):
        middle = top + slot * (i + 0.5)
        add_text(
            root, left - 8, middle + 4, cut(tick_text(label), int(left / 6.1)), 11, anchor="end", ink=INK
        )
        for index, one in enumerate(series):
            value = one["values"][i]
            if value is None:
                continue
            y, shape = middle + (index - len(series) / 2) * thick, f"fig-s{index % len(SERIES)}"
            start, end = sorted((x(0.0), x(value)))
            bar = add(
                root,
                "rect",
                x=start,
                y=y + 1,
                width=max(end - start, 0.5),
                height=thick - 2,
                fill=SERIES[index % len(SERIES)],
                fill_opacity=0.85,
                class_=f"fig-bar {shape}",
            )
            add_hint(bar, value_text(figure, one, i), interactive)
            right = end
            if (
                one.get("low")
                and one.get("high")
                and one["low"][i] is not None
                and one["high"][i] is not None
            ):
                a, b = x(one["low"][i]), x(one["high"][i])
                d = whisker(a, b, y + thick / 2, cap=3)
                add(root, "path", d=d, fill="none", stroke=INK, stroke_width=1.2, class_="fig-whisker")
                right = max(right, b)
            number = undotted(f"{value:.2f}") if 0.01 <= abs(value) < 1 else short(value)
            add_text(root, right + 5, y + thick / 2 + 3.7, number.replace("-", "−"), 10)
    for reference in references:
        place = x(reference["value"])
        line = f"M{coord(place)} {coord(top - 2)}V{coord(bottom)}"
        add(
            root, "path", d=line, stroke=INK, stroke_width=1.1, stroke_dasharray="3 3", class_="fig-reference"
        )
        text = f"{cut(reference['label'], int(width / 12))} {short(reference['value'])}"
        add_text(root, place, top - 6, text, 10, anchor="start" if place < width * 0.6 else "end", ink=INK)
    return root


def _matrix(figure: Mapping[str, Any], interactive: bool, width: float) -> Element:
    rows, columns = figure["y"]["values"], figure["x"]["values"]
    values = figure["values"]
    side = {WIDTH: 330.0, HALF: 196.0, PAGE: 236.0}[width]
    cell = side / max(len(rows), len(columns), 1)
    # few rows are named one by one, for which a square cell may be too low
    high = max(cell, 15.0) if len(rows) <= 12 else cell
    wide, tall = cell * len(columns), high * len(rows)
    left, top = LEFT, 8.0
    length = max(60.0, min(160.0, tall - 14))  # of the colour bar
    root = new_root(width, max(top + tall + 42, top + 14 + length + 12), "figure")
    add(root, "rect", x=left, y=top, width=wide, height=tall, fill="#f4f6f8", class_="fig-ground")
    largest = max((abs(v) for row in values for v in row if v is not None), default=0.0) or 1.0
    levels: dict[tuple[float, bool], list[str]] = {}
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            if value is None or abs(value) < FAINT * largest:
                continue
            x, y = left + j * cell, top + i * high
            shade, positive = round(abs(value) / largest, 3), value > 0
            if interactive:
                one = add(
                    root,
                    "rect",
                    x=x,
                    y=y,
                    width=cell,
                    height=high,
                    fill=SERIES[0 if positive else 1],
                    fill_opacity=shade,
                    class_=f"fig-cell fig-s{0 if positive else 1}",
                )
                add_hint(one, f"{tick_text(rows[i])} → {tick_text(columns[j])}: {short(value)}", interactive)
            else:  # one path for all cells of a shade: hundreds of elements would slow the PDF down
                levels.setdefault((round(shade * 25) / 25, positive), []).append(
                    f"M{coord(x)} {coord(y)}h{coord(cell)}v{coord(high)}h{coord(-cell)}z"
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
    for i in sparse(len(rows), int(tall // 15)):
        add_text(root, left - 6, top + (i + 0.5) * high + 3.6, cut(tick_text(rows[i]), 8), size, anchor="end")
    add_text(
        root,
        left + wide / 2,
        top + tall + 35,
        cut(figure["x"]["label"], int((wide + 60) / 7)),
        11.5,
        anchor="middle",
    )
    add_vertical(root, 14, top + tall / 2, cut(figure["y"]["label"], int(tall / 6)))
    signed = any(v < 0 for row in values for v in row if v is not None)
    _colour_bar(
        root,
        left + wide + (34 if width == WIDTH else 12),
        top + 14,
        length,
        largest,
        signed=signed,
        unit=figure.get("unit") or "",
    )
    return root


def _colour_bar(
    root: Element, x: float, top: float, length: float, largest: float, *, signed: bool, unit: str
) -> None:
    """Draw the scale of a matrix: from the largest value down to 0, or to its negative where there are signs."""
    steps, lowest = 20, -1.0 if signed else 0.0
    for step in range(steps):
        share = 1 - (step + 0.5) / steps * (1 - lowest)
        hue = 0 if share > 0 else 1
        add(
            root,
            "rect",
            x=x,
            y=top + step * length / steps,
            width=10,
            height=length / steps,
            fill=SERIES[hue],
            fill_opacity=round(abs(share), 3),
            class_=f"fig-cell fig-s{hue}",
        )
    for share in (1.0, (1 + lowest) / 2, lowest):
        place = top + (1 - share) / (1 - lowest) * length + 4
        add_text(root, x + 14, place, short(float(f"{share * largest:.2g}")), 10.5)
    add_text(root, x, top - 8, cut(unit, 24), 10.5)


def _path(figure: Mapping[str, Any], interactive: bool, width: float) -> Element:
    """Points joined in order; each series in a panel of its own, since their axes need not be the same."""
    series = figure["series"]
    if not has_panels(figure):
        root, plot = frame(figure, 270, width)
        _panel(root, plot, series[0], interactive)
        return root
    columns = min(len(series), 3 if width == WIDTH else 2)
    wide = width / columns
    tall = min(wide - PANEL_LEFT - RIGHT, 230.0)
    row = PANEL_TOP + tall + 28
    rows = -(-len(series) // columns)
    root = new_root(width, rows * row + 18, "figure")
    for index, one in enumerate(series):
        left, top = index % columns * wide, index // columns * row
        plot = Plot(left + PANEL_LEFT, left + wide - RIGHT, top + PANEL_TOP, top + PANEL_TOP + tall)
        middle = (plot.left + plot.right) / 2
        add_text(root, middle, plot.top - 9, cut(one["name"], int(wide / 7)), 11.5, anchor="middle", ink=INK)
        _panel(root, plot, one, interactive)
        if index + columns >= len(series):
            label = cut(figure["x"]["label"], int(wide / 7))
            add_text(root, middle, plot.bottom + 36, label, 11.5, anchor="middle")
        if index % columns == 0:
            add_vertical(root, 13, (plot.top + plot.bottom) / 2, cut(figure["y"]["label"], int(tall / 6)))
    return root


def _panel(root: Element, plot: Plot, one: Mapping[str, Any], interactive: bool) -> None:
    """Draw one path with its axes."""
    spans = [(min(axis), max(axis)) for axis in zip(*one["points"], strict=True)]
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
    y = axis_y(root, plot, middle[1] - half[1], middle[1] + half[1], log=False, exact=True)
    small = plot.right - plot.left < 240
    ticks = round_ticks(middle[0] - half[0], middle[0] + half[0], 3 if small else 7)
    axis_x(root, plot, ticks, [x(tick) for tick in ticks])
    places = [(x(a), y(b)) for a, b in one["points"]]
    if len(places) > 1:
        add(
            root,
            "path",
            d="M" + "L".join(f"{coord(a)} {coord(b)}" for a, b in places),
            fill="none",
            stroke=SERIES[0],
            stroke_width=1.4,
            stroke_opacity=0.6,
            class_="fig-line fig-s0",
        )
    labels = one.get("labels") or list(range(len(places)))
    named = set(sparse(len(places), 4 if small else 8)) | {len(places) - 1}
    size = 0.7 if small else 1.0
    for i, (a, b) in enumerate(places):
        ends = i in (0, len(places) - 1)
        dot = add(
            root,
            "circle",
            cx=a,
            cy=b,
            r=size * (4.4 if ends else 2.8),
            fill=SERIES[0],
            class_="fig-dot fig-s0",
        )
        add_hint(
            dot,
            f"{one['name']}, {tick_text(labels[i])}: {short(one['points'][i][0])}, {short(one['points'][i][1])}",
            interactive,
        )
    written: list[tuple[float, float]] = []
    for i in sorted(named, key=lambda i: i not in (0, len(places) - 1)):  # the ends are named first
        a, b = places[i]
        if all(abs(a - c) > 16 or abs(b - d) > 11 for c, d in written):
            written.append((a, b))
            add_text(root, a + 7, b - 6, cut(tick_text(labels[i]), 16), 10.5)
