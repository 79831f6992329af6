"""Bars: upright over numbers, lying beside names."""

from layerclaims.report.plots.axes import (
    RIGHT,
    TOP,
    axis_x,
    axis_y,
    bounds_of,
    frame,
    is_log,
    label_of,
    legend,
    legend_rows,
    looks,
    range_of,
    references,
    value_text,
)
from layerclaims.report.plots.svg import (
    GRID,
    HALF,
    INK,
    PAGE,
    WIDTH,
    Element,
    add,
    add_hint,
    add_text,
    coord,
    cut,
    new_root,
    round_ticks,
    scale,
    tick_text,
    whisker,
)
from layerclaims.results.figure_records import BarsRecord
from layerclaims.runtime.text import short, undotted


def bars(figure: BarsRecord, interactive: bool, width: float) -> Element:
    """Draw a bar for each value of each series; bars of named things lie."""
    labels, series = figure.x.values, figure.series
    log = is_log(figure)
    if not log and any(isinstance(label, str) for label in labels):
        return _bars_across(figure, interactive, width)
    root, plot = frame(figure, 165 if width == HALF else 205, width)
    low, high = range_of(series, figure.reference, log=log)
    if not log:
        low, high = min(0.0, low), max(0.0, high)
    y = axis_y(root, plot, low, high, log=log)
    slot = (plot.right - plot.left) / max(len(labels), 1)
    centres = [plot.left + slot * (i + 0.5) for i in range(len(labels))]
    axis_x(root, plot, labels, centres)
    references(root, plot, figure.reference, y)
    thick = min(slot * 0.78, 54.0 * len(series)) / len(series)
    base = y(low if log else 0.0)
    for index, (one, look) in enumerate(zip(series, looks(series), strict=True)):
        bounds = bounds_of(one)
        for i, value in enumerate(one.values):
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
                fill=look.colour,
                fill_opacity=look.opacity,
                class_=f"fig-bar {look.shape}",
            )
            add_hint(bar, value_text(figure, one, i), interactive)
            lower, upper = bounds[i]
            if lower is not None and upper is not None:
                a, b, c = left + thick / 2, y(lower), y(upper)
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


def _bars_across(figure: BarsRecord, interactive: bool, width: float) -> Element:
    """Bars of named things lie, so that the names can be read."""
    labels, series = figure.x.values, figure.series
    left = {WIDTH: 190.0, HALF: 104.0, PAGE: 118.0}[width]
    styles = looks(series)
    rows = legend_rows([label_of(one) for one in series], width) if len(series) > 1 else []
    thick = 15.0 if len(series) == 1 else 12.0
    slot = thick * len(series) + 9
    references = figure.reference
    top = TOP + 19 * len(rows) + (8 if references else 0)
    bottom = top + slot * len(labels)
    root = new_root(width, bottom + 40, "figure")
    legend(root, rows, styles, lines=False)
    low, high = range_of(series, references, log=False)
    low, high = min(0.0, low), max(0.0, high)
    x = scale(low, high + (high - low) * 0.12, left, width - RIGHT)  # room for the numbers
    for tick in round_ticks(low, high, 4 if width == HALF else 6):
        line = f"M{coord(x(tick))} {coord(top)}V{coord(bottom)}"
        add(root, "path", d=line, stroke=GRID, stroke_width=1, class_="fig-grid")
        add_text(root, x(tick), bottom + 15, short(tick), 10.5, anchor="middle")
    add_text(root, (left + width - RIGHT) / 2, bottom + 34, cut(figure.y.label, 40), 11.5, anchor="middle")
    for i, label in enumerate(labels):
        middle = top + slot * (i + 0.5)
        add_text(
            root, left - 8, middle + 4, cut(tick_text(label), int(left / 6.1)), 11, anchor="end", ink=INK
        )
        for index, one in enumerate(series):
            value = one.values[i]
            if value is None:
                continue
            y, look = middle + (index - len(series) / 2) * thick, styles[index]
            start, end = sorted((x(0.0), x(value)))
            bar = add(
                root,
                "rect",
                x=start,
                y=y + 1,
                width=max(end - start, 0.5),
                height=thick - 2,
                fill=look.colour,
                fill_opacity=look.opacity,
                class_=f"fig-bar {look.shape}",
            )
            add_hint(bar, value_text(figure, one, i), interactive)
            right = end
            lower, upper = bounds_of(one)[i]
            if lower is not None and upper is not None:
                a, b = x(lower), x(upper)
                d = whisker(a, b, y + thick / 2, cap=3)
                add(root, "path", d=d, fill="none", stroke=INK, stroke_width=1.2, class_="fig-whisker")
                right = max(right, b)
            number = undotted(f"{value:.2f}") if 0.01 <= abs(value) < 1 else short(value)
            add_text(root, right + 5, y + thick / 2 + 3.7, number.replace("-", "−"), 10)
    for reference in references:
        place = x(reference.value)
        line = f"M{coord(place)} {coord(top - 2)}V{coord(bottom)}"
        add(
            root, "path", d=line, stroke=INK, stroke_width=1.1, stroke_dasharray="3 3", class_="fig-reference"
        )
        text = f"{cut(reference.label, int(width / 12))} {short(reference.value)}"
        add_text(root, place, top - 6, text, 10, anchor="start" if place < width * 0.6 else "end", ink=INK)
    return root
