"""Prepared: what all processes that make shards of one store have to agree on, written before the first of them."""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from layerclaims.activations.store import STORE_VERSION
from layerclaims.corpora.corpus import Corpus
from layerclaims.corpora.selection import Selection
from layerclaims.models.source import ModelSource
from layerclaims.runtime.files import read_file, write_whole
from numpy.typing import NDArray

PREPARED: Final = "prepared.json"  # beside the shards until the manifest says the same


def capture_key(
    source: ModelSource,
    corpus_sha256: str,
    *,
    n_texts: int,
    context: int,
    seed: int,
    dtype: str = "float32",
    initialise: int | None = None,
    fewer: bool = False,
    in_order: bool = False,
) -> dict[str, Any]:
    """Everything that changes a number of a store, and nothing else: no path, time or name. Plain JSON types."""
    return {
        "schema_version": STORE_VERSION,
        "weights_sha256": source.weights_sha256,
        "tokenizer_sha256": source.tokenizer_sha256,
        "corpus_sha256": corpus_sha256,
        "n_texts": n_texts,
        "context": context,
        "seed": seed,
        "dtype": dtype,
        "initialise": initialise,
        **({"fewer": True} if fewer else {}),
        **({"in_order": True} if in_order else {}),
    }


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The documents of a store and their tokens."""

    corpus: Mapping[str, Any]  # as the manifest has it
    document_ids: tuple[int, ...]
    ids: NDArray[np.int64]  # [documents, context]


def chosen(corpus: Corpus, selection: Selection) -> Prepared:
    """What is prepared of a corpus' documents."""
    return Prepared(
        corpus={
            "name": corpus.name,
            "revision": corpus.revision,
            "sha256": corpus.sha256,
            "n_texts": len(selection.ids),
            "n_available": selection.n_available,
            "skipped": selection.skipped,
            "repeated": selection.repeated,
            "ids_sha256": selection.sha256,
        },
        document_ids=selection.document_ids,
        ids=selection.ids,
    )


def read_prepared(directory: Path, key: Mapping[str, Any]) -> Prepared | None:
    """What another process prepared for the store of a key; None where that is absent, damaged or another's."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        content = json.loads(read_file(directory / PREPARED))
        if content.pop("sha256") == _digest(content) and content["key"] == key:
            return Prepared(
                corpus=content["corpus"],
                document_ids=tuple(content["document_ids"]),
                ids=np.array(content["token_ids"], dtype=np.int64),
            )
    return None


def write_prepared(directory: Path, key: Mapping[str, Any], prepared: Prepared) -> None:
    """Write it whole, with a checksum of itself. Raises LayerclaimsError."""
    content = {
        "key": dict(key),
        "corpus": dict(prepared.corpus),
        "document_ids": list(prepared.document_ids),
        "token_ids": prepared.ids.tolist(),
    }
    text = json.dumps({**content, "sha256": _digest(content)}, separators=(",", ":"), allow_nan=False)
    write_whole(directory / PREPARED, text.encode() + b"\n")


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
