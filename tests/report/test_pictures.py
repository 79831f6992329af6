"""The pictures of the states in page and PDF: light, legible, the same every time, and hostile to nobody."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from layerclaims.report import render as report
from layerclaims.report.plots.layers import LEVELS, colour, dark_style, level
from layerclaims.report.plots.scatter import colour_bar, scatter
from layerclaims.report.present import present
from layerclaims.report.rerender import compare_pages
from layerclaims.results.checking import checked
from layerclaims.results.file import dumps, loads, sealed
from layerclaims.results.picture_records import PictureRecord
from layerclaims.results.records import Results

from tests import sample_results
from tests.report.test_report import run as shell

SVG = "{http://www.w3.org/2000/svg}"
SHOWN = re.compile(r'<figure class="states">.*?</figure>', re.DOTALL)


def run(
    n_blocks: int = 30, *, tokens: int = 6, reduced_tokens: int = 4, protocols: Any = ("rigorous",)
) -> Any:
    """The content of a results file with pictures of a model of `n_blocks` blocks."""
    made = sample_results.sample(ids=("norm-is-a-feature",), n_blocks=n_blocks, protocols=protocols)
    made["pictures"] = [
        sample_results.pictures(name, n_blocks, tokens=tokens, reduced_tokens=reduced_tokens)
        for name in protocols
    ]
    return made


def picture(number: int = 0, n_blocks: int = 30, **changes: Any) -> PictureRecord:
    return PictureRecord.model_validate(
        sample_results.pictures("rigorous", n_blocks, **changes)["pictures"][number]
    )


def drawn(number: int = 0, n_blocks: int = 30) -> ElementTree.Element:
    text = scatter(picture(number, n_blocks), last=n_blocks, alt="what it shows", interactive=True)
    return ElementTree.fromstring(text)


class TestPicture:
    def test_a_layer_is_one_path_of_dots_with_whole_numbers(self) -> None:
        points = drawn().find(f"{SVG}g")
        assert points is not None
        assert len(points) == 30
        for path in points:
            assert re.fullmatch(r"(M\d+ \d+h0){6}", path.attrib["d"])
        assert points.attrib["stroke-linecap"] == "round"

    def test_a_dot_lies_where_its_cell_is_with_the_second_axis_upwards(self) -> None:
        content = sample_results.pictures("rigorous", 30)["pictures"][0]
        content["x"][0][0], content["y"][0][0] = 0, 999
        one = PictureRecord.model_validate(content)
        root = ElementTree.fromstring(scatter(one, last=30, alt="", interactive=True))
        points, frame = root.find(f"{SVG}g"), root.find(f"{SVG}rect")
        assert points is not None
        assert frame is not None
        found = re.fullmatch(r"translate\(([\d.]+) ([\d.]+)\) scale\(([\d.]+)\)", points.attrib["transform"])
        assert found is not None
        left, top, per_cell = map(float, found.groups())
        x, y = map(int, re.findall(r"\d+", points[0].attrib["d"])[:2])
        margin = float(frame.attrib["width"]) * 0.03
        assert 0 < left + x * per_cell - float(frame.attrib["x"]) < margin  # at the left edge
        assert 0 < top + y * per_cell - float(frame.attrib["y"]) < margin  # at the upper edge

    def test_pca_has_axes_with_their_share_and_a_path_with_named_ends_and_tsne_has_neither(self) -> None:
        pca, tsne = (
            [element.text or "" for element in drawn(number).iter(f"{SVG}text")] for number in (2, 3)
        )
        assert {"first component, 43 %", "second component, 8 %", "0", "30"} <= set(pca)
        assert tsne == []
        lines = [
            e.attrib["d"] for e in drawn(0).iter(f"{SVG}path") if e.attrib.get("class") == "fig-reference"
        ]
        assert len(lines) == 1
        assert lines[0].count("L") == 29

    def test_the_path_goes_through_the_means_of_the_states(self) -> None:
        one = picture()
        root = ElementTree.fromstring(scatter(one, last=30, alt="", interactive=True))
        points = root.find(f"{SVG}g")
        assert points is not None
        left, top, per_cell = map(float, re.findall(r"[\d.]+", points.attrib["transform"]))
        line = next(
            e.attrib["d"] for e in root.iter(f"{SVG}path") if e.attrib.get("class") == "fig-reference"
        )
        first = [float(number) for number in re.findall(r"[\d.]+", line)[:2]]
        dots = np.array(re.findall(r"M(\d+) (\d+)h0", points[0].attrib["d"]), dtype=float)
        np.testing.assert_allclose(first, dots.mean(axis=0) * per_cell + (left, top), atol=0.02)

    @pytest.mark.parametrize("n_blocks", [2, 12, 30, 100])
    def test_the_bar_names_some_states_and_always_the_last_none_over_another(self, n_blocks: int) -> None:
        texts = list(ElementTree.fromstring(colour_bar(n_blocks, interactive=True)).iter(f"{SVG}text"))
        named = [(int(t.text or ""), float(t.attrib["x"])) for t in texts if (t.text or "").isdigit()]
        assert named[0][0] == 0
        assert named[-1][0] == n_blocks
        assert 3 <= len(named) <= 9
        assert min(b - a for (_, a), (_, b) in pairwise(named)) > 14

    def test_the_file_keeps_every_cell(self) -> None:
        results = sealed(checked(run()))
        assert loads(dumps(results).encode(), origin="it") == results
        x = results.pictures[0].pictures[0].x
        assert x.tolist() == run()["pictures"][0]["pictures"][0]["x"]

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"x": [[1] * 6] * 29}, "for each token of each state"),
            ({"x": [[1000] * 6] * 30}, "outside of its grid"),
            ({"axes": []}, "axes"),
            ({"states": [0] * 20_000, "x": [[1, 1]] * 20_000, "y": [[1, 1]] * 20_000}, "more than any"),
        ],
    )
    def test_what_cannot_be_drawn_is_refused(self, changes: dict[str, Any], said: str) -> None:
        content = sample_results.pictures("rigorous", 30)["pictures"][0] | changes
        with pytest.raises(ValueError, match=said):
            PictureRecord.model_validate(content)


class TestColours:
    @staticmethod
    def luminance(text: str) -> float:
        """Relative luminance as WCAG defines it."""
        parts = [int(text[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    @pytest.mark.parametrize("dark", [False, True])
    def test_deeper_is_lighter_and_every_shade_stands_out(self, dark: bool) -> None:
        shades = [self.luminance(colour(shade, dark=dark)) for shade in range(LEVELS)]
        assert all(a < b for a, b in pairwise(shades))
        ground = self.luminance("#14181d" if dark else "#ffffff")
        for shade in shades:
            lighter, darker = max(shade, ground) + 0.05, min(shade, ground) + 0.05
            assert lighter / darker > 2.5

    def test_states_have_shades_in_order_from_the_first_to_the_last(self) -> None:
        for last in (1, 2, 12, 30, 100):
            shades = [level(state, last) for state in range(last + 1)]
            assert shades == sorted(shades)
            assert (shades[0], shades[-1]) == (0, LEVELS - 1)
            assert len(set(shades)) == min(last + 1, LEVELS)

    def test_the_dark_page_has_a_rule_for_every_shade(self) -> None:
        assert all(f".fig-l{shade} " in dark_style() for shade in range(LEVELS))
        assert dark_style() in report.html(checked(run()))


class TestReport:
    def test_the_largest_set_of_pictures_stays_small(self) -> None:
        page = report.html(checked(run(30, tokens=80, reduced_tokens=80)))  # 2,480 vectors, all five of them
        (shown,) = SHOWN.findall(page)
        assert len(shown.encode()) < 150_000
        both = report.html(
            checked(run(30, tokens=60, reduced_tokens=16, protocols=("rigorous", "as-published")))
        )
        assert sum(len(shown.encode()) for shown in SHOWN.findall(both)) < 200_000

    def test_the_caption_says_how_many_vectors_of_how_many_documents_and_what_not_to_read(self) -> None:
        (gallery,) = present(checked(run()), interactive=False).galleries
        caption = " ".join(gallery.caption)
        sizes = "186 vectors; 180 without state 0, the embedding"
        assert (
            f"6 tokens of 5 documents in every state ({sizes}); position 0 of each text is left out."
            in caption
        )
        assert "t-SNE and UMAP show 124 vectors (4 tokens of 3 documents in every state)" in caption
        assert "mean nothing" in caption

    def test_each_protocol_has_its_own_pictures_and_numbers(self) -> None:
        shown = present(checked(run(protocols=("rigorous", "as-published"))), interactive=False).galleries
        assert [(one.number, one.protocol_name) for one in shown] == [(1, "rigorous"), (2, "as published")]
        assert "every position counts" in " ".join(shown[1].caption)
        assert "standardised" in " ".join(shown[1].caption)

    def test_a_missing_picture_is_a_sentence(self) -> None:
        made = run()
        for one in made["pictures"][0]["pictures"]:
            made["pictures"][0]["missing"][one["title"]] = "UMAP is not installed"
        made["pictures"][0]["pictures"] = []
        page = report.html(checked(made))
        assert "Not drawn: UMAP, unit vectors with state 0. UMAP is not installed." in page
        assert not SHOWN.findall(page)

    def test_one_drawing_that_fails_costs_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(picture: PictureRecord, **given: Any) -> str:
            if picture.method == "UMAP":
                raise ZeroDivisionError("no width")
            return scatter(picture, **given)

        monkeypatch.setattr("layerclaims.report.pictures.scatter", fails)
        (gallery,) = present(checked(run()), interactive=True).galleries
        assert len(gallery.panels) == 4
        assert gallery.missing == (
            "Not drawn: UMAP, unit vectors with state 0. ZeroDivisionError: no width.",
        )

    def test_a_file_without_pictures_has_no_section_for_them(self) -> None:
        made = run()
        del made["pictures"]
        page = report.html(checked(made))
        assert "The states, seen" not in page
        assert "#states" not in page

    def test_the_first_lines_say_what_is_tested_and_what_a_layer_claim_is(self) -> None:
        page = report.html(checked(run()))
        front = page[page.index('<header class="front">') : page.index("</header>")]
        assert "Ruixuan Huang, Tianming Wu, Meng Li and Yi Zhan" in front
        assert 'href="https://www.lesswrong.com/posts/4ZGHderZEEmQuCvxR/' in front
        assert "A layer claim is" in front
        own = run()
        for entry in own["claims"]:
            entry |= {"source": "our lab", "where": "notebook"}
        assert "LessWrong post" not in report.html(checked(own))

    def test_a_hostile_title_stays_text(self) -> None:
        made = run()
        for one in made["pictures"][0]["pictures"]:
            one["title"] = sample_results.HOSTILE
        made["pictures"][0]["missing"] = {sample_results.HOSTILE: sample_results.HOSTILE}
        page = report.html(checked(made))
        assert "<img" not in page
        assert "&lt;img src=file" in page
        assert report.pdf(checked(made)).startswith(b"%PDF")

    @pytest.mark.parametrize("n_blocks", [2, 100])
    def test_shallow_and_deep_models_are_drawn(self, n_blocks: int) -> None:
        for interactive in (True, False):
            (gallery,) = present(checked(run(n_blocks, tokens=4)), interactive=interactive).galleries
            assert len(gallery.panels) == 5
            assert gallery.missing == ()


@pytest.fixture(scope="module")
def results() -> Results:
    return sealed(checked(run(30, tokens=20, reduced_tokens=10)))


@pytest.fixture(scope="module")
def made(results: Results) -> bytes:
    return report.pdf(results)


class TestPdf:
    def test_the_dots_are_seen_in_the_colours_of_the_first_and_the_last_state(
        self, made: bytes, tmp_path: Path
    ) -> None:
        from PIL import Image

        (tmp_path / "report.pdf").write_bytes(made)
        text = shell("pdftotext", "-layout", tmp_path / "report.pdf", "-")
        page = next(i for i, one in enumerate(text.split("\f"), 1) if "PCA, vectors as they are" in one)
        shell(
            "pdftoppm", "-r", "150", "-png", "-f", page, "-l", page, "-singlefile", tmp_path / "report.pdf",
            tmp_path / "page",
        )  # fmt: skip
        pixels = np.asarray(Image.open(tmp_path / "page.png").convert("RGB")).reshape(-1, 3).astype(int)
        for shade in (level(15, 30), LEVELS - 1):
            ink = np.array([int(colour(shade)[place : place + 2], 16) for place in (1, 3, 5)])
            # of the paper a fifth shines through
            seen = np.abs(pixels - (0.8 * ink + 0.2 * 255)).max(axis=1) < 8
            assert seen.sum() > 100

    def test_the_same_results_are_the_same_bytes(self, results: Results, made: bytes) -> None:
        assert report.pdf(results) == made
        assert report.html(results) == report.html(results)

    def test_its_pages_are_verified(self, results: Results, made: bytes) -> None:
        pages = compare_pages(made, results)
        assert pages.mismatches == ()
        assert pages.same
