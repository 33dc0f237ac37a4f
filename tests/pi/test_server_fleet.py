"""A Pi's card and the room's page as programs see them; and the page alone, without a camera and a model."""

import base64
import http.client
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from PIL import Image

from litekiln_pi.fleet.cards import read_card
from litekiln_pi.fleet.places import Place, Roster
from litekiln_pi.fleet.room import Room
from litekiln_pi.frames import Detection, Seen, Shot
from litekiln_pi.main import main
from litekiln_pi.pace import Pace
from litekiln_pi.server import Settings
from litekiln_pi.server.card import small
from litekiln_pi.server.fleet_routes import FleetApp
from litekiln_pi.server.openapi import DESCRIPTION
from litekiln_pi.server.running import Server, listen
from litekiln_pi.stills import COLOURS
from tests.pi.fakes import GREY, FakeSource, scene, wait_for
from tests.pi.fleet_room import HOSTILE, TOKEN, Desk, Shapes, Thirty, nowhere, thirty
from tests.pi.serving import Running, running

ROOT = Path(__file__).resolve().parents[2]


def _check(name: str, data: Any) -> None:
    jsonschema.validate(data, {"$ref": f"#/components/schemas/{name}", "components": DESCRIPTION["components"]})


@pytest.fixture(scope="module")
def room() -> Iterator[Thirty]:
    with thirty() as told:
        yield told


def _states(told: Any) -> dict[str, str]:
    return {pi["name"]: pi["state"] for pi in told["pis"]}


WANTED = {
    **{f"Desk {number}": "ok" for number in (*range(1, 9), 11, 12, 19, *range(21, 28))},
    **{f"Desk {number}": "unreachable" for number in (9, 15, 28, 29, 30)},
    "Desk 10": "token", "Desk 13": "wrong results", "Desk 14": "waiting", "Desk 16": "strange", "Desk 17": "strange",
    "Desk 20": "paused", " ".join(HOSTILE[:60].replace("\u202e", " ").split()): "ok",
}  # fmt: skip


def test_thirty_of_which_some_are_off_slow_hostile_or_shut(room: Thirty) -> None:
    settings = Settings(name="Own", token=TOKEN, fleet=Roster(tuple(room.places)))
    with running(settings, Desk(), Shapes()) as told:

        def asked(path: str = "/api/fleet") -> Any:
            return told.ask(path, authorization=f"Bearer {TOKEN}").data

        first = asked()  # it doesn't wait for those that are slow or off
        assert len(first["pis"]) == 31
        wait_for(lambda: _states(asked()) == {"Own": "ok", **WANTED}, 30)
        data = asked()
        _check("Fleet", data)
        assert (data["well"], data["of"], data["finds"]) == (21, 31, False)
        by_name = {pi["name"]: pi for pi in data["pis"]}
        assert by_name["Desk 12"]["counts_only"] is True
        assert by_name["Desk 12"]["picture"] == ""
        assert base64.b64decode(by_name["Desk 1"]["picture"]).startswith(b"\xff\xd8")
        assert by_name["Desk 16"]["why"] == "its answer is larger than 96 kB"
        assert by_name["Desk 17"]["why"] == "it sends us elsewhere (status 302), which is not followed"
        assert by_name["Desk 15"]["why"] == "it didn't finish its answer within 4 s"
        assert "don't trust what you see" in by_name["Desk 13"]["why"]
        assert "picture" not in asked("/api/fleet?pictures=0")["pis"][0]
        assert room.elsewhere == []  # nobody followed the redirect
        told.loop_goes_on()


