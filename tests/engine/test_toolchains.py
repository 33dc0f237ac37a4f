"""Every toolchain proves itself under every engine, and both engines give the same result and the same bytes."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from litekiln.commands.smoke import plan_smoke
from litekiln.engines.choose import choose_engine
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.run.executor import Executor
from litekiln.terminal import Reporter
from litekiln.toolchains.toolchain import load_toolchain
from tests.conftest import ROOT, TOOLCHAINS

GIGABYTE = 1e9
# The goals are 1.8 for tf2.13 and 1.4 for those that only convert; nightly is published with GPU code inside and misses it.
LARGEST = {"tf1.15": 1.1, "tf2.13": 1.5, "tf2.21": 1.4, "nightly": 1.9}


@dataclass(frozen=True)
class Smoked:
    result: bytes
    model: bytes
    engine: str


@pytest.fixture(scope="module")
def smoked(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Smoked]:
    return {}


def _smoke(engine: str, toolchain: str, work: Path, known: dict[tuple[str, str], Smoked]) -> Smoked:
    if (engine, toolchain) not in known:
        project = Project(code=ROOT, work=work)
        plan = plan_smoke(project, load_toolchain(project, toolchain))
        with (
            Lease(project.state) as lease,
            Executor(project, lambda: choose_engine(engine, project, lease, print), lease, Reporter()) as executor,
        ):
            run = executor.run(plan, force=True).complete()["smoke"]
        folder = run.entry.folder
        known[engine, toolchain] = Smoked(
            (folder / "result.json").read_bytes(), (folder / "files" / "smoke.tflite").read_bytes(), run.engine
        )
    return known[engine, toolchain]


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
@pytest.mark.parametrize("engine", ["venv", "docker"])
def test_smoke(engine: str, toolchain: str, work: Path, smoked: dict[tuple[str, str], Smoked]) -> None:
    done = _smoke(engine, toolchain, work, smoked)
    assert done.engine == engine
    assert b'"answer": 42.0' in done.result
    spec = load_toolchain(Project(code=ROOT, work=work), toolchain).spec
    assert f'"tensorflow": "{spec.tensorflow}"'.encode() in done.result
    assert f'"python": "{spec.python}"'.encode() in done.result


@pytest.mark.docker
@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_both_engines_give_the_same(toolchain: str, work: Path, smoked: dict[tuple[str, str], Smoked]) -> None:
    venv, docker = _smoke("venv", toolchain, work, smoked), _smoke("docker", toolchain, work, smoked)
    assert (venv.engine, docker.engine) == ("venv", "docker")
    assert venv.result == docker.result
    assert venv.model == docker.model


@pytest.mark.docker
@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_the_image_is_no_larger_than_documented(toolchain: str, work: Path) -> None:
    from litekiln.engines.images import list_images

    project = Project(code=ROOT, work=work)
    [image] = list_images(project, [load_toolchain(project, toolchain)])
    assert 0 < image.size < LARGEST[toolchain] * GIGABYTE
