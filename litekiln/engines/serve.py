"""Start each step of a toolchain as a copy (fork) of a process that has already imported what the step's program imports.

`main` gets requests by a socket that only litekiln holds. With each come two descriptors: the step's own connection, and where its
output goes. This process imports nothing. It makes one process per set of imports (a *stock*), and hands each request to the one
that has imported exactly what the program's source names: a step finds what it would have imported itself, and nothing else.
There, a request becomes two processes: the step, and its watcher, which does what launch.py does for a program of its own.

The connection is the step's life line. If litekiln closes it, or is gone, the watcher kills the step and all that it started.
The watcher says there that the step has started, and how it ended. If it says nothing, the step was never begun.

Runs in a toolchain's Python: standard library only, and valid for Python 3.7.
"""

import array
import builtins
import ctypes
import gc
import importlib.machinery
import json
import os
import select
import signal
import socket
import struct
import sys
import tempfile
import types
from typing import Any, Dict, FrozenSet, List, Tuple

from litekiln.engines import imports, kernels, launch

LARGEST = 1 << 20  # bytes of a request
# Importing it takes seconds, so the sets that have it begin with one common process.
COMMON = "tensorflow"
OURS = ("litekiln", "litekiln.engines", "litekiln.engines.imports", "litekiln.engines.kernels", "litekiln.engines.launch", __name__)

Holds = FrozenSet[imports.Import]


def main(control: int) -> None:
    """Serve until litekiln closes the socket. Only a step's process returns, when its program has ended."""
    launch.conceal(True)
    kernels.choose()
    run_program(_Root(_Control(socket.socket(fileno=control))).serve())


def listen(name: str) -> None:
    """The same in a container, where requests come from attach.py, by a socket of that name, until litekiln closes the input.

    Steps share the container. Where they could change or end each other, none is started.
    """
    launch.conceal(True)
    with tempfile.NamedTemporaryFile() as file:
        apart = launch.keeps_apart(file.name)
    door = _Door(name)
    if not apart:
        decline(door)
    kernels.choose()
    run_program(_Root(door).serve())


def receive(control: socket.socket) -> "Tuple[Dict[str, Any], List[int]]":
    """The next message and its descriptors. Ends this process when there will be no more."""
    message, descriptors = hear(control)
    if not message:
        os._exit(0)
    return message, descriptors


def hear(control: socket.socket) -> "Tuple[Dict[str, Any], List[int]]":
    """The next message and its descriptors. Nothing, when there will be no more."""
    room = socket.CMSG_SPACE(2 * array.array("i").itemsize)
    data, extra, _, _ = control.recvmsg(LARGEST, room, socket.MSG_CMSG_CLOEXEC)
    if not data:
        return {}, []
    descriptors = array.array("i")
    for level, kind, content in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    return json.loads(data.decode()), list(descriptors)


class _Control:
    """Requests by a socket that litekiln holds the other end of."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    def next(self) -> "Tuple[Dict[str, Any], List[int]]":
        return receive(self._control)

    def close(self) -> None:
        self._control.close()


class _Door:
    """Requests by connections, each of which brings one and becomes the step's own."""

    def __init__(self, name: str) -> None:
        self._life = os.dup(0)
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._door.bind(name)
        self._door.listen(64)

    def next(self) -> "Tuple[Dict[str, Any], List[int]]":
        while True:
            ready = select.select([self._life, self._door.fileno()], [], [])[0]
            if self._life in ready and not os.read(self._life, 1):
                os._exit(0)
            if self._door.fileno() in ready:
                connection = self._door.accept()[0]
                request, descriptors = hear(connection) if comes_from_outside(connection) else ({}, [])
                if request:
                    return request, [connection.detach(), *descriptors]
                connection.close()

    def close(self) -> None:
        self._door.close()
        os.close(self._life)


def decline(door: _Door) -> None:
    """Start nothing, and tell so whoever asks. Never returns."""
    while True:
        _, (connection, *rest) = door.next()
        _close(rest)
        with socket.socket(fileno=connection) as line:
            try:
                line.sendall(json.dumps({"declined": True}).encode())
            except OSError:  # it waits no longer
                continue


