"""Ray: the same processes as on one machine, which Ray places on the nodes of a cluster and starts again when lost.

Each is in the hold of a task of Ray's, which carries a command to it and its exit status back, and no number.
"""

import contextlib
import importlib
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from layerclaims.engines.processes import TICK, Outcome, run_processes
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime import progress
from layerclaims.runtime.folders import OwnFolder
from layerclaims.runtime.text import inert, shown

RETRIES: Final = 3  # times that a lost worker is started again
LOST: Final = -9  # status of a worker whose node or process was lost for good
# read by Ray when it is imported
ALWAYS: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # it would print of each lost worker, which is started again, on our output
}
# for a cluster of this machine alone
ALONE: Final = {
    "RAY_AUTH_MODE": "disabled",  # its token would be written to the home directory
    "RAY_prestart_worker_first_driver": "0",  # it would start a process a core before any is asked for
    "RAY_worker_niceness": "0",  # its processes would give way to every other program of the machine
}
LOOPBACK: Final = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # with "0" Ray listens on 127.0.0.1 and nowhere else
STORE_BYTES: Final = (
    100_000_000  # Ray's memory for objects, of which it takes a third of the machine otherwise
)
# not the directory of the user's choice: the sockets in it may have no longer names than 107 bytes
PLACE: Final = "/tmp"


def run_on_ray(
    command: Sequence[str],
    *,
    workers: int | None,
    address: str | None,
    environment: Mapping[str, str],
    cwd: Path,
    tick: Callable[[], None],
) -> list[Outcome]:
    """Run `python -m COMMAND` in some workers of a Ray cluster, to their ends.

    By default there is one a node, also on nodes that join later. The nodes share the directory `cwd`, the Python and
    the cache. What the command finds stays in the cache, and only its status comes back. A worker that is lost with its
    process or its node is started again; one that ends with an error is not. Without an address there is a cluster of
    this machine alone for as long as it takes. Raises LayerclaimsError where Ray is not installed, the cluster is not
    there, or has fewer processors than workers.
    """
    if workers is not None and address is None:
        _check_processors(workers, _cores())  # before Ray takes its seconds to start
    with _cluster(address) as ray:
        processors = _processors(ray)
        started = workers or len(processors)
        _check_processors(started, sum(processors))
        threads = threads_of(processors, workers)
        _say_if_busy(ray, started * threads)
        hold = ray.remote(
            num_cpus=threads,
            max_retries=RETRIES,
            retry_exceptions=[KilledError],
            scheduling_strategy="SPREAD",
        )(_hold)
        given = {"OMP_NUM_THREADS": str(threads), **environment}

        def start(count: int) -> list[Any]:
            return [hold.remote(list(command), given, str(cwd)) for _ in range(count)]

        waiting, outcomes = start(started), list[Outcome]()
        while waiting:
            done, waiting = ray.wait(waiting, timeout=TICK)
            outcomes += [_outcome(ray, one) for one in done]
            if workers is None and waiting:
                joined = max(0, sum(n >= threads for n in _processors(ray)) - started)
                waiting, started = waiting + start(joined), started + joined
            tick()
        return outcomes


def threads_of(processors: Sequence[int], workers: int | None) -> int:
    """Threads of each worker on nodes with so many processors: as many as let all workers run at the same time.

    None asks for one worker a node. There are no more threads than the smallest node has processors.
    """
    most = min(processors)
    if workers is None:
        return most
    return next(t for t in range(most, 0, -1) if sum(n // t for n in processors) >= workers)


def _check_processors(workers: int, total: int) -> None:
    if workers > total:
        raise LayerclaimsError(
            f"--workers {workers} is not possible: the Ray cluster has {total} processors; lower it."
        )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processors(ray: Any) -> list[int]:
    """Of each node that has any; [0] where none has."""
    nodes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    return [n for n in nodes if n > 0] or [0]


def _say_if_busy(ray: Any, wanted: int) -> None:
    """Say that workers will wait where other programs hold the processors of a cluster."""
    free = int(ray.available_resources().get("CPU", 0))
    if free < wanted:
        progress.note(
            f"layerclaims: {free} of the {wanted} processors that the workers take are free in the Ray cluster; "
            "those that find none wait until other programs give theirs back"
        )


def _hold(command: list[str], environment: dict[str, str], cwd: str) -> tuple[int, str]:
    """In a process of Ray's: the command in a process of its own, which ends when this one does.

    Raises KilledError, on which Ray starts it again.
    """
    (outcome,) = run_processes([command], environment=environment, cwd=Path(cwd))
    if outcome.status < 0:
        raise KilledError(f"signal {-outcome.status} ended it")
    return outcome.status, outcome.said


class KilledError(Exception):
    """A worker was ended from outside, as by a system that has no memory left."""


def _outcome(ray: Any, one: Any) -> Outcome:
    try:
        status, said = ray.get(one)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)  # of a task that could not be begun
        return Outcome(status=LOST, said=f"Ray lost the worker: {_first_line(cause or error)}.")
    return Outcome(status=status, said=said)


@contextlib.contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    """Ray, which has joined the cluster at an address, or one of this machine alone. Raises LayerclaimsError."""
    ray = _imported(alone=address is None)
    own = OwnFolder(Path(PLACE) if Path(PLACE).is_dir() else None, "lc-ray-")
    try:
        _start(ray, address, own.path)
        yield ray
    except ray.exceptions.RayError as error:
        raise LayerclaimsError(f"The Ray cluster was lost: {_first_line(error)}.") from None
    finally:
        ray.shutdown()
        own.remove()


def _start(ray: Any, address: str | None, own: Path) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    try:
        if address is not None:
            _knock(address)
            ray.init(address=address, **quiet)
        else:
            ray.init(
                address="local", num_cpus=_cores(), include_dashboard=False, object_store_memory=STORE_BYTES,
                _node_ip_address="127.0.0.1", _temp_dir=str(own), **quiet,
            )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError, OSError, ray.exceptions.RayError) as error:
        where = f"The Ray cluster {shown(address)} cannot be joined" if address else "Ray cannot be started"
        raise LayerclaimsError(f"{where}: {_first_line(error)}.") from None
    finally:
        sys.stdout.flush()


def _knock(address: str) -> None:
    """Raise OSError where nobody listens at HOST:PORT: Ray itself would try again and again."""
    host, _, port = address.rpartition(":")
    if host and "/" not in host and port.isascii() and port.isdigit() and int(port) < 2**16:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _first_line(error: BaseException) -> str:
    said = str(error).strip() or type(error).__name__
    return inert(said.partition("\n")[0], 300).rstrip(".")


def _imported(*, alone: bool) -> Any:
    for name, value in (ALWAYS | ALONE if alone else ALWAYS).items():
        os.environ.setdefault(name, value)
    if alone:
        if "ray" in sys.modules and os.environ.get(LOOPBACK) != "0":
            raise LayerclaimsError(
                f"Ray was imported before --engine ray could keep it to this machine; set {LOOPBACK}=0 in the "
                "environment, or name a cluster with --ray-address."
            )
        os.environ[LOOPBACK] = "0"
    try:
        ray = importlib.import_module("ray")  # whose types are not looked at: they take minutes
    except ImportError:
        raise LayerclaimsError(
            "--engine ray needs Ray, which is not installed; run: pip install 'layerclaims[ray]'."
        ) from None
    return ray
