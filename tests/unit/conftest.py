"""Unit tests touch no engine and no network: both are enforced, not hoped for."""

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from litekiln.paths import Project
from tests.helpers.checkpoints import shared_shapes, write_checkpoint
from tests.helpers.user_files import empty_project, write_theirs

REFUSED_PROGRAMS = ("docker", "dockerd", "uv", "debootstrap", "curl", "apt-get")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _no_engine_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse_connection(_self: socket.socket, address: Any) -> None:
        pytest.fail(f"a unit test opened a connection to {address!r}")

    original = subprocess.Popen.__init__

    def refuse_programs(self: Any, args: Any, *rest: Any, **options: Any) -> None:
        program = os.path.basename(args if isinstance(args, str) else str(args[0]))  # noqa: PTH119
        if program in REFUSED_PROGRAMS:
            pytest.fail(f"a unit test started {program!r}")
        original(self, args, *rest, **options)

    monkeypatch.setattr(socket.socket, "connect", refuse_connection)
    monkeypatch.setattr(subprocess.Popen, "__init__", refuse_programs)
    monkeypatch.setattr(os, "fsync", lambda _: None)  # seconds each, where others write to the same disk
    monkeypatch.delenv("LITEKILN_HOME", raising=False)
    monkeypatch.delenv("LITEKILN_TOOLCHAIN", raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of its own: a toolchain and a model, small enough to edit in a test."""
    shutil.copytree(ROOT / "steps", tmp_path / "steps", ignore=shutil.ignore_patterns("__pycache__"))
    toolchain = tmp_path / "toolchains" / "tiny"
    toolchain.mkdir(parents=True)
    (tmp_path / "toolchains" / "install.py").write_text("# stands for the installer\n", encoding="utf-8")
    (toolchain / "requirements.in").write_text("nothing\n", encoding="utf-8")
    (toolchain / "requirements.lock").write_text("nothing==1\n", encoding="utf-8")
    (toolchain / "toolchain.toml").write_text(TOOLCHAIN, encoding="utf-8")
    model = tmp_path / "models" / "demo"
    model.mkdir(parents=True)
    (model / "model.toml").write_text(RECIPE, encoding="utf-8")
    (model / "labels.txt").write_text("cat\ndog\nbird\n", encoding="utf-8")
    (model / "net.py").write_text("class Net: ...\n", encoding="utf-8")
    (model / "source").mkdir()
    (model / "source" / "pipeline.config").write_text(CONFIG, encoding="utf-8")
    write_checkpoint(model / "source" / "checkpoint" / "ckpt-0", shared_shapes(4))
    return Project(code=tmp_path, work=tmp_path)


TOOLCHAIN = f"""
summary = "for tests"
roles = ["tf1", "export", "export-new", "convert", "finish", "draw", "fix"]
python = "3.11"
tensorflow = "2.21.0"
base = "python:3.11-slim@sha256:{"0" * 64}"
"""

RECIPE = """
[source]
kind = "tf2-detection"
folder = "source"
license = "Apache-2.0"
[export]
toolchain = "tiny"
[convert]
toolchains = ["tiny"]
variants = ["float32", "float16"]
[labels]
file = "labels.txt"
"""

CONFIG = """
model {
  ssd {
    num_classes: 3
    feature_extractor { type: "ssd_mobilenet_v2_fpn_keras" }
    image_resizer { fixed_shape_resizer { height: 320 width: 256 } }
  }
}
"""


@pytest.fixture
def home(tmp_path: Path) -> Project:
    """A project without a model, for `inv new`."""
    return empty_project(tmp_path)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """What a user brings to it."""
    return write_theirs(tmp_path / "theirs")
