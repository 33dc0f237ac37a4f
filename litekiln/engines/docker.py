"""Engine `docker`: steps in containers of their toolchain's image, without network, as the calling user."""

import os
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litekiln.engines import remote_daemon as copying
from litekiln.engines.base import STEP_ENVIRONMENT, Box, Job, LineSink, OnLine, Outcome, Stop
from litekiln.engines.daemon import WITHOUT, connect, daemon_address, is_elsewhere
from litekiln.engines.images import ensure_image
from litekiln.engines.names import DOCKER
from litekiln.engines.served_in_docker import SERVE, Containers
from litekiln.errors import DaemonUnreachable, EngineError
from litekiln.hashing import sha256_value
from litekiln.leases import Lease, held_if_dead
from litekiln.paths import Project
from litekiln.toolchains.lock import require_current
from litekiln.toolchains.toolchain import Toolchain

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

LABEL_LEASE = "org.litekiln.leases"
LABEL_STATE = "org.litekiln.state"
LABEL_STEP = "org.litekiln.step"
IMAGE_PYTHON = "/opt/toolchain/bin/python"
TMP = "/tmp"  # noqa: S108 - the container's own
IMAGE_ENVIRONMENT = {"PATH": "/opt/toolchain/bin:/usr/local/bin:/usr/bin:/bin", "HOME": TMP, "TMPDIR": TMP}
# The daemon sends stdout and stderr separately and loses their order, which a log needs.
ONE_STREAM = ("/bin/sh", "-c", 'exec "$@" 2>&1', "sh")
BOX = "/box"
PLATFORM = "linux/amd64"
SIGNAL_BASE = 128


class DockerEngine:
    """Runs steps through Docker's SDK: in one container for each model that stays (served_in_docker.py), or in one for each step.

    A remote daemon gets copies of the inputs, and its output is copied back.
    """

    name = DOCKER

    def __init__(self, project: Project, lease: Lease) -> None:
        self._project = project
        self._lease = lease

    @contextmanager
    def open(self, toolchain: Toolchain, say: OnLine) -> Iterator[Box]:
        require_current(toolchain)
        with connect(WITHOUT) as client:
            sweep(client, self._project)
            image = ensure_image(client, self._project, toolchain, say)
            labels = {LABEL_LEASE: self._lease.name, LABEL_STATE: state_id(self._project)}
            with DockerBox(client, image, labels, copy=is_elsewhere(daemon_address()), staging=self._lease.staging) as box:
                yield box


