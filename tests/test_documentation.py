"""What the documentation names exists, and what exists is documented."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from layerclaims.plugin.options import GROUP, OPTIONS
from layerclaims.protocol import PROFILES, Protocol
from layerclaims.verdicts import registry

from docs import writers
from docs.writers import readme

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


@pytest.mark.parametrize("name", writers.PAGES)
def test_generated_pages_are_what_the_code_says(name: str) -> None:
    page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert page == writers.text(name), "make docs writes it anew"


def test_the_page_of_options_lists_those_that_pytest_has() -> None:
    rows = re.findall(r"^\| `(--.*?)` \| ", (ROOT / "docs" / "options.md").read_text("utf-8"), re.MULTILINE)
    assert set(OPTION.findall(" ".join(rows))) == replication_options()


def test_the_group_of_options_has_one_name_everywhere() -> None:
    assert f"\n{GROUP}: " in pytest_help()
    for page in (ROOT / "README.md", ROOT / "docs" / "options.md", ROOT / "docs" / "commands.md"):
        found = re.findall(r"the group [“\"](.+?)[”\"]", " ".join(page.read_text("utf-8").split()))
        assert found == [GROUP], page


def test_help_gives_the_short_names_too() -> None:
    assert replication_options() <= set(re.findall(r"or (--[a-z-]+):", pytest_help()))


def test_commands_in_the_documentation_use_options_that_exist() -> None:
    known = set(OPTION.findall(pytest_help()))
    for page in PAGES:
        commands = re.findall(r"pytest .*", code(page))
        assert set(OPTION.findall(" ".join(commands))) <= known, page


def test_the_help_states_the_defaults() -> None:
    default = Protocol()
    for name in ("context", "folds", "seed"):
        assert OPTIONS[name]["help"].endswith(f"Default: {getattr(default, name)}"), name
    assert OPTIONS["alpha"]["help"].endswith(f"Default: {default.alpha:.2f}".replace("0.", "."))
    assert OPTIONS["dtype"]["help"].endswith(f"Default: {default.dtype}")
    for name, values in PROFILES.items():
        assert f"{name} takes {values['n_texts']:,}" in OPTIONS["profile"]["help"], name
    assert f"{default.profile} takes 1,000 and is the default" in OPTIONS["profile"]["help"]


def test_every_make_target_is_documented_and_every_documented_one_exists() -> None:
    named = {target for page in PAGES for target in re.findall(r"\bmake ([a-z-]+)\b", code(page))}
    named |= {target for page in PAGES for target in re.findall(r"\bmake \S*=\S+ ([a-z-]+)\b", code(page))}
    assert named == make_targets() - {"help"}


def test_help_of_make_lists_every_target() -> None:
    shown = subprocess.run(["make", "-s", "-C", ROOT], capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make ([a-z-]+) ", shown, re.MULTILINE)) >= make_targets()


def test_the_page_of_claims_has_every_claim() -> None:
    page = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^### (.+)$", page, re.MULTILINE)) == set(registry.post_claims())


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


def test_readme_has_the_verdict_of_every_claim() -> None:
    found = readme.BLOCK.search(readme.README.read_text("utf-8"))
    assert found
    rows = [
        line.split(" | ") for line in found[0].splitlines() if line.startswith("| ") and "---" not in line
    ]
    header = [cell.strip("| ") for cell in rows[0]]
    answers = ["Estimate", "Post"] if "Estimate" in header else ["The post", "True of this model"]
    assert set(answers) < set(header)
    column = header.index("Claim")
    # behind its title an inconclusive row gives its reason, and a claim of several parts the one that decides
    named = [re.split(r":| \(", row[column].strip("| "))[0].lower() for row in rows[1:]]
    titles = [name for name in named if "**" not in name]
    assert sorted(titles) == sorted(claim.replace("-", " ") for claim in registry.post_claims())


def test_readme_shows_a_small_picture_of_a_report() -> None:
    assert f'src="docs/{readme.PICTURE.name}"' in readme.README.read_text("utf-8")
    drawn = readme.PICTURE.read_bytes()
    assert drawn.startswith(b"\x89PNG")
    assert len(drawn) < readme.MOST_BYTES


def test_readme_changes_only_for_a_run_of_every_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readme, "README", tmp_path / "README.md")
    assert "stays as it is" in readme.write(tmp_path / "absent")
    rigorous = ROOT / "tests" / "results" / "results_v1" / "rigorous.json"
    (tmp_path / "results.json").write_bytes(rigorous.read_bytes())
    assert "stays as it is" in readme.write(tmp_path)


def test_the_claim_in_readme_is_one_of_the_worked_example() -> None:
    (claim,) = re.findall(
        r"^```python\n(.*?)^```", readme.README.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert claim in (ROOT / "docs" / "own-claims.md").read_text("utf-8")
