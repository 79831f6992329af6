"""Ray: the same processes, placed on the nodes of a cluster by Ray, which starts the lost ones again."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from layerclaims.engines.processes import TICK, Outcome, run_processes
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import shown

RETRIES: Final = 3  # times that a lost worker is started again
LOST: Final = -9  # status of a worker whose node or process was lost for good
# read by Ray when it is imported
ALWAYS: Final = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
# a cluster of this machine alone listens on 127.0.0.1 and nowhere else; its token would be written to the home
ALONE: Final = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "disabled"}


def run_on_ray(
    command: Sequence[str],
    *,
    workers: int | None,
    address: str | None,
    environment: Mapping[str, str],
    cwd: Path,
    tick: Callable[[], None],
) -> list[Outcome]:
    """Run `python -m COMMAND` in some workers of a Ray cluster, to their ends: one a node by default.

    The nodes share the directory `cwd`, the Python and the cache. What the command finds stays in the cache, and only
    its status comes back. Without an address there is a cluster of this machine alone for as long as it takes. Raises
    LayerclaimsError where Ray is not installed, the cluster is not there, or has fewer processors than workers.
    """
    if workers is not None and address is None:
        _check_processors(workers, _cores())  # before Ray takes its seconds to start
    ray = _imported(ALWAYS if address else ALWAYS | ALONE)
    _start(ray, address)
    try:
        nodes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
        processors = [n for n in nodes if n > 0] or [0]
        n_workers = workers or len(processors)
        _check_processors(n_workers, sum(processors))
        # no more than the smallest node has: what no node can hold would wait for ever
        threads = min(sum(processors) // n_workers, min(processors))
        run = ray.remote(num_cpus=threads, max_retries=RETRIES, scheduling_strategy="SPREAD")(_run)
        given = {"OMP_NUM_THREADS": str(threads), **environment}
        waiting = [run.remote(list(command), given, str(cwd)) for _ in range(n_workers)]
        outcomes = []
        while waiting:
            done, waiting = ray.wait(waiting, timeout=TICK)
            outcomes += [_outcome(ray, one) for one in done]
            tick()
        return outcomes
    finally:
        ray.shutdown()


def _check_processors(workers: int, total: int) -> None:
    if workers > total:
        raise LayerclaimsError(
            f"--workers {workers} is not possible: the Ray cluster has {total} processors; lower it."
        )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run(command: list[str], environment: dict[str, str], cwd: str) -> tuple[int, str]:
    """In a worker of Ray: the command in a process of its own, which ends when the worker does."""
    (outcome,) = run_processes([command], environment=environment, cwd=Path(cwd))
    return outcome.status, outcome.said


def _outcome(ray: Any, one: Any) -> Outcome:
    try:
        status, said = ray.get(one)
    except ray.exceptions.RayError as error:
        return Outcome(status=LOST, said=f"Ray lost the worker: {str(error).strip().splitlines()[0]}")
    return Outcome(status=status, said=said)


def _imported(variables: Mapping[str, str]) -> Any:
    for name, value in variables.items():
        os.environ.setdefault(name, value)
    try:
        import ray  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise LayerclaimsError(
            "--engine ray needs Ray, which is not installed; run: pip install 'layerclaims[ray]'."
        ) from None
    return ray


def _start(ray: Any, address: str | None) -> None:
    """Join the cluster at an address, or start one of this machine alone. Raises LayerclaimsError."""
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    try:
        if address is not None:
            ray.init(address=address, **quiet)
        else:
            ray.init(num_cpus=_cores(), include_dashboard=False, _node_ip_address="127.0.0.1", **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = f"The Ray cluster {shown(address)} cannot be joined" if address else "Ray cannot be started"
        first = str(error).strip().partition("\n")[0].rstrip(".")
        raise LayerclaimsError(f"{where}: {first[:300]}.") from None
    finally:
        sys.stdout.flush()
