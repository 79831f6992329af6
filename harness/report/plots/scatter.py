"""A picture of states: a point for each vector, coloured by its layer, and the path of the layers' means over it."""

from typing import Final

import numpy as np
from layerclaims.report.plots.axes import Plot
from layerclaims.report.plots.layers import LEVELS, colour, level
from layerclaims.report.plots.svg import (
    GRID,
    INK,
    Element,
    add,
    add_text,
    add_vertical,
    coord,
    finish,
    new_root,
    round_ticks,
    scale,
    sparse,
)
from layerclaims.results.picture_records import CELLS, AxisRecord, PictureRecord
from layerclaims.runtime.text import short
from numpy.typing import NDArray

SIDE, LEFT, TOP, RIGHT, BOTTOM = 200.0, 50.0, 6.0, 16.0, 38.0  # the square and its margins, in user units
PAD: Final = 28  # cells of the grid between the outermost points and the edge
DOT: Final = 13  # diameter of a point, in cells
BAR = 9.0  # height of the colours' scale, which is as wide as a picture
PAPER: Final = "#ffffff"
ORDINALS: Final = ("first", "second")


def scatter(picture: PictureRecord, *, last: int, alt: str, interactive: bool) -> str:
    """Return the SVG text of a picture; `last` is the model's last state, which sets the colours.

    A layer's points are one path of strokes without length, with whole numbers for coordinates: a tenth of what a
    circle each would take.
    """
    root = new_root(LEFT + SIDE + RIGHT, TOP + SIDE + (BOTTOM if picture.axes else TOP), "figure")
    plot = Plot(LEFT, LEFT + SIDE, TOP, TOP + SIDE)
    if picture.axes:
        _axes(root, plot, picture.axes)
    add(
        root,
        "rect",
        x=plot.left,
        y=plot.top,
        width=SIDE,
        height=SIDE,
        fill="none",
        stroke=GRID,
        class_="fig-grid",
    )
    per_cell = SIDE / (CELLS - 1 + 2 * PAD)
    place = f"translate({coord(plot.left)} {coord(plot.top)}) scale({per_cell:.4f})"
    points = add(
        root,
        "g",
        transform=place,
        fill="none",
        stroke_width=DOT,
        stroke_linecap="round",
        stroke_opacity="0.8",
    )
    x, y = picture.x + PAD, CELLS - 1 + PAD - picture.y
    for state, across, down in zip(picture.states, x, y, strict=True):
        shade = level(state, last)
        strokes = "".join(f"M{a} {b}h0" for a, b in zip(across.tolist(), down.tolist(), strict=True))
        add(points, "path", d=strokes, stroke=colour(shade), class_=f"fig-l{shade}")
    if picture.axes:
        means = np.stack([x.mean(axis=1), y.mean(axis=1)], axis=1) * per_cell + (plot.left, plot.top)
        _path(root, means, (picture.states[0], picture.states[-1]))
    return finish(root, alt, interactive)


def _axes(root: Element, plot: Plot, axes: tuple[AxisRecord, ...]) -> None:
    """Draw a few ticks along both axes, and how much of the variance lies along each."""
    for number, axis in enumerate(axes):
        low, high = axis.low - PAD * axis.step, axis.low + (CELLS - 1 + PAD) * axis.step
        name = f"{ORDINALS[number]} component, {_percent(axis.share)}"
        ends = (plot.left, plot.right) if number == 0 else (plot.bottom, plot.top)
        to = scale(low, high, *ends)
        for tick in round_ticks(low, high, 4):
            place = coord(to(tick))
            if number == 0:
                add(root, "path", d=f"M{place} {coord(plot.bottom)}v3", stroke=GRID, class_="fig-grid")
                add_text(root, to(tick), plot.bottom + 13, short(tick), 10.5, anchor="middle")
            else:
                add(root, "path", d=f"M{coord(plot.left)} {place}h-3", stroke=GRID, class_="fig-grid")
                add_text(root, plot.left - 5, to(tick) + 3.3, short(tick), 10.5, anchor="end")
        if number == 0:
            add_text(root, (plot.left + plot.right) / 2, plot.bottom + 29, name, 11.5, anchor="middle")
        else:
            add_vertical(root, 11, (plot.top + plot.bottom) / 2, name)


def _percent(share: float) -> str:
    """A share of the variance in words, as "41 %" or "under 1 %"."""
    return f"{100 * share:.0f} %" if share >= 0.01 else "under 1 %"


def _path(root: Element, means: NDArray[np.float64], ends: tuple[int, int]) -> None:
    """Draw the line through the means [S, 2] on a rim of the paper's colour, and name the states at its ends."""
    line = "M" + "L".join(f"{coord(a)} {coord(b)}" for a, b in means.tolist())
    for wide, ink, kind in ((2.6, PAPER, "fig-rim"), (1.1, INK, "fig-reference")):
        add(
            root,
            "path",
            d=line,
            fill="none",
            stroke=ink,
            stroke_width=wide,
            stroke_linejoin="round",
            stroke_opacity="0.75" if kind == "fig-rim" else None,
            class_=kind,
        )
    if len(means) < 2:
        return
    # where the ends are near each other one is named above and the other below
    near = abs(means[0] - means[-1]).max() < 14
    for state, (a, b), up in ((ends[0], means[0], True), (ends[1], means[-1], not near)):
        add(root, "circle", cx=float(a), cy=float(b), r=2.4, fill=INK, class_="fig-end")
        text = str(state)
        wide = 6.2 * len(text) + 4
        left = min(max(float(a) - wide / 2, LEFT + 1), LEFT + SIDE - wide - 1)
        top = float(b) - 17 if up and b > TOP + 18 else float(b) + 5
        add(
            root,
            "rect",
            x=left,
            y=top,
            width=wide,
            height=12.0,
            rx=2,
            fill=PAPER,
            fill_opacity=0.85,
            class_="fig-tag",
        )
        add_text(root, left + wide / 2, top + 9.6, text, 10, anchor="middle", ink=INK)


def colour_bar(last: int, *, interactive: bool) -> str:
    """Return the SVG text of the colours' scale, from state 0 to `last`."""
    steps = min(last + 1, LEVELS)
    root = new_root(LEFT + SIDE + RIGHT, BAR + 22, "figure")
    add_text(root, LEFT - 7, BAR, "state", 10.5, anchor="end")
    for step in range(steps):  # each a little over the next, so that no gap shines through
        shade = level(step, steps - 1)
        wide = SIDE / steps + (0.4 if step < steps - 1 else 0.0)
        add(
            root,
            "path",
            d=f"M{coord(LEFT + SIDE * step / steps)} {coord(BAR / 2 + 1)}h{coord(wide)}",
            fill="none",
            stroke=colour(shade),
            stroke_width=BAR,
            class_=f"fig-l{shade}",
        )
    # the last state is named in any case, and none so near that the two would touch
    named = [state for state in sparse(last + 1, 7) if last - state >= last / 10]
    for state in (*named, last):
        middle = LEFT + SIDE * (state + 0.5) / (last + 1)
        add_text(root, middle, BAR + 14, str(state), 10, anchor="middle")
    return finish(root, f"Colours of the states, from 0 to {last}.", interactive)
