"""Figures of results.json -> SVG: lines, bars, matrix, path, the forest plot's rows, and a claim's own strip.

Each SVG carries its colours as presentation attributes, which the PDF uses, and classes beside them, through
which the page's style sheet re-colours it for dark mode. Text stays text. Elements are built with ElementTree,
so that no name in the results can become markup. docs/decisions/0001-figures.md says why not Matplotlib.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

Element = ElementTree.Element
# Okabe and Ito's palette without its yellow and black, in an order that stays apart in greyscale too
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 4", "12 3")
INK, MUTED, GRID = "#1d242c", "#5a6570", "#dfe3e8"
FONT = "Inter, sans-serif"
WIDTH, HALF, PAGE = 640.0, 312.0, 420.0  # the print edition's column, half of it, and the page's
LEFT, RIGHT, TOP = 56.0, 12.0, 12.0  # the plot area's margins, in user units; a legend adds to the top
FAINT = 0.005  # matrix cells below this share of the largest are left blank: they would be invisible


def svg(figure: Mapping[str, Any], *, interactive: bool, half: bool = False) -> str:
    """Return the SVG text of one figure of results.json; half=True lets two stand side by side in print.

    interactive=True (the page) names each value in a <title> that browsers show on hover and puts the
    alternative text into aria-label; False (the PDF) puts it into the root <title>, which becomes /Alt.
    """
    draw = {"lines": _lines, "bars": _bars, "matrix": _matrix, "path": _path}[figure["kind"]]
    width = PAGE if interactive else HALF if half else WIDTH
    return _finish(draw(figure, interactive, width), str(figure["alt"]), interactive)


def forest_row(
    *,
    distance: float | None,
    bar: tuple[float, float] | None,
    published: float | None,
    verdict: str,
    alt: str,
    hint: str,
    interactive: bool,
    hollow: bool = False,
) -> str:
    """Return one row of the forest plot on the axis that all rows share.

    The axis is the signed distance from the row's threshold in half-widths of the row's own interval,
    positive where the claim replicates, drawn as asinh so that 1, 10 and 100 can stand on one axis.
    `distance` is the estimate's, `bar` the interval's two ends, `published` the published number's; what
    lies beyond FOREST_REACH is drawn as an arrow at the edge.
    """
    root = _root(FOREST_WIDTH, 20.0, "forest")
    middle, y = forest_x(0.0), 10.0
    _add(root, "rect", x=middle, y=0, width=FOREST_WIDTH - middle, height=20, fill="#e8edf1", class_="fig-region")
    for ticks, ink, shape in (((-100, -10, -1), "#eceff2", "fig-rule"), ((1, 10, 100), "#ffffff", "fig-rule-in")):
        lines = "".join(f"M{_n(forest_x(tick))} 0v20" for tick in ticks)
        _add(root, "path", d=lines, stroke=ink, stroke_width=0.8, class_=shape)
    _add(root, "path", d=f"M{_n(middle)} 0v20", stroke=INK, stroke_width=1.2, class_="fig-zero")
    colour, shape = VERDICT_COLOURS[verdict], f"fig-{verdict.lower().replace('_', '-')}"
    if published is not None:
        p = forest_x(published)
        diamond = _add(root, "path", d=f"M{_n(p)} {_n(y - 5)}l5 5l-5 5l-5 -5z", fill="none", stroke=INK,
                       stroke_width=1.1, class_="fig-published")  # fmt: skip
        _hint(diamond, "published value", interactive)
    if bar is not None:
        left, right = forest_x(min(bar)), forest_x(max(bar))
        _add(root, "path", d=f"M{_n(left)} {_n(y)}H{_n(right)}M{_n(left)} {_n(y - 3.2)}v6.4M{_n(right)} {_n(y - 3.2)}v6.4",
             fill="none", stroke=colour, stroke_width=1.6, class_=shape)  # fmt: skip
    if distance is not None:
        x, solid = forest_x(distance), "fig-hollow" if hollow else "fig-solid"
        fill = "#ffffff" if hollow else colour
        if abs(distance) > FOREST_REACH:
            tip = 6.5 if distance > 0 else -6.5
            outline = f"M{_n(x)} {_n(y)}l{_n(-tip)} -4.4v8.8z"
            mark = _add(root, "path", d=outline, fill=fill, stroke=colour, stroke_width=1.4, class_=f"{shape} {solid}")
        else:
            mark = _add(root, "circle", cx=x, cy=y, r=3.6, fill=fill, stroke=colour, stroke_width=1.6,
                        class_=f"{shape} {solid}")  # fmt: skip
        _hint(mark, hint, interactive)
    return _finish(root, alt, interactive)


def forest_axis(*, interactive: bool) -> str:
    """Return the head of the forest plot's column: which side is which, and the shared axis' ticks."""
    root = _root(FOREST_WIDTH, 29.0, "forest-axis")
    middle = forest_x(0.0)
    _text(root, middle - 7, 10.0, "← does not", 10.5, anchor="end")
    _text(root, middle + 7, 10.0, "replicates →", 10.5)
    for tick in (-100, -10, -1, 0, 1, 10, 100):
        _text(root, forest_x(tick), 25.0, short(tick), 10.5, anchor="middle")
    return _finish(root, "Axis: distance from the threshold in half-widths of the interval, from −300 to 300", interactive)


def forest_x(distance: float) -> float:
    """Return the x coordinate of a distance in half-widths, within the row."""
    scaled = math.asinh(distance) / math.asinh(FOREST_REACH)
    return FOREST_WIDTH / 2 + (FOREST_WIDTH / 2 - 7) * min(1.0, max(-1.0, scaled))


FOREST_WIDTH, FOREST_REACH = 230.0, 300.0


def strip(
    rows: Sequence[tuple[str, float, Sequence[float] | None, str | None]],
    *,
    relation: str,
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
    root = _root(width, bottom + 21, "strip")
    if heading:
        _text(root, left, 12.0, _cut(name, 48), 11, ink=INK)
    x = _scale(low, high, left, width - 10)
    shaded = {
        "inside": (ends[0], ends[-1]), ">": (ends[0], high), "<": (low, ends[0]), "contains": (ends[0], ends[0]),
    }[relation]  # fmt: skip
    _add(root, "rect", x=x(shaded[0]), y=top, width=x(shaded[1]) - x(shaded[0]), height=bottom - top, fill="#e8edf1",
         class_="fig-region")  # fmt: skip
    _add(root, "path", d=f"M{_n(left)} {_n(bottom)}H{_n(width - 10)}", stroke=MUTED, stroke_width=1, class_="fig-axis")
    for tick in _ticks(low, high, 5):
        _add(root, "path", d=f"M{_n(x(tick))} {_n(bottom)}v3", stroke=MUTED, stroke_width=1, class_="fig-axis")
        _text(root, x(tick), bottom + 15, short(tick), 10.5, anchor="middle")
    for end in ends:
        _add(root, "path", d=f"M{_n(x(end))} {_n(top)}V{_n(bottom)}", stroke=INK, stroke_width=1.2, class_="fig-zero")
    for number, (label, estimate, interval, verdict) in enumerate(rows):
        y = top + 2 + line * (number + 0.5)
        _text(root, left - 10, y + 4, _cut(label, 17 if interactive else 26), 11, anchor="end", ink=INK)
        if verdict is None:
            mark = _add(root, "path", d=f"M{_n(x(estimate))} {_n(y - 5)}l5 5l-5 5l-5 -5z", fill="none", stroke=INK,
                        stroke_width=1.2, class_="fig-published")  # fmt: skip
        else:
            colour, shape = VERDICT_COLOURS[verdict], f"fig-{verdict.lower().replace('_', '-')}"
            if interval is not None:
                a, b = x(interval[0]), x(interval[1])
                _add(root, "path", d=f"M{_n(a)} {_n(y)}H{_n(b)}M{_n(a)} {_n(y - 4)}v8M{_n(b)} {_n(y - 4)}v8",
                     fill="none", stroke=colour, stroke_width=1.7, class_=shape)  # fmt: skip
            mark = _add(root, "circle", cx=x(estimate), cy=y, r=3.8, fill=colour, stroke=colour,
                        class_=f"{shape} fig-solid")  # fmt: skip
        limits = f" [{short(interval[0])}, {short(interval[1])}]" if interval is not None else ""
        _hint(mark, f"{name}, {label}: {short(estimate)}{limits}", interactive)
    return _finish(root, alt, interactive)


VERDICT_COLOURS = {
    "REPLICATED": "#00795a",
    "NOT_REPLICATED": "#c24a00",
    "INCONCLUSIVE": "#8a6100",
    "NOT_TESTED": "#5a6570",
    "ERROR": "#a3386f",
}


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def short(value: float) -> str:
    """Return a number with about four significant digits, a true minus sign, and no exponent where it is small."""
    if value == 0:
        return "0"
    size = abs(value)
    if 1e-4 <= size < 1e6:
        decimals = max(0, 3 - math.floor(math.log10(size)))
        text = f"{value:,.{min(decimals, 6)}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        text = f"{mantissa} × 10{str(int(exponent)).translate(_RAISED)}"
    return text.replace("-", "−")


def _lines(figure: Mapping[str, Any], interactive: bool, width: float) -> Element:
    root, plot = _frame(figure, 165 if width == HALF else 205, width)
    places = _places(figure["x"]["values"])
    series = figure["series"]
    low, high = _range(series, figure.get("reference", []), log=_log(figure))
    x = _scale(min(places), max(places), plot.left, plot.right, pad=0.02)
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
            upper = "L".join(f"{_n(a)} {_n(c)}" for a, _, c in band)
            lower = "L".join(f"{_n(a)} {_n(b)}" for a, b, _ in reversed(band))
            _add(
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
        points = "L".join(f"{_n(a)} {_n(b)}" for a, b, _ in known)
        if known:
            _add(root, "path", d=f"M{points}", fill="none", stroke=colour, stroke_width=1.8, stroke_linejoin="round",
                 class_=f"fig-line {shape}", stroke_dasharray=DASHES[index % len(DASHES)] or None)  # fmt: skip
        for a, b, i in known:
            if len(known) <= (40 if interactive else 12):
                _add(root, "circle", cx=a, cy=b, r=2.2, fill=colour, class_=f"fig-dot {shape}")
            if interactive:
                target = _add(root, "circle", cx=a, cy=b, r=7, class_="fig-target")
                _hint(target, _value_text(figure, one, i), interactive)
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
            bar = _add(root, "rect", x=left + thick * 0.06, y=top, width=thick * 0.88, height=max(bottom - top, 0.5),
                       fill=colour, fill_opacity=0.85, class_=f"fig-bar {shape}")  # fmt: skip
            _hint(bar, _value_text(figure, one, i), interactive)
            if (
                one.get("low")
                and one.get("high")
                and one["low"][i] is not None
                and one["high"][i] is not None
            ):
                a, b, c = left + thick / 2, y(one["low"][i]), y(one["high"][i])
                _add(root, "path", d=f"M{_n(a)} {_n(b)}V{_n(c)}M{_n(a - 4)} {_n(b)}h8M{_n(a - 4)} {_n(c)}h8",
                     fill="none", stroke=INK, stroke_width=1.2, class_="fig-whisker")  # fmt: skip
    return root


def _matrix(figure: Mapping[str, Any], interactive: bool, width: float) -> Element:
    rows, columns = figure["y"]["values"], figure["x"]["values"]
    values = figure["values"]
    side = {WIDTH: 330.0, HALF: 212.0, PAGE: 300.0}[width]
    cell = side / max(len(rows), len(columns), 1)
    wide, tall = cell * len(columns), cell * len(rows)
    left, top = LEFT, 8.0
    root = _root(width, top + tall + 42, "figure")
    _add(root, "rect", x=left, y=top, width=wide, height=tall, fill="#f4f6f8", class_="fig-ground")
    largest = max((abs(v) for row in values for v in row if v is not None), default=0.0) or 1.0
    levels: dict[tuple[float, bool], list[str]] = {}
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            if value is None or abs(value) < FAINT * largest:
                continue
            x, y = left + j * cell, top + i * cell
            shade, positive = round(abs(value) / largest, 3), value > 0
            if interactive:
                one = _add(root, "rect", x=x, y=y, width=cell, height=cell, fill=SERIES[0 if positive else 1],
                           fill_opacity=shade, class_=f"fig-cell fig-s{0 if positive else 1}")  # fmt: skip
                _hint(one, f"{_tick(rows[i])} → {_tick(columns[j])}: {short(value)}", interactive)
            else:  # one path for all cells of a shade: hundreds of elements would slow the PDF down
                levels.setdefault((round(shade * 25) / 25, positive), []).append(
                    f"M{_n(x)} {_n(y)}h{_n(cell)}v{_n(cell)}h{_n(-cell)}z"
                )
    for (shade, positive), cells in sorted(levels.items()):
        if shade:
            _add(root, "path", d="".join(cells), fill=SERIES[0 if positive else 1], fill_opacity=shade)
    size = 10.5
    for j in _sparse(len(columns), int(wide // 26)):
        _text(
            root, left + (j + 0.5) * cell, top + tall + 15, _cut(_tick(columns[j]), 8), size, anchor="middle"
        )
    for i in _sparse(len(rows), int(tall // 16)):
        _text(root, left - 6, top + (i + 0.5) * cell + 3.6, _cut(_tick(rows[i]), 8), size, anchor="end")
    _text(root, left + wide / 2, top + tall + 35, _cut(figure["x"]["label"], 60), 11.5, anchor="middle")
    _vertical(root, 14, top + tall / 2, _cut(figure["y"]["label"], 50))
    bar_x, bar_top, steps = left + wide + (34 if width == WIDTH else 12), top + 14, 20
    for step in range(steps):
        share = 1 - (step + 0.5) / steps
        _add(root, "rect", x=bar_x, y=bar_top + step * 8, width=10, height=8, fill=SERIES[0],
             fill_opacity=round(share, 3), class_="fig-cell fig-s0")  # fmt: skip
    for share in (1.0, 0.5, 0.0):
        _text(root, bar_x + 14, bar_top + (1 - share) * steps * 8 + 4, f"{share * largest:.2g}", size)
    unit = figure.get("unit")
    if unit:
        _text(root, bar_x, bar_top - 8, _cut(unit, 24), size)
    return root


def _path(figure: Mapping[str, Any], interactive: bool, width: float) -> Element:
    root, plot = _frame(figure, 330 if width == WIDTH else 270, width)
    points = [point for one in figure["series"] for point in one["points"]]
    spans = [(min(axis), max(axis)) for axis in zip(*points, strict=True)]
    # one unit is as long on x as on y: distances are what the figure is about
    per_unit = max((spans[0][1] - spans[0][0]) / (plot.right - plot.left),
                   (spans[1][1] - spans[1][0]) / (plot.bottom - plot.top), 1e-12) * 1.1  # fmt: skip
    middle = [(a + b) / 2 for a, b in spans]
    half = ((plot.right - plot.left) / 2 * per_unit, (plot.bottom - plot.top) / 2 * per_unit)
    x = _scale(middle[0] - half[0], middle[0] + half[0], plot.left, plot.right)
    y = _axis_y(root, plot, middle[1] - half[1], middle[1] + half[1], log=False, exact=True)
    ticks = [t for t in _ticks(middle[0] - half[0], middle[0] + half[0], 7)]
    _axis_x(root, plot, ticks, [x(tick) for tick in ticks])
    for index, one in enumerate(figure["series"]):
        colour, shape = SERIES[index % len(SERIES)], f"fig-s{index % len(SERIES)}"
        places = [(x(a), y(b)) for a, b in one["points"]]
        if len(places) > 1:
            _add(root, "path", d="M" + "L".join(f"{_n(a)} {_n(b)}" for a, b in places), fill="none", stroke=colour,
                 stroke_width=1.4, stroke_opacity=0.6, class_=f"fig-line {shape}")  # fmt: skip
        labels = one.get("labels") or list(range(len(places)))
        named = set(_sparse(len(places), 8)) | {len(places) - 1}
        for i, (a, b) in enumerate(places):
            ends = i in (0, len(places) - 1)
            dot = _add(
                root, "circle", cx=a, cy=b, r=4.4 if ends else 2.8, fill=colour, class_=f"fig-dot {shape}"
            )
            _hint(dot, f"{one['name']}, {_tick(labels[i])}: {short(one['points'][i][0])}, "
                       f"{short(one['points'][i][1])}", interactive)  # fmt: skip
            if i in named and (ends or abs(i - len(places) + 1) > 2):
                _text(root, a + 7, b - 6, _cut(_tick(labels[i]), 16), 10.5)
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
    root = _root(width, top + height + 43, "figure")
    for number, row in enumerate(rows):
        for index, name, left in row:
            y, colour, shape = (
                TOP + 19 * number + 1,
                SERIES[index % len(SERIES)],
                f"fig-s{index % len(SERIES)}",
            )
            if figure["kind"] == "lines":
                _add(root, "path", d=f"M{_n(left)} {_n(y)}h24", stroke=colour, stroke_width=2.2, fill="none",
                     class_=f"fig-line {shape}", stroke_dasharray=DASHES[index % len(DASHES)] or None)  # fmt: skip
            else:
                _add(
                    root,
                    "rect",
                    x=left + 10,
                    y=y - 5,
                    width=10,
                    height=10,
                    fill=colour,
                    class_=f"fig-bar {shape}",
                )
            _text(root, left + 30, y + 4, name, 11.5, ink=INK)
    _text(
        root,
        (plot.left + plot.right) / 2,
        plot.bottom + 36,
        _cut(figure["x"]["label"], int(width / 7)),
        11.5,
        anchor="middle",
    )
    _vertical(root, 14, (plot.top + plot.bottom) / 2, _cut(figure["y"]["label"], 40))
    return root, plot


def _legend_rows(names: Sequence[str], width: float) -> list[list[tuple[int, str, float]]]:
    rows: list[list[tuple[int, str, float]]] = [[]]
    left = LEFT
    for index, name in enumerate(names):
        name = _cut(name, int(width / 9))
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
        ticks = _log_ticks(low, high)
        inner = _scale(math.log10(low), math.log10(high), plot.bottom, plot.top, pad=0.04)

        def y(value: float) -> float:
            return inner(math.log10(max(value, 1e-300)))

        placed: Callable[[float], float] = y
    else:
        ticks = _ticks(low, high, 5)
        if not exact and ticks:
            step = ticks[1] - ticks[0] if len(ticks) > 1 else abs(ticks[0]) or high - low
            low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
            ticks = _ticks(low, high, 5)
        placed = _scale(low, high, plot.bottom, plot.top)
    for tick in ticks:
        place = placed(tick)
        _add(root, "path", d=f"M{_n(plot.left)} {_n(place)}H{_n(plot.right)}", stroke=GRID, stroke_width=1,
             class_="fig-grid")  # fmt: skip
        _text(root, plot.left - 7, place + 3.8, short(tick), 10.5, anchor="end")
    return placed


def _axis_x(root: Element, plot: _Plot, values: Sequence[Any], places: Sequence[float]) -> None:
    _add(root, "path", d=f"M{_n(plot.left)} {_n(plot.bottom)}H{_n(plot.right)}", stroke=MUTED, stroke_width=1,
         class_="fig-axis")  # fmt: skip
    words = any(isinstance(value, str) for value in values)
    room = (plot.right - plot.left) / max(len(values), 1)
    chosen = range(len(values)) if words and room > 60 else _sparse(len(values), 60 if words else 16)
    last = -math.inf
    for i in chosen:
        label = _cut(_tick(values[i]), max(3, int(room / 6.4)) if words else 10)
        if places[i] - last < 6.4 * len(label) + 4:
            continue
        last = places[i]
        _add(
            root,
            "path",
            d=f"M{_n(places[i])} {_n(plot.bottom)}v4",
            stroke=MUTED,
            stroke_width=1,
            class_="fig-axis",
        )
        _text(root, places[i], plot.bottom + 17, label, 10.5, anchor="middle")


def _references(
    root: Element, plot: _Plot, lines: Sequence[Mapping[str, Any]], y: Callable[[float], float]
) -> None:
    for line in lines:
        place = y(line["value"])
        _add(root, "path", d=f"M{_n(plot.left)} {_n(place)}H{_n(plot.right)}", stroke=INK, stroke_width=1.1,
             stroke_dasharray="3 3", class_="fig-reference")  # fmt: skip
        _text(root, plot.right - 3, place - 5, f"{_cut(line['label'], int((plot.right - plot.left) / 9))} {short(line['value'])}", 10.5,
              anchor="end", ink=INK)  # fmt: skip


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


def _scale(
    low: float, high: float, start: float, end: float, *, pad: float = 0.0
) -> Callable[[float], float]:
    width = high - low
    if width <= 0:
        return lambda value: (start + end) / 2  # noqa: ARG005  a single place stands in the middle
    low, width = low - pad * width, width * (1 + 2 * pad)
    return lambda value: start + (value - low) / width * (end - start)


def _ticks(low: float, high: float, wanted: int) -> list[float]:
    """Return round numbers (1, 2, 2.5 or 5 times a power of ten apart) within [low, high]."""
    raw = (high - low) / max(wanted, 1)
    if raw <= 0 or not math.isfinite(raw):
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [float(f"{i * step:.12g}") + 0.0 for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if last - first <= 3 else (1,)
    every = max(1, (last - first) // 8)
    ticks = [f * 10.0**p for p in range(first, last + 1, every) for f in factors]
    return [tick for tick in ticks if low * 0.95 <= tick <= high * 1.05]


def _sparse(count: int, most: int) -> list[int]:
    """Return at most about `most` evenly spaced indices of range(count), with a round stride."""
    stride = next(
        (s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500) if count / s <= max(most, 1)), max(count, 1)
    )
    return list(range(0, count, stride))


def _value_text(figure: Mapping[str, Any], series: Mapping[str, Any], i: int) -> str:
    low, high = series.get("low"), series.get("high")
    interval = ""
    if low and high and low[i] is not None and high[i] is not None:
        interval = f" [{short(low[i])}, {short(high[i])}]"
    place = f"{figure['x']['label']} {_tick(figure['x']['values'][i])}"
    return f"{series['name']}, {place}: {short(series['values'][i])}{interval}"


def _tick(value: object) -> str:
    return short(float(value)) if isinstance(value, int | float) else str(value)


def _cut(text: object, limit: int) -> str:
    text = str(text)
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _root(width: float, height: float, kind: str) -> Element:
    return Element("svg", {
        "xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {_n(width)} {_n(height)}", "width": _n(width),
        "height": _n(height), "class": kind, "font-family": FONT,
    })  # fmt: skip


def _add(parent: Element, tag: str, **attributes: Any) -> Element:
    made = {}
    for key, value in attributes.items():
        if value is not None:
            name = key.rstrip("_").replace("_", "-")
            made[name] = _n(value) if isinstance(value, float) and name != "fill-opacity" else str(value)
    return ElementTree.SubElement(parent, tag, made)


def _text(
    parent: Element, x: float, y: float, text: str, size: float, *, anchor: str = "start", ink: str = MUTED
) -> Element:
    kind = "fig-ink" if ink == INK else "fig-muted"
    made = _add(parent, "text", x=x, y=y, font_size=str(size), text_anchor=anchor, fill=ink, class_=kind)
    made.text = text
    return made


def _vertical(parent: Element, x: float, y: float, text: str) -> None:
    made = _text(parent, 0.0, 0.0, text, 11.5, anchor="middle")
    made.set("transform", f"translate({_n(x)} {_n(y)}) rotate(-90)")


def _hint(element: Element, text: str, interactive: bool) -> None:
    if interactive:
        ElementTree.SubElement(element, "title").text = text


def _finish(root: Element, alt: str, interactive: bool) -> str:
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
