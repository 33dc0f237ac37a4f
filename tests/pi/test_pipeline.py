"""The loop: the newest frame wins, no queue builds up, and a source's errors do no harm."""

import re
import statistics
import time
from collections.abc import Iterator

import pytest

from litekiln_pi.frames import Newest, Seen, Shot
from litekiln_pi.pipeline import Pipeline
from tests.pi.fakes import FakeModel, FakeSource, scene, wait_for


class _Files:
    """A source whose frames must all be looked at."""

    name, live = "files", False

    def __init__(self, *shots: Shot) -> None:
        self._shots = shots

    def shots(self):  # type: ignore[no-untyped-def]
        yield from self._shots

    def stop(self) -> None:
        pass


def _looked_at(*, seconds: float, rate: int) -> tuple[list[Seen], Pipeline]:
    """At least eight frames of a live source, with a network that takes `seconds`."""
    seen: list[Seen] = []
    pipeline = Pipeline(FakeModel(seconds=seconds), FakeSource(rate=rate))
    pipeline.listen(seen.append)
    pipeline.start()
    wait_for(lambda: len(seen) >= 8)
    pipeline.stop()
    pipeline.join(5)
    return seen, pipeline


def test_the_newest_frame_wins_and_nothing_queues_up() -> None:
    seen, pipeline = _looked_at(seconds=0.1, rate=100)
    assert pipeline.dropped > 20
    assert [each.number for each in seen] == sorted({each.number for each in seen})
    assert seen[-1].detections[0].name == "red"


def test_a_frame_is_not_old_when_it_is_looked_at() -> None:
    """It arrived just before the network was free, not when the network began with the frame before."""
    seen, _ = _looked_at(seconds=0.3, rate=50)
    waited = [each.milliseconds["latency"] / each.milliseconds["inference"] for each in seen[2:]]
    assert statistics.median(waited) < 1.5, waited


def test_of_files_each_is_looked_at_in_order() -> None:
    shots = [Shot(picture=scene(green=(10 * place, 0, 10 * place + 50, 60)), name=str(place)) for place in range(12)]
    seen: list[Seen] = []
    pipeline = Pipeline(FakeModel(seconds=0.01), _Files(*shots))
    pipeline.listen(seen.append)
    pipeline.start()
    pipeline.join(20)
    assert [each.shot.name for each in seen] == [str(place) for place in range(12)]
    assert [round(each.detections[0].box[0]) for each in seen] == [10 * place for place in range(12)]
    assert pipeline.dropped == 0


def test_a_source_that_disappears_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    source = FakeSource()
    pipeline = Pipeline(FakeModel(), source)
    pipeline.start()
    wait_for(lambda: pipeline.counters.looked_at > 3)
    source.gone = "no /dev/video0 here"
    wait_for(lambda: pipeline.problem)
    assert pipeline.alive
    assert pipeline.problem == "no /dev/video0 here"
    time.sleep(1.2)
    before, source.gone = pipeline.counters.looked_at, ""
    wait_for(lambda: pipeline.counters.looked_at > before + 3)
    assert pipeline.problem == ""
    pipeline.stop()
    pipeline.join(5)
    told = capsys.readouterr().err.splitlines()
    assert told == ["no /dev/video0 here", "fake: frames arrive again"]


def test_a_camera_that_breaks_its_reader_is_tried_again_and_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    source = FakeSource()
    well, broken = source.shots, [ValueError("geheim"), ValueError("geheim")]

    def shots() -> Iterator[Shot]:
        if broken:
            raise broken.pop()
        yield from well()

    source.shots = shots  # type: ignore[method-assign]
    pipeline = Pipeline(FakeModel(), source)
    pipeline.start()
    wait_for(lambda: pipeline.problem)
    assert pipeline.alive
    wait_for(lambda: pipeline.counters.looked_at > 3)
    assert (pipeline.counters.lost, pipeline.alive) == (1, True)
    pipeline.stop()
    pipeline.join(5)
    told = capsys.readouterr().err.splitlines()
    assert re.sub("line .*", "line", told[0]) == "fake: it can't be read: ValueError in test_pipeline.py, line"
    assert told[1:] == ["fake: frames arrive again"]


