"""docs/claims.md: the claims, as their code declares them."""

from collections.abc import Iterator

HEAD = """# The claims

This page is generated from the code in `claims/`. `make docs` writes it.

Each claim is a sentence of the post. Each has a pass mark, which the code fixes before the run. The page
[Protocols](protocols.md#how-a-verdict-is-reached) says how an interval and a pass mark become a verdict.

Some notation. A model with L blocks has L + 1 states for each token. These are the K labels of the layer probe, and
chance is 1/K. `acc` is the accuracy of the layer probe on documents that it never saw. `quarter(a)` is chance +
a * (1 - chance): a share `a` of the way from chance to perfect.
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
            yield f"- Pass mark: {entry.rule}"
            yield f"- Pass mark as published: {entry.published_rule}"
            yield f"- Why: {claim.rationale}\n"


def text() -> str:
    """The whole page."""
    return "\n".join(lines()).rstrip() + "\n"
