"""Model x corpus -> ActivationStore: prepared, made shard by shard, committed, by however many processes ask for it."""

import dataclasses
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layerclaims.activations.making import made_with, maker
from layerclaims.activations.plan import Plan, make_plan
from layerclaims.activations.prepared import (
    PREPARED,
    Prepared,
    capture_key,
    chosen,
    read_prepared,
    write_prepared,
)
from layerclaims.activations.shards import Shard, read_shard, shard_name, write_shard
from layerclaims.activations.store import STORE_VERSION, ActivationStore, write_manifest
from layerclaims.corpora.corpus import Corpus
from layerclaims.corpora.selection import Selection, select
from layerclaims.errors import LayerclaimsError
from layerclaims.models.facts import ModelFacts
from layerclaims.models.model import LanguageModel
from layerclaims.models.source import ModelSource
from layerclaims.models.tokenizer import Tokenizer
from layerclaims.runtime import progress as screen
from layerclaims.runtime.dtypes import check_dtype, states_in
from layerclaims.runtime.files import check_writable, if_free, locked, pauses, say_waiting, sweep
from layerclaims.runtime.paths import MANIFEST, key_name
from layerclaims.runtime.text import byte_size, inert, shown

if TYPE_CHECKING:
    from layerclaims.activations.making import Write
    from torch import Tensor


