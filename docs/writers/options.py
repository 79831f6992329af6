"""docs/options.md: the options of the pytest group "replication"."""

from collections.abc import Iterator

from docs.writers import cell

HEAD = """# Options

This page is generated from the code. `make docs` writes it.

These are options of `pytest`. `pytest --help` lists them in the group "replication (layerclaims)". `layerclaims run`
and `make verdict ARGS="..."` take them too.

## How to give an option

You can give an option in four places. The first one that says something counts.

1. **The command line**: `--n-texts 200`, or `--layerclaims-n-texts 200`. The long name always works. If another
   plugin has the short name, as some have `--device`, that plugin keeps it.
2. **The environment**: `LAYERCLAIMS_N_TEXTS=200`. Separate several models by spaces. Write a switch as 1 or 0. The
   variable of `--cache-dir` is `LAYERCLAIMS_CACHE`, and the command `layerclaims` reads it as well.
3. **`pytest.ini` or `pyproject.toml`**: `layerclaims_n_texts = 200`. The short key `n_texts = 200` works where no
   other plugin has it.
4. **The profile**, and then the default.

The report shows the value of each option and where it came from.

## All options

"""
TAIL = """
## Profiles

A profile is a set of values. Any option that you give yourself replaces the profile's value.

| profile | values |
| --- | --- |
"""
AFTER = """
## Mistakes

A wrong option ends the run with status 4 and one sentence, before any model is loaded. So does a misspelt ini key or
variable that begins with `layerclaims_` or `LAYERCLAIMS_`: the sentence names the nearest right one. Such an option on
the command line of a run without claims is a mistake too. In a run without claims you see nothing else of layerclaims.
"""


def shape(name: str) -> str:
    """An option with what it takes."""
    from layerclaims.plugin.options import OPTIONS

    how = OPTIONS[name]
    values = how.get("metavar") or "|".join(how.get("choices", ()))
    return f"`--{name}{' ' if values else ''}{values}`".replace("|", "\\|")


def lines() -> Iterator[str]:
    """The page, line by line."""
    from layerclaims.plugin.options import OPTIONS
    from layerclaims.protocol import PROFILES

    yield HEAD + "| option | meaning |\n| --- | --- |"
    for name, how in OPTIONS.items():
        yield f"| {shape(name)} | {cell(how['help'])} |"
    yield TAIL.rstrip("\n")
    for name, values in PROFILES.items():
        given = ", ".join(f"`--{key.replace('_', '-')} {value}`" for key, value in values.items())
        yield f"| `{name}` | {given} |"
    yield AFTER.rstrip("\n")


def text() -> str:
    """The whole page."""
    return "\n".join(lines()) + "\n"
