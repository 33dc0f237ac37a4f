"""In a container: have the server there (serve.py) start a step, and stay until it has ended. Litekiln starts this for each step.

    python -I -S attach.py NAME REQUEST

The step's output goes where this program's standard output does. What the step's watcher says goes to standard error. When standard
input ends, which it does with litekiln, so does the step. Standard library only, and valid for Python 3.7.
"""

import array
import ctypes
import os
import select
import shutil
import socket
import sys
import time

PATIENCE = 60  # seconds that the server has to start
NOT_SERVED = 75
PR_SET_DUMPABLE = 4


def main() -> int:
    name, request = f"\0{sys.argv[1]}", sys.argv[2].encode()
    line = _connected(name)
    if line is None:
        return NOT_SERVED
    line.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1]))])
    heard = [0, line.fileno()]
    while True:
        ready = select.select(heard, [], [])[0]
        if 0 in ready and not os.read(0, 1 << 12):
            heard.remove(0)
            line.shutdown(socket.SHUT_WR)
        if line.fileno() in ready:
            said = line.recv(1 << 12)
            if not said:
                return 0
            os.write(2, said + b"\n")


def _connected(name: str) -> "socket.socket | None":
    """The connection to the server, which may be just starting."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            line.connect(name)
        except OSError:
            time.sleep(0.02)
        else:
            return line
    return None


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # no step may look into this process
    own = os.environ["TMPDIR"]
    os.mkdir(own)
    try:
        code = main()
    finally:
        shutil.rmtree(own, ignore_errors=True)
    sys.exit(code)
