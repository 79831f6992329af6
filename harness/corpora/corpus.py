"""Corpus: the documents behind a name, and the same without punctuation."""

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Literal

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import shown

Role = Literal[
    "main",
    "transfer",
    "main without punctuation",
    "transfer without punctuation",
    "transfer as published",
]
PLAIN: Final[tuple[Role, ...]] = ("main", "transfer")
STRIPPED: Final[tuple[Role, ...]] = ("main without punctuation", "transfer without punctuation")  # of PLAIN
PUBLISHED: Final[Role] = "transfer as published"
ROLES: Final[tuple[Role, ...]] = (*PLAIN, *STRIPPED, PUBLISHED)
WORDS: Final = 2  # a token of context: the authors cut texts to so many words, and took longer news only


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Texts in the order of their source."""

    name: str  # as the user gave it
    revision: str | None  # commit on the hub, or version of the embedded package
    texts: Sequence[str] = field(repr=False)
    sha256: str  # of the texts, in order


def make_corpus(name: str, texts: Iterable[str], *, revision: str | None = None) -> Corpus:
    """A corpus of these texts. Lone surrogates, which no tokenizer accepts, become U+FFFD."""
    kept: list[str] = []
    digest = hashlib.sha256()
    for text in texts:
        try:
            data = text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            data = text.encode()
        kept.append(text)
        digest.update(len(data).to_bytes(8, "little"))  # lengths: ["ab", "c"] is not ["a", "bc"]
        digest.update(data)
    return Corpus(name=name, revision=revision, texts=kept, sha256=digest.hexdigest())


def check_different(main: Corpus, transfer: Corpus) -> None:
    """Raise LayerclaimsError where two corpora hold the same texts, in whatever order: nothing transfers there."""
    if main.sha256 == transfer.sha256 or set(main.texts) == set(transfer.texts):
        raise LayerclaimsError(
            f"The corpora {shown(main.name)} and {shown(transfer.name)} hold the same texts, and claims about transfer "
            "are about other texts; name another --transfer-corpus, or give none."
        )


def without_punctuation(corpus: Corpus) -> Corpus:
    """The same texts, in the same places, with a space for each punctuation mark (Unicode P) and symbol (S)."""

    def strip(text: str) -> str:
        for mark in filter(_is_mark, set(text)):  # a corpus has few characters, a text a thousand
            text = text.replace(mark, " ")
        return " ".join(text.split())

    return make_corpus(
        f"{corpus.name} without punctuation", map(strip, corpus.texts), revision=corpus.revision
    )


def longer(corpus: Corpus, context: int) -> Corpus:
    """The texts of more than 2 x context words, in the same places and cut to so many words; the others empty.

    So the authors chose the news that they tested their probe on.
    """
    most = WORDS * context

    def cut(text: str) -> str:
        words = text.split()
        return " ".join(words[:most]) if len(words) > most else ""

    return make_corpus(
        f"{corpus.name}, texts of more than {most} words", map(cut, corpus.texts), revision=corpus.revision
    )


@cache
def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"
