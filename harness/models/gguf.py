"""GGUF files: told from other files, read once, and refused where transformers would leave out what they say."""

import contextlib
import functools
import mmap
import re
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from layerclaims.errors import LayerclaimsError
from layerclaims.models.files import is_file
from layerclaims.models.weights import refuse_pointer
from layerclaims.runtime.text import shown

_PART: Final = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)
_FACTORS: Final = re.compile(r"(^|\.)rope_(freqs|factors_\w+)\.weight$")


def check_gguf_file(path: Path) -> None:
    """Raise LayerclaimsError for what is not a whole GGUF file, as far as its name and first bytes tell."""
    if not is_file(path):
        raise LayerclaimsError(f"The model file {shown(path)} does not exist; check the path.")
    refuse_pointer(path)
    with path.open("rb") as file:
        beginning = file.read(4)
    if beginning != b"GGUF":
        raise LayerclaimsError(
            f"The file {shown(path)} is not GGUF: it does not begin with the letters GGUF; fetch it again."
        )
    part = _PART.search(path.name)
    if part is not None and int(part[2]) > 1:
        raise _split(path, int(part[1]), int(part[2]))


@contextlib.contextmanager
def gguf_read_once(file: str | None) -> Iterator[None]:
    """Keep transformers from reading a GGUF file anew for its tokenizer, configuration and weights.

    Each time takes seconds, and so does a list of tensors' names, which it makes for every module of the model.
    """
    if file is None:
        yield
        return
    import gguf

    names: Any = functools.cache(gguf.get_tensor_name_map)
    originals = {"GGUFReader": gguf.GGUFReader, "get_tensor_name_map": gguf.get_tensor_name_map}
    gguf.GGUFReader, gguf.get_tensor_name_map = _reader, names  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(gguf, name, original)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[Path]:
    """A directory that holds nothing but a file of that name and content.

    transformers would read a tokenizer or an adapter that lies beside a GGUF file rather than what is in it.
    """
    with tempfile.TemporaryDirectory() as directory:
        link = Path(directory) / path.name
        try:
            link.symlink_to(path)
        except OSError:  # Windows asks for rights
            link.hardlink_to(path)
        yield Path(directory)


