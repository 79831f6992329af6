"""Figures of results.json -> SVG; lines are drawn here, each other kind in a module of its own."""

from layerclaims.report.plots.axes import (
    axis_x,
    axis_y,
    behind_first,
    bounds_of,
    frame,
    is_log,
    looks,
    places_of,
    range_of,
    references,
    value_text,
)
from layerclaims.report.plots.bars import bars
from layerclaims.report.plots.matrix import matrix
from layerclaims.report.plots.path import path
from layerclaims.report.plots.svg import (
    HALF,
    PAGE,
    WIDTH,
    Element,
    add,
    add_hint,
    coord,
    finish,
    scale,
)
from layerclaims.results.figure_records import BarsRecord, FigureRecord, LinesRecord, MatrixRecord, PathRecord


def svg(figure: FigureRecord, *, interactive: bool, half: bool = False) -> str:
    """Return the SVG text of one figure of results.json; half=True lets two stand side by side in print.

    interactive=True (the page) names each value in a <title> that browsers show on hover and puts the
    alternative text into aria-label; False (the PDF) puts it into the root <title>, which becomes /Alt.
    """
    width = PAGE if interactive else HALF if half else WIDTH
    match figure:
        case LinesRecord():
            root = _lines(figure, interactive, width)
        case BarsRecord():
            root = bars(figure, interactive, width)
        case MatrixRecord():
            root = matrix(figure, interactive, width)
        case PathRecord():
            root = path(figure, interactive, width)
    return finish(root, figure.alt, interactive)


def _lines(figure: LinesRecord, interactive: bool, width: float) -> Element:
    root, plot = frame(figure, 165 if width == HALF else 205, width)
    places = places_of(figure.x.values)
    series = figure.series
    low, high = range_of(series, figure.reference, log=is_log(figure))
    x = scale(min(places), max(places), plot.left, plot.right, pad=0.02)
    y = axis_y(root, plot, low, high, log=is_log(figure))
    axis_x(root, plot, figure.x.values, [x(place) for place in places])
    references(root, plot, figure.reference, y)
    styles, targets = looks(series), []
    for index in behind_first(series):
        one, look = series[index], styles[index]
        values, bounds = one.values, bounds_of(one)
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
                fill=look.colour,
                fill_opacity=0.16,
                class_=f"fig-band {look.shape}",
            )
        # points that are missing are passed over: the line joins those on either side
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
                stroke=look.colour,
                stroke_width=look.thick,
                stroke_linejoin="round",
                class_=f"fig-line {look.shape}",
                stroke_dasharray=look.dash or None,
            )
        for a, b, i in known:
            if len(known) <= (40 if interactive else 12):
                radius = 1.5 if one.published else 2.2
                add(root, "circle", cx=a, cy=b, r=radius, fill=look.colour, class_=f"fig-dot {look.shape}")
            targets.append((a, b, value_text(figure, one, i)))
    if interactive:  # above all else, so that no band takes the pointer
        for a, b, text in targets:
            add_hint(add(root, "circle", cx=a, cy=b, r=7, class_="fig-target"), text, interactive)
    return root
