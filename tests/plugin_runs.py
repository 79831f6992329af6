"""Real runs of `pytest claims/` on a tiny model, each in a process of its own."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests import tiny, warm

ROOT = Path(__file__).resolve().parents[1]
# an installed layerclaims registers its plugin itself, and one module must not be registered twice
INSTALLED = any(
    ep.value == "layerclaims.plugin.hooks" for ep in importlib.metadata.entry_points(group="pytest11")
)
LOADED = () if INSTALLED else ("-p", "layerclaims.plugin.hooks")
# of the tools for our own tests, which take longer to import than a run of claims takes
NOT_OURS = ("-p", "no:anyio", "-p", "no:hypothesispytest")
CLAIMS = ROOT / "claims"
TEXTS, CONTEXT = 40, 8

# what a run does in the middle of a claim, chosen by variables of the environment
FAULTS = """
import os, signal, sys, time
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    for what in os.environ.get("FAULTS", "").split():
        test, _, fault = what.partition("=")
        if test not in item.nodeid:
            continue
        if fault == "raise":
            raise RuntimeError("planted\\nfault")
        if fault == "skip":
            pytest.skip("UMAP is not installed")
        if fault == "note":
            from layerclaims.runtime import progress
            progress.note("a line of progress")
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(20)
        if fault == "silent":
            silent = lambda judge: None
            silent.claim = item.obj.claim
            item.obj = silent

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report):
    for what in os.environ.get("FAULTS", "").split():
        test, _, fault = what.partition("=")
        if fault == "lose" and test in report.nodeid:
            report.layerclaims_record = None

def pytest_unconfigure(config):
    heavy = ("torch", "transformers", "sklearn", "matplotlib", "datasets", "scipy.stats", "pandas")
    print("imported:", *[name for name in heavy if name in sys.modules])
"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run that has ended."""

    status: int
    out: str
    err: str
    directory: Path  # of the report
    junit_file: Path

    @property
    def lines(self) -> list[str]:
        """What stood on standard output."""
        return self.out.splitlines()

    @cached_property
    def results(self) -> dict[str, Any]:
        """results.json."""
        found: dict[str, Any] = json.loads((self.directory / "results.json").read_text("utf-8"))
        return found

    @property
    def claims(self) -> dict[str, dict[str, Any]]:
        """The records by id, without their time."""
        return {c["id"]: {k: v for k, v in c.items() if k != "seconds"} for c in self.results["claims"]}

    @property
    def without_holm(self) -> dict[str, dict[str, Any]]:
        """The claims without what depends on which other claims ran."""
        holm = ("p_holm", "survives_holm")
        return {
            name: {k: v for k, v in record.items() if k not in holm} for name, record in self.claims.items()
        }

    @property
    def verdicts(self) -> dict[str, str]:
        """Verdict by id."""
        return {name: record["verdict"] for name, record in self.claims.items()}

    @property
    def live(self) -> dict[str, str]:
        """Verdict by id as shown while the run went on."""
        return {m[2]: m[1] for line in self.lines if (m := re.match(r"\[ *\d+/\d+\] ([A-Z_]+) +(\S+)", line))}

    @property
    def junit(self) -> dict[str, dict[str, str]]:
        """Properties of each test."""
        return {
            case.get("name", ""): {p.get("name", ""): p.get("value", "") for p in case.iter("property")}
            for case in ElementTree.parse(self.junit_file).getroot().iter("testcase")
        }


@dataclass(frozen=True, kw_only=True)
class Place:
    """A directory with a tiny model, two corpora, and one cache that all runs share."""

    path: Path
    counter: list[int] = field(default_factory=list)

    @classmethod
    def make(cls, path: Path) -> "Place":
        """Build the model and the corpora."""
        tiny.build("gpt2", path / "model", n_layer=2, n_embd=16)
        tiny.write_jsonl(path / "main.jsonl", tiny.texts(60))
        tiny.write_jsonl(path / "other.jsonl", tiny.texts(60, seed=5))
        (path / "faults.py").write_text(FAULTS, "utf-8")
        return cls(path=path)

    @property
    def cache(self) -> Path:
        """The cache that is shared."""
        return self.path / "cache"

    def options(self, *more: str, **changed: Any) -> list[str]:
        """The usual options; a keyword replaces one, None leaves it out."""
        usual: dict[str, Any] = {
            "model": self.path / "model",
            "corpus": self.path / "main.jsonl",
            "transfer_corpus": self.path / "other.jsonl",
            "n_texts": TEXTS,
            "context": CONTEXT,
            "cache_dir": self.cache,
            "report": "none",
            **changed,
        }
        pairs = [
            (f"--{name.replace('_', '-')}", str(value)) for name, value in usual.items() if value is not None
        ]
        return [*(part for pair in pairs for part in pair), *more]

    def python_path(self, *more: Path) -> str:
        """Where a run finds modules: `more`, this place, the checkout, and where this very process does."""
        inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        return os.pathsep.join([*map(str, (*more, self.path, ROOT)), *filter(None, inherited)])

    def environment(self, **more: str) -> dict[str, str]:
        """One thread, no cache of the user's, nothing of the outer pytest."""
        kept = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("PYTEST", "COV", "LAYERCLAIMS", "GITHUB_")) and k not in ("COLUMNS", "CI")
        }
        return {
            **kept,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": self.python_path(),
            "XDG_CACHE_HOME": str(self.path / "xdg"),
            **more,
        }

    def out(self) -> Path:
        """A directory for a report, another one each time."""
        self.counter.append(0)
        return self.path / f"out-{len(self.counter)}"

    def run(
        self,
        *more: str,
        faults: str = "",
        cold: bool = False,
        environment: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        target: Sequence[str] = (str(CLAIMS),),
        **changed: Any,
    ) -> Run:
        """`python -m pytest claims/` with the usual options and `more`, run to its end.

        A `cold` run has other plugins beside ours and imports everything itself.
        """
        out = changed.pop("out", self.out())
        junit = (out or self.out()).with_suffix(".xml")
        plugins = ("-p", "faults", *(() if cold else NOT_OURS))
        command = ["-m", "pytest", *plugins, *target, "--junitxml", str(junit)]
        command += self.options(*more, out=out, **changed)
        env = self.environment(FAULTS=faults, **(environment or {}))
        if cold:
            done = subprocess.run(
                [sys.executable, *command],
                cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=300,
            )  # fmt: skip
        else:
            done = warm.run(command, cwd=cwd, env=env)
        return Run(
            status=done.returncode,
            out=done.stdout,
            err=done.stderr,
            directory=out or cwd / "reports" / "model",
            junit_file=junit,
        )

    def run_own(self, own: Path, *more: str, **how: Any) -> Run:
        """The same of a folder of somebody's own claims."""
        return self.run(*LOADED, *more, target=(str(own),), cwd=own.parent, **how)
