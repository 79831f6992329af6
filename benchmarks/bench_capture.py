"""Capturing every state of the embedded model against transformers' bare forward pass, which keeps none.

Where nnsight is installed (`.venv/bin/python -m pip install nnsight`), its trace is a peer too: it keeps the
states of one batch in memory.
"""

import contextlib
import functools
import importlib.util
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import common

TEXTS, CONTEXT = 96, 30
BATCHES = (16, 32)  # of the bare pass; capture chooses its own
ROUNDS = 3  # of all in turn, since the machine's speed drifts


def _model_and_ids(texts: int) -> tuple[Any, Any, Any]:
    import torch
    from layerclaims.corpora.load import load_corpus
    from layerclaims.corpora.selection import select
    from layerclaims.models.model import LanguageModel
    from layerclaims.models.source import resolve
    from layerclaims.models.tokenizer import Tokenizer

    source, corpus = resolve("embedded"), load_corpus("embedded:movies")
    chosen = select(corpus, Tokenizer(source), n_texts=texts, context=CONTEXT, seed=0)
    model = LanguageModel.load(source, device="cpu", dtype="float32")
    ids = torch.from_numpy(chosen.ids)
    model.states(ids[:8])  # what is made at the first call is nobody's cost
    return source, model, ids


@contextlib.contextmanager
def _memory() -> Iterator[list[int]]:
    """Resident bytes, now and every 20 ms: the peak of the process is that of loading the model."""
    import psutil

    process, done = psutil.Process(), threading.Event()
    seen = [process.memory_info().rss]

    def watch() -> None:
        while not done.wait(0.02):
            seen.append(process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def rates(texts: str) -> None:
    """Tokens a second of the model alone and of capture, in turn on the same ids; the best of each counts.

    Capture is timed with all states on disk, checksums and manifest included.
    """
    import torch
    from transformers import AutoModel

    source, model, ids = _model_and_ids(int(texts))

    def load() -> Any:
        return AutoModel.from_pretrained(source.path, gguf_file=source.gguf_file, dtype=torch.float32).eval()

    bare = load()

    def alone(batch: int) -> None:
        with torch.inference_mode():
            for start in range(0, len(ids), batch):
                bare(input_ids=ids[start : start + batch], use_cache=False)

    peers = {str(batch): functools.partial(alone, batch) for batch in BATCHES}
    if importlib.util.find_spec("nnsight") is not None:
        peers["nnsight"] = _traced(load(), ids)
    for once in peers.values():
        once()  # what is made at the first call is nobody's cost
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, once in peers.items():
            found.setdefault(name, []).append(common.timed(once)[1])
        found.setdefault("capture", []).append(_capture(source, model, int(texts)))
    common.answer(rates={name: ids.numel() / min(seconds) for name, seconds in found.items()})


def _traced(bare: Any, ids: Any) -> Callable[[], None]:
    """All blocks' outputs through nnsight, a batch at a time."""
    import nnsight
    import torch

    model = nnsight.NNsight(bare)

    def once() -> None:
        with torch.inference_mode():
            for start in range(0, len(ids), BATCHES[0]):
                with model.trace(input_ids=ids[start : start + BATCHES[0]], use_cache=False):
                    states = [block.output for block in model.layers].save()
                assert len(states) == len(bare.layers)

    return once


def memory(texts: str) -> None:
    """What a capture takes beyond the model."""
    source, model, _ = _model_and_ids(int(texts))
    with _memory() as seen:
        _capture(source, model, int(texts))
    common.answer(grown=max(seen) - seen[0])


def _capture(source: Any, model: Any, texts: int) -> float:
    """Seconds."""
    from layerclaims.activations.capture import capture
    from layerclaims.corpora.load import load_corpus

    corpus = load_corpus("embedded:movies")  # the bare pass finds its ids read and selected too
    with tempfile.TemporaryDirectory() as directory:
        return common.timed(
            lambda: capture(
                source, corpus, cache_dir=Path(directory), n_texts=texts, context=CONTEXT, seed=0,
                load=lambda: model, progress=False,
            )
        )[1]  # fmt: skip


def main() -> None:
    options = common.parser(__doc__ or "")
    options.add_argument("texts", nargs="?", help="number of texts, for a child")
    given = options.parse_args()
    if given.contender:
        {"rates": rates, "memory": memory}[given.contender](given.texts)
        return
    rate = common.in_child(__file__, "rates", str(TEXTS))["rates"]
    few, all_ = (common.in_child(__file__, "memory", str(n))["grown"] for n in (TEXTS // 4, TEXTS))
    names = {str(batch): f"bare forward, {batch} texts at a time" for batch in BATCHES}
    best = max(rate[name] for name in names)
    rows = [
        *(common.row(what, rate[name], "tokens/s") for name, what in names.items()),
        *(
            common.row(what, rate[name], "tokens/s", peer=best, target=target)
            for name, what, target in (("nnsight", "nnsight's trace", ""), ("capture", "capture", ".9"))
            if name in rate
        ),
        common.row("memory beyond the model", all_ / 1e6, "MB", target="300 MB"),
        common.row("the same for a quarter of the texts", few / 1e6, "MB", target="flat"),
    ]
    common.write("capture", rows, texts=TEXTS, context=CONTEXT, model="embedded", rounds=ROUNDS)


if __name__ == "__main__":
    main()
