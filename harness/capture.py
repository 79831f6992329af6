"""Model x corpus -> ActivationStore: streamed to shards, resumable, done once however many processes ask."""

import contextlib
import dataclasses
import hashlib
import json
import math
import re
import shutil
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness import cores
from harness import progress as screen
from harness.corpora import Corpus, Selection, select
from harness.errors import LayerclaimsError
from harness.files import TEMPORARY_SUFFIX, check_writable, locked, sha256_file, shown, write_whole
from harness.models import DTYPES, LanguageModel, ModelSource, Tokenizer
from harness.store import SCHEMA_VERSION, ActivationStore, shard_header, shard_name, write_manifest

if TYPE_CHECKING:
    from torch import Tensor

SHARD_BYTES: Final = 64_000_000  # two are in memory at a time
BATCH_TOKENS: Final = 960  # of a forward pass at most; larger gains nothing
TOGETHER: Final = 2  # forward passes at a time, each on its own cores
SPARE_BYTES: Final = 64_000_000  # left free on the disk
ITEM_BYTES: Final = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a capture is cut up. Depends on shapes only, never on timing: the same run gives the same bytes."""

    n_states: int
    n_documents: int
    n_positions: int
    hidden_size: int
    dtype: str
    batch_size: int  # documents in a forward pass, at most
    documents_per_shard: int

    @property
    def document_bytes(self) -> int:
        """Bytes on disk of one document's states."""
        return self.n_states * self.n_positions * self.hidden_size * ITEM_BYTES[self.dtype]

    @property
    def shards(self) -> list[range]:
        """Documents of each shard."""
        step = self.documents_per_shard
        return [range(a, min(a + step, self.n_documents)) for a in range(0, self.n_documents, step)]


def make_plan(
    *, n_blocks: int, hidden_size: int, n_texts: int, context: int, dtype: str, batch_size: int | None
) -> Plan:
    """Cut `n_texts` documents into shards of about 64 MB and forward passes of at most 960 tokens.

    The shards do not depend on the batch size, so that a run can be resumed with another one.
    """
    document = (n_blocks + 2) * context * hidden_size * ITEM_BYTES[dtype]
    per_shard = max(1, min(n_texts, SHARD_BYTES // document))
    return Plan(
        n_states=n_blocks + 2,
        n_documents=n_texts,
        n_positions=context,
        hidden_size=hidden_size,
        dtype=dtype,
        batch_size=batch_size or max(1, BATCH_TOKENS // context),
        documents_per_shard=per_shard,
    )


def _key(
    source: ModelSource,
    corpus_sha256: str,
    *,
    n_texts: int,
    context: int,
    seed: int,
    dtype: str,
    initialise: int | None,
    fewer: bool,
) -> dict[str, Any]:
    """Everything that changes a number, and nothing else: no path, time or name."""
    return {
        "schema_version": SCHEMA_VERSION,
        "weights_sha256": source.weights_sha256,
        "tokenizer_sha256": source.tokenizer_sha256,
        "corpus_sha256": corpus_sha256,
        "n_texts": n_texts,
        "context": context,
        "seed": seed,
        "dtype": dtype,
        "initialise": initialise,
        **({"fewer": True} if fewer else {}),
    }


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
) -> str:
    """Name of the store, 32 hexadecimal digits of everything that changes a number in it."""
    key = _key(
        source,
        corpus_sha256,
        n_texts=n_texts,
        context=context,
        seed=seed,
        dtype=dtype,
        initialise=initialise,
        fewer=fewer,
    )
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]


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
    load: Callable[[], LanguageModel] | None = None,
    progress: bool = True,
) -> ActivationStore:
    """The states of `n_texts` documents x `context` tokens at every layer, from the cache or captured now.

    With `fewer` a corpus that has not so many gives all that it has, and says how many those are.

    A finished store is opened without tokenizer or model. Otherwise what can fail cheaply comes first: the
    directory, the choice of documents, the free space; then the model is loaded, through `load` if given (so
    that several corpora share one), and shards that an earlier run left complete are kept. Memory beyond the
    model is about two shards of 64 MB, whatever `n_texts`. Processes that ask for the same store wait for
    the first one. Raises LayerclaimsError.
    """
    if dtype not in DTYPES:
        raise LayerclaimsError(f"The dtype {shown(dtype)} is not one of {', '.join(DTYPES)}.")
    key = _key(
        source,
        corpus.sha256,
        n_texts=n_texts,
        context=context,
        seed=seed,
        dtype=dtype,
        initialise=initialise,
        fewer=fewer,
    )
    directory = (
        cache_dir
        / "states"
        / capture_key(
            source,
            corpus.sha256,
            n_texts=n_texts,
            context=context,
            seed=seed,
            dtype=dtype,
            initialise=initialise,
            fewer=fewer,
        )
    )
    if (store := _finished(directory, key)) is not None:
        return store
    check_writable(directory, "--cache-dir")
    with locked(directory / ".lock", notes=progress):
        if (store := _finished(directory, key)) is not None:  # another process was quicker
            return store
        _sweep(directory)
        selection = select(
            corpus, Tokenizer(source), n_texts=n_texts, context=context, seed=seed, fewer=fewer
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
                dtype=dtype,
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
        "schema_version": SCHEMA_VERSION,
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


def _short(name: str) -> str:
    return shown(name.rstrip("/").rpartition("/")[2] or name, 60)[1:-1]


def _finished(directory: Path, key: dict[str, Any]) -> ActivationStore | None:
    """The store if it is complete; a damaged one is None and mended where it is broken."""
    try:
        store = ActivationStore.open(directory)
    except LayerclaimsError:
        return None
    return store if store.manifest["key"] == key else None


def _sweep(directory: Path) -> None:
    """Remove what a killed writer left; only under the lock."""
    for path in directory.glob(f".*{TEMPORARY_SUFFIX}"):
        with contextlib.suppress(OSError):
            path.unlink()


def _check_context(name: str, most: int | None, context: int) -> None:
    if most is not None and context > most:
        raise LayerclaimsError(
            f"The context of {context} tokens is longer than the {most} that {shown(name)} was made for; "
            "lower --context."
        )


def _check_space(directory: Path, plan: Plan, label: str, progress: bool) -> None:
    """Say how large the store will be; raises LayerclaimsError if what is missing does not fit the disk."""
    total = plan.document_bytes * plan.n_documents
    there = sum(path.stat().st_size for path in directory.glob("shard-*.safetensors"))
    free = shutil.disk_usage(directory).free
    if progress:
        screen.note(
            f"layerclaims: {label} take {_size(total)} in {directory} ({_size(free)} free"
            f"{f', {_size(there)} there from an earlier run' if there else ''})"
        )
    if total - there + SPARE_BYTES > free:
        raise LayerclaimsError(
            f"The {label} take {_size(total)}, but {shown(directory)} has {_size(free)} free; make room, "
            "lower --n-texts or --context, or choose another disk with --cache-dir."
        )


def _size(n: int) -> str:
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.0f} MB"


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


