"""Folders of a process' own: gone with it, and gone after it where it was killed."""

import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

from layerclaims.runtime.folders import OwnFolder

CHILD = """
import os, sys
from pathlib import Path
from layerclaims.runtime.folders import OwnFolder
own = OwnFolder(Path(sys.argv[1]), "own-")
(own.path / "weights").write_text("many")
print(own.path.name, flush=True)
sys.stdin.readline()
"""


def child(parent: Path) -> tuple["subprocess.Popen[str]", str]:
    """A process that holds a folder, and its name."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_a_folder_goes_with_its_object(tmp_path) -> None:
    own = OwnFolder(tmp_path / "deep" / "er", "own-")
    (own.path / "file").touch()
    assert own.path.parent == tmp_path / "deep" / "er"
    path = own.path
    del own
    gc.collect()
    assert not path.exists()


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_holds_is_not(tmp_path) -> None:
    (killed, left), (living, held) = child(tmp_path), child(tmp_path)
    foreign = [tmp_path / "other-folder", tmp_path / "own-file"]
    foreign[0].mkdir()
    foreign[1].touch()
    (tmp_path / "own-link").symlink_to(foreign[0])
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert (tmp_path / left / "weights").exists()
    own = OwnFolder(tmp_path, "own-")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {held, own.path.name, "other-folder", "own-file", "own-link"}
    living.communicate("\n")
    assert living.returncode == 0
    assert not (tmp_path / held).exists()
    own.remove()
    for process in (killed, living):
        for pipe in (process.stdin, process.stdout):
            pipe.close()
