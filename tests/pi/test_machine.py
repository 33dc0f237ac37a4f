"""The machine: temperature, throttling, board, and the number of threads that is chosen."""

from pathlib import Path
from typing import Any

import pytest

from litekiln_pi import machine
from litekiln_pi.machine import best_threads, board, temperature, throttling
from tests.pi.fakes import FakeBundle, FakeModel


def _says(root: Path, place: str, text: str) -> Path:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return root


def test_heat(tmp_path: Path) -> None:
    assert temperature(tmp_path) is None
    assert temperature(_says(tmp_path, "sys/class/thermal/thermal_zone0/temp", "48312\n")) == pytest.approx(48.312)
    assert temperature(_says(tmp_path, "sys/class/thermal/thermal_zone0/temp", "odd\n")) is None


@pytest.mark.parametrize(
    ("bits", "told"),
    [
        ("0\n", []),
        ("50005", ["under-voltage now", "throttled now", "under-voltage has occurred", "it has been throttled"]),
        ("80008", ["at its soft temperature limit now", "its soft temperature limit has been reached"]),
    ],
)
@pytest.mark.parametrize("firmware", ["soc/soc:firmware", "soc@107c000000/soc@107c000000:firmware"], ids=["to Pi 4", "Pi 5"])
def test_throttling(tmp_path: Path, firmware: str, bits: str, told: list[str]) -> None:
    found = throttling(_says(tmp_path, f"sys/devices/platform/{firmware}/get_throttled", bits))
    assert found is not None
    assert [words.partition(":")[0] for words in found] == told


def test_no_throttling_told(tmp_path: Path) -> None:
    assert throttling(tmp_path) is None
    assert throttling(_says(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", "?")) is None


def test_the_board(tmp_path: Path) -> None:
    assert board(tmp_path) == machine.platform.machine()
    assert board(_says(tmp_path, "proc/cpuinfo", "model name\t: Cortex-A72\nRevision\t: c03111\n")) == machine.platform.machine()
    in_a_container = "processor\t: 0\n\nRevision\t: c03111\nSerial\t\t: 1\nModel\t\t: Raspberry Pi 4 Model B Rev 1.1\n"
    assert board(_says(tmp_path, "proc/cpuinfo", in_a_container)) == "Raspberry Pi 4 Model B Rev 1.1"
    assert board(_says(tmp_path, "proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")) == "Raspberry Pi 4 Model B Rev 1.4"


class _Clock:
    """A clock that only a model's runs advance, so that other work on this machine can't change the result."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    monotonic = perf_counter


class _Timed(FakeModel):
    def __init__(self, clock: _Clock, seconds: float) -> None:
        super().__init__()
        self._clock, self._takes = clock, seconds

    def run(self, prepared: Any) -> Any:
        self._clock.now += self._takes


class _Bundle(FakeBundle):
    """A model with a given time for each number of threads."""

    def __init__(self, seconds: dict[int, float], clock: _Clock) -> None:
        self._seconds, self._clock = seconds, clock

    def open(self, threads: int) -> FakeModel:
        return _Timed(self._clock, self._seconds[threads])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    stands_still = _Clock()
    monkeypatch.setattr(machine, "time", stands_still)
    return stands_still


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({1: 0.02, 2: 0.01, 3: 0.006, 4: 0.004}, 4),
        ({1: 0.02, 2: 0.01, 3: 0.0099, 4: 0.0098}, 2),  # hardly faster, and the rest needs the cores too
        ({1: 0.004, 2: 0.01, 3: 0.01, 4: 0.01}, 1),
    ],
)
def test_the_fewest_threads_that_are_about_the_fastest(
    monkeypatch: pytest.MonkeyPatch, clock: _Clock, seconds: dict[int, float], best: int
) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 8)
    said: list[str] = []
    bundle: Any = _Bundle(seconds, clock)
    assert best_threads(bundle, said.append) == best
    assert said[0].startswith(f"threads: {best} (1: ")


def test_one_core_is_left_to_the_preparation(monkeypatch: pytest.MonkeyPatch, clock: _Clock) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 2)
    bundle: Any = _Bundle({1: 0.001}, clock)
    assert best_threads(bundle) == 1
