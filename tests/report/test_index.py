"""The index of a folder of reports: what it lists, what it refuses, and how it looks."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from layerclaims.report import index
from layerclaims.results.checking import checked
from layerclaims.results.file import sealed, write

from tests import sample_results
from tests.report.test_report import Visit, browser  # noqa: F401  a fixture
from tests.sample_results import HOSTILE


def report(root: Path, folder: str, content: dict[str, Any] | None = None, *, created: str = "") -> Path:
    """A report's folder with its results and an empty page."""
    run = sample_results.ten() if content is None else content
    if created:
        run["created"] = created
    write(root / folder / "results.json", sealed(checked(run)))
    (root / folder / "report.html").write_text("<p>a page", "utf-8")
    return root / folder


class Page(HTMLParser):
    """The links of a page, and the text of each row of its table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.rows: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]
        if tag == "tr":
            self.rows.append("")

    def handle_data(self, data: str) -> None:
        if self.rows:
            self.rows[-1] += f" {data.strip()}"


def read(root: Path) -> Page:
    path = index.update(root)
    assert path == root / "index.html"
    return Page(path.read_text("utf-8"))


class TestRows:
    def test_are_reports_newest_first_with_counts_and_links_that_lead_there(self, tmp_path: Path) -> None:
        report(tmp_path, "older", created="2026-11-01T10:00:00Z")
        both = sample_results.sample(protocols=("rigorous", "as-published"), model="gpt2-large")
        report(tmp_path, "newer", both, created="2026-11-02T10:00:00Z")
        page = read(tmp_path)
        head, first, second = page.rows
        assert [word for word in ("Rigorous", "As published") if word in head] == ["Rigorous", "As published"]
        assert "gpt2-large" in first
        assert "in older" in second
        counts = [sum(map(int, re.findall(r"(\d+) (?:not |in)?(?:replicated|conclusive|tested)", row)))
                  for row in page.rows[1:]]  # fmt: skip
        assert counts == [20, 10], "of both protocols, and of one"
        assert "./newer/report.html" in page.links
        for link in page.links:
            assert link == "data:," or (tmp_path / unquote(link)).is_file(), link
        assert str(tmp_path) not in (tmp_path / "index.html").read_text("utf-8")

    def test_say_how_a_run_compares_with_its_baseline(self, tmp_path: Path) -> None:
        run = sample_results.against_a_baseline()
        report(tmp_path, "one", run)
        assert f"against the baseline: {run['baseline']['outcome']}" in read(tmp_path).rows[1]

    def test_are_read_from_the_pdf_where_there_is_nothing_else(self, tmp_path: Path) -> None:
        folder = report(tmp_path, "one")
        (folder / "results.json").rename(folder / "report.pdf")
        page = read(tmp_path)
        assert "SmolLM2" in page.rows[1] or "embedded" in page.rows[1]

    def test_are_only_folders_of_reports(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "notes.txt").write_text("no folder")
        assert index.update(tmp_path) is None
        report(tmp_path, "one")
        assert len(read(tmp_path).rows) == 2

    def test_are_not_more_than_can_be_read_in_seconds(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(index, "MOST", 2)
        for number in range(3):
            folder = report(tmp_path, f"run-{number}")
            os.utime(folder / "results.json", (number, number))
        page = read(tmp_path)
        assert len(page.rows) == 3
        assert "in run-0" not in " ".join(page.rows)
        assert "1 older reports are not listed" in (tmp_path / "index.html").read_text("utf-8")


BROKEN = {
    "truncated": (b'{"schema_version": 5,', "is truncated"),
    "empty": (b"", "is empty"),
    "something else": (b"[1, 2]", "no results file of layerclaims"),
    "newer": (b'{"schema_version": 99}', "update layerclaims"),
    "no text": (b"\xff\xfe\x00", "is not JSON text"),
    "nested": (b"[" * 100_000, "is nested too deeply"),
}


class TestWhatOthersLeft:
    @pytest.mark.parametrize("what", BROKEN)
    def test_is_a_row_with_its_reason(self, tmp_path: Path, what: str) -> None:
        data, said = BROKEN[what]
        report(tmp_path, "good")
        (tmp_path / "broken").mkdir()
        (tmp_path / "broken" / "results.json").write_bytes(data)
        page = read(tmp_path)
        assert len(page.rows) == 3
        assert "broken cannot be read" in page.rows[-1]
        assert said in page.rows[-1]
        assert str(tmp_path) not in (tmp_path / "index.html").read_text("utf-8")

    def test_that_was_changed_is_said_to_be_so(self, tmp_path: Path) -> None:
        folder = report(tmp_path, "forged")
        content = json.loads((folder / "results.json").read_text())
        content["claims"][0]["verdict"] = (
            "REPLICATED" if content["claims"][0]["verdict"] != "REPLICATED" else "ERROR"
        )
        (folder / "results.json").write_text(json.dumps(content))
        assert "was changed after it was written" in read(tmp_path).rows[1]

    def test_is_inert_whatever_it_is_called(self, tmp_path: Path) -> None:
        names = [
            "<img src=x onerror=alert(1)>",
            "javascript:alert(1)",
            "#a?b%2e",
            "a\u202eb",
            "q\"uote'",
            "...",
        ]
        for name in names:
            report(tmp_path, name, sample_results.hostile())
        (tmp_path / os.fsdecode(b"\xff\xfe")).mkdir()
        (tmp_path / os.fsdecode(b"\xff\xfe") / "results.json").write_text("{")
        page = read(tmp_path)
        text = (tmp_path / "index.html").read_text("utf-8")
        assert "<img" not in text
        assert "<script" not in text
        assert "\u202e" not in text
        assert HOSTILE not in text
        targets = [link for link in page.links if link != "data:,"]
        assert all(link.startswith("./") and ":" not in link for link in targets)
        assert {unquote(link, errors="surrogateescape").split("/")[1] for link in targets} >= set(names)
        assert all(
            (tmp_path / os.fsdecode(unquote(link, errors="surrogateescape"))).is_file() for link in targets
        )

    def test_is_not_followed_out_of_the_folder(self, tmp_path: Path) -> None:
        root, elsewhere = tmp_path / "reports", report(tmp_path, "elsewhere")
        report(root, "good")
        (root / "linked").symlink_to(elsewhere)
        (root / "inside").mkdir()
        (root / "inside" / "results.json").symlink_to(elsewhere / "results.json")
        (root / "inside" / "report.html").symlink_to(elsewhere / "report.html")
        page = read(root)
        assert len(page.rows) == 3
        assert "is a link or no regular file, and is not read" in page.rows[-1]
        assert not [link for link in page.links if "linked" in link or "inside" in link]

    def test_is_no_pipe_that_is_waited_for(self, tmp_path: Path) -> None:
        report(tmp_path, "good")
        (tmp_path / "pipe").mkdir()
        os.mkfifo(tmp_path / "pipe" / "results.json")
        assert "is a link or no regular file" in read(tmp_path).rows[-1]

    @pytest.mark.parametrize("there", ["page", "link", "folder"])
    def test_is_not_replaced_where_it_is_an_index_of_something_else(self, tmp_path: Path, there: str) -> None:
        root = tmp_path / "reports"
        report(root, "good")
        kept = tmp_path / "kept.html"
        kept.write_text("<h1>My own page</h1>")
        path = root / "index.html"
        if there == "page":
            path.write_bytes(kept.read_bytes())
        elif there == "link":
            path.symlink_to(kept)
        else:
            path.mkdir()
        assert index.update(root) is None
        assert kept.read_text() == "<h1>My own page</h1>"
        assert path.is_dir() or path.read_text() == kept.read_text()


def test_the_folder_is_held_while_reports_are_read_and_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(tmp_path, "one")
    code = (
        "import fcntl, os, sys\nfcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    )

    def is_free() -> bool:
        done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, check=False)
        return done.returncode == 0

    found = []
    monkeypatch.setattr(index, "make", lambda root, make=index.make: found.append(is_free()) or make(root))
    read(tmp_path)
    assert found == [False]
    assert is_free()


@pytest.mark.parametrize(
    ("width", "scheme"), [(390, "dark"), (390, "light"), (1440, "light"), (1440, "dark")]
)
def test_the_page_is_quiet_offline_fits_and_is_accessible(
    browser: Any,  # noqa: F811
    tmp_path: Path,
    width: int,
    scheme: str,
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="install the dev extra")
    for name in ("ten", "against-a-baseline", "hostile", "long-name"):
        report(tmp_path, name, sample_results.BUILDERS[name]())
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "results.json").write_text("{")
    read(tmp_path)
    with Visit(browser, tmp_path / "index.html", width=width, scheme=scheme) as visit:
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        violations = axe.Axe().run(visit.page).response["violations"]
        assert [v["id"] for v in violations if v["impact"] in ("serious", "critical")] == []
        assert visit.said == []
        assert visit.requests_outside == []
        visit.page.click("a:text-matches('^page')")
        assert visit.page.inner_text("p") == "a page"
