"""What the benchmarks share: contenders alone in a process, the table of ratios, one JSON file a day."""

import argparse
import datetime
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
COLUMNS = ("what", "value", "unit", "peer", "ratio", "target")


def parser(description: str) -> argparse.ArgumentParser:
    """Options that every benchmark has."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--contender", help=argparse.SUPPRESS)  # what a child runs
    options.add_argument("--full", action="store_true", help="at the paper's size: 1,000 texts")
    return options


def in_child(script: str, contender: str, *arguments: str) -> dict[str, Any]:
    """What `script --contender CONTENDER ARGUMENTS` answers: each has a process, and its memory, to itself."""
    command = [sys.executable, script, "--contender", contender, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    print(f"  {contender} ...", file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def answer(**found: Any) -> None:
    """A child's last word: its findings and the peak of its resident memory."""
    print(json.dumps({**found, "peak_bytes": peak_bytes()}))


def peak_bytes() -> int:
    """The most that this process has had resident; mapped files count while they are."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Result, and seconds of the clock."""
    clock = time.perf_counter()
    result = work()
    return result, time.perf_counter() - clock


def row(what: str, value: float, unit: str, *, peer: float | None = None, target: str = "") -> dict[str, Any]:
    """A line of the table; the ratio is value / peer."""
    ratio = value / peer if peer else None
    return {"what": what, "value": value, "unit": unit, "peer": peer, "ratio": ratio, "target": target}


def write(name: str, rows: Sequence[Mapping[str, Any]], **settings: Any) -> None:
    """Print the table and put the rows into today's file, beside those of the other benchmarks."""
    print(f"\n{name}: {', '.join(f'{key} {value}' for key, value in settings.items())}")
    print(table(COLUMNS, [[shown(one[column]) for column in COLUMNS] for one in rows]), flush=True)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.datetime.now(datetime.UTC).date()}.json"
    content = json.loads(path.read_text()) if path.exists() else {}
    content[name] = {"machine": machine(), "settings": settings, "rows": [dict(one) for one in rows]}
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    print(f"-> {path.relative_to(ROOT)}")


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need to be."""
    widths = [max(len(line[i]) for line in (header, *lines)) for i in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (header, *lines)
    )


def shown(value: Any) -> str:
    """Three digits of a small number, all before the point of a large one; nothing for nothing."""
    if value is None:
        return ""
    return (
        (f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}") if isinstance(value, float) else str(value)
    )


def machine() -> dict[str, Any]:
    """What a figure depends on beside the code."""
    import layerclaims.probing.probe
    import torch

    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "commit": commit.stdout.strip(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "bfloat16 units": layerclaims.probing.probe.multiplies_bfloat16(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
