"""`layerclaims fetch`: brings a model and its texts into the hub's local cache, for a machine without network."""

import argparse
from pathlib import Path
from typing import Any

from layerclaims.cli.parser import command
from layerclaims.runtime.text import byte_size, inert


def add_fetch(commands: Any) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "fetch",
        _fetch,
        "Fetch a model and texts from the hub into its local cache. A later run with --offline needs no network. What "
        "is in the cache is not fetched again. Set HF_HOME to a folder that the machine without network can read.",
        "layerclaims fetch gpt2 imdb ag_news",
    )
    parser.add_argument("model", metavar="MODEL", help="the model, named as for pytest --model")
    parser.add_argument("corpora", nargs="*", metavar="CORPUS", help="texts, named as for pytest --corpus")
    parser.add_argument("--adapter", metavar="NAME", help="a LoRA adapter for the model")
    parser.add_argument("--tokenizer", metavar="NAME", help="a tokenizer in place of the model's own")


def _fetch(arguments: argparse.Namespace) -> int:
    from layerclaims.corpora.load import check_corpus_name, load_corpus
    from layerclaims.models.source import check_model_name, resolve
    from layerclaims.runtime import progress

    changes = {"adapter": arguments.adapter, "tokenizer": arguments.tokenizer}
    check_model_name(arguments.model, **changes)
    for name in arguments.corpora:
        check_corpus_name(name)
    progress.attach()
    source = resolve(arguments.model, **changes)
    places = [source.path, source.tokenizer_path, None if source.adapter is None else source.adapter.path]
    revision = f", commit {source.revision}" if source.revision is not None else ""
    print(f"{inert(source.name)}{revision}: {byte_size(sum(map(_size, filter(None, places))))}")
    for place in filter(None, places):
        print(f"  in {inert(place)}")
    for name in arguments.corpora:
        corpus = load_corpus(name)
        revision = f", commit {corpus.revision}" if corpus.revision is not None else ""
        print(f"{inert(name)}{revision}: {len(corpus.texts):,} texts")
    return 0


def _size(directory: Path) -> int:
    """Bytes of the files in a directory itself, links followed."""
    return sum(path.stat().st_size for path in directory.iterdir() if path.is_file())
