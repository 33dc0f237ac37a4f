"""The room: who is asked when, in which order, what is said of each, and that nobody can hide another."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from litekiln_pi.fleet import room as room_module
from litekiln_pi.fleet.asking import STRANGE, TOKEN, UNREACHABLE, Answer, NoCard
from litekiln_pi.fleet.cards import Card
from litekiln_pi.fleet.places import MOST, Place, Roster
from litekiln_pi.fleet.room import Room
from litekiln_pi.fleet.rows import Row, summary
from litekiln_pi.fleet.table import table
from litekiln_pi.pace import LINGER_SECONDS

CARD = Card("i1", "", "shapes", "int8", "1.4.0", "3fa9", "ok", "ok", "", "Pi 4", 12.5, 0.1, 51.0, (), counts_only=False)
ONE, TWO = Place("10.0.0.1", name="Desk 1"), Place("10.0.0.2")


class Others:
    """What the others answer, and how often each was asked."""

    def __init__(self, **cards: Any) -> None:
        self.answers: dict[str, Any] = {host.replace("_", "."): each for host, each in cards.items()}
        self.asked: list[str] = []
        self.at_once = self.most = 0

    async def ask(self, place: Place, _: str) -> Answer:
        self.asked.append(place.host)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        told = self.answers.get(place.host, NoCard(UNREACHABLE, "no connection"))
        if isinstance(told, Exception):
            raise told
        return Answer(told if isinstance(told, bytes) else json.dumps(told.as_data()).encode(), place.host)


def _found(*hosts: str) -> Callable[[], list[Place]]:
    return lambda: [Place(host, listed=False) for host in hosts]


def _own(card: Card) -> Callable[[], Awaitable[Card]]:
    async def own() -> Card:
        return card

    return own


def _once(others: Others, *places: Place, find: Any = None, **more: Any) -> list[Row]:
    return asyncio.run(Room(Roster(places, finds=bool(find)), ask=others.ask, find=find or list, **more).once())


def _names(rows: list[Row]) -> list[str]:
    return [each.name for each in rows]


def test_itself_then_the_list_then_the_found_by_number() -> None:
    others = Others(**{"10_0_0_1": replace(CARD, name="One"), "10_0_0_9": replace(CARD, instance="i9", name="Nine")})
    rows = _once(others, TWO, ONE, find=_found("10.0.0.10", "10.0.0.9"), own=_own(replace(CARD, instance="own", name="Itself")))
    assert _names(rows) == ["Itself", "10.0.0.2:8080", "One", "Nine", "10.0.0.10:8080"]
    assert [each.as_data(pictures=False)["how"] for each in rows] == ["this one", "listed", "listed", "found", "found"]


def test_one_that_is_listed_and_found_is_there_once() -> None:
    others = Others(**{"10_0_0_1": CARD, "10_0_0_5": CARD, "10_0_0_6": replace(CARD, instance="own")})
    rows = _once(others, ONE, find=_found("10.0.0.1", "10.0.0.5", "10.0.0.6"), own=_own(replace(CARD, instance="own")))
    assert [each.place.host for each in rows if each.place] == ["10.0.0.1"]


def test_a_server_that_finds_itself_is_there_once_also_with_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own token is not sent to what was found, so it can't know itself by its card."""
    monkeypatch.setattr("litekiln_pi.fleet.mdns.is_own", lambda address: address == "10.0.0.6")
    others = Others(**{"10_0_0_6": NoCard(TOKEN, ""), "10_0_0_7": NoCard(TOKEN, "")})
    rows = _once(others, find=_found("10.0.0.6", "10.0.0.7"), own=_own(CARD), own_port=8080, token="word")
    assert [each.place.host if each.place else "" for each in rows] == ["", "10.0.0.7"]


def test_nobody_hides_a_listed_one_by_its_instance() -> None:
    others = Others(**{"10_0_0_1": CARD, "10_0_0_2": CARD, "10_0_0_3": CARD})
    rows = _once(others, ONE, TWO, find=_found("10.0.0.3"))
    assert [each.place.host for each in rows if each.place] == ["10.0.0.1", "10.0.0.2"]


def test_the_list_itself_may_name_this_server() -> None:
    rows = _once(Others(**{"10_0_0_1": CARD}), ONE, own=_own(CARD))
    assert [each.place for each in rows] == [None]


