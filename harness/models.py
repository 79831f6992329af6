"""Language models: texts to token ids, token ids to the states of every layer."""

import contextlib
import functools
import io
import itertools
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from harness.errors import LayerclaimsError
from harness.files import shown
from harness.sources import ModelSource, check_model_name, resolve

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["LanguageModel", "ModelFacts", "ModelSource", "Tokenizer", "check_model_name", "resolve"]

DTYPES: Final = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What a manifest says of a model, so that a warm run need not load it."""

    name: str
    revision: str | None
    architecture: str  # class of transformers
    n_blocks: int  # L
    hidden_size: int  # width of the residual stream
    n_parameters: int  # of the whole causal model, tied ones once
    dtype: str
    tied_embeddings: bool
    weights_sha256: str
    bos_added: bool  # the tokenizer puts a beginning-of-sequence token first
    final_norm: bool  # False: there is none, and the final state is state L


class Tokenizer:
    """A model's own tokenizer with its own default for special tokens: `tokenizer(text) -> ids`."""

    def __init__(self, source: ModelSource) -> None:
        """Load the tokenizer only, no weights; raises LayerclaimsError."""
        self._tokenizer = _load_tokenizer(
            str(source.path), source.gguf_file, source.name, source.tokenizer_sha256
        )

    def __call__(self, text: str) -> list[int]:
        """Token ids of a text, uncut."""
        return self.batch([text])[0]

    def batch(self, texts: list[str]) -> list[list[int]]:
        """Token ids of several texts; quicker than one at a time."""
        # verbose: texts longer than the model's context are expected here, they are cut afterwards
        encoded = self._tokenizer(texts, return_attention_mask=False, verbose=False)["input_ids"]
        return [list(map(int, ids)) for ids in encoded]

    @property
    def bos_added(self) -> bool:
        """Whether the beginning-of-sequence token comes first without being asked for."""
        bos = self._tokenizer.bos_token_id
        return bos is not None and self("a")[:1] == [bos]


@functools.lru_cache(maxsize=2)  # out of GGUF it takes seconds
def _load_tokenizer(path: str, gguf_file: str | None, name: str, sha256: str) -> Any:
    from transformers import AutoTokenizer

    del sha256  # part of the cache's key only: a directory that changed is loaded again
    extra = {} if gguf_file is None else {"gguf_file": gguf_file}
    with (
        _quiet(),
        _as_sentence(f"The tokenizer of {shown(name)} could not be loaded"),
        _gguf_read_once(gguf_file),
    ):
        return AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False, **extra)


