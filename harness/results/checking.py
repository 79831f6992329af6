"""Plain JSON content -> records, or one sentence on what cannot be right in it."""

from collections.abc import Mapping
from typing import Any

from layerclaims.errors import LayerclaimsError
from layerclaims.results.fields import brief
from layerclaims.results.records import Results
from layerclaims.runtime.text import inert
from pydantic import ValidationError

MOST = 1000  # faults among which the first is looked up: a description of each takes memory


def checked(content: object) -> Results:
    """Return the records of a results file's content.

    Raises LayerclaimsError that names the first offending place and value.
    """
    try:
        return Results.model_validate(content)
    except ValidationError as error:
        what = f"it has {error.error_count():,} faults"
        if error.error_count() <= MOST:
            first = error.errors(include_url=False)[0]
            place = first.get("ctx", {}).get("place") or "/".join(_steps(first, content)) or "the file"
            what = f"{inert(place, 120)} {inert(_said(first), 200)}"
        raise LayerclaimsError(
            f"not a sound results file: {what}; it was edited or comes from another program"
        ) from None


def _steps(error: Mapping[str, Any], content: object) -> list[str]:
    """The place in the content; pydantic names the kind of a figure on the way, which is no step."""
    steps = []
    for step in error["loc"]:
        if (isinstance(content, Mapping) and step in content) or isinstance(content, list | tuple):
            content = content[step]
        elif error["type"] != "missing":
            continue
        steps.append(str(step))
    return steps


def _said(error: Mapping[str, Any]) -> str:
    """What is wrong there, without a value of unknown size."""
    context, value = error.get("ctx", {}), brief(error["input"])
    match error["type"]:
        case "value_error":
            return str(context["error"])
        case "unsound":
            return str(error["msg"])
        case "missing":
            return "is missing"
        case "too_long":
            return (
                f"has {context['actual_length'] or 'far too many'} items of at most {context['max_length']:,}"
            )
        case "greater_than_equal" | "less_than_equal":
            return f"should lie between 0 or -2^53 and 2^53 and is {value}"
        case "extra_forbidden":
            return "is a name that results files do not have"
        case "literal_error" | "enum":
            return f"should be {context['expected']} and is {value}"
        case "union_tag_invalid":
            return f"should be of kind {context['expected_tags']} and is of kind {brief(context['tag'])}"
        case "union_tag_not_found":
            return "has no kind"
        case "int_type" | "int_from_float" | "bool_type" | "string_type" | "tuple_type" | "dict_type":
            return f"should be {_KINDS[error['type'].split('_')[0]]} and is {value}"
        case "model_type" | "model_attributes_type":
            return f"should be an object and is {value}"
        case _:
            return f"has a value that is not allowed there: {value}"


_KINDS = {
    "int": "an integer",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
    "dict": "an object",
}
