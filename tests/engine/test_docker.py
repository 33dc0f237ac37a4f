"""Docker beyond the box: daemons elsewhere, killed runs, images, and litekiln running inside an image."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from litekiln.engines.base import Job
from litekiln.engines.daemon import connect
from litekiln.engines.docker import LABEL_STATE, DockerEngine
from litekiln.engines.images import build_image, image_tag
from litekiln.errors import BaseUnreachable, DaemonUnreachable, StoreError
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.run.store import Store
from litekiln.toolchains.toolchain import load_toolchain
from tests.conftest import ROOT, TOOLCHAINS, add_little, inv_argv
from tests.e2e.conftest import Built
from tests.engine.conftest import left_in_docker

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = [pytest.mark.docker, pytest.mark.toolchain("tf2.13")]
Inv = Callable[..., "subprocess.CompletedProcess[str]"]


# --- a daemon elsewhere ---------------------------------------------------------------------------------------------------


@contextmanager
def _daemon_behind_tcp(connections: list[socket.socket] | None = None) -> Iterator[str]:
    """The same daemon, reached by TCP: it can't be told from one on another machine. `connections` lets a test cut them."""
    server = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve() -> None:
        while True:
            try:
                near, _ = server.accept()
            except OSError:
                return
            if connections is not None:
                connections.extend([server, near])
            far = socket.socket(socket.AF_UNIX)
            far.connect("/var/run/docker.sock")
            threads = [threading.Thread(target=pump, args=pair, daemon=True) for pair in ((near, far), (far, near))]
            for thread in threads:
                thread.start()
            threading.Thread(target=_close_after, args=(threads, near, far), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
    finally:
        _cut([server])
        server.close()


def _cut(connections: list[socket.socket]) -> None:
    for each in connections:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _close_after(threads: list[threading.Thread], *sockets: socket.socket) -> None:
    for thread in threads:
        thread.join()
    for each in sockets:
        each.close()


def test_a_daemon_elsewhere_gets_copies_and_gives_back_copies(
    project: Project, client: "DockerClient", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "an input"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "data.bin").write_bytes(b"\x00\xff" * 1_000_000)
    (tmp_path / "program.py").write_text(
        "import os\n"
        "def attempt():\n"
        "    try:\n        open('in/source/new', 'w')\n"
        "    except OSError as error:\n        return error.strerror\n"
        "print(attempt())\n"
        "os.mkdir('out/sub')\n"
        "open('out/sub/copy', 'wb').write(open('in/source/deep/data.bin', 'rb').read())\n"
    )
    output = tmp_path / "output"
    output.mkdir()
    with _daemon_behind_tcp() as address, Lease(project.state) as lease:
        monkeypatch.setenv("DOCKER_HOST", address)
        with DockerEngine(project, lease).open(load_toolchain(project, "tf2.13"), print) as box:
            files = {"program.py": tmp_path / "program.py", "in/source": source}
            outcome = box.run(Job(("python", "program.py"), files, output, tmp_path / "log", 60, "test"), print)
            assert outcome.ok, outcome
            assert outcome.tail == ("Read-only file system",)
            assert (output / "sub" / "copy").read_bytes() == b"\x00\xff" * 1_000_000
            assert (output / "sub" / "copy").stat().st_uid == os.getuid()
            _refuses_links(box, tmp_path)
        monkeypatch.delenv("DOCKER_HOST")
        assert left_in_docker(client, project) == ([], [])


def _refuses_links(box, tmp_path: Path) -> None:
    (tmp_path / "linker.py").write_text("import os\nos.symlink('/etc/passwd', 'out/link')\n")
    (tmp_path / "other").mkdir()
    job = Job(("python", "program.py"), {"program.py": tmp_path / "linker.py"}, tmp_path / "other", tmp_path / "log", 60, "test")
    with pytest.raises(StoreError, match="not a plain file: out/link"):
        box.run(job, print)
    assert list((tmp_path / "other").iterdir()) == []


def test_a_daemon_that_goes_away_is_said(
    project: Project, client: "DockerClient", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "program.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(60)")
    (tmp_path / "output").mkdir()
    job = Job(
        ("python", "program.py"), {"program.py": tmp_path / "program.py"}, tmp_path / "output", tmp_path / "log", 60, "a step"
    )
    connections: list[socket.socket] = []
    with _daemon_behind_tcp(connections) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        with (
            pytest.raises(DaemonUnreachable, match="the Docker daemon went away while a step ran") as caught,
            Lease(project.state) as lease,
            DockerEngine(project, lease).open(load_toolchain(project, "tf2.13"), print) as box,
        ):
            box.run(job, lambda _: _cut(connections))
        assert "finished steps are kept" in caught.value.remedy
        monkeypatch.delenv("DOCKER_HOST")
    assert len(left_in_docker(client, project)[0]) == 1
    with Lease(project.state) as lease, DockerEngine(project, lease).open(load_toolchain(project, "tf2.13"), print):
        assert left_in_docker(client, project) == ([], [])


def test_a_whole_build_on_a_daemon_elsewhere_gives_the_same_bundle(work: Path, inv: Inv) -> None:
    arguments = ("build", "--model", "little", "--variant", "dynamic", "--engine", "docker", "--json")
    near = json.loads(inv(*arguments).stdout)
    shutil.rmtree(work / ".litekiln" / "store")
    with _daemon_behind_tcp() as address:
        far = json.loads(inv(*arguments, DOCKER_HOST=address).stdout)
    assert {step["reason"] for step in far["steps"]} == {"its result is no longer in the store"}
    assert len(far["steps"]) == len(near["steps"])
    assert near["bundles"] == far["bundles"]


# --- killed runs ----------------------------------------------------------------------------------------------------------


def _wait(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_kill_9_then_the_same_command_again(work: Path, project: Project, client: "DockerClient", inv: Inv) -> None:
    arguments = ("build", "--model", "little", "--variant", "float32", "--engine", "docker", "--jobs", "1")
    process = subprocess.Popen(inv_argv(*arguments), cwd=work, stdout=subprocess.DEVNULL)
    _wait(lambda: bool(left_in_docker(client, project)[0]))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    orphans = left_in_docker(client, project)[0]
    assert len(orphans) == 1
    _wait(lambda: client.containers.get(orphans[0]).status != "running")  # its input ended with litekiln
    assert list(Store(project.state)) == []
    again = inv(*arguments)
    assert again.returncode == 0, again.stdout + again.stderr
    assert left_in_docker(client, project) == ([], [])
    assert list((project.state / "staging").iterdir()) == []
    assert (work / "out" / "little" / "float32" / "manifest.json").exists()
    for key in Store(project.state):
        assert Store(project.state).get(key, thorough=True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopping_a_build_leaves_nothing(work: Path, project: Project, client: "DockerClient", number: int, code: int) -> None:
    arguments = ("build", "--model", "little", "--engine", "docker")
    # Tests that run in a shell's background inherit an ignored SIGINT; a user's terminal doesn't.
    listen = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    process = subprocess.Popen(inv_argv(*arguments), cwd=work, stdout=subprocess.DEVNULL, preexec_fn=listen)
    _wait(lambda: bool(left_in_docker(client, project)[0]))
    process.send_signal(number)
    assert process.wait(60) == code
    assert left_in_docker(client, project) == ([], [])
    assert list((project.state / "staging").iterdir()) == []
    assert list((project.state / "leases").iterdir()) == []


def test_another_projects_containers_are_left_alone(project: Project, client: "DockerClient") -> None:
    labels = {LABEL_STATE: "somebody else's", "org.litekiln.leases": "gone"}
    container = client.containers.create(image_tag(project, load_toolchain(project, "tf2.13")), ["true"], labels=labels)
    try:
        with Lease(project.state) as lease, DockerEngine(project, lease).open(load_toolchain(project, "tf2.13"), print):
            container.reload()
    finally:
        container.remove(force=True)


# --- absences -------------------------------------------------------------------------------------------------------------


def test_a_socket_without_a_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        with pytest.raises(DaemonUnreachable, match="does not answer"), connect():
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="not run: becoming a user without permission takes root")
def test_a_user_who_may_not_use_the_socket() -> None:
    program = (
        "import os, docker, docker.errors, litekiln.engines.daemon as daemon\n"
        "from litekiln.errors import SocketForbidden\n"
        "daemon.shutil.which('docker')\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try:\n    daemon.connect().__enter__()\n"
        "except SocketForbidden as error:\n    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "no permission on the Docker socket unix:///var/run/docker.sock" in run.stdout, run.stderr
    assert "usermod -aG docker" in run.stdout


def test_a_base_that_can_not_be_reached(project: Project, client: "DockerClient", tmp_path: Path) -> None:
    code = tmp_path / "code"
    shutil.copytree(ROOT, code, ignore=shutil.ignore_patterns(".git", ".litekiln", "out", "__pycache__"))
    path = code / "toolchains" / "tf2.13" / "toolchain.toml"
    path.write_text(path.read_text().replace('"python:3.10', '"registry.invalid/python:3.10'))
    elsewhere = Project(code=code, work=project.work)
    with pytest.raises(BaseUnreachable) as caught:
        build_image(client, elsewhere, load_toolchain(elsewhere, "tf2.13"), base_kind="registry", say=print)
    assert (
        caught.value.what == "the base image of the tf2.13 image could not be fetched: registry.invalid/python:3.10-slim-bookworm"
    )
    assert "inv images --base debian" in caught.value.remedy


# --- images ---------------------------------------------------------------------------------------------------------------


def _in_image(
    project: Project, *command: str, options: tuple[str, ...] = (), toolchain: str = "tf2.13"
) -> "subprocess.CompletedProcess[str]":
    tag = image_tag(project, load_toolchain(project, toolchain))
    return subprocess.run(["docker", "run", "--rm", *options, tag, *command], capture_output=True, text=True, check=False)


def test_neither_the_ca_bundle_nor_the_index_lands_in_an_image(project: Project) -> None:
    tag = image_tag(project, load_toolchain(project, "tf2.13"))
    history = subprocess.run(["docker", "history", "--no-trunc", tag], capture_output=True, text=True, check=True).stdout
    bundle = os.environ.get("SSL_CERT_FILE", "a path that is not there")
    assert bundle not in history
    look = "ls -A /run/secrets 2>/dev/null; env | grep -iE 'cert|ca_bundle|index' || true; test ! -s /run/secrets/ca"
    run = _in_image(project, "sh", "-c", look)
    assert run.returncode == 0
    assert [line for line in run.stdout.splitlines() if "CERT" in line or "INDEX" in line] == []


def test_two_pythons_live_side_by_side(project: Project) -> None:
    versions = "/opt/toolchain/bin/python -V; /opt/litekiln/host/bin/python -V; python -V"
    run = _in_image(project, "sh", "-c", versions)
    assert [line.rsplit(".", 1)[0] for line in run.stdout.splitlines()] == ["Python 3.10", "Python 3.11", "Python 3.10"]


# --- here -----------------------------------------------------------------------------------------------------------------


def _checkout(folder: Path) -> Path:
    """This checkout's files, as a container job has them."""
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", ".litekiln", "out", "__pycache__", ".*_cache"))
    add_little(folder)
    return folder


def test_here_builds_in_a_container_job(project: Project, tmp_path: Path, inv: Inv, built: Built) -> None:
    """Everything is made anew inside; outside what engine venv made of the same checkpoint for the demo is taken."""
    work = _checkout(tmp_path / "job")
    shutil.copytree(built[0] / ".litekiln" / "store", project.state / "store")
    options = ("-v", f"{work}:/work", "-w", "/work", "--network", "none")
    run = _in_image(project, "invoke", "build", "--model", "little", "--json", options=options)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "engine here, because this is the tf2.13 image" in run.stderr
    told = json.loads(run.stdout)
    inside = told["bundles"]
    outside = json.loads(inv("build", "--model", "little", "--engine", "venv", "--json").stdout)["bundles"]
    assert [bundle["sha256"] for bundle in inside] == [bundle["sha256"] for bundle in outside]
    again = _in_image(project, "invoke", "build", "--model", "little", options=options)
    assert again.stdout.count("up to date") == len(told["steps"])


def test_here_without_a_checkout_uses_the_images_own_code(project: Project, work: Path) -> None:
    (work / ".litekiln" / "envs").unlink()
    options = ("-v", f"{work}:/work", "-w", "/work", "-u", f"{os.getuid()}:{os.getgid()}")
    run = _in_image(project, "invoke", "build", "--model", "little", "--variant", "float32", options=options)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (work / "out" / "little" / "float32" / "detect.tflite").exists()


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_here_runs_each_toolchains_smoke_program(project: Project, work: Path, toolchain: str) -> None:
    options = ("-v", f"{work}:/work", "-w", "/work", "--network", "none")
    run = _in_image(project, "invoke", "smoke", "--toolchain", toolchain, "--json", options=options, toolchain=toolchain)
    assert run.returncode == 0, run.stdout + run.stderr
    [step] = json.loads(run.stdout)["toolchains"][toolchain]
    assert (step["engine"], step["result"]["answer"]) == ("here", 42.0)


@pytest.mark.toolchain("tf1.15")
def test_here_says_which_image_a_step_needs(project: Project, work: Path) -> None:
    options = ("-v", f"{work}:/work", "-w", "/work")
    run = _in_image(project, "invoke", "build", "--model", "little", options=options, toolchain="tf1.15")
    assert run.returncode == 5, run.stdout + run.stderr
    assert "this step needs toolchain 'tf2.13'; this image is 'tf1.15'" in run.stdout


# --- bases ----------------------------------------------------------------------------------------------------------------


@pytest.mark.debian_bases
def test_the_arm64_base_runs_under_emulation(client: "DockerClient") -> None:
    tag = "litekiln/base:py3.11-arm64"
    assert client.images.get(tag).attrs["Architecture"] == "arm64"
    ask = "import platform, ssl, sqlite3; print(platform.machine(), platform.python_version()[:4])"
    run = subprocess.run(
        ["docker", "run", "--rm", "--platform", "linux/arm64", tag, "python3", "-c", ask],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.strip() == "aarch64 3.11", run.stderr
