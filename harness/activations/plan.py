"""How a capture is cut into shards and forward passes."""

from dataclasses import dataclass
from typing import Final

from layerclaims.runtime.dtypes import DTYPES

SHARD_BYTES: Final = 64_000_000  # one is in memory at a time
BATCH_TOKENS: Final = 960  # of a forward pass at most; larger gains nothing


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a capture is cut up. Depends on shapes only, never on timing: the same run gives the same bytes."""

    n_states: int
    n_documents: int
    n_positions: int
    hidden_size: int
    dtype: str
    batch_size: int  # documents in a forward pass, at most
    documents_per_shard: int

    @property
    def document_bytes(self) -> int:
        """Bytes on disk of one document's states."""
        return self.n_states * self.n_positions * self.hidden_size * DTYPES[self.dtype].size

    @property
    def shards(self) -> list[range]:
        """Documents of each shard."""
        step = self.documents_per_shard
        return [range(a, min(a + step, self.n_documents)) for a in range(0, self.n_documents, step)]


def make_plan(
    *, n_blocks: int, hidden_size: int, n_texts: int, context: int, dtype: str, batch_size: int | None
) -> Plan:
    """Cut `n_texts` documents into shards of about 64 MB and forward passes of at most 960 tokens.

    The shards do not depend on the batch size, so that a run can be resumed with another one.
    """
    document = (n_blocks + 2) * context * hidden_size * DTYPES[dtype].size
    per_shard = max(1, min(n_texts, SHARD_BYTES // document))
    return Plan(
        n_states=n_blocks + 2,
        n_documents=n_texts,
        n_positions=context,
        hidden_size=hidden_size,
        dtype=dtype,
        batch_size=batch_size or max(1, BATCH_TOKENS // context),
        documents_per_shard=per_shard,
    )
