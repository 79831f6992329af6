"""Corpora of the hub."""

import contextlib
import re
import warnings
from collections.abc import Iterator
from typing import Any, Final

from layerclaims.corpora.corpus import Corpus, make_corpus
from layerclaims.corpora.files import READERS
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import brief, shown

# name -> (data set of the hub, configuration, split, column)
HUB: Final[dict[str, tuple[str, str | None, str, str]]] = {
    "imdb": ("stanfordnlp/imdb", None, "train", "text"),
    "ag_news": ("fancyzhx/ag_news", None, "train", "text"),
    # the first 10,000 documents of the Pile: the whole is no longer distributed by its authors
    "pile": ("NeelNanda/pile-10k", None, "train", "text"),
}


def hub_name(name: str) -> tuple[str, str | None] | None:
    """Key of HUB and revision of `KEY@REVISION` or `KEY`, None for another name; raises LayerclaimsError."""
    short, _, revision = name.partition("@")
    if short not in HUB:
        return None
    if revision and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", revision):
        raise LayerclaimsError(
            f"{shown(revision)} is not a revision: give a commit, branch or tag after the @."
        )
    return short, revision or None


def load_hub(name: str, short: str, revision: str | None, *, offline: bool) -> Corpus:
    """A data set of HUB, out of the local cache or from the hub; raises LayerclaimsError."""
    import datasets
    from huggingface_hub import HfApi, constants

    repository, configuration, split, column = HUB[short]
    commit = None
    why = "is not in the local cache"
    try:
        with _hushed(offline or constants.HF_HUB_OFFLINE) as cache_only:
            if not cache_only:
                # one quick question first: `datasets` asks an absent hub six times, for half a minute
                commit = HfApi().dataset_info(repository, revision=revision, timeout=10).sha
    except Exception as error:  # the client raises a dozen kinds, and changes them
        why = f"is not in the local cache, and the hub gives {brief(error)}"
        cache_only = True
    try:
        with _hushed(cache_only):
            rows = datasets.load_dataset(repository, configuration, split=split, revision=commit or revision)
            return make_corpus(name, rows[column][:], revision=commit or _dataset_commit(rows) or revision)
    except (LayerclaimsError, MemoryError):
        raise
    except Exception as error:
        if not cache_only:
            why = f"could not be read ({brief(error)})"
        raise LayerclaimsError(
            f"The corpus {shown(name)} (data set {repository} of the hub) {why}; give a local file "
            f"({', '.join(READERS)}), embedded:movies and embedded:news, or set HF_ENDPOINT to a mirror."
        ) from error


@contextlib.contextmanager
def _hushed(cache_only: bool) -> Iterator[bool]:
    """Keep the hub's libraries quiet and, if wished, off the network; puts their settings back."""
    import datasets
    from datasets import config
    from huggingface_hub import constants
    from huggingface_hub.utils import logging

    bars, level = datasets.utils.is_progress_bar_enabled(), logging.get_verbosity()
    before = constants.HF_HUB_OFFLINE, config.HF_HUB_OFFLINE
    datasets.utils.disable_progress_bars()
    logging.set_verbosity(40)  # errors only
    if cache_only:
        constants.HF_HUB_OFFLINE = config.HF_HUB_OFFLINE = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield cache_only
    finally:
        constants.HF_HUB_OFFLINE, config.HF_HUB_OFFLINE = before
        logging.set_verbosity(level)
        if bars:
            datasets.utils.enable_progress_bars()


def _dataset_commit(rows: Any) -> str | None:
    """The commit that the data came from, out of the addresses that the library notes down."""
    for address in getattr(rows.info, "download_checksums", None) or {}:
        if found := re.search(r"@([0-9a-f]{40})/", str(address)):
            return found[1]
    return None
