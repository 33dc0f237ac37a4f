"""From frames to events and counts."""

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from litekiln_pi.events.events import MOST_KEPT, Event, Watch
from litekiln_pi.events.settings import SettingsFile
from litekiln_pi.frames import Detection, Seen, Shot

LABELS = ["person", "cat"]
NOW = 1_790_000_000.0
DOOR = {"name": "door", "from": [0.5, 0.0], "to": [0.5, 1.0]}  # in is to the left
SOFA = {"name": "sofa", "points": [[0.6, 0.0], [1.0, 0.0], [1.0, 1.0], [0.6, 1.0]]}


def a_watch(tmp_path: Path, labels: list[str] = LABELS, **settings: Any) -> Watch:
    path = tmp_path / "events.json"
    path.write_text(json.dumps({"seen_seconds": 0, "gone_seconds": 1.0, **settings}))
    return Watch(SettingsFile(path, labels), labels, 0.5)


def a_frame(number: int, *things: tuple[str, float] | tuple[str, float, float]) -> Seen:
    """Things by their name, the share of the width where their middle is, and maybe their score."""
    found = []
    for name, x, *score in things:
        box = (x * 640 - 40, 200.0, x * 640 + 40, 280.0)
        found.append(Detection(name, LABELS.index(name), score[0] if score else 0.9, box))
    took = {"decode": 1.0, "inference": 1.0, "latency": 2.0}
    return Seen(number, NOW + number, Shot(), 640, 480, tuple(found), took)


