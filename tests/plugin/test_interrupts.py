"""Ctrl-C and SIGTERM at defined points of a run: one sentence, status 2, no file left half done."""

import os
import signal
import tempfile
from pathlib import Path

import pytest

from tests import warm
from tests.plugin_runs import CLAIMS, LOADED, NOT_OURS, ROOT, Place

# a run that waits at the point that HOLD_AT names, once it has left a mark there
HOLDS = """
import os, pathlib, time
import pytest

def hold(point):
    if point == os.environ["HOLD_AT"]:
        pathlib.Path(os.environ["MARK"]).touch()
        time.sleep(120)  # until the signal comes

def holding(module, name, point):
    import importlib
    module = importlib.import_module(module)
    before = getattr(module, name)
    def changed(*args, **named):
        hold(point)
        return before(*args, **named)
    setattr(module, name, changed)

def pytest_configure(config):
    holding("layerclaims.experiments.subject", "select", "texts")
    holding("layerclaims.activations.making", "capture_shard", "capture")
    holding("layerclaims.probing.fit", "fit_folds", "fit")
    holding("layerclaims.recording.exhibits", "exhibits", "teardown")
    holding("layerclaims.recording.assemble", "assemble", "results")
    holding("layerclaims.report.render", "html", "page")
    holding("layerclaims.report.render", "pdf", "pdf")

@pytest.hookimpl(trylast=True)
def pytest_itemcollected(item):
    hold("collection")

@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session):
    hold("after collection")

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    hold("test")

def pytest_terminal_summary():
    hold("summary")
"""
CHOSEN = "norm_is_a_feature or norm_is_not_the_only"
POINTS = {
    "collection": "KeyboardInterrupt",
    "after collection": "Stopped with 0 of 2 verdicts",
    "texts": "Stopped with 0 of 2 verdicts",
    "capture": "Stopped with 0 of 2 verdicts",
    "test": "Stopped with 0 of 2 verdicts",
    "fit": "Stopped with 0 of 2 verdicts",
    "teardown": "Stopped with 1 of 2 verdicts",
    "results": "Stopped while the report was written. No file was written.",
    "page": "Stopped while the report was written. 1 files are written, each of them whole.",
    "pdf": "Stopped while the report was written. 3 files are written, each of them whole.",
    "summary": "Stopped while the summary was written.",
}


def interrupted(
    place: Place, point: str, sent: signal.Signals, *more: str, out: Path, group: bool = False
) -> tuple[int, str]:
    """Status and all output of a run that gets a signal at a point."""
    (place.path / "holds.py").write_text(HOLDS)
    mark = out.with_suffix(".mark")
    cache = place.path / f"cache for {out.name}" if point in ("texts", "capture", "fit") else place.cache
    command = ["-m", "pytest", *NOT_OURS, "-p", "holds", str(CLAIMS), "-k", CHOSEN, "--verdicts-only", *more]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        process = warm.start(
            [*command, *place.options(out=out, report="html,md,pdf", cache_dir=cache)],
            cwd=ROOT,
            env=place.environment(HOLD_AT=point, MARK=str(mark)),
            stdout=file,
            stderr=file,
            own_session=True,
        )
        try:
            while not mark.exists() and not process.ended(0.05):
                pass
            if mark.exists():
                (os.killpg if group else os.kill)(process.pid, sent)
        finally:
            status = process.wait(100)
        file.seek(0)
        said = file.read()
    assert mark.exists(), said
    return status, said


def leftovers(place: Place) -> list[Path]:
    return [path for path in place.path.rglob("*.tmp") if path.is_file()]


# the two signals take the same way, so that one of them goes everywhere
SENT = [
    *((signal.SIGTERM, point) for point in POINTS),
    *((signal.SIGINT, point) for point in ("capture", "fit", "teardown", "pdf")),
]


@pytest.mark.parametrize(("sent", "point"), SENT, ids=lambda one: getattr(one, "name", one))
def test_a_signal_leaves_one_sentence(place: Place, sent: signal.Signals, point: str) -> None:
    out = place.out()
    status, said = interrupted(place, point, sent, out=out)
    assert status == pytest.ExitCode.INTERRUPTED, said
    assert said.count(POINTS[point]) >= 1, said
    assert said.count("the same command goes on from there.") == (point != "collection")
    assert "Traceback" not in said
    assert "INTERNALERROR" not in said
    assert leftovers(place) == []


def test_the_next_run_goes_on(place: Place) -> None:
    out = place.out()
    interrupted(place, "pdf", signal.SIGTERM, out=out)
    run = place.run("-k", CHOSEN, "--verdicts-only", out=out, report="html")
    assert run.status == 0
    assert len(run.verdicts) == 2


@pytest.mark.parametrize(
    ("sent", "group"),
    [(signal.SIGTERM, False), (signal.SIGINT, True)],
    ids=["SIGTERM to the first process", "SIGINT to all processes"],
)
def test_several_processes_leave_one_sentence(place: Place, sent: signal.Signals, group: bool) -> None:
    status, said = interrupted(place, "test", sent, "-n", "2", out=place.out(), group=group)
    assert status == pytest.ExitCode.INTERRUPTED, said
    assert said.count("the same command goes on from there.") == 1
    assert "Traceback" not in said
    assert "node down" not in said


def test_a_session_without_claims_keeps_its_own_way_with_sigterm(place: Place) -> None:
    elsewhere = place.path / "no claims"
    elsewhere.mkdir()
    (elsewhere / "test_it.py").write_text(
        "import signal\n\n\ndef test_it():\n    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\n"
    )
    command = ["-m", "pytest", *NOT_OURS, *LOADED, "-q"]
    done = warm.run(command, cwd=elsewhere, env=place.environment())
    assert done.returncode == 0, done.stdout
