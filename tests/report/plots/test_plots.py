"""Figures are well-formed SVG with their text as text, whatever the data."""

import json
import math
from typing import Any, ClassVar
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from layerclaims.report.escaping import cleaned
from layerclaims.report.plots import figure as figures
from layerclaims.report.plots import forest
from layerclaims.report.plots.svg import MUTED, SERIES
from layerclaims.results.checking import checked
from layerclaims.results.figure_records import FigureRecord
from layerclaims.runtime.text import short
from pydantic import TypeAdapter

from tests import sample_results

SVG = "{http://www.w3.org/2000/svg}"
CASES = [
    (name, figure_name, figure)
    for name, builder in sample_results.BUILDERS.items()
    for figure_name, figure in cleaned(checked(builder()).figures).items()
]


FIGURE: TypeAdapter[FigureRecord] = TypeAdapter(FigureRecord)


def drawn(figure: object, *, interactive: bool = True, half: bool = False) -> ElementTree.Element:
    """The drawing of a figure, given as a record or as the content of one."""
    return ElementTree.fromstring(
        figures.svg(FIGURE.validate_python(figure), interactive=interactive, half=half)
    )


def numbers_of(root: ElementTree.Element) -> list[float]:
    places = ("x", "y", "cx", "cy", "width", "height")
    return [
        float(element.attrib[name]) for element in root.iter() for name in places if name in element.attrib
    ]


@pytest.mark.parametrize(("name", "figure_name", "figure"), CASES, ids=[f"{a}-{b}" for a, b, _ in CASES])
def test_every_figure_is_well_formed_and_stays_inside_its_frame(
    name: str, figure_name: str, figure: FigureRecord
) -> None:
    figure = figure.model_copy(update={"alt": "what it shows"})
    for interactive, half in ((True, False), (False, False), (False, True)):
        root = drawn(figure, interactive=interactive, half=half)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        assert all(math.isfinite(value) for value in numbers_of(root))
        for text in root.iter(f"{SVG}text"):
            if "transform" not in text.attrib:
                assert -1 <= float(text.attrib["x"]) <= width + 1
                assert 0 <= float(text.attrib["y"]) <= height
        if interactive:
            assert root.attrib["aria-label"] == "what it shows"
        else:
            assert root[0].tag == f"{SVG}title"
            assert root[0].text == "what it shows"


def test_hover_texts_name_series_place_value_and_interval() -> None:
    figure = sample_results.ten()["figures"]["accuracy-by-layer"]
    titles = [element.text for element in drawn(figure).iter(f"{SVG}title")]
    assert any(title and title.startswith("raw, state 3: .9") and "[" in title for title in titles)
    assert len(titles) == 2 * 31


def test_names_cannot_become_markup() -> None:
    figure = sample_results.ten()["figures"]["accuracy-by-layer"]
    figure["series"][0]["name"] = "</svg><script>alert(1)</script>"
    text = figures.svg(FIGURE.validate_python(figure), interactive=True)
    assert "<script" not in text
    assert "&lt;script" in text


def test_empty_matrix_cells_are_not_drawn_and_the_others_are() -> None:
    figure = sample_results.ten()["figures"]["confusion"]
    figure["values"] = [[1.0 if i == j else 0.0 for j in range(31)] for i in range(31)]
    cells = [e for e in drawn(figure).iter(f"{SVG}rect") if e.find(f"{SVG}title") is not None]
    assert len(cells) == 31


def test_a_matrix_with_signs_has_a_scale_on_both_sides_of_zero() -> None:
    figure = sample_results.ten()["figures"]["confusion"]
    figure["y"]["values"], figure["values"] = ["17", "23"], [[0.5] * 31, [-0.25] * 31]
    root = drawn(figure, interactive=False)
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {".5", "0", "−.5", "17", "23"} <= set(texts)
    lowest = max(float(e.attrib["y"]) + float(e.attrib["height"]) for e in root.iter(f"{SVG}rect"))
    assert lowest < float(root.attrib["height"])


def test_missing_values_break_nothing() -> None:
    figure = sample_results.ten()["figures"]["norms-by-layer"]
    for series in figure["series"]:
        series["values"] = [None] * 31
        series["low"] = series["high"] = None
    assert drawn(figure) is not None
    figure["y"]["log"] = True
    figure["series"][0]["values"] = [0.0] * 30 + [-1.0]
    assert drawn(figure) is not None


finite = st.floats(min_value=-1e12, max_value=1e12, allow_nan=False)


