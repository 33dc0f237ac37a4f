"""Events as a program sees them: as JSON, as a stream, as metrics; and their settings."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from litekiln_pi.events.events import Watch
from litekiln_pi.events.settings import EventSettings, SettingsFile
from litekiln_pi.frames import Shot
from litekiln_pi.server import Limits, Settings
from litekiln_pi.server.openapi import DESCRIPTION
from litekiln_pi.stills import as_jpeg
from tests.pi.fakes import NAMES, FakeSource, scene, wait_for
from tests.pi.serving import Running, running

# The red thing of FakeSource moves from 50 to 149 of 320 pixels, and begins again
DOOR = {"name": "door", "from": [0.3, 0.0], "to": [0.3, 1.0]}
LEFT = {"name": "left half", "points": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
GIVEN = {"lines": [DOOR], "zones": [LEFT], "seen_seconds": 0, "gone_seconds": 0.2}


def a_watch(path: Path | None, settings: dict[str, Any] | None = None) -> Watch:
    if path and settings is not None:
        path.write_text(json.dumps(settings))
    return Watch(SettingsFile(path, NAMES), NAMES, 0.4)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Running]:
    with running(watch=a_watch(tmp_path / "events.json", GIVEN)) as told:
        yield told


def test_the_latest_events_and_the_counts(site: Running) -> None:
    wait_for(lambda: site.app.watch.totals["crossed"] >= 1)
    data = site.ask("/api/events").data
    jsonschema.validate(data, {"$ref": "#/components/schemas/Events", "components": DESCRIPTION["components"]})
    kinds = [each["event"] for each in data["events"]]
    assert kinds[:3] == ["appeared", "entered", "crossed"]
    crossed = data["events"][2]
    assert (crossed["line"], crossed["direction"], crossed["name"], crossed["track"]) == ("door", "out", "red", 1)
    assert data["counts"]["now"]["red"] >= 1
    assert data["counts"]["lines"]["door"]["out"]["red"] >= 1
    assert data["counts"]["zones"]["left half"]["red"] >= 1
    assert data["latest"] == data["events"][-1]["id"]
    later = site.ask(f"/api/events?after={data['events'][1]['id']}").data["events"]
    assert later[0] == crossed


def test_a_number_that_is_none(site: Running) -> None:
    for text in ("-1", "last", "1e3", "٣", "9" * 16):
        answer = site.ask(f"/api/events?after={text.encode().hex() if not text.isascii() else text}")
        assert answer.status == 400
        assert answer.error.endswith("is no event's number")


def _stream(site: Running, *more: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each event of a stream: its id, its kind, its data."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as connection:
        head = "".join(f"{line}\r\n" for line in ("Host: x", "Accept: text/event-stream", *more[1:]))
        connection.sendall(f"GET /api/events{more[0] if more else ''} HTTP/1.1\r\n{head}\r\n".encode())
        fields: dict[str, str] = {}
        with connection.makefile("rb") as stream:
            for line in stream:
                name, found, value = line.decode().strip().partition(": ")
                if found and name in ("id", "event", "data"):
                    fields[name] = value
                    if name == "data":
                        yield fields["id"], fields["event"], json.loads(value)


def test_events_are_streamed_when_they_happen(site: Running) -> None:
    events = []
    for event in _stream(site):
        events.append(event)
        if event[1] == "crossed":
            break
    numbers = [int(each[0]) for each in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert all(event[1] == event[2]["event"] and event[0] == str(event[2]["id"]) for event in events)


def test_a_stream_goes_on_where_it_broke_off(site: Running) -> None:
    wait_for(lambda: site.app.watch.latest >= 3)
    assert next(_stream(site, "?after=1"))[0] == "2"
    assert next(_stream(site, "", "Last-Event-ID: 2"))[0] == "3"


def test_streams_of_events_have_so_many_places(tmp_path: Path) -> None:
    with running(Settings(limits=Limits(event_streams=1)), watch=a_watch(tmp_path / "e.json", GIVEN)) as site:
        stream = _stream(site)
        next(stream)
        refused = site.ask("/api/events", accept="text/event-stream")
        assert (refused.status, refused.error) == (503, "too many streams of events are open already")
        assert refused.headers["retry-after"] == "10"
        stream.close()
        wait_for(lambda: next(_stream(site), None))


def test_a_head_of_the_stream_takes_no_place(tmp_path: Path) -> None:
    with running(Settings(limits=Limits(event_streams=1)), watch=a_watch(tmp_path / "e.json", GIVEN)) as site:
        for _ in range(3):
            answer = site.ask("/api/events", "HEAD", accept="text/event-stream")
            assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")


def test_settings_are_changed_and_kept(site: Running, tmp_path: Path) -> None:
    assert site.ask("/api/events/settings").data == {"settings": {**GIVEN, "thresholds": {}, "point": "middle"}, "has_file": True}
    wanted = {**GIVEN, "thresholds": {"red": 0.95}}
    answer = site.post("/api/events/settings", json.dumps(wanted).encode(), "application/json")
    assert (answer.status, answer.data["kept"], answer.data["why"]) == (200, True, "")
    assert json.loads((tmp_path / "events.json").read_text())["thresholds"] == {"red": 0.95}
    wait_for(lambda: site.ask("/api/events").data["counts"]["now"]["red"] == 0)


def test_settings_without_a_file_are_used_and_not_kept() -> None:
    with running() as site:
        assert site.ask("/api/events/settings").data["has_file"] is False
        answer = site.post("/api/events/settings", json.dumps(GIVEN).encode(), "application/json")
        assert (answer.data["kept"], answer.data["why"]) == (False, "there is no file for them: start with --events FILE")
        wait_for(lambda: site.app.watch.totals["crossed"])


def test_wrong_settings_change_nothing(site: Running) -> None:
    before = site.app.watch.settings
    for text, message in (
        (b"no", "this is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b'{"zones": [{"name": "x", "points": []}]}', "zones[0].points must be a list of 3 to 20 points such as [0.1, 0.9]"),
    ):
        answer = site.post("/api/events/settings", text, "application/json")
        assert (answer.status, answer.error) == (400, message)
    assert site.post("/api/events/settings", b"{}", "text/plain").status == 415
    assert site.post("/api/events/settings", b" " * 100_001, "application/json").status == 413
    assert site.post("/api/events/settings", b"{}", "application/json", origin="http://evil.example").status == 403
    assert site.app.watch.settings == before


def test_metrics_of_events(site: Running) -> None:
    wait_for(lambda: site.app.watch.totals["crossed"])
    text = site.ask("/metrics").body.decode()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values['litekiln_events_total{event="appeared"}']) >= 1
    assert float(values['litekiln_things{name="red"}']) >= 1
    assert float(values['litekiln_things_appeared_total{name="red"}']) >= 1
    assert float(values['litekiln_crossings_total{direction="out",line="door",name="red"}']) >= 1
    assert float(values['litekiln_things_in_zone{name="red",zone="left half"}']) >= 1


class _Empty(FakeSource):
    def shots(self) -> Iterator[Shot]:
        for _ in super().shots():
            yield Shot(jpeg=as_jpeg(scene()))


def test_an_empty_picture_has_no_events() -> None:
    with running(source=_Empty()) as site:
        site.loop_goes_on()
        data = site.ask("/api/events").data
        assert (data["latest"], data["events"]) == (0, [])
        assert data["counts"] == {"now": dict.fromkeys(NAMES, 0), "appeared": dict.fromkeys(NAMES, 0), "lines": {}, "zones": {}}
        assert site.ask("/api/events/settings").data["settings"] == EventSettings().as_data()
