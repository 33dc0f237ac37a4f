import os
import subprocess
from collections import namedtuple
from pathlib import Path

import pytest

from litekiln.commands import doctor
from litekiln.engines import checks
from litekiln.errors import DaemonUnreachable, ToolchainError, Unhealthy
from litekiln.paths import Project
from litekiln.terminal import Check, Reporter, Status

Usage = namedtuple("Usage", "total used free")


def test_a_check_that_is_not_fine_has_a_remedy(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "docker_checks", lambda _: [Check("docker daemon", Status.WARN, "silent", "start it")])
    monkeypatch.setattr(doctor, "uv_binary", lambda: (_ for _ in ()).throw(ToolchainError("uv is not installed")))
    monkeypatch.setattr(doctor, "find_python", lambda _: None)
    found = {check.name: check for check in doctor.examine(project, store=False)}
    assert found["uv"].status is Status.FAIL
    assert found["uv"].detail == "uv is not installed"
    assert found["python 3.11"].detail == "not found, and needed by engine venv (tiny)"
    assert found["engine"].status is Status.FAIL
    for check in found.values():
        assert check.remedy or check.status is Status.OK, check


@pytest.mark.parametrize(("free", "status"), [(1, Status.FAIL), (5, Status.WARN), (50, Status.OK)])
def test_disk(project: Project, monkeypatch: pytest.MonkeyPatch, free: int, status: Status) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: Usage(100, 0, free * 1e9))
    check = doctor._disk(project)
    assert check.status is status
    assert check.detail.startswith(f"{free}.0 GB free")


def test_a_ca_variable_that_points_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in doctor.CA_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert doctor._ca().detail == "the system's"
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "gone.pem"))
    assert doctor._ca().status is Status.FAIL
    assert "which is not a file" in doctor._ca().detail
    (tmp_path / "gone.pem").touch()
    assert doctor._ca().status is Status.OK
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    assert doctor._ca().status is Status.FAIL


def test_arm64_emulation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checks.sys, "platform", "linux")
    monkeypatch.setattr(checks.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, stdout="x86_64\n"))
    monkeypatch.setattr(checks, "BINFMT", tmp_path / "qemu-aarch64")
    assert checks._emulation().detail == "qemu-aarch64 is not registered with binfmt_misc"
    (tmp_path / "qemu-aarch64").write_text("enabled\nflags: P\n")
    assert checks._emulation().detail == "registered without flag F: containers can't see the emulator"
    (tmp_path / "qemu-aarch64").write_text("enabled\nflags: PF\n")
    assert checks._emulation().status is Status.OK


@pytest.mark.parametrize(("probe", "status"), [(0, Status.OK), (1, Status.WARN)])
def test_it_says_whether_steps_can_share_a_container(monkeypatch: pytest.MonkeyPatch, probe: int, status: Status) -> None:
    monkeypatch.setattr(checks, "probe", {"apart": probe}.get)
    check = checks._copies()
    assert check.status is status
    assert check.detail.endswith(
        "keeps steps apart that share one" if probe == 0 else "this kernel can't keep steps apart that share one"
    )
    assert "Linux 6.12 or newer" in check.remedy or probe == 0


def test_a_silent_daemon_is_a_warning_with_a_remedy(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(otherwise: str) -> None:
        raise DaemonUnreachable("the Docker daemon at x does not answer", remedy=f"start it{otherwise}")

    monkeypatch.setattr(checks, "connect", silent)
    monkeypatch.setattr(checks.shutil, "which", lambda _: None)
    found = {check.name: check for check in checks.docker_checks(project)}
    assert found["docker daemon"].status is Status.WARN
    assert found["docker daemon"].remedy == "start it, or work without it: --engine venv"
    assert found["docker client"].detail == "not installed"
    assert found["docker buildx"].detail == "the docker command is not installed"


def test_the_store_is_checked_thoroughly(project: Project) -> None:
    from litekiln.run.store import Store
    from tests.helpers.running import one_step, run, write_program

    write_program(project, "open(protocol.output_path('x'), 'w').write('abc')\nreturn {}")
    path = run(project, one_step(project))["work"].entry.files / "x"
    assert [check.status for check in doctor._store(project)] == [Status.OK]
    before = path.stat()
    path.write_text("xyz")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = list(doctor._store(project))
    assert [check.status for check in found] == [Status.WARN]
    assert "files/x has changed since it was stored" in found[0].detail
    assert len(list(Store(project.state))) == 1


def test_a_failed_check_is_the_exit_code_and_the_json(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = [Check("disk", Status.FAIL, "full", "free some"), Check("uv", Status.OK, "there")]
    monkeypatch.setattr(doctor, "examine", lambda *_, **__: bad)
    with pytest.raises(Unhealthy, match="not ready: disk") as caught:
        doctor.doctor(Reporter(), project, doctor.DoctorRequest())
    assert caught.value.exit_code == 9
    assert caught.value.as_dict()["checks"][0] == {"name": "disk", "status": "fail", "detail": "full", "remedy": "free some"}


@pytest.mark.parametrize(
    ("probe", "status", "detail"),
    [
        (0, Status.OK, "steps under engine venv can write only to their own folder"),
        (1, Status.WARN, "this system has no Landlock: under engine venv a foreign model's code could write to your files"),
        (2, Status.WARN, "this system's Landlock is old: under engine venv a foreign model's code could empty your files"),
    ],
)
def test_it_says_whether_a_step_can_write_elsewhere(
    monkeypatch: pytest.MonkeyPatch, probe: int, status: Status, detail: str
) -> None:
    monkeypatch.setattr(doctor, "probe", lambda what: {"network": 0, "files": probe}[what])
    check = {each.name: each for each in doctor._isolation()}["writing"]
    assert (check.status, check.detail) == (status, detail)
    assert check.remedy == "for models from strangers use --engine docker"
