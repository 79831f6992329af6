"""A model's files -> the causal module of transformers, with every weight that they hold in its place, or a refusal."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from layerclaims.errors import LayerclaimsError
from layerclaims.models.adapter import merged
from layerclaims.models.formats import check_format, quantisation
from layerclaims.models.gguf import check_rope_base, forget, read_gguf, untaken_tensors
from layerclaims.models.memory import check_room, enough_for
from layerclaims.models.placement import (
    Offload,
    check_device_map,
    device_of,
    is_spread,
    room,
    sweep_offloaded,
)
from layerclaims.models.reading import WAY_OUT, reading
from layerclaims.models.source import ModelSource
from layerclaims.models.weights import Tensor, n_numbers, read_headers, refuse_untaken, unembeds
from layerclaims.runtime.dtypes import DTYPES, QUANTISED, states_in
from layerclaims.runtime.text import shown


@dataclass(frozen=True, kw_only=True)
class Module:
    """A causal model of transformers, made of its files."""

    causal: Any
    # tensors of its output head that are not as the files have them, or not there
    head_lacks: tuple[str, ...] = ()
    offload: Offload | None = None  # of weights that lie on disk, for as long as the model lives


def load_module(
    source: ModelSource,
    *,
    device: str,
    dtype: str,
    initialise: int | None,
    device_map: str = "none",
    offload_dir: Path | None = None,
) -> Module:
    """The whole causal model of transformers, on its device, in eval mode and without gradients.

    `initialise=SEED` draws its weights afresh. With the device map "auto" the model is spread over what there is, and
    what does not fit lies on disk, in a directory of its own in `offload_dir`. Raises LayerclaimsError, also where the
    weights are in another dtype.
    """
    import torch

    check_format(dtype)
    check_device_map(device_map, device)
    if initialise is not None and (device_map != "none" or dtype in QUANTISED):
        option = "--device-map" if device_map != "none" else f"--dtype {dtype}"
        raise LayerclaimsError(
            f"The untrained twin of {shown(source.name)} cannot be made with {option}; leave out that or --control."
        )
    if source.loaded is not None:
        if device_map != "none":
            raise LayerclaimsError(
                f"The loaded model {shown(source.name)} stays where it is; leave out the device map, or load it spread."
            )
        return Module(causal=_in_memory(source, dtype=dtype, initialise=initialise))
    place = device_of(device)
    kind: torch.dtype = getattr(torch, states_in(dtype))
    name, quantised = shown(source.name), source.config.get("quantization_config")
    way_out = WAY_OUT
    if isinstance(quantised, Mapping):
        method = shown(quantised.get("quant_method", "an unnamed method"), 40)
        way_out = f"its weights are quantised with {method}: install what that needs, or {WAY_OUT}"
    with reading(
        f"The model {name} could not be loaded", source.path, source.gguf_file, way_out=way_out
    ) as directory:
        reader = None if source.gguf_file is None else read_gguf(source.path / source.gguf_file)
        tensors = _tensors(source, reader)
        sweep_offloaded(offload_dir)
        offload = Offload(offload_dir) if device_map != "none" else None
        extra: dict[str, Any] = {}
        if offload is not None:
            extra = {"device_map": "auto", "max_memory": room(device), "offload_folder": str(offload.path)}
        elif dtype in QUANTISED:
            extra = {"device_map": {"": place}, "quantization_config": quantisation(dtype)}
        if offload is None:
            size = DTYPES["float32" if initialise is not None else states_in(dtype)].size
            check_room(n_numbers(tensors) * size, place, source.name)
        with enough_for(f"Loading the model {name}"):
            made = (
                _pretrained(source, directory, kind, tensors, reader, extra)
                if initialise is None
                else Module(causal=_untrained(source, directory, kind, initialise))
            )
            model = made.causal if extra else made.causal.to(place)
            if source.adapter is not None and initialise is None:
                if dtype in QUANTISED or is_spread(model):
                    raise LayerclaimsError(
                        f"The adapter {shown(source.adapter.name)} cannot be merged into weights that are quantised or "
                        "spread; leave out --adapter, or --device-map and --dtype."
                    )
                model = merged(model, source.adapter)
            model = model.eval().requires_grad_(False)
        if reader is not None:
            check_rope_base(
                reader, source.path / str(source.gguf_file), model.config.get_text_config(decoder=True)
            )
    forget()
    kinds = {p.dtype for p in model.parameters() if p.is_floating_point()}
    if not kinds <= {kind, torch.float32}:
        raise LayerclaimsError(
            f"The model {shown(source.name)} was loaded as {kinds}, not as {dtype}; give weights that are not "
            "quantised."
        )
    return replace(made, causal=model, offload=offload)


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


def _tensors(source: ModelSource, reader: Any) -> dict[str, Tensor]:
    """The tensors of the weight files by name."""
    if reader is None:
        return read_headers(source.path / file for file in source.files if file.endswith(".safetensors"))
    return {
        tensor.name: Tensor(code=tensor.tensor_type.name, shape=tuple(map(int, reversed(tensor.shape))))
        for tensor in reader.tensors
    }


def _pretrained(
    source: ModelSource,
    directory: Path,
    dtype: Any,
    tensors: Mapping[str, Tensor],
    reader: Any,
    extra: Mapping[str, Any],
) -> Module:
    from transformers import AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM  # its annotations do not know of output_loading_info
    form = {"use_safetensors": True} if source.gguf_file is None else {"gguf_file": source.gguf_file}
    with _untaken() as untaken:
        model, info = auto.from_pretrained(
            str(directory),
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # to tell them below
            **form,
            **extra,
        )
    if reader is not None:
        untaken.update(untaken_tensors(reader, model))
    return Module(causal=model, head_lacks=_check_taken(source.name, model, info, untaken, tensors))


def _check_taken(
    name: str, model: Any, info: Mapping[str, Any], untaken: set[str], tensors: Mapping[str, Tensor]
) -> tuple[str, ...]:
    """Raise LayerclaimsError unless every weight of the model was read, and every weight of the files was taken.

    Gives the tensors of the output head for which that is not so: no state depends on them.
    """
    if files := getattr(type(model.config), "extra_files", ()):
        raise LayerclaimsError(
            f"The model {shown(name)} ({type(model).__name__}) is read from further files, such as {shown(files[0])}, "
            "which the cache's key would not cover; give another model."
        )
    for tensor, found, wanted in sorted(info["mismatched_keys"], key=str):
        raise LayerclaimsError(
            f"The weights of {shown(name)} hold the tensor {shown(tensor)} with the shape {tuple(found)}, where its "
            f"configuration asks for {tuple(wanted)}; the files do not belong together."
        )
    # transformers fills what is missing with random numbers and goes on; no state comes from the output head
    head = model.get_output_embeddings()
    head_names = {path for path, module in model.named_modules() if module is head}
    of_head = {key for key in info["missing_keys"] if key.rpartition(".")[0] in head_names}
    missing = sorted(info["missing_keys"] - of_head)
    if missing:
        raise LayerclaimsError(
            f"The weights of {shown(name)} lack {len(missing)} tensors that its configuration asks for, such as "
            f"{shown(missing[0])}; the files do not belong together."
        )
    text = model.config.get_text_config(decoder=True)
    blocks, further = (
        getattr(text, key, None) or 0 for key in ("num_hidden_layers", "num_nextn_predict_layers")
    )
    left = {*untaken, *info["unexpected_keys"]}
    refuse_untaken(left, tensors, name, extra_blocks=range(blocks, blocks + further))
    return tuple(sorted(of_head | set(filter(unembeds, left))))


@contextlib.contextmanager
def _untaken() -> Iterator[set[str]]:
    """The names of the tensors that transformers finds no place for, before it takes out those that it never tells.

    Its patterns for those take out whole blocks in some models.
    """
    from transformers import PreTrainedModel

    found: set[str] = set()
    cls: Any = PreTrainedModel
    own = getattr(cls, "_adjust_missing_and_unexpected_keys", None)
    if own is None:
        yield found
        return

    def telling(self: Any, info: Any) -> Any:
        found.update(info.unexpected_keys)
        return own(self, info)

    cls._adjust_missing_and_unexpected_keys = telling
    try:
        yield found
    finally:
        cls._adjust_missing_and_unexpected_keys = own


def _untrained(source: ModelSource, directory: Path, dtype: Any, seed: int) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    extra = {} if source.gguf_file is None else {"gguf_file": source.gguf_file}
    config = AutoConfig.from_pretrained(
        str(directory), local_files_only=True, trust_remote_code=False, **extra
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        # drawn in float32 whatever the dtype, so that the twin is the same one
        auto: Any = AutoModelForCausalLM
        model = auto.from_config(config, dtype=torch.float32, trust_remote_code=False)
    return model.to(dtype)
