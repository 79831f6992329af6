"""The number formats that a model runs in and states are kept in: one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import shown


@dataclass(frozen=True, kw_only=True)
class Dtype:
    """How one format is written down."""

    code: str  # in a safetensors header
    numpy: str  # how numpy reads it; it has no bfloat16 and takes the bits
    size: int  # bytes of a number


DTYPES: Final[Mapping[str, Dtype]] = {
    "float32": Dtype(code="F32", numpy="<f4", size=4),
    "bfloat16": Dtype(code="BF16", numpy="<u2", size=2),
    "float16": Dtype(code="F16", numpy="<f2", size=2),
}


AUTO: Final = "auto"  # the checkpoint's own where the device computes in it; see models/formats.py
QUANTISED: Final = ("int8", "int4")  # of a model's linear layers; all else, its states too, is float32
CHOICES: Final = (AUTO, *DTYPES, *QUANTISED)  # of --dtype


def states_in(name: str) -> str:
    """The format of the states of a model whose numbers have a format."""
    return "float32" if name in QUANTISED else name


def check_dtype(name: str) -> None:
    """Raise LayerclaimsError for a format that a model cannot have."""
    if name not in DTYPES and name not in QUANTISED:
        raise LayerclaimsError(f"The dtype {shown(name)} is not one of {', '.join([*DTYPES, *QUANTISED])}.")
