"""The report as readers meet it: PDF tools on the PDF, a browser on the page, the summary as text."""

import itertools
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.report import board
from layerclaims.report import render as report
from layerclaims.report.escaping import clean, quoted
from layerclaims.report.present import present
from layerclaims.report.wording import calibration, error_rates, measured, reported
from layerclaims.results import file as results
from layerclaims.results.checking import checked
from layerclaims.results.records import CalibrationRecord

from tests import sample_results
from tests.sample_results import BUILDERS

PACKAGES = {
    "pdftoppm": "poppler-utils",
    "pdfinfo": "poppler-utils",
    "pdffonts": "poppler-utils",
    "pdftotext": "poppler-utils",
    "pdfdetach": "poppler-utils",
    "qpdf": "qpdf",
    "chromium": "chromium",
}
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def tool(name: str) -> str:
    """Where a program is; without it the test is skipped here and fails in CI."""
    names = [name, "google-chrome", "chromium-browser"] if name == "chromium" else [name]
    found = next((path for each in names if (path := shutil.which(each))), None)
    if found is None:
        message = f"{name} is missing: apt-get install {PACKAGES[name]}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found


def run(name: str, *arguments: object) -> str:
    done = subprocess.run(
        [tool(name), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rendered_where(imported: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    """A report rendered by a Python that first does `imported` for each `name` that is imported."""
    program = (
        "import sys, warnings\n"
        "class Finder:\n"
        f"    def find_spec(self, name, path=None, target=None):\n        {imported}\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from layerclaims.report import render as report\nfrom layerclaims.results.checking import checked\n"
        "from tests import sample_results\n"
        "warnings.simplefilter('error', DeprecationWarning)\n"
        "print(sorted(path.name for path in report.render(checked(sample_results.ten()), sys.argv[1])))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program, directory], capture_output=True, text=True, check=True, timeout=60
    )


def saying(**changes: Any) -> Any:
    """The ten claims; the first one says something else of what its source reports."""
    made = sample_results.ten()
    made["claims"][0] |= {"source": "the post", "where": "Reduction", **changes}
    return checked(made)


EXACT = {
    "reported": ".8311",
    "reported_value": 0.8311,
    "reported_cell": "gpt2-medium, IMDB, 30 tokens, 1,000 texts",
    "reported_exact": True,
}


class TestWhatTheSourceReports:
    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            (
                EXACT,
                "The post reports .8311 for this very setting (gpt2-medium, IMDB, 30 tokens, 1,000 texts)",
            ),
            ({**EXACT, "reported_cell": None}, "The post reports .8311 for this very setting"),
            ({"reported": "gpt2 .92", "reported_value": 0.92}, "The post's headline: gpt2 .92"),
            ({"reported": "Fig. 6", "reported_value": None}, "The post reports: Fig. 6"),
            ({"reported": None, "reported_value": None}, ""),
            ({**EXACT, "reported_exact": False, "source": "p. 3", "reported_cell": "x"}, "P. 3 reports: .8311 (x)"),
            ({"reported": "a fifth", "source": "own claim"}, "Reported: a fifth"),
        ],
    )  # fmt: skip
    def test_is_of_this_very_setting_or_a_headline(self, changes: dict[str, Any], sentence: str) -> None:
        assert reported(saying(**changes).claims[0]) == sentence

    @pytest.mark.parametrize("edition", ["html", "md"])
    def test_stands_in_page_and_summary(self, edition: str, tmp_path: Path) -> None:
        text = report.render(saying(**EXACT), tmp_path, (edition,))[0].read_text()
        plain = re.sub("<[^>]+>", "", text)
        assert f"The post reports .8311 for this very setting ({EXACT['reported_cell']})" in plain

    def test_stands_in_print(self, tmp_path: Path) -> None:
        (pdf,) = report.render(saying(**EXACT), tmp_path, ("pdf",))
        text = " ".join(run("pdftotext", pdf, "-").split())
        assert f"The post reports .8311 for this very setting ({EXACT['reported_cell']})" in text

    def test_a_hostile_cell_stays_text(self, tmp_path: Path) -> None:
        hostile = saying(**{**EXACT, "reported_cell": "</p><script>alert(1)</script>\u202e|"})
        (page,) = report.render(hostile, tmp_path, ("html",))
        assert "<script>alert(1)" not in page.read_text()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(scope="module")
def pages(directory: Path) -> dict[str, Path]:
    """The page and the summary of every sample."""
    return {
        name: report.render(checked(builder()), directory / name, ("html", "md"))[0].parent
        for name, builder in BUILDERS.items()
    }


@pytest.fixture(scope="module")
def large_pdf(directory: Path) -> tuple[Path, float, float]:
    """28 claims under both protocols, rendered in a process of its own: path, seconds of CPU, peak MiB."""
    made = results.write(
        directory / "large" / "results.json", results.sealed(checked(sample_results.everything()))
    )
    program = (
        "import resource, sys\nfrom layerclaims.report import render as report\n"
        "from layerclaims.results import file as results\n"
        "report.render(results.read_results(sys.argv[1]), sys.argv[2], ('pdf',))\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        # not ru_maxrss: over fork and exec it starts at what the process of the tests holds
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1]\n"
        "print(used.ru_utime + used.ru_stime, int(peak) / 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, made, made.parent],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    seconds, peak = map(float, done.stdout.split())
    return made.parent / "report.pdf", seconds, peak


@pytest.fixture(scope="module")
def small_pdf(directory: Path) -> Path:
    return report.render(results.sealed(checked(sample_results.ten())), directory / "ten-pdf", ("pdf",))[0]


@pytest.fixture(scope="module")
def hostile_pdf(directory: Path) -> Path:
    return report.render(
        results.sealed(checked(sample_results.hostile())), directory / "hostile-pdf", ("pdf",)
    )[0]


class TestPdf:
    def test_it_is_sound_tagged_and_says_what_it_is(self, large_pdf: tuple[Path, float, float]) -> None:
        run("qpdf", "--check", large_pdf[0])
        info = run("pdfinfo", large_pdf[0])
        assert re.search(r"^Title: +Layer claims on SmolLM2-135M-Instruct$", info, re.M)
        assert re.search(r"^Author: +layerclaims", info, re.M)
        assert re.search(r"^Tagged: +yes", info, re.M)
        assert re.search(r"^CreationDate: .*2026", info, re.M)
        assert re.search(r"^JavaScript: +no", info, re.M)
        assert "A4" in info
        assert b"pdfaid:part" in large_pdf[0].read_bytes() or "pdfaid" in run(
            "pdfinfo", "-meta", large_pdf[0]
        )

    def test_every_font_is_embedded_and_is_one_of_ours(self, large_pdf: tuple[Path, float, float]) -> None:
        lines = run("pdffonts", large_pdf[0]).splitlines()[2:]
        assert lines
        for line in lines:
            assert re.search(r"\+(Inter|Literata|JetBrains)", line), line
            embedded, _, has_unicode = re.search(r"(yes|no) +(yes|no) +(yes|no) +\d+ +\d+$", line).groups()  # type: ignore[union-attr]
            assert (embedded, has_unicode) == ("yes", "yes"), line

    def test_its_numbers_can_be_selected_and_the_first_page_answers(
        self, large_pdf: tuple[Path, float, float]
    ) -> None:
        first, second = (
            run("pdftotext", "-layout", "-f", page, "-l", page, large_pdf[0], "-") for page in (1, 2)
        )
        for wanted in (
            "SmolLM2-135M-Instruct",
            "embedded:movies",
            "Of 28 claims,",
            "Its procedure on",
            "True of this",
            "Does not come back",
            "Norm is a feature",
        ):
            assert wanted in first, wanted
        for wanted in (
            "Not replicated",
            "Norm is a feature",
            "[−.0006, .0029]",
            "above .01",
            ".19",
            "As published",
            "Also passes",
            "walk 2 %",
            "layerclaims verify report.pdf",
        ):
            assert wanted in second, wanted
        assert second.index("Norm is a feature") < second.index(
            "Layers linearly separable", second.index("Verdicts")
        )
        everything = " ".join(run("pdftotext", large_pdf[0], "-").split())
        for wanted in (
            "9,999 resamples",
            "delete-a-group jackknife",
            "@misc{huang2024exploring",
            "@software{layerclaims",
            "On 200 simulated cases exactly at the pass mark, this rule wrongly passed 3 % (95 % interval 1 to 6)",
            "wrongly failed 0 % (95 % interval 0 to 1.8).",
            "An untrained network satisfies it too, so it says little about training.",
            "Data without structure, rigorous. This rule passes 1 of 50 random walks and 0 of 50 sets",
            "This rule passes 49 of 50 random walks and 0 of 50 sets that differ in their means only.",
            "A random walk through the layers passes this rule too, so passing it says little about trained layers.",
            "at least 200 documents",
            "predicted state",
            "about 900 documents",
        ):
            assert wanted in everything, wanted

    def test_the_contents_give_the_pages_where_claims_stand(self, small_pdf: Path) -> None:
        text = run("pdftotext", "-layout", small_pdf, "-").split("\f")
        heading = re.compile(r"^\s*Contents$", re.MULTILINE)
        contents = next(heading.split(page)[1] for page in text if heading.search(page))
        listed = {
            title.strip(): int(page)
            for line in contents.strip("\n").split("\n\n\n")[0].splitlines()
            for title, page in re.findall(r"(\S.*?) {2,}(\d+)", line)
        }
        assert len(listed) == 10 + 4 + 2 + 5  # claims, sections, verdicts and states, what is at the end
        for row in sample_results.ten()["claims"]:
            title = row["id"].replace("-", " ").capitalize()
            assert title in text[listed[title] - 1]

    def test_bookmarks_lead_to_every_claim(self, small_pdf: Path) -> None:
        import pikepdf

        with pikepdf.open(small_pdf) as pdf, pdf.open_outline() as outline:
            titles = [child.title for item in outline.root for child in (item, *item.children)]
            assert pdf.Root.Lang == "en"
        assert "Norm is a feature" in titles
        assert "Methods" in titles

    def test_every_figure_has_an_alternative_text(self, small_pdf: Path) -> None:
        import pikepdf

        def walk(node: Any) -> Iterator[Any]:
            if isinstance(node, pikepdf.Dictionary):
                yield node
                kids = node.get("/K")
                if isinstance(kids, pikepdf.Array):
                    for kid in kids:
                        yield from walk(kid)

        with pikepdf.open(small_pdf) as pdf:
            found = [node for node in walk(pdf.Root.StructTreeRoot.K[0]) if node.get("/S") == "/Figure"]
            assert len(found) > 14  # a row of the plot of all claims for each, and the figures
            assert all(str(node.get("/Alt", "")) for node in found)

    def test_the_results_are_attached_and_can_be_read_back(self, small_pdf: Path, tmp_path: Path) -> None:
        assert "results.json" in run("pdfdetach", "-list", small_pdf)
        run("pdfdetach", "-save", "1", "-o", tmp_path / "out.json", small_pdf)
        made = results.sealed(checked(sample_results.ten()))
        assert (tmp_path / "out.json").read_text() == results.dumps(made)
        assert results.plain(results.read_results(small_pdf)) == results.plain(made)
        import pikepdf

        with pikepdf.open(small_pdf) as pdf:
            assert pdf.Root.AF[0].AFRelationship == "/Data"

    def test_equal_results_give_equal_bytes_at_any_time_and_place(
        self, small_pdf: Path, tmp_path: Path
    ) -> None:
        made = results.write(tmp_path / "results.json", results.sealed(checked(sample_results.ten())))
        program = (
            "import sys\nfrom layerclaims.report import render as report\n"
            "from layerclaims.results import file as results\n"
            "report.render(results.read_results(sys.argv[1]), sys.argv[2], ('pdf', 'html', 'md'))"
        )
        environment = {**os.environ, "TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "12345", "PYTHONHASHSEED": "7"}
        subprocess.run(
            [sys.executable, "-c", program, made, tmp_path], check=True, env=environment, timeout=120
        )
        assert (tmp_path / "report.pdf").read_bytes() == small_pdf.read_bytes()
        assert (tmp_path / "report.html").read_text() == report.html(results.read_results(made))

    def test_28_claims_under_both_protocols_cost_little(self, large_pdf: tuple[Path, float, float]) -> None:
        _, seconds, peak = large_pdf
        assert seconds < 15  # 6 s on an idle core; the margin is for a shared machine
        assert peak < 400

    def test_hostile_names_stay_text(self, hostile_pdf: Path) -> None:
        run("qpdf", "--check", hostile_pdf)
        text = run("pdftotext", hostile_pdf, "-")
        assert "root:" not in text
        assert "{{7*7}}" in text.replace("\n", "")
        assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf") and c not in "\n\f\t\u00ad"]
        assert b"/JavaScript" not in hostile_pdf.read_bytes()
        assert b"/Launch" not in hostile_pdf.read_bytes()
        assert results.plain(results.read_results(hostile_pdf)) == results.plain(
            results.sealed(checked(sample_results.hostile()))
        )

    @pytest.mark.parametrize("name", ["all-not-tested", "single-claim", "long-name", "no-claims", "deep"])
    def test_odd_runs_have_a_sound_pdf_too(self, name: str, directory: Path) -> None:
        path = report.render(checked(BUILDERS[name]()), directory / f"{name}-pdf", ("pdf",))[0]
        assert "No syntax or stream encoding errors found" in run("qpdf", "--check", path)

    def test_nothing_outside_is_fetched(self) -> None:
        run = checked(sample_results.single_claim())
        made = present(run, interactive=False)
        for source in ("file:///etc/hostname", "http://127.0.0.1:9/x.png"):
            with pytest.raises(BaseException, match=r"(?i)protocol|fetch|allowed"):
                report._weasy(f"<title>x</title><img alt=x src='{source}'>", run, made)

    def test_without_pango_everything_else_is_written(self, tmp_path: Path) -> None:
        absent = "if name.startswith('weasyprint'): raise OSError(\"cannot load library 'libpango-1.0-0'\")"
        done = rendered_where(absent, tmp_path)
        assert done.stdout.strip() == "['report.html', 'summary.md']"
        assert len(done.stderr.strip().splitlines()) == 1
        assert "apt-get install libpango-1.0-0" in done.stderr

    def test_weasyprint_may_advise_where_warnings_are_errors(self, tmp_path: Path) -> None:
        advice = "if name == 'weasyprint.text.ffi': warnings.warn('A library will be required', DeprecationWarning)"
        done = rendered_where(advice, tmp_path)
        assert done.stdout.strip() == "['report.html', 'report.pdf', 'summary.md']"


class TestMarkdown:
    @pytest.mark.parametrize("name", BUILDERS)
    def test_every_table_row_has_as_many_cells_as_the_head(self, name: str, pages: dict[str, Path]) -> None:
        tables = re.findall(r"(?m)(?:^\|.*\n)+", (pages[name] / "summary.md").read_text())
        assert tables or name == "no-claims"
        for table in tables:
            assert len({line.count("|") for line in table.splitlines()}) == 1

    def test_hostile_names_stay_text(self, pages: dict[str, Path]) -> None:
        text = (pages["hostile"] / "summary.md").read_text()
        assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf") and c != "\n"]
        outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text)
        assert "<img" not in outside
        assert "](" not in outside
        assert "**bold**" not in outside
        assert not re.search(r"^# heading", text, re.M)
        assert set(re.findall(r"</?(\w+)", outside)) <= {"details", "summary"}

    @pytest.mark.parametrize("name", ["ten", "everything", "three-answers", "no-claims"])
    def test_markdown_follows_raw_html_and_tables_only_after_a_blank_line(
        self, name: str, pages: dict[str, Path]
    ) -> None:
        lines = (pages[name] / "summary.md").read_text().splitlines()
        for line, following in itertools.pairwise(lines):
            if line.startswith("|"):
                assert following == "" or following.startswith("|")
            if line.endswith(("</details>", "</summary>")):
                assert following == ""

    def test_error_rates_null_models_and_the_untrained_twin_have_a_column_where_there_are_any(
        self, pages: dict[str, Path]
    ) -> None:
        text = (pages["ten"] / "summary.md").read_text()
        assert "| Post | Also passes | Untrained | Error rates |" in text
        assert "| .8322 | walk 2 % | ✅ holds | 3 % / 0 % |" in text
        assert "What data without structure pass too" in text
        without = (pages["single-claim"] / "summary.md").read_text()
        assert "Untrained" not in without
        assert "Also passes" not in without
        assert "without structure" not in without
        assert "Error rates" not in without

    def test_says_what_the_post_reports(self, pages: dict[str, Path]) -> None:
        text = (pages["ten"] / "summary.md").read_text()
        assert "<details><summary>What the post reports (" in text
        assert "- **Random vectors fail**: The post reports: Fig. 10\n" in text
        assert "- **Norm is a feature**: The post's headline: .83 -&#62; .64\n" in text

    def test_failures_come_first(self, pages: dict[str, Path]) -> None:
        text = (pages["ten"] / "summary.md").read_text()
        assert text.index("| Norm is a feature") < text.index("| Layers linearly separable")
        assert "**8 of 10 claims replicate.**" in text

    def test_the_step_summary_is_appended_and_never_too_long(self, tmp_path: Path) -> None:
        path = tmp_path / "summary"
        path.write_text("before\n")
        environment = {"GITHUB_STEP_SUMMARY": str(path)}
        assert report.append_step_summary("ours\n", environment) == path
        assert path.read_text() == "before\nours\n"
        report.append_step_summary("x" * 1_000_000, environment)
        assert path.stat().st_size < 900_000
        assert report.append_step_summary("ours", {}) is None

    def test_a_summary_of_a_million_characters_is_cut(self) -> None:
        made = sample_results.hostile("x|" * 20_000)
        made["claims"] = [
            {**made["claims"][0], "id": f"claim-{index}", "verdict": "ERROR"} for index in range(150)
        ]
        assert len(report.markdown(checked(made)).encode()) < report.SUMMARY_LIMIT


class TestTheBaseline:
    @pytest.mark.parametrize("edition", ["html", "markdown", "pdf"])
    def test_of_claims_that_the_run_does_not_have_is_shown_all_the_same(self, edition: str) -> None:
        run = sample_results.against_a_baseline()
        run["claims"] = run["claims"][-1:]
        made = getattr(report, edition)(checked(run))
        assert made if edition == "pdf" else "Norm is a feature" in made

    def test_stands_before_everything_else_and_leads_to_its_claims(self) -> None:
        run = checked(sample_results.against_a_baseline())
        assert run.baseline is not None
        outcome = f"Against the baseline: {run.baseline.outcome}"
        page, summary = report.html(run), report.markdown(run)
        assert page.index(outcome) < page.index('class="headline"')
        assert '<a href="#norm-is-a-feature">Norm is a feature</a>' in page
        assert summary.splitlines()[2].startswith(f"**{outcome}.**")
        assert "within error: the intervals overlap" in summary

    def test_is_the_first_of_the_contents(self) -> None:
        found = present(checked(sample_results.against_a_baseline()), interactive=False)
        assert found.contents[0][0] == (1, "baseline", "Against the baseline")
        alone = present(checked(sample_results.ten()), interactive=False)
        assert alone.contents[0][0] == (1, "verdicts", "Verdicts")

    def test_of_a_run_without_one_is_not_spoken_of(self) -> None:
        run = checked(sample_results.ten())
        assert "baseline" not in report.html(run).partition("<body")[2]
        assert "baseline" not in report.markdown(run)


class TestHtmlText:
    def test_hostile_names_stay_text(self, pages: dict[str, Path]) -> None:
        from html.parser import HTMLParser

        class Collector(HTMLParser):
            tags: list[tuple[str, dict[str, str | None]]] = []  # noqa: RUF012  one parser, one list

            def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
                self.tags.append((tag, dict(attrs)))

        text = (pages["hostile"] / "report.html").read_text()
        parser = Collector()
        parser.feed(text)
        assert not [
            attributes for tag, attributes in parser.tags if tag in ("img", "iframe", "object", "embed")
        ]
        assert sum(tag == "script" for tag, _ in parser.tags) == 1
        assert not [
            a for _, attributes in parser.tags for a in attributes if a.startswith("on") or a == "style"
        ]
        assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf") and c != "\n"]
        assert all(
            str(attributes["href"]).startswith(("#", "data:,"))
            for _, attributes in parser.tags
            if "href" in attributes
        )

    def test_script_and_style_are_the_same_for_all_results(self, pages: dict[str, Path]) -> None:
        found = {
            re.sub(r"<(style|script)>.*?</\1>", r"\g<0>", block)
            for path in pages.values()
            for block in re.findall(
                r"<style>.*?</style>|<script>.*?</script>", (path / "report.html").read_text(), re.S
            )
        }
        assert len(found) == 2

    def test_unknown_formats_and_broken_results_are_one_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(LayerclaimsError, match="docx"):
            report.render(checked(sample_results.ten()), tmp_path, ("docx",))
        broken = sample_results.ten()
        del broken["claims"][0]["verdict"]
        with pytest.raises(LayerclaimsError, match="verdict"):
            report.render(checked(broken), tmp_path)
        assert not list(tmp_path.iterdir())

    def test_the_page_is_small_and_made_quickly(self, pages: dict[str, Path]) -> None:
        assert (pages["everything"] / "report.html").stat().st_size < 1_200_000
        made = checked(sample_results.everything())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        report.html(made)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 2

    def test_neither_torch_nor_weasyprint_is_imported_for_the_page(self) -> None:
        program = (
            "import sys\nfrom layerclaims.report import render as report\n"
            "from layerclaims.results.checking import checked\n"
            "from tests import sample_results\n"
            "run = checked(sample_results.ten()); report.html(run); report.markdown(run)\n"
            "heavy = {'torch', 'weasyprint', 'matplotlib', 'scipy', 'sklearn', 'pandas'}\n"
            "print(sorted(heavy & set(sys.modules)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout.strip() == "[]"


class TestPresentation:
    def test_clean_leaves_visible_text_alone_and_shows_the_rest(self) -> None:
        assert clean("Größe → 中文 αβ 🙂") == "Größe → 中文 αβ 🙂"
        assert clean("a\x1b[31m\u202eb\ud800\u200b") == "a\\x1b[31m\\u202eb\\ud800\\u200b"
        assert clean("x" * 10_000).endswith("… (10,000 characters)")
        assert len(clean("a" + "\u0301" * 500)) == 4

    @pytest.mark.parametrize(
        ("estimate", "interval", "wanted"),
        [
            (0.93123, [0.9251, 0.9373], (".931", "[.925, .937]")),
            (-0.5, [-1.02, 0.031], ("−.50", "[−1.02, .03]")),
            (22710.3, [22000.2, 23411.7], ("22,710", "[22,000, 23,412]")),
            (1.0, [1.0, 1.0], ("1.000", "[1.000, 1.000]")),
            (-0.006, [-0.011, -0.0004], ("−.0060", "[−.0110, −.0004]")),
            (0.5, None, (".5", "")),
            (None, None, ("–", "")),
        ],
    )
    def test_numbers_have_the_decimals_their_interval_supports(
        self, estimate: float | None, interval: list[float] | None, wanted: tuple[str, str]
    ) -> None:
        assert measured(estimate, interval) == wanted

    @pytest.mark.parametrize("word", ["gpt2", "a b", "it's", "$(id)", "a\nb\x1b'\\", "\u202egpj", "-x", ""])
    def test_a_quoted_word_is_the_word_again_in_a_shell(self, word: str) -> None:
        done = subprocess.run(
            ["bash", "-c", f"printf %s {quoted(word)}"],
            capture_output=True,
            check=True,
            env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
        )
        assert done.stdout.decode() == word

    def test_the_command_reruns_one_claim_of_this_run(self) -> None:
        made = present(checked(sample_results.everything()), interactive=False)
        published = made.claims[0].results[1]
        assert published.command == (
            "pytest claims/ --model embedded --profile quick --protocol as-published "
            "-k test_layers_linearly_separable --out reports/layers-linearly-separable-as-published"
        )

    def test_figures_are_numbered_in_the_order_in_which_they_stand(self) -> None:
        made = sample_results.everything()
        made["claims"].reverse()
        shown = present(checked(made), interactive=False)
        numbers = [
            figure.number for _, claims in shown.sections for claim in claims for figure in claim.figures
        ]
        numbers = [*(gallery.number for gallery in shown.galleries), *numbers]
        assert numbers == list(range(1, len(numbers) + 1))
        assert [claim.number for claim in shown.claims] == list(range(1, 29))

    @pytest.mark.parametrize(
        ("own", "twin", "wanted"),
        [
            (
                "REPLICATED",
                "REPLICATED",
                "An untrained network satisfies it too, so it says little about training.",
            ),
            ("REPLICATED", "NOT_REPLICATED", ""),
            ("NOT_REPLICATED", "REPLICATED", ""),
            ("REPLICATED", "INCONCLUSIVE", ""),
        ],
    )
    def test_what_an_untrained_network_satisfies_too_is_said_to_be_so(
        self, own: str, twin: str, wanted: str
    ) -> None:
        made = sample_results.ten()
        made["claims"][0]["verdict"] = own
        made["claims"][0]["control_untrained"]["verdict"] = twin
        made["claims"] = made["claims"][:1]
        shown = present(checked(made), interactive=False)
        untrained = shown.claims[0].results[0].untrained
        assert untrained is not None
        assert untrained.remark == wanted
        assert ("Untrained" in [remark.label for remark in shown.certainty]) == bool(wanted)

    def test_error_rates_are_told_as_far_as_they_were_measured(self) -> None:
        assert calibration(None) == error_rates(None) == ""

        def rates(other: float | None) -> CalibrationRecord:
            return CalibrationRecord(
                false_replicated=0.03,
                false_replicated_interval=(0.01, 0.06),
                false_not_replicated=other,
                plants=200,
            )

        assert calibration(rates(0.0)) == (
            "On 200 simulated cases exactly at the pass mark, this rule wrongly passed 3 % (95 % interval 1 to 6) and "
            "wrongly failed 0 %."
        )
        assert error_rates(rates(0.025)) == "3 % / 2.5 %"
        assert error_rates(rates(None)) == "3 % / –"

    def test_a_claim_that_was_not_tested_has_no_empty_rule_and_no_sample_of_nothing(self) -> None:
        made = sample_results.all_not_tested()
        for entry in made["claims"]:
            entry["criterion"]["text"], entry["n_documents"] = "", 0
        page = report.html(checked(made))
        assert 'class="lead">Rule' not in page
        assert "Measured on" not in page

    def test_what_both_protocols_say_alike_is_said_once(self) -> None:
        made = present(checked(sample_results.everything()), interactive=False)
        tree = next(claim for claim in made.claims if claim.id == "decision-tree-separates")
        assert [label for label, _ in tree.grouped("verdict", "reason")] == [""]
        assert {quantity.protocol_name for quantity in tree.quantities} == {"both"}
        linear = made.claims[0]
        assert [label for label, _ in linear.grouped("verdict", "reason")] == ["rigorous", "as published"]
        assert [q.protocol_name for q in linear.quantities][:2] == ["rigorous", "as published"]

    def test_the_part_that_decides_is_the_one_that_is_shown(self) -> None:
        made = sample_results.single_claim()
        claim = made["claims"][0]
        claim["parts"].append(
            {**claim["parts"][0], "name": "second", "estimate": -2.0, "interval": [-2.1, -1.9]}
        )
        claim["parts"][0] |= {"holds": True, "estimate": 0.5, "interval": [0.4, 0.6]}
        result = present(checked(made), interactive=False).claims[0].results[0]
        assert result.decisive is not None
        assert result.decisive.name == "second"
        assert result.distance == pytest.approx(-20.1)
        assert not result.published


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = tool("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip("playwright is missing: install the dev extra")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


class Visit:
    """A page opened in a fresh context, with everything it said and asked for."""

    def __init__(self, browser: Any, path: Path, *, width: int = 1440, scheme: str = "light") -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def __enter__(self) -> "Visit":
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    @property
    def requests_outside(self) -> list[str]:
        return [url for url in self.asked if not url.startswith("data:")][1:]

    @property
    def visible(self) -> list[str]:
        titles: list[str] = self.page.eval_on_selector_all(
            "#claims > details:not([hidden])", "all => all.map(one => one.dataset.title)"
        )
        return titles


class TestInTheBrowser:
    @pytest.mark.parametrize("width", [390, 1440])
    @pytest.mark.parametrize("name", BUILDERS)
    def test_pages_are_quiet_offline_and_fit(
        self, browser: Any, pages: dict[str, Path], name: str, width: int
    ) -> None:
        with Visit(browser, pages[name] / "report.html", width=width) as visit:
            visit.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
            assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
            assert visit.said == []
            assert visit.requests_outside == []
            loaded = visit.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
            assert loaded < 3000  # about .3 s on an idle machine

    @pytest.mark.parametrize(
        ("name", "width", "scheme"),
        [
            ("everything", 1440, "light"),
            ("three-answers", 390, "light"),
            ("three-answers", 1440, "dark"),
            ("ten", 1440, "dark"),
            ("ten", 390, "light"),
            ("all-not-tested", 390, "dark"),
        ],
    )
    def test_axe_finds_nothing_serious(
        self, browser: Any, pages: dict[str, Path], name: str, width: int, scheme: str
    ) -> None:
        axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="install the dev extra")
        with Visit(browser, pages[name] / "report.html", width=width, scheme=scheme) as visit:
            visit.page.evaluate(
                "[...document.querySelectorAll('details')].slice(0, 6).forEach(d => d.open = true)"
            )
            found = axe.Axe().run(visit.page).response["violations"]
            serious = [
                (violation["id"], violation["help"], [node["html"][:160] for node in violation["nodes"][:3]])
                for violation in found
                if violation["impact"] in ("serious", "critical")
            ]
            assert serious == []

    @pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
    def test_the_board_is_quiet_offline_and_accessible(
        self, browser: Any, tmp_path: Path, width: int, scheme: str
    ) -> None:
        axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="install the dev extra")
        runs = [
            checked(builder())
            for name, builder in BUILDERS.items()
            if name in ("everything", "hostile", "long-name")
        ]
        board.write(board.make(runs), tmp_path, ("html",))
        with Visit(browser, tmp_path / "board.html", width=width, scheme=scheme) as visit:
            assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
            visit.page.evaluate("document.querySelector('.scroll').scrollLeft = 500")
            claim = "document.querySelector('tbody th').getBoundingClientRect().left"
            assert visit.page.evaluate(claim) >= 0, "the claim stays in sight"
            violations = axe.Axe().run(visit.page).response["violations"]
            assert [v["id"] for v in violations if v["impact"] in ("serious", "critical")] == []
            assert visit.said == []
            assert visit.requests_outside == []

    def test_every_control_is_reached_by_the_keyboard(self, browser: Any, pages: dict[str, Path]) -> None:
        with Visit(browser, pages["single-claim"] / "report.html") as visit:
            page, reached = visit.page, []
            for _ in range(20):
                page.keyboard.press("Tab")
                reached.append(page.evaluate("document.activeElement.name || document.activeElement.tagName"))
            assert page.evaluate("document.activeElement !== document.body")
            assert reached[0] == "A", "the first is the link that skips to the verdicts"
            assert {"verdict", "section", "sort", "BUTTON", "SUMMARY"} <= set(reached)

    def test_filters_sort_and_expand(self, browser: Any, pages: dict[str, Path]) -> None:
        with Visit(browser, pages["everything"] / "report.html") as visit:
            page = visit.page
            assert len(visit.visible) == 28
            assert visit.visible[0] == "Longer context higher accuracy"
            page.uncheck("input[value=REPLICATED]")
            page.uncheck("input[value=NOT_TESTED]")
            assert "Layers linearly separable" not in visit.visible  # inconclusive as published alone
            assert "Transfer beats chance" not in visit.visible
            shown = len(visit.visible)
            assert page.inner_text("#shown") == f"{shown} of 28 claims"
            page.check("input[value=REPLICATED]")
            page.select_option("select[name=section]", label="norm")
            assert len(visit.visible) == 5
            page.select_option("select[name=sort]", "title")
            assert visit.visible == sorted(visit.visible)
            page.select_option("select[name=sort]", "number")
            assert visit.visible[0] == "Norm is a feature"
            page.click("#expand")
            assert page.locator("#claims > details[open]:not([hidden])").count() == 5
            assert page.inner_text("#expand") == "Collapse all"
            page.click("#expand")
            assert page.locator("#claims > details[open]:not([hidden])").count() == 0
            assert visit.said == []

    def test_a_claim_opens_by_keyboard_and_by_its_address(self, browser: Any, pages: dict[str, Path]) -> None:
        with Visit(browser, pages["ten"] / "report.html") as visit:
            page = visit.page
            page.focus("#norm-is-a-feature > summary")
            page.keyboard.press("Enter")
            assert page.locator("#norm-is-a-feature[open]").count() == 1
            page.evaluate("location.hash = 'transfer-beats-chance'")
            page.wait_for_selector("#transfer-beats-chance[open]")

    def test_the_command_is_copied(self, browser: Any, pages: dict[str, Path]) -> None:
        with Visit(browser, pages["ten"] / "report.html") as visit:
            visit.page.click("#norm-is-a-feature > summary")
            visit.page.click("#norm-is-a-feature .more > summary")
            visit.page.click("#norm-is-a-feature button.copy")
            copied = visit.page.evaluate("navigator.clipboard.readText()")
            assert copied == (
                "pytest claims/ --model embedded --profile quick -k test_norm_is_a_feature "
                "--out reports/norm-is-a-feature-rigorous"
            )

    def test_error_rates_and_the_untrained_twin_stand_beside_the_verdict(
        self, browser: Any, pages: dict[str, Path]
    ) -> None:
        with Visit(browser, pages["ten"] / "report.html") as visit:
            visit.page.click("#layers-linearly-separable > summary")
            cell = visit.page.inner_text("#layers-linearly-separable .cell-twin")
            assert "walk 2\u00a0%" in cell
            assert "holds" in cell
            visit.page.click("#layers-linearly-separable .more > summary")
            text = visit.page.inner_text("#layers-linearly-separable .body").replace("\u00a0", " ")
            assert "wrongly passed 3 % (95 % interval 1 to 6)" in text
            assert "An untrained network satisfies it too" in text
            assert "This rule passes 1 of 50 random walks" in text
            assert "passes this rule too" not in text
            visit.page.click("#no-dimension-dominates > summary")
            assert "passes this rule too" in visit.page.inner_text("#no-dimension-dominates .body")
        with Visit(browser, pages["single-claim"] / "report.html") as visit:
            assert visit.page.locator(".cell-twin").count() == 0
            body = visit.page.text_content(".body") or ""
            assert "Error rates" not in body
            assert "without structure" not in body

    def test_on_a_phone_no_number_of_a_claim_is_off_the_screen(
        self, browser: Any, pages: dict[str, Path]
    ) -> None:
        with Visit(browser, pages["everything"] / "report.html", width=390) as visit:
            visit.page.click("#layers-linearly-separable > summary")
            visit.page.click("#layers-linearly-separable .more > summary")
            right = visit.page.eval_on_selector_all(
                "#layers-linearly-separable .body :is(td, th)",
                "all => Math.max(...all.map(one => one.getBoundingClientRect().right))",
            )
            assert right <= 390
            smallest = visit.page.eval_on_selector_all(
                "#layers-linearly-separable .body svg text",
                "all => Math.min(...all.map(one => one.getBoundingClientRect().height))",
            )
            assert smallest >= 10  # a line of about 9 px type

    def test_hover_values_are_where_the_pointer_is(self, browser: Any, pages: dict[str, Path]) -> None:
        with Visit(browser, pages["ten"] / "report.html") as visit:
            visit.page.click("#layers-linearly-separable > summary")
            visit.page.click("#layers-linearly-separable .more > summary")
            text = visit.page.evaluate(
                "(() => {"
                "const one = document.querySelector('#layers-linearly-separable figure .fig-target');"
                "one.scrollIntoView({block: 'center'}); const box = one.getBoundingClientRect();"
                "return document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)"
                ".querySelector('title').textContent; })()"
            )
            assert "state 0: .9" in text

    def test_the_page_can_be_read_without_script(self, browser: Any, pages: dict[str, Path]) -> None:
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto((pages["ten"] / "report.html").as_uri())
        assert page.is_hidden("#controls")
        assert page.locator("#claims > details").count() == 10
        page.click("#norm-is-a-feature > summary")
        assert page.is_visible("#norm-is-a-feature .body")
        context.close()

    def test_hostile_results_run_nothing(self, browser: Any, pages: dict[str, Path]) -> None:
        with Visit(browser, pages["hostile"] / "report.html") as visit:
            visit.page.on("dialog", lambda dialog: visit.said.append(dialog.message))
            visit.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
            visit.page.wait_for_timeout(100)
            assert visit.said == []
            assert visit.page.locator("img, iframe").count() == 0


def test_the_results_of_the_page_and_the_attachment_are_one(small_pdf: Path) -> None:
    assert json.loads(results.read_bytes(small_pdf)) == results.plain(
        results.sealed(checked(sample_results.ten()))
    )
