"""The site that `make docs` builds: it is strict, and nothing of it comes from elsewhere."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# what a browser fetches by itself: everything but the targets of links
FETCHED = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)=\"?((?:https?:)?//[^\s\">]+)")


def build(checkout: Path, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", target],
        cwd=checkout, capture_output=True, text=True, check=False, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site") / "site"
    built = build(ROOT, made)
    assert built.returncode == 0, built.stdout + built.stderr
    return made


def test_links_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "mkdocs.yml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    with (tmp_path / "docs" / "ci.md").open("a", encoding="utf-8") as page:
        page.write("\n[a page](nowhere.md), [a heading](options.md#nowhere)\n")
    built = build(tmp_path, tmp_path / "site")
    assert built.returncode != 0
    assert "'nowhere.md'" in built.stderr
    assert "'options.md#nowhere'" in built.stderr


def test_every_page_is_built(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert pages <= {path.relative_to(site) for path in site.rglob("*.html")}
    assert not list(site.rglob("*.py"))


def test_no_page_names_anything_elsewhere_to_be_fetched(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert FETCHED.findall(page.read_text("utf-8")) == [], page.name
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", style.read_text("utf-8")), (
            style.name
        )


def test_formulas_are_mathml(site: Path) -> None:
    page = (site / "statistics.html").read_text("utf-8")
    assert page.count("<math") == page.count("</math>") > 10
    assert "arithmatex" not in page
    assert "\\frac" not in page


def test_the_table_of_the_first_page_is_a_table(site: Path) -> None:
    page = (site / "index.html").read_text("utf-8")
    assert re.search("(True of this model|Estimate)</th>", page)
    assert "<details" in page
    assert 'src="report.png"' in page


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_browser_asks_nobody_else_and_finds_words(address: str) -> None:
    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    if chromium is None:
        assert os.environ.get("CI") != "true", "chromium is missing"
        pytest.skip("chromium is missing: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    asked: list[str] = []
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{address}statistics.html?q=jackknife")
        page.wait_for_selector(".md-search-result__link", state="attached")
        page.goto(f"{address}index.html")
        page.locator("details > summary").click()
        assert page.locator("details table").is_visible()
        browser.close()
    assert said == []
    assert len(asked) > 5
    assert [url for url in asked if not url.startswith((address, "data:", f"blob:{address}"))] == []
