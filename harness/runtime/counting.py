"""How far a download is: the bytes that the hub's client tells, counted in megabytes; and the room for them."""

import shutil
import threading
from pathlib import Path
from typing import Any, Final

from layerclaims.runtime.progress import Progress

MEGABYTE: Final = 10**6  # bytes


def free_on_disk(folder: Path) -> int:
    """Bytes free on the disk on which a folder lies or will lie."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


class Counted:
    """Counts bytes, and tells a bar of every whole megabyte."""

    def __init__(self, bar: Progress) -> None:
        """Nothing is counted yet."""
        self._bar, self._bytes, self._lock = bar, 0, threading.Lock()

    def add(self, n: float | None) -> None:
        """Count some bytes more."""
        with self._lock:
            before, self._bytes = self._bytes, self._bytes + int(n or 0)
            whole = self._bytes // MEGABYTE - before // MEGABYTE
        if whole > 0:
            self._bar.advance(whole)

    def kind(self) -> Any:
        """A class of silent bars for the hub's client, which count here."""
        from tqdm import tqdm

        add = self.add

        class Bar(tqdm):  # type: ignore[misc]  # it has no annotations
            """Shows nothing."""

            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **{**kwargs, "disable": True})

            def update(self, n: float | None = 1) -> bool | None:
                """Count."""
                add(n)
                return None

        return Bar