def _reader(path: str) -> Any:
    whole = Path(path).resolve()
    return _fields(str(whole), whole.stat().st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _fields(path: str, changed: int) -> Any:
    import numpy as np
    from gguf.gguf_reader import GGUFReader

    class Reader(GGUFReader):
        """Reads through a plain array of the mapped file: a slice of it costs a third of a slice of the map."""

        @property  # type: ignore[override]  # of gguf it is an attribute
        def data(self) -> "np.ndarray[Any, Any]":
            return self._plain

        @data.setter
        def data(self, mapped: "np.memmap[Any, Any]") -> None:
            self._plain = mapped.view(np.ndarray)

    del changed  # part of the cache's key only
    check_sizes(Path(path))
    return Reader(path)


# bytes of a value by its type in a GGUF file; 8 is a string and 9 an array
_SIZES: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9
_FEWEST: Final = {"entries": 13, "tensors": 24, "strings": 8}  # bytes that each of them takes at least


def check_sizes(path: Path) -> None:
    """Raise LayerclaimsError where a GGUF file says that it holds more than its bytes can: the reader would loop on it.

    The head is walked over as the format has it: magic, version, numbers of tensors and entries; then each entry as
    its key, its type and its value. Versions other than 2 and 3, and big-endian files, are left to the reader.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = 4

        def take(form: str) -> int:
            nonlocal at
            (value,) = struct.unpack_from(form, data, at)
            at += struct.calcsize(form)
            return int(value)

        def fits(number: int, each: int) -> int:
            if number * each > len(data) - at:
                raise LayerclaimsError(
                    f"The GGUF file {shown(path)} says that it holds more than its {len(data):,} bytes; fetch it again."
                )
            return number

        def skip_string() -> None:
            nonlocal at
            length = fits(take("<Q"), 1)
            at += length

        try:
            if take("<I") not in (2, 3):
                return
            fits(take("<Q"), _FEWEST["tensors"])
            for _ in range(fits(take("<Q"), _FEWEST["entries"])):
                skip_string()
                kind, number = take("<I"), 1
                if kind == _ARRAY:
                    kind, number = take("<I"), take("<Q")
                if kind == _STRING:
                    for _ in range(fits(number, _FEWEST["strings"])):
                        skip_string()
                elif kind in _SIZES:
                    at += fits(number, _SIZES[kind]) * _SIZES[kind]
                else:
                    raise LayerclaimsError(
                        f"The GGUF file {shown(path)} has an entry of the unknown type {kind}; fetch it again."
                    )
        except struct.error as error:
            raise LayerclaimsError(f"The GGUF file {shown(path)} is cut off; fetch it again.") from error


def forget() -> None:
    """Let go of the file that was read: many small objects."""
    _fields.cache_clear()


def read_gguf(path: Path) -> Any:
    """What the gguf package reads of a file; raises LayerclaimsError for parts, and for positions that are scaled.

    transformers computes the rotary embedding of a GGUF file as if it were not scaled. A scaling by 1 goes on.
    """
    check_gguf_file(path)
    reader = _reader(str(path))
    parts = _value(reader, "split.count")
    if isinstance(parts, int) and parts > 1:
        raise _split(path, int(_value(reader, "split.no") or 0) + 1, parts)
    scaling = _scaling(reader)
    if scaling is not None:
        raise LayerclaimsError(
            f"The file {shown(path)} scales its rotary positions (RoPE; it has {shown(scaling)}), and transformers "
            "does not read that out of GGUF, so its states would be others; give the model in safetensors."
        )
    return reader


def _split(path: Path, number: int, parts: int) -> LayerclaimsError:
    return LayerclaimsError(
        f"The file {shown(path)} is part {number} of {parts} of a split GGUF file; merge the parts first with "
        "'llama-gguf-split --merge FIRST_PART WHOLE.gguf' of llama.cpp, and name the whole."
    )


def _scaling(reader: Any) -> str | None:
    """The entry or tensor that scales the rotary positions, if any does."""
    architecture = _value(reader, "general.architecture")
    kind = _value(reader, f"{architecture}.rope.scaling.type")
    if kind not in (None, "none", "linear"):
        return f"{architecture}.rope.scaling.type = {kind}"
    for key in ("rope.scaling.factor", "rope.scaling.attn_factor", "rope.scale_linear"):
        factor = _value(reader, f"{architecture}.{key}")
        if kind != "none" and factor not in (None, 0, 1):  # 0 is none, as llama.cpp has it
            return f"{architecture}.{key} = {factor}"
    for tensor in reader.tensors:
        if _FACTORS.search(tensor.name) and bool((tensor.data != 1).any()):
            return str(tensor.name)
    return None


def check_rope_base(reader: Any, path: Path, config: Any) -> None:
    """Raise LayerclaimsError where the model has not the base of the rotary positions that the file says."""
    base = _value(reader, f"{_value(reader, 'general.architecture')}.rope.freq_base")
    parameters = getattr(config, "rope_parameters", None) or {}
    bases = [
        part["rope_theta"]
        for part in (parameters, *parameters.values())
        if isinstance(part, dict) and "rope_theta" in part
    ]
    if base is not None and bases and not any(abs(base - other) <= 1e-6 * abs(base) for other in bases):
        raise LayerclaimsError(
            f"The file {shown(path)} has {base:g} as the base of its rotary positions (RoPE), and transformers makes a "
            f"model with {bases[0]:g} of it; give the model in safetensors."
        )


def untaken_tensors(reader: Any, model: Any) -> list[str]:
    """Names of the tensors that transformers' older reader has no place for in a model, and leaves out silently.

    Its newer reader, for a few architectures, tells them itself when it loads.
    """
    from transformers.modeling_gguf_pytorch_utils import (
        TENSOR_PROCESSORS,
        TensorProcessor,
        get_gguf_hf_weights_map,
    )

    architecture = _value(reader, "general.architecture")
    with contextlib.suppress(ImportError):
        from transformers.integrations.gguf.utils import is_gguf_arch_supported

        if is_gguf_arch_supported(architecture):
            return []
    processor: Any = TENSOR_PROCESSORS.get(architecture, TensorProcessor)
    taken = get_gguf_hf_weights_map(model, processor(config=model.config.to_dict()))
    # the experts of a layer are one tensor without a suffix
    return [t.name for t in reader.tensors if not {t.name, t.name.rpartition(".")[0]} & taken.keys()]


def _value(reader: Any, key: str) -> Any:
    field = reader.fields.get(key)
    return None if field is None else field.contents()
