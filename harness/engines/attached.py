"""`python -m layerclaims.engines.attached MODULE ARGUMENT...`: a module as a program that ends with its parent.

Standard input is a pipe from the parent: when that has gone, however it went, the pipe ends.
"""

import os
import runpy
import signal
import sys
import threading
import time
from typing import Final

GRACE: Final = 10.0  # seconds for an end in order


def _watch(pipe: int) -> None:
    while os.read(pipe, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


if __name__ == "__main__":
    # a copy, since pytest puts something else in the place of descriptor 0
    threading.Thread(target=_watch, args=(os.dup(0),), daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
