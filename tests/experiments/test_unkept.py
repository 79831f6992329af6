"""A cache that can only be read, or is full: what is there is used, what is measured is used and not kept."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from layerclaims.experiments.geometry import layer_geometry
from layerclaims.experiments.norms import norms_by_state
from layerclaims.experiments.sgd import Cell, sgd_fit
from layerclaims.experiments.study import Study
from layerclaims.protocol import Protocol
from layerclaims.runtime import progress as screen

from tests import tiny

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import sys
from pathlib import Path
from layerclaims.errors import LayerclaimsError
from layerclaims.experiments.geometry import layer_geometry
from layerclaims.experiments.norms import norms_by_state
from layerclaims.experiments.plan import make_plan
from layerclaims.experiments.probes import layer_probe
from layerclaims.experiments.sgd import Cell, sgd_fit
from layerclaims.experiments.study import Study
from layerclaims.protocol import Protocol
from layerclaims.runtime import progress
from layerclaims.verdicts.registry import post_claims

progress.attach()
model, corpus, cache = sys.argv[1:]

def study(**changes):
    options = {"model": f"local:{model}", "corpus": corpus, "transfer_corpus": None, "n_texts": 40, "context": 8}
    return Study(Protocol(**{**options, **changes}), cache_dir=Path(cache))

try:
    (Path(cache) / "f").touch()
except OSError as error:
    print(error.strerror)
warm, published = study(), study(name="as-published")
make_plan([(warm, [post_claims()["last-layer-norm-dominates"].declaration], ())]).prepare()
print(len(warm.values(norms_by_state).arrays["sums"]))
for one in (layer_geometry, layer_probe):
    print(warm.values(one) is warm.values(one))
published.wanted = [sgd_fit(Cell()), sgd_fit(Cell(run=1))]
print(published.values(sgd_fit(Cell())) is published.values(sgd_fit(Cell())), published.has(sgd_fit(Cell(run=1))))
for cold in (lambda: study(seed=3).store("main"), make_plan([(study(seed=3), [None], ())]).prepare):
    try:
        cold()
    except LayerclaimsError as error:
        print(error)
"""


@pytest.fixture
def places(tmp_path):
    return (
        tiny.build("llama", tmp_path / "model"),
        tiny.write_jsonl(tmp_path / "c.jsonl", tiny.texts(60)),
        tmp_path / "cache",
    )


@pytest.fixture
def study(places):
    model, corpus, cache = places
    protocol = Protocol(
        model=f"local:{model}", corpus=str(corpus), transfer_corpus=None, n_texts=40, context=8
    )
    return Study(protocol, cache_dir=cache)


def test_a_cache_that_can_only_be_read_is_used(places, study):
    study.values(norms_by_state)
    mounted = 'mount --bind "$4" "$4" && mount -o remount,ro,bind "$4" && exec "$0" -c "$1" "$2" "$3" "$4"'
    inside = ["unshare", "-Urm", "sh", "-c"]
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here")
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces are not allowed here")
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    before = sorted(places[2].rglob("*"))
    done = subprocess.run(
        [*inside, mounted, sys.executable, CHILD, *map(str, places)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *lines, first, second = done.stdout.splitlines()
    assert lines == ["Read-only file system", "40", "True", "True", "True True"]
    for sentence in (first, second):
        assert "cannot be written to: Read-only file system; choose another with --cache-dir." in sentence
    assert done.stderr.count("1 kept measurement of 1 store read, checksums right") == 1
    assert done.stderr.count("is used, but not kept for the next run") == 1
    assert sorted(places[2].rglob("*")) == before


def test_numbers_that_find_no_room_are_used_and_one_note_says_so(study, monkeypatch):
    resource = pytest.importorskip("resource")
    notes = []
    monkeypatch.setattr(screen, "_said", set())
    monkeypatch.setattr(
        screen,
        "_screen",
        type("Screen", (), {"line": lambda _, text: notes.append(text), "terminal": False})(),
    )
    study.store("main")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (500, before[1])
    )  # stands for a full disk; Python ignores SIGXFSZ
    try:
        found = [study.values(one) for one in (norms_by_state, layer_geometry, sgd_fit(Cell()))]
        again = [study.values(one) for one in (norms_by_state, layer_geometry, sgd_fit(Cell()))]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert all(one is other for one, other in zip(found, again, strict=True))
    (note,) = [note for note in notes if "not kept" in note]
    assert "File too large" in note
    assert not list(study.cache_dir.glob("measurements/*/*.safetensors"))
    fresh = Study(study.protocol, cache_dir=study.cache_dir)
    np.testing.assert_array_equal(fresh.values(norms_by_state).arrays["sums"], found[0].arrays["sums"])
