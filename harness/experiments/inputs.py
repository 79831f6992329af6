"""Inputs: one model on its corpora, as states on disk, as matrices of vectors, and as folds of documents."""

import contextlib
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from layerclaims.activations.capture import Capture, discard_damaged
from layerclaims.activations.plan import make_plan
from layerclaims.activations.prepared import capture_key
from layerclaims.activations.store import ActivationStore
from layerclaims.corpora.corpus import (
    PLAIN,
    ROLES,
    STRIPPED,
    Role,
)
from layerclaims.errors import DamagedStatesError, LayerclaimsError, NotTestedError
from layerclaims.experiments.kept import drop_made_of
from layerclaims.experiments.subject import Subject
from layerclaims.models.facts import ModelFacts
from layerclaims.models.model import LanguageModel
from layerclaims.models.unembedding import Unembedding
from layerclaims.probing import vectors
from layerclaims.probing.vectors import Vectors
from layerclaims.protocol import Protocol
from layerclaims.runtime import progress as screen
from layerclaims.runtime.dtypes import DTYPES, states_in
from layerclaims.runtime.memory import Memory, automatic
from layerclaims.runtime.paths import MANIFEST, default_cache_dir, key_name
from layerclaims.runtime.text import shown
from layerclaims.verdicts.quantity import Setup
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, nn

T = TypeVar("T")
CHECKED_TEXTS, CHECKED_TOKENS = 4, 16  # on which an unembedding has to give the model's own logits


