"""Where a model's parts lie: on one device, or spread over devices, memory and disk by accelerate."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layerclaims.errors import LayerclaimsError
from layerclaims.models.memory import available
from layerclaims.runtime.devices import free_on
from layerclaims.runtime.folders import OwnFolder, sweep_folders
from layerclaims.runtime.text import shown

if TYPE_CHECKING:
    import torch
    from torch import nn

DEVICE_MAPS: Final = ("none", "auto")  # one device; on each as much as there is room for, the rest on disk
OFFLOADED: Final = "layerclaims-weights-"  # how each folder of offloaded weights begins
_SHARE: Final = 0.9  # of the free memory; activations need some too


def device_of(name: str) -> "torch.device":
    """The torch device of an option: "auto" is the GPU where there is one. LayerclaimsError for one that is not."""
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


def check_device_map(device_map: str, device: str) -> None:
    """Raise LayerclaimsError for a device map that is none, or that leaves no choice of the device."""
    if device_map not in DEVICE_MAPS:
        raise LayerclaimsError(
            f"--device-map {shown(device_map)} is not possible: it has to be one of {', '.join(DEVICE_MAPS)}."
        )
    if device_map != "none" and device not in ("auto", "cpu"):
        raise LayerclaimsError(
            f"--device-map {device_map} spreads the model over all devices, so --device {shown(device)} cannot be "
            "honoured; leave out one of the two."
        )


def room(device: str) -> dict[int | str, int]:
    """Bytes that a model may take on each device, as accelerate names them; what does not fit goes to disk.

    With the device "cpu" no GPU is used.
    """
    import torch

    found: dict[int | str, int] = {}
    if device != "cpu":
        for number in range(torch.cuda.device_count()):
            found[number] = int(_SHARE * (free_on(torch.device("cuda", number)) or 0))
        if not found and torch.backends.mps.is_available():
            return {"mps": int(_SHARE * (available() or 0))}  # it shares the machine's memory
    found["cpu"] = int(_SHARE * (available() or 0))
    return found


def sweep_offloaded(parent: Path | None) -> None:
    """Remove what killed runs left of weights in a directory; what a living one has there stays."""
    if parent is not None:
        sweep_folders(parent, OFFLOADED)


class Offload:
    """A directory of its own for weights that have to lie on disk; it is removed with this object."""

    def __init__(self, parent: Path | None) -> None:
        """Make it in `parent`, or in the system's directory for temporary files; raises LayerclaimsError."""
        try:
            self._folder = OwnFolder(parent, OFFLOADED)
        except OSError as error:
            raise LayerclaimsError(
                f"Weights cannot be kept on disk in {shown(parent)}: {error.strerror or error}; choose another disk "
                "with --cache-dir, or leave out --device-map."
            ) from error
        self.path = self._folder.path


def is_spread(model: "nn.Module") -> bool:
    """Whether accelerate moves weights or states between devices while the model runs."""
    return any(hasattr(module, "_hf_hook") for module in model.modules())


def input_device(decoder: "nn.Module") -> "torch.device":
    """Where token ids go in: the device on which the embedding computes, also where its weights lie elsewhere."""
    import torch

    get: Any = getattr(decoder, "get_input_embeddings", None)
    hook = None if get is None else getattr(get(), "_hf_hook", None)
    execution = getattr(hook, "execution_device", None)
    if execution is None:
        device: torch.device = next(decoder.parameters()).device
        return device
    return torch.device("cuda", execution) if isinstance(execution, int) else torch.device(execution)
