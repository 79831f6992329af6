"""The set-up behind `make`: real pip on a small project, and stand-ins for what a machine may or may not have."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLS = (
    "sh", "cat", "dirname", "env", "find", "grep", "head", "mkdir", "rm", "tail", "tee", "timeout", "touch", "uname",
)  # fmt: skip
NO_VENV = f'[ "$1" = -c ] && exec "{sys.executable}" "$@"; exit 1'  # a Python that cannot make an environment
BACKEND = """
import pathlib, zipfile
def build_editable(directory, config_settings=None, metadata_directory=None):
    name = "small-1-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(directory) / name, "w") as wheel:
        wheel.writestr("small-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: small\\nVersion: 1\\n")
        wheel.writestr("small-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr("small-1.dist-info/RECORD", "")
    return name
"""


def script(path: Path, body: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def wheel(directory: Path, name: str) -> Path:
    """A wheel of one module."""
    path = directory / f"{name}-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "x = 1\n")
        archive.writestr(f"{name}-1.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        archive.writestr(f"{name}-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{name}-1.dist-info/RECORD", f"{name}.py,,\n")
    return path


def start(checkout: Path, python: str | Path = sys.executable) -> subprocess.Popen[str]:
    command = ["make", "-s", "setup", f"PYTHON={python}"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=checkout, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def make(checkout: Path) -> str:
    """What `make setup` says when all goes well."""
    run = start(checkout)
    said, _ = run.communicate()
    assert run.returncode == 0, said
    return said


def site(checkout: Path) -> Path:
    (found,) = checkout.glob(".venv/lib/python3*/site-packages")
    return found


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A small project with our Makefile, set up, and what that said."""
    checkout = tmp_path_factory.mktemp("a checkout")
    (checkout / "harness").mkdir()
    (checkout / "requirements").mkdir()
    shutil.copy(ROOT / "Makefile", checkout)
    shutil.copy(ROOT / "requirements" / "setup.sh", checkout / "requirements")
    (checkout / "backend.py").write_text(BACKEND)
    (checkout / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "small"\nversion = "1"\n'
    )
    wheel(checkout, "code")
    digest = hashlib.sha256(wheel(checkout, "data").read_bytes()).hexdigest()
    (checkout / "requirements" / "lock.txt").write_text("--no-index\n./code-1-py3-none-any.whl\n")
    (checkout / "requirements" / "embedded.txt").write_text(
        f"--no-index\n./data-1-py3-none-any.whl --hash=sha256:{digest}\n"
    )
    return checkout, make(checkout)


class TestSetup:
    @pytest.fixture
    def checkout(self, first: tuple[Path, str]) -> Path:
        return first[0]

    def test_installs_lock_embedded_packages_and_the_project(self, first: tuple[Path, str]) -> None:
        checkout, said = first
        assert {path.name for path in site(checkout).glob("*-1.dist-info")} == {
            "code-1.dist-info", "data-1.dist-info", "small-1.dist-info",
        }  # fmt: skip
        assert list(site(checkout).glob("__pycache__/code.*.pyc"))
        assert said.startswith("make: setting up .venv with ")
        assert said.endswith("make: .venv is ready\n")

    def test_links_the_sources_to_their_import_name(self, checkout: Path) -> None:
        assert (checkout / "build" / "links" / "layerclaims").resolve() == checkout / "harness"

    def test_says_and_does_nothing_where_nothing_is_missing(self, checkout: Path) -> None:
        stamp = (checkout / ".venv" / ".complete").stat().st_mtime_ns
        assert make(checkout) == ""
        assert (checkout / ".venv" / ".complete").stat().st_mtime_ns == stamp

    def test_repairs_the_package_that_a_killed_pip_left_half_written(self, checkout: Path) -> None:
        (site(checkout) / "code.py").unlink()
        (site(checkout) / "code-1.dist-info" / "INSTALLER").unlink()
        (checkout / ".venv" / ".complete").unlink()
        make(checkout)
        assert (site(checkout) / "code.py").exists()

    @pytest.mark.parametrize("lost", ["bin/python", "lib/python3*/site-packages/pip-*.dist-info/INSTALLER"])
    def test_starts_anew_where_the_environment_is_unusable(
        self, checkout: Path, tmp_path: Path, lost: str
    ) -> None:
        kept = shutil.copytree(checkout / ".venv", tmp_path / "kept", symlinks=True)
        (path,) = (checkout / ".venv").glob(lost)
        path.unlink()
        (checkout / ".venv" / ".complete").unlink()
        said, _ = start(checkout, python=script(tmp_path / "python", NO_VENV)).communicate()
        shutil.move(kept, checkout / ".venv")  # there is none: it was cleared away
        assert said.startswith("make: setting up .venv")

    def test_starts_anew_in_a_checkout_that_was_moved(self, checkout: Path, tmp_path: Path) -> None:
        moved = shutil.copytree(checkout, tmp_path / "moved", symlinks=True)
        said, _ = start(moved, python=script(tmp_path / "python", NO_VENV)).communicate()
        assert said.startswith("make: setting up .venv")
        assert not (moved / ".venv").exists()

    def test_shows_what_pip_could_not_do_and_goes_on_from_there(self, checkout: Path) -> None:
        lock = checkout / "requirements" / "lock.txt"
        sound = lock.read_text()
        lock.write_text(sound + "there-is-none==1\n")
        run = start(checkout)
        said, _ = run.communicate()
        assert run.returncode != 0
        assert "No matching distribution found for there-is-none==1" in said
        assert "make: pip could not finish, see above; make again goes on from here." in said
        lock.write_text(sound)
        assert make(checkout).startswith("make: completing .venv")

    @pytest.mark.parametrize("name", ["requirements/lock.txt", "requirements/embedded.txt", "pyproject.toml"])
    def test_waits_for_another_one_that_installs_what_changed(self, checkout: Path, name: str) -> None:
        os.utime(checkout / name, (2**31, 2**31))
        with (checkout / "requirements" / "lock.txt").open("a") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            waiting = start(checkout)
            assert waiting.stdout
            assert waiting.stdout.readline() == "make: waiting for another make in this directory\n"
            os.utime(checkout / name, (1, 1))
        said, _ = waiting.communicate()
        assert (waiting.returncode, said) == (0, "")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A directory that is all of PATH: common tools and nothing else."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"this machine has no {name}")
        (directory / name).symlink_to(found)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    return directory


def run(machine: Path, name: str, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", f"requirements/{name}", *arguments],
        cwd=machine.parent, env={"PATH": str(machine), **extra}, capture_output=True, text=True, check=False,
    )  # fmt: skip


class TestPython:
    """A Python that is chosen is seen by its failure to make an environment."""

    @pytest.mark.parametrize(
        "body", ["echo 'command not found' >&2; exit 127", "exit 3"], ids=["shim", "too old"]
    )
    def test_that_does_not_do_is_passed_over(self, machine: Path, body: str) -> None:
        script(machine / "python3", body)
        script(machine / "python3.12", NO_VENV)
        assert run(machine, "setup.sh").stderr == "make: python3.12 could not make .venv.\n"

    def test_that_is_named_is_the_only_candidate(self, machine: Path) -> None:
        script(machine / "python3", "exit 1")
        script(machine / "mine", NO_VENV)
        assert run(machine, "setup.sh", PYTHON="mine").stderr == "make: mine could not make .venv.\n"
        refused = run(machine, "setup.sh", PYTHON="/no/such/python")
        assert refused.returncode == 1
        assert refused.stderr.startswith("make: PYTHON=/no/such/python is not a Python 3.11 or newer")
        assert refused.stderr.count("\n") == 1

    def test_without_venv_is_told_from_none(self, machine: Path) -> None:
        # the last candidate, /usr/bin/python3, is this machine's own: only a named one can be made to lack venv
        script(machine / "bare", 'case "$2" in *ensurepip*) exit 4 ;; *) echo 3.11 ;; esac')
        refused = run(machine, "setup.sh", PYTHON="bare")
        assert refused.returncode == 1
        assert "apt-get install python3.11-venv" in refused.stderr


class TestSystemPackages:
    @pytest.fixture(autouse=True)
    def environment(self, machine: Path) -> None:
        """A `.venv` that sees all libraries; the tools for the tests are missing."""
        python = machine.parent / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        script(python, "exit 0")

    def apt(self, machine: Path, body: str) -> Path:
        """A stand-in for apt-get that writes down how it was called; we are root."""
        calls = machine.parent / "calls"
        script(machine / "apt-get", f'echo "$*" >>"{calls}"\n{body}')
        script(machine / "id", "echo 0")
        return calls

    def test_that_are_there_need_no_apt(self, machine: Path) -> None:
        calls = self.apt(machine, "exit 1")
        for name in ("pdftotext", "qpdf", "chromium", "shellcheck"):
            script(machine / name, "exit 0")
        done = run(machine, "system.sh", "test")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert not calls.exists()

    def test_are_installed_where_that_is_allowed(self, machine: Path) -> None:
        calls = self.apt(machine, "exit 0")
        done = run(machine, "system.sh", "test")
        assert done.returncode == 0
        assert calls.read_text().count("\n") == 1
        assert (
            "install -y --no-install-recommends poppler-utils qpdf chromium shellcheck" in calls.read_text()
        )

    def test_lists_are_fetched_only_when_the_first_try_fails(self, machine: Path) -> None:
        fetched = machine.parent / "fetched"
        calls = self.apt(machine, f'case "$*" in *update) : >"{fetched}" ;; *) [ -e "{fetched}" ] ;; esac')
        done = run(machine, "system.sh", "test")
        assert done.returncode == 0
        assert "going on without" not in done.stdout
        assert calls.read_text().count("\n") == 3

    def test_that_cannot_be_had_are_named_and_not_tried_twice(self, machine: Path) -> None:
        calls = self.apt(machine, "echo 'E: Unable to locate package qpdf'; exit 100")
        first = run(machine, "system.sh", "test")
        assert first.returncode == 0
        assert "E: Unable to locate package qpdf" in first.stdout
        tried = calls.read_text()
        second = run(machine, "system.sh", "test")
        assert second.returncode == 0
        assert second.stdout.splitlines() == first.stdout.splitlines()[-1:]
        assert "apt-get install poppler-utils qpdf chromium shellcheck" in second.stdout
        assert calls.read_text() == tried

    def test_are_only_named_where_apt_may_not_be_used(self, machine: Path) -> None:
        calls = self.apt(machine, "exit 0")
        script(machine / "id", "echo 1000")
        script(machine / "sudo", "exit 1")
        done = run(machine, "system.sh", "test")
        assert done.returncode == 0
        assert "sudo apt-get install poppler-utils qpdf chromium shellcheck" in done.stdout
        assert not calls.exists()
