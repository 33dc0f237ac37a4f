"""Connect to the Docker daemon, or say in plain words why that fails."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from litekiln.errors import DaemonUnreachable, DockerMissing, EngineError, SocketForbidden

if TYPE_CHECKING:
    from docker import DockerClient

WITHOUT = ", or work without it: --engine venv"  # true for steps, not for images
INSTALL = "install Docker (Debian: `sudo apt install docker.io docker-buildx`)"
# A step may run for hours without output; a ping is answered at once.
PATIENCE = 24 * 3600
PING_SECONDS = 10


def daemon_address() -> str:
    """DOCKER_HOST, else the usual socket, else the address in docker's current context (Docker Desktop, rootless, colima)."""
    host = os.environ.get("DOCKER_HOST")
    if host:
        return host
    if not Path("/var/run/docker.sock").exists() and shutil.which("docker"):
        ask = ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
        answer = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
        if answer:
            return answer
    return "unix:///var/run/docker.sock"


def is_elsewhere(address: str) -> bool:
    """Whether the daemon may run on another machine: then inputs and outputs are copied, not mounted."""
    return not address.startswith(("unix:", "npipe:"))


@contextmanager
def connect(otherwise: str = "") -> Iterator["DockerClient"]:
    """A client whose daemon answers, closed at the end. Where none answers, the error's remedy ends with `otherwise`."""
    from docker import DockerClient
    from docker.errors import DockerException

    address = daemon_address()
    client = None
    try:
        client = DockerClient.from_env(timeout=PING_SECONDS, environment={**os.environ, "DOCKER_HOST": address})
        client.ping()
    except (DockerException, OSError) as error:
        if client:
            client.close()
        raise _why_unreachable(address, str(error), otherwise) from None
    client.api.timeout = PATIENCE
    try:
        yield client
    finally:
        client.close()


def _why_unreachable(address: str, reason: str, otherwise: str) -> EngineError:
    socket = Path(address.removeprefix("unix://"))
    if "Permission denied" in reason or "PermissionError" in reason:
        msg = f"no permission on the Docker socket {address}"
        remedy = "`sudo usermod -aG docker $USER` and log in again, or use rootless Docker"
        return SocketForbidden(msg, cause="your user is not in the group docker", remedy=remedy + otherwise)
    if not shutil.which("docker") and not is_elsewhere(address) and not socket.exists():
        return DockerMissing(
            "Docker is not installed", cause=f"no docker on PATH and no socket {socket}", remedy=INSTALL + otherwise
        )
    msg = f"the Docker daemon at {address} does not answer"
    cause = (
        "it is not running"
        if not is_elsewhere(address)
        else f"DOCKER_HOST points to an address that could not be reached: {reason[-120:]}"
    )
    return DaemonUnreachable(msg, cause=cause, remedy=f"start it (`sudo systemctl start docker`){otherwise}")
