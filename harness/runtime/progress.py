"""What a run is doing and how long it still takes: one line that is redrawn, or now and then a line in a log."""

import os
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

FIRST = {True: 1.0, False: 10.0}  # seconds before anything is shown, on a terminal and in a log
BETWEEN = {True: 0.2, False: 10.0}  # seconds from one showing to the next
BEAT = 1.0  # seconds after which a line is shown without news if it is due, as a sign of life
ELAPSED = "{desc}  {elapsed} so far"
COUNTED = "{desc}  {n_fmt}/{total_fmt}{unit}, {elapsed} so far, {remaining} left, {rate_noinv_fmt}"


class _Screen:
    """The file that tqdm writes to: a descriptor, where a redrawn line may be open; never raises."""

    def __init__(self, descriptor: int, redraw: bool, before: Callable[[], None] | None) -> None:
        self.terminal = redraw and os.isatty(descriptor)
        self._descriptor, self._before, self._open = descriptor, before, False

    def write(self, text: str) -> None:
        """Redraw tqdm's line (`\\r` and text), clear it (`\\r` alone), or write its text as a line of a log."""
        shown = text.strip()
        if not self.terminal:
            self.line(shown)
        elif shown:
            if not self._open and self._before is not None:
                self._before()
            self._open = True
            self._put(f"\r{shown[: self._columns() - 1]}\x1b[K")
        elif text:
            self._clear()

    def line(self, text: str) -> None:
        """Write a line of its own, unless there is nothing in it."""
        if text:
            self._clear()
            if self._before is not None:
                self._before()
            self._put(text + "\n")

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)

    def _clear(self) -> None:
        if self._open:
            self._put("\r\x1b[K")
        self._open = False

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._descriptor).columns or 80
        except OSError:
            return 80

    def _put(self, text: str) -> None:
        with suppress(OSError):  # a closed pipe must not end a capture of hours
            os.write(self._descriptor, text.encode("utf-8", "replace"))


class _Plan:
    """The steps of a run, each with the seconds that it is expected to take, and what the finished ones took."""

    def __init__(self, expected: Mapping[Hashable, float]) -> None:
        self._expected, self._took = dict(expected), dict[Hashable, float]()
        self._current: Hashable | None = None
        self._joined: set[Hashable] = set()  # steps whose work is done within the current one
        self._start = 0.0

    @contextmanager
    def step(self, key: Hashable) -> Iterator[None]:
        """Count a step, if it is one that was planned and not yet done."""
        if key not in self._expected or key in self._took or self._current is not None:
            yield
            return
        self._current, self._start = key, time.monotonic()
        try:
            yield
        finally:
            self._took |= dict.fromkeys(self._joined, 0.0)
            self._took[key], self._current = time.monotonic() - self._start, None
            self._joined = set()

    def join(self, keys: Iterable[Hashable]) -> None:
        """Count the work of other planned steps, not yet done, as part of the current one."""
        if self._current is not None:
            self._joined |= {key for key in keys if key in self._expected and key not in self._took}
            self._joined -= {self._current}

    def said(self) -> str:
        """`step 7 of 23, about 2 min left | `, within a planned step."""
        if self._current is None:
            return ""
        elapsed = time.monotonic() - self._start
        current = sum(self._expected[key] for key in (self._current, *self._joined))
        done = sum(self._expected[key] for key in self._took)
        left = seconds_left(
            took=sum(self._took.values()), done=done, elapsed=elapsed, current=current,
            later=sum(self._expected.values()) - done - current,
        )  # fmt: skip
        return f"step {len(self._took) + 1} of {len(self._expected)}, about {duration(left)} left | "


_screen: _Screen | None = None
_plan = _Plan({})
_said: set[str] = set()  # notes that are shown once
_shown: list["Progress"] = []  # those that are open; the last one is seen


def attach(descriptor: int = 2, *, redraw: bool = True, before: Callable[[], None] | None = None) -> None:
    """Show progress where standard error leads now; where nothing is attached, nothing is shown.

    pytest's capture redirects descriptor 2 itself while tests run: the plugin calls this once where capture is
    not active (pytest_sessionstart). Keeps a duplicate; called again, it takes the place of the first.
    `redraw=False`: plain lines even on a terminal, for one process of several. `before` is called before a line is
    begun: it ends a line that another writer has left open.
    """
    global _screen
    try:
        duplicate = os.dup(descriptor)
    except OSError:  # closed: a daemon
        return
    os.set_inheritable(duplicate, False)
    if _screen is not None:
        _screen.close()
    _screen = _Screen(duplicate, redraw, before)
    _said.clear()


