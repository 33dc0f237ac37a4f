"""`bench`: turns, figures, what makes them doubtful, and what is left of a measurement that is stopped."""

import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from PIL import Image

from litekiln_pi import bench, device, machine
from litekiln_pi.bench import ROUNDS, Bench, _throttling, camera_frame, in_words
from litekiln_pi.doubts import doubts
from litekiln_pi.errors import BadBundle, SelftestFailed
from litekiln_pi.main import main
from tests.pi.fakes import FakeBundle, FakeModel, scene

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "device.schema.json"


class _Clock:
    """A clock that only the model's parts advance."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class _Model(FakeModel):
    def __init__(self, clock: _Clock, seconds: float) -> None:
        super().__init__()
        self._clock, self._takes = clock, seconds

    def prepare_quickly(self, picture: Image.Image) -> Any:
        self._clock.now += 0.002
        return ()

    def compute(self, prepared: Any) -> None:
        self._clock.now += self._takes

    def read(self, prepared: Any) -> Any:
        self._clock.now += 0.001
        return (), (), ()


class _Bundle(FakeBundle):
    """A model that takes a given time with each number of threads; `opened` says which were opened."""

    def __init__(self, folder: Path, seconds: dict[int, float], clock: _Clock) -> None:
        self.folder, self.opened, self._seconds, self._clock = folder, list[int](), seconds, clock
        self.at_opening: Callable[[], None] = lambda: None

    def open(self, threads: int) -> FakeModel:
        self.opened.append(threads)
        self.at_opening()
        return _Model(self._clock, self._seconds[threads])


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Bundle:
    scene(64, 48).save(tmp_path / "0.png")
    (tmp_path / "selftest.json").write_text('{"picture": "0.png"}')
    (tmp_path / "detect.tflite").write_bytes(b"TFL3")
    monkeypatch.setattr(machine, "cores", lambda: 3)
    monkeypatch.setattr(device, "load", lambda: 0.1)
    monkeypatch.setattr(device, "kind", lambda _: "hardware")
    monkeypatch.setattr(bench, "selftest", lambda _: {})
    return _Bundle(tmp_path, {1: 0.02, 2: 0.01, 3: 0.008}, _Clock())


def _bench(bundle: _Bundle, seconds: float = 1.0) -> Bench:
    given: Any = bundle
    return Bench(given, seconds, lambda _: None, bundle._clock)


def test_numbers_of_threads_take_turns_in_changing_order(bundle: _Bundle) -> None:
    _bench(bundle).run()
    assert bundle.opened == [1, 2, 3, 3, 2, 1, 1, 2, 3, 3, 2, 1, 1, 2, 3]


def test_the_document_has_a_frames_whole_way_and_is_valid(bundle: _Bundle) -> None:
    measuring = _bench(bundle)
    measuring.run()
    told = measuring.document()
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(told)
    assert told["file"] == {"sha256": hashlib.sha256(b"TFL3").hexdigest(), "size": 4}
    assert (told["complete"], told["rounds"], told["doubts"]) == (True, ROUNDS, [])
    first = told["threads"][0]
    assert first["inference"] == {"median": 20.0, "p95": 20.0, "min": 20.0, "rounds": [20.0] * ROUNDS}
    assert first["preparation"]["median"] == 2.0
    assert first["frame"]["median"] == 23.0
    assert first["runs"] >= ROUNDS * bench.LEAST_RUNS
    assert [each["threads"] for each in told["threads"]] == [1, 2, 3]


def test_people_get_a_table(bundle: _Bundle) -> None:
    measuring = _bench(bundle)
    measuring.run()
    told = measuring.document()
    told["device"]["board"] = "Raspberry Pi 4 Model B Rev 1.4"
    lines = in_words({**told, "doubts": ["it was 82 °C hot"]}).splitlines()
    assert lines[0].startswith("fake int8 (")
    assert ") on Raspberry Pi 4 Model B Rev 1.4, " in lines[0]
    times = ["20.0", "ms"] * 3 + ["23.0", "ms"] * 3
    assert lines[2].split() == ["1", *times, str(told["threads"][0]["runs"])]
    assert len({len(line) for line in lines[1:5]}) == 1
    assert lines[-1] == "! it was 82 °C hot"


def test_stopped_it_gives_its_finished_rounds(
    bundle: _Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop() -> None:
        if len(bundle.opened) == 8:  # in the third round
            raise KeyboardInterrupt

    bundle.at_opening = stop
    monkeypatch.setattr("litekiln_pi.model.Bundle", lambda: bundle)
    monkeypatch.setattr(bench.Bench.__init__, "__defaults__", (bundle._clock,))
    assert main(["bench", "--json"]) == 130
    told = json.loads(capsys.readouterr().out)
    assert (told["complete"], told["rounds"]) == (False, 2)
    assert all(len(each["frame"]["rounds"]) == 2 for each in told["threads"])
    assert told["doubts"] == ["it was stopped after 2 rounds"]


@pytest.mark.parametrize(("ended_by", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_stopped_before_a_round_is_finished_nothing_is_measured(
    bundle: _Bundle,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ended_by: BaseException,
    code: int,
) -> None:
    def stop() -> None:
        raise ended_by

    bundle.at_opening = stop
    monkeypatch.setattr("litekiln_pi.model.Bundle", lambda: bundle)
    assert main(["bench", "--json"]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.endswith("stopped before a round was finished: nothing is measured\n")


def test_a_machine_that_computes_wrongly_says_so_first(bundle: _Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise SelftestFailed("1 of 3 recorded detections are seen here", "the image is damaged")

    monkeypatch.setattr(bench, "selftest", fail)
    measuring = _bench(bundle)
    measuring.run()
    told = measuring.document()
    assert told["selftest"] == {"ok": False, "said": "1 of 3 recorded detections are seen here"}
    assert told["doubts"][0] == "this machine computes other results than were verified: 1 of 3 recorded detections are seen here"
    assert "selftest: FAILED" in in_words(told)


def test_without_a_picture_there_is_nothing_to_measure_with(bundle: _Bundle) -> None:
    (bundle.folder / "0.png").unlink()
    given: Any = bundle
    with pytest.raises(BadBundle, match="the bundle has no picture to measure with"):
        camera_frame(given)


@pytest.mark.parametrize("given", ["0", "-1", "nan", "many"])
def test_a_duration_that_can_not_be_meant(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "--seconds", given])
    assert f"{given!r} is not a number of seconds from 0.1 to 3600" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("told", "slowed"),
    [
        ([None, None], None),
        ([[], [], []], {"before": [], "during": []}),
        (
            [["it has been throttled"], ["throttled now", "it has been throttled"], ["it has been throttled"]],
            {"before": ["it has been throttled"], "during": ["throttled now"]},
        ),
        ([[], ["under-voltage has occurred"]], {"before": [], "during": ["under-voltage has occurred"]}),
        ([["throttled now"], ["throttled now"]], {"before": ["throttled now"], "during": ["throttled now"]}),
    ],
)
def test_what_slowed_it_meanwhile(told: list[list[str] | None], slowed: Any) -> None:
    assert _throttling(told) == slowed


GOOD: dict[str, Any] = {
    "selftest": {"ok": True, "said": ""},
    "device": {"kind": "hardware", "megahertz": {"min": 600, "max": 1500}},
    "complete": True,
    "rounds": 5,
    "conditions": {
        "load_before": 0.2,
        "temperature": {"before": 45.0, "after": 61.0, "highest": 62.0},
        "throttling": {"before": [], "during": []},
        "megahertz_seen": {"min": 1500, "max": 1500},
    },
    "threads": [{"inference": {"rounds": [20.0, 21.0, 20.5]}}],
}


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("device/kind", "emulated", "the processor is emulated: these times say nothing about a real one"),
        ("complete", False, "it was stopped after 5 rounds"),
        ("conditions/throttling", {"before": [], "during": ["throttled now"]}, "while it was measured: throttled now"),
        ("conditions/temperature/highest", 81.2, "it was 81 °C hot: a Pi slows down from 80 °C on, so cool it"),
        ("conditions/megahertz_seen/min", 1000, "the clock went down to 1000 of 1500 MHz"),
        ("conditions/load_before", 1.31, "other programs were busy before (load 1.3): stop them and measure again"),
        ("threads/0/inference/rounds", [20.0, 26.0], "the rounds differ by up to 30%: something else ran, or the clock changed"),
    ],
)
def test_what_makes_times_doubtful(place: str, value: Any, said: str) -> None:
    assert doubts(GOOD) == []
    told: Any = copy.deepcopy(GOOD)
    *path, last = place.split("/")
    part = told
    for name in path:
        part = part[int(name) if isinstance(part, list) else name]
    part[last] = value
    assert doubts(told) == [said]


@pytest.mark.parametrize("name", ["load_before", "temperature", "throttling", "megahertz_seen"])
def test_what_is_not_known_is_no_doubt(name: str) -> None:
    assert doubts({**GOOD, "conditions": {**GOOD["conditions"], name: None}}) == []