def test_no_more_than_so_many_and_so_many_at_once() -> None:
    others = Others()
    rows = _once(others, find=_found(*(f"10.0.{one}.{two}" for one in range(2) for two in range(200))))
    assert len(rows) == MOST
    assert others.most == room_module.AT_ONCE


@pytest.mark.parametrize(
    ("answer", "state", "why"),
    [
        (b"<html>", STRANGE, "its card is not JSON"),
        (NoCard(TOKEN, ""), TOKEN, "start this server with the room's LITEKILN_TOKEN, or open its page"),
        (NoCard(STRANGE, "it answers with status 500"), STRANGE, "it answers with status 500"),
        (ZeroDivisionError(), STRANGE, "its answer can't be read: ZeroDivisionError"),
        (replace(CARD, status="wrong results", problem="don't trust"), "wrong results", "don't trust"),
        (replace(CARD, throttling=("under-voltage now: use a stronger power supply", "it has been throttled")), "ok",
         "under-voltage now: use a stronger power supply"),
    ],
)  # fmt: skip
def test_who_needs_somebody_and_why(answer: Any, state: str, why: str) -> None:
    row = _once(Others(**{"10_0_0_1": answer}), ONE)[0]
    assert (row.state, row.reason, row.well) == (state, why, False)


def test_the_token_s_advice_depends_on_who_asks() -> None:
    others = Others(**{"10_0_0_1": NoCard(TOKEN, ""), "10_0_0_3": NoCard(TOKEN, "")})
    rows = _once(others, ONE, find=_found("10.0.0.3"), token="word")
    assert [each.why for each in rows] == [
        "this server's LITEKILN_TOKEN is another one: open its page",
        "the room's token goes only to listed addresses: list this one, or open its page",
    ]


@pytest.mark.parametrize("status", ["resting", "paused"])
def test_who_rests_or_was_paused_is_well(status: str) -> None:
    assert _once(Others(**{"10_0_0_1": replace(CARD, status=status)}), ONE)[0].well


def test_one_missed_answer_changes_nothing_and_silence_does(monkeypatch: pytest.MonkeyPatch) -> None:
    others = Others(**{"10_0_0_1": replace(CARD, name="One")})
    room = Room(Roster((ONE,)), ask=others.ask)

    async def rounds() -> None:
        assert (await room.once())[0].state == "ok"
        others.answers.clear()
        assert (await room.once())[0].state == "ok"
        monkeypatch.setattr(room_module, "GRACE_SECONDS", -1.0)
        known = room._known[ONE]
        known.answered -= 60
        row = (await room.once())[0]
        assert (row.state, row.name, row.well) == (UNREACHABLE, "One", False)
        assert row.since is not None
        assert row.since >= 60  # since its last answer
        assert row.as_data(pictures=True)["fps"] is None  # what it said then is no news
        assert row.as_data(pictures=True)["model"] == "shapes"

    asyncio.run(rounds())


def test_a_camera_is_missing_since_its_last_frame() -> None:
    row = _once(Others(**{"10_0_0_1": replace(CARD, status="waiting", age=300.0)}), ONE)[0]
    assert row.since is not None
    assert row.since >= 300


def test_a_found_one_that_is_gone_for_long_is_forgotten_and_a_listed_one_never() -> None:
    room = Room(Roster((ONE,), finds=True), ask=Others().ask, find=_found("10.0.0.7"))

    async def rounds() -> None:
        assert len(await room.once()) == 2
        room._find = list
        for known in room._known.values():
            known.began = time.monotonic() - 700
        assert [each.place for each in await room.once()] == [ONE]

    asyncio.run(rounds())


def test_it_asks_only_while_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(room_module, "LINGER_SECONDS", 0.3)
    others = Others(**{"10_0_0_1": CARD})
    room = Room(Roster((ONE,)), ask=others.ask)

    async def look_and_leave() -> None:
        assert others.asked == []
        assert (await room.look())[0].state == "ok"
        assert room._asking is not None
        await room._asking
        asked = len(others.asked)
        assert asked >= 2
        await asyncio.sleep(0.05)
        assert len(others.asked) == asked
        assert (await room.look())[0].state == "ok"
        await asyncio.sleep(0.05)
        assert len(others.asked) > asked

    asyncio.run(look_and_leave())