def _check_finite(states: "Tensor", name: str, dtype: str) -> None:
    import torch

    low, high = torch.aminmax(states)  # NaN passes through; no array of flags is made
    if not (torch.isfinite(low) and torch.isfinite(high)):
        index = next(i for i, state in enumerate(states) if not bool(torch.isfinite(state).all()))
        hint = (
            "the weights are damaged or the model needs another dtype"
            if dtype == "float32"
            else f"{dtype} cannot hold it: use --dtype float32{' or bfloat16' if dtype == 'float16' else ''}"
        )
        raise LayerclaimsError(f"State {index} of {shown(name)} has values that are not finite; {hint}.")


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
    largest = plan.document_bytes * plan.documents_per_shard // ITEM_BYTES[plan.dtype]
    memory = [torch.empty(largest, dtype=getattr(torch, plan.dtype)) for _ in range(2)]
    kept = {n: record for n in range(len(shards)) if (record := _record(directory, n, plan))}
    done = sum(len(shards[n]) for n in kept)
    written: list[dict[str, Any]] = []
    waiting: Future[dict[str, Any]] | None = None
    with (
        screen.Progress(label, plan.n_documents, "texts", done=done, enabled=progress) as bar,
        cores.workers(TOGETHER if model.device.type == "cpu" else 1) as pool,
        ThreadPoolExecutor(1) as writer,  # hashing and writing need no interpreter lock: the model goes on
    ):
        for number in [n for n in range(len(shards)) if n not in kept]:
            documents = shards[number]
            memory.reverse()  # what was made in the other one is being written
            states = capture_shard(model, ids[documents.start : documents.stop], plan, memory[0], pool)
            if waiting is not None:
                written.append(waiting.result())  # one shard is made, one written: memory stays flat
            waiting = writer.submit(_write_shard, directory, number, states, model.facts.name, plan)
            bar.advance(len(documents))
        if waiting is not None:
            written.append(waiting.result())
    return sorted([*kept.values(), *written], key=lambda record: str(record["name"]))


def _write_shard(directory: Path, number: int, states: "Tensor", name: str, plan: Plan) -> dict[str, Any]:
    """Write a shard, then its checksum beside it, in the form that `sha256sum --check` reads."""
    import torch

    _check_finite(states, name, plan.dtype)
    header = shard_header(plan.dtype, states.shape)
    data = states.flatten().view(torch.uint8).numpy().data
    path = directory / shard_name(number)
    checksum = hashlib.sha256(header)
    checksum.update(data)
    write_whole(path, header, data)
    write_whole(path.with_suffix(".sha256"), f"{checksum.hexdigest()}  {path.name}\n".encode())
    return _entry(path.name, checksum.hexdigest(), len(header) + len(data), number, plan)


def _entry(name: str, digest: str, size: int, number: int, plan: Plan) -> dict[str, Any]:
    return {"name": name, "sha256": digest, "bytes": size, "documents": len(plan.shards[number])}


def _record(directory: Path, number: int, plan: Plan) -> dict[str, Any] | None:
    """What the manifest says of a shard if it is there, whole and undamaged.

    The shard's bytes are read again (2 GB/s, a hundred times faster than the model) and compared with the
    checksum written after it: whatever happened to the disk since, only sound shards are kept.
    """
    path = directory / shard_name(number)
    try:
        digest, name = path.with_suffix(".sha256").read_text("ascii").split()
        if name != path.name or not re.fullmatch("[0-9a-f]{64}", digest) or sha256_file(path) != digest:
            return None
    except (OSError, ValueError):
        return None
    return _entry(path.name, digest, path.stat().st_size, number, plan)
