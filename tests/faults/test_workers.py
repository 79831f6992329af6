"""Workers that share a cache: one is killed, and the others end with the same files."""

import os
import subprocess
import sys

from tests.plugin_runs import ROOT


def test_a_killed_worker_changes_no_file_and_holds_nobody_up() -> None:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.workers", "--trials", "2"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 right" in done.stdout
