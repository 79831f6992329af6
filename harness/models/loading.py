"""Foreign files read: quietly, a GGUF file once, and with one sentence for whatever goes wrong."""

import contextlib
import functools
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from layerclaims.errors import LayerclaimsError
from layerclaims.models.source import ModelSource
from layerclaims.runtime.dtypes import check_dtype
from layerclaims.runtime.text import brief, shown


@contextlib.contextmanager
def reading(what: str, gguf_file: str | None) -> Iterator[None]:
    """Read foreign files: without noise, a GGUF file once, and with one sentence for whatever goes wrong."""
    with quiet(), _as_sentence(what), gguf_read_once(gguf_file):
        yield


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' bars, advice and warnings off the screen, and put everything back."""
    import logging as standard

    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(standard.CRITICAL)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        # the bar of the GGUF reader heeds no setting: it writes to sys.stderr
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _as_sentence(what: str) -> Iterator[None]:
    """Turn whatever a library raises while reading foreign files into one sentence."""
    try:
        yield
    except (LayerclaimsError, MemoryError):
        raise
    except Exception as error:
        raise LayerclaimsError(
            f"{what} ({brief(error)}); give a decoder-only model that this version of transformers knows, in "
            "safetensors or GGUF."
        ) from error


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
    gguf.GGUFReader, gguf.get_tensor_name_map = _gguf_reader, names  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(gguf, name, original)


def _gguf_reader(path: str) -> Any:
    return _gguf_fields(path, Path(path).stat().st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _gguf_fields(path: str, changed: int) -> Any:
    from gguf.gguf_reader import GGUFReader

    del changed  # part of the cache's key only
    return GGUFReader(path)


def load_module(source: ModelSource, *, device: str, dtype: str, initialise: int | None) -> Any:
    """The whole causal model of transformers, on its device, in eval mode and without gradients.

    `initialise=SEED` draws its weights afresh. Raises LayerclaimsError, also where the weights are in another dtype.
    """
    import torch

    check_dtype(dtype)
    if source.loaded is not None:
        return _in_memory(source, dtype=dtype, initialise=initialise)
    place = device_of(device)
    kind: torch.dtype = getattr(torch, dtype)
    with reading(f"The model {shown(source.name)} could not be loaded", source.gguf_file):
        model = _pretrained(source, kind) if initialise is None else _untrained(source, kind, initialise)
        model = model.to(place).eval().requires_grad_(False)
    _gguf_fields.cache_clear()  # many small objects
    kinds = {p.dtype for p in model.parameters() if p.is_floating_point()}
    if not kinds <= {kind, torch.float32}:
        raise LayerclaimsError(
            f"The model {shown(source.name)} was loaded as {kinds}, not as {dtype}; give weights that are not "
            "quantised."
        )
    return model


def _in_memory(source: ModelSource, *, dtype: str, initialise: int | None) -> Any:
    """The module that its owner loaded, left where and as it is."""
    assert source.loaded is not None
    module = source.loaded.module
    if initialise is not None:
        raise LayerclaimsError(
            f"The loaded model {shown(source.name)} has no untrained twin; name its files."
        )
    kinds = {str(p.dtype).removeprefix("torch.") for p in module.parameters() if p.is_floating_point()}
    if kinds != {dtype} or module.training:
        raise LayerclaimsError(
            f"The loaded model {shown(source.name)} has to be in {dtype} and in eval mode: the protocol says so, and "
            "dropout would change its states."
        )
    return module


def device_of(name: str) -> Any:
    """The torch device of an option: "auto" is the GPU where there is one. LayerclaimsError for one that is not."""
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise LayerclaimsError(
            f"The device {shown(name)} cannot be used here; give auto, cpu or cuda."
        ) from error
    return device


def _pretrained(source: ModelSource, dtype: Any) -> Any:
    from transformers import AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM  # its annotations do not know of output_loading_info
    extra: dict[str, Any] = (
        {"use_safetensors": True} if source.gguf_file is None else {"gguf_file": source.gguf_file}
    )
    model, info = auto.from_pretrained(
        str(source.path),
        dtype=dtype,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
        **extra,
    )
    # transformers fills what is missing with random numbers and goes on; the output head is not used here
    head = model.get_output_embeddings()
    head_names = {name for name, module in model.named_modules() if module is head}
    missing = sorted(key for key in info["missing_keys"] if key.rpartition(".")[0] not in head_names)
    if missing or info["mismatched_keys"]:
        names = missing or sorted(str(key) for key in info["mismatched_keys"])
        raise LayerclaimsError(
            f"The weights of {shown(source.name)} lack {len(names)} tensors that its config.json asks for, "
            f"such as {shown(names[0])}; the files do not belong together."
        )
    return model


def _untrained(source: ModelSource, dtype: Any, seed: int) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    extra = {} if source.gguf_file is None else {"gguf_file": source.gguf_file}
    config = AutoConfig.from_pretrained(
        str(source.path), local_files_only=True, trust_remote_code=False, **extra
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        # drawn in float32 whatever the dtype, so that the twin is the same one
        auto: Any = AutoModelForCausalLM
        model = auto.from_config(config, dtype=torch.float32, trust_remote_code=False)
    return model.to(dtype)
