"""Where the runtime runs: in its image, or on somebody's own computer, where messages must not speak of containers.

`inv detect` and `inv camera` start it there and say so by LITEKILN_DESK, which holds the command that was typed.
"""

import ctypes
import os
import signal
import sys

DESK = os.environ.get("LITEKILN_DESK", "")
READS_A_PIPE = f"{DESK} --source -" if DESK else "docker run -i IMAGE watch --source -"  # the command that frames are piped into
PR_SET_PDEATHSIG = 1


def here(in_a_container: str, on_a_desk: str) -> str:
    """The advice that fits this place."""
    return on_a_desk if DESK else in_a_container


def end_with_parent() -> None:
    """On a desk, end when `inv` ends, however that happens: nobody would find a server that is left behind."""
    if DESK and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
