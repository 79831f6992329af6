"""How far a long step has come, with rate and time left, shown in spite of pytest's capture."""

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

FIRST_SHOWN = 1.0  # seconds: what takes less says nothing
REDRAW = 0.2  # seconds between redraws of the line on a terminal
REPEAT = 5.0  # seconds between lines where there is no terminal
# seconds without news after which a step shows that it lives, on a terminal and elsewhere
BEAT = {True: 1.0, False: 30.0}

_descriptor: int | None = None
_redraw = True
_before: Callable[[], None] | None = None


def attach(descriptor: int = 2, *, redraw: bool = True, before: Callable[[], None] | None = None) -> None:
    """Remember where standard error leads now, before something redirects it.

    pytest's capture redirects descriptor 2 itself while tests run, so that even `sys.__stderr__` is
    swallowed: the plugin calls this once where capture is not active (pytest_sessionstart). Keeps a duplicate;
    harmless when called again. `redraw=False`: plain lines even on a terminal, for one process of several.
    `before` is called before a line is begun: it ends a line that another writer has left open.
    """
    global _descriptor, _redraw, _before
    _redraw, _before = redraw, before
    try:
        duplicate = os.dup(descriptor)
    except OSError:  # closed: a daemon
        return
    os.set_inheritable(duplicate, False)
    if _descriptor is not None:
        os.close(_descriptor)
    _descriptor = duplicate


def _write(text: str) -> None:
    """Unbuffered, to the remembered descriptor or else to standard error; never raises."""
    data = text.encode("utf-8", "replace")
    try:
        if _descriptor is not None:
            os.write(_descriptor, data)
        elif sys.__stderr__ is not None:
            os.write(sys.__stderr__.fileno(), data)
    except (OSError, ValueError):
        pass  # a closed pipe must not end a capture of hours


def _is_terminal() -> bool:
    if not _redraw:
        return False
    try:
        if _descriptor is not None:
            return os.isatty(_descriptor)
        return sys.__stderr__ is not None and sys.__stderr__.isatty()
    except ValueError:
        return False


def note(text: str) -> None:
    """Show one plain line at once; control characters in it are replaced."""
    _begin()
    _write(_printable(text) + "\n")


def _begin() -> None:
    if _before is not None:
        _before()


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def duration(seconds: float) -> str:
    """Seconds as people say them: `8 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress:
    """`with Progress("states", 1000, "texts") as p: p.advance(8)`: count, rate and time left.

    On a terminal one line is redrawn; elsewhere a plain line appears every few seconds, and less often while one
    unit takes long. What is over within a second shows nothing. `done` counts units that were there before the
    start (a resumed run): they fill the bar and do not enter the rate. `clock` is an argument so that tests need
    not wait.
    """

    def __init__(
        self,
        label: str,
        total: int,
        unit: str,
        *,
        done: int = 0,
        enabled: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Show nothing yet; `total` and `done` are in `unit`s."""
        self._label, self._unit = _printable(label), _printable(unit)
        self._total, self._done, self._before = total, done, done
        self._clock, self._enabled = clock, enabled
        self._terminal = enabled and _is_terminal()
        self._start = clock()
        self._last: float | None = None
        self._shown = False
        self._lock, self._over = threading.Lock(), threading.Event()

    def __enter__(self) -> Self:
        """Start the clock."""
        self._start = self._clock()
        if self._enabled:
            threading.Thread(target=self._live, daemon=True).start()
        return self

    def _live(self) -> None:
        while not self._over.wait(BEAT[self._terminal]):
            self.beat()

    def beat(self) -> None:
        """Show the line again if there was no news for a while."""
        with self._lock:
            now = self._clock()
            if not self._over.is_set() and now - (self._last or self._start) >= BEAT[self._terminal]:
                self._last = now
                self._show(now)

    def advance(self, n: int = 1) -> None:
        """Count `n` more units and show the line when it is due."""
        self._done += n
        if not self._enabled:
            return
        with self._lock:
            now = self._clock()
            due = self._start + FIRST_SHOWN
            if self._last is not None:
                due = self._last + (REDRAW if self._terminal else REPEAT)
            if now >= due and self._done < self._total:
                self._last = now
                self._show(now)

    def line(self, now: float) -> str:
        """`states: 120 of 1000 texts (12 %), 34 texts/s, 26 s left`."""
        elapsed = max(now - self._start, 1e-9)
        rate = (self._done - self._before) / elapsed
        share = 100 * self._done // self._total if self._total else 100
        text = f"{self._label}: {self._done:,} of {self._total:,} {self._unit} ({share} %)"
        if rate > 0:
            text += f", {rate:,.0f} {self._unit}/s" if rate >= 10 else f", {rate:.2g} {self._unit}/s"
            if self._done < self._total:
                text += f", {duration((self._total - self._done) / rate)} left"
            else:
                text += f", took {duration(elapsed)}"
        elif self._done < self._total:
            text += f", {duration(elapsed)} so far"
        return text

    def _show(self, now: float) -> None:
        text = self.line(now)
        if not self._shown or not self._terminal:
            _begin()
        self._shown = True
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            _write(f"\r{text[:width]}\x1b[K")
        else:
            _write(text + "\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the line, with the last count, if anything was shown."""
        self._over.set()
        with self._lock:
            if self._last is not None:
                self._show(self._clock())
                if self._terminal:
                    _write("\n")
