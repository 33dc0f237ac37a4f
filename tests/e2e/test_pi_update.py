"""`litekiln-update` with a real Podman and a real registry: a tiny image, and the demo's."""

import gzip
import hashlib
import io
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.e2e.test_pi_image import PODMAN, PODMAN_RUN, TAG, image, inv_pi

__all__ = ["image", "inv_pi"]  # fixtures
UPDATE = ROOT / "deploy" / "pi" / "update"
PROCESSOR = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
# In the place of the image's python3: what litekiln-update asks of it.
PYTHON = r"""
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words) {
    const char *command = count > 3 ? words[3] : "serve";
    if (!strcmp(command, "selftest")) return puts("ok: 3 of 3 recorded detections seen here"), SELFTEST;
    if (!strcmp(command, "health")) return HEALTH;
    for (;;) pause();
}
"""
# A unit that runs the image, without systemd.
SYSTEMCTL = r"""#!/bin/sh
case $1 in
show) case $* in *ribbon*) echo LoadState=not-found; exit ;; esac
    printf 'LoadState=loaded\nUnitFileState=enabled\nActiveState=active\nExecStart={ path=/usr/bin/podman }\n' ;;
restart)
    . "$LITEKILN_ROOT/etc/litekiln/image.env"
    podman rm --force --time 1 litekiln > /dev/null 2>&1
    exec podman run --detach --rm --name litekiln --network SERVED --read-only "$LITEKILN_IMAGE" \
        serve --source test --threads 1 --port PORT ;;
esac
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RealPi:
    """A folder as a Pi's root, with a Podman whose store is its own."""

    def __init__(self, folder: Path, run_root: str, machine: str, network: str) -> None:
        self.root, programs = folder, folder / "programs"
        programs.mkdir()
        self._podman = ["podman", "--root", str(folder / "store"), "--runroot", run_root, *PODMAN]
        podman = " ".join([str(shutil.which("podman")), *self._podman[1:]])
        options = " ".join(PODMAN_RUN)
        shim = f'#!/bin/sh\n[ "$1" = run ] && shift && exec {podman} run {options} "$@"\nexec {podman} "$@"\n'
        for name, text in (("podman", shim), ("systemctl", SYSTEMCTL.replace("SERVED", network).replace("PORT", str(free_port())))):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        (folder / "registries.conf").write_text("")
        self.environment = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "LITEKILN_ROOT": str(folder),
            "LITEKILN_MACHINE": machine,
            "LITEKILN_SETTLE": "2",
            "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
        }

    def trusts(self, registry: str) -> None:
        (self.root / "registries.conf").write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n')

    def podman(self, *argv: str) -> str:
        done = subprocess.run([*self._podman, *argv], env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def update(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [sys.executable, str(UPDATE), *argv], env=self.environment, capture_output=True, text=True, check=False
        )
        print(done.stdout + done.stderr)
        return done

    @property
    def runs(self) -> str:
        return self.podman("container", "inspect", "--format", "{{.Image}}", "litekiln")

    @property
    def images(self) -> set[str]:
        return set(self.podman("images", "--all", "--no-trunc", "--quiet").replace("sha256:", "").split())


@contextmanager
def real_pi(folder: Path, machine: str, network: str = "none") -> Iterator[RealPi]:
    folder.mkdir()
    with tempfile.TemporaryDirectory(prefix="podman-", dir="/tmp") as run_root:  # Podman takes 50 characters at most
        pi = RealPi(folder, run_root, machine, network)
        try:
            yield pi
        finally:
            pi.podman("rm", "--all", "--force", "--time", "1")
            pi.podman("rmi", "--all", "--force")


def tiny(folder: Path, version: str, *, selftest: int = 0, health: int = 0, processor: str = PROCESSOR) -> Path:
    """A file with an image of this machine's processor that holds one program."""
    if not shutil.which("gcc"):
        pytest.skip("not run: gcc is not on this machine")
    folder.mkdir()
    (folder / "python3.c").write_text(PYTHON)
    argv = ["gcc", "-static", f"-DSELFTEST={selftest}", f"-DHEALTH={health}", "-o", "python3", "python3.c"]
    subprocess.run(argv, cwd=folder, check=True)
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        archive.add(folder / "python3", "usr/bin/python3")
        _add(archive, "version", version.encode())
    config = {
        "architecture": processor,
        "os": "linux",
        "config": {
            "Labels": {"org.litekiln.model": "tiny"},
            "Env": ["PATH=/usr/bin"],
            "Entrypoint": ["python3", "-m", "litekiln_pi"],
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"]},
    }
    saved = io.BytesIO()
    with tarfile.open(fileobj=saved, mode="w") as archive:
        _add(archive, "layer.tar", layer.getvalue())
        _add(archive, "config.json", json.dumps(config).encode())
        _add(archive, "manifest.json", json.dumps([{"Config": "config.json", "RepoTags": [TAG], "Layers": ["layer.tar"]}]).encode())
    (folder / "pi.tar.gz").write_bytes(gzip.compress(saved.getvalue()))
    return folder / "pi.tar.gz"


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    port = free_port()
    address = f"127.0.0.1:{port}"
    (folder / "config.yml").write_text(
        f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {folder}/registry\nhttp:\n  addr: {address}\n"
    )
    with subprocess.Popen(["docker-registry", "serve", str(folder / "config.yml")], stderr=subprocess.DEVNULL) as serving:
        try:
            for _ in range(100):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield address
        finally:
            serving.terminate()


@pytest.mark.servers
def test_podman_updates_goes_back_and_keeps_one(tmp_path: Path) -> None:
    """From files and from a registry, each image is a program that answers as litekiln's does."""
    first, second, third = (tiny(tmp_path / version, version) for version in ("1", "2", "3"))
    with real_pi(tmp_path / "pi", platform.machine()) as pi, registry(tmp_path) as address:
        assert pi.update(str(first)).returncode == 0
        one = pi.runs
        done = pi.update(str(second))
        assert done.returncode == 0
        assert "✓ selftest ok: 3 of 3 recorded detections seen here\n" in done.stdout
        two = pi.runs
        assert two != one
        # By digest from a registry: what this store has is sent there first.
        pi.podman("load", "--quiet", "--input", str(_unpacked(third)))
        name = f"{address}/me/{TAG}"
        pi.podman("push", "--tls-verify=false", "--digestfile", str(tmp_path / "digest"), TAG, name)
        pi.podman("rmi", "--force", f"localhost/{TAG}")
        pi.trusts(address)
        reference = f"{name.rpartition(':')[0]}@{(tmp_path / 'digest').read_text()}"
        assert pi.update(reference).returncode == 0
        three = pi.runs
        assert pi.images == {two, three}, "one before is kept"
        assert f"LITEKILN_IMAGE={reference}\n" in (pi.root / "etc/litekiln/image.env").read_text()
        assert "it runs already" in pi.update(reference).stdout
        assert (pi.update("--back").returncode, pi.runs) == (0, two)
        wrong = f"{name.rpartition(':')[0]}@sha256:{'0' * 64}"
        assert pi.update(wrong).returncode == 9
        assert (pi.update(name, "--resolve").returncode, pi.runs) == (0, three)
    with real_pi(tmp_path / "offline", platform.machine()) as pi:
        assert pi.update(reference).returncode == 8, "nobody listens there any more"


@pytest.mark.servers
def test_podman_keeps_the_old_one_when_the_new_one_fails(tmp_path: Path) -> None:
    good, wrong, sick = tiny(tmp_path / "1", "1"), tiny(tmp_path / "2", "2", selftest=4), tiny(tmp_path / "3", "3", health=1)
    with real_pi(tmp_path / "pi", platform.machine()) as pi:
        assert pi.update(str(good)).returncode == 0
        old = pi.runs
        assert (pi.update(str(wrong)).returncode, pi.runs, pi.images) == (4, old, {old})
        done = pi.update(str(sick), "--wait", "4")
        assert (done.returncode, pi.runs, pi.images) == (5, old, {old}), done.stdout
        assert json.loads(pi.update("--status", "--json").stdout)["fault"] == ""


def _unpacked(path: Path) -> Path:
    target = path.with_suffix("")
    target.write_bytes(gzip.decompress(path.read_bytes()))
    return target


@pytest.mark.docker
def test_the_demos_image_from_the_file_that_inv_pi_wrote(image: dict[str, Any], tmp_path: Path) -> None:
    """Under emulation: the image's own selftest and health check."""
    with real_pi(tmp_path / "pi", "aarch64", network="host") as pi:
        done = pi.update(image["saved"])
        assert done.returncode == 0, done.stdout
        assert f"✓ SHA-256 {hashlib.sha256(Path(image['saved']).read_bytes()).hexdigest()}" in done.stdout
        assert "✓ selftest ok: 3 of 3 recorded detections seen here" in done.stdout
        assert "it runs already" in pi.update(image["saved"]).stdout