class DockerBox:
    """A toolchain image, ready to run jobs. A context: it removes the containers that serve its steps."""

    engine = DOCKER

    def __init__(
        self, client: "DockerClient", image: str, labels: dict[str, str], *, copy: bool, staging: Path | None = None
    ) -> None:
        """Without `staging`, a folder that the daemon can mount, or with `copy`, each job gets a container of its own."""
        self._client = client
        self._image = image
        self._labels = labels
        self._copy = copy
        serves = None if copy or sys.platform != "linux" else staging
        self._serving = Containers(client, lambda name, mounts: self._container(name, SERVE, mounts, stays=True), serves)

    def __enter__(self) -> "DockerBox":
        return self

    def __exit__(self, *_: object) -> None:
        self._serving.close()

    @property
    def image(self) -> str:
        return self._image

    def run(self, job: Job, on_line: OnLine, stop: Stop | None = None) -> Outcome:
        from docker.errors import APIError
        from requests.exceptions import RequestException

        try:
            with ExitStack() as cleanup, LineSink(job.log, on_line) as sink:
                stop = stop or Stop()
                if job.can_be_served:
                    outcome = self._serving.run(job, IMAGE_ENVIRONMENT, sink, stop)
                    if outcome:
                        return outcome
                container = self._create(job, self._mounts(job, cleanup))
                cleanup.callback(container.remove, force=True, v=True)
                outcome = self._watch(container, job, sink, stop)
                if self._copy and outcome.ok:
                    copying.copy_out(container, f"{BOX}/out", job.output)
                return outcome
        except APIError as error:
            msg = f"the Docker daemon refused to run {job.label}: {error.explanation or error}"
            raise EngineError(
                msg, cause="see `docker info`", remedy="`inv doctor`, or work without Docker: --engine venv"
            ) from None
        except RequestException:
            msg = f"the Docker daemon went away while {job.label} ran"
            remedy = "start it and run the same command again: finished steps are kept"
            raise DaemonUnreachable(msg, cause="it was stopped, or the connection broke", remedy=remedy) from None

    def _mounts(self, job: Job, cleanup: ExitStack) -> list[Any]:
        from docker.types import Mount

        if self._copy:
            return copying.volumes(self._client, self._image, job, self._labels, cleanup)
        mounts = [Mount(f"{BOX}/{name}", str(path.resolve()), type="bind", read_only=True) for name, path in job.files.items()]
        return [*mounts, Mount(f"{BOX}/out", str(job.output.resolve()), type="bind")]

    def _create(self, job: Job, mounts: list[Any]) -> "Container":
        argv = [IMAGE_PYTHON if word == "python" else word for word in job.argv]
        return self._container(job.label, [*ONE_STREAM, *argv], mounts)

    def _container(self, label: str, argv: Sequence[str], mounts: list[Any], *, stays: bool = False) -> "Container":
        """A container under a step's limits. One that stays ends when its input does."""
        return self._client.containers.create(
            self._image,
            list(argv),
            platform=PLATFORM,
            user=self._user(),
            working_dir="/" if stays else BOX,
            environment={**STEP_ENVIRONMENT, **IMAGE_ENVIRONMENT},
            use_config_proxy=False,  # else the proxies in the caller's docker settings, passwords included, are added to it
            mounts=mounts,
            network_mode="none",
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            read_only=True,
            tmpfs={TMP: "exec,mode=1777"},
            init=True,
            stdin_open=stays,
            labels={**self._labels, LABEL_STEP: label},
        )

    def _user(self) -> str:
        """The caller's ids, so that output files belong to the caller. A rootless daemon maps its root to the caller."""
        rootless = any("rootless" in option for option in self._client.info().get("SecurityOptions") or [])
        return "0:0" if rootless else f"{os.getuid()}:{os.getgid()}"

    def _watch(self, container: "Container", job: Job, sink: LineSink, stop: Stop) -> Outcome:
        """Run the container to its end or to the time limit; pass on each line as it comes."""
        from docker.errors import APIError

        expired = threading.Event()

        def kill() -> None:
            with suppress(APIError):  # it has just ended by itself
                container.kill()

        def expire() -> None:
            expired.set()
            kill()

        stream = container.attach(stream=True, stdout=True, stderr=True)
        timer = threading.Timer(job.timeout, expire)
        try:
            container.start()
            timer.start()
            with stop.ends(kill):
                for data in stream:
                    sink.feed(data)
                code = int(container.wait()["StatusCode"])
        finally:
            timer.cancel()
            stream.close()
        container.reload()
        out_of_memory = bool(container.attrs["State"].get("OOMKilled"))
        signal = code - SIGNAL_BASE if code > SIGNAL_BASE else 0
        return Outcome(exit_code=code, tail=sink.tail, signal=signal, timed_out=expired.is_set(), out_of_memory=out_of_memory)


def state_id(project: Project) -> str:
    """A label for this project on this machine, so that other people's containers are never touched."""
    return sha256_value([socket.gethostname(), str(project.state.resolve())])[:16]


def sweep(client: "DockerClient", project: Project) -> list[str]:
    """Remove this project's containers and volumes whose process is gone, and return their names.

    Another process may sweep at the same time: what it removed first is no error.
    """
    from docker.errors import NotFound

    ours: dict[str, str | list[str] | bool] = {"label": f"{LABEL_STATE}={state_id(project)}"}
    removed = []
    for container in client.containers.list(all=True, filters=ours, ignore_removed=True):
        with held_if_dead(project.state, container.labels[LABEL_LEASE]) as dead:
            if dead:
                with suppress(NotFound):
                    container.remove(force=True, v=True)
                    removed.append(f"container {container.name}")
    for volume in client.volumes.list(filters=ours):
        with held_if_dead(project.state, volume.attrs["Labels"][LABEL_LEASE]) as dead:
            if dead:
                with suppress(NotFound):
                    volume.remove(force=True)
                    removed.append(f"volume {volume.name}")
    return removed
