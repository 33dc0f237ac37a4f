"""Which kind of processor this is. Numbers that can't be computed the same everywhere belong to the kind that computed them."""

from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
NAMES = ("vendor_id", "cpu family", "model", "CPU implementer", "CPU part")  # the last two: of arm64


@cache
def kind() -> str:
    """Its architecture, maker and model. Two of the same kind have the same instructions and caches."""
    import platform  # few builds come here

    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}".strip()
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return " ".join([platform.machine(), *(told[name] for name in NAMES if name in told)])
