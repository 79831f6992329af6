"""`layerclaims capture`: writes the states of a model to the cache."""

import argparse
from typing import Any

from layerclaims.cli.cache import add_cache_dir, cache_dir
from layerclaims.cli.parser import UsageError, command
from layerclaims.runtime.text import inert


def add_capture(commands: Any) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "capture",
        _capture,
        "Capture a model's states and stop there. A later run of the claims finds them in the cache.",
        "layerclaims capture gpt2 --corpus imdb --corpus ag_news --n-texts 1000",
    )
    parser.add_argument("model", metavar="MODEL", help="as pytest's --model: a hub id, a path, or 'embedded'")
    parser.add_argument(
        "--corpus", action="append", metavar="NAME", help="repeatable; without it, both corpora of the model"
    )
    parser.add_argument("--profile", help="quick: 200 texts; paper (default): 1,000; pile: 5,000")
    parser.add_argument("--n-texts", type=int, metavar="N", help="texts of each corpus")
    parser.add_argument("--context", type=int, metavar="N", help="tokens of each text (30)")
    parser.add_argument("--seed", type=int, metavar="N", help="of the choice of texts (0)")
    parser.add_argument("--dtype", help="of model and states: float32 (default), bfloat16 or float16")
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto (default), cpu, cuda, mps")
    parser.add_argument("--batch-size", type=int, metavar="N", help="texts in a forward pass (auto)")
    add_cache_dir(parser)
    parser.add_argument("--offline", action="store_true", help="never ask the hub")


def _capture(arguments: argparse.Namespace) -> int:
    from functools import cache

    from layerclaims.corpora import load as corpora
    from layerclaims.models.source import check_model_name, resolve
    from layerclaims.protocol import resolve_options
    from layerclaims.runtime import progress

    given = {
        name: (getattr(arguments, name), "command line")
        for name in ("model", "profile", "n_texts", "context", "seed", "dtype")
        if getattr(arguments, name) is not None
    }
    protocol = resolve_options(given)
    if arguments.batch_size is not None and arguments.batch_size < 1:
        raise UsageError(f"--batch-size {arguments.batch_size} is not possible: it has to be above 0.")
    names = list(dict.fromkeys(arguments.corpus or (protocol.corpus, protocol.transfer_corpus)))
    check_model_name(protocol.model)
    for name in names:
        corpora.check_corpus_name(name)
    progress.attach()
    from layerclaims.activations.capture import capture
    from layerclaims.models.model import LanguageModel

    source = resolve(protocol.model, offline=arguments.offline)

    @cache
    def load() -> LanguageModel:
        return LanguageModel.load(source, device=arguments.device, dtype=protocol.dtype)

    for name in names:
        store = capture(
            source,
            corpora.load_corpus(name, offline=arguments.offline),
            cache_dir=cache_dir(arguments),
            n_texts=protocol.n_texts,
            context=protocol.context,
            seed=protocol.seed,
            dtype=protocol.dtype,
            device=arguments.device,
            batch_size=arguments.batch_size,
            load=load,
        )
        print(
            f"{inert(name)}: {store.n_states} states x {store.n_documents} texts x {store.n_positions} tokens "
            f"x {store.hidden_size} in {inert(store.directory)}"
        )
    return 0
