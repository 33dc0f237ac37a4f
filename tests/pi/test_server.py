"""The web server as a program sees it: real uvicorn on this machine."""

import email
import errno
import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image

from litekiln_pi.errors import BadUse, LoopFailed, SourceEnded
from litekiln_pi.frames import Shot
from litekiln_pi.machine import temperature
from litekiln_pi.server import Limits, Settings
from litekiln_pi.server.names import is_ours, parse
from litekiln_pi.server.openapi import DESCRIPTION
from litekiln_pi.server.running import LAST_WORDS_SECONDS, listen, where
from litekiln_pi.stills import COLOURS, as_jpeg
from tests.pi.fakes import FakeModel, FakeSource, scene, wait_for
from tests.pi.serving import Running, running

WEB = Path(__file__).resolve().parents[2] / "pi" / "litekiln_pi" / "web"
GREEN = as_jpeg(scene(green=(40, 60, 140, 160)))


@pytest.fixture(scope="module")
def site() -> Iterator[Running]:
    with running() as told:
        yield told


def test_the_page_and_its_files(site: Running) -> None:
    page = site.ask("/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    named = re.findall(r'"(static/[^"]+)"', page.body.decode())
    assert len(named) == 4
    kinds = {}
    for name in [*named, "static/draw.js", "static/talk.js", "static/areas.js"]:
        answer = site.ask(f"/{name}")
        assert answer.status == 200
        assert answer.body == (WEB / Path(name).name).read_bytes()
        kinds[name.rsplit(".")[-1]] = answer.headers["content-type"].partition(";")[0]
    assert kinds == {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def test_the_pages_files_are_not_sent_twice(site: Running) -> None:
    first = site.ask("/static/app.js")
    again = site.ask("/static/app.js", if_none_match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("path", ["/static/../server/app.py", "/static/%2e%2e/model.py", "/static/app.js/", "/static/", "/nothing"])
def test_no_other_file_can_be_asked_for(site: Running, path: str) -> None:
    answer = site.ask(path)
    assert (answer.status, answer.error) == (404, "there is nothing here")


def test_every_answer_has_safe_headers(site: Running) -> None:
    for path in ("/", "/static/app.js", "/api/state", "/api/frame", "/nothing", "/healthz"):
        headers = site.ask(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == ("no-cache" if path in ("/", "/static/app.js") else "no-store")
        assert headers["server"] is None
        assert headers["set-cookie"] is None
        assert headers["cross-origin-opener-policy"] is None  # without TLS a browser ignores it and complains


def test_the_newest_detections_as_json(site: Running) -> None:
    answer = site.ask("/api/detections")
    assert answer.status == 200
    data = answer.data
    assert (data["width"], data["height"]) == (320, 240)
    assert [each["name"] for each in data["detections"]] == ["red"]
    assert set(data["milliseconds"]) == {"decode", "inference", "latency"}
    assert site.ask("/api/detections?threshold=0.95").data["detections"] == []


@pytest.mark.parametrize("text", ["2", "-1", "nan", "much", "1e999"])
def test_a_threshold_that_is_none(site: Running, text: str) -> None:
    for path in ("/api/detections", "/api/frame"):
        answer = site.ask(f"{path}?threshold={text}")
        assert (answer.status, answer.error) == (400, f"threshold={text} is not a number from 0 to 1")


def test_no_answer_waits_until_its_beginning_is_confirmed(site: Running) -> None:
    """Otherwise a kept connection gets 23 answers a second."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    connection.request("GET", "/healthz")
    connection.getresponse().read()
    accepted = [each.transport.get_extra_info("socket") for each in site.server.server_state.connections]
    assert [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in accepted] == [1]
    connection.close()


class _Events:
    """A client of the event stream."""

    def __init__(self, site: Running) -> None:
        self.connection = socket.create_connection(("127.0.0.1", site.port), timeout=10)
        self.connection.sendall(b"GET /api/detections HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
        self.stream = self.connection.makefile("rb")

    def lines(self) -> Iterator[str]:
        for line in self.stream:
            yield line.decode().strip()

    def events(self, count: int) -> list[Any]:
        found = []
        for line in self.lines():
            if line.startswith("data: "):
                found.append(json.loads(line[6:]))
                if len(found) == count:
                    break
        return found

    def stale(self) -> Any:
        """The data of the next event that says why no frames come."""
        lines = self.lines()
        for line in lines:
            if line == "event: stale":
                return json.loads(next(lines)[len("data: ") :])
        pytest.fail("the stream ended")

    def close(self) -> None:
        self.stream.close()
        self.connection.close()


def test_a_stream_of_events(site: Running) -> None:
    client = _Events(site)
    events = client.events(5)
    client.close()
    numbers = [each["frame"] for each in events]
    assert numbers == sorted(set(numbers))
    assert events[0]["detections"][0]["name"] == "red"


def test_a_silent_stream_says_that_it_lives() -> None:
    source = FakeSource(count=1)
    with running(_quick(comment_seconds=0.1), source) as told:
        client = _Events(told)
        comments = 0
        for line in client.lines():
            comments += line == ": no new frame"
            if comments == 2:
                break
        client.close()


def _quick(**limits: Any) -> Settings:
    return Settings(limits=Limits(**limits))


def test_the_picture_and_its_boxes_are_of_one_frame() -> None:
    with running() as told:
        number = -1
        for _ in range(5):
            answer = told.ask(f"/api/frame?after={number}")
            assert answer.headers["content-type"] == "image/jpeg"
            data = json.loads(answer.headers["x-litekiln-frame"])
            assert data["frame"] != number
            number = data["frame"]
            red = FakeModel().look(Image.open(io.BytesIO(answer.body)).convert("RGB"))
            left = 10 + (number - 1) % 100  # where the source drew it
            assert float(red[0][0][1]) * 320 == pytest.approx(left, abs=0.6)
            assert data["detections"][0]["box"][0] == pytest.approx(left, abs=4)  # the loop decodes to a quarter


def test_a_jpeg_is_passed_on_as_it_came_and_others_are_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for shot in (Shot(jpeg=GREEN), Shot(picture=scene(green=(0, 0, 50, 50))), Shot(jpeg=_saved(scene(), "PNG"))):
        encoded: list[int] = []

        def encode(picture: Any, encoded: list[int] = encoded) -> bytes:
            encoded.append(1)
            return as_jpeg(picture)

        monkeypatch.setattr("litekiln_pi.stills.as_jpeg", encode)
        with running(source=_One(shot)) as told:
            bodies = {told.ask("/api/frame").body for _ in range(3)}
            assert len(bodies) == 1
            assert (bodies == {GREEN}) is (shot.jpeg == GREEN)
            assert len(encoded) == (0 if shot.jpeg == GREEN else 1)
            assert Image.open(io.BytesIO(bodies.pop())).format == "JPEG"


class _One(FakeSource):
    """A source of one picture, then silence."""

    def __init__(self, shot: Shot) -> None:
        super().__init__()
        self.shot = shot

    def shots(self) -> Iterator[Shot]:
        yield self.shot
        while not self._stopped:
            time.sleep(0.01)


def _saved(picture: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind)
    return stream.getvalue()


class _Many(FakeModel):
    """A hundred detections, the best ones last."""

    def run(self, prepared: Any) -> Any:
        boxes = numpy.tile([0.111111, 0.222222, 0.333333, 0.444444], (100, 1))
        return boxes, numpy.zeros(100, int), numpy.linspace(0.5, 0.99, 100)


def test_a_hundred_detections_fit_through_a_proxy() -> None:
    """nginx takes 4 kB for an answer's head."""
    with running(model=_Many()) as told:
        for answer in (told.ask("/api/frame"), told.ask("/api/snapshot", "POST")):
            assert sum(len(name) + len(text) + 4 for name, text in answer.headers.items()) < 3900
            data = json.loads(answer.headers["x-litekiln-frame"])
            assert len(data["detections"]) > 20
            assert data["left_out"] == 100 - len(data["detections"])
            assert data["detections"][0]["score"] == 0.99
        whole = told.ask("/api/frame", accept="multipart/form-data")
        parts = email.message_from_bytes(b"Content-Type: " + whole.headers["content-type"].encode() + b"\r\n\r\n" + whole.body)
        frame, picture = parts.get_payload()
        data = json.loads(frame.get_payload(decode=True))
        assert (frame.get_param("name", header="content-disposition"), len(data["detections"])) == ("frame", 100)
        assert "left_out" not in data
        assert Image.open(io.BytesIO(picture.get_payload(decode=True))).size == (320, 240)


def test_who_has_the_newest_frame_waits_and_is_told_that_there_is_none() -> None:
    with running(_quick(poll_seconds=0.2), _One(Shot(jpeg=GREEN))) as told:
        number = told.pipeline.latest.number  # type: ignore[union-attr]
        assert told.ask(f"/api/frame?after={number}").status == 204
        # a number from before the server's last start counts as none
        assert told.ask("/api/frame?after=999999").status == 200
        answer = told.ask("/api/frame?after=many")
        assert (answer.status, answer.error) == (400, "after=many is no frame's number")


def test_it_starts_without_a_camera_and_says_so() -> None:
    source = FakeSource()
    source.gone = "there is no /dev/video0: give it with --device"
    with running(source=source, wait=False) as told:
        wait_for(lambda: told.pipeline.problem)
        assert told.ask("/").status == 200
        assert told.ask("/api/state").data["problem"] == source.gone
        health = told.ask("/healthz")
        assert (health.status, health.data) == (200, {"status": "waiting", "problem": source.gone})
        for path, method in (("/api/detections", "GET"), ("/api/snapshot", "POST")):
            answer = told.ask(path, method)
            assert (answer.status, answer.error, answer.headers["retry-after"]) == (503, source.gone, "1")
        source.gone = ""
        wait_for(lambda: told.pipeline.latest)
        assert told.ask("/api/state").data["problem"] == ""


def test_a_part_that_died_is_told_and_ends_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    model = FakeModel()
    with running(model=model) as told:
        assert told.ask("/healthz").data == {"status": "ok", "problem": ""}
        model.run = lambda _: 1 / 0  # type: ignore[method-assign, assignment]
        wait_for(lambda: told.pipeline.failure)
        why = "a part of the program has failed: _infer: division by zero"
        health = told.ask("/healthz")
        assert (health.status, health.data) == (503, {"status": "failed", "problem": why})
        state = told.ask("/api/state").data
        assert (state["status"], state["frames"], state["problem"], state["current"]) == ("failed", "failed", why, False)
        for path, method in (("/api/detections", "GET"), ("/api/snapshot", "POST")):
            answer = told.ask(path, method)
            assert (answer.status, answer.error.partition(";")[0]) == (503, why)
        told.thread.join(10)
        assert isinstance(told.server.over, LoopFailed)
        assert str(told.server.over) == why
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_part_that_stands_still_is_told_and_ends_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that waits for ever raises no error."""
    model, going_on = FakeModel(), threading.Event()
    with running(model=model) as told:
        monkeypatch.setattr("litekiln_pi.pipeline.STUCK_SECONDS", 0.5)
        monkeypatch.setattr("litekiln_pi.pipeline.STUCK_TIMES", 0)
        monkeypatch.setattr(model, "run", lambda _: going_on.wait(30))
        wait_for(lambda: told.pipeline.stuck)
        health = told.ask("/healthz")
        assert (health.status, health.data["status"]) == (503, "failed")
        assert re.fullmatch(r"a part of the program has failed: _infer: a frame has taken \d s", health.data["problem"])
        assert told.ask("/api/detections").status == 503
        told.thread.join(10)
        assert isinstance(told.server.over, LoopFailed)
        going_on.set()


def test_a_part_that_goes_on_after_all_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = FakeModel()
    with running(model=model) as told:
        monkeypatch.setattr(type(told.pipeline), "stuck", "_infer: a frame has taken 61 s")
        time.sleep(LAST_WORDS_SECONDS / 2)
        monkeypatch.setattr(type(told.pipeline), "stuck", "")
        told.thread.join(LAST_WORDS_SECONDS)
        assert told.thread.is_alive()
        assert told.ask("/healthz").data["status"] == "ok"


def test_a_camera_that_is_missing_for_long_ends_nothing() -> None:
    source = FakeSource()
    source.gone = "there is no /dev/video0"
    with running(source=source, wait=False) as told:
        told.thread.join(LAST_WORDS_SECONDS + 0.5)
        assert told.thread.is_alive()
        assert told.server.over is None


class _File(FakeSource):
    live = False


def test_the_end_of_a_file_is_no_failure_and_told_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litekiln_pi.pipeline.CURRENT_SECONDS", 0.5)
    with running(source=_File(count=2, ends=True)) as told:
        wait_for(lambda: told.pipeline.ended)
        told.thread.join(LAST_WORDS_SECONDS + 0.5)
        assert told.thread.is_alive()  # the page shows what was seen last
        health = told.ask("/healthz")
        assert (health.status, health.data) == (200, {"status": "ended", "problem": "the source has ended"})
        state = told.ask("/api/state").data
        assert (state["status"], state["frames"], state["problem"]) == ("ended", "ended", "the source has ended")
        answer = told.ask("/api/detections")
        assert (answer.status, re.sub(r"\d+", "N", answer.error)) == (503, "the source has ended; the newest frame is N s old")
        client = _Events(told)
        assert client.stale()["frames"] == "ended"
        client.close()


def test_a_pipe_that_ended_is_told_and_ends_the_server() -> None:
    with running(source=FakeSource(count=2, ends=True)) as told:
        wait_for(lambda: told.pipeline.ended)
        why = "fake has ended, so no more frames can come"
        assert told.ask("/healthz").data == {"status": "ended", "problem": why}
        state = told.ask("/api/state").data
        assert (state["frames"], state["problem"]) == ("ended", why)
        told.thread.join(10)
        assert isinstance(told.server.over, SourceEnded)


def test_no_answer_gives_old_detections_as_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litekiln_pi.pipeline.CURRENT_SECONDS", 0.8)
    source = FakeSource()
    with running(_quick(poll_seconds=0.2), source) as told:
        data = told.ask("/api/detections").data
        assert 0 <= data["age"] <= told.pipeline.current_for
        assert data["paused"] is False
        client = _Events(told)
        assert client.events(1)[0]["age"] <= told.pipeline.current_for
        source.gone = "there is no /dev/video0"
        event = client.stale()
        client.close()
        assert (event["frames"], event["problem"]) == ("waiting", source.gone)
        wait_for(lambda: not told.ask("/api/state").data["current"])
        state = told.ask("/api/state").data
        assert (state["status"], state["frames"]) == ("waiting", "waiting")
        assert state["age"] > state["current_for"] - 0.1 >= 0.7  # more on a busy machine; both are rounded
        for path, method in (("/api/detections", "GET"), ("/api/snapshot", "POST")):
            answer = told.ask(path, method)
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert re.fullmatch(r"there is no /dev/video0; the newest frame is \d+ s old", answer.error)
        assert told.ask("/api/frame").status == 204
        client = _Events(told)  # who comes later is told too
        assert client.stale()["frames"] == "waiting"
        client.close()
        metrics = told.ask("/metrics").body.decode()
        assert "litekiln_source_up 0.0" in metrics
        age = re.search(r"^litekiln_frame_age_seconds (.+)$", metrics, re.MULTILINE)
        assert age
        assert float(age[1]) >= 0.7
        source.gone = ""
        wait_for(lambda: told.ask("/api/detections").status == 200)


def test_a_camera_that_is_silent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It raises no error: its frames just don't come."""
    monkeypatch.setattr("litekiln_pi.pipeline.CURRENT_SECONDS", 0.5)
    with running(source=FakeSource(count=3)) as told:
        wait_for(lambda: told.ask("/api/detections").status == 503)
        assert re.fullmatch(r"the newest frame is \d s old", told.ask("/api/detections").error)
        assert re.fullmatch(r"the newest frame is \d s old", told.ask("/healthz").data["problem"])


def test_frames_that_are_all_damaged_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litekiln_pi.pipeline.CURRENT_SECONDS", 0.5)
    source = FakeSource()
    whole = source.shots

    def cut() -> Iterator[Shot]:
        for count, shot in enumerate(whole()):
            yield shot if count < 3 else Shot(jpeg=shot.jpeg[:100])

    source.shots = cut  # type: ignore[method-assign]
    with running(source=source) as told:
        wait_for(lambda: told.ask("/api/detections").status == 503)
        error = told.ask("/api/detections").error
        assert re.fullmatch(r"the newest frame is \d s old: frames come, but are damaged \(\d+ so far\)", error)


def test_what_was_current_when_a_pause_began_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litekiln_pi.pipeline.CURRENT_SECONDS", 0.4)
    source = FakeSource()
    with running(source=source) as told:
        told.post("/api/state", b'{"paused": true}', "application/json")
        client = _Events(told)
        assert client.events(1)[0]["paused"] is True
        assert client.stale()["frames"] == "paused"
        client.close()
        state = told.ask("/api/state").data
        assert (state["status"], state["frames"], state["problem"], state["current"]) == ("paused", "paused", "", True)
        data = told.ask("/api/detections").data
        assert data["paused"] is True
        assert data["age"] > 0.4
        assert told.ask("/api/snapshot", "POST").status == 200
        told.post("/api/state", b'{"paused": false}', "application/json")
        wait_for(lambda: told.ask("/api/detections").status == 200 and not told.ask("/api/detections").data["paused"])
        source.gone = "there is no /dev/video0"
        wait_for(lambda: told.ask("/api/detections").status == 503)
        told.post("/api/state", b'{"paused": true}', "application/json")  # a pause makes nothing current again
        assert told.ask("/api/detections").status == 503


WRONG = "1 of 3 recorded detections are seen here, and 0 others"
NOT_TO_BE_TRUSTED = f"this machine computes other results than were verified: don't trust what you see ({WRONG})"


def test_a_failed_selftest_is_told_by_every_answer(tmp_path: Path) -> None:
    with running(Settings(snapshots=tmp_path), wrong=WRONG) as told:
        state = told.ask("/api/state").data
        assert (state["status"], state["warning"], state["wrong_results"]) == ("wrong results", NOT_TO_BE_TRUSTED, True)
        health = told.ask("/healthz")
        assert (health.status, health.data) == (503, {"status": "wrong results", "problem": NOT_TO_BE_TRUSTED})
        metrics = told.ask("/metrics").body.decode()
        assert "litekiln_wrong_results 1.0" in metrics
        assert "litekiln_healthy 0.0" in metrics
        assert told.ask("/api/detections").data["wrong_results"] is True
        assert told.post("/api/detect", GREEN).data["wrong_results"] is True
        client = _Events(told)
        assert client.events(1)[0]["wrong_results"] is True
        client.close()
        assert told.ask("/api/events").data["wrong_results"] is True
        for jpeg in (told.ask("/api/snapshot", "POST").body, told.post("/api/detect", GREEN, Accept="image/jpeg").body):
            with Image.open(io.BytesIO(jpeg)) as picture:
                red, green, blue = picture.convert("RGB").getpixel((2, 2))  # type: ignore[misc]
                assert red > 150 > 60 > max(green, blue), "a picture with boxes says it in its corner"
        for answer in (told.ask("/api/frame"), told.ask("/api/snapshot", "POST")):
            assert json.loads(answer.headers["x-litekiln-frame"])["wrong_results"] is True
        assert json.loads(next(tmp_path.glob("*.json")).read_text())["wrong_results"] is True


def test_state_and_pause(site: Running) -> None:
    wait_for(lambda: site.ask("/api/state").data["fps"] > 1)
    state = site.ask("/api/state").data
    assert (state["status"], state["warning"], state["wrong_results"]) == ("ok", "", False)
    assert (state["model"], state["labels"], state["kinds"]) == ("fake int8", ["red", "green", "blue"], [0, 1, 2])
    assert (state["source"], state["paused"], state["threshold"], state["threads"]) == ("fake", False, 0.4, 1)
    assert site.post("/api/state", b'{"paused": true}', "application/json").data["paused"] is True
    time.sleep(0.3)
    before = site.pipeline.counters.looked_at
    time.sleep(0.2)
    assert site.pipeline.counters.looked_at == before
    assert site.post("/api/state", b'{"paused": false}', "application/json; charset=utf-8").data["paused"] is False
    site.loop_goes_on()


@pytest.mark.parametrize("body", [b"{}", b'{"paused": 1}', b'{"paused": true, "more": 1}', b"[]", b"null"])
def test_a_change_that_is_none(site: Running, body: bytes) -> None:
    answer = site.post("/api/state", body, "application/json")
    assert (answer.status, answer.error) == (400, 'send {"paused": true} or {"paused": false}')


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 900, b"\xff"])
def test_a_change_that_is_no_json(site: Running, body: bytes) -> None:
    answer = site.post("/api/state", body, "application/json")
    assert (answer.status, answer.error) == (400, "the body is not JSON")


def test_a_picture_of_ones_own(site: Running) -> None:
    answer = site.post("/api/detect", GREEN)
    assert answer.status == 200
    assert [each["name"] for each in answer.data["detections"]] == ["green"]
    assert answer.data["detections"][0]["box"] == pytest.approx([40, 60, 140, 160], abs=2)
    assert "frame" not in answer.data
    assert site.post("/api/detect?threshold=0.85", GREEN).data["detections"] == []


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "GIF"])
def test_pictures_in_other_forms(site: Running, kind: str) -> None:
    data = _saved(scene(green=(40, 60, 140, 160)), kind)
    found = site.post("/api/detect", data, f"image/{kind.lower()}").data["detections"]
    assert [each["name"] for each in found] == ["green"]


@pytest.mark.parametrize(("path", "headers"), [("/api/detect?as=jpeg", {}), ("/api/detect", {"accept": "image/jpeg"})])
def test_a_picture_with_boxes_drawn(site: Running, path: str, headers: dict[str, str]) -> None:
    answer = site.post(path, GREEN, **headers)
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    drawn = Image.open(io.BytesIO(answer.body)).convert("RGB")
    assert drawn.size == (320, 240)
    wanted = tuple(int(COLOURS[1][place : place + 2], 16) for place in (1, 3, 5))
    assert max(abs(one - other) for one, other in zip(drawn.getpixel((90, 160)), wanted, strict=True)) < 60


def test_a_form_that_is_none(site: Running) -> None:
    answer = site.post("/api/detect?as=svg", GREEN)
    assert (answer.status, answer.error) == (400, "as=svg is neither json nor jpeg")


def test_a_snapshot(site: Running) -> None:
    answer = site.ask("/api/snapshot", "POST")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    assert re.fullmatch(r'attachment; filename="litekiln-\d{8}-\d{6}-\d{6}\.jpg"', answer.headers["content-disposition"])
    assert Image.open(io.BytesIO(answer.body)).size == (320, 240)
    assert [each["name"] for each in json.loads(answer.headers["x-litekiln-frame"])["detections"]] == ["red"]
    hidden = site.ask("/api/snapshot?hide=red&hide=blue", "POST")
    assert json.loads(hidden.headers["x-litekiln-frame"])["detections"] == []


def test_snapshots_are_kept_with_their_data(tmp_path: Path) -> None:
    with running(Settings(snapshots=tmp_path)) as told:
        answer = told.ask("/api/snapshot", "POST")
        picture, data = sorted(tmp_path.iterdir())
        assert (picture.suffix, data.suffix) == (".jpg", ".json")
        assert picture.read_bytes() == answer.body
        assert json.loads(data.read_text()) == json.loads(answer.headers["x-litekiln-frame"])
        assert told.ask("/api/state").data["keeps_snapshots"] is True


def test_snapshots_of_one_frame_are_all_kept(tmp_path: Path) -> None:
    with running(Settings(snapshots=tmp_path)) as told:
        told.post("/api/state", b'{"paused": true}', "application/json")
        time.sleep(0.3)
        names = []
        for query in ("", "?hide=red", ""):
            header = told.ask(f"/api/snapshot{query}", "POST").headers["content-disposition"]
            names.append(header.partition('filename="')[2].removesuffix('.jpg"'))
        assert names == [names[0], f"{names[0]}-2", f"{names[0]}-3"]
        kept = [json.loads((tmp_path / f"{name}.json").read_text())["detections"] for name in names]
        assert [len(each) for each in kept] == [1, 0, 1]


@pytest.mark.parametrize("fails", [1, 2])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: int) -> None:
    calls: list[int] = []

    def full(_: int) -> None:
        calls.append(1)
        if len(calls) == fails:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with running(Settings(snapshots=tmp_path)) as told:
        answer = told.ask("/api/snapshot", "POST")
        assert answer.status == 507
        reason = f"the disk with {tmp_path} is full, or nearly: nothing was kept. Free some space, or mount a larger disk"
        assert answer.error == reason
        assert list(tmp_path.iterdir()) == []
        told.loop_goes_on()
        assert told.ask("/api/snapshot", "POST").status == 200


@pytest.mark.parametrize(
    ("total", "free", "status"),
    [
        (32_000_000_000, 199_000_000, 507),
        (32_000_000_000, 201_000_000, 200),
        (100_000_000, 4_900_000, 507),  # a small disk of its own: 5 % of it
        (100_000_000, 5_100_000, 200),
    ],
)
def test_snapshots_leave_room_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, total: int, free: int, status: int
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(total, total - free, free))
    with running(Settings(snapshots=tmp_path)) as told:
        answer = told.ask("/api/snapshot", "POST")
        assert answer.status == status
        assert len(list(tmp_path.iterdir())) == (2 if status == 200 else 0)
        if status != 200:
            assert "is full, or nearly: nothing was kept" in answer.error


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with running(Settings(snapshots=tmp_path / "none")) as told:
        answer = told.ask("/api/snapshot", "POST")
        assert answer.status == 500
        assert answer.error.startswith(f"can't write to {tmp_path / 'none'}: No such file or directory")


