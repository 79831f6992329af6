"""What the documentation names exists, and what exists is documented."""

import importlib.util
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from layerclaims.protocol import PROFILES, Protocol
from layerclaims.verdicts import registry

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@cache
def pytest_help() -> str:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return run.stdout


def replication_options() -> set[str]:
    """The options in the group "replication" of `pytest --help`."""
    after = pytest_help().split("\nreplication", 1)[1].split("\n", 1)[1]
    lines = []
    for line in after.splitlines():
        if line and not line.startswith(" "):
            break
        lines.append(line)
    return {f"--{found[1]}" for line in lines if (found := re.match(r"  --layerclaims-([a-z-]+)", line))}


@cache
def command_help(*command: str) -> str:
    run = subprocess.run(
        [sys.executable, "-m", "layerclaims.cli", *command, "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return run.stdout


def section(page: Path, title: str) -> str:
    """The text below one heading of the second level."""
    return page.read_text(encoding="utf-8").split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def code(page: Path) -> str:
    """The blocks and spans of code of a page."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", rest)])


def anchors(page: Path) -> set[str]:
    """The targets that headings make, as GitHub spells them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@cache
def claims_writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_claims", ROOT / "docs" / "write_claims.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_readme_lists_the_options_that_pytest_has() -> None:
    rows = re.findall(r"^\| (`--.*?) \| ", section(ROOT / "README.md", "Options"), re.MULTILINE)
    assert set(OPTION.findall(" ".join(rows))) == replication_options()


def test_help_gives_the_short_names_too() -> None:
    assert replication_options() <= set(re.findall(r"or (--[a-z-]+):", pytest_help()))


def test_commands_in_the_documentation_use_options_that_exist() -> None:
    known = set(OPTION.findall(pytest_help()))
    for page in PAGES:
        commands = re.findall(r"pytest .*", code(page))
        assert set(OPTION.findall(" ".join(commands))) <= known, page


def test_readme_lists_the_commands_that_layerclaims_has() -> None:
    named = re.findall(r"^\| `layerclaims (\w+)", section(ROOT / "README.md", "Commands"), re.MULTILINE)
    assert set(named) == set(re.findall(r"^    ([a-z]+)  ", command_help(), re.MULTILINE))


def test_readme_lists_the_actions_and_options_of_its_commands() -> None:
    text = section(ROOT / "README.md", "Commands")
    for row in re.finditer(r"^\| `layerclaims (\w+).*", text, re.MULTILINE):
        assert set(OPTION.findall(row[0])) <= set(OPTION.findall(command_help(row[1]))), row[1]
    actions = re.findall(r"^    ([a-z]+)  ", command_help("cache"), re.MULTILINE)
    assert "`layerclaims cache " + "\\|".join(actions) + "`" in text


def test_readme_states_the_defaults() -> None:
    text = section(ROOT / "README.md", "Options")
    for name, values in PROFILES.items():
        assert re.search(rf"{name}(?: \(default\))?: {values['n_texts']:,} texts", text), name
    default = Protocol()
    assert "paper (default)" in text
    assert default.profile == "paper"
    assert f"tokens of each text ({default.context}), folds of documents ({default.folds})" in text
    assert f"drawn at random ({default.seed})" in text
    assert f"{default.alpha:.2f}".lstrip("0") in text


def test_every_make_target_is_documented_and_every_documented_one_exists() -> None:
    named = {target for page in PAGES for target in re.findall(r"\bmake ([a-z-]+)\b", code(page))}
    named |= {target for page in PAGES for target in re.findall(r"\bmake \S*=\S+ ([a-z-]+)\b", code(page))}
    assert named == make_targets() - {"help"}


def test_help_of_make_lists_every_target() -> None:
    shown = subprocess.run(["make", "-s", "-C", ROOT], capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make ([a-z-]+) ", shown, re.MULTILINE)) >= make_targets()


def test_claims_page_is_what_the_claims_declare() -> None:
    page = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    assert re.findall(r"^### (.+)$", page, re.MULTILINE)
    assert set(re.findall(r"^### (.+)$", page, re.MULTILINE)) == set(registry.post_claims())
    assert page == claims_writer().text(), "make docs writes it anew"


def test_changelog_is_ready_for_the_next_entry() -> None:
    assert "Unreleased" in re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_local_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{link} in {page.name}"
        if anchor:
            assert anchor in anchors(target), f"{link} in {page.name}"


def test_readme_begins_with_the_three_answers_to_every_claim():
    text = (ROOT / "README.md").read_text("utf-8")
    block = text.partition("<!-- verdicts: generated -->")[2].partition("<!-- verdicts: end -->")[0]
    rows = [line.split(" | ") for line in block.splitlines() if line.startswith("| ") and "---" not in line]
    assert rows[0][1:4] == ["The post", "Its procedure on this model", "True of this model"]
    titles = [row[0].removeprefix("| ").lower() for row in rows[1:] if not row[0].startswith("| **")]
    assert sorted(titles) == sorted(claim.replace("-", " ") for claim in registry.post_claims())
