"""`inv lock`: how the compiled locks are written."""

import os

import pytest

from litekiln.commands import lock as locking
from litekiln.commands.lock import LockRequest
from litekiln.errors import StoreError
from litekiln.paths import Project
from litekiln.terminal import Reporter


class _Compiled:
    text = "nothing==2\n"
    diff = "-nothing==1\n+nothing==2\n"


@pytest.fixture(autouse=True)
def _compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "compile_lock", lambda *_, **__: _Compiled())


def test_a_lock_is_written(project: Project) -> None:
    assert locking.lock(Reporter(), project, LockRequest(["tiny"])) == {"changed": ["tiny"]}
    assert (project.toolchains / "tiny" / "requirements.lock").read_text(encoding="utf-8") == _Compiled.text


def test_a_checkout_that_cannot_be_written_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr("litekiln.disk.tempfile.mkstemp", refuse)
    with pytest.raises(StoreError, match=f"can't write below {project.toolchains / 'tiny'}: Read-only file system"):
        locking.lock(Reporter(), project, LockRequest(["tiny"]))
    assert (project.toolchains / "tiny" / "requirements.lock").read_text(encoding="utf-8") == "nothing==1\n"