def test_damaged_frames_are_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    good = Shot(picture=scene(blue=(0, 0, 50, 50)))
    pipeline = Pipeline(FakeModel(), _Files(Shot(jpeg=b"\xff\xd8\xff no", name="bad.jpg"), good))
    pipeline.start()
    pipeline.join(10)
    assert (pipeline.counters.damaged, pipeline.counters.looked_at) == (1, 1)
    assert "bad.jpg: frame 1: " in capsys.readouterr().err


def test_a_bug_in_a_part_is_told_and_fails_the_health_check(capsys: pytest.CaptureFixture[str]) -> None:
    model = FakeModel()
    model.run = lambda _: 1 / 0  # type: ignore[method-assign, assignment]
    pipeline = Pipeline(model, FakeSource())
    pipeline.start()
    wait_for(lambda: pipeline.failure)
    assert not pipeline.alive
    assert "division by zero" in pipeline.failure
    pipeline.stop()
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_how_long_a_frame_is_current_follows_the_camera() -> None:
    """A camera of a frame a minute is no broken one, and one long gap makes nothing slow."""
    pipeline = Pipeline(FakeModel(), FakeSource())
    assert pipeline.current_for == 5
    pipeline._gaps.extend((20.0, 20.0, 600.0, 20.0))
    assert pipeline.current_for == 60
    pipeline.latest = Seen(1, 0.0, Shot(), 1, 1, (), {"latency": 30_000.0})
    assert pipeline.current_for == 90


def test_a_file_that_ended_is_told() -> None:
    pipeline = Pipeline(FakeModel(), _Files(Shot(picture=scene())))
    pipeline.start()
    pipeline.join(10)
    assert (pipeline.ended, pipeline.failure) == (True, "")
    stopped = Pipeline(FakeModel(), FakeSource())
    stopped.start()
    stopped.stop()
    stopped.join(10)
    assert not stopped.ended


def test_while_paused_frames_are_dropped_and_the_source_is_kept() -> None:
    pipeline = Pipeline(FakeModel(), FakeSource())
    pipeline.start()
    wait_for(lambda: pipeline.counters.looked_at > 3)
    pipeline.paused = True
    time.sleep(0.3)
    before, captured = pipeline.counters.looked_at, pipeline.counters.captured
    time.sleep(0.3)
    assert pipeline.counters.looked_at == before
    assert pipeline.counters.captured > captured
    pipeline.paused = False
    wait_for(lambda: pipeline.counters.looked_at > before)
    pipeline.stop()
    pipeline.join(5)


def test_while_paused_files_wait_and_none_is_left_out() -> None:
    shots = [Shot(picture=scene(green=(10, 10, 50, 50)), name=str(place)) for place in range(12)]
    seen: list[Seen] = []
    pipeline = Pipeline(FakeModel(seconds=0.01), _Files(*shots))
    pipeline.listen(seen.append)
    pipeline.paused = True
    pipeline.start()
    wait_for(lambda: pipeline.counters.captured)
    time.sleep(0.3)
    assert (len(seen), pipeline.counters.captured) == (0, 1)
    assert pipeline.alive
    pipeline.paused = False
    pipeline.join(20)
    assert [each.shot.name for each in seen] == [str(place) for place in range(12)]


def test_a_pause_of_files_does_not_outlast_a_stop() -> None:
    pipeline = Pipeline(FakeModel(), _Files(Shot(picture=scene())))
    pipeline.paused = True
    pipeline.start()
    wait_for(lambda: pipeline.counters.captured)
    pipeline.stop()
    started = time.monotonic()
    pipeline.join(20)
    assert time.monotonic() - started < 10
    assert pipeline.counters.looked_at == 0


def test_a_place_for_the_newest() -> None:
    place: Newest[int] = Newest()
    assert place.take(timeout=0.01) is None
    place.put(1)
    place.put(2)
    assert (place.take(), place.dropped) == (2, 1)
    place.put(3)
    place.close()
    assert place.take() == 3
    assert place.take() is None
    assert not place.wait_until_free()