class LanguageModel:
    """A decoder-only model whose residual stream can be read at every layer."""

    def __init__(
        self, *, facts: ModelFacts, source: ModelSource, decoder: "nn.Module", anatomy: "_Anatomy"
    ) -> None:
        """Use LanguageModel.load."""
        self.facts, self._source, self._decoder, self._anatomy = facts, source, decoder, anatomy
        self._pass = anatomy.listen()
        self.device = next(decoder.parameters()).device
        longest = getattr(decoder.config, "max_position_embeddings", None)
        self.max_context = longest if isinstance(longest, int) and longest > 0 else None  # tokens
        self._vocabulary = decoder.get_input_embeddings().num_embeddings  # type: ignore[operator]

    @classmethod
    def load(
        cls,
        source: ModelSource,
        *,
        device: str = "auto",
        dtype: str = "float32",
        initialise: int | None = None,
    ) -> Self:
        """Load a model for reading: eval mode, no gradients, `dtype` checked on the parameters.

        `initialise=SEED` gives the untrained twin: the same architecture with freshly drawn weights. `device`
        is `auto` (cuda, else mps, else cpu) or torch's name of one. One small batch is run to find blocks and
        final norm and to check that state i is block i's output. Raises LayerclaimsError.
        """
        import torch

        if dtype not in DTYPES:
            raise LayerclaimsError(f"The dtype {shown(dtype)} is not one of {', '.join(DTYPES)}.")
        place = _device(device)
        kind: torch.dtype = getattr(torch, dtype)
        with (
            _quiet(),
            _as_sentence(f"The model {shown(source.name)} could not be loaded"),
            _gguf_read_once(source.gguf_file),
        ):
            model = _pretrained(source, kind) if initialise is None else _untrained(source, kind, initialise)
            model = model.to(place).eval().requires_grad_(False)
        _gguf_fields.cache_clear()  # many small objects
        kinds = {p.dtype for p in model.parameters() if p.is_floating_point()}
        if not kinds <= {kind, torch.float32}:
            raise LayerclaimsError(
                f"The model {shown(source.name)} was loaded as {kinds}, not as {dtype}; give weights that "
                "are not quantised."
            )
        decoder = model.get_decoder() if hasattr(model, "get_decoder") else model.base_model
        anatomy = _dissect(decoder, source.name, model.config)
        inputs, outputs = model.get_input_embeddings(), model.get_output_embeddings()
        facts = ModelFacts(
            name=source.name,
            revision=source.revision,
            architecture=type(model).__name__,
            n_blocks=len(anatomy.blocks),
            hidden_size=anatomy.hidden_size,
            n_parameters=sum(p.numel() for p in model.parameters()),
            dtype=dtype,
            tied_embeddings=outputs is not None and outputs.weight is inputs.weight,
            weights_sha256=source.weights_sha256,
            bos_added=Tokenizer(source).bos_added,
            final_norm=anatomy.norm is not None,
        )
        return cls(facts=facts, source=source, decoder=decoder, anatomy=anatomy)

    @property
    def n_states(self) -> int:
        """L+2: embedding, L blocks, final-normed."""
        return self.facts.n_blocks + 2

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, with the special tokens that the tokenizer adds by default."""
        return Tokenizer(self._source)(text)

    def states(self, ids: "Tensor", out: "Tensor | None" = None) -> "Tensor":
        """States of every layer.

        ids: int64 [batch, context], no padding. Returns [n_states, batch, context, hidden] on the CPU in the
        model's dtype, or fills `out` of that shape: state 0 is what enters block 1 (embedding output),
        state i the raw residual stream after block i, state L+1 the output of the final norm (a copy of
        state L in the few models without one). Threads may call it at the same time. Raises LayerclaimsError for
        ids outside the vocabulary.
        """
        import torch

        if ids.numel() and (int(ids.min()) < 0 or int(ids.max()) >= self._vocabulary):
            raise LayerclaimsError(
                f"The tokenizer of {shown(self.facts.name)} gives token {int(ids.max())}, but the model has "
                f"{self._vocabulary} embeddings; the directory mixes the files of two models."
            )
        shape = (self.n_states, *ids.shape, self.facts.hidden_size)
        if out is None:
            out = torch.empty(shape, dtype=getattr(torch, self.facts.dtype))
        elif out.shape != shape:
            raise ValueError(f"out has shape {tuple(out.shape)}, not {shape}")
        here = self._pass
        here.out, here.filled = out, 0
        try:
            with torch.inference_mode():
                self._decoder(input_ids=ids.to(self.device), use_cache=False)
                if self._anatomy.norm is None:
                    here.keep(self.n_states - 1, out[-2])
        finally:
            here.out = None
        if here.filled != self.n_states:
            raise LayerclaimsError(
                f"The model {shown(self.facts.name)} ran {here.filled} of its {self.n_states} states; its blocks "
                "are not run once each, so their states cannot be told apart."
            )
        return out


# --- loading


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' bars, advice and warnings off the screen, and put everything back."""
    import logging as standard

    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(standard.CRITICAL)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        # the bar of the GGUF reader heeds no setting: it writes to sys.stderr
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _as_sentence(what: str) -> Iterator[None]:
    """Turn whatever a library raises while reading foreign files into one sentence."""
    try:
        yield
    except (LayerclaimsError, MemoryError):
        raise
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or [""]
        raise LayerclaimsError(
            f"{what} ({shown(f'{type(error).__name__}: {lines[0]}', 200)[1:-1]}); give a decoder-only model "
            "that this version of transformers knows, in safetensors or GGUF."
        ) from error


@contextlib.contextmanager
def _gguf_read_once(file: str | None) -> Iterator[None]:
    """Keep transformers from reading a GGUF file anew for its tokenizer, configuration and weights.

    Each time takes seconds, and so does a list of tensors' names, which it makes for every module of the model.
    """
    if file is None:
        yield
        return
    import gguf

    names: Any = functools.cache(gguf.get_tensor_name_map)
    originals = {"GGUFReader": gguf.GGUFReader, "get_tensor_name_map": gguf.get_tensor_name_map}
    gguf.GGUFReader, gguf.get_tensor_name_map = _gguf_reader, names  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(gguf, name, original)