def test_info(site: Running) -> None:
    data = site.ask("/api/info").data
    assert (data["model"], data["variant"], data["report"]) == ("fake", "int8", {"verdict": "ok"})
    assert data["contract"] == {"width": 80, "height": 60}
    assert data["manifest"] == {"litekiln": "0", "files": {}}


def test_metrics(site: Running) -> None:
    site.ask("/api/state")
    site.ask("/static/none.js")
    site.ask("/etc/passwd")
    text = site.ask("/metrics").body.decode()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    for name in ("captured", "looked_at", "dropped", "damaged"):
        assert float(values[f"litekiln_frames_{name}_total"]) >= 0
    assert float(values["litekiln_frames_looked_at_total"]) > 0
    assert values["litekiln_source_up"] == values["litekiln_healthy"] == "1.0"
    assert values["litekiln_wrong_results"] == "0.0"
    assert float(values["litekiln_latency_seconds_count"]) > 0
    assert float(values['litekiln_inference_seconds_bucket{le="5.0"}']) > 0
    assert float(values["process_resident_memory_bytes"]) > 1e6
    assert float(values['litekiln_requests_total{code="200",method="GET",route="/api/state"}']) >= 1
    assert float(values['litekiln_requests_total{code="404",method="GET",route="/static"}']) >= 1
    assert float(values['litekiln_requests_total{code="404",method="GET",route="other"}']) >= 1


