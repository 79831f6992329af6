"""The model of a run as results.json has it."""

from typing import Annotated

from layerclaims.results.fields import Count, Record
from pydantic import Field


class AdapterRecord(Record):
    """An adapter that was merged into the model."""

    name: str
    revision: str | None  # commit on the hub
    sha256: str  # of its configuration and weights


class ModelRecord(Record):
    """The model whose states were read."""

    name: str
    revision: str | None
    architecture: str | None
    n_blocks: Count  # states are labelled 0 (the embedding) to n_blocks
    hidden_size: Count
    n_parameters: Count
    dtype: str
    tied_embeddings: bool | None
    weights_sha256: str | None
    adapter: AdapterRecord | None = None
    tokenizer: Annotated[str | None, Field(description="One that took the place of the model's own.")] = None