def _gguf_reader(path: str) -> Any:
    return _gguf_fields(path, Path(path).stat().st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _gguf_fields(path: str, changed: int) -> Any:
    from gguf.gguf_reader import GGUFReader

    del changed  # part of the cache's key only
    return GGUFReader(path)


def _device(name: str) -> Any:
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise LayerclaimsError(
            f"The device {shown(name)} cannot be used here; give auto, cpu or cuda."
        ) from error
    return device


def _pretrained(source: ModelSource, dtype: Any) -> Any:
    from transformers import AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM  # its annotations do not know of output_loading_info
    extra: dict[str, Any] = (
        {"use_safetensors": True} if source.gguf_file is None else {"gguf_file": source.gguf_file}
    )
    model, info = auto.from_pretrained(
        str(source.path),
        dtype=dtype,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
        **extra,
    )
    # transformers fills what is missing with random numbers and goes on; the output head is not used here
    head = model.get_output_embeddings()
    head_names = {name for name, module in model.named_modules() if module is head}
    missing = sorted(key for key in info["missing_keys"] if key.rpartition(".")[0] not in head_names)
    if missing or info["mismatched_keys"]:
        names = missing or sorted(str(key) for key in info["mismatched_keys"])
        raise LayerclaimsError(
            f"The weights of {shown(source.name)} lack {len(names)} tensors that its config.json asks for, "
            f"such as {shown(names[0])}; the files do not belong together."
        )
    return model


def _untrained(source: ModelSource, dtype: Any, seed: int) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    extra = {} if source.gguf_file is None else {"gguf_file": source.gguf_file}
    config = AutoConfig.from_pretrained(
        str(source.path), local_files_only=True, trust_remote_code=False, **extra
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        # drawn in float32 whatever the dtype, so that the twin is the same one
        auto: Any = AutoModelForCausalLM
        model = auto.from_config(config, dtype=torch.float32, trust_remote_code=False)
    return model.to(dtype)


# --- anatomy


@dataclass(frozen=True, kw_only=True)
class _Anatomy:
    """The modules to listen to: `blocks` in order and the final norm, if there is one."""

    blocks: "tuple[nn.Module, ...]"
    norm: "nn.Module | None"
    hidden_size: int

    def listen(self) -> "_Pass":
        """Have every forward pass tell its states, for as long as the modules live."""
        here = _Pass()

        def entering(_: "nn.Module", args: Any, kwargs: Any) -> None:
            here.keep(0, _entering(args, kwargs))

        def leaving(at: int) -> Callable[..., None]:
            return lambda _, __, output: here.keep(at, _leaving(output))

        self.blocks[0].register_forward_pre_hook(entering, with_kwargs=True)
        for at, block in enumerate(self.blocks, 1):
            block.register_forward_hook(leaving(at))
        if self.norm is not None:
            self.norm.register_forward_hook(leaving(len(self.blocks) + 1))
        return here


class _Pass(threading.local):
    """The forward pass that this thread runs, if any: where its states go, and how many came, counting repeats."""

    out: "Tensor | None" = None
    filled = 0

    def keep(self, at: int, value: "Tensor") -> None:
        """Copy a state, where it is wanted."""
        if self.out is not None:
            self.out[at].copy_(value)
            self.filled += 1


@contextlib.contextmanager
def _hook(handle: Any) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()


def _entering(args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Tensor":
    value: Tensor = args[0] if args else kwargs["hidden_states"]
    return value


def _leaving(output: Any) -> "Tensor":
    # a tensor in transformers 5, a tuple that begins with it before
    value: Tensor = output[0] if isinstance(output, tuple) else output
    return value


def _dissect(decoder: "nn.Module", name: str, config: Any) -> _Anatomy:
    """Find blocks and final norm by watching one small batch go through, and check what will be read.

    The blocks are the list of modules, as long as the configuration says, through which the residual stream
    passes once and in order: what leaves one enters the next, unchanged. The final norm is the module outside
    the blocks that takes what leaves the last one. The library's own hidden states, where it has them, must
    agree; the second row of the batch differs in its last token only, so earlier states must not.
    """
    import torch
    from torch import nn

    def wrong(why: str) -> LayerclaimsError:
        return LayerclaimsError(
            f"The residual stream of {shown(name)} ({type(decoder).__name__}) cannot be read: {why}; give a "
            "decoder-only model with one stream through a list of blocks."
        )

    text_config = config.get_text_config(decoder=True)
    expected = getattr(text_config, "num_hidden_layers", None)
    lists = [
        m for m in decoder.modules() if isinstance(m, nn.ModuleList) and len(m) == (expected or len(m)) > 0
    ]
    inside = {id(m) for blocks in lists for block in blocks for m in block.modules()}
    members = {id(block) for blocks in lists for block in blocks}
    events: list[tuple[nn.Module, Any, Any]] = []  # in the order of completion

    def record(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        entering = args[0] if args else kwargs.get("hidden_states")
        leaving = _leaving(output)
        if isinstance(entering, torch.Tensor) and isinstance(leaving, torch.Tensor):
            events.append((module, entering, leaving))

    vocabulary = decoder.get_input_embeddings().num_embeddings  # type: ignore[operator]
    ids = torch.arange(3, 11).repeat(2, 1)
    ids[1, -1] = 11
    ids = (ids % vocabulary).to(next(decoder.parameters()).device)
    with contextlib.ExitStack() as stack, torch.inference_mode(), _quiet():
        for module in decoder.modules():
            if id(module) in members or (id(module) not in inside and module is not decoder):
                stack.enter_context(_hook(module.register_forward_hook(record, with_kwargs=True)))
        output = decoder(input_ids=ids, use_cache=False, output_hidden_states=True)

    for module, _, leaving in events:
        if id(module) in members and leaving.is_floating_point() and not bool(leaving.isfinite().all()):
            raise wrong(f"what {type(module).__name__} gives is not finite in {leaving.dtype}")
    chain: list[tuple[nn.Module, Any, Any]] = []
    for blocks in lists:
        ran = [event for event in events if any(event[0] is block for block in blocks)]
        if [id(event[0]) for event in ran] == [id(block) for block in blocks] and all(
            torch.equal(before[2], after[1]) for before, after in itertools.pairwise(ran)
        ):
            chain = ran
            break
    if not chain:
        raise wrong(f"found no list of {expected or 'any number of'} blocks that are run once each, in order")
    streams = [chain[0][1], *(leaving for _, _, leaving in chain)]
    if any(s.ndim != 3 or s.shape != streams[0].shape for s in streams):
        raise wrong(f"its states have the shape {tuple(streams[-1].shape)}, not texts x tokens x width")
    last = streams[-1]
    position = next(i for i, event in enumerate(events) if event[0] is chain[-1][0])
    norm = next(
        (
            (module, leaving)
            for module, entering, leaving in events[position + 1 :]
            if entering.shape == last.shape == leaving.shape
            and torch.equal(entering, last)
            and not torch.equal(leaving, entering)  # a dropout at rest
        ),
        None,
    )
    final = last if norm is None else norm[1]
    library = getattr(output, "hidden_states", None)
    if library is not None:
        if len(library) != len(streams):
            raise wrong(f"the library gives {len(library)} hidden states, {len(streams)} were found")
        for i, (mine, theirs) in enumerate(zip(streams, library, strict=True)):
            same = torch.equal(mine, theirs)
            if i == len(streams) - 1:  # after the final norm, and in a few models after a projection too
                same = same or theirs.shape != final.shape or torch.equal(final, theirs)
            if not same:
                raise wrong(f"state {i} differs from the library's own hidden state")
    for i, stream in enumerate([*streams, final]):
        if not bool(torch.isfinite(stream).all()):
            raise wrong(f"state {i} is not finite in {stream.dtype}")
        one, other = stream[0, :-1].double(), stream[1, :-1].double()
        if not bool(((one - other).norm(dim=-1) <= 1e-3 * one.norm(dim=-1) + 1e-12).all()):
            raise wrong(f"state {i} of a token depends on the tokens after it")
    return _Anatomy(
        blocks=tuple(module for module, _, _ in chain),
        norm=None if norm is None else norm[0],
        hidden_size=int(last.shape[-1]),
    )
