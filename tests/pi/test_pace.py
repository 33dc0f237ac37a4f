"""At most so many frames a second, and none while nobody asks."""

import threading
import time

import pytest

from litekiln_pi import pace
from litekiln_pi.frames import Seen
from litekiln_pi.pace import Pace
from litekiln_pi.pipeline import Pipeline
from tests.pi.fakes import FakeModel, FakeSource, wait_for
from tests.pi.serving import running


def test_no_more_frames_a_second_than_asked_for() -> None:
    """Counted by the times at which frames were taken, so a busy machine changes nothing."""
    seen: list[Seen] = []
    pipeline = Pipeline(FakeModel(), FakeSource(rate=200), pace=Pace(10))
    pipeline.listen(seen.append)
    pipeline.start()
    wait_for(lambda: len(seen) >= 8)
    pipeline.stop()
    pipeline.join(5)
    assert seen[7].time - seen[0].time > 7 / 10 - 0.05  # a frame may have come up to one of the source's intervals earlier
    assert pipeline.counters.captured > 4 * len(seen)


def test_a_wait_ends_with_the_loop() -> None:
    stopping, slow = threading.Event(), Pace(0.001)
    slow.wait(stopping)
    stopping.set()
    started = time.monotonic()
    slow.wait(stopping)
    assert time.monotonic() - started < 100


def test_who_asks_is_remembered_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    kept = Pace(rests=True)
    assert kept.resting
    with kept.watching() as rested:
        assert rested
        assert not kept.resting
        now += 1000
        with kept.watching() as again:
            assert not again
        now += 1000
        assert not kept.resting
    now += pace.LINGER_SECONDS - 0.1
    assert not kept.resting
    now += 0.2
    assert kept.resting
    assert not Pace().resting


def test_a_file_never_rests() -> None:
    source = FakeSource(count=5, ends=True)
    source.live = False
    pipeline = Pipeline(FakeModel(), source, pace=Pace(rests=True))
    pipeline.start()
    pipeline.join(10)
    assert (pipeline.counters.looked_at, pipeline.resting) == (5, False)


def test_with_nobody_watching_the_loop_rests_and_wakes_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "LINGER_SECONDS", 0.0)
    model = FakeModel()
    with running(model=model, wait=False, pace=Pace(rests=True)) as told:
        wait_for(lambda: told.pipeline.counters.captured > 10)
        assert (model.runs, told.pipeline.counters.looked_at, told.pipeline.dropped) == (0, 0, 0)
        state = told.ask("/api/state").data
        assert (state["resting"], state["problem"]) == (True, "")
        assert told.ask("/healthz").status == 200
        for path, method in (("/api/detections", "GET"), ("/api/frame", "GET"), ("/api/snapshot", "POST")):
            wait_for(lambda: told.pipeline.resting and told.pipeline.counters.captured > _latest(told.pipeline) + 5)
            captured = told.pipeline.counters.captured
            answer = told.ask(path, method)
            number = answer.data["frame"] if path == "/api/detections" else _number(answer.headers["x-litekiln-frame"])
            assert answer.status == 200
            assert captured < number <= captured + 20  # a frame that came after the question, and soon
        assert b"litekiln_resting 1.0" in told.ask("/metrics").body
        assert model.runs < 20


def _latest(pipeline: Pipeline) -> int:
    """The newest frame's number: what was on its way when the rest began has long arrived when five more were dropped."""
    return pipeline.latest.number if pipeline.latest else 0


def _number(header: str | None) -> int:
    import json

    return int(json.loads(header or "{}")["frame"])