class Inputs(Subject):
    """What is measured: nothing is read, loaded or captured before it is asked for."""

    # whether the model's unembedding is to be had when the model is unloaded
    keep_head = False
    # corpora whose states are captured together, once the first of them is asked for
    put_off: tuple[Role, ...] = ()

    def __init__(
        self,
        protocol: Protocol,
        *,
        cache_dir: Path | None = None,
        device: str = "auto",
        device_map: str = "none",
        batch_size: int | None = None,
        offline: bool = False,
        untrained: bool = False,
        memory: int | None = None,
        model: "nn.Module | None" = None,
        tokenizer: Any = None,
    ) -> None:
        """Touch nothing yet.

        `untrained` studies the twin: the same architecture, its weights drawn by the seed. A matrix of vectors that
        takes more than `memory` bytes (half of the machine's by default) is kept in a file. A causal `model` of
        transformers and its `tokenizer`, in memory already, stand in place of those that the protocol names.
        """
        super().__init__(
            protocol,
            cache_dir=default_cache_dir() if cache_dir is None else cache_dir,
            device=device,
            device_map=device_map,
            offline=offline,
            untrained=untrained,
            loaded=None if model is None else (model, tokenizer),
        )
        self._batch_size = batch_size
        self.memory = Memory(
            limit=automatic() if memory is None else memory, directory=self.cache_dir / "matrices"
        )
        self._held: dict[tuple[Role, int], Vectors] = {}  # by corpus and first position; one at most
        self._stores: dict[Role, ActivationStore] = {}
        self._captures: dict[Role, Capture] = {}  # that are not done yet
        self._failed: dict[Role, LayerclaimsError] = {}  # why states that were put off cannot be had
        self._mending = False
        self._mended: set[Path] = set()  # stores whose damage was made good
        self._head: Unembedding | NotTestedError | None = None  # or why there is none

    @cached_property
    def _model(self) -> LanguageModel:
        return self._load(head=self.keep_head)

    def unload(self) -> None:
        """Give back the memory of the model, which the measurements need; but for its head, where that is wanted."""
        model = self.__dict__.pop("_model", None)
        if model is not None and model.has_head and self.keep_head:
            try:
                self._head = model.unembedding(self._some_tokens())
            except NotTestedError as error:  # for the claim that asks for it to say
                self._head = error

    def unembedding(self) -> Unembedding:
        """The model's own final norm and unembedding: kept when the model was unloaded, or of a model loaded anew.

        It is checked on tokens of the main corpus, and held no longer by the study. Raises NotTestedError.
        """
        head = self._head
        if isinstance(head, NotTestedError):
            raise head
        self._head = None
        return head or self._load(head=True).unembedding(self._some_tokens())

    def _some_tokens(self) -> "Tensor":
        """The beginnings of some texts of the main corpus, [texts, tokens]."""
        import torch

        return torch.from_numpy(Inputs.store(self, "main").token_ids[:CHECKED_TEXTS, :CHECKED_TOKENS])

    def store(self, role: Role) -> ActivationStore:
        """The states of one corpus: captured, or found in the cache. Raises LayerclaimsError.

        Its bytes are checked as they are read; `mended` makes damage good.

        Without punctuation a text may be too short, and few are as long as the authors wanted them: as many as are
        long enough are taken. NotTestedError where those are too few, or their states find no room.
        """
        if role in self.put_off:
            self._capture_together()
        if role in self._failed:
            raise self._failed[role]
        if role not in self._stores:
            with self._capturing(role) as capturing:
                self._stores[role] = capturing.to_the_end()
        return self._stores[role]

    def _capture_together(self) -> None:
        """Capture what was put off, for which the model is loaded once."""
        roles, self.put_off = self.put_off, ()
        self.keep_head = False  # it is kept since the main corpus
        self.release()  # a matrix and the model are never held together
        for role in roles:
            try:
                Inputs.store(self, role)
            except NotTestedError:
                pass  # found again, and at once, where these states are asked for
            except LayerclaimsError as error:
                self._failed[role] = error
        self.unload()

    def attempt_store(self, role: Role) -> bool:
        """Make what other processes leave of a corpus' states; whether there was any. Raises as `store`."""
        with self._capturing(role) as capturing:
            before = capturing.n_shards
            if (store := capturing.go_on()) is not None:
                self._stores[role] = store
            return store is not None or capturing.n_shards > before

    @contextlib.contextmanager
    def _capturing(self, role: Role) -> Iterator[Capture]:
        """The capture of a corpus, as far as it is; with errors as `store` has them."""
        try:
            if role not in self._captures:
                self._captures[role] = Capture(
                    self.source,
                    self.corpus(role),
                    cache_dir=self.cache_dir,
                    device=self._device,
                    batch_size=self._batch_size,
                    choose=lambda: self.choose(role),
                    load=lambda: self._model,
                    **self._captured(role),
                )
            with screen.step(f"states of the {role} corpus", key=(id(self), role)):
                yield self._captures[role]
            if role in self._stores:
                del self._captures[role]
        except NotTestedError:
            raise
        except LayerclaimsError as error:
            self._captures.pop(role, None)
            if role in PLAIN:
                raise
            which = "without punctuation" if role in STRIPPED else "that the authors would have chosen"
            raise NotTestedError(f"The texts {which} cannot be studied: {error}") from error

    def has_states(self, role: Role) -> bool:
        """Whether a corpus' states were captured by an earlier run. Raises as `corpus`."""
        key = capture_key(self.source, self.corpus(role).sha256, **self._captured(role))
        return (self.cache_dir / "states" / key_name(key) / MANIFEST).exists()

    @property
    def state_bytes(self) -> int | None:
        """Bytes on disk of one corpus' states; None where a model says how large it is only when it is loaded."""
        blocks, width = self.source.n_blocks, self.source.hidden_size
        if blocks is None or width is None:
            return None
        protocol = self.protocol
        plan = make_plan(
            n_blocks=blocks,
            hidden_size=width,
            n_texts=protocol.n_texts,
            context=protocol.context,
            dtype=states_in(self.dtype),
            batch_size=self._batch_size,
        )
        return plan.document_bytes * plan.n_documents

    @property
    def matrix_bytes(self) -> int | None:
        """Bytes of one corpus as a matrix of float32; None as `state_bytes`."""
        size = self.state_bytes
        if size is None or self.source.n_blocks is None:
            return None
        states = self.source.n_blocks + 2  # of which the matrix has all but the final-normed one
        return size // states * (states - 1) // DTYPES[states_in(self.dtype)].size * 4

    @property
    def corpora_read(self) -> tuple[Role, ...]:
        """The corpora whose states were asked for, without those that are another one without punctuation."""
        return tuple(role for role in ROLES if role in self._stores and role not in STRIPPED)

    def mended(self, measure: Callable[[], T]) -> T:
        """What `measure` gives. Where it meets damaged states, those are captured again and it starts anew.

        A store checks every shard that it reads, so no number comes from damaged bytes. Raises LayerclaimsError where
        a store is damaged once more after that: then the machine is not to be trusted.
        """
        if self._mending:  # what is measured within another measurement starts anew with it
            return measure()
        self._mending = True
        try:
            while True:
                try:
                    return measure()
                except DamagedStatesError as error:
                    self._mend(error)
        finally:
            self._mending = False

    def _mend(self, error: DamagedStatesError) -> None:
        roles = [role for role, store in self._stores.items() if store.directory == error.directory]
        if not roles:
            raise error
        if error.directory in self._mended:
            raise LayerclaimsError(
                f"The states in {shown(error.directory)} were damaged, captured again, and are damaged once more "
                f"({error}) This disk or this machine's memory loses bytes: choose another disk with --cache-dir."
            ) from error
        self._mended.add(error.directory)
        store = self._stores[roles[0]]
        bad = discard_damaged(store)
        said = (
            "; ".join(f"{name}, since {why}" for name, why in bad.items())
            or "nothing, since all is sound by now"
        )
        screen.note(f"layerclaims: of the states in {store.directory} is made again: {said}")
        for role in roles:
            del self._stores[role]
        self.forget(store)
        for role in roles:
            self.store(role)

    def forget(self, store: ActivationStore) -> None:
        """Drop what was made of states that turned out to be damaged."""
        self._held.clear()
        if gone := drop_made_of(self.cache_dir / "measurements", store.key):
            screen.note(
                f"layerclaims: {len(gone)} kept measurements came from these states and are computed again where they "
                "are asked for"
            )

    @property
    def facts(self) -> ModelFacts:
        """What is known of the model."""
        return Inputs.store(self, "main").facts

    @property
    def n_labels(self) -> int:
        """K = L + 1: the embedding and the state after each block."""
        return self.facts.n_blocks + 1

    @property
    def size(self) -> tuple[int, int] | None:
        """Labels K and width d, also before a state is captured; None where a model says so only when it is loaded."""
        if "main" in self._stores:
            return self.n_labels, self.facts.hidden_size
        blocks, width = self.source.n_blocks, self.source.hidden_size
        return None if blocks is None or width is None else (blocks + 1, width)

    @property
    def setup(self) -> Setup:
        """What thresholds may depend on."""
        protocol = self.protocol
        return Setup(
            n_labels=self.n_labels,
            hidden_size=self.facts.hidden_size,
            folds=protocol.folds,
            seed=protocol.seed,
            alpha=protocol.alpha,
        )

    @property
    def states(self) -> list[int]:
        """The state in the store of each label: raw residual streams, the last one before the final norm."""
        return list(range(self.n_labels))

    def folds(self, role: Role) -> NDArray[np.int64]:
        """The fold of each document of a corpus, [n_documents], in the store's order."""
        store = self.store(role)
        order, parts = vectors.fold_order(store.n_documents, self.protocol.folds, self.protocol.seed)
        fold_of = np.empty(store.n_documents, dtype=np.int64)
        for fold, part in enumerate(parts):
            fold_of[order[part]] = fold
        return fold_of

    def rng(self, purpose: int) -> np.random.Generator:
        """A generator of its own for each purpose, so that no draw depends on which claims ran before."""
        return np.random.default_rng([self.protocol.seed, purpose])

    def rows(self, role: Role, *, first: int | None = None) -> Vectors:
        """One corpus as a matrix of the positions from `first` on, by default from the first that counts.

        The last one stays in memory, since measurements come in runs.
        """
        return self.mended(lambda: self._rows(role, self.first_position if first is None else first))

    def _rows(self, role: Role, first: int) -> Vectors:
        store = self.store(role)
        if (role, first) not in self._held:
            self._held.clear()  # first, so that two are never held
            order, folds = vectors.fold_order(store.n_documents, self.protocol.folds, self.protocol.seed)
            blocks = ((state[:, first:] for state in block) for block in store.blocks(self.states))
            self._held[role, first] = vectors.gather(
                blocks, self.n_labels, order, folds, empty=self.memory.empty
            )
        return self._held[role, first]

    def share_matrix(self, other: "Inputs") -> None:
        """Hold one matrix together with a study of the same model and texts under another protocol."""
        self._held = other._held

    def release(self) -> None:
        """Give back the memory of matrices."""
        self._held.clear()
