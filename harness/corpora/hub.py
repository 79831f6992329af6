"""Corpora of the hub: the Parquet files of a data set's split, out of the cache of the hub's client."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from layerclaims.corpora.corpus import Corpus, make_corpus
from layerclaims.corpora.files import DEFAULT_COLUMN, READERS, read_texts
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.hub import Get, HubError, Repository, is_revision, obtain
from layerclaims.runtime.text import shown


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A column of a split of a data set of the hub."""

    repository: str  # owner/name
    revision: str | None = None  # None: main
    folder: str = ""  # of the files, for a data set that has several sets of them
    column: str = DEFAULT_COLUMN
    split: str = "train"


HUB: Final[Mapping[str, str]] = {
    "imdb": "stanfordnlp/imdb",
    "ag_news": "fancyzhx/ag_news",
    # the first 10,000 documents of the Pile: the whole is no longer distributed by its authors
    "pile": "NeelNanda/pile-10k",
}  # short name -> data set
PREFIX: Final = "hf:"  # of any other data set
_PART: Final = r"[A-Za-z0-9_](?:[\w.-]{0,94}\w)?"
# a branch of every public data set, in which the hub keeps it as Parquet
CONVERTED: Final = "refs/convert/parquet"


def hub_name(name: str) -> tuple[str, str | None] | None:
    """Key of HUB and revision of `KEY@REVISION` or `KEY`, None for another name; raises LayerclaimsError."""
    short, separator, revision = name.partition("@")
    if short not in HUB:
        return None
    _check_revision(revision if separator else None)
    return short, revision if separator else None


def data_set(name: str) -> DataSet | None:
    """The data set of a key of HUB, or of `hf:OWNER/NAME`, with `/FOLDER`, `@REVISION` and `::COLUMN` if wanted.

    None for another name; raises LayerclaimsError.
    """
    if (known := hub_name(name)) is not None:
        return DataSet(repository=HUB[known[0]], revision=known[1])
    if not name.startswith(PREFIX):
        return None
    place, _, column = name.removeprefix(PREFIX).partition("::")
    place, separator, revision = place.partition("@")
    _check_revision(revision if separator else None)
    parts = place.split("/")
    if not all(re.fullmatch(_PART, part) for part in parts) or re.search(r"\.\.|--", place):
        raise LayerclaimsError(
            f"{shown(name)} is not the name of a data set: give hf:OWNER/NAME, with /FOLDER, @REVISION and ::COLUMN "
            "after it if wanted."
        )
    return DataSet(
        repository="/".join(parts[:2]),
        revision=revision if separator else None,
        folder="/".join(parts[2:]),
        column=column or DEFAULT_COLUMN,
    )


def _check_revision(revision: str | None) -> None:
    if revision is not None and not is_revision(revision):
        raise LayerclaimsError(
            f"{shown(revision)} is not a revision: give a commit, branch or tag after the @."
        )


def load_hub(name: str, wanted: DataSet, *, offline: bool) -> Corpus:
    """A data set of the hub, out of the local cache or from the hub, with the commit that was read.

    Raises LayerclaimsError.
    """

    def fetch(there: frozenset[str], get: Get) -> None:
        get(*_shards(there, wanted))

    def missing(snapshot: Path) -> str | None:
        try:
            _shards(_files(snapshot), wanted)
        except HubError:
            return f"{wanted.split}-*.parquet"
        return None

    source = Repository(kind="dataset", name=wanted.repository, revision=wanted.revision or "main")
    try:
        snapshot = obtain(source, fetch=fetch, missing=missing, offline=offline)
        shards = [snapshot / file for file in _shards(_files(snapshot), wanted)]
    except HubError as error:
        raise LayerclaimsError(
            f"The corpus {shown(name)} (data set {wanted.repository} of the hub) {error}; give a local file "
            f"({', '.join(READERS)}), embedded:movies and embedded:news, or set HF_ENDPOINT to a mirror."
        ) from error
    corpus = make_corpus(
        name, (text for shard in shards for text in read_texts(shard, wanted.column)), revision=snapshot.name
    )
    if not corpus.texts:
        raise LayerclaimsError(
            f"The data set {wanted.repository} of the hub holds no texts; name another one."
        )
    return corpus


def _files(snapshot: Path) -> frozenset[str]:
    """Names of the Parquet files of a snapshot that can be read, as the repository has them."""
    found = (path for path in snapshot.rglob("*.parquet") if path.is_file())
    return frozenset(path.relative_to(snapshot).as_posix() for path in found)


def _shards(files: Iterable[str], wanted: DataSet) -> list[str]:
    """Names of the files of a split, in order; raises HubError unless there is one set of them, and whole.

    A name says how many there are: `data/train-00000-of-00002.parquet`, with a checksum after it in older ones. What
    the hub converted is `default/train/0000.parquet`, and a small data set may be one `train.parquet`.
    """
    split = wanted.split
    numbered = rf"{split}-(\d{{5}})-of-(\d{{5}})(?:-[0-9a-f]+)?"
    pattern = rf"((?:[\w-][\w.-]*/)*?)(?:{numbered}|{split}/(\d{{4,5}})|{split})\.parquet"
    found = [match for file in sorted(files) if (match := re.fullmatch(pattern, file))]
    if wanted.folder:
        found = [match for match in found if match[1].rstrip("/") == wanted.folder]
    if not found:
        where = f" in the folder {shown(wanted.folder)}" if wanted.folder else ""
        raise HubError(
            f"holds no Parquet file of its split {shown(split)}{where}, as in {split}-00000-of-00001.parquet (the hub "
            f"may have it as Parquet at the revision {CONVERTED})"
        )
    folders = sorted({match[1].rstrip("/") for match in found})
    if len(folders) > 1:
        named = ", ".join(shown(folder) for folder in folders[:8])
        raise HubError(
            f"does not hold one whole set of Parquet files of its split {shown(split)} but several, in the folders "
            f"{named}: name one, as in hf:{wanted.repository}/{folders[0]}"
        )
    numbers = [int(match[2] or match[4] or 0) for match in found]
    counts = {match[3] for match in found}
    if len(counts) > 1 or numbers != list(range(int(found[0][3] or len(found)))):
        raise HubError(f"does not hold one whole set of Parquet files of its split {shown(split)}")
    return [match[0] for match in found]
