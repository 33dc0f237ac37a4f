"""Engine tests: real programs in real toolchains, under each engine that this run covers."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from litekiln.engines.base import Box, Job, Outcome
from litekiln.engines.choose import choose_engine
from litekiln.engines.daemon import connect
from litekiln.engines.docker import LABEL_STATE, state_id
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.toolchains.toolchain import load_toolchain
from tests.conftest import ROOT
from tests.e2e.conftest import built  # noqa: F401 - a fixture, for these tests too

if TYPE_CHECKING:
    from docker import DockerClient


@pytest.fixture
def project(work: Path) -> Project:
    return Project(code=ROOT, work=work)


@pytest.fixture
def box(engine: str, project: Project) -> Iterator[Box]:
    """The toolchain tf2.13, opened."""
    with (
        Lease(project.state) as lease,
        choose_engine(engine, project, lease, print).open(load_toolchain(project, "tf2.13"), print) as opened,
    ):
        yield opened


Runner = Callable[..., Outcome]


@pytest.fixture
def run(box: Box, tmp_path: Path) -> Runner:
    return runner_in(box, tmp_path)


def runner_in(box: Box, tmp_path: Path) -> Runner:
    """Runs a program text in the box. Its output is in tmp_path/output, its log in tmp_path/log."""

    def runner(program: str, *, files: dict[str, Path] | None = None, timeout: float = 60) -> Outcome:
        script = tmp_path / "program.py"
        script.write_text(program, encoding="utf-8")
        output = tmp_path / "output"
        output.mkdir(exist_ok=True)
        job = Job(
            argv=("python", "program.py"),
            files={"program.py": script, **(files or {})},
            output=output,
            log=tmp_path / "log",
            timeout=timeout,
            label="test",
        )
        return box.run(job, lambda _: None)

    return runner


def found_by(run: Runner, name: str, output: Path, **files: Path) -> dict[str, Any]:
    """What a program of programs/ found out about the steps' modules, which it imports."""
    text = (Path(__file__).parent / "programs" / name).read_text(encoding="utf-8")
    outcome = run(text, files={"steps": ROOT / "steps", **{f"{module}.py": path for module, path in files.items()}}, timeout=300)
    assert outcome.ok, "\n".join(outcome.tail)
    found: dict[str, Any] = json.loads((output / "found.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture
def client() -> Iterator["DockerClient"]:
    with connect() as opened:
        yield opened


def left_in_docker(client: "DockerClient", project: Project) -> tuple[list[str], list[str]]:
    """A project's containers and volumes."""
    wanted: dict[str, str | list[str] | bool] = {"label": f"{LABEL_STATE}={state_id(project)}"}
    containers = [container.name or "" for container in client.containers.list(all=True, filters=wanted, ignore_removed=True)]
    return containers, [volume.name for volume in client.volumes.list(filters=wanted)]
