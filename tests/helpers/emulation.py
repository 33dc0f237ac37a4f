"""Run toolchains on another processor: copies of environments whose Python is emulated by qemu, Debian's qemu-user-static."""

import shutil
import sys
from pathlib import Path

QEMU = "qemu-x86_64-static"
WRAPPER = """#!/bin/sh
exec {qemu} -cpu {processor} -0 "$0" {python} "$@"
"""
# Two that differ in their instructions: the second has AVX2 and fused multiplications, whose emulation takes much longer.
PROCESSORS = ("IvyBridge-v1", "Haswell-v4")


def emulated(environment: Path, target: Path, processor: str) -> None:
    """Make `target` an environment like another, with links to its packages, whose Python runs on an emulated processor."""
    qemu = shutil.which(QEMU)
    assert qemu, f"{QEMU} is missing: apt-get install qemu-user-static"
    (target / "bin").mkdir(parents=True)
    for each in environment.iterdir():
        if each.name != "bin":
            (target / each.name).symlink_to(each)
    python = (environment / "bin" / "python").resolve()
    wrapper = target / "bin" / "python"
    wrapper.write_text(WRAPPER.format(qemu=qemu, processor=processor, python=python), encoding="utf-8")
    wrapper.chmod(0o755)


if __name__ == "__main__":
    emulated(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
