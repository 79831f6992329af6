"""docs/schema.md: the records of results.json, with what the code says of each field."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

from docs.writers import cell

HEAD = """# results.json

This page is generated from the code. `make docs` writes it. `layerclaims schema` prints the same as a JSON Schema.

`results.json` holds everything that a run found: numbers, names, and the counts per document from which verdicts are
computed again. It holds none of your texts. The other formats of the report are made from it alone. It is plain JSON
and never has a NaN: a figure that could not be drawn is absent, with its reason.

The file is checked when it is written and when it is read. Files of older versions can be read.

"""
FIELD = re.compile(r"^    (\w+): .*?  # (.+)$", re.MULTILINE)  # a field whose line ends in a comment


def _comments(record: type) -> dict[str, str]:
    """What the code says beside the fields of a record."""
    return dict(FIELD.findall(inspect.getsource(record)))


def _kind(schema: dict[str, Any]) -> str:
    """The type of a field, in words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})" if name.endswith("Record") else name
    if "anyOf" in schema or "oneOf" in schema:
        return " or ".join(dict.fromkeys(map(_kind, schema.get("anyOf") or schema["oneOf"])))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("items") or {}
        return f"list of {_kind(items)}" if items else "list"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"object of {_kind(values)}" if isinstance(values, dict) and values else "object"
    return str(kind or "any JSON")


def _table(record: type, schema: dict[str, Any]) -> Iterator[str]:
    needed, comments = schema.get("required", ()), _comments(record)
    yield "| field | type | meaning |\n| --- | --- | --- |"
    for name, field in schema.get("properties", {}).items():
        optional = "" if name in needed else ", may be absent"
        meaning = field.get("description") or comments.get(name, "")
        yield f"| `{name}` | {_kind(field)}{optional} | {cell(meaning)} |"
    yield ""


def text() -> str:
    """The whole page."""
    from layerclaims.results import (
        change_records,
        figure_records,
        model_records,
        picture_records,
        records,
        walk_records,
    )
    from layerclaims.results.file import schema

    whole = schema()
    modules = (figure_records, picture_records, change_records, walk_records, model_records, records)
    found = {name: thing for module in modules for name, thing in vars(module).items()}
    blocks = [HEAD + f"The version of the schema is {records.SCHEMA_VERSION}.\n", "## Results\n"]
    blocks += [f"{records.Results.__doc__}\n", *_table(records.Results, whole)]
    for name, part in whole["$defs"].items():
        if not (name.endswith("Record") and name in found):
            continue
        blocks += [f"## {name}\n", f"{inspect.getdoc(found[name])}\n", *_table(found[name], part)]
    return "\n".join(blocks).rstrip() + "\n"
