"""Where the states of a model are read: its blocks and its final norm, and a pass that keeps what they give."""

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layerclaims.errors import LayerclaimsError
from layerclaims.models.directory import HIDDEN_KEYS, n_blocks_keys
from layerclaims.models.memory import enough_for
from layerclaims.models.placement import input_device
from layerclaims.models.reading import quiet
from layerclaims.runtime.text import brief, shown

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Anatomy:
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
            last = len(self.blocks)
            # the same module may be run elsewhere too, as NanoChat normalises its embeddings with it
            self.norm.register_forward_hook(
                lambda _, __, output: here.keep(last + 1, _leaving(output), after=last)
            )
        return here


class _Pass(threading.local):
    """The forward pass that this thread runs, if any: where its states go, and how many came, counting repeats."""

    out: "Tensor | None" = None
    told: Callable[[int], None] | None = None
    filled = 0
    last = -1  # the state that came last

    def begin(self, out: "Tensor", told: Callable[[int], None] | None) -> None:
        """Have the states of the next forward pass copied to `out`; `told` is called with each that lies there."""
        self.out, self.told, self.filled, self.last = out, told, 0, -1

    def keep(self, at: int, value: "Tensor | None", *, after: int | None = None) -> None:
        """Copy a state, where it is wanted; with `after` only if that state came last."""
        if self.out is None or value is None or (after is not None and self.last != after):
            return
        self.out[at].copy_(value)
        self.filled, self.last = self.filled + 1, at
        if self.told is not None:
            self.told(at)


@contextlib.contextmanager
def _hook(handle: Any) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()


