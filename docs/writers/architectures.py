"""docs/architectures.md: the architectures that the tests read, state by state."""

from collections.abc import Iterator

HEAD = """# Architectures

This page is generated from the tests. `make docs` writes it.

layerclaims reads causal, decoder-only models of the library transformers. It finds the blocks of a model by itself, so
an architecture that is not on this list may work as well. It refuses a model whose states it cannot read, with one
sentence that says why.

For each architecture below, the tests build a small model with random weights. They compare every state that
layerclaims reads with the state that transformers itself returns.

| name in `config.json` | class of the configuration |
| --- | --- |
"""


def lines() -> Iterator[str]:
    """The rows of the table."""
    from tests import tiny

    found = {(config := make()).model_type: type(config).__name__ for make in tiny.ARCHITECTURES.values()}
    for kind, name in sorted(found.items()):
        yield f"| `{kind}` | `{name}` |"


def text() -> str:
    """The whole page."""
    return HEAD + "\n".join(lines()) + "\n"
