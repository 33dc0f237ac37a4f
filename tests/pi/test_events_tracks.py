"""The tracker, on a clip whose tracks are known: crossings, gaps, two names, and frames that come at varying times."""

from collections.abc import Callable, Iterator

import pytest

from litekiln_pi.events.tracks import Box, Sight, Tracker, overlap

Way = Callable[[float], tuple[float, float] | None]  # a thing's middle at a time; None while nothing sees it
Frame = tuple[float, list[tuple[str, Sight]]]  # a time, and what is seen, each with the true thing's name


def _across(top: float, speed: float, start: float = 0.0, hidden: tuple[float, float] = (0, 0)) -> Way:
    """From the left to the right, or the other way."""

    def way(seconds: float) -> tuple[float, float] | None:
        x = speed * (seconds - start) if speed > 0 else 1 + speed * (seconds - start)
        return (x, top) if 0.05 <= x <= 0.95 and not hidden[0] < seconds < hidden[1] else None

    return way


# Two people who meet in the middle, a third who goes behind something for 0.8 s, a dog that runs beside one of them
CLIP: dict[str, tuple[str, Way]] = {
    "going right": ("person", _across(0.40, 0.2)),
    "going left": ("person", _across(0.44, -0.2)),
    "hidden": ("person", _across(0.75, 0.15, hidden=(2.0, 2.8))),
    "dog": ("dog", _across(0.42, 0.2)),
    "late": ("person", _across(0.15, 0.4, start=2.0)),
}


def _sight(name: str, middle: tuple[float, float], wobble: float) -> Sight:
    x, y = middle
    box: Box = (x - 0.05 + wobble, y - 0.12 - wobble, x + 0.05 + wobble, y + 0.12 + wobble)
    return Sight(name, 0.8, box)


def _frames(times: Iterator[float] | list[float], merged: bool = True) -> Iterator[Frame]:
    """The clip. Each box is a little wrong, and while two people overlap much, a detector sees only one of them."""
    for number, clock in enumerate(times):
        seen: list[tuple[str, Sight]] = []
        for place, (true, (name, way)) in enumerate(CLIP.items()):
            middle = way(clock)
            if middle is None:
                continue
            sight = _sight(name, middle, 0.004 * ((number * 7 + place * 3) % 5 - 2))
            if not merged or all(each.name != name or abs(each.box[0] - sight.box[0]) > 0.03 for _, each in seen):
                seen.append((true, sight))
        yield clock, seen


def _steady(rate: float, seconds: float = 6.0) -> list[float]:
    return [place / rate for place in range(int(seconds * rate))]


def _varying() -> list[float]:
    """Frame times as on a busy Pi: between 60 and 300 ms apart."""
    times, clock = [], 0.0
    while clock < 6:
        times.append(clock)
        clock += (0.06, 0.3, 0.1, 0.22, 0.08)[len(times) % 5]
    return times


def _judged(times: list[float], tracker: Tracker) -> dict[str, int]:
    """How often a thing changes its number, how often it has none, and how many numbers there are."""
    judged, numbers = {"switches": 0, "misses": 0, "tracks": 0, "seen": 0}, dict[str, int]()
    given: set[int] = set()
    for clock, seen in _frames(times):
        tracker.update(clock, [sight for _, sight in seen])
        for true, sight in seen:
            judged["seen"] += 1
            found = [each for each in tracker.counted if each.last == clock and each.box == sight.box]
            if not found:
                judged["misses"] += 1
                continue
            judged["switches"] += numbers.get(true, found[0].number) != found[0].number
            numbers[true] = found[0].number
            given.add(found[0].number)
    judged["tracks"] = len(given)
    return judged


