"""One worker of a warm Ray cluster against the same worker without Ray: processor seconds, and the first shard."""

import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import common

TEXTS, FULL = 60, 200
CLAIMS = "norm_is_a_feature or layers_linearly_separable"


class _Watch:
    """Seconds until the first shard lies in a cache, as looks at it tell."""

    def __init__(self, cache: Path) -> None:
        self._cache, self._begin, self.seconds = cache, time.perf_counter(), 0.0

    def look(self) -> None:
        if not self.seconds and any(self._cache.glob("states/*/shard-*.sha256")):
            self.seconds = time.perf_counter() - self._begin


def _cluster_seconds() -> float:
    """Processor seconds of this process and all that it started, Ray's own with them."""
    import psutil

    found = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        times = process.cpu_times()
        found += times.user + times.system + times.children_user + times.children_system
    return found


def _local_seconds() -> float:
    return sum(
        sum(resource.getrusage(whose)[:2]) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )


def _measured(
    run: Callable[[Path, Callable[[], None]], None], seconds: Callable[[], float]
) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as directory:
        watch, before = _Watch(Path(directory)), seconds()
        run(Path(directory), watch.look)
        return {"cpu": seconds() - before, "first": watch.seconds}


def main() -> None:
    options = common.parser(__doc__ or "")
    given = options.parse_args()
    texts = FULL if given.full else TEXTS
    environment = dict(os.environ)
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    os.environ["RAY_AUTH_MODE"] = "disabled"

    from layerclaims.engines.on_ray import run_on_ray
    from layerclaims.engines.processes import run_processes

    def command(cache: Path) -> list[str]:
        return [
            "layerclaims.cli", "work", "--n-texts", str(texts), "--transfer-corpus", "none", "-k", CLAIMS,
            "--cache-dir", str(cache),
        ]  # fmt: skip

    def local(cache: Path, look: Callable[[], None]) -> None:
        run_processes([command(cache)], environment=environment, cwd=common.ROOT, tick=look)

    def on_ray(cache: Path, look: Callable[[], None]) -> None:
        run_on_ray(
            command(cache),
            workers=1,
            address=cluster.address,
            environment=environment,
            cwd=common.ROOT,
            tick=look,
        )

    alone = _measured(local, _local_seconds)
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    run_on_ray(
        ["layerclaims.cli", "--version"], workers=1, address=cluster.address, environment=environment,
        cwd=common.ROOT, tick=lambda: None,
    )  # fmt: skip
    warm = _measured(on_ray, _cluster_seconds)
    cluster.shutdown()
    rows = [
        common.row("a worker alone", alone["cpu"], "CPU s"),
        common.row("a worker on Ray", warm["cpu"], "CPU s", peer=alone["cpu"], target="1.10"),
        common.row("its first shard, alone", alone["first"], "s"),
        common.row("its first shard, on Ray", warm["first"], "s", peer=alone["first"]),
    ]
    common.write("engines", rows, texts=texts, model="embedded", claims=CLAIMS)


if __name__ == "__main__":
    main()
