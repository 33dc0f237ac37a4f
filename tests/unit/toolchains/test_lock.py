"""The locks that are committed, and the part of compiling that needs no network."""

import re

import pytest

from litekiln.paths import find_project
from litekiln.toolchains.lock import _blocks_for, _resolution_error, host_locks, require_current, toolchain_lock
from litekiln.toolchains.toolchain import load_toolchain, toolchain_names

PROJECT = find_project()
ALL = toolchain_names(PROJECT)


def test_the_four_toolchains_are_there() -> None:
    assert ALL == ["nightly", "tf1.15", "tf2.13", "tf2.21"]


@pytest.mark.parametrize("name", ALL)
def test_a_committed_lock_is_current_hashed_and_free_of_addresses(name: str) -> None:
    toolchain = load_toolchain(PROJECT, name)
    require_current(toolchain)
    _complete(toolchain.lock.read_text(encoding="utf-8"))
    pins = toolchain.lock.read_text(encoding="utf-8")
    assert re.search(rf"^(tensorflow|tensorflow-cpu|tf-nightly)=={re.escape(toolchain.spec.tensorflow)}\b", pins, re.MULTILINE)


@pytest.mark.parametrize("lock", host_locks(PROJECT), ids=lambda lock: lock.name)
def test_the_hosts_own_locks(lock) -> None:
    text = lock.path.read_text(encoding="utf-8")
    assert lock.inputs_hash in text.splitlines()[1]
    _complete(text)


def _complete(text: str) -> None:
    assert "://" not in text
    assert "--index" not in text
    for block in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block, block.split("\n")[0]


def test_only_the_toolchains_python_stays_in_its_lock() -> None:
    body = (
        "old==1 ; python_full_version < '3.8' \\\n    --hash=sha256:aa\n"
        "new==2 ; python_full_version >= '3.8' \\\n    --hash=sha256:bb\n"
        "any==3 \\\n    --hash=sha256:cc\n    # via x\n"
        "mac==4 ; sys_platform == 'darwin' and platform_machine == 'arm64' \\\n    --hash=sha256:dd\n"
        "windows==5 ; sys_platform == 'win32' \\\n    --hash=sha256:ee\n"
    )
    assert [block.split("==")[0] for block in _blocks_for(body, "3.7")] == ["old", "any", "mac"]
    assert [block.split("==")[0] for block in _blocks_for(body, "3.10")] == ["new", "any", "mac"]


def test_a_resolution_that_fails_says_which_kind_it_is() -> None:
    lock = toolchain_lock(load_toolchain(PROJECT, "tf2.13"))
    conflict = _resolution_error(lock, "No solution found when resolving dependencies: because a needs b>2")
    assert conflict.exit_code == 4
    assert "because a needs b>2" in conflict.what
    network = _resolution_error(lock, "error: Failed to fetch")
    assert network.exit_code == 8
    assert network.cause == "the package index can't be reached"
