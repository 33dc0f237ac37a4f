"""Pis that aren't there: a folder each, with the programs of `fake_engine`, and images that behave as their labels say."""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy" / "pi"
FAKE = Path(__file__).with_name("fake_engine.py")
NAME, REPOSITORY = "litekiln/shapes:int8", "registry.example.org/me/litekiln/shapes"


@dataclass(frozen=True)
class FakeImage:
    """An image by what its labels say; `version` makes it another one."""

    version: str
    architecture: str = "arm64"
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> bytes:
        labels = {"org.litekiln.model": "shapes", **self.labels} if self.labels.get("whose") != "another's" else {}
        layer = f"sha256:{hashlib.sha256(self.version.encode()).hexdigest()}"
        config = {"architecture": self.architecture, "os": "linux", "config": {"Labels": labels}, "rootfs": {"diff_ids": [layer]}}
        return json.dumps(config).encode()

    @property
    def id(self) -> str:
        return hashlib.sha256(self.config).hexdigest()

    @property
    def digest(self) -> str:
        return f"{REPOSITORY}@sha256:{hashlib.sha256(self.config + b'manifest').hexdigest()}"


OLD, NEW, NEWER = FakeImage("1"), FakeImage("2"), FakeImage("3")
SICK, WRONG = FakeImage("sick", labels={"health": "fails"}), FakeImage("wrong", labels={"selftest": "fails"})


def save(path: Path, *images: FakeImage, names: tuple[str, ...] = (NAME,)) -> Path:
    """A file of images as `docker save | gzip` writes it."""
    buffer = io.BytesIO()
    listed = []
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for image, name in zip(images, names, strict=True):
            _add(archive, f"{image.id}.json", image.config)
            _add(archive, f"{image.id}/layer.tar", os.urandom(300_000))
            listed.append({"Config": f"{image.id}.json", "RepoTags": [name], "Layers": [f"{image.id}/layer.tar"]})
        _add(archive, "manifest.json", json.dumps(listed).encode())
    path.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))
    return path


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def publish(path: Path, *images: FakeImage, tags: tuple[str, ...] = ()) -> Path:
    """A registry that has images by digest, and the last of them by tags."""
    known = {each.digest: {"id": each.id, "config": json.loads(each.config), "digest": each.digest} for each in images}
    known |= dict.fromkeys(tags, known[images[-1].digest])
    path.write_text(json.dumps(known))
    return path


class FakePi:
    """A folder that is a Pi's root."""

    # What programs of a Pi may be found beside its own: never this machine's Docker, Podman or systemctl.
    TOOLS = (
        *("sh", "env", "cat", "cp", "mv", "ln", "rm", "mkdir", "chmod", "sync", "date", "dirname", "id", "ls", "wc", "tr", "sed"),
        *("tail", "tee", "grep", "flock", "sleep"),
    )

    def __init__(self, root: Path, registry: Path, unit: str = "docker", machine: str = "aarch64") -> None:
        self.root, self.programs = root, root / "programs"
        self.programs.mkdir(parents=True)
        for name in ("docker", "podman", "systemctl", "docker-compose"):
            program = self.programs / name
            lines = ["import sys", f"sys.path.insert(0, {str(FAKE.parent)!r})", "import fake_engine"]
            lines = [f"#!{sys.executable} -ES", *lines, f"sys.exit(fake_engine.main({name!r}, sys.argv[1:]))"]
            program.write_text("\n".join(lines))
            program.chmod(0o755)
        self.tools = root / "tools"
        self.tools.mkdir()
        for name in self.TOOLS:
            (self.tools / name).symlink_to(str(shutil.which(name)))
        (self.tools / "python3").symlink_to(sys.executable)
        if unit == "compose":
            (root / "etc/litekiln").mkdir(parents=True)
            (root / "etc/litekiln/compose.yaml").write_text((DEPLOY / "compose.yaml").read_text())
        elif unit:
            (root / "units.json").write_text(json.dumps({"litekiln.service": unit}))
        self.environment = {
            "PATH": f"{self.programs}:{self.tools}",
            "LITEKILN_ROOT": str(root),
            "LITEKILN_MACHINE": machine,
            "FAKE_REGISTRY": str(registry),
            "LANG": "C.UTF-8",
            "LITEKILN_WAIT": "0.3",  # fakes are healthy at once
            "LITEKILN_SETTLE": "0.05",
        }

    def faults(self, *words: str) -> None:
        (self.root / "faults").write_text("\n".join(words))

    @property
    def state(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.root / "fake.json").read_text())
        return told

    @property
    def runs(self) -> str:
        """The id of the image that its container runs."""
        there = self.state["container"]
        return str(there["image"]) if there else ""

    @property
    def images(self) -> set[str]:
        return set(self.state["images"])

    @property
    def chosen(self) -> dict[str, str]:
        lines = (self.root / "etc/litekiln/image.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def forget_calls(self) -> None:
        (self.root / "fake.json").write_text(json.dumps({**self.state, "calls": []}))

    def run(self, *argv: str, given: bytes = b"") -> "subprocess.CompletedProcess[str]":
        """One of its programs."""
        path = str(self.programs / argv[0])
        done = subprocess.run([path, *argv[1:]], env=self.environment, input=given, capture_output=True, check=False)
        return subprocess.CompletedProcess(argv, done.returncode, done.stdout.decode(), done.stderr.decode())

    def boots(self) -> None:
        """The power comes back: the service starts what is chosen."""
        self.faults()
        assert self.run("systemctl", "restart", "litekiln.service").returncode == 0

    def loads(self, image: FakeImage, tmp_path: Path) -> None:
        """Somebody loads an image by hand, and the service runs it."""
        self.run("docker", "load", given=gzip.decompress(save(tmp_path / f"{image.version}.tar.gz", image).read_bytes()))
        self.boots()

    def update(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        """What `litekiln-update` says."""
        program = [sys.executable, "-S", str(DEPLOY / "update")]
        return subprocess.run([*program, *argv], env=self.environment, capture_output=True, text=True, check=False)
