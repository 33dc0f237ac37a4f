"""The committed locks, compiled again: what is on disk is what the inputs ask for. Needs the package index."""

from collections.abc import Callable

import pytest

from tests.conftest import TOOLCHAINS

Inv = Callable[..., object]


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_lock_check(toolchain: str, inv: Inv) -> None:
    run = inv("lock", "--check", "--toolchain", toolchain)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{toolchain}: " in run.stdout
    assert "is up to date" in run.stdout


@pytest.mark.long
def test_the_hosts_locks(inv: Inv) -> None:
    run = inv("lock", "--check", "--toolchain", "host")
    assert run.returncode == 0, run.stdout + run.stderr
