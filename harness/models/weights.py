"""The tensors of weight files, by their headers alone: what they are, and whether a model can be made of them."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from layerclaims.errors import LayerclaimsError
from layerclaims.models.files import is_file
from layerclaims.runtime.text import brief, shown

FLOATS: Final = frozenset({"F64", "F32", "F16", "BF16"})
WHOLE: Final = frozenset({"I64", "I32", "BOOL"})  # of indices and masks
LFS: Final = b"version https://git-lfs"
# what a file may hold besides the weights that are computed with
_BUFFERS: Final = re.compile(  # constants that old versions of transformers wrote, and that are made anew
    r"(^|\.)(attn|attention)\.(bias|masked_bias)$|inv_freq$|(^|\.)position_ids$|(cos|sin)_cached$|\.attn_rot_embd\."
    r"|(^|\.)embed_positions\.(weights|_float_tensor)$|num_batches_tracked$|_extra_state$|(^|\.)causal_mask$"
    r"|^rope_(freqs|factors_\w+)\.weight$"  # of GGUF, where they were found to be ones
)
_UNEMBEDDING: Final = re.compile(  # it reads the final state, and nothing reads it
    r"(^|\.)(lm_head|embed_out)\.|^output\.(weight|bias)$|(^|\.)final_logits_bias$"
)
_HEADS: Final = re.compile(  # others like it
    r"(^|\.)(score|classifier|qa_outputs|v_head|value_head|multiple_choice_head|mtp)\."
)
_SENSES: Final = re.compile(  # whole parts of a model that only images, sound and the like go through
    r"(^|[._])(vision|visual|image|audio|speech|video|multi_?modal|mm)([._]|$)"
)


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One tensor of a file, not read."""

    code: str  # of its number format, as safetensors has it
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def read_headers(files: Iterable[Path]) -> dict[str, Tensor]:
    """The tensors of safetensors files by name; raises LayerclaimsError for a file that is none, or not whole."""
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, Tensor] = {}
    for path in files:
        if not is_file(path):
            raise LayerclaimsError(f"{shown(path)} does not exist; fetch the model again.")
        refuse_pointer(path)
        try:
            with safe_open(path, framework="np") as file:
                for name in list(file.keys()):
                    if name in tensors:
                        raise LayerclaimsError(
                            f"The tensor {shown(name)} is in two weight files, the second of which is {shown(path)}; "
                            "it is unclear which one counts."
                        )
                    part = file.get_slice(name)
                    tensors[name] = Tensor(code=str(part.get_dtype()), shape=tuple(part.get_shape()))
        except (OSError, ValueError, SafetensorError) as error:
            raise LayerclaimsError(
                f"{shown(path)} is not a whole safetensors file ({brief(error)}): it was cut off or is something else; "
                "fetch it again."
            ) from error
    return tensors


def refuse_pointer(path: Path) -> None:
    """Raise LayerclaimsError for a pointer of Git LFS in place of a file, and for a file that cannot be read."""
    try:
        with path.open("rb") as file:
            beginning = file.read(len(LFS))
    except OSError as error:
        raise LayerclaimsError(f"{shown(path)} cannot be read: {error.strerror or error}.") from error
    if beginning == LFS:
        raise LayerclaimsError(
            f"{shown(path)} is a Git LFS pointer, which stands for the weights, and not the weights; fetch them with "
            "'git lfs pull' in that directory."
        )


def check_tensors(
    tensors: Mapping[str, Tensor], config: Mapping[str, Any], name: str, n_blocks: int | None
) -> None:
    """Raise LayerclaimsError where the weights cannot be those that the configuration asks for.

    Numbers that are kept as integers or in 8 bits mean nothing without the scales of a quantisation, and
    transformers would take them for the weights.
    """
    if n_blocks is not None and n_blocks > len(tensors):
        raise LayerclaimsError(
            f"The config.json of {shown(name)} asks for {n_blocks} blocks, but its weight files hold {len(tensors)} "
            "tensors; the files do not belong together."
        )
    if any(config.get(key) for key in ("quantization_config", "compression_config")):
        return
    for tensor, this in tensors.items():
        whole = this.code in WHOLE and not tensor.endswith((".weight", ".bias"))
        if this.code not in FLOATS and this.shape and not whole and not harmless(tensor, this.shape):
            raise LayerclaimsError(
                f"The weights of {shown(name)} hold the tensor {shown(tensor)} in the number format {this.code}, and "
                "its config.json has no 'quantization_config' that says how to read it; give weights that are not "
                "quantised."
            )


def harmless(tensor: str, shape: tuple[int, ...] | None = None) -> bool:
    """Whether the states of a text are the same without a tensor, by its name and, where known, its shape.

    Constants of old files, heads, predictors of further tokens, and whole parts for images and sound are. A name
    such as `attn.bias` is a mask, but for a vector, which would be a bias. Heads and parts for images are told by
    what comes before the number of a block: what is inside a block of the text may touch the stream.
    """
    if _BUFFERS.search(tensor):
        return not (tensor.endswith(".bias") and shape is not None and len(shape) == 1)
    before = re.sub(r"\.\d+\..*", ".", tensor)
    return unembeds(before) or bool(_HEADS.search(before) or _SENSES.search(before))


def unembeds(tensor: str) -> bool:
    """Whether a tensor is part of the unembedding, by its name."""
    return bool(_UNEMBEDDING.search(tensor))


def refuse_untaken(
    untaken: Iterable[str], tensors: Mapping[str, Tensor], name: str, *, extra_blocks: range = range(0)
) -> None:
    """Raise LayerclaimsError for weights that the model has no place for: they would be left out of what is computed.

    `extra_blocks` are numbers of blocks that predict further tokens, after the last one of the stream.
    """

    def matters(tensor: str) -> bool:
        found = tensors.get(tensor)
        block = re.search(r"(?:^|\.)(?:layers|blk|h)\.(\d+)\.", tensor)
        beyond = block is not None and int(block[1]) in extra_blocks
        return not beyond and not harmless(tensor, None if found is None else found.shape)

    left = sorted(filter(matters, untaken))
    if not left:
        return
    lora = next((tensor for tensor in left if "lora_" in tensor), None)
    way = (
        "merge the adapter into the weights first (merge_and_unload of peft)"
        if lora is not None
        else "weights and configuration do not belong together, or this version of transformers cannot read them"
    )
    raise LayerclaimsError(
        f"The weights of {shown(name)} hold {len(left)} tensors that the model has no place for, such as "
        f"{shown(lora or left[0])}, and its states would be computed without them: {way}."
    )


def n_numbers(tensors: Mapping[str, Tensor]) -> int:
    """How many numbers some tensors hold together."""
    return sum(tensor.size for tensor in tensors.values())
