"""What `bench` says of a machine: a Pi's files, a virtual machine's, and those of a processor that is emulated."""

import re
from pathlib import Path

import pytest

from litekiln_pi import device

PI_4 = "processor\t: 0\nBogoMIPS\t: 108.00\nCPU part\t: 0xd08\n\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n"
PC = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: A processor\nflags\t\t: fpu vme{}\n"
CLOCK = {"scaling_governor": "ondemand\n", "cpuinfo_min_freq": "600000\n", "cpuinfo_max_freq": "1500000\n"}


def _machine(root: Path, cpuinfo: str, **more: str) -> Path:
    files = {"proc/cpuinfo": cpuinfo, "proc/meminfo": "MemTotal:        3884256 kB\nMemFree: 1 kB\n", **more}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_pi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    clock = {f"{device.CLOCK}/{name}": text for name, text in CLOCK.items()}
    told = device.device(_machine(tmp_path, PI_4, **clock))
    kernel = told.pop("system")["kernel"]
    assert re.match(r"Linux \S+", kernel)
    assert told == {
        "board": "Raspberry Pi 4 Model B Rev 1.4",
        "kind": "hardware",
        "processor": "Cortex-A72",
        "cores": told["cores"],
        "architecture": "aarch64",
        "memory": 3884256 * 1024,
        "governor": "ondemand",
        "megahertz": {"min": 600, "max": 1500},
    }


def test_what_a_kernel_does_not_say_is_none(tmp_path: Path) -> None:
    told = device.device(tmp_path)
    assert [told[name] for name in ("processor", "memory", "governor")] == [None, None, None]
    assert told["megahertz"] == {"min": None, "max": None}
    assert device.clock(tmp_path) is None


@pytest.mark.parametrize(
    ("machine", "cpuinfo", "program", "kind"),
    [
        ("aarch64", PI_4, "/usr/local/bin/python3.11", "hardware"),
        ("x86_64", PC.format(""), "/usr/bin/python3", "hardware"),
        ("x86_64", PC.format(" hypervisor lm"), "/usr/bin/python3", "virtual machine"),
        ("aarch64", PI_4, "/usr/bin/qemu-aarch64-static", "emulated"),
        ("x86_64", PC.format(""), "/run/rosetta/rosetta", "emulated"),  # an image for PCs on a Mac
        ("aarch64", PC.format(" hypervisor"), "/usr/local/bin/python3.11", "emulated"),  # qemu 7.2, if its name was changed
    ],
)
def test_whether_times_are_a_machines_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str, cpuinfo: str, program: str, kind: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    root = _machine(tmp_path, cpuinfo)
    (root / "proc/thread-self").mkdir()
    (root / "proc/thread-self/exe").symlink_to(program)
    assert device.kind(root) == kind


@pytest.mark.parametrize(("name", "kind"), [("Apple Virtualization Generic Platform", "virtual machine"), ("A board", "hardware")])
def test_docker_on_a_mac_runs_in_a_virtual_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert device.kind(_machine(tmp_path, "CPU part\t: 0x022\n", **{"sys/class/dmi/id/product_name": f"{name}\n"})) == kind


def test_the_release_is_the_machines_own_only_outside_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = _machine(tmp_path, PC.format(""), **{"etc/os-release": 'NAME=x\nPRETTY_NAME="Debian GNU/Linux 12"\n'})
    assert device.device(root)["system"]["os"] is None
    monkeypatch.setattr(device, "DESK", "inv bench")
    told = device.device(root)["system"]
    assert (told["os"], told["in_container"]) == ("Debian GNU/Linux 12", False)


def test_a_text_of_the_kernel_stays_one_line(tmp_path: Path) -> None:
    assert device.processor(_machine(tmp_path, "model name\t: odd\x1b[31m\n")) == "odd\x1b[31m"
    assert device.device(tmp_path)["processor"] == "odd[31m"
