"""Model x corpus -> ActivationStore: streamed to shards, resumable, done once however many processes ask."""

import dataclasses
import math
import shutil
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layerclaims.activations.plan import Plan, make_plan
from layerclaims.activations.shards import shard_record, write_shard
from layerclaims.activations.store import STORE_VERSION, ActivationStore, write_manifest
from layerclaims.corpora.corpus import Corpus
from layerclaims.corpora.selection import Selection, select
from layerclaims.errors import LayerclaimsError
from layerclaims.models.model import LanguageModel
from layerclaims.models.source import ModelSource
from layerclaims.models.tokenizer import Tokenizer
from layerclaims.runtime import progress as screen
from layerclaims.runtime import threads as cores
from layerclaims.runtime.dtypes import DTYPES, check_dtype, states_in
from layerclaims.runtime.files import check_writable, locked, sweep
from layerclaims.runtime.paths import MANIFEST, key_name
from layerclaims.runtime.text import byte_size, shown

if TYPE_CHECKING:
    from torch import Tensor


TOGETHER: Final = 2  # forward passes at a time, each on its own cores
SPARE_BYTES: Final = 64_000_000  # left free on the disk


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


def capture(
    source: ModelSource,
    corpus: Corpus,
    *,
    cache_dir: Path,
    n_texts: int,
    context: int,
    seed: int,
    dtype: str = "float32",
    device: str = "auto",
    batch_size: int | None = None,
    initialise: int | None = None,
    fewer: bool = False,
    in_order: bool = False,
    choose: Callable[[], Selection] | None = None,
    load: Callable[[], LanguageModel] | None = None,
    progress: bool = True,
) -> ActivationStore:
    """The states of `n_texts` documents x `context` tokens at every layer, from the cache or captured now.

    With `fewer` a corpus that has not so many gives all that it has, and says how many those are. With `in_order`
    the documents are the corpus' first ones, and not drawn by `seed`.

    A finished store is opened without tokenizer or model. Otherwise what can fail cheaply comes first: the
    directory, the choice of documents (that of `choose`, if somebody has chosen them already), the free space; then the
    model is loaded, through `load` if given (so that several corpora share one), and shards that an earlier run left
    complete are kept. Memory beyond the
    model is about two shards of 64 MB, whatever `n_texts`. Processes that ask for the same store wait for
    the first one. Raises LayerclaimsError.
    """
    check_dtype(dtype)
    key = capture_key(
        source,
        corpus.sha256,
        n_texts=n_texts,
        context=context,
        seed=seed,
        dtype=dtype,
        initialise=initialise,
        fewer=fewer,
        in_order=in_order,
    )
    directory = cache_dir / "states" / key_name(key)
    if (store := _finished(directory, key)) is not None:
        return store
    check_writable(directory, "--cache-dir")
    with locked(directory / ".lock", notes=progress):
        if (store := _finished(directory, key)) is not None:  # another process was quicker
            return store
        sweep(directory)
        selection = (
            choose()
            if choose is not None
            else select(
                corpus,
                Tokenizer(source),
                n_texts=n_texts,
                context=context,
                seed=seed,
                fewer=fewer,
                in_order=in_order,
            )
        )
        if len(selection.ids) < n_texts and progress:
            screen.note(
                f"layerclaims: {_short(corpus.name)} has {len(selection.ids):,} different texts of {context} tokens or "
                f"more; all of them are taken, where {n_texts:,} are asked for"
            )

        def plan_for(n_blocks: int, hidden_size: int) -> Plan:
            return make_plan(
                n_blocks=n_blocks,
                hidden_size=hidden_size,
                n_texts=len(selection.ids),
                context=context,
                dtype=states_in(dtype),
                batch_size=batch_size,
            )

        label = f"states of {_short(source.name)} on {_short(corpus.name)}"
        early = source.n_blocks is not None and source.hidden_size is not None
        _check_context(source.name, source.max_context, context)
        if source.n_blocks is not None and source.hidden_size is not None:
            _check_space(directory, plan_for(source.n_blocks, source.hidden_size), label, progress)
        if load is None:
            model = LanguageModel.load(source, device=device, dtype=dtype, initialise=initialise)
        else:
            model = load()
        plan = plan_for(model.facts.n_blocks, model.facts.hidden_size)
        if not early:
            _check_context(source.name, model.max_context, context)
            _check_space(directory, plan, label, progress)
        records = _capture_shards(model, selection, plan, directory, label, progress)
        names = {record["name"] for record in records}
        for path in directory.glob("shard-*"):
            if path.with_suffix(".safetensors").name not in names:  # of another store that lay here
                path.unlink(missing_ok=True)
        write_manifest(directory, _manifest(key, model, corpus, selection, plan, records))
        return ActivationStore.open(directory)


def _manifest(
    key: dict[str, Any],
    model: LanguageModel,
    corpus: Corpus,
    selection: Selection,
    plan: Plan,
    records: list[dict[str, Any]],
) -> dict[str, Any]:
    return {
        "schema_version": STORE_VERSION,
        "key": key,
        "model": dataclasses.asdict(model.facts),
        "corpus": {
            "name": corpus.name,
            "revision": corpus.revision,
            "sha256": corpus.sha256,
            "n_texts": plan.n_documents,
            "n_available": selection.n_available,
            "skipped": selection.skipped,
            "repeated": selection.repeated,
            "ids_sha256": selection.sha256,
        },
        "dtype": plan.dtype,
        "axes": ["state", "document", "position", "hidden"],
        "shape": [plan.n_states, plan.n_documents, plan.n_positions, plan.hidden_size],
        "shards": records,
        "document_ids": list(selection.document_ids),
        "token_ids": selection.ids.tolist(),
    }


