"""Ray: the files that one process makes, whatever is lost on the way; and nothing heard, written or left of it."""

import importlib.util
import ipaddress
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from layerclaims.engines.on_ray import ALONE, ALWAYS, LOOPBACK, run_on_ray, threads_of
from layerclaims.engines.processes import Outcome, run_processes
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime import progress

from tests.faults.worker import files, make_place
from tests.plugin_runs import ROOT

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install ray"
)
MODULES = {
    "refuses": """
import sys
with open("starts", "a") as file:
    file.write("x")
sys.exit("layerclaims: There is no room.")
""",
    # the process of Ray's that holds it is killed the first time, or it is itself
    "loses": """
import os, signal, sys, threading
with open("starts", "a") as file:
    file.write("x")
if os.path.getsize("starts") == 1:
    os.kill(os.getppid() if sys.argv[1] == "holder" else os.getpid(), signal.SIGKILL)
    threading.Event().wait()
""",
    # ends when as many are there as it is told
    "meets": """
import os, sys, time
open(f"met-{os.getpid()}", "x").close()
while sum(name.startswith("met-") for name in os.listdir()) < int(sys.argv[1]):
    time.sleep(0.05)
""",
    # ends when it is told to
    "waits": """
import os, time
open(f"met-{os.getpid()}", "x").close()
while not os.path.exists("go"):
    time.sleep(0.05)
""",
    "threads": "import os, pathlib\npathlib.Path('threads').write_text(os.environ['OMP_NUM_THREADS'])",
    # a driver of a cluster of its own: what listens, and then the end that it is told
    "drives": """
import json, os, signal, sys
from pathlib import Path
import psutil
from layerclaims.engines.on_ray import run_on_ray

def tick():
    try:
        look()
    except psutil.NoSuchProcess:  # it ended while we looked
        pass

def look():
    if not os.path.exists("family") and any(name.startswith("met-") for name in os.listdir()):
        family = [psutil.Process(), *psutil.Process().children(recursive=True)]
        heard = [c.laddr.ip for one in family for c in one.net_connections("inet") if c.status == "LISTEN"]
        with open("part", "w") as file:
            (folder,) = {
                word.partition("=")[2].partition("/session_")[0]
                for one in family for word in one.cmdline() if word.startswith("--session_dir=")
            }
            worker = [one.pid for one in family if "meets" in one.cmdline()]
            found = {"heard": heard, "family": [one.pid for one in family], "worker": worker, "folder": folder}
            json.dump(found, file)
        os.rename("part", "family")
        if sys.argv[1] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        open("met-driver", "x").close()

environment = dict(os.environ)
(outcome,) = run_on_ray(["meets", "2"], workers=1, address=None, environment=environment, cwd=Path.cwd(), tick=tick)
sys.exit(outcome.status)
""",
}


def path_with(*more: Path) -> str:
    inherited = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return os.pathsep.join([*map(str, more), str(ROOT), *inherited])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, code in MODULES.items():
        (tmp_path / f"{name}.py").write_text(code)
    return tmp_path


