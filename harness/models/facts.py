"""What is known of a model without loading it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What a manifest says of a model, so that a warm run need not load it."""

    name: str
    revision: str | None
    architecture: str  # class of transformers
    n_blocks: int  # L
    hidden_size: int  # width of the residual stream
    n_parameters: int  # of the whole causal model, tied ones once
    dtype: str
    tied_embeddings: bool
    weights_sha256: str
    bos_added: bool  # the tokenizer puts a beginning-of-sequence token first
    final_norm: bool  # False: there is none, and the final state is state L