def comes_from_outside(connection: socket.socket) -> bool:
    """Whether the other end was started from outside the container: only litekiln can do that, a step can't."""
    pid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))[0]
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return stream.read().rpartition(b")")[2].split()[1] == b"0"
    except OSError:
        return False


def send(control: socket.socket, message: "Dict[str, Any]", descriptors: "List[int]") -> None:
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    control.sendmsg([json.dumps(message).encode()], rights)


def reap() -> None:
    """Forget the children that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


class _Root:
    """Knows the stocks, by what they hold, and starts them when they are needed."""

    def __init__(self, requests: "_Control | _Door") -> None:
        self._requests = requests
        self._imports = imports.Imports()
        self._stocks: "Dict[Holds, socket.socket]" = {}

    def serve(self) -> "Dict[str, Any]":
        """Hand on each request. Returns in a step's process only, what it is to do."""
        while True:
            request, descriptors = self._requests.next()
            reap()
            try:
                if not self._stocks:
                    own = self._make_first(descriptors)
                    if own:
                        return serve_stock(own)
                needed = self._imports.of(os.path.join(request["folder"], request["argv"][0]))
                send(self._stock(needed), {"run": request}, descriptors)
            except OSError:  # a stock is gone with what it was to start: litekiln sees that by the connection
                self._stocks.clear()
            _close(descriptors)

    def _make_first(self, descriptors: "List[int]") -> "socket.socket | None":
        """Make the stock that has imported nothing. Returns its socket in the new process, None in this one."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            self._requests.close()
            _close([ours.detach(), *descriptors])
            return theirs
        theirs.close()
        self._stocks[frozenset()] = ours
        return None

    def _stock(self, needed: "List[imports.Import]") -> socket.socket:
        """The stock that holds these imports and no others. A new one is made from the stock of its common part."""
        base: Holds = frozenset()
        common: "List[imports.Import]" = [(COMMON, ())] if any(name.partition(".")[0] == COMMON for name, _ in needed) else []
        for wanted in (common, common + needed):
            holds = frozenset(wanted)
            if holds not in self._stocks:
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                with theirs:
                    send(self._stocks[base], {"load": [each for each in wanted if each not in base]}, [theirs.fileno()])
                self._stocks[holds] = ours
            base = holds
        return self._stocks[base]


def serve_stock(control: socket.socket) -> "Dict[str, Any]":
    """Start steps, and further stocks. Returns in a step's process only, what it is to do."""
    said = b""  # by the imports: each step's log gets it, as if it had imported itself
    while True:
        message, descriptors = receive(control)
        reap()
        try:
            child = os.fork()
        except OSError:
            child = -1  # litekiln sees by the connection that nothing was started
        if child == 0:
            control.close()
            if "run" in message:
                watch(said, *descriptors)  # returns in the step's process only
                request: "Dict[str, Any]" = message["run"]
                return request
            control = socket.socket(fileno=descriptors[0])
            said += load(message["load"])
        else:
            _close(descriptors)


def load(wanted: "List[imports.Import]") -> bytes:
    """Import all of these, and return what that printed."""
    kept = [os.dup(1), os.dup(2)]
    with tempfile.TemporaryFile() as file:
        for each in (1, 2):
            os.dup2(file.fileno(), each)
        imports.load(wanted)
        flush()
        for number, each in enumerate(kept, 1):
            os.dup2(each, number)
        file.seek(0)
        said = file.read()
    _close(kept)
    gc.collect()
    gc.freeze()  # else each step's first collection would write to all these objects, and copy their memory
    return said


