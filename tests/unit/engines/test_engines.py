"""What can be said of the engines without one."""

import errno
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from docker.errors import ImageNotFound

from litekiln import network_settings as index
from litekiln.engines import buildx, debian_bases, images, venv
from litekiln.engines.base import STEP_ENVIRONMENT, Job, LineSink
from litekiln.engines.buildx import require_buildx
from litekiln.engines.choose import AutoEngine, choose_engine
from litekiln.engines.daemon import WITHOUT, _why_unreachable, connect, is_elsewhere
from litekiln.engines.debian_bases import debian_mirror
from litekiln.engines.docker import DockerBox
from litekiln.engines.here import HereEngine
from litekiln.engines.images import image_tag
from litekiln.engines.launch import __file__ as launch_file
from litekiln.engines.process import run_logged
from litekiln.engines.venv import VenvEngine, _install_error
from litekiln.errors import (
    BaseUnreachable,
    BuildxMissing,
    DaemonUnreachable,
    DiskFull,
    DockerMissing,
    EngineError,
    ImageBuildFailed,
    InterpreterMissing,
    LitekilnError,
    LockOutOfDate,
    NetworkError,
    SocketForbidden,
    StoreError,
    ToolchainError,
    WheelMissing,
    WrongToolchainHere,
)
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.toolchains import pythons
from litekiln.toolchains.lock import INPUTS_LINE, require_current
from litekiln.toolchains.pythons import require_python
from litekiln.toolchains.toolchain import load_toolchain, locked_inputs_hash


def _program(folder: Path, name: str, body: str) -> None:
    """A program on PATH that stands for the real one."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


# --- the daemon -----------------------------------------------------------------------------------------------------------


def test_docker_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    error = _why_unreachable(f"unix://{tmp_path}/docker.sock", "No such file or directory", WITHOUT)
    assert isinstance(error, DockerMissing)
    assert error.what == "Docker is not installed"
    assert error.remedy.endswith(", or work without it: --engine venv")


def test_an_image_can_not_be_made_without_docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "venv" not in _why_unreachable(f"unix://{tmp_path}/docker.sock", "No such file or directory", "").remedy


def test_daemon_not_running(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "docker.sock").touch()
    error = _why_unreachable(f"unix://{tmp_path}/docker.sock", "Connection refused", "")
    assert isinstance(error, DaemonUnreachable)
    assert error.what == f"the Docker daemon at unix://{tmp_path}/docker.sock does not answer"
    assert error.cause == "it is not running"


def test_no_permission_on_the_socket() -> None:
    reason = "('Connection aborted.', PermissionError(13, 'Permission denied'))"
    error = _why_unreachable("unix:///var/run/docker.sock", reason, "")
    assert isinstance(error, SocketForbidden)
    assert error.what == "no permission on the Docker socket unix:///var/run/docker.sock"
    assert "usermod -aG docker" in error.remedy


def test_a_docker_host_that_makes_no_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "nonsense://x")
    with pytest.raises(DaemonUnreachable) as caught, connect():
        pass
    assert "DOCKER_HOST points to an address that could not be reached" in caught.value.cause


def test_a_daemon_elsewhere_is_recognised() -> None:
    assert is_elsewhere("tcp://10.0.0.5:2375")
    assert is_elsewhere("ssh://me@build")
    assert not is_elsewhere("unix:///var/run/docker.sock")


# --- images ---------------------------------------------------------------------------------------------------------------


def test_a_container_gets_a_steps_environment_and_nothing_of_the_callers_settings(tmp_path: Path) -> None:
    """Docker's library adds the proxies of ~/.docker/config.json by itself."""
    given: dict[str, Any] = {}

    class Client:
        containers = property(lambda self: self)

        def info(self) -> dict[str, Any]:
            return {}

        def create(self, *_: object, **options: Any) -> None:
            given.update(options)

    client: Any = Client()
    job = Job(("python", "x.py"), {}, tmp_path, tmp_path / "log", 1, "test")
    DockerBox(client, "an image", {}, copy=False)._create(job, [])
    assert given["use_config_proxy"] is False
    assert given["environment"].keys() == {*STEP_ENVIRONMENT, "PATH", "HOME", "TMPDIR"}
    assert (given["network_mode"], given["read_only"], given["cap_drop"]) == ("none", True, ["ALL"])
    own = dict(given)
    DockerBox(client, "an image", {}, copy=False)._container("test", ["python"], [], stays=True)
    assert {name for name in given if given[name] != own[name]} == {"working_dir", "stdin_open"}


