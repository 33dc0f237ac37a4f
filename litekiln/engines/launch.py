"""Become a program that has no network and dies with its parent.

    python launch.py PROGRAM [ARGUMENT ...]          python launch.py --probe

Linux only, and best effort by design: where the system refuses a namespace, the program keeps the network. The exit code of
`--probe` says so, and `inv doctor` shows it. Standard library only.
"""

import ctypes
import os
import signal
import sys

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1


def cut_network() -> bool:
    """Whether this process could enter a network namespace without interfaces. Without root, it enters a user namespace too."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        return int(libc.unshare(CLONE_NEWNET)) == 0
    # Ubuntu 24.04 lets a program enter, then refuses to map its user, and it can't leave again: a child process tries first.
    child = os.fork()
    if child == 0:
        os._exit(0 if _enter(libc, uid, gid) else 1)
    return os.waitpid(child, 0)[1] == 0 and _enter(libc, uid, gid)


def _enter(libc: ctypes.CDLL, uid: int, gid: int) -> bool:
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        return False
    try:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as stream:  # noqa: PTH123 - starts faster without pathlib
                stream.write(text)
    except OSError:
        return False
    return True


def die_with_parent(parent: int) -> None:
    """Have this process killed with its parent: no step may outlive litekiln."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    if sys.argv[1:] == ["--probe"]:
        sys.exit(0 if cut_network() else 1)
    parent = os.getppid()
    cut_network()
    die_with_parent(parent)  # after the namespace: entering one clears the setting
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
