"""`python -m tests.faults.on_ray`: workers on the two nodes of a Ray cluster, of which something is lost at random.

Each trial loses a node, a worker or the driver at a random moment. After the driver a second one is started. In the
end the files have to be those of an undisturbed worker, and what was begun more than once is counted. For the driver
both workers are lost.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from layerclaims.engines.on_ray import ALONE, ALWAYS, LOOPBACK
from layerclaims.engines.processes import run_processes

from tests.faults.worker import files, make_place

CLAIM = "layers-linearly-separable"
LONGEST = 400.0  # seconds after which a driver that is left counts as hanging
LOST = {"node": 1, "worker": 1, "driver": 2}  # workers that go with it
NODE: dict[str, Any] = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "object_store_memory": 80_000_000}
DRIVER = """
import os, sys
from pathlib import Path
from layerclaims.engines.on_ray import run_on_ray
done = run_on_ray(
    ["tests.faults.worker", *sys.argv[2:]], workers=2, address=sys.argv[1], environment=dict(os.environ),
    cwd=Path.cwd(), tick=lambda: None,
)
sys.exit(str(done) if any(one.status for one in done) else 0)
"""


def start(address: str, place: Path, cache: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", DRIVER, address, str(place), str(cache), CLAIM]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def workers(cache: Path) -> list[psutil.Process]:
    """The processes that work on a cache, and nothing else."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "layerclaims.engines.attached" in words and str(cache) in words:
            found.append(process)
    return found


def trial(
    cluster: Any, lost: str, place: Path, cache: Path, moment: float, chance: random.Random
) -> tuple[str, int]:
    """What was wrong, "" for nothing; and how many pieces were begun more than once."""
    driver = start(cluster.address, place, cache)
    while not (cache / "begun").exists() and driver.poll() is None:
        time.sleep(0.05)
    time.sleep(moment)
    if lost == "node":
        cluster.remove_node(next(iter(cluster.worker_nodes)))
        cluster.add_node(**NODE)
    elif lost == "driver":
        driver.kill()
        driver.communicate()
        driver = start(cluster.address, place, cache)
    elif found := workers(cache):
        victim = chance.choice(found)
        chance.choice([victim, victim.parent()]).kill()
    try:
        said, _ = driver.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        driver.kill()
        return "the driver hangs", 0
    begun = Counter((cache / "begun").read_text().splitlines())
    again = sum(begun.values()) - len(begun)
    if driver.returncode or said:
        return f"status {driver.returncode}: {said}", again
    if again > LOST[lost]:
        return "more than one piece a worker was begun again", again
    return "" if files(cache) == files(place / "undisturbed") else "other files", again


def main() -> int:
    parser = argparse.ArgumentParser(description="Lose nodes, workers and drivers at random.")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance, wrong = random.Random(arguments.seed), 0
    os.environ.update(ALWAYS | ALONE | {LOOPBACK: "0"})
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory() as directory:
        place = make_place(Path(directory))
        began = time.monotonic()
        command = ["tests.faults.worker", str(place), str(place / "undisturbed"), CLAIM]
        run_processes([command], environment=dict(os.environ), cwd=Path.cwd())
        usual = time.monotonic() - began
        print(f"undisturbed: {len(files(place / 'undisturbed'))} files in {usual:.1f} s", flush=True)
        cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
        cluster.add_node(**NODE)
        for number in range(arguments.trials):
            lost, moment = chance.choice(list(LOST)), chance.uniform(0, 0.3) * usual
            cache = place / f"trial-{number}"
            why, again = trial(cluster, lost, place, cache, moment, chance)
            wrong += bool(why)
            print(
                f"{number}: {lost} lost at {moment:.1f} s, {again} begun again: {why or 'same files'}",
                flush=True,
            )
        cluster.shutdown()
    print(f"{arguments.trials - wrong} of {arguments.trials} right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