def test_no_docker_command_for_builds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DockerMissing, match="the docker command is not installed"):
        require_buildx()


def test_no_buildx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buildx.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(buildx.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1))
    with pytest.raises(BuildxMissing, match="docker has no buildx") as caught:
        require_buildx()
    assert "docker-buildx" in caught.value.remedy


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        (
            "ERROR: failed to do request: Head https://registry: dial tcp",
            BaseUnreachable,
            "the base image of the tiny image could not be fetched: python:3.11",
        ),
        ("ERROR: write /x: no space left on device", DiskFull, "no space left while building the tiny image"),
        ("ERROR: process did not complete: exit code 2", ImageBuildFailed, "building the tiny image failed\n  | ERROR: process"),
    ],
)
def test_a_failed_build_says_why(project: Project, line: str, kind: type[LitekilnError], message: str) -> None:
    (project.work / "log").write_text(f"#1 something\n{line}\n")
    error = buildx.build_error("the tiny image", "python:3.11@sha256:0", project.work / "log", "make one")
    assert isinstance(error, kind)
    assert message in error.what.replace("#1 something\n  | ", "")
    assert error.remedy


def _image_project(project: Project) -> Project:
    for name in ("Dockerfile.export", "requirements.lock", "toolchains/build-env.sh", "toolchains/smoke.sh"):
        (project.code / name).write_text("x", encoding="utf-8")
    return project


@pytest.mark.parametrize("name", ["Dockerfile.export", "requirements.lock", "toolchains/tiny/requirements.lock", "steps/smoke.py"])
def test_the_tag_changes_with_what_the_image_is_made_of(project: Project, name: str) -> None:
    _image_project(project)
    before = image_tag(project, load_toolchain(project, "tiny"))
    with (project.code / name).open("a") as stream:
        stream.write("\n# more")
    assert image_tag(project, load_toolchain(project, "tiny")) != before


def test_changing_a_step_never_rebuilds_an_image(project: Project) -> None:
    _image_project(project)
    before = image_tag(project, load_toolchain(project, "tiny"))
    (project.steps / "convert.py").write_text("other")
    assert image_tag(project, load_toolchain(project, "tiny")) == before


def _no_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*index.CA_VARIABLES, *index.UV_INDEX_VARIABLES, "PIP_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(index, "PIP_FILES", (str(tmp_path / "site.conf"), str(tmp_path / "user.conf")))


def test_ca_and_index_go_in_as_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _no_index(monkeypatch, tmp_path)
    assert images._secrets(tmp_path) == []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/ca.pem")
    monkeypatch.setenv("UV_INDEX_URL", "https://user:it's@mirror/simple")
    assert images._secrets(tmp_path) == ["--secret", "id=ca,src=/ca.pem", "--secret", f"id=index,src={tmp_path}/index"]
    quoted = "'https://user:it'\"'\"'s@mirror/simple'"
    assert (tmp_path / "index").read_text() == f"export PIP_INDEX_URL={quoted}\nexport UV_DEFAULT_INDEX={quoted}\n"


def test_uv_uses_what_pip_is_set_up_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _no_index(monkeypatch, tmp_path)
    assert "UV_DEFAULT_INDEX" not in index.package_environment()
    (tmp_path / "site.conf").write_text("[global]\nindex-url = https://site/simple\ncert = %(x)s\n")
    assert index.package_environment()["UV_DEFAULT_INDEX"] == "https://site/simple"
    (tmp_path / "user.conf").write_text("[global]\nindex-url = https://user/simple\n")
    assert index.index_url() == "https://user/simple"
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip/simple")
    assert index.index_url() == "https://pip/simple"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv/simple")
    assert index.index_url() == "https://uv/simple"


