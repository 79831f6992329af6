"""What a field of results.json may hold: finite numbers, ordered intervals, counts, plain JSON.

A validator raises ValueError with what goes on a sentence that begins with the field's place.
"""

import json
import math
from typing import Annotated, Any, TypeVar

import numpy as np
from layerclaims.runtime.text import inert
from layerclaims.verdicts.verdict import Verdict
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

Item = TypeVar("Item")
LARGEST = 2**53  # of integers: beyond it a float no longer tells them apart
LARGEST_COUNT = 2**31  # of answers of a document: sums of them stay within 64 bits
DEEPEST = 20  # lists and objects within one another, in a value of an option


class Record(BaseModel):
    """A frozen object of results.json. Refuses names that it does not know and values of another type.

    What was never given is not written either; None is written as null.
    """

    # a validator is built when a record is first needed: all of them at once would slow every import
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", defer_build=True)


def brief(value: object) -> str:
    """Return a value for a message, however large or hostile it is."""
    if isinstance(value, str):
        return inert(json.dumps(value[:200]), 60)
    if value is None or isinstance(value, bool | int | float):
        return inert(json.dumps(value), 60)
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return "an object" if isinstance(value, dict) else f"a {type(value).__name__}, which JSON does not have"


def _number(value: object) -> float:
    if type(value) is int and abs(value) < 2**1023:
        return value  # an integer is written as one
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"is {value}, which a results file cannot hold")
        return float(value)
    raise ValueError(f"should be a number and is {brief(value)}")


def _share(value: object) -> float:
    share = _number(value)
    if not 0 <= share <= 1:
        raise ValueError(f"should be a share of 1 and is {brief(value)}")
    return share


def _two(value: object) -> tuple[float, float]:
    if not (isinstance(value, list | tuple) and len(value) == 2):
        raise ValueError(f"should be two numbers and is {brief(value)}")
    return _number(value[0]), _number(value[1])


def _interval(value: object) -> tuple[float, float]:
    low, high = _two(value)
    if low > high:
        raise ValueError(f"is an interval whose ends are swapped: [{low}, {high}]")
    return low, high


def _threshold(value: object) -> float | tuple[float, float]:
    return _two(value) if isinstance(value, list | tuple) else _number(value)


def _tick(value: object) -> float | str:
    return value if type(value) is str else _number(value)


def _json(value: object, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if depth > DEEPEST:
        raise ValueError(f"is nested more than {DEEPEST} deep")
    if isinstance(value, list | tuple):
        return tuple(_json(item, depth + 1) for item in value)
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return {name: _json(item, depth + 1) for name, item in value.items()}
    return _number(value)


def _counts(value: object) -> NDArray[np.int64]:
    # millions of them, nearly the whole file: one by one would take seconds
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        raise ValueError("has rows of different length") from None
    if array.ndim not in (1, 2) or (array.size and (array.dtype.kind != "i" or array.min() < 0)):
        raise ValueError("has something other than counts")
    if array.size and array.max() > LARGEST_COUNT:
        raise ValueError(f"counts {int(array.max())}, more than any run has")
    array = array.astype(np.int64, copy=False).view()
    array.setflags(write=False)
    return array


_COUNT = {"type": "integer", "minimum": 0}
_NUMBERS = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
Number = Annotated[float, PlainValidator(_number), WithJsonSchema({"type": "number"})]
Share = Annotated[
    float, PlainValidator(_share), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})
]
Interval = Annotated[tuple[float, float], PlainValidator(_interval), WithJsonSchema(_NUMBERS)]
Point = Annotated[tuple[float, float], PlainValidator(_two), WithJsonSchema(_NUMBERS)]
Threshold = Annotated[
    float | tuple[float, float],
    PlainValidator(_threshold),
    WithJsonSchema({"anyOf": [{"type": "number"}, _NUMBERS]}),
]
Tick = Annotated[float | str, PlainValidator(_tick), WithJsonSchema({"type": ["number", "string"]})]
Json = Annotated[Any, PlainValidator(lambda value: _json(value)), WithJsonSchema({})]
Integer = Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Counts = Annotated[
    NDArray[np.int64],  # [documents] or [documents, labels]; read-only
    PlainValidator(_counts),
    WithJsonSchema(
        {"type": "array", "items": {"anyOf": [_COUNT, {"type": "array", "items": _COUNT}]}},
    ),
]
ClaimId = Annotated[str, Field(pattern="^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)]
Named = Annotated[Verdict, Field(strict=False)]  # a verdict by its name
Moment = Annotated[str, Field(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]  # of UTC
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
# a JSON array, which Python reads as a list; a million wrong items make one complaint
Many = Annotated[tuple[Item, ...], Field(strict=False, fail_fast=True)]
Some = Annotated[tuple[Item, ...], Field(strict=False, fail_fast=True, min_length=1)]