@given(
    values=st.lists(finite | st.none(), min_size=1, max_size=70),
    log=st.booleans(),
    kind=st.sampled_from(["lines", "bars"]),
)
@example(values=[5e-324], log=True, kind="lines")
def test_any_series_can_be_drawn(values: list[float | None], log: bool, kind: str) -> None:
    figure = {
        "kind": kind,
        "title": "t",
        "caption": "c",
        "alt": "a",
        "x": {"label": "state", "values": list(range(len(values)))},
        "y": {"label": "y", "log": log},
        "series": [{"name": "s", "values": values, "low": None, "high": None}],
        "reference": [],
    }
    assert all(math.isfinite(value) for value in numbers_of(drawn(figure)))


@given(points=st.lists(st.tuples(finite, finite), min_size=1, max_size=40))
def test_any_path_can_be_drawn(points: list[tuple[float, float]]) -> None:
    figure = {
        "kind": "path",
        "title": "t",
        "caption": "c",
        "alt": "a",
        "x": {"label": "x"},
        "y": {"label": "y"},
        "series": [{"name": "s", "points": [list(point) for point in points], "labels": None}],
    }
    assert all(math.isfinite(value) for value in numbers_of(drawn(figure)))


def test_a_line_with_bounds_has_its_band() -> None:
    figure = sample_results.ten()["figures"]["accuracy-by-layer"]
    bands = [element for element in drawn(figure).iter(f"{SVG}path") if "fill-opacity" in element.attrib]
    assert len(bands) == 1  # the second series has no bounds
    assert bands[0].attrib["d"].count("L") == 2 * 31 - 1


@pytest.mark.parametrize(
    ("interactive", "half", "columns"), [(False, False, 3), (True, False, 2), (False, True, 2)]
)
def test_each_series_of_a_path_has_a_panel_of_its_own(interactive: bool, half: bool, columns: int) -> None:
    figure = sample_results.everything()["figures"]["embeddings"]
    root = drawn(figure, interactive=interactive, half=half)
    titles = [element for element in root.iter(f"{SVG}text") if element.text in ("PCA", "t-SNE", "UMAP")]
    assert [title.text for title in titles] == ["PCA", "t-SNE", "UMAP"]
    assert len({title.attrib["x"] for title in titles}) == columns
    assert len(list(root.iter(f"{SVG}circle"))) == 3 * 31


@given(value=finite)
def test_short_numbers_are_close_to_the_number(value: float) -> None:
    text = short(value).replace("−", "-").replace(",", "")
    if "×" in text:
        mantissa, power = text.split(" × 10")
        text = f"{mantissa}e{power.translate(str.maketrans('⁻⁰¹²³⁴⁵⁶⁷⁸⁹', '-0123456789'))}"
    assert float(text) == pytest.approx(value, rel=0.06, abs=1e-300)


