"""Selection: which documents of a corpus are read, as token ids."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from layerclaims.corpora.corpus import Corpus
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import shown
from numpy.typing import NDArray

FEWEST: Final = 10  # texts of a run
MOST_BEFORE: Final = 8  # tokens that a tokenizer puts before a text: one or two do


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The documents of a run: `ids[row]` are the first `context` tokens of `texts[document_ids[row]]`."""

    ids: NDArray[np.int64]  # [n_texts, context]
    document_ids: tuple[int, ...]
    skipped: int  # texts passed over because they are shorter than the context
    repeated: int  # texts passed over because their tokens equal those of an earlier one
    n_available: int  # texts in the corpus
    sha256: str  # of the shape and of the ids as little-endian int64


def least(n_texts: int, *, fewer: bool) -> int:
    """How many different texts a run cannot do without, where it asks for `n_texts` or for as many as there are."""
    return min(n_texts, FEWEST) if fewer else n_texts


def check_enough(corpus: Corpus, *, n_texts: int, context: int, fewer: bool = False) -> None:
    """Raise LayerclaimsError where a corpus has too few different texts, or too few with as many characters as tokens.

    It takes no tokenizer, so it can be asked before anything is loaded. `select` counts the tokens.
    """
    different = set(corpus.texts)
    if len(different) < least(n_texts, fewer=fewer):
        raise LayerclaimsError(
            f"The corpus {shown(corpus.name)} has {len(different)} different texts, but {n_texts} are asked for; lower "
            "--n-texts, or give a larger corpus."
        )
    found = sum(_may_have(text, context) for text in different)
    if found < least(n_texts, fewer=fewer):
        raise LayerclaimsError(
            f"The corpus {shown(corpus.name)} has {found} different texts that are long enough for {context} tokens, "
            f"of {len(different)}, but {n_texts} are asked for; lower --n-texts or --context, or give a larger corpus."
        )


def _may_have(text: str, n_tokens: int) -> bool:
    """Whether some tokenizer makes so many tokens of a text.

    None makes more of ASCII than there are characters, but for those that it puts before. Another character may be
    several bytes, each a token of its own, and normalising may make several characters of it.
    """
    return len(text) + MOST_BEFORE >= n_tokens or not text.isascii()


def select(
    corpus: Corpus,
    encode: Callable[[str], list[int]],
    *,
    n_texts: int,
    context: int,
    seed: int,
    fewer: bool = False,
    in_order: bool = False,
) -> Selection:
    """Take the first `n_texts` long enough texts in an order shuffled by `seed`, cut to `context` tokens.

    With `in_order` the order is that of the corpus.

    A text that begins as an earlier one does is passed over: on both sides of a split it would be known by heart,
    and counted twice it would narrow an interval that speaks of independent documents.
    No more texts are tokenised than it takes. `encode` may have a method `batch(texts)`, which is then used.
    Raises LayerclaimsError when the corpus has too few texts of `context` tokens or more; with `fewer` all that
    there are will do, from FEWEST on.
    """
    if n_texts < 1 or context < 1:
        raise LayerclaimsError(f"n_texts {n_texts} and context {context} must be 1 or more.")
    n = len(corpus.texts)
    order = np.arange(n) if in_order else np.random.default_rng(seed).permutation(n)
    batch: Callable[[list[str]], list[list[int]]] = getattr(
        encode, "batch", lambda ts: [encode(t) for t in ts]
    )
    rows: dict[tuple[int, ...], int] = {}  # tokens -> index of the text
    skipped = repeated = 0
    at = 0
    while len(rows) < n_texts and at < len(order):
        piece = [int(i) for i in order[at : at + max(16, min(n_texts - len(rows), 512))]]
        at += len(piece)
        for index, encoded in zip(piece, batch([corpus.texts[i] for i in piece]), strict=True):
            if len(rows) == n_texts:
                break  # the surplus of the last batch: neither chosen nor skipped
            if len(encoded) < context:
                skipped += 1
                continue
            tokens = tuple(encoded[:context])
            repeated += tokens in rows
            rows.setdefault(tokens, index)
    if len(rows) < least(n_texts, fewer=fewer):
        raise LayerclaimsError(
            f"The corpus {shown(corpus.name)} has {len(rows)} different texts of {context} tokens or more, of "
            f"{len(corpus.texts)} in all, but {n_texts} are asked for; lower --n-texts or --context, or give "
            "a larger corpus."
        )
    ids = np.array(list(rows), dtype="<i8")
    digest = hashlib.sha256(f"{len(rows)} {context}\n".encode() + ids.tobytes())
    return Selection(
        ids=ids.astype(np.int64),
        document_ids=tuple(rows.values()),
        skipped=skipped,
        repeated=repeated,
        n_available=len(corpus.texts),
        sha256=digest.hexdigest(),
    )
