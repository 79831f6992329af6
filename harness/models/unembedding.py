"""What a model does after its last block: final norm, unembedding and all that its own forward adds to them."""

import copy
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from layerclaims.errors import NotTestedError
from layerclaims.models.memory import enough_for
from layerclaims.models.placement import input_device
from layerclaims.runtime.text import brief, shown

if TYPE_CHECKING:
    from torch import Tensor, nn

# by how much a state's logits may differ from those of the whole model, over the largest of them; batches of another
# shape are added up in another order
TOLERANCE: Final = 1e-3
TOLERANCE_OF_HALVES: Final = 2e-2


class Unembedding:
    """Logits of any state of the residual stream, as the model's own forward makes them of the last one.

    The model is run with empty blocks that hand a given state on. So the final norm, a projection, scale, bias or
    soft-capping of the logits are the model's own code, and no weight is copied: of the blocks nothing is held.
    """

    def __init__(
        self, causal: "nn.Module", blocks: "Sequence[nn.Module]", outputs: Sequence[int | None]
    ) -> None:
        """Use `unembedding_of`. `outputs` is how many things each block gives, None for a state without a tuple."""
        shells = [
            _shell(block, self._given if i == 0 else _handed_on, n)
            for i, (block, n) in enumerate(zip(blocks, outputs, strict=True))
        ]
        self._causal = _with_blocks(causal, blocks, shells)
        self._device, self._dtype = input_device(causal), next(causal.parameters()).dtype
        self._state: Tensor | None = None
        self.offload: Any = None  # of weights that lie on disk
        self.vocabulary = 0  # logits of a state

    def _given(self, _: "Tensor") -> "Tensor":
        assert self._state is not None
        return self._state

    def __call__(self, states: "Tensor") -> "Tensor":
        """The logits of raw states [n, hidden]: float32 [n, vocabulary], on the model's device."""
        import torch

        # texts of one token each, which no block looks at
        self._state = states.to(device=self._device, dtype=self._dtype)[:, None, :]
        try:
            with torch.inference_mode():
                ids = torch.zeros((len(states), 1), dtype=torch.int64, device=self._device)
                logits: Tensor = self._causal(input_ids=ids, use_cache=False).logits
        finally:
            self._state = None
        return logits[:, 0].float().to(self._device)


def unembedding_of(
    causal: "nn.Module", blocks: "Sequence[nn.Module]", ids: "Tensor", *, name: str
) -> Unembedding:
    """The unembedding of a causal model of transformers with these blocks, checked on some texts.

    ids: int64 [texts, tokens]. On them the states after the last block have to give the very logits of the model's
    own forward, to float tolerance. Raises NotTestedError where the model gives no logits or others.
    """
    import torch

    def refused(why: str) -> NotTestedError:
        return NotTestedError(
            f"The unembedding of {shown(name)} ({type(causal).__name__}) cannot be read: {why}."
        )

    outputs: list[Any] = []
    handles = [block.register_forward_hook(lambda _, __, output: outputs.append(output)) for block in blocks]
    try:
        with torch.inference_mode(), enough_for(f"The model {shown(name)}"):
            own = causal(input_ids=ids.to(input_device(causal)), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    logits = getattr(own, "logits", None)
    if not isinstance(logits, torch.Tensor) or logits.shape[:-1] != ids.shape or len(outputs) != len(blocks):
        raise refused("it gives no logits for every token")
    kinds = [len(output) if isinstance(output, (tuple, list)) else None for output in outputs]
    last = outputs[-1] if kinds[-1] is None else outputs[-1][0]
    try:
        made = Unembedding(causal, blocks, kinds)
        with enough_for(f"The model {shown(name)}"):
            again = made(last.flatten(0, 1))
    except (RuntimeError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise refused(f"its forward does not run without its blocks ({brief(error)})") from error
    logits = logits.flatten(0, 1).float().to(again.device)
    halves = next(causal.parameters()).dtype in (torch.float16, torch.bfloat16)
    tolerance = TOLERANCE_OF_HALVES if halves else TOLERANCE
    apart, size = (float(values.abs().max()) for values in (again - logits, logits))
    if not apart <= tolerance * size:
        raise refused(
            f"final norm and unembedding of the state after its last block give logits that differ by {apart:.2g} from "
            f"its own, which go up to {size:.2g}"
        )
    made.vocabulary = int(logits.shape[-1])
    return made


def _handed_on(state: "Tensor") -> "Tensor":
    return state


def _shell(block: "nn.Module", give: Any, n_outputs: int | None) -> "nn.Module":
    """A block without weights, which gives what `give` makes of the state that enters; its plain attributes stay."""
    shell = copy.copy(block)

    def forward(hidden_states: "Tensor", *_: Any, **__: Any) -> Any:
        state = give(hidden_states)
        return state if n_outputs is None else (state, *[None] * (n_outputs - 1))

    empty = ("_modules", "_parameters", "_buffers")
    hooks = (
        "_forward_hooks",
        "_forward_hooks_with_kwargs",
        "_forward_pre_hooks",
        "_forward_pre_hooks_with_kwargs",
    )
    shell.__dict__.update(
        {key: {} for key in empty}, **{key: OrderedDict() for key in hooks}, forward=forward
    )
    return shell


def _with_blocks(
    module: "nn.Module", blocks: "Sequence[nn.Module]", shells: "Sequence[nn.Module]"
) -> "nn.Module":
    """The same module with other blocks; whatever does not hold them is shared, and the module itself untouched."""
    instead = dict(zip(map(id, blocks), shells, strict=True))
    return _replaced(module, instead)


def _replaced(module: "nn.Module", instead: "dict[int, nn.Module]") -> "nn.Module":
    if id(module) in instead:
        return instead[id(module)]
    children = {
        name: None if child is None else _replaced(child, instead) for name, child in module._modules.items()
    }
    if all(children[name] is child for name, child in module._modules.items()):
        return module
    twin = copy.copy(module)
    twin.__dict__["_modules"] = children
    # accelerate puts a forward of the module itself there, which knows nothing of its twin
    for name in ("forward", "_old_forward", "_hf_hook"):
        if "_hf_hook" in module.__dict__:
            twin.__dict__.pop(name, None)
    return twin
