"""A model and a tokenizer that are in memory already, as a source like any other."""

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerclaims.errors import LayerclaimsError
from layerclaims.models.source import Loaded, ModelSource, tokenizer_digest
from layerclaims.runtime.text import shown

if TYPE_CHECKING:
    from torch import nn


def loaded_source(module: "nn.Module", tokenizer: Any, *, name: str) -> ModelSource:
    """A causal model of transformers and its tokenizer; `name` is what the report calls it.

    Its checksums are those of its parameters, buffers and configuration, and of the files that the tokenizer would
    write, so that states are found again for the same weights and for no others. Raises LayerclaimsError for a
    model in train mode, whose dropout would change the states.
    """
    if module.training:
        raise LayerclaimsError(f"The model {shown(name)} is in train mode; call its eval() first.")
    with tempfile.TemporaryDirectory() as directory:
        tokenizer.save_pretrained(directory)
        tokenizer_sha256 = tokenizer_digest(Path(directory), name)
    return ModelSource(
        name=name,
        kind="loaded",
        path=Path(),
        gguf_file=None,
        revision=None,
        weights_sha256=_digest(module),
        tokenizer_sha256=tokenizer_sha256,
        loaded=Loaded(module=module, tokenizer=tokenizer),
    )


def _digest(module: "nn.Module") -> str:
    """SHA-256 of the configuration, and of every parameter and buffer by name."""
    import torch

    config: Any = module.config
    digest = hashlib.sha256(config.to_json_string().encode())
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
