"""docs/architectures.md: every causal-LM type of transformers, and whether its states are read."""

from collections.abc import Iterator

from docs.writers import cell

HEAD = """# Architectures

This page is generated from the tests. `make architectures` examines every type and writes it.

layerclaims reads causal, decoder-only models of the library transformers. It knows no list of them: it watches what
runs, finds the blocks and the final norm by itself, and checks them. It refuses a model whose states it cannot read,
with one sentence that says why.

The tests make a small model with random weights of every type of a causal language model in transformers {version}.
{read} of {all} types are read. For these the tests check that

- state i is what block i gives, by hooks that the tests set themselves, and state 0 is what enters block 1;
- the last state comes in two forms, before the final norm and after it;
- the states of a shorter context are the beginning of those of a longer one;
- a batch has the states of single texts.

| `model_type` in `config.json` | class | states |
| --- | --- | --- |
"""


def lines() -> Iterator[str]:
    """The rows of the table."""
    from tests.architectures import recorded

    for kind, found in recorded()["types"].items():
        if found["model"] is None:
            states = f"not made by the tests: {cell(found['refused'])}"
        else:
            states = "read" if found["refused"] is None else f"refused: {cell(found['refused'])}"
        yield f"| `{kind}` | {'' if found['model'] is None else '`' + found['model'] + '`'} | {states} |"


def text() -> str:
    """The whole page."""
    from tests.architectures import recorded

    record = recorded()
    read = sum(found["refused"] is None for found in record["types"].values())
    head = HEAD.format(version=record["transformers"], read=read, all=len(record["types"]))
    return head + "\n".join(lines()) + "\n"
