"""The logit lens: what a model would say if each of its states were the last one (nostalgebraist 2020)."""

from typing import TYPE_CHECKING, Final

import numpy as np
from layerclaims.errors import NotTestedError
from layerclaims.experiments import fitted
from layerclaims.experiments.measurement import Series, Values, measurement, never_published
from layerclaims.experiments.study import Study
from layerclaims.runtime.text import shown
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

FEWEST_BLOCKS: Final = 4  # Page's trend takes three states below the last one
BLOCK_BYTES: Final = 32_000_000  # of logits at a time; about four times as much is at work


@measurement("main", name="logit-lens", weight=0.4, check=never_published("logit lens"), reads_head=True)
def logit_lens(study: Study) -> Values:
    """Whether state i, normed and unembedded, has the model's own first choice; i = 1..L-1.

    The model's own output is what state L gives, which is checked against its forward. One position of each document is
    read: "positions" [documents]. "kl" [documents, L] is KL(own output || lens) in nats, by states 1..L.
    """
    store = study.store("main")
    blocks = store.n_blocks
    if blocks < FEWEST_BLOCKS:
        raise NotTestedError(
            f"A model of {blocks} blocks has no {FEWEST_BLOCKS - 1} states before the last one along which agreement "
            "could rise."
        )
    positions = sampled_positions(
        store.n_documents, study.first_position, store.n_positions, rng=study.rng(31)
    )
    sample = study.memory.empty((blocks, store.n_documents, store.hidden_size))
    stop = 0
    for shard in store.blocks(range(1, blocks + 1)):  # states 1..L of some documents
        start = stop
        for i, state in enumerate(shard):
            stop = start + len(state)
            sample[i, start:stop] = state[np.arange(len(state)), positions[start:stop]]
    right, divergence = _read_out(study, sample)
    agreed = right[:-1].T
    counts = fitted.of_series(
        LENS.name, np.arange(store.n_documents), agreed, np.ones_like(agreed), certificates=[]
    )
    return fitted.joined(counts, Values(arrays={"kl": divergence.T, "positions": positions}, facts={}))


LENS: Final = Series("logit lens", logit_lens)  # its labels are states 1..L-1


def sampled_positions(
    n_documents: int, first: int, n_positions: int, *, rng: np.random.Generator
) -> NDArray[np.int64]:
    """One position of each document, from `first` on: a vector takes as much as a token of a whole forward pass."""
    return rng.integers(first, n_positions, size=n_documents)


def _read_out(study: Study, sample: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of states 1..L [L, documents, d]: agreement with the first choice of the last one, and divergence from it.

    [L, documents] each.
    """
    import torch

    unembedding = study.unembedding()
    right = np.zeros(sample.shape[:2], dtype=np.int64)
    divergence = np.zeros(sample.shape[:2])
    size = max(1, BLOCK_BYTES // (4 * unembedding.vocabulary))
    for start in range(0, sample.shape[1], size):
        part = slice(start, start + size)
        own = unembedding(torch.from_numpy(sample[-1, part]))
        top, log_p = own.argmax(-1), own.log_softmax(-1)
        p = log_p.exp()
        negative_entropy = _dot(p, log_p)
        for i in range(len(sample)):
            logits = own if i == len(sample) - 1 else unembedding(torch.from_numpy(sample[i, part]))
            right[i, part] = (logits.argmax(-1) == top).cpu().numpy()
            kl = negative_entropy - _dot(p, logits) + logits.logsumexp(-1)
            divergence[i, part] = kl.clamp(min=0).cpu().numpy()
    if not np.isfinite(divergence).all():
        state = 1 + int(np.flatnonzero(~np.isfinite(divergence).all(1))[0])
        raise NotTestedError(
            f"The unembedding of {shown(study.facts.name)} gives logits of state {state} that are not finite."
        )
    return right, divergence


def _dot(p: "Tensor", values: "Tensor") -> "Tensor":
    """Sums of products along the vocabulary, [vectors]."""
    import torch

    return torch.einsum("nv,nv->n", p, values)
