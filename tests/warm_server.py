"""What `tests.warm` starts: a process that has imported what a run of claims imports, and forks for each request.

It is no module to be imported. A request is the arguments of Python, the folder and the variables, with three open
files; the answers are the number of the process, and then what it ended with.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import threading
import traceback
import types
from pathlib import Path
from typing import Any, NoReturn

# no module of layerclaims, of pytest's plugins or of the tests: these a run imports itself, from its own places
HEAVY = (
    "jinja2",
    "numpy",
    "peft",
    "pyarrow.parquet",
    "pydantic",
    "pytest",
    "safetensors.torch",
    "scipy.stats",
    "sklearn.linear_model",
    "sklearn.manifold",
    "sklearn.tree",
    "torch",
    "transformers",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.models.llama.modeling_llama",
)
PLUGINS = ("anyio", "platformdirs")  # have plugins of pytest, which warns if it does not import them itself
LIMIT = 1 << 20  # bytes of a request


def serve(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Fork for each request; returns in the fork, with the request and the files."""
    while True:
        said, files, _, _ = socket.recv_fds(connection, LIMIT, 3)
        if not said:  # the one that asks has ended
            os._exit(0)
        if (pid := os.fork()) == 0:
            connection.close()
            return json.loads(said), files
        for file in files:
            os.close(file)
        connection.send(str(pid).encode())
        connection.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


def become(request: dict[str, Any], files: list[int], path: list[str]) -> int:
    """Run as `python ARGUMENTS` would: the same files, folder, variables, modules and signals; its exit status."""
    if request["own_session"]:
        os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    more = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    how, what, *rest = request["arguments"]
    sys.path[:] = [str(Path.cwd()) if how == "-m" else "", *filter(None, more), *path]
    importlib.invalidate_caches()
    sys.argv = [what if how == "-m" else how, *rest]
    try:
        if how == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            assert how == "-c"
            main = sys.modules["__main__"] = types.ModuleType("__main__")
            exec(compile(what, "<string>", "exec"), main.__dict__)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def end(status: int) -> NoReturn:
    """End as an interpreter does, but for taking down modules, which takes longer than most of these processes."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    ours = socket.socket(fileno=int(sys.argv[1]))
    for name in HEAVY:
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition(".")[0] in PLUGINS]:
        del sys.modules[name]
    gc.freeze()  # a collection in a fork would copy what they share
    # the first is the folder of this file; without PYTHONPATH the others are Python's own
    end(become(*serve(ours), sys.path[1:]))
