"""The format of a model's numbers: the one that is asked for, or the checkpoint's own."""

import logging
from collections import Counter
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Final

from layerclaims.errors import LayerclaimsError
from layerclaims.models.placement import device_of
from layerclaims.models.source import ModelSource
from layerclaims.models.weights import read_headers
from layerclaims.runtime.dtypes import AUTO, DTYPES, QUANTISED, check_dtype

_OWN: Final[Mapping[str, str]] = {form.code: name for name, form in DTYPES.items()}


def check_format(asked: str) -> None:
    """Raise LayerclaimsError for no format, and for one whose package is not installed."""
    if asked == AUTO:
        return
    check_dtype(asked)
    if asked in QUANTISED and find_spec("bitsandbytes") is None:
        raise LayerclaimsError(
            f"--dtype {asked} needs the package bitsandbytes, which is not installed; install layerclaims[quantised], "
            "or use --dtype bfloat16."
        )


def format_of(source: ModelSource, asked: str, *, device: str) -> str:
    """The format that `asked` means for a model: itself, or with "auto" the checkpoint's own where the device has it.

    The checkpoint's own is that of most of its numbers; a GGUF file has none, and is read as float32. A model that is
    loaded already stays as it is. What a device does not have is float32, and a processor computes in nothing else.
    Raises LayerclaimsError.
    """
    check_format(asked)
    if asked != AUTO:
        return asked
    own = _own(source)
    if own == "float32" or source.loaded is not None:
        return own
    return own if _has(device_of(device), own) else "float32"


def _own(source: ModelSource) -> str:
    if source.loaded is not None:
        kinds = Counter[str]()
        for parameter in source.loaded.module.parameters():
            kinds[str(parameter.dtype).removeprefix("torch.")] += parameter.numel()
        found = kinds.most_common(1)[0][0]
        return found if found in DTYPES else "float32"
    sizes = Counter[str]()
    for tensor in read_headers(
        source.path / file for file in source.files if file.endswith(".safetensors")
    ).values():
        sizes[tensor.code] += tensor.size
    return _OWN.get(sizes.most_common(1)[0][0], "float32") if sizes else "float32"


def _has(device: Any, form: str) -> bool:
    """Whether a device computes in a half format by itself."""
    import torch

    if device.type == "cpu":
        return False  # few have units for one; the others round as coarsely and gain no time
    if device.type == "cuda" and form == "bfloat16":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "mps" and form == "bfloat16":
        return bool(torch.backends.mps.is_macos_or_newer(14, 0))
    return True


def quantisation(dtype: str) -> Any:
    """What transformers takes to quantise a model's linear layers while it is loaded; None for no such format."""
    if dtype not in QUANTISED:
        return None
    import torch
    from transformers import BitsAndBytesConfig

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it tells of every product that it casts
    make: Any = BitsAndBytesConfig  # it has no annotations
    if dtype == "int8":
        return make(load_in_8bit=True)
    return make(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)
