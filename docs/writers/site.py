"""Hooks of MkDocs: pages that lie outside docs/, and formulas as MathML, which browsers show without a script."""

import html
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([\[(])(.*?)\\[\])]</\1>', re.DOTALL)
# in a link from docs/ or docs/decisions/ to a page outside
LINK = re.compile(rf"(\]\()(?:\.\./)+({'|'.join(map(re.escape, OUTSIDE))})")


def on_config(config: Any) -> Any:
    """End the navigation with the decisions, whichever there are."""
    found = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    config.nav = [*config.nav, {"Decisions": [f"decisions/{name}" for name in found]}]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add README and the other pages of the root, with their links as they are from docs/."""
    for name, page in OUTSIDE.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        text = re.sub(r'(\]\(|src="|href=")docs/', r"\1", text)
        text = text.replace("<details>", '<details markdown="1">')
        for other, target in OUTSIDE.items():
            text = text.replace(f"]({other}", f"]({target}")
        files.append(File.generated(config, page, content=re.sub(r"\[([^\]]*)\]\(LICENSE\)", r"\1", text)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Have links to pages outside docs/ lead to those of the site."""
    up = "../" * page.file.src_uri.count("/")
    return LINK.sub(lambda found: f"{found[1]}{up}{OUTSIDE[found[2]]}", markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Turn formulas into MathML."""
    return FORMULA.sub(_mathml, content)


def _mathml(found: re.Match[str]) -> str:
    from latex2mathml.converter import convert

    made: str = convert(html.unescape(found[3]), display="block" if found[2] == "[" else "inline")
    return made
