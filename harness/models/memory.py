"""Whether a model fits into memory, told before it is loaded, and one sentence where it did not."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.devices import free_on
from layerclaims.runtime.text import byte_size, shown

MEMINFO: Final = Path("/proc/meminfo")
_EXHAUSTED: Final = re.compile("not enough memory|out of memory|can't allocate memory", re.IGNORECASE)


def available() -> int | None:
    """Bytes of memory that a process can have without swapping, as far as the system tells; None where it does not.

    Where only the size of the memory is known, that is it.
    """
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", MEMINFO.read_text(encoding="ascii"), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def check_room(needed: int, device: Any, name: str) -> None:
    """Raise LayerclaimsError where a model of `needed` bytes does not fit; each goes through the machine's memory."""
    for place, room in (("this machine", available()), (str(device), free_on(device))):
        if room is not None and needed > room:
            raise LayerclaimsError(
                f"The model {shown(name)} takes {byte_size(needed)} of memory, and {place} has {byte_size(room)} left; "
                "use --dtype bfloat16, another --device, a smaller model, or end what else runs there."
            )


@contextlib.contextmanager
def enough_for(what: str) -> Iterator[None]:
    """Turn memory that runs out, on the machine or on a GPU, into a LayerclaimsError that begins with `what`."""
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _ran_out(what) from error
    except RuntimeError as error:
        if not _EXHAUSTED.search(str(error)):
            raise
        raise _ran_out(what) from error


def _ran_out(what: str) -> LayerclaimsError:
    return LayerclaimsError(
        f"{what} ran out of memory; use a smaller --batch-size, --dtype bfloat16, another --device or a smaller model."
    )