def _finished(directory: Path, key: dict[str, Any]) -> ActivationStore | None:
    """The store if it is complete; a damaged one is None and mended where it is broken."""
    try:
        store = ActivationStore.open(directory)
    except LayerclaimsError:
        return None
    return store if store.manifest["key"] == key else None


def discard_damaged(store: ActivationStore) -> dict[str, str]:
    """Unfinish a store whose bytes are not those that were written, so that `capture` makes again what is damaged.

    Reads every byte. Gives what is wrong with which file, empty where another process was quicker to mend it. Raises
    LayerclaimsError where nothing can be written.
    """
    check_writable(store.directory, "--cache-dir")
    with locked(store.directory / ".lock"):
        try:
            bad = ActivationStore.open(store.directory).verify()
        except LayerclaimsError as error:
            return {MANIFEST: str(error)}
        if bad:
            (store.directory / MANIFEST).unlink(missing_ok=True)
        return bad


def _short(name: str) -> str:
    return shown(name.rstrip("/").rpartition("/")[2] or name, 60)[1:-1]


def _check_context(name: str, most: int | None, context: int) -> None:
    if most is not None and context > most:
        raise LayerclaimsError(
            f"The context of {context} tokens is longer than the {most} that {shown(name)} was made for; "
            "lower --context."
        )


def _check_space(directory: Path, plan: Plan, label: str, progress: bool) -> None:
    """Say how large the store will be; raises LayerclaimsError if what is missing does not fit the disk."""
    total = plan.document_bytes * plan.n_documents
    there = sum(path.lstat().st_size for path in directory.glob("shard-*.safetensors"))
    free = shutil.disk_usage(directory).free
    if progress:
        screen.note(
            f"layerclaims: {label} take {byte_size(total)} in {directory} ({byte_size(free)} free"
            f"{f', {byte_size(there)} there from an earlier run' if there else ''})"
        )
    if total - there + SPARE_BYTES > free:
        raise LayerclaimsError(
            f"The {label} take {byte_size(total)}, but {shown(directory)} has {byte_size(free)} free; make room, "
            "lower --n-texts or --context, or choose another disk with --cache-dir."
        )


def _capture_shards(
    model: LanguageModel,
    selection: Selection,
    plan: Plan,
    directory: Path,
    label: str,
    progress: bool,
) -> list[dict[str, Any]]:
    """Make the shards that are not there yet; the record of every shard, in order."""
    import torch

    ids = torch.from_numpy(selection.ids)
    shards = plan.shards
    largest = plan.document_bytes * plan.documents_per_shard // DTYPES[plan.dtype].size
    memory = [torch.empty(largest, dtype=getattr(torch, plan.dtype)) for _ in range(2)]
    kept = {
        n: record for n in range(len(shards)) if (record := shard_record(directory, n, plan, directory.name))
    }
    done = sum(len(shards[n]) for n in kept)
    written: list[dict[str, Any]] = []
    waiting: Future[dict[str, Any]] | None = None
    with (
        screen.Progress(label, plan.n_documents, "texts", done=done, enabled=progress) as bar,
        cores.workers(min(TOGETHER, model.passes)) as pool,
        ThreadPoolExecutor(1) as writer,  # hashing and writing need no interpreter lock: the model goes on
    ):
        for number in [n for n in range(len(shards)) if n not in kept]:
            documents = shards[number]
            memory.reverse()  # what was made in the other one is being written
            states = capture_shard(model, ids[documents.start : documents.stop], plan, memory[0], pool)
            if waiting is not None:
                written.append(waiting.result())  # one shard is made, one written: memory stays flat
            waiting = writer.submit(
                write_shard, directory, number, states, model.facts.name, plan, directory.name
            )
            bar.advance(len(documents))
        if waiting is not None:
            written.append(waiting.result())
    return sorted([*kept.values(), *written], key=lambda record: str(record["name"]))


def capture_shard(
    model: LanguageModel, ids: "Tensor", plan: Plan, memory: "Tensor", pool: Executor
) -> "Tensor":
    """States of one shard's documents: ids [documents, context] -> [n_states, documents, context, hidden].

    They lie in `memory`, which is flat and may be longer: pages that the system gave once need not be given for
    every shard. The threads of `pool` make a batch each. Depends on nothing but its arguments, so shards may be
    made anywhere.
    """
    shape = (plan.n_states, len(ids), plan.n_positions, plan.hidden_size)
    out = memory[: math.prod(shape)].view(shape)
    rounds = math.ceil(len(ids) / TOGETHER / plan.batch_size)
    size = math.ceil(
        len(ids) / TOGETHER / rounds
    )  # the last shard has fewer, and a share of them for everyone
    batches = [slice(start, start + size) for start in range(0, len(ids), size)]
    for _ in pool.map(lambda batch: model.states(ids[batch], out=out[:, batch]), batches):
        pass
    return out
