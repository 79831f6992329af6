"""docs/api.md: what `from layerclaims import ...` gives, with signatures and docstrings."""

import ast
import enum
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HEAD = """# API

This page is generated from the code. `make docs` writes it. Nothing else of the package is public.

[Claims of your own](own-claims.md) shows these names at work.
"""


def names() -> list[tuple[str, str]]:
    """The public names and the modules that they come from, in the order of the stub."""
    import layerclaims

    stub = ast.parse(Path(layerclaims.__file__).with_suffix(".pyi").read_text("utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return [(alias.name, f"layerclaims.{node.module}") for node in imports for alias in node.names]


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class defines itself."""
    for name, member in vars(kind).items():
        if not name.startswith("_") and (
            inspect.isfunction(member) or isinstance(member, property | classmethod | staticmethod)
        ):
            yield name, member


def _signature(thing: Any) -> str:
    try:
        lines = inspect.getsource(thing).splitlines()
    except (OSError, TypeError):
        return "(...)"
    tree = ast.parse(textwrap.dedent("\n".join(lines)))
    node = tree.body[0]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        arguments = [a for a in node.args.posonlyargs + node.args.args if a.arg not in ("self", "cls")]
        node.args.posonlyargs, node.args.args = [], arguments
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return f"({ast.unparse(node.args)}){returns}"
    return ""


def _fields(kind: type) -> str:
    """The fields of a dataclass, as it is called."""
    node = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(node, ast.ClassDef)
    fields = [statement for statement in node.body if isinstance(statement, ast.AnnAssign)]
    return "(" + ", ".join(ast.unparse(field) for field in fields) + ")"


def _code(text: str) -> str:
    return f"```python\n{text}\n```\n"


def _block(name: str, thing: Any) -> Iterator[str]:
    yield f"### {name}\n"
    if inspect.isclass(thing) and not issubclass(thing, enum.Enum | Exception):
        has_init = "__init__" in vars(thing) and not hasattr(thing, "__dataclass_fields__")
        yield _code(f"class {name}{_signature(thing.__init__) if has_init else _fields(thing)}")
    elif inspect.isclass(thing):
        yield _code(f"class {name}({thing.__bases__[0].__name__})")
    else:
        yield _code(f"{name}{_signature(thing)}")
    yield f"{inspect.getdoc(thing) or ''}\n"
    if inspect.isclass(thing):
        for member, value in _members(thing):
            inner = getattr(value, "fget", None) or getattr(value, "__func__", value)
            call = "" if isinstance(value, property) else _signature(inner).partition(" -> ")[0]
            first = (inspect.getdoc(inner) or "").partition("\n\n")[0]
            yield f"- `.{member}{call}`: {' '.join(first.split())}"
        yield ""


def text() -> str:
    """The whole page."""
    from importlib import import_module

    things = [(name, getattr(import_module(module), name)) for name, module in names()]
    plain = [
        (name, thing) for name, thing in things if not (inspect.isclass(thing) or inspect.isroutine(thing))
    ]
    groups = {
        "Functions": [(name, thing) for name, thing in things if inspect.isroutine(thing)],
        "Classes": [(name, thing) for name, thing in things if inspect.isclass(thing)],
    }
    blocks = [HEAD]
    for title, members in groups.items():
        blocks.append(f"## {title}\n")
        for name, thing in sorted(members, key=lambda member: member[0].lower()):
            blocks += _block(name, thing)
    blocks.append("## Constants\n")
    blocks.append(
        "A series is what one probe got right, by document and layer. The quantities of a claim take series.\n"
    )
    blocks += [f"- `{name}`: {_said(thing)}" for name, thing in plain]
    return "\n".join(blocks).rstrip() + "\n"


def _said(thing: Any) -> str:
    if hasattr(thing, "of") and hasattr(thing, "tested_on"):  # a series
        first = (inspect.getdoc(thing.of.compute) or "").partition("\n\n")[0].partition(". ")[0]
        return f"the series “{thing.name}”. It is measured with: {' '.join(first.split()).rstrip('.')}."
    if isinstance(thing, tuple):
        return f"the series {', '.join(f'“{one.name}”' for one in thing)}."
    return f"{thing}."
