"""Run a program that ends with its parent, with all that it started; without network and without writing elsewhere, if asked.

    python launch.py PARENT [--no-network] [--writes FOLDER]... -- PROGRAM [ARGUMENT ...]
    python launch.py --probe network|files|apart

PARENT is the caller's process id. On Linux this process stays and watches: when the program ends, or the parent, or when SIGTERM
comes, it kills everything that is left of the program, and ends as the program did. Elsewhere it becomes the program.
serve.py uses the same means for each step that it forks.

Best effort by design: where the system refuses a namespace or has no Landlock, the program runs without it. The exit code of
`--probe` says so, and `inv doctor` shows it. Standard library only, and valid for Python 3.7: serve.py runs in toolchains.
"""

import ctypes
import os
import resource
import signal
import struct
import sys

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
NOT_STARTED = 127  # the exit code of a shell for a program that can't be started

# Landlock, see linux/landlock.h. Its numbers are the same on all processors.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION_FLAG, PATH_BENEATH = 1, 1
WRITE_FILE, TRUNCATE, IOCTL_DEVICE = 1 << 1, 1 << 14, 1 << 15
# Writing; removing folders and files; making devices, folders, files, sockets, pipes and links.
CHANGES = (WRITE_FILE, *(1 << place for place in range(4, 13)))
DEVICES = 1 << 6 | 1 << 11  # making them: root could write to the disk itself through one
SINCE = ((2, 1 << 13), (3, TRUNCATE), (5, IOCTL_DEVICE))  # renaming between folders; cutting short; controlling devices
FULL_SINCE = 3  # before, a file could still be cut short
SCOPES_SINCE, SCOPES = 6, 0b11  # no signals to others, and none of their abstract sockets
HARMLESS = ("/dev/null",)

# Seccomp, see linux/seccomp.h, linux/filter.h and linux/audit.h. For each kind of processor: its own number, and its numbers of
# seccomp and of prlimit64.
PROCESSORS = {"x86_64": (0xC000003E, 317, 302), "aarch64": (0xC00000B7, 277, 261)}
SET_FILTER, NO_SLOWER = 1, 1 << 2  # before Linux 5.16 a filter switched on what slows all else down
LOAD, IF_EQUAL, IF_AT_LEAST, ANSWER = 0x20, 0x15, 0x35, 0x06
CALL, PROCESSOR, FIRST_ARGUMENT = 0, 4, 16  # where they are in what a filter sees
REFUSED, ALLOWED = 0x50001, 0x7FFF0000  # the first is EPERM
X32 = 1 << 30  # calls from here on are those of another kind of program
UNRESTRICTED, PARTLY = 1, 2  # exit codes of the probe


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("lines", ctypes.c_void_p))


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
            with open(f"/proc/self/{name}", "w", encoding="ascii") as stream:
                stream.write(text)
    except OSError:
        return False
    return True


def contain(folders: "list[str]") -> bool:
    """Whether this process, and all that it starts, is now kept to changing these folders and limiting itself. No way back."""
    restricted = restrict_writes(folders)
    return keep_limits() and restricted


def landlock_version() -> int:
    """The version of the kernel's Landlock; 0 if it has none, or it is switched off."""
    if sys.platform != "linux":
        return 0
    return max(0, int(ctypes.CDLL(None).syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(VERSION_FLAG))))


def restrict_writes(folders: "list[str]") -> bool:
    """Whether this process, and all that it starts, can now change files only below these folders. There is no way back."""
    version = landlock_version()
    if not version:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    handled = sum(CHANGES) + sum(right for since, right in SINCE if version >= since)
    scoped = version >= SCOPES_SINCE
    attributes = (ctypes.c_uint64 * 3)(handled, 0, SCOPES if scoped else 0)
    ruleset = libc.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(24 if scoped else 8), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    try:
        for folder in folders:
            _allow(libc, ruleset, folder, handled & ~(DEVICES | IOCTL_DEVICE))
        for file in HARMLESS:
            _allow(libc, ruleset, file, handled & (WRITE_FILE | TRUNCATE))
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        return int(libc.syscall(RESTRICT_SELF, ruleset, ctypes.c_uint32(0))) == 0
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, place: str, allowed: int) -> None:
    """Allow changes below a place. A place that isn't there needs no rule."""
    try:
        folder = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        libc.syscall(ADD_RULE, ruleset, ctypes.c_int(PATH_BENEATH), ctypes.byref(_PathRule(allowed, folder)), ctypes.c_uint32(0))
    finally:
        os.close(folder)