def _entering(args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Tensor | None":
    """The stream that enters a module: its first argument, or the first by name that is texts x tokens x width."""
    import torch

    given = args[:1] or [v for v in kwargs.values() if isinstance(v, torch.Tensor) and v.ndim == 3]
    return given[0] if given and isinstance(given[0], torch.Tensor) else None


def _leaving(output: Any) -> "Tensor | None":
    """The stream that leaves a module: what it gives, or the first of what it gives."""
    import torch

    value = output[0] if isinstance(output, (tuple, list)) and output else output
    return value if isinstance(value, torch.Tensor) else None


def decoder_of(model: "nn.Module") -> "nn.Module":
    """The part of a causal model that reads token ids and gives final states.

    A few models call their output head a decoder: that has no blocks. Others have their decoder under another name
    than they say, and give themselves.
    """
    from torch import nn

    def has_blocks(part: Any) -> bool:
        return isinstance(part, nn.Module) and any(isinstance(m, nn.ModuleList) for m in part.modules())

    get: Any = getattr(model, "get_decoder", None)
    found = None if get is None else get()
    if not has_blocks(found):
        found = model.base_model
    if found is model:
        parts = [p for p in model.children() if has_blocks(p) and hasattr(p, "get_input_embeddings")]
        found = parts[0] if len(parts) == 1 else model
    assert isinstance(found, nn.Module)
    return found


def _count(config: Any, keys: Sequence[str]) -> int | None:
    """What a configuration says under the first of some names that it has."""
    return next((n for key in keys if type(n := getattr(config, key, None)) is int), None)


_Event = tuple["nn.Module", "Tensor", "Tensor"]  # a module that ran, what entered it and what left it


def dissect(decoder: "nn.Module", name: str, config: Any) -> Anatomy:
    """Find blocks and final norm by watching one small batch go through, and check what will be read.

    The blocks are the list of modules, as long as the configuration says, through which the residual stream
    passes once and in order: what leaves one enters the next, unchanged, and as wide as the configuration says. The
    final norm is the module outside the blocks that takes what leaves the last one. What it gives is the decoder's own
    result, or a linear projection of it is, and the library's hidden states, where it has them, are these states too;
    the second row of the batch differs in its last token only, so earlier states must not. Raises LayerclaimsError.
    """
    from torch import nn

    def wrong(why: str) -> LayerclaimsError:
        return LayerclaimsError(
            f"The residual stream of {shown(name)} ({type(decoder).__name__}) cannot be read: {why}; give a "
            "decoder-only model with one stream through a list of blocks."
        )

    text = config.get_text_config(decoder=True)
    expected = _count(text, n_blocks_keys(getattr(text, "model_type", None)))
    width = _count(text, HIDDEN_KEYS)
    lists = [
        m for m in decoder.modules() if isinstance(m, nn.ModuleList) and len(m) == (expected or len(m)) > 0
    ]
    try:
        with enough_for(f"The model {shown(name)}"):
            events, output = _watch(decoder, lists)
    except LayerclaimsError:
        raise
    except Exception as error:
        raise wrong(f"it cannot run on a few tokens ({brief(error)})") from error
    members = {id(block) for blocks in lists for block in blocks}
    for module, _, leaving in events:
        if id(module) in members and leaving.is_floating_point() and not bool(leaving.isfinite().all()):
            raise wrong(f"what {type(module).__name__} gives is not finite in {leaving.dtype}")
    chain = _chain(lists, events)
    if not chain:
        raise wrong(_why_no_chain(lists, events, expected))
    streams = [chain[0][1], *(leaving for _, _, leaving in chain)]
    if any(s.ndim != 3 or s.shape != streams[0].shape for s in streams):
        several = ", so it has several streams" if streams[-1].ndim > 3 else ""
        raise wrong(
            f"its states have the shape {tuple(streams[-1].shape)}, not texts x tokens x width{several}"
        )
    if width is not None and streams[0].shape[-1] != width:
        raise wrong(
            f"what goes through its blocks is {streams[0].shape[-1]} wide, and its configuration says {width}"
        )
    norm = _norm(chain[-1], events)
    final = streams[-1] if norm is None else norm[2]
    _check_states([*streams, final], wrong)
    _check_against_library(streams, final, output, events, wrong)
    return Anatomy(
        blocks=tuple(module for module, _, _ in chain),
        norm=None if norm is None else norm[0],
        hidden_size=int(streams[-1].shape[-1]),
    )


def _watch(decoder: "nn.Module", lists: "Sequence[nn.ModuleList]") -> tuple[list[_Event], Any]:
    """Run a batch of two texts that differ in their last token: what the members of the lists and the modules outside
    them took and gave, in the order of completion, and the decoder's result.
    """
    import torch

    members = {id(block) for blocks in lists for block in blocks}
    inside = {id(m) for blocks in lists for block in blocks for m in block.modules()}
    events: list[_Event] = []

    def record(module: "nn.Module", args: Any, kwargs: Any, output: Any) -> None:
        entering, leaving = _entering(args, kwargs), _leaving(output)
        if entering is not None and leaving is not None:
            events.append((module, entering, leaving))

    vocabulary = decoder.get_input_embeddings().num_embeddings  # type: ignore[operator]
    ids = torch.arange(3, 11).repeat(2, 1)
    ids[1, -1] = 11
    ids = (ids % vocabulary).to(input_device(decoder))
    with contextlib.ExitStack() as stack, torch.inference_mode(), quiet():
        for module in decoder.modules():
            if id(module) in members or (id(module) not in inside and module is not decoder):
                stack.enter_context(_hook(module.register_forward_hook(record, with_kwargs=True)))
        return events, decoder(input_ids=ids, use_cache=False, output_hidden_states=True)


def _chain(lists: "Sequence[nn.ModuleList]", events: Sequence[_Event]) -> list[_Event]:
    """The events of the list whose members ran once each, in order, each on what the one before gave; else none."""
    import torch

    for blocks in lists:
        ran = [event for event in events if any(event[0] is block for block in blocks)]
        if [id(event[0]) for event in ran] == [id(block) for block in blocks] and all(
            torch.equal(before[2], after[1]) for before, after in itertools.pairwise(ran)
        ):
            return ran
    return []


def _why_no_chain(lists: "Sequence[nn.ModuleList]", events: Sequence[_Event], expected: int | None) -> str:
    """Why no list of modules is the blocks of one stream."""
    import torch

    for blocks in lists:
        ran = [event for event in events if any(event[0] is block for block in blocks)]
        if [id(event[0]) for event in ran] == [id(block) for block in blocks]:
            broken = next(
                i for i, (a, b) in enumerate(itertools.pairwise(ran), 1) if not torch.equal(a[2], b[1])
            )
            return (
                f"what leaves block {broken} is not what enters block {broken + 1}, so the stream is changed, or "
                "split, between them"
            )
        if len(ran) > len(blocks):
            return "its blocks are run several times each"
    return f"found no list of {expected or 'any number of'} blocks that are run once each, in order"


def _norm(last: _Event, events: Sequence[_Event]) -> _Event | None:
    """What took the last block's state after it and gave another one of the same shape; a dropout at rest does not."""
    import torch

    after = next(i for i, event in enumerate(events) if event[0] is last[0])
    for event in events[after + 1 :]:
        _, entering, leaving = event
        if (
            torch.equal(entering, last[2])
            and leaving.shape == entering.shape
            and not torch.equal(leaving, entering)
        ):
            return event
    return None


def _check_states(states: "Sequence[Tensor]", wrong: Callable[[str], LayerclaimsError]) -> None:
    """Raise where a state is not finite, or where a token's depends on those after it."""
    for i, state in enumerate(states):
        if not bool(state.isfinite().all()):
            raise wrong(f"state {i} is not finite in {state.dtype}")
        one, other = state[0, :-1].double(), state[1, :-1].double()
        if not bool(((one - other).norm(dim=-1) <= 1e-3 * one.norm(dim=-1) + 1e-12).all()):
            raise wrong(f"state {i} of a token depends on the tokens after it")


def _check_against_library(
    streams: "Sequence[Tensor]",
    final: "Tensor",
    output: Any,
    events: Sequence[_Event],
    wrong: Callable[[str], LayerclaimsError],
) -> None:
    """Raise where the decoder's own result or the library's hidden states are not the states that were found."""
    import torch
    from torch import nn

    own = output[0]
    projected = any(
        isinstance(module, nn.Linear) and torch.equal(entering, final) and torch.equal(leaving, own)
        for module, entering, leaving in events
    )
    if not (torch.equal(final, own) or projected):
        raise wrong("the state after its last block and norm is not what it gives in the end")
    library = getattr(output, "hidden_states", None)
    if library is None:
        return
    # from the embedding to the final state, raw ones only, or, as in Mamba, without the embedding
    for way in ([*streams[:-1], own], streams, [*streams[1:], own]):
        if len(way) == len(library) and all(map(torch.equal, way, library)):
            return
    raise wrong("its states differ from the library's own hidden states")