def test_uv_gets_nothing_else_of_the_callers_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What could change the installed files is in no environment's name."""
    _no_index(monkeypatch, tmp_path)
    for name in ("LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH", "PYTHONHOME", "UV_NO_BINARY", "UV_OVERRIDE", "CFLAGS", "A_SECRET"):
        monkeypatch.setenv(name, "x")
    kept = (
        "https_proxy",
        "NO_PROXY",
        "UV_CACHE_DIR",
        "UV_HTTP_TIMEOUT",
        "UV_INDEX_MINE_PASSWORD",
        "SSL_CERT_DIR",
        "XDG_CACHE_HOME",
    )
    for name in kept:
        monkeypatch.setenv(name, "x")
    found = index.package_environment()
    assert {name for name, value in found.items() if value == "x"} == set(kept)
    assert {"HOME", "PATH"} <= set(found)


def test_a_python_that_starts_only_with_the_callers_variables_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Steps don't get them: it would start in no step."""
    _program(tmp_path / "bin", "python3.10", '[ -n "$LD_LIBRARY_PATH" ] && echo 3.10')
    monkeypatch.setenv("LD_LIBRARY_PATH", "/x")
    assert pythons._version_of(tmp_path / "bin" / "python3.10") == ""


def test_a_broken_pip_file_is_pips_to_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _no_index(monkeypatch, tmp_path)
    (tmp_path / "site.conf").write_text("no section\n")
    assert index.index_url() == ""


# --- bases ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sources.list", "# deb http://no/debian bookworm main\ndeb [signed-by=/k.gpg] http://mirror/debian bookworm main\n"),
        (
            "sources.list.d/debian.sources",
            (
                "Types: deb\nURIs: http://mirror/security\nSuites: bookworm-security\n\n"
                "Types: deb\nURIs: http://mirror/debian\nSuites: bookworm bookworm-updates\n"
            ),
        ),
    ],
)
def test_the_mirror_is_this_machines_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.delenv("LITEKILN_DEBIAN_MIRROR", raising=False)
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / name).write_text(text)
    assert debian_mirror(tmp_path) == "http://mirror/debian"


def test_no_debian_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LITEKILN_DEBIAN_MIRROR", raising=False)
    (tmp_path / "sources.list").write_text("deb http://mirror/ubuntu noble main\n")
    with pytest.raises(BaseUnreachable, match="name no mirror of Debian bookworm") as caught:
        debian_mirror(tmp_path)
    assert "LITEKILN_DEBIAN_MIRROR" in caught.value.remedy
    monkeypatch.setenv("LITEKILN_DEBIAN_MIRROR", "http://given/debian")
    assert debian_mirror(tmp_path) == "http://given/debian"


def _debootstrap(folder: Path, body: str) -> None:
    """A debootstrap that leaves a small Debian in $4, runs `body`, and a docker that does nothing."""
    for name in ("etc", "proc/1", "sys/kernel", "dev", "debootstrap", "var"):
        body = f'mkdir -p "$root/{name}"\n{body}'
    _program(folder, "debootstrap", f'for root; do case "$root" in /*) break;; esac; done\n{body}')
    _program(folder, "docker", 'cp "$8/rootfs.tar" "$(dirname "$0")"; exit 0')
    _program(folder, "umount", 'echo "$2" >> "$(dirname "$0")/unmounted"')


@pytest.fixture
def bases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LITEKILN_DEBIAN_MIRROR", "http://mirror/debian")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "bases").mkdir()
    return tmp_path / "bases"


def _make_base(bases: Path) -> None:
    with debian_bases._naming_full_disk(bases), tempfile.TemporaryDirectory(dir=bases) as folder:
        debian_bases._import_rootfs(Path(folder) / "arm64", "arm64", "a tag", bases / "arm64.log")


def test_a_debootstrap_that_fails_leaves_its_log_where_the_message_says(bases: Path, tmp_path: Path) -> None:
    """It names a log in the folder that is removed with it."""
    own = 'echo "the real reason" > "$root/debootstrap/debootstrap.log"'
    _debootstrap(tmp_path / "bin", f'{own}\necho "W: see $root/debootstrap/debootstrap.log for details"\nexit 1')
    with pytest.raises(ImageBuildFailed, match="installing Debian for arm64 failed") as caught:
        _make_base(bases)
    assert caught.value.what.endswith("  | the real reason")
    assert "for details" not in caught.value.what
    assert caught.value.cause == f"the whole output is in {bases}/arm64.log"
    assert (bases / "arm64.log").read_text().endswith("--- debootstrap.log\nthe real reason\n")
    assert [path.name for path in bases.iterdir()] == ["arm64.log"]


