"""What a session of claims shows on the screen."""

import os
import pty
import re
import select
import subprocess
import sys

import pytest

from tests import warm
from tests.plugin_runs import CLAIMS, LOADED, ROOT, Place, Run

NORM = "norm_is_a_feature or norm_is_not_the_only_feature or random_vectors_fail"


@pytest.mark.usefixtures("first")
class TestTerminal:
    def test_progress_stands_on_a_line_of_its_own(self, place: Place, first: Run) -> None:
        command = [
            *(sys.executable, "-m", "pytest", "-q", "-p", "faults", str(CLAIMS), "-k", NORM),
            *place.options(out=place.out()),
        ]
        environment = place.environment(FAULTS="norm_is_not=note random=note", TERM="xterm", COLUMNS="80")
        ours, theirs = pty.openpty()
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=theirs, stderr=theirs):
            os.close(theirs)
            shown = b""
            while select.select([ours], [], [], 120)[0]:
                try:
                    read = os.read(ours, 65536)
                except OSError:  # the other end is closed
                    break
                if not read:
                    break
                shown += read
        os.close(ours)
        lines = re.sub(r"\x1b\[[0-9;]*[mK]", "", shown.decode()).replace("\r", "").splitlines()
        assert [line for line in lines if "a line of progress" in line] == ["a line of progress"] * 2
        assert lines[0].endswith("checksums right")
        assert [line.split()[0] for line in lines[1:6]][::2] == [v[0] for v in _letters(first)]

    def test_hostile_names_are_inert(self, place: Place) -> None:
        name = "m\x1b[31m\u202e{{7*7}}|<img src=x>" + "x" * 100
        hostile = place.path / name
        hostile.mkdir()
        for file in (place.path / "model").iterdir():
            (hostile / file.name).write_bytes(file.read_bytes())
        run = place.run("-k", NORM, model=hostile, out=None, report="md", cwd=place.path)
        assert "\x1b" not in run.out + run.err
        assert "\u202e" not in run.out + run.err
        (report,) = (place.path / "reports").iterdir()
        assert re.fullmatch(r"[\w.-]{1,80}", report.name, re.ASCII)
        assert len(list(report.iterdir())) == 2
        assert run.junit

    def test_elsewhere_the_plugin_is_silent(self, place: Place) -> None:
        elsewhere = place.path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "test_it.py").write_text(
            "import pytest\n\n\n@pytest.fixture(params=[1, 2])\ndef study(request):\n    return request.param\n"
            "\n\ndef test_it(study):\n    pass\n"
        )
        done = warm.run(
            ["-m", "pytest", *LOADED, "-o", "protocol=both", "-o", "layerclaims_seed=x"],
            cwd=elsewhere,
            env=place.environment(
                LAYERCLAIMS_CACHE=str(place.path / "untouched"), LAYERCLAIMS_BASELINE="none"
            ),
        )
        assert "2 passed" in done.stdout, "also beside pytest's own cache, which has an ini key cache_dir"
        # pytest itself lists the plugins that are installed, as "layerclaims-0.1.0"
        assert "layerclaims:" not in done.stdout + done.stderr
        assert not (place.path / "untouched").exists()


def _letters(run: Run) -> list[str]:
    chosen = ["norm-is-a-feature", "norm-is-not-the-only-feature", "random-vectors-fail"]
    return [run.verdicts[name] for name in chosen]
