"""Writes docs/claims.md: the claims, as their code declares them. Run by `make docs`."""

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "claims.md"
HEAD = """# The claims

Written by `make docs` from [claims/](../claims); a test keeps the two equal.

Notation: a model with L blocks has L+1 states per token, which are the K labels of the layer probe; chance = 1/K.
`acc` is the accuracy of the layer probe on documents it never saw. `quarter(a) = chance + a*(1-chance)` is a share `a`
of the way from chance to perfect. How an interval and a region become a verdict stands in the
[README](../README.md#how-a-verdict-is-reached).
"""


def lines() -> Iterator[str]:
    """The page, block by block."""
    from layerclaims.report.present import SECTIONS
    from layerclaims.verdicts.registry import post_claims

    yield HEAD
    for section in SECTIONS:  # in the order of the post
        members = [entry for entry in post_claims().values() if entry.claim.section == section]
        if members:
            yield f"## {section.capitalize()}\n"
        for entry in members:
            claim = entry.claim
            yield f"### {claim.id}\n"
            yield f"The post says: {claim.statement}.\n"
            yield f"- Where: {claim.cited}"
            if claim.reported:
                yield f"- Reported: {claim.reported}"
            yield f"- Estimated: {claim.estimand}"
            yield f"- Success region: {entry.rule}"
            yield f"- As published: {entry.published_rule}"
            yield f"- Why: {claim.rationale}\n"


def text() -> str:
    """The whole page."""
    return "\n".join(lines()).rstrip() + "\n"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    TARGET.write_text(text(), encoding="utf-8")
