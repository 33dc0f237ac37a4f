"""This machine: its processor, its temperature, and whether a Pi throttles itself."""

import os
import platform
import re
import statistics
import time
from contextlib import suppress
from pathlib import Path

from litekiln_pi.model import Bundle, Model
from litekiln_pi.saying import Say

MOST_THREADS = 4  # every Pi has four cores; more threads never helped these models
TRIED_SECONDS, TRIED_RUNS = 0.4, 40  # for each number of threads
WORTH = 0.95  # more threads must cut the time to this share: they take cores from the rest
BOARD = re.compile(r"^Model\s*: (.+)$", re.MULTILINE)
# The bits of `vcgencmd get_throttled`; bits 16 and higher are about the time since the Pi started.
THROTTLING = {
    0: "under-voltage now: use a stronger power supply",
    1: "its frequency is capped now",
    2: "throttled now",
    3: "at its soft temperature limit now: cool it",
    16: "under-voltage has occurred",
    17: "its frequency has been capped",
    18: "it has been throttled",
    19: "its soft temperature limit has been reached",
}
SLOWED_NOW = tuple(words for bit, words in THROTTLING.items() if bit < 16)


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def temperature(root: Path = Path("/")) -> float | None:
    """Degrees Celsius; None where the kernel doesn't say."""
    try:
        return int((root / "sys/class/thermal/thermal_zone0/temp").read_text()) / 1000
    except (OSError, ValueError):
        return None


def throttling(root: Path = Path("/")) -> list[str] | None:
    """What slows the Pi down, or did since its start; None where the kernel doesn't say, as on other machines."""
    for path in sorted((root / "sys/devices/platform").glob("soc*/*firmware/get_throttled")):  # a Pi 5's soc has an address
        try:
            bits = int(path.read_text().strip(), 16)
        except (OSError, ValueError):
            return None
        return [words for bit, words in THROTTLING.items() if bits & 1 << bit]
    return None


def board(root: Path = Path("/")) -> str:
    """`Raspberry Pi 4 Model B Rev 1.4`, or the kind of processor where the kernel doesn't say."""
    with suppress(OSError):
        return (root / "proc/device-tree/model").read_text().rstrip("\0\n")
    with suppress(OSError):  # Docker hides the above from a container
        found = BOARD.search((root / "proc/cpuinfo").read_text(errors="replace"))
        if found:
            return found[1]
    return platform.machine()


def _runs(model: Model) -> list[float]:
    """Milliseconds of some inferences, while nothing else runs. `bench` measures better, and takes longer."""
    prepared = model.blank()
    model.run(prepared)  # the first run prepares the operators
    times: list[float] = []
    end = time.monotonic() + TRIED_SECONDS
    while len(times) < 3 or (time.monotonic() < end and len(times) < TRIED_RUNS):
        started = time.perf_counter()
        model.run(prepared)
        times.append((time.perf_counter() - started) * 1000)
    return times


def best_threads(bundle: Bundle, say: Say | None = None) -> int:
    """The fastest number of threads here, by a short measurement; the smallest of those that are about as fast.

    One core stays free to prepare the next frame: otherwise each frame would wait for that.
    """
    counts = range(1, max(1, min(cores() - 1, MOST_THREADS)) + 1)
    timed = {count: statistics.median(_runs(bundle.open(count))) for count in counts}
    best = 1
    for count, median in timed.items():
        if median < timed[best] * WORTH:
            best = count
    if say:
        say(f"threads: {best} ({', '.join(f'{count}: {median:.1f} ms' for count, median in timed.items())})")
    return best