def note(text: str, *, once: str | None = None) -> None:
    """Show one plain line at once; control characters in it are replaced.

    Of the notes that name the same `once`, the first is shown since `attach`.
    """
    if once is not None:
        if once in _said:
            return
        _said.add(once)
    if _screen is not None:
        _screen.line(_printable(text))


def plan(expected: Mapping[Hashable, float]) -> None:
    """Say which steps the run has, by key, each with the seconds that it is expected to take.

    Only their proportions count once a step is done: the time left is scaled by measured over expected so far. So
    what is on disk already and takes no time is no step.
    """
    global _plan
    _plan = _Plan(expected)


def join(keys: Iterable[Hashable]) -> None:
    """Say that the step under way does the work of others as well."""
    _plan.join(keys)


@contextmanager
def step(label: str, *, key: Hashable = None) -> Iterator[None]:
    """Show the label and, if it is a planned step, its number and the time that the whole plan still takes.

    A step goes by its key, or by its label.
    """
    with _plan.step(label if key is None else key), Progress(label):
        yield


def seconds_left(*, took: float, done: float, elapsed: float, current: float, later: float) -> float:
    """Seconds that a plan still takes: what is expected, times measured / expected so far.

    `took` and `done` are measured and expected seconds of the finished steps, `elapsed` and `current` those of the
    step under way, which counts as soon as it takes longer than expected; `later` is expected of the rest.
    """
    pace = took / done if done > 0 else 1.0
    if elapsed > pace * current:
        pace = (took + elapsed) / (done + current) if done + current > 0 else 1.0
    return max(0.0, pace * (current + later) - elapsed)


def duration(seconds: float) -> str:
    """Seconds, roughly, as people say them: `40 s`, `3 min`, `2 h 05 min`."""
    if seconds < 57.5:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


class Progress:
    """`with Progress("states", 1000, "texts") as p: p.advance(8)`: count, time so far, time left.

    On a terminal one line is redrawn, and cleared at the end; in a log a plain line appears every ten seconds and at
    the end. What is over before the first of them shows nothing. Of several that are open, the innermost is seen.
    `done` counts units that were there before the start (a resumed run): they do not enter the rate.
    """

    def __init__(
        self, label: str, total: int | None = None, unit: str = "", *, done: int = 0, enabled: bool = True
    ) -> None:
        """Show nothing yet; `total` and `done` are in `unit`s."""
        self._label, self._unit = _printable(label), _printable(unit)
        self._total, self._done, self._enabled = total, done, enabled
        self._bar: Any = None
        self._lock, self._over = threading.Lock(), threading.Event()

    def __enter__(self) -> Self:
        """Start the clock."""
        if self._enabled and _screen is not None:
            from tqdm import tqdm

            terminal = _screen.terminal
            self._bar = tqdm(
                total=self._total, initial=self._done, unit=f" {self._unit}", file=_screen, position=0,
                bar_format=ELAPSED if self._total is None else COUNTED, leave=not terminal, smoothing=0,
                delay=FIRST[terminal], mininterval=BETWEEN[terminal], miniters=0,
            )  # fmt: skip
            _shown.append(self)
            threading.Thread(target=self._live, daemon=True).start()
        return self

    def _live(self) -> None:
        while not self._over.wait(BEAT):
            self.advance(0)

    def advance(self, n: int = 1) -> None:
        """Count `n` more units and show the line when it is due."""
        with self._lock:
            if self._bar is None or self._over.is_set():
                return
            self._say()
            if _shown[-1] is self and (n == 0 or self._bar.n + n != self._total):
                self._bar.update(n)
            else:
                self._bar.n += n  # the last unit is shown at the end

    def _say(self) -> None:
        self._bar.set_description_str(_plan.said() + self._label, refresh=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the line: with the last count in a log, without a trace on a terminal."""
        with self._lock:
            self._over.set()
            if self._bar is not None:
                _shown.remove(self)
                self._say()
                self._bar.close()
