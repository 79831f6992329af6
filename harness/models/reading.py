"""Foreign files read by foreign code: quietly, a GGUF file once, and with one sentence for whatever goes wrong."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from layerclaims.errors import LayerclaimsError
from layerclaims.models.gguf import alone, gguf_read_once, read_gguf
from layerclaims.runtime.text import brief

WAY_OUT: Final = "give a decoder-only model that this version of transformers knows, in safetensors or GGUF"


@contextlib.contextmanager
def reading(what: str, path: Path, gguf_file: str | None, *, way_out: str = WAY_OUT) -> Iterator[Path]:
    """Read a model's directory, or a GGUF file in it and nothing else; yields the directory to read from.

    Whatever a library raises is a LayerclaimsError that begins with `what` and ends with `way_out`.
    """
    with contextlib.ExitStack() as stack:
        for around in (quiet(), _as_sentence(what, way_out), gguf_read_once(gguf_file)):
            stack.enter_context(around)
        if gguf_file is not None:
            read_gguf(path / gguf_file)
            path = stack.enter_context(alone(path / gguf_file))
        yield path


@contextlib.contextmanager
def quiet() -> Iterator[None]:
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
def _as_sentence(what: str, way_out: str) -> Iterator[None]:
    """Turn whatever a library raises while reading foreign files into one sentence."""
    try:
        yield
    except (LayerclaimsError, MemoryError):
        raise
    except Exception as error:
        raise LayerclaimsError(f"{what} ({brief(error)}); {way_out}.") from error
