"""What the numbers of a run were computed with: packages, processor, commit."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from layerclaims.results.records import EnvironmentRecord

PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "transformers",
    "safetensors",
    "tokenizers",
    "weasyprint",
)


def environment() -> EnvironmentRecord:
    """What the numbers were computed with."""
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return EnvironmentRecord(
        python=platform.python_version(),
        platform=platform.platform(),
        cpu=_cpu(),
        threads=_threads(),
        packages=packages,
    )


def _threads() -> int:
    if "torch" in sys.modules:
        return int(sys.modules["torch"].get_num_threads())
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def git_commit() -> str | None:
    """The commit of the checkout that this module stands in; None where it stands in none."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    commit = found.stdout.strip()
    return commit if found.returncode == 0 and len(commit) == 40 else None