def test_the_command_prints_a_table_once(
    room: Thirty, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = tmp_path / "room.txt"
    listed.write_text("".join(f"127.0.0.1:{each.port} {each.name.replace(HOSTILE[:60], '')}\n" for each in room.places))
    monkeypatch.setenv("LITEKILN_TOKEN", TOKEN)
    monkeypatch.setenv("LITEKILN_FLEET", str(listed))
    assert main(["fleet", "--once"]) == 1
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1].startswith("20 of 30 are well. 10 need you: Desk 9 (not reachable), Desk 10 (needs its token)")
    assert "\u202e" not in printed
    assert main(["fleet", "--once", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert _states(told) == WANTED
    _check("Fleet", told)
    assert main(["fleet", "--once", "--list", f"127.0.0.1:{room.places[0].port}"]) == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            (),
            "error: no Pi is named\n  → --list room.txt (one address on each line), --list 192.168.1.17,",
        ),
        (("--list", "http://pi/x"), "error: --list: 'http://pi/x' is more than an address: leave out what follows the port\n"),
        (("--list", "no.txt"), "error: --list: no.txt can't be read: No such file or directory\n"),
    ],
)
def test_a_command_without_a_right_list(given: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", *given]) == 2
    assert capsys.readouterr().err.startswith(message)


# --- a card ----------------------------------------------------------------------------------------------------------------


def test_a_card_is_small_and_says_who_and_how() -> None:
    with running(Settings(name="Bird table 2"), Desk(3), Shapes()) as told:
        answer = told.ask("/api/card")
        _check("Card", answer.data)
        card = read_card(answer.body)
        assert (card.name, card.model, card.variant, card.version) == ("Bird table 2", "shapes", "int8", "1.4.0")
        assert (card.sha256, card.verdict, card.status, card.problem) == ("3fa9c1d2e4b5", "ok", "ok", "")
        assert len(answer.body) < 10_000
        with Image.open(io.BytesIO(card.picture)) as picture:
            assert picture.size == (160, 120)
        assert told.ask("/api/card").data["instance"] == card.instance


def test_counts_only_gives_no_small_picture_either() -> None:
    with running(Settings(counts_only=True)) as told:
        card = told.ask("/api/card").data
        assert (card["counts_only"], card["picture"]) == (True, "")
        own = told.ask("/api/fleet").data["pis"][0]
        assert (own["counts_only"], own["picture"], own["how"], own["address"]) == (True, "", "this one", "")


def test_an_old_picture_is_not_shown() -> None:
    with running(source=FakeSource(count=1)) as told:
        assert told.ask("/api/card").data["picture"]
        assert told.pipeline.latest
        object.__setattr__(told.pipeline.latest, "clock", told.pipeline.latest.clock - 60)
        card = told.ask("/api/card").data
        assert (card["picture"], card["status"]) == ("", "waiting")


def test_who_asks_for_a_card_wakes_the_loop() -> None:
    with running(pace=Pace(rests=True), wait=False) as told:
        wait_for(lambda: told.pipeline.counters.captured > 3)
        assert told.pipeline.counters.looked_at == 0
        assert told.ask("/api/card").data["status"] == "ok"
        assert told.pipeline.counters.looked_at > 0


def test_wrong_results_are_on_the_card() -> None:
    with running(wrong="1 of 3 recorded detections seen") as told:
        card = read_card(told.ask("/api/card").body)
        assert card.status == "wrong results"
        assert "don't trust what you see (1 of 3 recorded detections seen)" in card.problem


def test_the_small_picture_has_boxes_and_the_frame_stays_as_it_is() -> None:
    picture = scene(640, 480)
    found = (Detection("green", 1, 0.9, (80, 120, 560, 360)), Detection("red", 0, 0.2, (0, 0, 40, 40)))
    jpeg = small(Seen(1, 0.0, Shot(picture=picture), 640, 480, found, {}), 0.4)
    assert len(jpeg) < 5000
    with Image.open(io.BytesIO(jpeg)) as drawn:
        assert drawn.size == (160, 120)
        colour = tuple(int(COLOURS[1][at : at + 2], 16) for at in (1, 3, 5))
        edge, corner = (drawn.getpixel(place) for place in ((80, 30), (1, 1)))
        assert max(abs(one - other) for one, other in zip(edge, colour, strict=True)) < 60  # type: ignore[arg-type]
        assert max(abs(one - other) for one, other in zip(corner, GREY, strict=True)) < 20  # type: ignore[arg-type]
    assert picture.size == (640, 480)
    assert picture.getpixel((80, 240)) == GREY
    assert small(Seen(1, 0.0, Shot(jpeg=b"no picture"), 640, 480, (), {}), 0.4) == b""


def test_the_token_guards_card_and_room() -> None:
    with running(Settings(token="word")) as told:
        for path in ("/api/card", "/api/fleet", "/fleet"):
            assert told.ask(path).status == 401
            assert told.ask(path, authorization="Bearer word").status == 200
        page = told.ask("/fleet", accept="text/html")
        assert page.status == 401
        assert b'<form class="card token"' in page.body


def test_a_value_that_is_none() -> None:
    with running() as told:
        answer = told.ask("/api/fleet?pictures=2")
        assert (answer.status, answer.error) == (400, "pictures=2 is neither 1 nor 0")


# --- the page alone --------------------------------------------------------------------------------------------------------


def test_the_page_alone_needs_no_camera() -> None:
    with running(Settings(name="Desk 1"), Desk(), Shapes()) as pi:
        room = Room(Roster((Place("127.0.0.1", pi.port),)))
        settings = Settings()
        listener = listen(Settings(host="127.0.0.1", port=0))
        app = FleetApp(room, settings)
        server = Server(app, settings)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        alone = Running(listener.getsockname()[1], pi.pipeline, pi.source, app, server, thread)  # type: ignore[arg-type]
        try:
            wait_for(lambda: server.started)
            assert b"<title>The room" in alone.ask("/").body
            assert alone.ask("/").body == alone.ask("/fleet").body
            assert alone.ask("/static/fleet.js").status == 200
            assert alone.ask("/healthz").data == {"status": "ok", "problem": ""}
            told = alone.ask("/api/fleet").data
            assert (_states(told), told["summary"]) == ({"Desk 1": "ok"}, "1 of 1 is well.")
            assert alone.ask("/api/state").error == "there is nothing here"
            assert alone.ask("/api/fleet", "POST").status == 405
            assert alone.ask("/api/fleet", host="evil.example.org").status == 403
        finally:
            server.should_exit = True
            thread.join(10)
        assert not thread.is_alive()


def test_the_command_serves_until_it_is_stopped() -> None:
    port = nowhere()
    argv = [
        sys.executable,
        "-m",
        "litekiln_pi",
        "fleet",
        "--list",
        f"127.0.0.1:{nowhere()}",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    path = os.pathsep.join((str(ROOT / "pi"), str(ROOT / "steps")))
    with subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert process.stderr.readline() == f"the page is at http://127.0.0.1:{port}/\n"
        wait_for(lambda: _answers(port))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stderr.read() == ""


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/api/fleet")
        told = json.loads(connection.getresponse().read())
    except OSError:
        return False
    finally:
        connection.close()
    return [each["state"] for each in told["pis"]] == ["unreachable"]