@pytest.mark.parametrize("place", ['"$root/debootstrap/debootstrap.log"', "/dev/stdout"])
def test_a_full_disk_is_told_by_debootstrap(bases: Path, tmp_path: Path, place: str) -> None:
    _debootstrap(tmp_path / "bin", f"echo 'tar: write error: No space left on device' > {place}\nexit 1")
    with pytest.raises(DiskFull, match="no space left while installing Debian for arm64") as caught:
        _make_base(bases)
    assert "inv clean" in caught.value.remedy


def test_a_full_disk_is_told_when_python_is_copied(bases: Path) -> None:
    """Copying a folder collects its errors as texts."""
    with pytest.raises(DiskFull, match="no space left while copying Python"), debian_bases._naming_full_disk(bases):
        raise shutil.Error([("a", "b", "[Errno 28] No space left on device: 'b'")])
    with pytest.raises(DiskFull, match="no space left on the disk"), debian_bases._naming_full_disk(bases):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_what_the_kernel_shows_is_not_archived_and_never_left_mounted(bases: Path, tmp_path: Path) -> None:
    _debootstrap(tmp_path / "bin", 'echo x > "$root/etc/x"')
    _make_base(bases)
    with tarfile.open(tmp_path / "bin" / "rootfs.tar") as archive:
        names = archive.getnames()
    assert {"./proc", "./sys", "./etc/x", "./dev"} <= set(names)
    assert [name for name in names if name.startswith(("./proc/", "./sys/"))] == []
    unmounted = (tmp_path / "bin" / "unmounted").read_text().splitlines()
    assert [Path(path).name for path in unmounted] == ["proc", "sys"]


