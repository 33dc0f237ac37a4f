"""Containers that stay and start steps: one for each model, whose steps are processes of it that run attach.py."""

import itertools
import json
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litekiln.engines.base import STEP_ENVIRONMENT, Job, LineSink, Outcome, Stop
from litekiln.engines.served import GONE, NOT_SERVED, PACKAGE

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

Create = Callable[[str, list[Any]], "Container"]
PYTHON = "/opt/toolchain/bin/python"
DOOR = "litekiln"  # a name in the container's own network namespace
CODE, BOXES, OUTS = "/litekiln", "/boxes", "/outs"
NEEDED = ("__init__.py", *(f"engines/{name}.py" for name in ("__init__", "attach", "imports", "kernels", "launch", "serve")))
START = f"import sys; sys.path[0] = {CODE!r}; from litekiln.engines.serve import listen; del sys.path[0]; listen('\\0{DOOR}')"
SERVE = (PYTHON, "-c", START)
ALONE = (
    b"litekiln: each step gets a container of its own here, which takes longer: steps that share one can be kept apart only by"
    b" Linux 6.12 or newer with Landlock, if Docker's seccomp profile allows it\n"
)
OUTPUT = 1  # the stream of the step's output; the other one is its watcher's
SIGKILL = 9


class Containers:
    """The containers of one toolchain. Several threads may use it."""

    def __init__(self, client: "DockerClient", create: Create, staging: Path | None) -> None:
        """`staging` is a folder that the daemon can mount. Without one, nothing is served."""
        self._client = client
        self._create = create
        self._staging = staging
        self._serving: dict[str, _Serving] = {}
        self._lock = threading.Lock()

    def run(self, job: Job, environment: Mapping[str, str], sink: LineSink, stop: Stop) -> Outcome | None:
        """The job's outcome. None if it could not be started here, and nothing has happened."""
        if self._staging is None:
            return None
        with self._used(job.group, self._staging) as serving:
            outcome = serving.run(job, environment, sink, stop)
        if outcome is None:
            self._staging = None
            sink.feed(ALONE if serving.declines else NOT_SERVED)
        return outcome

    @contextmanager
    def _used(self, group: str, staging: Path) -> "Iterator[_Serving]":
        """The model's container. Those that are idle make room for a new one."""
        with self._lock:
            if group not in self._serving:
                for idle in [name for name, each in self._serving.items() if not each.steps]:
                    self._serving.pop(idle).close()
                self._serving[group] = _Serving(self._client, self._create, group, staging)
            serving = self._serving[group]
            serving.steps += 1
        try:
            yield serving
        except BaseException:  # the step may still run
            serving.broken = True
            raise
        finally:
            with self._lock:
                serving.steps -= 1
                if serving.broken:
                    if self._serving.get(group) is serving:
                        self._serving.pop(group)  # the next step gets another
                    if not serving.steps:
                        serving.close()

    def close(self) -> None:
        with self._lock:
            for serving in self._serving.values():
                serving.close()
            self._serving.clear()


