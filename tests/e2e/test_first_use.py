"""Each command of the docs, typed as the first one on a fresh clone in which nothing is built.

The clone has the last commit: what is not committed is not tested. litekiln's own environment is this checkout's, and so are the
toolchains' where a command needs one: other tests make them.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.stand_ins import STAND_INS, Given
from tests.helpers.first_use import IMAGE, PROPERTY, RUN, Case

NOWHERE = "unix:///nowhere/docker.sock"
# What this run sets and a reader's shell doesn't. `make` hands on what stands on its command line.
OURS = re.compile(r"(LITEKILN_(?!DEBIAN_MIRROR)|PYTEST|MAKE)\w*|MFLAGS|PYTHONPATH|VIRTUAL_ENV|CI|ARGS|JOBS|MODEL|VARIANT|ZOO")


def _cases() -> Iterator[object]:
    for command, cases in RUN.items():
        for number, case in enumerate(cases, 1):
            name = command if len(cases) == 1 else f"{command} ({number})"
            marks = [pytest.mark.docker, pytest.mark.toolchain("tf2.21")] if case.docker else []
            yield pytest.param(command, case, id=name, marks=[pytest.mark.toolchain("tf2.13"), pytest.mark.long, *marks])


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """The last commit, with litekiln's own environment. Removed afterwards: there are many."""
    folder = tmp_path / "litekiln"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    (folder / ".litekiln").mkdir()
    (folder / ".litekiln" / "host").symlink_to(sys.prefix)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def no_image_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where a daemon answers: an image that was made for nothing but this is removed."""
    yield
    if request.node.get_closest_marker("docker"):
        subprocess.run(["docker", "image", "rm", "--force", IMAGE], capture_output=True, check=False)


@pytest.fixture
def given(request: pytest.FixtureRequest, examples_store: Path) -> Given:
    return Given(lambda: request.getfixturevalue("built"), examples_store)


def _environment(clone: Path, case: Case) -> dict[str, str]:
    """A user's shell with `inv` on its PATH, as the README says. With Docker it has its own home: registries are named there."""
    kept = {name: value for name, value in os.environ.items() if not OURS.fullmatch(name)}
    kept |= {"PATH": f"{clone / '.litekiln' / 'host' / 'bin'}{os.pathsep}{kept['PATH']}", "NO_COLOR": "1"}
    if case.docker:
        return kept
    home = clone.parent / "home"
    home.mkdir()
    return {**kept, "HOME": str(home), "DOCKER_HOST": NOWHERE}


@pytest.mark.parametrize(("command", "case"), list(_cases()))
def test_it_works_or_says_what_to_do(
    command: str,
    case: Case,
    clone: Path,
    given: Given,
    pytestconfig: pytest.Config,
    record_property: Callable[[str, object], None],
) -> None:
    record_property(PROPERTY, command)
    for name in case.given:
        STAND_INS[name](clone, given)
    more = case.more.format(bases=pytestconfig.getoption("--bases"))
    typed = f"{command} {more}".strip()
    ran = subprocess.run(typed, shell=True, cwd=clone, env=_environment(clone, case), capture_output=True, text=True, check=False)
    said = ran.stdout + ran.stderr
    assert ran.returncode == case.exit_code, said
    assert re.search(case.says, said, re.MULTILINE), said
    assert "Traceback" not in said
    assert "unexpected error" not in said
    if case.exit_code > 1:
        assert "What to do:" in said, said
    assert _changed(clone) == "", "files of the clone itself"


def _changed(clone: Path) -> str:
    argv = ["git", "status", "--porcelain", "--untracked-files=no"]
    return subprocess.run(argv, cwd=clone, capture_output=True, text=True, check=True).stdout
