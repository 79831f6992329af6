"""Subject: one model and its texts, as a protocol names them; of states it knows nothing."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerclaims.corpora.corpus import (
    PLAIN,
    PUBLISHED,
    STRIPPED,
    Corpus,
    Role,
    check_different,
    longer,
    without_punctuation,
)
from layerclaims.corpora.load import load_corpus
from layerclaims.corpora.selection import Selection, check_enough, select
from layerclaims.errors import LayerclaimsError, NotTestedError
from layerclaims.models.formats import format_of
from layerclaims.models.loaded import loaded_source
from layerclaims.models.model import LanguageModel
from layerclaims.models.placement import device_of
from layerclaims.models.source import ModelSource, resolve
from layerclaims.models.tokenizer import Tokenizer
from layerclaims.protocol import CHANGES, Protocol
from layerclaims.runtime import progress as screen
from layerclaims.runtime.text import shown

if TYPE_CHECKING:
    from torch import nn


class Subject:
    """What is studied. Nothing is read or loaded before it is asked for."""

    def __init__(
        self,
        protocol: Protocol,
        *,
        cache_dir: Path,
        device: str,
        device_map: str,
        offline: bool,
        untrained: bool,
        loaded: "tuple[nn.Module, Any] | None",
    ) -> None:
        """Touch nothing yet. A `loaded` model and tokenizer stand in place of those that the protocol names."""
        self.protocol = protocol
        self.cache_dir = cache_dir
        self.initialise = protocol.seed if untrained else None
        self._device, self._device_map, self._offline = device, device_map, offline
        self._loaded = loaded
        self._corpora: dict[Role, Corpus] = {}
        self._chosen: dict[Role, Selection] = {}

    @cached_property
    def source(self) -> ModelSource:
        """The files behind the model's name; raises LayerclaimsError."""
        if self._loaded is not None:
            for name in CHANGES:
                if getattr(self.protocol, name) is not None:
                    raise LayerclaimsError(
                        f"The {name} {shown(getattr(self.protocol, name))} cannot be put on a model that is loaded; "
                        "load the model with it."
                    )
            return loaded_source(*self._loaded, name=self.protocol.model)
        return resolve(
            self.protocol.model,
            offline=self._offline,
            adapter=self.protocol.adapter,
            tokenizer=self.protocol.tokenizer,
        )

    @cached_property
    def dtype(self) -> str:
        """The format of the model's numbers, the checkpoint's own put in for auto; raises LayerclaimsError."""
        return format_of(self.source, self.protocol.dtype, device=self._device)

    @cached_property
    def computes_on(self) -> str:
        """Where probes are fitted and geometry is computed: on the GPU that the model ran on, or on the processor.

        A GPU that may lack float64 has the model alone, which a note says. Raises LayerclaimsError for a device that is
        not there.
        """
        device = device_of(self._device)
        if device.type not in ("cpu", "cuda"):
            screen.note(
                f"layerclaims: the model runs on {device}; probes and geometry are computed on the processor, since "
                "they need float64, which cuda alone is sure to have"
            )
        return str(device) if device.type == "cuda" else "cpu"

    def corpus(self, role: Role) -> Corpus:
        """The texts of a corpus; the same without punctuation; or those on which the authors tested transfer.

        Raises LayerclaimsError; NotTestedError where the run has no transfer corpus.
        """
        if role not in self._corpora:
            if role in STRIPPED:
                self._corpora[role] = without_punctuation(self.corpus(PLAIN[STRIPPED.index(role)]))
            elif role == PUBLISHED:
                self._corpora[role] = longer(self.corpus("transfer"), self.protocol.context)
            else:
                name = self.protocol.corpus if role == "main" else self.protocol.transfer_corpus
                if name is None:
                    raise NotTestedError("There is no other corpus to transfer to: give --transfer-corpus.")
                found = load_corpus(name, offline=self._offline)
                if role == "transfer":
                    check_different(self.corpus("main"), found)
                self._corpora[role] = found
        return self._corpora[role]

    def _load(self, *, head: bool) -> LanguageModel:
        return LanguageModel.load(
            self.source,
            device=self._device,
            dtype=self.dtype,
            initialise=self.initialise,
            head=head,
            device_map=self._device_map,
            offload_dir=self.cache_dir / "offload",
        )

    def check_enough(self, role: Role) -> None:
        """Raise LayerclaimsError where a corpus has too few texts by its characters; nothing is loaded for it."""
        protocol = self.protocol
        check_enough(
            self.corpus(role), n_texts=protocol.n_texts, context=protocol.context, fewer=self._fewer(role)
        )

    def choose(self, role: Role) -> Selection:
        """The documents of a corpus that are read: it takes the tokenizer and no weights. Raises LayerclaimsError."""
        if role not in self._chosen:
            how = ("n_texts", "context", "seed", "fewer", "in_order")
            captured = {name: value for name, value in self._captured(role).items() if name in how}
            self._chosen[role] = select(self.corpus(role), Tokenizer(self.source), **captured)
        return self._chosen[role]

    def _captured(self, role: Role) -> dict[str, Any]:
        """What is captured of a corpus, as `capture` and `capture_key` take it."""
        protocol = self.protocol
        return {
            "n_texts": protocol.n_texts,
            "context": protocol.context,
            "seed": protocol.seed,
            "dtype": self.dtype,
            "initialise": self.initialise,
            "fewer": self._fewer(role),
            "in_order": role == PUBLISHED,
        }

    def _fewer(self, role: Role) -> bool:
        """Whether a corpus with fewer texts will do."""
        return self.protocol.fewer or role not in PLAIN

    def role(self, role: Role) -> Role:
        """The corpus that stands for another one under the protocol: the authors chose other texts for transfer."""
        return PUBLISHED if role == "transfer" and self.protocol.published else role

    @property
    def first_position(self) -> int:
        """The first position that counts.

        Position 0, where many models put one activation a hundred times the usual size, counts as published only.
        """
        return 0 if self.protocol.published else 1
