"""A matrix: cells in the shade of their value."""

from layerclaims.report.plots.axes import LEFT
from layerclaims.report.plots.svg import (
    HALF,
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
    new_root,
    sparse,
    tick_text,
)
from layerclaims.results.figure_records import MatrixRecord
from layerclaims.runtime.text import short

FAINT = 0.005  # matrix cells below this share of the largest are left blank: they would be invisible


def matrix(figure: MatrixRecord, interactive: bool, width: float) -> Element:
    """Draw a cell for each pair of places, the darker the larger, and the scale beside it."""
    rows, columns = figure.y.values, figure.x.values
    values = figure.values
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
        cut(figure.x.label, int((wide + 60) / 7)),
        11.5,
        anchor="middle",
    )
    add_vertical(root, 14, top + tall / 2, cut(figure.y.label, int(tall / 6)))
    signed = any(v < 0 for row in values for v in row if v is not None)
    _colour_bar(
        root,
        left + wide + (34 if width == WIDTH else 12),
        top + 14,
        length,
        largest,
        signed=signed,
        unit=figure.unit or "",
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