class _Serving:
    """One container. Its steps see the boxes of the steps that run just then, and can write to their own output."""

    def __init__(self, client: "DockerClient", create: Create, group: str, staging: Path) -> None:
        from docker.types import Mount

        self.steps = 0
        self.broken = False
        self.declines = False  # its steps could not be kept apart
        self._client = client
        self._numbers = itertools.count()
        self._folder = Path(tempfile.mkdtemp(dir=staging, prefix="served-")).resolve()
        self._folder.chmod(0o755)
        for name in ("boxes", "outs"):
            (self._folder / name).mkdir()
        for name in NEEDED:
            place = self._folder / "code" / "litekiln" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PACKAGE / name, place)
        mounts = [
            Mount(CODE, str(self._folder / "code"), type="bind", read_only=True),
            Mount(BOXES, str(self._folder / "boxes"), type="bind", read_only=True),
            Mount(OUTS, str(self._folder / "outs"), type="bind"),
        ]
        self._container = create(f"steps of {group}", mounts)
        try:
            self._life = self._container.attach_socket(params={"stdin": 1, "stream": 1})  # it ends with this
            self._container.start()
        except BaseException:
            self._container.remove(force=True, v=True)
            raise

    def run(self, job: Job, environment: Mapping[str, str], sink: LineSink, stop: Stop) -> Outcome | None:
        name = f"step-{next(self._numbers)}"
        box, out = self._folder / "boxes" / name, self._folder / "outs" / name
        out.mkdir()
        # What a step writes is moved through this: its name could lead elsewhere by then.
        opened = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.chown(opened, os.getuid(), os.getgid())
            _lay_out(job, box, f"{OUTS}/{name}")
            temporary = f"/tmp/{name}"  # noqa: S108 - the container's own
            environment = {**STEP_ENVIRONMENT, **environment, "HOME": temporary, "TMPDIR": temporary}
            request = {
                "argv": job.argv[1:],
                "environment": environment,
                "folder": f"{BOXES}/{name}",
                "writes": [f"{OUTS}/{name}", temporary],
                "apart": True,
            }
            argv = [PYTHON, "-I", "-S", f"{CODE}/litekiln/engines/attach.py", DOOR, json.dumps(request)]
            outcome = self._follow(argv, environment, job, sink, stop)
            if outcome:
                _take_out(opened, job.output)
            return outcome
        finally:
            os.close(opened)
            for folder in (box, out):
                shutil.rmtree(folder, ignore_errors=True)

    def _follow(self, argv: list[str], environment: Mapping[str, str], job: Job, sink: LineSink, stop: Stop) -> Outcome | None:
        from docker.errors import APIError
        from docker.utils import socket as frames

        api = self._client.api
        try:
            step = api.exec_create(self._container.id, argv, stdin=True, environment=dict(environment))["Id"]
            stream: Any = api.exec_start(step, socket=True)
        except APIError:  # the container is gone
            self.broken = True
            return None
        expired, said = threading.Event(), b""

        def end() -> None:
            with suppress(OSError):  # it has ended
                stream._sock.shutdown(socket.SHUT_WR)

        def expire() -> None:
            expired.set()
            end()

        timer = threading.Timer(job.timeout, expire)
        timer.start()
        try:
            with stop.ends(end):
                pieces: Any = frames.frames_iter
                for number, data in pieces(stream, tty=False):
                    if number == OUTPUT:
                        sink.feed(data)
                    else:
                        said += data
        finally:
            timer.cancel()
            stream.close()
        return self._outcome(said, sink, timed_out=expired.is_set(), stopped=stop.is_set)

    def _outcome(self, said: bytes, sink: LineSink, *, timed_out: bool, stopped: bool) -> Outcome | None:
        told: dict[str, Any] = {}
        for line in said.splitlines():
            with suppress(ValueError):
                told.update(json.loads(line))
        if "ended" not in told:
            self.broken = True
            self.declines = "declined" in told
            if not ("started" in told or timed_out or stopped):
                return None
            if not (timed_out or stopped):  # else it was litekiln itself that ended the watcher
                sink.feed(GONE)
            return Outcome(-SIGKILL, sink.tail, SIGKILL, timed_out)
        status = told["ended"]
        signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        code = 128 + signal if signal else os.WEXITSTATUS(status)
        return Outcome(code, sink.tail, signal, timed_out, told["out_of_memory"])

    def close(self) -> None:
        """Remove it, with all that runs in it. If the daemon can't, the next command does (`sweep`)."""
        self._life.close()
        with suppress(OSError):  # the SDK's errors are such, and those of its connection
            self._container.remove(force=True, v=True)
        shutil.rmtree(self._folder, ignore_errors=True)


def _lay_out(job: Job, box: Path, out: str) -> None:
    box.mkdir()
    for name, source in job.files.items():
        place = box / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, copy_function=_link)
        else:
            _link(str(source), str(place))
    (box / "out").symlink_to(out)


def _link(source: str, place: str) -> None:
    """A file under a second name, or a copy where there can't be one."""
    real = os.path.realpath(source)
    try:
        os.link(real, place)
    except OSError:
        shutil.copyfile(real, place)


def _take_out(opened: int, output: Path) -> None:
    """Move what a step left in an opened folder into its output."""
    for name in sorted(os.listdir(opened)):
        shutil.move(f"/proc/self/fd/{opened}/{name}", output / name)