def keep_limits() -> bool:
    """Whether this process, and all that it starts, can now set limits (prlimit) of no other process: no processor time is an end.

    Landlock keeps signals in, but not this. Programs of another kind of processor can call nothing any more.
    """
    if sys.platform != "linux" or os.uname().machine not in PROCESSORS or sys.maxsize < 1 << 32:
        return False
    processor, seccomp, prlimit = PROCESSORS[os.uname().machine]
    lines = (  # the two numbers in the middle: how many lines to leave out, if it is so, and if not
        (LOAD, 0, 0, PROCESSOR),
        (IF_EQUAL, 0, 5, processor),
        (LOAD, 0, 0, CALL),
        (IF_AT_LEAST, 3, 0, X32),
        (IF_EQUAL, 0, 3, prlimit),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (IF_EQUAL, 1, 0, 0),  # the caller itself
        (ANSWER, 0, 0, REFUSED),
        (ANSWER, 0, 0, ALLOWED),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    asked = ctypes.byref(_Filter(len(lines), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return int(libc.syscall(seccomp, SET_FILTER, NO_SLOWER, asked)) == 0


def keeps_apart(file: str) -> bool:
    """Whether a process of the same user can be kept from changing a file of this one, and from ending this one: a child tries."""
    me, child = os.getpid(), os.fork()
    if child == 0:
        try:
            apart = contain([]) and landlock_version() >= SCOPES_SINCE and _is_kept_from(me, file)
            os._exit(0 if apart else UNRESTRICTED)
        finally:
            os._exit(UNRESTRICTED)
    return os.waitpid(child, 0)[1] == 0


def _is_kept_from(process: int, file: str) -> bool:
    for attempt in (
        lambda: os.close(os.open(file, os.O_WRONLY)),
        lambda: os.kill(process, 0),
        lambda: resource.prlimit(process, resource.RLIMIT_CORE),
    ):
        try:
            attempt()
        except PermissionError:
            continue
        return False
    return True


def die_with_parent(parent: int, sign: int) -> None:
    """Have this process sent a signal when its parent dies, or now, if that is dead already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, sign, 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os.kill(os.getpid(), sign)


def watch(program: "list[str]", writes: "list[str] | None") -> None:
    """Run the program as a child, kill what it leaves running, and end as it ended. Never returns."""
    adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller decides
    signal.signal(signal.SIGTERM, _end_all)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    me, child = os.getpid(), os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        _become(program, writes, me)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    ended, status = 0, 0
    while ended != child:
        ended, status = os.wait()
    stop_leftovers()
    if os.WIFSIGNALED(status):
        _die_of(os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))


def _become(program: "list[str]", writes: "list[str] | None", parent: int) -> None:
    try:
        die_with_parent(parent, signal.SIGKILL)
        if writes is not None:
            contain(writes)
        os.execvp(program[0], program)
    except OSError as error:
        sys.stderr.write(f"{program[0]} could not be started: {error.strerror}\n")
        sys.stderr.flush()
    os._exit(NOT_STARTED)


def conceal(concealed: bool) -> None:
    """Whether no process of the same user may look into this one's memory, or change it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0 if concealed else 1, 0, 0, 0)


def name_process(name: str) -> None:
    """What `ps -o comm` and `top` call this process: the first 15 bytes of it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_NAME, ctypes.c_char_p(os.fsencode(name)), 0, 0, 0)


def adopt_orphans() -> None:
    """Have what this process's children leave running become its own child."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def stop_leftovers() -> None:
    """Kill what an ended program left running, and say so."""
    left = kill_children()
    if left:
        sys.stderr.write(f"litekiln: the program ended, but processes that it started still ran ({left}): they were stopped\n")
        sys.stderr.flush()


def kill_children() -> int:
    """Kill this process's children, and theirs, which become its own then. Returns how many there were."""
    killed = set()
    while True:
        for child in _children():
            killed.add(child)
            os.kill(child, signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return len(killed)


def _children() -> "list[int]":
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as stream:
                    state, parent = stream.read().rpartition(b")")[2].split()[:2]
            except OSError:
                continue
            if int(parent) == os.getpid() and state != b"Z":
                found.append(int(name))
    return found


def _end_all(*_: object) -> None:
    kill_children()
    _die_of(signal.SIGKILL)


def _die_of(sign: int) -> None:
    """End by a signal, as the program did, without another core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sign != signal.SIGKILL:
        signal.signal(sign, signal.SIG_DFL)
    os.kill(os.getpid(), sign)
    os._exit(128 + sign)


def _probe(what: str) -> int:
    if what == "network":
        return 0 if cut_network() else UNRESTRICTED
    import tempfile  # takes longer to load than all else here

    with tempfile.NamedTemporaryFile() as file:
        if what == "apart":
            return 0 if keeps_apart(file.name) else UNRESTRICTED
        if not restrict_writes([]):
            return UNRESTRICTED
        try:
            with open(file.name, "ab"):
                return UNRESTRICTED
        except PermissionError:
            os._exit(0 if landlock_version() >= FULL_SINCE else PARTLY)


def main() -> None:
    if sys.argv[1] == "--probe":
        sys.exit(_probe(sys.argv[2]))
    own, program = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    parent = int(own[0])
    writes = [folder for option, folder in zip(own, own[1:]) if option == "--writes"]
    if "--no-network" in own:
        cut_network()
    die_with_parent(parent, signal.SIGTERM)  # after the namespace: entering one clears the setting
    if sys.platform == "linux":
        watch(program, writes or None)
    os.execvp(program[0], program)


if __name__ == "__main__":
    main()
