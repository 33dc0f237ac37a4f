"""Unit tests touch no engine and no network: both are enforced, not hoped for."""

import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from litekiln.paths import Project

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
    monkeypatch.delenv("LITEKILN_HOME", raising=False)
    monkeypatch.delenv("LITEKILN_TOOLCHAIN", raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of its own: a toolchain and a model, small enough to edit in a test."""
    (tmp_path / "steps").mkdir()
    for name in ("protocol.py", "smoke.py", "convert.py", "export_function.py"):
        (tmp_path / "steps" / name).write_bytes((ROOT / "steps" / name).read_bytes())
    toolchain = tmp_path / "toolchains" / "tiny"
    toolchain.mkdir(parents=True)
    (tmp_path / "toolchains" / "install.py").write_text("# stands for the installer\n", encoding="utf-8")
    (toolchain / "requirements.in").write_text("nothing\n", encoding="utf-8")
    (toolchain / "requirements.lock").write_text("nothing==1\n", encoding="utf-8")
    (toolchain / "toolchain.toml").write_text(TOOLCHAIN, encoding="utf-8")
    model = tmp_path / "models" / "demo"
    model.mkdir(parents=True)
    (model / "model.toml").write_text(RECIPE, encoding="utf-8")
    (model / "net.py").write_text("class Net: ...\n", encoding="utf-8")
    return Project(code=tmp_path, work=tmp_path)


TOOLCHAIN = f"""
summary = "for tests"
python = "3.11"
tensorflow = "2.21.0"
base = "python:3.11-slim@sha256:{"0" * 64}"
"""

RECIPE = """
[source]
kind = "function"
function = "net.py:Net"
license = "Apache-2.0"
[export]
toolchain = "tiny"
[convert]
toolchains = ["tiny"]
variants = ["float32", "float16"]
"""
