"""Lines, zones, and the file that has them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from litekiln_pi.errors import BadUse
from litekiln_pi.events.areas import IN, OUT, Line, Zone
from litekiln_pi.events.settings import MOST_BYTES, EventSettings, SettingsFile, Unusable, parse, read

LABELS = ["person", "cat"]
WHOLE: dict[str, Any] = {
    "lines": [{"name": "door", "from": [0.5, 0.0], "to": [0.5, 1.0], "names": ["person"]}],
    "zones": [{"name": "sofa", "points": [[0.1, 0.1], [0.4, 0.1], [0.4, 0.4]]}],
    "names": ["person", "cat"],
    "thresholds": {"person": 0.6},
    "seen_seconds": 1.0,
    "gone_seconds": 3.0,
    "point": "bottom",
}


def test_the_sides_of_a_line() -> None:
    across = Line("door", (0.0, 0.5), (1.0, 0.5))  # from left to right: a quarter turn clockwise is down
    assert [across.side(each) for each in ((0.3, 0.9), (0.3, 0.1), (0.3, 0.505))] == [IN, OUT, ""]
    down = Line("door", (0.5, 0.0), (0.5, 1.0))
    assert [down.side(each) for each in ((0.1, 0.5), (0.9, 0.5))] == [IN, OUT]


def test_a_way_past_the_end_of_a_line_does_not_cross_it() -> None:
    line = Line("door", (0.5, 0.4), (0.5, 0.6))
    assert line.is_crossed((0.3, 0.5), (0.7, 0.5))
    assert line.is_crossed((0.3, 0.3), (0.7, 0.7))
    assert not line.is_crossed((0.3, 0.2), (0.7, 0.2))
    assert not line.is_crossed((0.3, 0.5), (0.3, 0.5))


def test_what_is_in_a_zone() -> None:
    corner = Zone("corner", ((0.0, 0.0), (0.6, 0.0), (0.6, 0.2), (0.2, 0.2), (0.2, 0.6), (0.0, 0.6)))  # an L
    inside = [corner.contains(each) for each in ((0.1, 0.1), (0.5, 0.1), (0.1, 0.5), (0.4, 0.4), (0.7, 0.1), (0.1, 0.7))]
    assert inside == [True, True, True, False, False, False]


def test_a_whole_file_is_read_and_written_as_it_is() -> None:
    settings = read(WHOLE, LABELS)
    assert settings.as_data() == WHOLE
    assert read({}, LABELS) == EventSettings()
    assert read(EventSettings().as_data(), LABELS) == EventSettings()


def _with(name: str, value: Any) -> dict[str, Any]:
    return {**WHOLE, name: value}


def _line(**other: Any) -> dict[str, Any]:
    return _with("lines", [{"name": "door", "from": [0, 0], "to": [1, 1], **other}])


KNOWN = "lines, zones, names, thresholds, seen_seconds, gone_seconds, point"
WRONG: list[tuple[Any, str]] = [
    ([], f"the file is []: it must be a table with {KNOWN}"),
    (_with("line", []), f"the file has 'line', which is unknown: it can have {KNOWN}"),
    (_with("lines", {}), "lines must be a list of up to 20"),
    (_with("zones", [{}] * 21), "zones must be a list of up to 20"),
    (_with("lines", ["door"]), 'lines[0] is "door": it must be a table with name, from, to, names'),
    (_line(where=1), "lines[0] has 'where', which is unknown: it can have name, from, to, names"),
    (_line(name=""), 'lines[0].name is "": it must be a text of 1 to 40 letters'),
    (_line(name="a\nb"), 'lines[0].name is "a\\nb": it must be a text of 1 to 40 letters'),
    (_line(to=None), "lines[0].to is missing: it must be a point such as [0.5, 0.9], in shares of width and height"),
    (_line(to=[0.5]), "lines[0].to is [0.5]: it must be a point such as [0.5, 0.9], in shares of width and height"),
    (_line(to=[320, 240]), "lines[0].to[0] is 320: it must be a number from 0 to 1"),
    (_line(to=[0.0, True]), "lines[0].to[1] is true: it must be a number from 0 to 1"),
    (_line(to=[0.0, float("nan")]), "lines[0].to[1] is NaN: it must be a number from 0 to 1"),
    (_line(to=[0.0, 0.001]), "lines[0]: from and to are the same place, or nearly: a line needs some length"),
    (_line(names="person"), 'lines[0].names is "person": it must be a list of names such as ["person"]'),
    (_line(names=["dog"]), 'lines[0].names has "dog", which this model doesn\'t know. It knows person, cat'),
    (_with("zones", [{"name": "sofa", "points": [[0, 0], [1, 1]]}]),
     "zones[0].points must be a list of 3 to 20 points such as [0.1, 0.9]"),
    (_with("zones", [{"name": "door", "points": [[0, 0], [1, 1], [0, 1]]}]),
     "two lines or zones have the name 'door': give each its own"),
    (_with("names", ["dog"]), 'names has "dog", which this model doesn\'t know. It knows person, cat'),
    (_with("thresholds", [0.5]), 'thresholds is [0.5]: it must be a table such as {"person": 0.6}'),
    (_with("thresholds", {"dog": 0.5}), 'thresholds has "dog", which this model doesn\'t know. It knows person, cat'),
    (_with("thresholds", {"cat": 50}), "thresholds.cat is 50: it must be a number from 0 to 1"),
    (_with("seen_seconds", "1"), 'seen_seconds is "1": it must be a number from 0 to 3600'),
    (_with("gone_seconds", -1), "gone_seconds is -1: it must be a number from 0 to 3600"),
    (_with("point", "top"), "point is \"top\": it must be 'middle' or 'bottom' (of a box)"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "message"), WRONG, ids=[str(place) for place in range(len(WRONG))])
def test_what_is_wrong_is_told(data: Any, message: str) -> None:
    with pytest.raises(Unusable) as told:
        read(data, LABELS)
    assert str(told.value) == message


def test_text_that_is_no_settings() -> None:
    for text, message in (
        (b"{", "this is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b"\xff", "this is not JSON: "),
        (b"[" * 90_000, "this is not JSON that can be read: it is nested too deeply"),
        (b" " * (MOST_BYTES + 1), "the settings are 100001 bytes, the limit is 100000"),
    ):
        with pytest.raises(Unusable) as told:
            parse(text, LABELS)
        assert str(told.value).startswith(message)


def test_changes_are_kept_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    file = SettingsFile(path, LABELS)
    assert file.current == EventSettings()
    file.use(json.dumps(WHOLE).encode())
    assert file.keep() == ""
    assert json.loads(path.read_text(encoding="utf-8")) == WHOLE
    assert SettingsFile(path, LABELS).current == file.current
    assert [each.name for each in tmp_path.iterdir()] == ["events.json"]


def test_wrong_changes_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    file = SettingsFile(path, LABELS)
    with pytest.raises(Unusable, match="point is"):
        file.use(b'{"point": "top"}')
    assert (file.current, path.exists()) == (EventSettings(), False)


def test_without_a_file_changes_are_in_memory() -> None:
    file = SettingsFile(None, LABELS)
    file.use(json.dumps(WHOLE).encode())
    assert file.keep() == "there is no file for them: start with --events FILE"
    assert file.current.as_data() == WHOLE


def test_where_nothing_can_be_written_changes_are_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "events.json"
    file = SettingsFile(path, LABELS)
    file.use(json.dumps(WHOLE).encode())
    assert file.keep() == f"{path} can't be written: {os.strerror(2)}"
    assert file.current.as_data() == WHOLE


def test_a_file_that_is_mounted_alone_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.json"
    path.write_text(json.dumps(WHOLE) + " " * 2000)

    def busy(*_: object) -> None:
        raise OSError(16, os.strerror(16))

    file = SettingsFile(path, LABELS)
    monkeypatch.setattr(Path, "replace", busy)
    file.use(b"{}")
    assert file.keep() == ""
    assert read(json.loads(path.read_text()), LABELS) == EventSettings()


def test_a_wrong_file_ends_the_start_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text('{"point": "top"}')
    with pytest.raises(BadUse, match=r"--events .*events\.json: point is") as told:
        SettingsFile(path, LABELS)
    assert "docs/pi-events.md" in told.value.remedy
    with pytest.raises(BadUse, match="can't be read: Is a directory"):
        SettingsFile(tmp_path, LABELS)