def test_the_temperature_where_there_is_one(site: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "sys" / "class" / "thermal" / "thermal_zone0" / "temp"
    there.parent.mkdir(parents=True)
    there.write_text("48312\n")
    monkeypatch.setattr("litekiln_pi.server.metrics.temperature", partial(temperature, tmp_path))
    assert b"litekiln_temperature_celsius 48.312" in site.ask("/metrics").body
    there.unlink()
    assert b"litekiln_temperature_celsius" not in site.ask("/metrics").body


def test_the_description_is_of_these_routes(site: Running) -> None:
    described = site.ask("/openapi.json").data
    assert described == DESCRIPTION
    told = {(path, method.upper()) for path, each in described["paths"].items() for method in each}
    real = {(route.path, method) for route in site.app.routes for method in route.methods or () if method != "HEAD"}
    assert told == real


def test_the_description_is_of_these_answers(site: Running) -> None:
    import jsonschema

    def check(name: str, data: Any) -> None:
        jsonschema.validate(data, {"$ref": f"#/components/schemas/{name}", "components": DESCRIPTION["components"]})

    check("State", site.ask("/api/state").data)
    check("Seen", site.ask("/api/detections").data)
    check("Picture", site.post("/api/detect", GREEN).data)
    check("Health", site.ask("/healthz").data)
    check("Error", site.ask("/nothing").data)
    with pytest.raises(jsonschema.ValidationError):
        check("Seen", site.post("/api/detect", GREEN).data)


def test_what_cannot_be_asked_in_this_way(site: Running) -> None:
    for path, method, allowed in (
        ("/api/detect", "GET", "POST"),
        ("/api/frame", "POST", "GET, HEAD"),
        ("/", "PUT", "GET, HEAD"),
        ("/api/state", "PUT", "GET, HEAD, POST"),
    ):
        answer = site.ask(path, method)
        assert (answer.status, answer.error) == (405, "this path doesn't allow this method")
        assert sorted(answer.headers["allow"].split(", ")) == sorted(allowed.split(", "))


def test_the_description_has_the_refusals() -> None:
    for path, methods in DESCRIPTION["paths"].items():
        for operation in methods.values():
            wanted = {"503"} if path == "/healthz" else {"400", "401", "403", "429", "503"}
            assert wanted <= set(operation["responses"]), path


def test_a_head_of_the_stream_holds_no_place() -> None:
    with running(_quick(streams=1)) as told:
        for _ in range(3):
            answer = told.ask("/api/detections", "HEAD", accept="text/event-stream")
            assert (answer.status, answer.body) == (200, b"")
            assert answer.headers["content-type"].startswith("text/event-stream")
        wait_for(lambda: told.app._guarded.rooms.running == 0)  # type: ignore[attr-defined]


def test_colours_are_the_same_on_the_page_and_in_pictures() -> None:
    found = re.search(r"COLOURS = \[(.*?)\]", (WEB / "draw.js").read_text())
    assert found
    assert tuple(re.findall(r"#\w{6}", found[1])) == COLOURS


def test_requests_from_another_sites_page_change_nothing(site: Running) -> None:
    for headers in ({"origin": "http://evil.example"}, {"origin": "null"}, {"sec_fetch_site": "cross-site"}):
        for path, kind in (("/api/state", "application/json"), ("/api/snapshot", "text/plain"), ("/api/detect", "image/jpeg")):
            answer = site.post(path, b'{"paused": true}', kind, **headers)
            assert (answer.status, answer.error) == (403, "this request comes from another site's page")
    assert not site.pipeline.paused
    here = site.ask("/api/snapshot", "POST", origin=site.address, sec_fetch_site="same-origin")
    assert here.status == 200
    # other sites' forms can send these types without a preflight request
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert site.post("/api/state", b'{"paused": true}', kind).status == 415
        assert site.post("/api/detect", GREEN, kind).status == 415


TOKEN = "a-token-of-the-test"
ASK = "this needs the token: open this address in a browser, or send the header 'Authorization: Bearer …'"


def test_a_token(capfd: pytest.CaptureFixture[str]) -> None:
    with running(Settings(token=TOKEN, limits=Limits(guess_seconds=0))) as told:
        for path in ("/", "/api/state", "/api/frame", "/metrics", "/static/app.js", "/openapi.json", "/nothing", "/?token=wrong"):
            answer = told.ask(path)
            assert answer.status == 401
            assert answer.error == ("the token is wrong" if "wrong" in path else ASK)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.headers["set-cookie"] is None
        assert told.ask("/healthz").status == 200
        for wrong in ("Bearer wrong", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xe4"):
            assert told.ask("/api/state", authorization=wrong).status == 401
        assert told.ask("/api/state", authorization=f"Bearer {TOKEN}").status == 200
        for entered in (told.ask(f"/?token={TOKEN}"), told.post("/", f"token={TOKEN}".encode(), FORM)):
            assert (entered.status, entered.headers["location"]) == (303, "./")
            cookie = entered.headers["set-cookie"]
            assert {"HttpOnly", "SameSite=lax"} <= set(cookie.split("; "))
            assert TOKEN not in cookie
        pair = cookie.partition(";")[0]
        assert told.ask("/", cookie=pair).status == 200
        assert told.ask("/api/state", cookie=f"other=1; {pair}").status == 200
        assert told.ask("/api/state", cookie=f"{pair}x").status == 401
        assert told.ask("/api/state", cookie="litekiln=").status == 401
    assert TOKEN not in "".join(capfd.readouterr())


FORM = "application/x-www-form-urlencoded"


def test_people_without_the_token_get_a_page_with_a_field() -> None:
    with running(Settings(token=TOKEN, limits=Limits(guess_seconds=0))) as told:
        asked, wrong = told.ask("/", accept="text/html,*/*"), told.post("/", b"token=sesame", FORM, accept="text/html")
        for answer, said in ((asked, "This page needs a token."), (wrong, "The token is wrong.")):
            assert (answer.status, answer.headers["content-type"]) == (401, "text/html; charset=utf-8")
            assert f'role="alert">{said}</p>'.encode() in answer.body
            assert "form-action 'self'" in answer.headers["content-security-policy"]
            assert answer.headers["referrer-policy"] == "same-origin"
            assert b"sesame" not in answer.body
        for path in re.findall(r'"(static/[^"]+)"', asked.body.decode()):
            assert told.ask(f"/{path}").status == 200
        assert told.post("/", b"token=" + b"x" * 2000, FORM).status == 413
        assert told.post("/", b"&".join([b"a=b"] * 100), FORM).status == 401
        elsewhere = told.post("/", f"token={TOKEN}".encode(), FORM, origin="http://evil.example")
        assert (elsewhere.status, elsewhere.headers["set-cookie"]) == (403, None)


def test_a_link_from_elsewhere_logs_nobody_out() -> None:
    with running(Settings(token=TOKEN)) as told:
        pair = told.ask(f"/?token={TOKEN}").headers["set-cookie"].partition(";")[0]
        answer = told.ask("/?token=wrong", cookie=pair, sec_fetch_site="cross-site")
        assert (answer.status, answer.headers["location"], answer.headers["set-cookie"]) == (303, "./", None)


def test_tokens_cannot_be_guessed_fast() -> None:
    with running(Settings(token=TOKEN, limits=Limits(guess_seconds=60, guesses=2))) as told:
        guess = b"GET /api/state HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\n\r\n"
        pair = told.ask(f"/?token={TOKEN}").headers["set-cookie"].partition(";")[0]
        with socket.create_connection(("127.0.0.1", told.port)) as one, socket.create_connection(("127.0.0.1", told.port)) as other:
            one.sendall(guess)
            other.sendall(guess)
            wait_for(lambda: told.ask("/api/state", authorization=f"Bearer {TOKEN}").status == 429)
            answer = told.ask("/", authorization=f"Bearer {TOKEN}")  # even the right one isn't looked at
            said = "too many wrong tokens come from your address: wait a moment"
            assert told.ask("/api/state", authorization=f"Bearer {TOKEN}").error == said
            assert told.ask(f"/?token={TOKEN}").status == 429
            assert told.ask("/api/state", cookie=pair).status == 200  # a cookie can't be guessed
            assert told.ask("/api/state").status == 401
            assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "192.168.1.7:8080", "[::1]:8080", "[fe80::1%25eth0]", "localhost", "raspberrypi", "RaspberryPi.local:80",
     "pi.lan", "pi.home.arpa", "cam.example.org", "CAM.example.org.:8080"],
)  # fmt: skip
def test_names_of_this_server(host: str) -> None:
    assert is_ours(host, parse("cam.example.org pi.fritz.box"))


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "local.evil.example", "x.cam.example.org"]
)
def test_another_sites_name_is_not_this_server(host: str) -> None:
    """DNS rebinding: a page's own name points here, and to the browser this server is that page's site."""
    assert not is_ours(host, parse("cam.example.org"))
    with running(Settings(hostnames=parse("cam.example.org"))) as told:
        for path in ("/api/frame", "/", "/api/state"):
            answer = told.ask(path, host=host)
            name = host.partition(":")[0]
            said = f"this server isn't known by the name {name}: start it with --hostnames {name}, or with a token"
            assert (answer.status, answer.error) == (403, said)
        assert told.ask("/api/state", host="cam.example.org").status == 200
    with running(Settings(token=TOKEN)) as told:  # a token is enough: the page's site has no cookie of it
        assert told.ask("/api/state", host=host, authorization=f"Bearer {TOKEN}").status == 200


