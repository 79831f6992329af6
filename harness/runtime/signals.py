"""SIGTERM as Ctrl-C: what a batch system or a container sends ends work in order, and nothing is left half done."""

import signal
import threading
from collections.abc import Callable
from typing import NoReturn


def interrupt_on_terminate(*, ignore: bool = False) -> Callable[[], None]:
    """Let SIGTERM raise KeyboardInterrupt in the main thread, or with `ignore` do nothing; return what undoes it.

    Left alone where somebody else has a say already: outside of the main thread, and where a handler is set.
    """
    if threading.current_thread() is not threading.main_thread():
        return _nothing
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return _nothing
    ours = signal.SIG_IGN if ignore else _interrupt
    signal.signal(signal.SIGTERM, ours)

    def restore() -> None:
        if signal.getsignal(signal.SIGTERM) is ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    return restore


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _nothing() -> None:
    """There is nothing to undo."""
