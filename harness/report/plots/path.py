"""A path: points of the plane, joined in order."""

from layerclaims.report.plots.axes import RIGHT, Plot, axis_x, axis_y, frame
from layerclaims.report.plots.svg import (
    INK,
    SERIES,
    WIDTH,
    Element,
    add,
    add_hint,
    add_text,
    add_vertical,
    coord,
    cut,
    new_root,
    round_ticks,
    scale,
    sparse,
    tick_text,
)
from layerclaims.results.figure_records import FigureRecord, PathRecord, TrailRecord
from layerclaims.runtime.text import short

PANEL_LEFT, PANEL_TOP = 52.0, 24.0  # margins of one of several panels, in user units


def path(figure: PathRecord, interactive: bool, width: float) -> Element:
    """Draw points joined in order; each series in a panel of its own, since their axes need not be the same."""
    series = figure.series
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
        add_text(root, middle, plot.top - 9, cut(one.name, int(wide / 7)), 11.5, anchor="middle", ink=INK)
        _panel(root, plot, one, interactive)
        if index + columns >= len(series):
            label = cut(figure.x.label, int(wide / 7))
            add_text(root, middle, plot.bottom + 36, label, 11.5, anchor="middle")
        if index % columns == 0:
            add_vertical(root, 13, (plot.top + plot.bottom) / 2, cut(figure.y.label, int(tall / 6)))
    return root


def has_panels(figure: FigureRecord) -> bool:
    """Return whether a figure is drawn as several panels: a path of more than one series."""
    return isinstance(figure, PathRecord) and len(figure.series) > 1


def _panel(root: Element, plot: Plot, one: TrailRecord, interactive: bool) -> None:
    """Draw one path with its axes."""
    spans = [(min(axis), max(axis)) for axis in zip(*one.points, strict=True)]
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
    places = [(x(a), y(b)) for a, b in one.points]
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
    labels = one.labels or list(range(len(places)))
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
            f"{one.name}, {tick_text(labels[i])}: {short(one.points[i][0])}, {short(one.points[i][1])}",
            interactive,
        )
    written: list[tuple[float, float]] = []
    for i in sorted(named, key=lambda i: i not in (0, len(places) - 1)):  # the ends are named first
        a, b = places[i]
        if all(abs(a - c) > 16 or abs(b - d) > 11 for c, d in written):
            written.append((a, b))
            add_text(root, a + 7, b - 6, cut(tick_text(labels[i]), 16), 10.5)