def test_a_debootstrap_that_is_stopped_leaves_nothing_mounted(bases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(debian_bases, "_run", stopped)
    monkeypatch.setattr(debian_bases.subprocess, "run", lambda argv, **_: ran.append(argv[-1]))
    with pytest.raises(KeyboardInterrupt):
        _make_base(bases)
    assert [Path(path).name for path in ran] == ["proc", "sys"]


class FakeImages:
    """A daemon's images, by their tags."""

    def __init__(self) -> None:
        self.images, self.tags = self, set[str]()

    def get(self, tag: str) -> str:
        if tag not in self.tags:
            raise ImageNotFound(tag)
        return tag

    def remove(self, tag: str) -> None:
        self.tags.remove(tag)


def test_what_two_make_at_once_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`inv images` and `inv pi` both need a base: the second waits, and finds it there."""
    client: Any = FakeImages()
    made: list[str] = []

    def make(tag: str) -> None:
        made.append(tag)
        time.sleep(0.3)
        client.tags.add(tag)

    monkeypatch.setattr(debian_bases, "_require_debootstrap", lambda: None)
    monkeypatch.setattr(debian_bases, "_import_rootfs", lambda folder, architecture, tag, log: make(tag))
    monkeypatch.setattr(debian_bases, "_add_python", lambda folder, base, root, log: make(base.tag))
    bases = [debian_bases.Base("arm64", "3.11")]
    with ThreadPoolExecutor(2) as both:
        told = list(both.map(lambda _: debian_bases.make_bases(client, bases, tmp_path, print), range(2)))
    assert made == ["litekiln/base:debian-arm64", "litekiln/base:py3.11-arm64"]
    assert told == [["litekiln/base:py3.11-arm64"]] * 2
    debian_bases.make_bases(client, bases, tmp_path, print, again=True)
    assert made == ["litekiln/base:debian-arm64", "litekiln/base:py3.11-arm64"] * 2


# --- venv -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("x has no wheels with a matching platform tag", WheelMissing, "could not make the tiny environment\nx has no wheels"),
        ("error: No space left on device (os error 28)", DiskFull, "could not make the tiny environment"),
        ("error: Failed to fetch: `https://x`", NetworkError, "could not make the tiny environment"),
        ("error: something else", ToolchainError, "could not make the tiny environment\nerror: something else"),
    ],
)
def test_an_environment_that_could_not_be_made(project: Project, text: str, kind: type[LitekilnError], message: str) -> None:
    log = project.work / "log"
    log.write_text(f"+ uv pip sync\n{text}\n")
    error = _install_error(load_toolchain(project, "tiny"), log)
    assert type(error) is kind
    assert message in error.what
    assert error.remedy


def test_an_environment_whose_lock_changed_while_it_was_made_is_not_kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name would say that it holds the old lock's packages, for ever."""
    tiny = load_toolchain(project, "tiny")
    tiny.lock.write_text(f"# Made by\n{INPUTS_LINE}{locked_inputs_hash(tiny.folder)}\nnothing==1\n")

    def make(argv: list[str], log: Path, say: object, environment: dict[str, str], keeps: list[int]) -> int:
        assert os.fstat(keeps[0]).st_ino == next(folder.parent.glob("*.lock")).stat().st_ino
        folder.mkdir()
        tiny.lock.write_text(tiny.lock.read_text() + "more==1\n")
        return 0

    monkeypatch.setattr(venv, "run_logged", make)
    monkeypatch.setattr(venv, "require_python", lambda *_: Path(sys.executable))
    with Lease(project.state) as lease:
        engine = VenvEngine(project, lease)
        folder = engine.folder(tiny)
        with pytest.raises(ToolchainError, match="the tiny environment: toolchains/tiny changed while it was being built"):
            engine.ensure(tiny, print)
    assert not folder.exists()


def test_an_image_whose_lock_changed_while_it_was_built_is_not_kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny, client = load_toolchain(_image_project(project), "tiny"), FakeImages()

    def build(argv: list[str], *_: object) -> int:
        client.tags.add(argv[argv.index("--tag") + 1])
        tiny.lock.write_text("other==1\n")
        return 0

    monkeypatch.setattr(images, "require_buildx", lambda: None)
    monkeypatch.setattr(images, "run_logged", build)
    fake: Any = client
    with pytest.raises(ToolchainError, match="the tiny image: toolchains/tiny changed while it was being built"):
        images._build(fake, project, tiny, base_kind="registry", say=print)
    assert client.tags == set()


def test_a_lock_whose_inputs_were_edited_is_refused(project: Project) -> None:
    tiny = load_toolchain(project, "tiny")
    with pytest.raises(LockOutOfDate, match=r"toolchains/tiny/requirements\.lock is out of date") as caught:
        require_current(tiny)
    assert caught.value.remedy == "inv lock --toolchain tiny"
    tiny.lock.write_text(f"# Made by\n{INPUTS_LINE}{locked_inputs_hash(tiny.folder)}\nnothing==1\n")
    require_current(tiny)
    (tiny.folder / "excludes.txt").write_text("something\n")
    with pytest.raises(LockOutOfDate):
        require_current(tiny)


def test_no_interpreter_and_none_to_download(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _program(tmp_path / "bin", "stand-in", 'printf "error: Failed to install 3.4\n  cause: x\n  cause: no network\n" >&2; exit 2')
    monkeypatch.setattr("litekiln.toolchains.pythons.uv_binary", lambda: tmp_path / "bin" / "stand-in")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    said: list[str] = []
    with pytest.raises(InterpreterMissing, match=r"Python 3\.4 is not on this machine") as caught:
        require_python("3.4", said.append, "use Docker: --engine docker")
    assert said == ["Python 3.4 is not on this machine: uv tries to download one"]
    assert caught.value.cause == "uv could not download one: Failed to install 3.4; no network"
    assert caught.value.remedy.endswith("python3.4; or use Docker: --engine docker")


# --- here -----------------------------------------------------------------------------------------------------------------


def _open_here(project: Project, lock: Path) -> None:
    with Lease(project.state) as lease, HereEngine(lease, lock=lock).open(load_toolchain(project, "tiny"), print):
        pass


def test_here_works_only_in_an_image(project: Project, tmp_path: Path) -> None:
    with pytest.raises(WrongToolchainHere, match="engine 'here' works only inside a toolchain image"):
        _open_here(project, tmp_path / "lock")


def test_here_names_the_toolchain_that_a_step_needs(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITEKILN_TOOLCHAIN", "tf9")
    with pytest.raises(WrongToolchainHere, match="this step needs toolchain 'tiny'; this image is 'tf9'") as caught:
        _open_here(project, tmp_path / "lock")
    assert "in the tiny image" in caught.value.remedy


def test_here_refuses_an_image_of_another_lock(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITEKILN_TOOLCHAIN", "tiny")
    (tmp_path / "lock").write_text("other")
    with pytest.raises(WrongToolchainHere, match="this image was built from another tiny lock"):
        _open_here(project, tmp_path / "lock")
    (tmp_path / "lock").write_text("nothing==1\n")
    _open_here(project, tmp_path / "lock")


# --- auto -----------------------------------------------------------------------------------------------------------------


class _Fake:
    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name = name
        self.error = error
        self.opened = 0

    @contextmanager
    def open(self, toolchain, say):
        self.opened += 1
        if self.error:
            raise self.error
        yield self


def test_auto_takes_docker_when_it_can_and_says_so(project: Project) -> None:
    said: list[str] = []
    docker, venv = _Fake("docker"), _Fake("venv")
    with AutoEngine(docker, venv).open(load_toolchain(project, "tiny"), said.append) as box:
        assert box is docker
    assert said == ["engine docker for tiny, because a daemon answers and the image is there"]


@pytest.mark.parametrize("kind", [DockerMissing, DaemonUnreachable, SocketForbidden, BuildxMissing, BaseUnreachable])
def test_auto_falls_back_to_venv_once_and_says_why(project: Project, kind: type[EngineError]) -> None:
    said: list[str] = []
    docker, venv = _Fake("docker", kind("it is not there")), _Fake("venv")
    engine = AutoEngine(docker, venv)
    for _ in range(2):
        with engine.open(load_toolchain(project, "tiny"), said.append) as box:
            assert box is venv
    assert said == ["engine venv, because it is not there"]
    assert docker.opened == 1


def test_auto_does_not_hide_a_broken_image(project: Project) -> None:
    engine = AutoEngine(_Fake("docker", ImageBuildFailed("the smoke program failed")), _Fake("venv"))
    with pytest.raises(ImageBuildFailed), engine.open(load_toolchain(project, "tiny"), print):
        pass


def test_auto_inside_an_image_is_here(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITEKILN_TOOLCHAIN", "tiny")
    said: list[str] = []
    with Lease(project.state) as lease:
        assert choose_engine("auto", project, lease, said.append).name == "here"
    assert said == ["engine here, because this is the tiny image"]


# --- running --------------------------------------------------------------------------------------------------------------


def test_lines_are_split_wherever_the_chunks_end(tmp_path: Path) -> None:
    lines: list[str] = []
    with LineSink(tmp_path / "log", lines.append) as sink:
        for chunk in (b"one\ntw", b"o\n@progress 1/2 x\n\xff", b"\nlast"):
            sink.feed(chunk)
    assert lines == ["one", "two", "@progress 1/2 x", "\ufffd", "last"]
    assert sink.tail == ("one", "two", "\ufffd", "last")
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n@progress 1/2 x\n\xff\nlast"


def test_logs_in_somebody_elses_folder_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("litekiln.engines.process.Path.unlink", refuse)
    with pytest.raises(StoreError, match=r"can't write below .*logs: Permission denied"):
        run_logged(["true"], tmp_path / "logs" / "image.log", print)


# What Ubuntu 24.04 does to a user who is not root: the namespace is there, and in it nothing may be written.
HALF_REFUSED = """
import sys
sys.path.insert(0, sys.argv[1])
import launch

class Libc:
    def unshare(self, flags):
        return 0

def refused(path, *_, **__):
    assert path.startswith("/proc/self/"), path
    raise PermissionError(13, "Permission denied", path)

launch.ctypes.CDLL = lambda *_, **__: Libc()
launch.os.getuid = launch.os.getgid = lambda: 1000
launch.open = refused
print(launch.cut_network())
"""


def test_where_a_user_namespace_is_refused_half_way_a_step_runs_without_one() -> None:
    argv = [sys.executable, "-I", "-S", "-c", HALF_REFUSED, str(Path(launch_file).parent)]
    run = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("False\n", "")
