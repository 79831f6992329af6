"""LanguageModel: token ids to the states of every layer."""

from typing import TYPE_CHECKING, Final, Self

from layerclaims.errors import LayerclaimsError, NotTestedError
from layerclaims.models.facts import ModelFacts
from layerclaims.models.formats import format_of
from layerclaims.models.hooks import Anatomy, decoder_of, dissect
from layerclaims.models.loading import Module, load_module
from layerclaims.models.memory import enough_for
from layerclaims.models.placement import Offload, input_device, is_spread
from layerclaims.models.source import ModelSource
from layerclaims.models.tokenizer import Tokenizer
from layerclaims.models.unembedding import Unembedding, unembedding_of
from layerclaims.runtime.devices import float32_products
from layerclaims.runtime.dtypes import states_in
from layerclaims.runtime.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor, nn


# what a configuration may ask of every forward pass, a tensor of each block that stays on the device to its end
KEPT_BY_CONFIGURATION: Final = ("output_hidden_states", "output_attentions", "output_router_logits")


class LanguageModel:
    """A decoder-only model whose residual stream can be read at every layer."""

    def __init__(
        self,
        *,
        facts: ModelFacts,
        source: ModelSource,
        decoder: "nn.Module",
        anatomy: "Anatomy",
        whole: "Module | None" = None,
        offload: "Offload | None" = None,
    ) -> None:
        """Use LanguageModel.load."""
        self._offload = offload  # weights on disk, removed with the model
        self.facts, self._source, self._decoder, self._anatomy = facts, source, decoder, anatomy
        self._whole = whole
        self._pass = anatomy.listen()
        self.device = input_device(decoder)
        # weights that come and go with a forward pass serve one at a time
        self.spread = is_spread(decoder)
        self.passes = 2 if self.device.type == "cpu" and not self.spread else 1
        longest = getattr(decoder.config, "max_position_embeddings", None)
        self.max_context = longest if isinstance(longest, int) and longest > 0 else None  # tokens
        self._without = {
            name: False for name in KEPT_BY_CONFIGURATION if getattr(decoder.config, name, False)
        }
        self._vocabulary = decoder.get_input_embeddings().num_embeddings  # type: ignore[operator]

    @classmethod
    def load(
        cls,
        source: ModelSource,
        *,
        device: str = "auto",
        dtype: str = "float32",
        initialise: int | None = None,
        head: bool = False,
        device_map: str = "none",
        offload_dir: "Path | None" = None,
    ) -> Self:
        """Load a model for reading: eval mode, no gradients, `dtype` checked on the parameters.

        `dtype` is a number format, "auto" for the checkpoint's own where the device has it, or int8 or int4 for
        linear layers that bitsandbytes quantises. `initialise=SEED` gives the untrained twin: the same architecture
        with freshly drawn weights. `device` is `auto` (cuda, else mps, else cpu) or torch's name of one;
        `device_map="auto"` spreads a model that is larger over GPUs, memory and disk (in `offload_dir`, by default
        the system's directory for temporary files). The output head is kept with `head` only, for `unembedding`. One
        small batch is run to find blocks and final norm and to check that state i is block i's output. Raises
        LayerclaimsError.
        """
        dtype = format_of(source, dtype, device=device)
        whole = load_module(
            source,
            device=device,
            dtype=dtype,
            initialise=initialise,
            device_map=device_map,
            offload_dir=offload_dir,
        )
        model = whole.causal
        decoder = decoder_of(model)
        anatomy = dissect(decoder, source.name, model.config)
        inputs, outputs = model.get_input_embeddings(), model.get_output_embeddings()
        facts = ModelFacts(
            name=source.name,
            revision=source.revision,
            architecture=type(model).__name__,
            n_blocks=len(anatomy.blocks),
            hidden_size=anatomy.hidden_size,
            n_parameters=model.num_parameters(),  # which knows how many numbers a packed one stands for
            dtype=dtype,
            tied_embeddings=outputs is not None and outputs.weight is inputs.weight,
            weights_sha256=source.weights_sha256,
            bos_added=Tokenizer(source).bos_added,
            final_norm=anatomy.norm is not None,
        )
        return cls(
            facts=facts,
            source=source,
            decoder=decoder,
            anatomy=anatomy,
            whole=whole if head else None,
            offload=whole.offload,
        )

    @property
    def n_states(self) -> int:
        """L+2: embedding, L blocks, final-normed."""
        return self.facts.n_blocks + 2

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, with the special tokens that the tokenizer puts before a text by default."""
        return Tokenizer(self._source)(text)

    @property
    def has_head(self) -> bool:
        """Whether the output head was kept."""
        return self._whole is not None

    def unembedding(self, ids: "Tensor") -> Unembedding:
        """The model's own final norm and unembedding, for states of any layer; it holds no block of the model.

        ids: int64 [texts, tokens], on which the last state has to give the model's own logits. The model must have been
        loaded with its head. Raises NotTestedError where the files have no head, or where the logits are others.
        """
        if self._whole is None:
            raise ValueError("the output head was not kept: load the model with head=True")
        name = self.facts.name
        if lacks := self._whole.head_lacks:
            raise NotTestedError(
                f"The unembedding of {shown(name)} is not in its weight files as the model computes it: see "
                f"{shown(lacks[0])}."
            )
        made = unembedding_of(self._whole.causal, self._anatomy.blocks, ids, name=name)
        made.offload = self._offload  # its weights may lie there
        return made

    def states(
        self, ids: "Tensor", out: "Tensor | None" = None, told: "Callable[[int], None] | None" = None
    ) -> "Tensor":
        """States of every layer.

        ids: int64 [batch, context], no padding. Returns [n_states, batch, context, hidden] on the CPU in the
        model's dtype, or fills `out` of that shape: state 0 is what enters block 1 (embedding output),
        state i the raw residual stream after block i, state L+1 the output of the final norm (a copy of
        state L in the few models without one). No state stays on the model's device, so memory there does not grow with
        depth beyond the weights. `told` is called with i as soon as state i lies in `out`. Threads may call it at the
        same time. Raises LayerclaimsError for ids outside the vocabulary.
        """
        import torch

        if ids.numel() and (int(ids.min()) < 0 or int(ids.max()) >= self._vocabulary):
            raise LayerclaimsError(
                f"The tokenizer of {shown(self.facts.name)} gives token {int(ids.max())}, but the model has "
                f"{self._vocabulary} embeddings; the directory mixes the files of two models."
            )
        shape = (self.n_states, *ids.shape, self.facts.hidden_size)
        if out is None:
            out = torch.empty(shape, dtype=getattr(torch, states_in(self.facts.dtype)))
        elif out.shape != shape:
            raise ValueError(f"out has shape {tuple(out.shape)}, not {shape}")
        here = self._pass
        here.begin(out, told)
        try:
            with (
                torch.inference_mode(),
                float32_products(self.device.type),
                enough_for(f"The model {shown(self.facts.name)}"),
            ):
                self._decoder(input_ids=ids.to(self.device), use_cache=False, **self._without)
                if self._anatomy.norm is None:
                    here.keep(self.n_states - 1, out[-2])
        finally:
            here.out = here.told = None
        if here.filled != self.n_states:
            raise LayerclaimsError(
                f"The model {shown(self.facts.name)} ran {here.filled} of its {self.n_states} states; its blocks "
                "are not run once each, so their states cannot be told apart."
            )
        return out
