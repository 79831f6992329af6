"""Every command in the documentation's blocks of shell works as it stands there.

A command that names `./my-model` or a file of results is run, on a tiny model and 40 short texts. Of the claims of the
post it judges one. A command that would take the hub, a GPU or minutes is read by the parsers that would read it.
docs/ci.md has a test of its own.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.config import _prepareconfig
from layerclaims.cli import main as cli
from layerclaims.errors import LayerclaimsError
from layerclaims.plugin import settings

from tests import tiny, warm
from tests.plugin_runs import LOADED, ROOT

PAGES = sorted(
    {ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")} - {ROOT / "docs" / "ci.md"}
)
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
FIRST = {"git clone ADDRESS layerclaims && cd layerclaims", ". .venv/bin/activate"}  # what no test can do
SMALL = {
    "LAYERCLAIMS_N_TEXTS": "40",
    "LAYERCLAIMS_CONTEXT": "8",
    "LAYERCLAIMS_VERDICTS_ONLY": "1",
    "OMP_NUM_THREADS": "1",
}


def commands(page: Path) -> list[str]:
    """The lines of a page's blocks of shell, without comments."""
    lines = "\n".join(BLOCK.findall(page.read_text("utf-8"))).splitlines()
    found = [re.sub(r"\s+#.*", "", line).strip() for line in lines]
    return [line for line in found if line and line not in FIRST]


def run(place: Path, *command: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    environment |= SMALL | {"LAYERCLAIMS_CACHE": str(place / "cache")} | extra
    return warm.run(["-m", *command], cwd=place, env=environment)


def judge(place: Path, arguments: list[str], *, report: str = "md") -> subprocess.CompletedProcess[str]:
    """A run of pytest, of one claim of the post if it is about those."""
    arguments = [argument.replace("claims/", f"{ROOT}/claims/", 1) if argument.startswith("claims/") else argument
                 for argument in arguments]  # fmt: skip
    posts = any("claims/" in argument or argument == "layerclaims.claims" for argument in arguments)
    few = {"PYTEST_ADDOPTS": "-k random_vectors_fail"} if posts else {}
    return run(
        place, "pytest", *LOADED, "-p", "no:cacheprovider", *arguments, LAYERCLAIMS_REPORT=report, **few
    )


def in_readme() -> str:
    """README's run on a model and texts of one's own."""
    (command,) = [line for line in commands(ROOT / "README.md") if "./my-model" in line]
    return command


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that has what the pages name: a model, texts, claims of one's own and results of earlier runs."""
    made = tmp_path_factory.mktemp("place")
    tiny.build("llama", made / "my-model")
    tiny.write_jsonl(made / "reviews.jsonl", tiny.texts(60))
    rows = [f'{n},"{text}"' for n, text in enumerate(tiny.texts(60, seed=1))]
    (made / "news.csv").write_text("\n".join(["id,body", *rows]) + "\n", encoding="utf-8")
    own = (ROOT / "docs" / "own-claims.md").read_text("utf-8")
    (made / "test_own_claims.py").write_text(re.findall(r"```python\n(.*?)```", own, re.DOTALL)[0], "utf-8")
    done = judge(made, shlex.split(in_readme())[1:], report="pdf,md")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("gpt2", "norm", "smollm2-135m-instruct"):
        shutil.copytree(made / "reports" / "my-model", made / "reports" / name)
    shutil.copy(made / "reports" / "my-model" / "results.json", made / "baseline.json")
    shutil.copytree(ROOT / "sweeps", made / "sweeps")
    return made


@pytest.fixture
def inside(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, as the working directory of this process."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("LAYERCLAIMS_CACHE", str(place / "cache"))
    return place


def read(arguments: list[str]) -> None:
    """Have pytest and the plugin read options, and run nothing; raises for what they would refuse."""
    config = _prepareconfig([*LOADED, "-p", "no:cacheprovider", *arguments])
    try:
        settings.read(config)
        assert config.known_args_namespace.file_or_dir or config.option.pyargs
    finally:
        config._ensure_unconfigure()


def every() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for command in commands(page):
            yield str(page.relative_to(ROOT)), command


@pytest.mark.parametrize("command", dict.fromkeys(command for _, command in every()))
def test_command(command: str, inside: Path) -> None:
    words = shlex.split(command.partition(" > ")[0])
    if words[0] == "make":
        shown = subprocess.run(
            ["make", "-n", "-C", ROOT, *words[1:]], capture_output=True, text=True, check=False
        )
        assert shown.returncode == 0, shown.stderr
    elif words[0] == "pytest" or words[:2] == ["layerclaims", "run"]:
        arguments = words[1:] if words[0] == "pytest" else ["--pyargs", "layerclaims.claims", *words[2:]]
        if command == in_readme():  # it made the reports that the others read
            assert (inside / "reports" / "my-model" / "report.pdf").exists()
        elif "./my-model" in words:
            done = judge(inside, arguments)
            assert done.returncode == 0, done.stdout + done.stderr
        else:
            read(arguments)
    elif words[:2] == ["layerclaims", "work"]:
        if "./my-model" in words:
            done = run(inside, "layerclaims.cli", *words[1:])
            assert done.returncode == 0, done.stdout + done.stderr
        else:
            read(["--pyargs", "layerclaims.claims", *words[2:]])
    else:
        assert words[0] == "layerclaims"
        if words[1] == "fetch" or (words[1] == "capture" and "./my-model" not in words):
            cli.parse(words[1:])
        elif "--claims" in words:  # these import a file, which would stay imported here
            done = run(inside, "layerclaims.cli", *words[1:])
            assert done.returncode == 0, done.stdout + done.stderr
        else:
            assert cli.main(words[1:]) == 0


def test_every_way_to_run_one_is_in_use() -> None:
    found = [command for _, command in every()]
    assert sum("./my-model" in command for command in found) > 4
    assert sum(command.startswith("layerclaims ") for command in found) > 10
    assert sum(command.startswith("make ") for command in found) > 2


@pytest.mark.parametrize("arguments", [["--modle", "x"], ["--n-texts", "few"], ["--n-texts", "0"]])
def test_a_command_that_is_wrong_is_seen(arguments: list[str], inside: Path) -> None:
    with pytest.raises((pytest.UsageError, LayerclaimsError, SystemExit)):
        read([f"{ROOT}/claims/", *arguments])
