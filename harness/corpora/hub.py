"""Corpora of the hub: the Parquet files of a data set's split, out of the cache of the hub's client."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from layerclaims.corpora.corpus import Corpus, make_corpus
from layerclaims.corpora.files import READERS, read_texts
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.hub import Get, HubError, Repository, is_revision, obtain
from layerclaims.runtime.text import shown

# name -> (data set of the hub, split, column)
HUB: Final[dict[str, tuple[str, str, str]]] = {
    "imdb": ("stanfordnlp/imdb", "train", "text"),
    "ag_news": ("fancyzhx/ag_news", "train", "text"),
    # the first 10,000 documents of the Pile: the whole is no longer distributed by its authors
    "pile": ("NeelNanda/pile-10k", "train", "text"),
}


def hub_name(name: str) -> tuple[str, str | None] | None:
    """Key of HUB and revision of `KEY@REVISION` or `KEY`, None for another name; raises LayerclaimsError."""
    short, separator, revision = name.partition("@")
    if short not in HUB:
        return None
    if separator and not is_revision(revision):
        raise LayerclaimsError(
            f"{shown(revision)} is not a revision: give a commit, branch or tag after the @."
        )
    return short, revision or None


def load_hub(name: str, short: str, revision: str | None, *, offline: bool) -> Corpus:
    """A data set of HUB, out of the local cache or from the hub, with the commit that was read.

    Raises LayerclaimsError.
    """
    repository, split, column = HUB[short]

    def fetch(there: frozenset[str], get: Get) -> None:
        for file in _shards(there, split):
            get(file)

    def missing(snapshot: Path) -> str | None:
        try:
            _shards(_files(snapshot), split)
        except HubError:
            return f"{split}-*.parquet"
        return None

    source = Repository(kind="dataset", name=repository, revision=revision or "main")
    try:
        snapshot = obtain(source, fetch=fetch, missing=missing, offline=offline)
        shards = [snapshot / file for file in _shards(_files(snapshot), split)]
    except HubError as error:
        raise LayerclaimsError(
            f"The corpus {shown(name)} (data set {repository} of the hub) {error}; give a local file "
            f"({', '.join(READERS)}), embedded:movies and embedded:news, or set HF_ENDPOINT to a mirror."
        ) from error
    texts = (text for shard in shards for text in read_texts(shard, column))
    return make_corpus(name, texts, revision=snapshot.name)


def _files(snapshot: Path) -> frozenset[str]:
    """Names of the Parquet files of a snapshot that can be read, as the repository has them."""
    found = (path for path in snapshot.rglob("*.parquet") if path.is_file())
    return frozenset(path.relative_to(snapshot).as_posix() for path in found)


def _shards(files: Iterable[str], split: str) -> list[str]:
    """Names of the files of a split, in order; raises HubError unless there is one set of them, and whole.

    A name says how many there are: `data/train-00000-of-00002.parquet`, with a checksum after it in older ones.
    """
    pattern = rf"((?:[\w-][\w.-]*/)*){split}-(\d{{5}})-of-(\d{{5}})(?:-[0-9a-f]+)?\.parquet"
    found = [match for file in sorted(files) if (match := re.fullmatch(pattern, file))]
    sets = {(match[1], match[3]) for match in found}
    if not sets:
        raise HubError(
            f"holds no Parquet file of its split {shown(split)}, as in {split}-00000-of-00001.parquet"
        )
    if len(sets) > 1 or [int(match[2]) for match in found] != list(range(int(found[0][3]))):
        raise HubError(f"does not hold one whole set of Parquet files of its split {shown(split)}")
    return [match[0] for match in found]
