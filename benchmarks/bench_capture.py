"""Capturing every state of the embedded model against transformers' bare forward pass, which keeps none."""

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import common

TEXTS, CONTEXT = 200, 30  # all of the embedded corpus
BATCHES = (16, 64)  # of the bare pass; capture chooses its own


def _model_and_ids(texts: int) -> tuple[Any, Any, Any]:
    import torch

    from harness.corpora import load_corpus, select
    from harness.models import LanguageModel, Tokenizer, resolve

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


def bare(texts: str, batch: str) -> None:
    """Tokens a second of the model alone, on the same ids."""
    import torch
    from transformers import AutoModel

    source, _, ids = _model_and_ids(int(texts))
    model = AutoModel.from_pretrained(source.path, gguf_file=source.gguf_file, dtype=torch.float32).eval()

    def work() -> None:
        with torch.inference_mode():
            for start in range(0, len(ids), int(batch)):
                model(input_ids=ids[start : start + int(batch)], use_cache=False)

    with torch.inference_mode():
        model(input_ids=ids[:8], use_cache=False)
    common.answer(rate=ids.numel() / common.timed(work)[1])


def capture(texts: str) -> None:
    """The same with all states on disk, checksums and manifest included; and what memory it takes."""
    from harness.capture import capture as run
    from harness.corpora import load_corpus

    source, model, ids = _model_and_ids(int(texts))
    with tempfile.TemporaryDirectory() as directory, _memory() as memory:
        _, seconds = common.timed(
            lambda: run(
                source, load_corpus("embedded:movies"), cache_dir=Path(directory), n_texts=int(texts),
                context=CONTEXT, seed=0, load=lambda: model, progress=False,
            )
        )  # fmt: skip
    common.answer(rate=ids.numel() / seconds, grown=max(memory) - memory[0])


def main() -> None:
    options = common.parser(__doc__ or "")
    options.add_argument("numbers", nargs="*", help="texts and batch size, for a child")
    given = options.parse_args()
    if given.contender:
        {"bare": bare, "capture": capture}[given.contender](*given.numbers)
        return
    rates = {batch: common.in_child(__file__, "bare", str(TEXTS), str(batch))["rate"] for batch in BATCHES}
    few = common.in_child(__file__, "capture", str(TEXTS // 4))
    mine = common.in_child(__file__, "capture", str(TEXTS))
    again = common.in_child(__file__, "bare", str(TEXTS), str(max(rates, key=rates.__getitem__)))["rate"]
    best = (max(rates.values()) + again) / 2  # measured before and after: the machine drifts
    rows = [
        *(common.row(f"bare forward, {batch} texts at a time", rate, "tokens/s") for batch, rate in rates.items()),
        common.row("capture", mine["rate"], "tokens/s", peer=best, target=".9"),
        common.row(
            "memory beyond the model", mine["grown"] / 1e6, "MB", target="300 MB"
        ),
        common.row(
            "the same for a quarter of the texts", few["grown"] / 1e6, "MB",
            target="flat",
        ),
    ]  # fmt: skip
    common.write("capture", rows, texts=TEXTS, context=CONTEXT, model="embedded")


if __name__ == "__main__":
    main()