def test_what_was_known_before_nobody_looked_is_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "LINGER_SECONDS", 0.05)
    monkeypatch.setattr(room_module, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(room_module, "FIRST_SECONDS", 0.05)
    others = Others(**{"10_0_0_1": replace(CARD, name="One")})
    late = asyncio.Event()

    async def ask(place: Place, token: str) -> Answer:
        if late.is_set():
            await asyncio.sleep(60)
        return await others.ask(place, token)

    async def look() -> None:
        room = Room(Roster((ONE,)), ask=ask)
        assert (await room.look())[0].as_data(pictures=True)["fps"] == 12.5
        assert room._asking is not None
        await room._asking
        late.set()
        told = (await room.look())[0].as_data(pictures=True)
        assert (told["name"], told["state"], told["picture"], told["fps"]) == ("One", "asked", "", None)

    asyncio.run(look())


def test_the_first_look_does_not_wait_for_those_that_are_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "FIRST_SECONDS", 0.05)
    others = Others(**{"10_0_0_1": CARD})

    async def ask(place: Place, token: str) -> Answer:
        if place == TWO:
            await asyncio.sleep(60)
        return await others.ask(place, token)

    async def look() -> None:
        room = Room(Roster((TWO, ONE)), ask=ask)
        rows = await room.look()
        assert [each.state for each in rows] == ["asked", "ok"]
        assert summary(rows) == "1 of 2 are well; 1 has not answered yet"
        assert [each.state for each in await room.look()] == ["asked", "ok"]

    asyncio.run(look())


def test_nobody_waits_for_those_that_are_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """More are off than are asked at a time, and each takes for ever: the others are asked again and again."""
    monkeypatch.setattr(room_module, "EVERY_SECONDS", 0.02)
    others, off = Others(**{"10_0_0_1": CARD}), [Place(f"10.0.1.{number}") for number in range(60)]

    async def ask(place: Place, token: str) -> Answer:
        if place != ONE:
            await asyncio.sleep(60)
        return await others.ask(place, token)

    async def look() -> None:
        room = Room(Roster((*off, ONE)), ask=ask)
        for each in off:
            room._known[each].silent = True
        for _ in range(20):
            await room.look()
            await asyncio.sleep(0.02)
        assert others.asked.count(ONE.host) >= 5

    asyncio.run(look())


def test_the_loops_do_not_rest_between_two_questions() -> None:
    assert room_module.EVERY_SECONDS < LINGER_SECONDS


def test_without_a_network_nothing_is_found() -> None:
    def fail() -> list[Place]:
        raise OSError

    assert _once(Others(), find=fail) == []
    assert summary([]) == table([]) == "no Pi is known"


def test_the_table_says_who_needs_you() -> None:
    others = Others(**{"10_0_0_1": replace(CARD, name="Desk 1"), "10_0_0_2": replace(CARD, status="failed", problem="a part died")})
    text = table(_once(others, ONE, TWO, Place("pi3.local", name="Desk 3")))
    lines = text.splitlines()
    assert lines[0].split() == ["name", "state", "model", "version", "verdict", "frames/s", "°C", "address"]
    assert lines[1].split() == ["✓", "Desk", "1", "live", "shapes", "int8", "1.4.0", "ok", "12.5", "51", "http://10.0.0.1:8080/"]
    assert lines[3].split() == ["✗", "Desk", "3", "not", "reachable", "http://pi3.local:8080/"]
    assert lines[-3:] == [
        "✗ 10.0.0.2:8080: failed: a part died",
        "✗ Desk 3: not reachable: no connection",
        "1 of 3 are well. 2 need you: 10.0.0.2:8080 (failed), Desk 3 (not reachable)",
    ]


def test_the_summary_of_one() -> None:
    others = Others(**{"10_0_0_1": CARD})
    assert summary(_once(others, ONE)) == "1 of 1 is well."
    slow = replace(CARD, throttling=("throttled now",))
    assert summary(_once(Others(**{"10_0_0_1": slow}), ONE)) == "0 of 1 is well. 1 needs you: Desk 1 (throttled now)"
