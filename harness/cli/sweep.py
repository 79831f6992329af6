"""`layerclaims sweep`: runs the claims over a grid of models, corpora, contexts, texts, seeds and protocols."""

import argparse
from pathlib import Path
from typing import Any

from layerclaims.cli.cache import add_cache_dir, cache_dir
from layerclaims.cli.parser import UsageError, command


def add_sweep(commands: Any) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "sweep",
        _sweep,
        "Run the claims over a grid of models, corpora, contexts, texts, seeds and protocols. The file names the "
        "grids, and each target gets a results.json of its own. What is done stays, so that the same command goes on "
        "after an interruption. The end is a board of all runs, and the authors' figures beside those measured at "
        "their cells.",
        "layerclaims sweep sweeps/post.toml --dry-run",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a TOML file that names the grids")
    parser.add_argument(
        "--dry-run", action="store_true", help="show the plan and what it costs, and stop there"
    )
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="run N targets at a time. Default: 1"
    )
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        help="where each target's work is done: local, on this machine; or ray, on the nodes of a Ray cluster. "
        "Default: local",
    )
    parser.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="the Ray cluster for --engine ray. Default: one of this machine alone for each target",
    )
    parser.add_argument(
        "--device", metavar="NAME", help="where the models run: auto, cpu, cuda or mps. Default: auto"
    )
    add_cache_dir(parser)
    parser.add_argument("--offline", action="store_true", help="never ask the hub; read what its cache holds")


def _sweep(arguments: argparse.Namespace) -> int:
    from layerclaims.runtime.progress import duration
    from layerclaims.runtime.text import inert
    from layerclaims.sweeps import run, table
    from layerclaims.sweeps.file import read_sweep
    from layerclaims.sweeps.progress import State, described

    if not 1 <= arguments.workers <= 1000:
        raise UsageError(f"--workers {arguments.workers} is not possible: it has to be 1 to 1000.")
    if arguments.ray_address is not None and arguments.engine != "ray":
        raise UsageError("--ray-address is for --engine ray only; give that too.")
    state = State(read_sweep(arguments.file))
    sweep = state.sweep
    missing = [target for target in sweep.targets if state.results(target) is None]
    print(described(state, missing), flush=True)
    if arguments.dry_run:
        return 0
    given = {name: getattr(arguments, name.replace("-", "_")) for name in ("device", "engine", "ray-address")}
    options = [f"--layerclaims-{name}={value}" for name, value in given.items() if value]
    options += ["--layerclaims-offline"] if arguments.offline else []
    left = list(missing)

    def say(line: str) -> None:
        del left[:1]
        seconds = state.seconds_left(left) if left else None
        more = f"; {len(left):,} left" + (
            f", about {duration(seconds / arguments.workers)}" if seconds else ""
        )
        print(f"{inert(line)}{more if left else ''}", flush=True)

    failed = run.run(
        state, missing, workers=arguments.workers, cache_dir=cache_dir(arguments), options=options, say=say
    )
    runs = [found for target in sweep.targets if (found := state.results(target)) is not None]
    if runs:
        for path in table.write(runs, sweep.out):
            print(f"written: {inert(path)}")
    run.check(state, failed)
    return 0
