"""Choose an engine by name, or the best one for this machine, and say why."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from litekiln.engines.base import Box, Engine, OnLine
from litekiln.engines.docker import DockerEngine
from litekiln.engines.here import HereEngine, toolchain_here
from litekiln.engines.names import AUTO, DOCKER, HERE, VENV
from litekiln.engines.venv import VenvEngine
from litekiln.errors import BaseUnreachable, BuildxMissing, DaemonUnreachable, DockerMissing, SocketForbidden
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.toolchains.toolchain import Toolchain

# Errors after which `auto` uses venv. It shows the reason; the environment comes from the same lock.
NO_DOCKER = (DockerMissing, DaemonUnreachable, SocketForbidden, BuildxMissing, BaseUnreachable)


class AutoEngine:
    """docker when a daemon answers and its image is there or can be built, otherwise venv: the same lock either way."""

    name = AUTO

    def __init__(self, docker: Engine, venv: Engine) -> None:
        self._docker = docker
        self._venv = venv
        self._no_docker = ""

    @contextmanager
    def open(self, toolchain: Toolchain, say: OnLine) -> Iterator[Box]:
        with ExitStack() as stack:
            yield self._try_docker(toolchain, say, stack) or stack.enter_context(self._venv.open(toolchain, say))

    def _try_docker(self, toolchain: Toolchain, say: OnLine, stack: ExitStack) -> Box | None:
        if self._no_docker:
            return None
        try:
            box = stack.enter_context(self._docker.open(toolchain, say))
        except NO_DOCKER as error:
            self._no_docker = error.what
            say(f"engine venv, because {error.what}")
            return None
        say(f"engine docker for {toolchain.name}, because a daemon answers and the image is there")
        return box


def choose_engine(name: str, project: Project, lease: Lease, say: OnLine) -> Engine:
    """The engine of that name. `auto` is `here` inside a toolchain image, else docker or venv."""
    makers: dict[str, Callable[[], Engine]] = {
        DOCKER: lambda: DockerEngine(project, lease),
        VENV: lambda: VenvEngine(project, lease),
        HERE: lambda: HereEngine(lease),
        AUTO: lambda: AutoEngine(DockerEngine(project, lease), VenvEngine(project, lease)),
    }
    if name == AUTO and toolchain_here():
        say(f"engine here, because this is the {toolchain_here()} image")
        name = HERE
    return makers[name]()
