"""What the kernel says about free memory."""

from pathlib import Path

import pytest

from litekiln_pi import memory


def _machine(root: Path, free: int = 0, **cgroup: str) -> Path:
    (root / "proc").mkdir()
    (root / "sys" / "fs" / "cgroup").mkdir(parents=True)
    if free:
        (root / "proc" / "meminfo").write_text(f"MemTotal:  430000 kB\nMemAvailable:   {free} kB\n")
    for name, text in cgroup.items():
        (root / "sys" / "fs" / "cgroup" / f"memory.{name}").write_text(text)
    return root


def test_of_a_machine(tmp_path: Path) -> None:
    assert memory.available(_machine(tmp_path, 150_000)) == 150_000 * 1024


@pytest.mark.parametrize(("most", "left"), [("300000000\n", 130_000_000), ("max\n", 1_024_000_000)])
def test_of_a_container(tmp_path: Path, most: str, left: int) -> None:
    root = _machine(tmp_path, 1_000_000, max=most, current="200000000\n", stat="anon 160000000\nfile 30000000\nfile_mapped 5\n")
    assert memory.available(root) == left


def test_where_the_kernel_does_not_say(tmp_path: Path) -> None:
    assert memory.available(_machine(tmp_path)) is None
    assert memory.available(tmp_path / "none") is None
