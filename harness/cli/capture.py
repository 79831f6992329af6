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
    parser.add_argument("model", metavar="MODEL", help="the model, named as for pytest --model")
    parser.add_argument(
        "--corpus",
        action="append",
        metavar="NAME",
        help="the texts; repeat the option for several. Default: both corpora of the model",
    )
    parser.add_argument(
        "--profile", help="how many texts: quick takes 200, paper 1,000, pile 5,000. Default: paper"
    )
    parser.add_argument(
        "--n-texts", type=int, metavar="N", help="take N texts of each corpus, whatever the profile says"
    )
    parser.add_argument(
        "--context", type=int, metavar="N", help="read the first N tokens of each text. Default: 30"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="the seed that chooses the texts. Default: 0")
    parser.add_argument("--adapter", metavar="NAME", help="a LoRA adapter for the model")
    parser.add_argument("--tokenizer", metavar="NAME", help="a tokenizer in place of the model's own")
    parser.add_argument(
        "--dtype",
        help="the type of the model's numbers and of the states, as for pytest --dtype. Default: auto",
    )
    parser.add_argument(
        "--device-map",
        default="none",
        metavar="NAME",
        help="auto spreads a model that one device cannot hold over GPUs, memory and disk. Default: none",
    )
    parser.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help="where the model runs: auto, cpu, cuda or mps. Default: auto",
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="how many texts one forward pass reads. Default: chosen by length",
    )
    add_cache_dir(parser)
    parser.add_argument("--offline", action="store_true", help="never ask the hub; read what its cache holds")


def _capture(arguments: argparse.Namespace) -> int:
    from functools import cache

    from layerclaims.corpora import load as corpora
    from layerclaims.corpora.selection import check_enough
    from layerclaims.models.formats import check_format, format_of
    from layerclaims.models.placement import check_device_map
    from layerclaims.models.source import check_model_name, resolve
    from layerclaims.protocol import resolve_options
    from layerclaims.runtime import progress

    given = {
        name: (getattr(arguments, name), "command line")
        for name in ("model", "profile", "n_texts", "context", "seed", "dtype", "adapter", "tokenizer")
        if getattr(arguments, name) is not None
    }
    protocol = resolve_options(given)
    if arguments.batch_size is not None and arguments.batch_size < 1:
        raise UsageError(f"--batch-size {arguments.batch_size} is not possible: it has to be above 0.")
    names = list(dict.fromkeys(arguments.corpus or (protocol.corpus, protocol.transfer_corpus)))
    check_model_name(protocol.model, adapter=protocol.adapter, tokenizer=protocol.tokenizer)
    check_format(protocol.dtype)
    check_device_map(arguments.device_map, arguments.device)
    for name in names:
        corpora.check_corpus_name(name)
    progress.attach()
    from layerclaims.activations.capture import capture
    from layerclaims.models.model import LanguageModel

    found = [corpora.load_corpus(name, offline=arguments.offline) for name in names]
    for corpus in found:
        check_enough(corpus, n_texts=protocol.n_texts, context=protocol.context)
    source = resolve(
        protocol.model, offline=arguments.offline, adapter=protocol.adapter, tokenizer=protocol.tokenizer
    )
    dtype = format_of(source, protocol.dtype, device=arguments.device)

    @cache
    def load() -> LanguageModel:
        return LanguageModel.load(
            source,
            device=arguments.device,
            dtype=dtype,
            device_map=arguments.device_map,
            offload_dir=cache_dir(arguments) / "offload",
        )

    for corpus in found:
        store = capture(
            source,
            corpus,
            cache_dir=cache_dir(arguments),
            n_texts=protocol.n_texts,
            context=protocol.context,
            seed=protocol.seed,
            dtype=dtype,
            device=arguments.device,
            batch_size=arguments.batch_size,
            load=load,
        )
        print(
            f"{inert(corpus.name)}: {store.n_states} states x {store.n_documents} texts x {store.n_positions} tokens "
            f"x {store.hidden_size} in {inert(store.directory)}"
        )
    return 0