def test_a_port_that_is_taken(site: Running) -> None:
    with pytest.raises(BadUse, match=f"can't listen on 127.0.0.1, port {site.port}: Address already in use"):
        listen(Settings(host="127.0.0.1", port=site.port))
    with pytest.raises(BadUse, match=r"can't listen on no\.such\.host\.invalid, port 1"):
        listen(Settings(host="no.such.host.invalid", port=1))


PROGRAM = """
import sys
sys.path[:0] = [{pi!r}, {steps!r}, {root!r}]
from litekiln_pi.pipeline import Pipeline
from litekiln_pi.server import Limits, Settings, serve
from tests.pi.fakes import FakeBundle, FakeModel, FakeSource
serve(Pipeline(FakeModel(), FakeSource()), FakeBundle(), Settings(host="127.0.0.1", port=0))
print("came back")
"""


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("127.0.0.1", "the page is at http://127.0.0.1:8080/"),
        ("::1", "the page is at http://[::1]:8080/"),
        ("0.0.0.0", "the page is on port 8080 of the container, at all its addresses"),
        ("::", "the page is on port 8080 of the container, at all its addresses"),
    ],
)
def test_it_says_where_the_page_is(host: str, told: str) -> None:
    assert where(host, 8080) == told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_soon_whoever_is_connected(number: signal.Signals) -> None:
    root = Path(__file__).resolve().parents[2]
    text = PROGRAM.format(pi=str(root / "pi"), steps=str(root / "steps"), root=str(root))
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stderr is not None
        told = re.search(r"the page is at http://127.0.0.1:(\d+)/", program.stderr.readline())
        assert told
        sockets = []
        for request in (b"GET /api/detections HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n", b"GET /api/fr", b""):
            for _ in range(3):
                client = socket.create_connection(("127.0.0.1", int(told[1])), timeout=5)
                client.sendall(request)
                sockets.append(client)
        upload = socket.create_connection(("127.0.0.1", int(told[1])), timeout=5)
        upload.sendall(b"POST /api/detect HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 1000\r\n\r\n")
        sockets[0].recv(100)
        time.sleep(0.2)
        started = time.monotonic()
        program.send_signal(number)
        out, err = program.communicate(timeout=30)
        assert time.monotonic() - started < 8  # Docker waits for ten
        assert (program.returncode, out) == (0, "came back\n")
        assert "Traceback" not in err
        for each in [*sockets, upload]:
            each.close()
    assert threading.active_count() < 20