SPARE_BYTES: Final = 64_000_000  # left free on the disk


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
    directory, the choice of documents (that of `choose`, if somebody has chosen them already), the free space;
    then the model is loaded, through `load` if given (so that several corpora share one), and shards that an
    earlier run left complete are kept. Memory beyond the model is about a shard of 64 MB, whatever `n_texts`.
    Processes that ask for the same store share its shards out among them. Raises LayerclaimsError.
    """
    capturing = Capture(
        source,
        corpus,
        cache_dir=cache_dir,
        n_texts=n_texts,
        context=context,
        seed=seed,
        dtype=dtype,
        device=device,
        batch_size=batch_size,
        initialise=initialise,
        fewer=fewer,
        in_order=in_order,
        choose=choose,
        load=load,
        progress=progress,
    )
    return capturing.to_the_end()


class Capture:
    """A store in the making, by this process and any others, on this machine or on others that share the disk.

    Prepare: one process chooses the documents and writes their tokens down. Shard: a lock a shard, so that none is
    made twice at a time and a process that is killed costs the one that it was at. Commit: the process that finds
    all shards there writes the manifest.
    """

    def __init__(
        self,
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
    ) -> None:
        """As `capture`. Nothing is read or written yet."""
        check_dtype(dtype)
        self._source, self._corpus, self._progress = source, corpus, progress
        self._choice: dict[str, Any] = {
            "n_texts": n_texts,
            "context": context,
            "seed": seed,
            "fewer": fewer,
            "in_order": in_order,
        }
        self._key = capture_key(source, corpus.sha256, dtype=dtype, initialise=initialise, **self._choice)
        self.directory = cache_dir / "states" / key_name(self._key)
        self._dtype, self._batch_size = dtype, batch_size
        self._choose = choose or (lambda: select(corpus, Tokenizer(source), **self._choice))
        self._load = load or cache(
            lambda: LanguageModel.load(source, device=device, dtype=dtype, initialise=initialise)
        )
        self._shape = source.n_blocks, source.hidden_size
        self._prepared: Prepared | None = None
        self._shards: dict[int, Shard] = {}  # that this process has made, or read to the last byte
        self._label = f"states of {_short(source.name)} on {_short(corpus.name)}"

    def go_on(self) -> ActivationStore | None:
        """Make all shards that no other process is making; the store, or None while others are still at some of them.

        Raises LayerclaimsError.
        """
        store = self._finished()
        if store is None and self._prepared is None:
            store = self._prepare()
        if store is None and self._prepared is not None:
            if self._plan is None:
                self._see(self._load().facts)
                _check_context(self._source.name, self._load().max_context, self._choice["context"])
                self._check_space()
            try:
                self._make_shards(self._prepared)
                store = self._commit(self._prepared)
            except _OtherShapeError:  # than the model's files say: the shards are cut in another way
                self._shards.clear()
        return store

    def to_the_end(self) -> ActivationStore:
        """The store, when other processes have made the last of its shards too. Raises as `go_on`."""
        waits = pauses()
        while (store := self.go_on()) is None:
            if next(waits) > 1 and self._progress:
                say_waiting(self.directory)
        return store

    @property
    def n_shards(self) -> int:
        """How many shards were made here, or found whole."""
        return len(self._shards)

    def _finished(self) -> ActivationStore | None:
        """The store if it is complete; a damaged one is None and mended where it is broken."""
        try:
            store = ActivationStore.open(self.directory)
        except LayerclaimsError:
            return None
        return store if store.manifest["key"] == self._key else None

    def _prepare(self) -> ActivationStore | None:
        """Choose the documents, or read what another process chose, and check that there is room for their states.

        The store where another process was quicker.
        """
        check_writable(self.directory, "--cache-dir")
        with locked(self.directory / ".lock", notes=self._progress):
            if (store := self._finished()) is not None:
                return store
            sweep(self.directory)
            prepared = read_prepared(self.directory, self._key)
            if prepared is None:
                prepared = chosen(self._corpus, self._choose())
            self._prepared = prepared
            n_texts, asked = len(prepared.ids), self._choice["n_texts"]
            if n_texts < asked and self._progress:
                screen.note(
                    f"layerclaims: {_short(self._corpus.name)} has {n_texts:,} different texts of "
                    f"{self._choice['context']} tokens or more; all of them are taken, where {asked:,} are asked for"
                )
            _check_context(self._source.name, self._source.max_context, self._choice["context"])
            if self._plan is not None:
                self._check_space()
            write_prepared(self.directory, self._key, prepared)
            return None

    @property
    def _plan(self) -> Plan | None:
        """How the store is cut up; None where that is not known yet."""
        n_blocks, hidden_size = self._shape
        if n_blocks is None or hidden_size is None or self._prepared is None:
            return None
        return make_plan(
            n_blocks=n_blocks,
            hidden_size=hidden_size,
            n_texts=len(self._prepared.ids),
            context=self._choice["context"],
            dtype=states_in(self._dtype),
            batch_size=self._batch_size,
        )

    def _see(self, facts: ModelFacts) -> None:
        """Take the shape from the model itself; raises _OtherShapeError where its files said otherwise."""
        before, self._shape = self._shape, (facts.n_blocks, facts.hidden_size)
        if None not in before and before != self._shape:
            raise _OtherShapeError

    def _check_space(self) -> None:
        assert self._plan is not None
        _check_space(self.directory, self._plan, self._label, self._progress)

    def _make_shards(self, prepared: Prepared) -> None:
        """Read or make each shard whose lock is free."""
        import torch

        plan, ids = self._plan, torch.from_numpy(prepared.ids)
        assert plan is not None
        missing = [n for n in range(len(plan.shards)) if n not in self._shards]
        there = {n for n in missing if (self.directory / shard_name(n)).exists()}
        done = sum(len(plan.shards[n]) for n in (*self._shards, *there))
        make: Callable[[Tensor, Write], Shard] | None = None
        with (
            screen.Progress(self._label, plan.n_documents, "texts", done=done, enabled=self._progress) as bar,
            ExitStack() as stack,
        ):
            for number in missing:
                with if_free(self.directory / f".{shard_name(number)}.lock") as free:
                    if not free:
                        continue
                    found = read_shard(self.directory, number, plan, self.directory.name)
                    if found is None:
                        documents, model = plan.shards[number], self._load()
                        self._see(model.facts)
                        make = make or stack.enter_context(maker(model, plan))
                        part = ids[documents.start : documents.stop]
                        found = make(part, self._writing(number, model, plan))
                    self._shards[number] = found
                    if number not in there:
                        bar.advance(len(plan.shards[number]))

    def _writing(self, number: int, model: LanguageModel, plan: Plan) -> "Write":
        about = {"model": dataclasses.asdict(model.facts), "made with": made_with(model)}
        return lambda states: write_shard(
            self.directory, number, states, model.facts.name, plan, self.directory.name, about
        )

    def _commit(self, prepared: Prepared) -> ActivationStore | None:
        """Write the manifest once all shards are there, and remove what was needed until then."""
        plan = self._plan
        assert plan is not None
        if len(self._shards) < len(plan.shards):
            return None
        shards = [self._shards[number] for number in range(len(plan.shards))]
        facts = _facts(shards[0]) or self._load().facts
        self._see(facts)
        with locked(self.directory / ".lock", notes=self._progress):
            content = _manifest(self._key, facts, prepared, plan, shards)
            store = self._finished()
            if store is None or store.manifest["shards"] != content["shards"]:
                self._write_manifest(content)
            for path in (self.directory / PREPARED, *self.directory.glob(".shard-*.lock")):
                path.unlink(missing_ok=True)
        return ActivationStore.open(self.directory)

    def _write_manifest(self, content: Mapping[str, Any]) -> None:
        names = {shard["name"] for shard in content["shards"]}
        for path in self.directory.glob("shard-*"):
            if path.with_suffix(".safetensors").name not in names:  # of another store that lay here
                path.unlink(missing_ok=True)
        if len(content["made with"]) > 1 and self._progress:
            screen.note(f"layerclaims: {_mixture(self._label, content['made with'])}")
        write_manifest(self.directory, content)


class _OtherShapeError(Exception):
    """A model has another number of blocks, or another width, than its files say."""


def _manifest(
    key: dict[str, Any], facts: ModelFacts, prepared: Prepared, plan: Plan, shards: Sequence[Shard]
) -> dict[str, Any]:
    made: list[Any] = []
    for shard in shards:
        if (one := shard.about.get("made with", {})) not in made:
            made.append(one)
    return {
        "schema_version": STORE_VERSION,
        "key": key,
        "model": dataclasses.asdict(facts),
        "corpus": dict(prepared.corpus),
        "dtype": plan.dtype,
        "axes": ["state", "document", "position", "hidden"],
        "shape": [plan.n_states, plan.n_documents, plan.n_positions, plan.hidden_size],
        "shards": [dict(shard.record) for shard in shards],
        "made with": made,
        "document_ids": list(prepared.document_ids),
        "token_ids": prepared.ids.tolist(),
    }


def _mixture(label: str, made: Sequence[Mapping[str, str]]) -> str:
    kinds = "; ".join(
        " ".join([one.get("device", "?"), *(f"{name} {of}" for name, of in one.items() if name != "device")])
        for one in made
    )
    return f"the {label} were made in {len(made)} ways, so their last digits may differ: {inert(kinds, 500)}"


def _facts(shard: Shard) -> ModelFacts | None:
    """The facts of the model that made a shard, where it says them."""
    try:
        return ModelFacts(**shard.about["model"])
    except (KeyError, TypeError):
        return None


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