@pytest.mark.parametrize("times", [_steady(30), _steady(10), _steady(5), _varying()], ids=["30/s", "10/s", "5/s", "varying"])
def test_on_a_known_clip_no_thing_changes_its_number(times: list[float]) -> None:
    judged = _judged(times, Tracker(gone_seconds=1.0))
    assert judged["seen"] > 80
    assert {name: judged[name] for name in ("switches", "misses", "tracks")} == {"switches": 0, "misses": 0, "tracks": len(CLIP)}


def test_what_is_gone_for_longer_than_it_may_be_is_another_thing() -> None:
    judged = _judged(_steady(10), Tracker(gone_seconds=0.5))
    assert (judged["switches"], judged["tracks"]) == (1, len(CLIP) + 1)  # the one that was hidden for 0.8 s


def test_a_thing_counts_only_when_it_was_seen_for_long_enough() -> None:
    judged = _judged(_steady(10), Tracker(seen_seconds=0.5, gone_seconds=1.0))
    # 0.5 s of each at 10 frames/s
    assert (judged["switches"], judged["tracks"], judged["misses"]) == (0, len(CLIP), 5 * len(CLIP))


def _at(x: float, name: str = "cat") -> Sight:
    return _sight(name, (x, 0.5), 0)


def test_when_things_appear_and_are_gone_is_told_once() -> None:
    tracker = Tracker(seen_seconds=0.2, gone_seconds=1.0)
    told = []
    for clock, seen in ((0.0, [_at(0.5)]), (0.1, [_at(0.5)]), (0.25, [_at(0.5)]), (0.5, []), (1.2, []), (1.3, []), (5.0, [])):
        change = tracker.update(clock, seen)
        told += [(clock, "appeared", each.number) for each in change.appeared]
        told += [(clock, "gone", each.number) for each in change.gone]
    assert told == [(0.25, "appeared", 1), (1.3, "gone", 1)]


def test_what_flickers_never_counts() -> None:
    tracker = Tracker(seen_seconds=0.5, gone_seconds=5.0)
    for place in range(20):
        clock = place * 0.8
        assert tracker.update(clock, [_at(0.5)]).appeared == []
        assert tracker.update(clock + 0.3, []).appeared == []
        assert tracker.update(clock + 0.6, []).gone == []


def test_names_are_never_mixed() -> None:
    tracker = Tracker()
    tracker.update(0.0, [_at(0.5, "cat")])
    tracker.update(0.1, [_at(0.5, "dog")])
    assert [(each.number, each.name) for each in tracker.tracks] == [(1, "cat"), (2, "dog")]


def test_a_thing_far_away_or_of_quite_another_size_is_another_one() -> None:
    tracker = Tracker()
    tracker.update(0.0, [_at(0.2)])
    tracker.update(0.1, [_at(0.5)])
    assert len(tracker.tracks) == 2
    tracker.update(0.2, [_at(0.2), Sight("cat", 0.9, (0.25, 0.0, 0.75, 1.0))])
    assert len(tracker.tracks) == 3


def test_boxes_without_an_area_are_no_error() -> None:
    tracker = Tracker()
    for clock in (0.0, 0.1):
        tracker.update(clock, [Sight("cat", 0.9, (0.5, 0.5, 0.5, 0.5)), Sight("cat", 0.9, (0.0, 0.0, 1.0, 1.0))])
    assert {each.name for each in tracker.tracks} == {"cat"}


def test_the_same_clip_gives_the_same_tracks() -> None:
    def run() -> list[tuple[int, Box]]:
        tracker = Tracker()
        for clock, seen in _frames(_varying()):
            tracker.update(clock, [sight for _, sight in seen])
        return [(each.number, each.box) for each in tracker.tracks]

    assert run() == run()


def test_overlap() -> None:
    import numpy

    one = numpy.array([[0.0, 0.0, 1.0, 1.0]])
    others = numpy.array([[0, 0, 1, 1], [0.5, 0, 1.5, 1], [1, 0, 2, 1], [2, 0, 3, 1]], float)
    assert overlap(one, others)[0] == pytest.approx([1, 1 / 3, 0, -1 / 3])