def run(watch: Watch, *frames: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """The events: at which time, what, to which thing, where."""
    told: list[tuple[Any, ...]] = []
    clock = 0.0

    def note(event: Event) -> None:
        told.append((clock, event.kind, event.track, *filter(None, (event.area, event.direction))))

    watch.listen(note)
    for number, (moment, *things) in enumerate(frames):
        clock = moment
        watch.see(a_frame(number, *things), moment)
    return told


def test_a_thing_appears_and_is_gone(tmp_path: Path) -> None:
    watch = a_watch(tmp_path, seen_seconds=0.5)
    told = run(watch, (0.0, ("cat", 0.3)), (0.3, ("cat", 0.3)), (0.6, ("cat", 0.3)), (1.0,), (1.5,), (1.7,))
    assert told == [(0.6, "appeared", 1), (1.7, "gone", 1)]
    assert watch.counts()["appeared"] == {"person": 0, "cat": 1}
    assert watch.counts()["now"] == {"person": 0, "cat": 0}


def test_an_event_of_a_machine_with_wrong_results_says_so(tmp_path: Path) -> None:
    """Whoever gets it by webhook or MQTT sees no page."""
    told = []
    for wrong in (False, True):
        watch = Watch(SettingsFile(tmp_path / "none.json", LABELS), LABELS, 0.5, wrong=wrong)
        watch.listen(lambda event: told.append(event.as_data().get("wrong_results")))
        for moment in (0.0, 1.0):
            watch.see(a_frame(1, ("cat", 0.3)), moment)
    assert told == [None, True]


def test_an_event_has_a_time_a_place_and_a_score(tmp_path: Path) -> None:
    watch = a_watch(tmp_path)
    run(watch, (0.0, ("cat", 0.25)))
    (event,) = watch.after(0)
    assert event.as_data() == {
        "id": 1, "time": NOW, "event": "appeared", "name": "cat", "track": 1, "score": 0.9,
        "box": [0.1875, 0.4167, 0.3125, 0.5833], "point": [0.25, 0.5],
    }  # fmt: skip


def test_crossings_by_direction(tmp_path: Path) -> None:
    watch = a_watch(tmp_path, lines=[DOOR])
    frames = [(place / 10, ("person", 0.3 + place * 0.05), ("cat", 0.7 - place * 0.05)) for place in range(9)]
    told = [each for each in run(watch, *frames) if each[1] == "crossed"]
    assert told == [(0.5, "crossed", 1, "door", "out"), (0.5, "crossed", 2, "door", "in")]
    assert watch.counts()["lines"] == {"door": {"in": {"cat": 1}, "out": {"person": 1}}}
    event = next(each for each in watch.after(0) if each.kind == "crossed")
    assert (event.as_data()["line"], event.as_data()["direction"]) == ("door", "out")


def test_a_thing_that_trembles_on_a_line_crosses_it_once(tmp_path: Path) -> None:
    watch = a_watch(tmp_path, lines=[DOOR])
    places = [0.4, 0.46, 0.495, 0.505, 0.498, 0.503, 0.497, 0.52, 0.505, 0.495, 0.53, 0.6]
    told = run(watch, *((place / 10, ("person", x)) for place, x in enumerate(places)))
    assert [each[1:] for each in told] == [("appeared", 1), ("crossed", 1, "door", "out")]


def test_a_crossing_counts_once_the_thing_does(tmp_path: Path) -> None:
    watch = a_watch(tmp_path, lines=[DOOR], seen_seconds=0.5)
    told = run(watch, *((place / 10, ("person", 0.42 + place * 0.05)) for place in range(7)))
    assert told == [(0.5, "appeared", 1), (0.5, "crossed", 1, "door", "out")]
    fast = a_watch(tmp_path, lines=[DOOR], seen_seconds=0.5)
    assert run(fast, *((place / 10, ("person", 0.42 + place * 0.05)) for place in range(3)), (2.0,)) == []
    assert fast.counts()["lines"] == {"door": {"in": {}, "out": {}}}


def test_lines_and_zones_count_only_their_names(tmp_path: Path) -> None:
    watch = a_watch(tmp_path, lines=[{**DOOR, "names": ["cat"]}], zones=[{**SOFA, "names": ["cat"]}])
    told = run(watch, *((place / 10, ("person", 0.3 + place * 0.05)) for place in range(10)))
    assert [each[1:] for each in told] == [("appeared", 1)]


def test_a_zone_is_entered_and_left_after_the_hold_time(tmp_path: Path) -> None:
    watch = a_watch(tmp_path, zones=[SOFA], seen_seconds=0.25)
    places = [0.5, 0.55, 0.58, 0.61, 0.59, 0.62, 0.65, 0.7, 0.7, 0.65, 0.59, 0.61, 0.59, 0.55, 0.5]
    told = run(watch, *((place / 8, ("cat", x)) for place, x in enumerate(places)))
    assert told == [(0.25, "appeared", 1), (0.875, "entered", 1, "sofa"), (1.75, "left", 1, "sofa")]


def test_what_is_gone_has_left_its_zone(tmp_path: Path) -> None:
    watch = a_watch(tmp_path, zones=[SOFA])
    told = run(watch, (0.0, ("cat", 0.8), ("person", 0.9)))
    assert [each[1:] for each in told] == [("appeared", 1), ("appeared", 2), ("entered", 1, "sofa"), ("entered", 2, "sofa")]
    assert watch.counts()["zones"] == {"sofa": {"cat": 1, "person": 1}}
    told = run(watch, (0.5, ("person", 0.9)), (1.2, ("person", 0.9)))
    assert [each[1:] for each in told] == [("left", 1, "sofa"), ("gone", 1)]
    assert watch.counts()["zones"] == {"sofa": {"person": 1}}


def test_thresholds_by_name(tmp_path: Path) -> None:
    watch = a_watch(tmp_path, thresholds={"person": 0.8, "cat": 0.2})
    run(watch, (0.0, ("person", 0.2, 0.7), ("cat", 0.5, 0.3), ("person", 0.8, 0.85)))
    assert watch.counts()["now"] == {"person": 1, "cat": 1}
    other = a_watch(tmp_path)
    run(other, (0.0, ("person", 0.2, 0.45), ("cat", 0.5, 0.55)))
    assert other.counts()["now"] == {"person": 0, "cat": 1}


def test_only_the_names_of_the_settings_are_followed(tmp_path: Path) -> None:
    watch = a_watch(tmp_path, names=["cat"])
    run(watch, (0.0, ("person", 0.2), ("cat", 0.5)))
    assert watch.counts()["now"] == {"cat": 1}


def test_of_many_names_only_those_that_were_seen_have_a_count(tmp_path: Path) -> None:
    watch = a_watch(tmp_path, labels=[*LABELS, *(f"thing {place}" for place in range(20))])
    assert watch.counts()["now"] == {}
    run(watch, (0.0, ("cat", 0.5)), (9.0,))
    assert watch.counts()["now"] == {"cat": 0}


def test_the_bottom_of_a_box_can_be_compared(tmp_path: Path) -> None:
    floor = {"name": "floor", "points": [[0, 0.55], [1, 0.55], [1, 1], [0, 1]]}  # boxes are from 0.42 to 0.58
    for point, told in (("middle", {}), ("bottom", {"cat": 1})):
        watch = a_watch(tmp_path, zones=[floor], point=point)
        run(watch, (0.0, ("cat", 0.5)))
        assert watch.counts()["zones"] == {"floor": told}


def test_changed_settings_keep_tracks_and_the_counts_of_lines_that_stay(tmp_path: Path) -> None:
    watch = a_watch(tmp_path, lines=[DOOR])
    run(watch, *((place / 10, ("person", 0.3 + place * 0.05)) for place in range(9)))
    other = {"name": "gate", "from": [0.2, 0.0], "to": [0.2, 1.0]}
    assert watch.change(json.dumps({"seen_seconds": 0, "lines": [DOOR, other]}).encode()) == ""
    assert watch.counts()["lines"] == {"door": {"in": {}, "out": {"person": 1}}, "gate": {"in": {}, "out": {}}}
    assert watch.counts()["now"]["person"] == 1
    moved = {**DOOR, "from": [0.4, 0.0]}
    watch.change(json.dumps({"lines": [moved]}).encode())
    assert watch.counts()["lines"] == {"door": {"in": {}, "out": {}}}


def test_only_the_latest_events_are_kept(tmp_path: Path) -> None:
    watch = a_watch(tmp_path, gone_seconds=0)
    run(watch, *((float(place), *([("cat", 0.5)] if place % 2 else [])) for place in range(MOST_KEPT * 2)))
    assert watch.latest > MOST_KEPT
    numbers = [each.number for each in watch.after(0)]
    assert numbers == list(range(watch.latest - MOST_KEPT + 1, watch.latest + 1))
    assert [each.number for each in watch.after(watch.latest - 2)] == numbers[-2:]
    assert watch.after(watch.latest) == []
    assert len(watch.after(watch.latest + 1)) == MOST_KEPT  # a number from before a restart


def test_a_clock_that_goes_back_does_no_harm(tmp_path: Path) -> None:
    watch = a_watch(tmp_path)
    told = run(watch, (5.0, ("cat", 0.5)), (4.0, ("cat", 0.5)), (5.5, ("cat", 0.5)))
    assert told == [(5.0, "appeared", 1)]


def test_the_time_of_a_frame_is_when_it_arrived(tmp_path: Path) -> None:
    watch = a_watch(tmp_path, seen_seconds=0.5)
    for clock in (10.0, 10.4, 10.6):
        watch.see(replace(a_frame(1, ("cat", 0.5)), clock=clock))
        assert watch.latest == (clock > 10.5)


def test_a_slow_disk_holds_up_no_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, writing, written = a_watch(tmp_path), threading.Event(), threading.Event()

    def slow(_: object) -> str:
        writing.set()
        assert written.wait(30)
        return ""

    monkeypatch.setattr(SettingsFile, "keep", slow)
    thread = threading.Thread(target=watch.change, args=(b'{"seen_seconds": 0, "names": ["cat"]}',))
    thread.start()
    assert writing.wait(30)
    told = run(watch, (1.0, ("cat", 0.5), ("person", 0.2)))  # it would wait for the disk, which waits for the end of this test
    written.set()
    thread.join(30)
    assert told == [(1.0, "appeared", 1)]
