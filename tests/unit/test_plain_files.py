"""Odd files in a model's folder: a message names them. None is opened: a named pipe would wait for ever."""

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from litekiln.commands.matrix import MatrixRequest, matrix
from litekiln.errors import LitekilnError, RecipeError, SourceError
from litekiln.hashing import FileHashes
from litekiln.paths import Project
from litekiln.plain_files import plain_file
from litekiln.plan.build_plan import plan_build
from litekiln.recipes.recipe import load_recipe
from litekiln.terminal import Reporter

LATIN_1 = os.fsdecode(b"caf\xe9.txt")
SAYS = {
    "dangling": "x is a link that leads nowhere",
    "loop": "x is a link that leads nowhere",
    "pipe": "x is a named pipe, where a plain file is needed",
    "socket": "x is a socket, where a plain file is needed",
    "latin-1": r"caf\xe9.txt: its name is not UTF-8",
}


@pytest.fixture(autouse=True)
def _no_hang() -> Iterator[None]:
    """A test that opens a named pipe fails instead of waiting for ever."""

    def fail(*_: object) -> None:
        pytest.fail("it waits: a named pipe was opened")

    signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    yield
    signal.alarm(0)


def _put(kind: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.unlink(missing_ok=True)
    if kind == "dangling":
        path.symlink_to("/nowhere/at/all")
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with monkeypatch.context() as here, socket.socket(socket.AF_UNIX) as it:
            here.chdir(path.parent)  # a socket's address is short
            it.bind(path.name)
    else:
        path.with_name(LATIN_1).write_text("", encoding="utf-8")


@pytest.mark.parametrize("kind", SAYS)
def test_an_odd_file_in_a_source_is_named(project: Project, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project.models / "demo" / "source" / "checkpoint"
    _put(kind, folder / "x", monkeypatch)
    with pytest.raises(SourceError) as caught:
        plan_build(project, load_recipe(project, "demo"))
    assert caught.value.what == f"{folder}/{SAYS[kind]}"
    assert caught.value.remedy in ("remove it, or put a plain file there", "rename or remove it")


@pytest.mark.parametrize("kind", SAYS)
@pytest.mark.parametrize("place", ["labels.txt", "model.toml", "source/pipeline.config", "source/checkpoint/ckpt-0.index"])
def test_an_odd_file_where_one_is_read_is_an_error_of_its_own(
    project: Project, kind: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(kind, project.models / "demo" / place, monkeypatch)
    with pytest.raises(LitekilnError) as caught:
        plan_build(project, load_recipe(project, "demo"))
    assert type(caught.value) is not LitekilnError


def test_a_broken_model_keeps_the_matrix_from_none_of_the_others(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(project.models / "demo", project.models / "odd")
    _put("dangling", project.models / "odd" / "source" / "checkpoint" / "x", monkeypatch)
    with pytest.raises(SourceError, match="1 of 2 models can't be planned: odd\n") as caught:
        matrix(Reporter(), project, MatrixRequest())
    assert "x is a link that leads nowhere" in caught.value.what
    assert "choose others with --models" in caught.value.remedy
    assert len(matrix(Reporter(), project, MatrixRequest(models=["demo"]))["include"]) == 2


def test_a_file_that_may_not_be_read_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> str:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr("litekiln.hashing.sha256_file", refuse)
    config = project.models / "demo" / "source" / "pipeline.config"
    with pytest.raises(SourceError, match=f"{config} could not be read: Permission denied") as caught:
        plan_build(project, load_recipe(project, "demo"))
    assert caught.value.remedy == "check the path and the file's permissions"


def test_a_recipe_that_may_not_be_read_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(RecipeError, match=r"models/demo/model.toml: can't be read: Permission denied"):
        load_recipe(project, "demo")


def test_a_source_that_is_no_plain_file_is_not_an_empty_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.keras")
    with pytest.raises(SourceError, match=r"m.keras is a named pipe"):
        FileHashes(tmp_path).sha256(tmp_path / "m.keras")
    with pytest.raises(SourceError, match=r"no.keras could not be read: No such file or directory"):
        FileHashes(tmp_path).sha256(tmp_path / "no.keras")


def test_devices_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="/dev/null is a device, where a plain file is needed"):
        plain_file(Path("/dev/null"))