class TestPublishedCurves:
    FIGURE: ClassVar[dict[str, Any]] = {
        "kind": "lines",
        "title": "t",
        "caption": "c",
        "alt": "a",
        "x": {"label": "tokens", "values": ["5", "10", "20", "30", "40"]},
        "y": {"label": "accuracy"},
        "series": [
            {"name": "accuracy", "values": [0.7, 0.8, 0.85, 0.9, 0.92]},
            {
                "name": "published gpt2-medium, 100 texts",
                "values": [None, 0.5, None, 0.6, None],
                "published": True,
            },
            {"name": "gpt2-xl", "values": [None, 0.3, 0.4, None, 0.45], "published": True},
        ],
        "reference": [],
    }

    def lines(self, root: ElementTree.Element) -> list[ElementTree.Element]:
        """The curves of the plot area, in the order in which they are drawn."""
        return [e for e in root.iter(f"{SVG}path") if "stroke-linejoin" in e.attrib]

    @pytest.mark.parametrize(("interactive", "half"), [(True, False), (False, False), (False, True)])
    def test_stand_behind_thin_dashed_and_grey(self, interactive: bool, half: bool) -> None:
        *behind, own = self.lines(drawn(self.FIGURE, interactive=interactive, half=half))
        assert own.attrib["stroke"] == SERIES[0]
        assert "stroke-dasharray" not in own.attrib
        assert len({one.attrib["stroke-dasharray"] for one in behind}) == 2
        for one in behind:
            assert one.attrib["stroke"] == MUTED
            assert float(one.attrib["stroke-width"]) < float(own.attrib["stroke-width"])

    def test_join_the_points_that_they_have(self) -> None:
        first, second, own = (one.attrib["d"] for one in self.lines(drawn(self.FIGURE)))
        assert [d.count("M") for d in (first, second, own)] == [1, 1, 1]
        assert [d.count("L") for d in (first, second, own)] == [1, 2, 4]

    @pytest.mark.parametrize("interactive", [True, False])
    def test_are_in_the_legend_as_published(self, interactive: bool) -> None:
        texts = [e.text for e in drawn(self.FIGURE, interactive=interactive).iter(f"{SVG}text")]
        for name in ("accuracy", "published gpt2-medium, 100 texts", "published: gpt2-xl"):
            assert name in texts

    def test_are_named_under_the_pointer_and_no_band_covers_them(self) -> None:
        figure = json.loads(json.dumps(self.FIGURE))
        figure["series"][0] |= {"low": [0.2] * 5, "high": [0.99] * 5}
        elements = list(drawn(figure).iter())
        hints = [i for i, e in enumerate(elements) if e.tag == f"{SVG}title"]
        bands = [i for i, e in enumerate(elements) if "fill-opacity" in e.attrib]
        assert max(bands) < min(hints)
        assert "published: gpt2-xl, tokens 10: .3" in [elements[i].text for i in hints]
        assert len(hints) == 5 + 2 + 3

    def test_take_no_colour_from_ours(self) -> None:
        figure = json.loads(json.dumps(self.FIGURE))
        figure["series"].append({"name": "another", "values": [0.1] * 5})
        assert [one.attrib["stroke"] for one in self.lines(drawn(figure))] == [MUTED, MUTED, *SERIES[:2]]

    def test_are_grey_as_bars_too(self) -> None:
        for values in (["a", "b"], [1, 2]):
            figure = {
                **self.FIGURE,
                "kind": "bars",
                "x": {"label": "x", "values": values},
                "series": [
                    {"name": "accuracy", "values": [0.7, 0.8]},
                    {"name": "gpt2", "values": [0.6, None], "published": True},
                ],
            }
            fills = [
                e.attrib["fill"]
                for e in drawn(figure, interactive=False).iter(f"{SVG}rect")
                if "fill-opacity" in e.attrib
            ]
            assert sorted(fills) == sorted([SERIES[0], SERIES[0], MUTED])


class TestForest:
    def row(self, **changes: Any) -> ElementTree.Element:
        return self.rows(changes)

    def rows(self, *marks: dict[str, Any]) -> ElementTree.Element:
        given_ = [
            forest.Mark(
                **{"distance": 12.0, "bar": (11.0, 13.0), "verdict": "REPLICATED", "hint": "h"} | mark
            )
            for mark in marks
        ]
        return ElementTree.fromstring(forest.forest_row(given_, published=-3.0, alt="a", interactive=True))

    def test_the_side_of_the_dot_is_the_side_of_the_verdict(self) -> None:
        middle = forest.forest_x(0.0)
        assert float(self.row().find(f"{SVG}circle").attrib["cx"]) > middle  # type: ignore[union-attr]
        assert float(self.row(distance=-2.0).find(f"{SVG}circle").attrib["cx"]) < middle  # type: ignore[union-attr]

    def test_what_lies_beyond_the_axis_is_an_arrow(self) -> None:
        assert self.row(distance=math.inf).find(f"{SVG}circle") is None
        assert self.row(distance=-1e9, bar=(-1e9, -1e9)).find(f"{SVG}circle") is None

    def test_two_protocols_have_a_lane_each(self) -> None:
        filled, hollow = self.rows({}, {"hollow": True}).findall(f"{SVG}circle")
        assert float(hollow.attrib["cy"]) - float(filled.attrib["cy"]) > 2 * float(filled.attrib["r"])
        assert float(hollow.attrib["cy"]) + float(hollow.attrib["r"]) < forest.FOREST_HEIGHT
        assert hollow.attrib["fill"] == "#ffffff"

    @given(distance=st.floats(allow_nan=False))
    def test_every_distance_has_a_place_inside_the_row(self, distance: float) -> None:
        assert 0 < forest.forest_x(distance) < forest.FOREST_WIDTH

    def test_a_strip_draws_each_protocol_and_the_published_number(self) -> None:
        root = ElementTree.fromstring(
            forest.strip(
                [
                    ("rigorous", 0.93, [0.92, 0.94], "REPLICATED"),
                    ("as published", 0.27, None, "INCONCLUSIVE"),
                    ("published", 0.83, None, None),
                ],
                relation=">",
                threshold=0.274,
                name="accuracy",
                alt="a",
                interactive=True,
                heading=True,
            )
        )
        texts = [element.text for element in root.iter(f"{SVG}text")]
        assert [text for text in texts if text and text[0].isalpha()] == [
            "accuracy",
            "rigorous",
            "as published",
            "published",
        ]
