"""How the report reads: reasons, links and counts on the page; pages, figures and line ends in print."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from layerclaims.report import render as report
from layerclaims.report.escaping import percents_kept, unbroken
from layerclaims.report.present import present
from layerclaims.report.wording import sample_text
from layerclaims.results import file as results
from layerclaims.results.checking import checked
from layerclaims.results.records import ClaimRecord

from tests import sample_results
from tests.report.test_report import FLAGS, tool

EMPTY = 2 / 3  # of a page's text area


@pytest.fixture(scope="module")
def page() -> str:
    """28 claims under both protocols."""
    return report.html(checked(sample_results.everything()))


class TestRows:
    def test_every_inconclusive_row_gives_its_reason(self, page: str) -> None:
        rows = re.findall(r'<div class="row">.*?(?=<div class="row">|</summary>)', page, re.DOTALL)
        open_rows = [
            row for row in rows if '<span class="cell-verdict"><span class="badge inconclusive">' in row
        ]
        made = sample_results.everything()["claims"]
        assert len(open_rows) == sum(entry["verdict"] == "INCONCLUSIVE" for entry in made) > 0
        for row in open_rows:
            assert re.search(r'class="row-reason">\s*\S[^<]{15,}', row), row

    def test_the_reason_stands_in_the_summary_too(self) -> None:
        made = sample_results.single_claim()
        made["claims"][0] |= {
            "verdict": "INCONCLUSIVE",
            "reason": "Accuracy lost is .012 (95 % interval .002 to .022). The interval crosses the pass mark of .010.",
        }
        text = report.markdown(checked(made))
        (row,) = [line for line in text.splitlines() if line.startswith("| ◆")]
        assert ": The interval crosses the pass mark of .010. |" in row

    def test_every_link_on_the_page_leads_somewhere(self, page: str) -> None:
        ids = set(re.findall(r'\bid="([^"]+)"', page))
        assert set(re.findall(r'href="#([^"]+)"', page)) <= ids

    def test_close_calls_are_links_to_their_claims(self) -> None:
        made = sample_results.ten()
        entry = next(one for one in made["claims"] if one["id"] == "transfer-beats-chance")
        part = entry["parts"][0]
        part |= {
            "estimate": part["threshold"] + 0.012,
            "interval": [part["threshold"] + 0.002, part["threshold"] + 0.022],
        }
        text = report.html(checked(made))
        told = re.search(r"<dt>Close calls</dt><dd>(.*?)</dd>", text)
        assert told is not None
        assert (
            told[1]
            == '1 verdict is close to the pass mark: <a href="#transfer-beats-chance">Transfer beats chance</a>.'
        )
        assert "This is a close call" in text


class TestChips:
    def test_add_up_to_the_claims_that_are_shown(self, page: str) -> None:
        counts = [int(n) for n in re.findall(r'class="quiet count">(\d+)<', page)]
        assert sum(counts) == page.count('<details class="claim"') == 28

    @pytest.mark.parametrize("section", ["", "norm"])
    def test_add_up_in_the_browser_too(self, page: str, section: str, tmp_path: Path) -> None:
        path = tmp_path / "page.html"
        path.write_text(page)
        browser_path = tool("chromium")
        sync_api = pytest.importorskip("playwright.sync_api", reason="install the dev extra")
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
            one = browser.new_page()
            one.goto(path.as_uri())
            if section:
                one.select_option("select[name=section]", label=section)
            one.uncheck("input[value=INCONCLUSIVE]")
            counts = one.eval_on_selector_all(
                ".chip:has(input:checked) .count", "all => all.map(chip => Number(chip.textContent))"
            )
            shown = one.locator("#claims > details:not([hidden])").count()
            browser.close()
        assert sum(counts) == shown > 0


class TestPrint:
    @pytest.mark.parametrize("name", ["ten", "everything"])
    def test_no_page_but_the_last_is_two_thirds_empty(self, name: str, tmp_path: Path) -> None:
        """The end of each page's text area, from where nothing is printed on."""
        image = pytest.importorskip("PIL.Image")
        import numpy as np

        made = results.sealed(checked(sample_results.BUILDERS[name]()))
        (pdf,) = report.render(made, tmp_path, ("pdf",))
        subprocess.run(
            [tool("pdftoppm"), "-r", "30", "-gray", pdf, tmp_path / "page"],
            check=True,
            timeout=60,
            capture_output=True,
        )
        *pages, _ = sorted(tmp_path.glob("page-*.pgm"))
        for path in pages:
            pixels = np.asarray(image.open(path))
            height = len(pixels)
            area = pixels[height * 24 // 297 : height * (297 - 21) // 297]  # the margins of print.css
            printed = np.flatnonzero((area < 200).any(axis=1))
            assert printed.size, path.name
            assert 1 - (printed.max() + 1) / len(area) < EMPTY, path.name

    def test_a_claims_first_figure_and_its_small_print_are_kept_together(self) -> None:
        css = (Path(__file__).parents[2] / "templates" / "print.css").read_text()
        assert ".keep, .split { break-inside: avoid; }" in css
        text = _printed(sample_results.ten())
        assert re.search(r'<div class="split">\s*<div class="cell"><figure', text)

    def test_a_figure_that_an_earlier_claim_shows_is_referred_to(self) -> None:
        made = present(checked(sample_results.ten()), interactive=False)
        numbers = {figure.number: claim.id for claim in made.claims for figure in claim.figures}
        seen = [(claim.id, number, where) for claim in made.claims for number, where in claim.seen]
        assert seen
        assert all(numbers[number] == where != claim for claim, number, where in seen)


class TestPercentSigns:
    def test_stay_with_their_number(self, page: str) -> None:
        text = re.sub(r"(?s)<(script|style|pre|code)\b.*?</\1>|<[^>]*>", "\n", page)
        assert not re.search(r"\d %", text)
        assert re.search(r"\d\u00a0%", text)

    def test_stay_with_a_number_that_begins_with_a_point(self) -> None:
        assert str(unbroken("passed .2 % of them")) == '<span class="nb">passed .2\u00a0%</span> of them'

    def test_code_is_left_as_it_was_typed(self) -> None:
        command = '<code data-x="5 %">--corpus "5 % of it.txt"</code>'
        assert percents_kept(f"<p>5 %</p>{command}<p>7 %</p>") == f"<p>5\u00a0%</p>{command}<p>7\u00a0%</p>"


class TestWhatAVerdictRestsOn:
    def test_counts_are_answers_and_documents_are_of_each_corpus(self) -> None:
        assert sample_text(_claim(n_documents=33, n_vectors=1_171_800), corpora=2) == (
            "The verdict rests on at least 33 documents of each of 2 corpora and 1,171,800 answers of probes."
        )
        assert sample_text(_claim()) == "The verdict rests on 200 documents and 359,600 answers of probes."

    def test_what_rests_on_no_counts_rests_on_vectors(self) -> None:
        one = _claim(n_vectors=174_000)
        stated = one.model_copy(update={"parts": (one.parts[0].model_copy(update={"recipe": None}),)})
        assert sample_text(stated) == "The verdict rests on 200 documents and 174,000 vectors."

    def test_the_corpora_are_those_of_the_counts(self) -> None:
        made = sample_results.ten()
        entry = next(one for one in made["claims"] if one["id"] == "accuracy-drops-on-another-corpus")
        entry["parts"][0]["recipe"] = {"statistic": "difference", "series": ["raw", "transfer/raw"]}
        shown = present(checked(made), interactive=False)
        (result,) = next(one for one in shown.claims if one.id == entry["id"]).results
        assert "documents of each of 2 corpora" in result.sample


def _claim(**changes: Any) -> ClaimRecord:
    made = sample_results.single_claim()
    made["claims"][0]["parts"][0]["recipe"] = {"statistic": "difference", "series": ["raw", "unit"]}
    made["claims"][0] |= {"n_documents": 200, "n_vectors": 359_600, **changes}
    return checked(made).claims[0]


def _printed(made: dict[str, Any]) -> str:
    """The print edition before it is laid out."""
    shown = present(checked(made), interactive=False)
    return report._environment(escape=True).get_template("print.html.j2").render(report=shown, axis="")