def flush() -> None:
    """Empty all buffers: what is in them when a process is copied is written twice."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    ctypes.CDLL(None).fflush(None)


def _close(descriptors: "List[int]") -> None:
    for each in descriptors:
        os.close(each)


# --- a step's two processes -----------------------------------------------------------------------------------------------


def watch(said: bytes, connection: int, output: int) -> None:
    """Make this process the step's watcher, and return in its child, which is the step.

    The watcher stays until the step ends or its life line does, kills what is left, tells how it ended, and never returns.
    """
    me, line = os.getpid(), socket.socket(fileno=connection)
    try:
        if select.select([connection], [], [], 0)[0]:
            return  # litekiln waits for it no longer
        os.setsid()
        for each in (1, 2):
            os.dup2(output, each)
        os.close(output)
        if os.getuid() == 0:
            launch.cut_network()  # root could change the namespace that the steps share
        launch.adopt_orphans()
        kills = memory_kills()
        child = os.fork()
        if child == 0:
            line.close()
            launch.die_with_parent(me, signal.SIGKILL)
            launch.conceal(False)
            with open(1, "wb", closefd=False) as stream:
                stream.write(said)
            return
        line.sendall(json.dumps({"started": me}).encode())
        status = _wait(child, line)
        launch.stop_leftovers()
        line.sendall(json.dumps({"ended": status, "out_of_memory": status == signal.SIGKILL and memory_kills() > kills}).encode())
    finally:
        if os.getpid() == me:
            launch.kill_children()
            os._exit(0)


def _wait(child: int, line: socket.socket) -> int:
    """How the step ended. If its life line ends first, it is killed with all that it started."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    while True:
        ended = child
        while ended:
            ended, status = os.waitpid(-1, os.WNOHANG)
            if ended == child:
                return status
        ready = select.select([woken, line.fileno()], [], [])[0]
        if woken in ready:
            os.read(woken, 1 << 12)
        if line.fileno() in ready and not line.recv(1):
            launch.kill_children()
            return signal.SIGKILL


def memory_kills() -> int:
    """How often the kernel killed something for want of memory, in this container."""
    for name in ("memory.events", "memory/memory.oom_control"):  # of control groups' version 2, and of version 1
        try:
            with open(f"/sys/fs/cgroup/{name}", encoding="ascii") as stream:
                return {line.split()[0]: int(line.split()[1]) for line in stream}["oom_kill"]
        except (OSError, LookupError, ValueError):
            continue
    return 0


def run_program(request: "Dict[str, Any]") -> None:
    """Run the program in this process as `python PROGRAM ARGUMENT...` would, and end as it ends."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    if request["writes"]:
        contained = launch.contain(request["writes"])
        if request.get("apart") and not contained:
            sys.exit("litekiln: this step could not be kept apart from those beside it: it was not begun")
    argv: "List[str]" = request["argv"]
    launch.name_process(os.path.basename(argv[0]))
    sys.argv[:] = argv
    if hasattr(sys, "orig_argv"):
        sys.orig_argv[:] = [sys.executable, *argv]
    folder = os.path.dirname(os.path.realpath(argv[0]))
    sys.path.insert(0, folder)
    forget(folder)
    path = os.path.abspath(argv[0]) if sys.version_info >= (3, 9) else argv[0]
    program: Any = types.ModuleType("__main__")
    program.__file__, program.__cached__, program.__builtins__, program.__annotations__ = path, None, builtins, {}
    program.__loader__ = importlib.machinery.SourceFileLoader("__main__", path)
    sys.modules["__main__"] = program
    try:
        with open(path, "rb") as stream:
            code = compile(stream.read(), path, "exec", dont_inherit=True)
        exec(code, program.__dict__)  # noqa: S102 - this is what the process is for
    except Exception as error:  # not SystemExit, which Python knows how to end with
        own = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)  # without this function
        sys.excepthook(type(own), own, own.__traceback__)
        sys.exit(1)


def forget(folder: str) -> None:
    """Undo what a process of the program's own would not have: states that copies share, and modules that it may not mean."""
    tempfile.tempdir = None
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()
    beside = {name.partition(".")[0] for name in os.listdir(folder)}
    for name in list(sys.modules):
        if name in OURS or name.partition(".")[0] in beside:
            del sys.modules[name]
