"""What this machine is, for figures that others compare: its kind, processor, memory, system and clock. It names no person."""

import os
import platform
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from litekiln_pi.machine import board, cores
from litekiln_pi.place import DESK

CLOCK = "sys/devices/system/cpu/cpu0/cpufreq"
# Arm's processors of the Pis, by the number that /proc/cpuinfo gives instead of a name.
ARM_PARTS = {"0xd03": "Cortex-A53", "0xd04": "Cortex-A35", "0xd08": "Cortex-A72", "0xd0b": "Cortex-A76"}
EMULATORS = ("qemu", "rosetta")
VIRTUAL_BOARD = re.compile("qemu|kvm|virtual|vmware", re.IGNORECASE)  # of a PC's or a Mac's firmware
HARDWARE, VIRTUAL, EMULATED = "hardware", "virtual machine", "emulated"
X86 = ("x86_64", "i686", "AMD64")
LONGEST = 200  # letters


def device(root: Path = Path("/")) -> dict[str, Any]:
    """The machine. None stands for what its kernel doesn't say."""
    return {
        "board": _short(board(root)),
        "kind": kind(root),
        "processor": _short(processor(root)),
        "cores": cores(),
        "architecture": platform.machine(),
        "memory": memory(root),
        "system": {
            # a container sees the release of its image, not the machine's
            "os": _short(_release(root)) if DESK else None,
            "kernel": _short(f"{platform.system()} {platform.release()} {platform.version()}"),
            "in_container": not DESK,
        },
        "governor": governor(root),
        "megahertz": {"min": _megahertz(root, "cpuinfo_min_freq"), "max": _megahertz(root, "cpuinfo_max_freq")},
    }


def kind(root: Path = Path("/")) -> str:
    """Whether times here are a machine's own."""
    with suppress(OSError):  # qemu hides itself from /proc/self, but not from this name of the same folder
        program = str((root / "proc/thread-self/exe").readlink())
        if any(name in program for name in EMULATORS):
            return EMULATED
    told = _text(root / "proc/cpuinfo")
    if platform.machine() not in X86 and "vendor_id" in told:  # an older qemu shows the processor of the PC
        return EMULATED
    named = "".join(_text(root / "sys/class/dmi/id" / name) for name in ("sys_vendor", "product_name"))
    virtual = re.search(r"^flags\s*:.*\bhypervisor\b", told, re.MULTILINE) or VIRTUAL_BOARD.search(named)
    return VIRTUAL if virtual else HARDWARE


def processor(root: Path = Path("/")) -> str | None:
    told = _text(root / "proc/cpuinfo")
    if named := re.search(r"^model name\s*: (.+)$", told, re.MULTILINE):
        return named[1]
    part = re.search(r"^CPU part\s*: (0x[0-9a-f]+)$", told, re.MULTILINE)
    return ARM_PARTS.get(part[1], f"CPU part {part[1]}") if part else None


def memory(root: Path = Path("/")) -> int | None:
    """Bytes in all."""
    total = re.search(r"^MemTotal:\s+(\d+) kB$", _text(root / "proc/meminfo"), re.MULTILINE)
    return int(total[1]) * 1024 if total else None


def governor(root: Path = Path("/")) -> str | None:
    """What sets the processor's clock: `ondemand`, `performance`, …"""
    return _text(root / CLOCK / "scaling_governor").strip()[:LONGEST] or None


def clock(root: Path = Path("/")) -> int | None:
    """The processor's clock now, in MHz."""
    return _megahertz(root, "scaling_cur_freq")


def load() -> float | None:
    """How many programs wanted a processor in the last minute, on average."""
    with suppress(OSError):
        return round(os.getloadavg()[0], 2)
    return None


def _megahertz(root: Path, name: str) -> int | None:
    text = _text(root / CLOCK / name).strip()
    return int(text) // 1000 if text.isdigit() else None


def _release(root: Path) -> str | None:
    named = re.search(r'^PRETTY_NAME="?([^"\n]+)"?$', _text(root / "etc/os-release"), re.MULTILINE)
    return named[1] if named else None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _short(text: str | None) -> str | None:
    """A text that fits into one line of a table."""
    return "".join(each for each in text if each.isprintable())[:LONGEST].strip() or None if text else None