class Cluster:
    """Two nodes on this machine, of two processors each by what they say."""

    NODE: dict[str, Any] = {  # noqa: RUF012
        "num_cpus": 2, "node_ip_address": "127.0.0.1", "object_store_memory": 80_000_000,
    }  # fmt: skip

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._ray = Cluster(initialize_head=True, head_node_args={**self.NODE, "include_dashboard": False})
        self.address = self._ray.address
        self.second = self.add()

    def add(self) -> Any:
        self.second = self._ray.add_node(**self.NODE)
        return self.second

    def remove(self) -> None:
        self._ray.remove_node(self.second)

    def shutdown(self) -> None:
        self._ray.shutdown()

    def run(
        self,
        command: list[str],
        place: Path,
        *,
        workers: int | None = 1,
        tick: Callable[[], None] = lambda: None,
        **more: str,
    ) -> list[Outcome]:
        return run_on_ray(
            command,
            workers=workers,
            address=self.address,
            environment={**os.environ, "PYTHONPATH": path_with(place), **more},
            cwd=place,
            tick=tick,
        )


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """The one session of Ray's that all tests here join and leave again."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (ALWAYS | ALONE | {LOOPBACK: "0", "PYTHONPATH": path_with()}).items():
            patch.setenv(name, value)
        made = Cluster()
        yield made
        made.shutdown()


def test_all_engines_make_the_same_files(cluster, tmp_path) -> None:
    """Shards, manifests and measurements, byte for byte: workers x threads."""
    work = make_place(tmp_path / "work")

    def command(name: str) -> list[str]:
        return ["tests.faults.worker", str(work), str(tmp_path / name), "layers-linearly-separable"]

    one_thread = {**os.environ, "PYTHONPATH": path_with(), "OMP_NUM_THREADS": "1"}
    assert run_processes([command("local")], environment=one_thread, cwd=ROOT) == [Outcome(status=0, said="")]
    expected = files(tmp_path / "local")
    assert {Path(name).suffix for name in expected} == {".safetensors", ".sha256", ".json"}
    assert {one.status for one in run_processes([command("pull")] * 2, environment=one_thread, cwd=ROOT)} == {
        0
    }
    assert files(tmp_path / "pull") == expected
    for workers, threads in ((1, 1), (2, 1), (1, 2)):
        name = f"{workers}x{threads}"
        done = cluster.run(command(name), ROOT, workers=workers, OMP_NUM_THREADS=str(threads))
        assert [one.status for one in done] == [0] * workers, done
        assert files(tmp_path / name) == expected, name


def test_a_worker_that_refuses_is_not_started_again_and_its_sentence_comes_back(
    cluster, place, capfd
) -> None:
    assert cluster.run(["refuses"], place) == [Outcome(status=1, said="layerclaims: There is no room.")]
    assert (place / "starts").read_text() == "x"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("which", ["holder", "worker"])
def test_a_worker_whose_process_is_killed_is_started_again_without_a_word(
    cluster, place, capfd, which
) -> None:
    assert cluster.run(["loses", which], place) == [Outcome(status=0, said="")]
    assert (place / "starts").read_text() == "xx"
    assert capfd.readouterr() == ("", "")


def test_workers_of_a_node_that_is_lost_are_started_on_the_others(cluster, place) -> None:
    lost = []

    def lose() -> None:
        if not lost and len(list(place.glob("met-*"))) == 2:
            cluster.remove()
            lost.append(True)
            (place / "go").touch()

    done = cluster.run(["waits"], place, workers=2, tick=lose)
    cluster.add()
    assert [one.status for one in done] == [0, 0]
    assert len(list(place.glob("met-*"))) == 3


def test_a_node_that_joins_gets_a_worker_too(cluster, place) -> None:
    cluster.remove()
    joined = []

    def join() -> None:
        if not joined and list(place.glob("met-*")):
            joined.append(cluster.add())

    done = cluster.run(["meets", "2"], place, workers=None, tick=join)
    assert [one.status for one in done] == [0, 0]


def test_a_worker_has_the_threads_of_its_processors(cluster, place, monkeypatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert cluster.run(["threads"], place)[0].status == 0
    assert (place / "threads").read_text() == "2"


@pytest.mark.parametrize(
    ("processors", "workers", "threads"),
    [([8], None, 8), ([8, 2], None, 2), ([8], 3, 2), ([3, 5], 4, 1), ([3, 5], 3, 2), ([4, 4], 8, 1)],
)
def test_all_workers_run_at_the_same_time(processors, workers, threads) -> None:
    assert threads_of(processors, workers) == threads


def test_more_workers_than_a_cluster_has_processors_are_refused(cluster, place) -> None:
    with pytest.raises(
        LayerclaimsError, match="--workers 64 is not possible: the Ray cluster has 4 processors"
    ):
        cluster.run(["refuses"], place, workers=64)
    assert not (place / "starts").exists()


def test_a_cluster_that_is_busy_is_said_to_be(cluster, place, monkeypatch) -> None:
    noted: list[str] = []
    monkeypatch.setattr(progress, "note", noted.append)

    def in_use() -> None:
        if len(list(place.glob("met-*"))) == 2:
            (place / "met-other").touch()

    held = {**os.environ, "PYTHONPATH": path_with(place)}
    code = (
        "import sys; from layerclaims.engines.on_ray import run_on_ray; import os, pathlib\n"
        f"run_on_ray(['meets', '3'], workers=2, address={cluster.address!r}, environment=dict(os.environ), "
        "cwd=pathlib.Path.cwd(), tick=lambda: None)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], cwd=place, env=held)
    while len(list(place.glob("met-*"))) < 2:
        assert other.poll() is None
        time.sleep(0.05)
    assert cluster.run(["threads"], place, tick=in_use, workers=1)[0].status == 0
    assert other.wait() == 0
    assert [line.partition(";")[0] for line in noted] == [
        "layerclaims: 0 of the 2 processors that the workers take are free in the Ray cluster"
    ]


def drive(place: Path, end: str) -> "tuple[subprocess.CompletedProcess[str], Any]":
    """A driver with a cluster of its own, and what it found; its home directory is empty before."""
    (place / "home").mkdir()
    own = ("RAY_", "XDG_", "LAYERCLAIMS_", "OMP_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    done = subprocess.run(
        [sys.executable, "-m", "drives", end],
        cwd=place, env={**kept, "HOME": str(place / "home"), "PYTHONPATH": path_with(place)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (place / "family").exists(), done.stderr
    found = json.loads((place / "family").read_text())
    return done, found


def ended(pids: list[int]) -> bool:
    """Whether all of some processes end by themselves."""
    alive = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    return psutil.wait_procs(alive, timeout=100)[1] == []


def test_a_cluster_of_this_machine_alone_is_heard_on_loopback_and_leaves_nothing(place) -> None:
    done, found = drive(place, "in order")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(found["family"]) > 4
    assert ended(found["family"])
    assert found["heard"]
    assert [ip for ip in found["heard"] if not loopback(ip)] == []
    assert list((place / "home").iterdir()) == []
    assert not Path(found["folder"]).exists()


def test_no_worker_outlives_a_driver_that_is_killed(place) -> None:
    done, found = drive(place, "killed")
    assert done.returncode == -signal.SIGKILL
    assert found["worker"]
    assert ended(found["worker"])


def loopback(ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def test_a_cluster_that_is_not_there_is_one_sentence(cluster, place) -> None:
    with pytest.raises(LayerclaimsError, match=r"^The Ray cluster '127.0.0.1:9' cannot be joined: .*\.$"):
        run_on_ray(
            ["refuses"], workers=1, address="127.0.0.1:9", environment={}, cwd=place, tick=lambda: None
        )


def test_ray_that_was_imported_before_is_not_trusted_to_stay_on_this_machine(
    cluster, place, monkeypatch
) -> None:
    monkeypatch.delenv(LOOPBACK)
    with pytest.raises(LayerclaimsError, match=f"Ray was imported before .* set {LOOPBACK}=0"):
        run_on_ray(["refuses"], workers=1, address=None, environment={}, cwd=place, tick=lambda: None)
