"""The Pis of a room and how each of them is. They are asked only while somebody looks."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from litekiln_pi.fleet import asking, mdns
from litekiln_pi.fleet.asking import Answer, NoCard
from litekiln_pi.fleet.cards import BadCard, Card, read_card
from litekiln_pi.fleet.places import MOST, Place, Roster
from litekiln_pi.fleet.rows import ASKED, STATES, Row, summary

AT_ONCE, SILENT_AT_ONCE = 32, 8  # Pis that are asked at a time; the second for those that didn't answer the last time
EVERY_SECONDS = 2.5  # from one question to a Pi to the next: its loop would rest after three
FIND_SECONDS = 20.0  # from one search by mDNS to the next
LINGER_SECONDS = 12.0  # that asking goes on after the last look
FIRST_SECONDS = 2.0  # that the first look waits for answers: those that are on answer by then
GRACE_SECONDS = 10.0  # a Pi may miss one question before it is called unreachable
FORGET_SECONDS = 600.0  # after which one that was found, and no longer answers, is forgotten: its address may be another's
Ask = Callable[[Place, str], Awaitable[Answer]]
Own = Callable[[], Awaitable[Card]]
Find = Callable[[], list[Place]]


@dataclass
class _Known:
    """What is known of one Pi."""

    state: str = ASKED
    why: str = ""
    card: Card | None = None
    peer: str = ""  # the address that it answered from
    began: float = field(default_factory=time.monotonic)  # with this state
    answered: float = float("-inf")  # when it last gave a card
    silent: bool = False  # it didn't answer the last question
    question: asyncio.Future[None] | None = None  # while it is being asked

    @property
    def instance(self) -> str | None:
        return self.card.instance if self.card else None


class Room:
    """`own` gives the card of the server that this runs in, at `own_port`; without it that is no Pi.

    The token goes to listed places only.
    """

    def __init__(
        self,
        roster: Roster,
        *,
        token: str = "",
        own: Own | None = None,
        own_port: int = 0,
        ask: Ask = asking.ask,
        find: Find = mdns.find,
    ) -> None:
        self._own_port = own_port
        self._roster, self._token, self._own, self._ask, self._find = roster, token, own, ask, find
        self._known: dict[Place, _Known] = {place: _Known() for place in roster.places}
        self._itself = _Known()
        self._looked = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self._first = asyncio.Event()  # the first round is over
        self._lines = asyncio.Semaphore(AT_ONCE)
        self._lines_for_silent = asyncio.Semaphore(SILENT_AT_ONCE)  # of their own, so that nobody waits for those that are off
        self._searched = float("-inf")

    async def look(self) -> list[Row]:
        """How all are, as far as is known, without waiting for slow ones. From now on they are asked again and again."""
        self._looked = time.monotonic()
        if self._asking is None or self._asking.done():
            self._first.clear()
            self._forget_states()
            self._asking = asyncio.ensure_future(self._go_on())
            await self._wait_for_first()
        return self.rows()

    def _forget_states(self) -> None:
        """Nobody was asked while nobody looked: what is known from then may no longer be so."""
        for known in (self._itself, *self._known.values()):
            known.state, known.why, known.began, known.answered = ASKED, "", time.monotonic(), float("-inf")

    async def once(self) -> list[Row]:
        """How all are after one round of questions."""
        await self._search()
        if questions := self._questions():
            await asyncio.wait(questions)
        return self.rows()

    async def _wait_for_first(self) -> None:
        try:
            await asyncio.wait_for(self._first.wait(), FIRST_SECONDS)
        except asyncio.TimeoutError:
            return

    async def _go_on(self) -> None:
        search: asyncio.Future[None] | None = None
        while time.monotonic() - self._looked < LINGER_SECONDS:
            began = time.monotonic()
            if (search is None or search.done()) and began - self._searched > FIND_SECONDS:
                self._searched, search = began, asyncio.ensure_future(self._search())
            if questions := self._questions():
                await asyncio.wait(questions, timeout=EVERY_SECONDS)
            self._first.set()
            await asyncio.sleep(max(0.05, EVERY_SECONDS - (time.monotonic() - began)))

    async def _search(self) -> None:
        """Add those that announce themselves."""
        if self._roster.finds:
            for place in await asyncio.get_running_loop().run_in_executor(None, self._search_quietly):
                itself = place.port == self._own_port and mdns.is_own(place.host)
                if not itself and place not in self._known and len(self._known) < MOST:
                    self._known[place] = _Known()

    def _search_quietly(self) -> list[Place]:
        try:
            return self._find()
        except OSError:  # there is no network
            return []

    def _questions(self) -> list[asyncio.Future[None]]:
        """Ask each again that isn't being asked: all questions that are on their way."""
        now = time.monotonic()
        for place, known in list(self._known.items()):
            if not place.listed and known.state == asking.UNREACHABLE and now - known.began > FORGET_SECONDS:
                del self._known[place]
        for place, known in self._known.items():
            if known.question is None or known.question.done():
                known.question = asyncio.ensure_future(self._ask_one(place, known))
        if self._own and (self._itself.question is None or self._itself.question.done()):
            self._itself.question = asyncio.ensure_future(self._ask_itself(self._own))
        return [each.question for each in (self._itself, *self._known.values()) if each.question]

    async def _ask_itself(self, own: Own) -> None:
        card = await own()
        self._tell(self._itself, card.status, card.problem, card)

    async def _ask_one(self, place: Place, known: _Known) -> None:
        async with self._lines_for_silent if known.silent else self._lines:
            try:
                answer = await self._ask(place, self._token)
                card = read_card(answer.body)
            except NoCard as error:
                known.silent = error.kind == asking.UNREACHABLE
                if known.silent and time.monotonic() - known.answered < GRACE_SECONDS:
                    return
                self._tell(known, error.kind, self._token_needed(place) if error.kind == asking.TOKEN else str(error))
            except BadCard as error:
                self._tell(known, asking.STRANGE, str(error))
            except Exception as error:  # a mistake of ours; the others are still asked
                self._tell(known, asking.STRANGE, f"its answer can't be read: {type(error).__name__}")
            else:
                known.peer, known.silent = answer.peer, False
                self._tell(known, card.status, card.problem, card)

    def _token_needed(self, place: Place) -> str:
        if not place.listed:
            return "the room's token goes only to listed addresses: list this one, or open its page"
        if self._token:
            return "this server's LITEKILN_TOKEN is another one: open its page"
        return "start this server with the room's LITEKILN_TOKEN, or open its page"

    @staticmethod
    def _tell(known: _Known, state: str, why: str, card: Card | None = None) -> None:
        now = time.monotonic()
        if state != known.state:
            # one that stopped answering has been silent since its last answer
            known.began = known.answered if state == asking.UNREACHABLE and known.answered > 0 else now
        known.state, known.why = state, why
        if card:
            known.card, known.answered = card, now

    def rows(self) -> list[Row]:
        """Itself first, then as listed, then as found by address: an order that doesn't change with their states."""
        own = self._itself.card.instance if self._own and self._itself.card else None
        rows = [self._row(None, self._itself)] if self._own else []
        listed = {place: self._known[place] for place in self._roster.places}
        rows += [self._row(place, known) for place, known in listed.items() if own is None or known.instance != own]
        # Of one that is listed and found the latter is left out, and never the other way: nobody can hide what its owner listed.
        there = {own, *(known.instance for known in listed.values())} - {None}
        peers = {(known.peer or place.host, place.port) for place, known in listed.items()}
        found = sorted((place for place in self._known if not place.listed), key=lambda each: _by_number(each.host, each.port))
        for place in found:
            if self._known[place].instance not in there and (place.host, place.port) not in peers:
                rows.append(self._row(place, self._known[place]))
        return rows

    def _row(self, place: Place | None, known: _Known) -> Row:
        since: float | None = None if known.state == ASKED else time.monotonic() - known.began
        card = known.card
        if card and card.status == known.state and card.age is not None and not STATES[known.state][1]:
            since = max(since or 0.0, card.age + time.monotonic() - known.answered)
        return Row(place, known.state, known.why, card, since)

    def as_data(self, rows: list[Row], *, pictures: bool = True) -> dict[str, Any]:
        """What programs and the page get."""
        asked = [each for each in rows if each.state != ASKED]
        return {
            "summary": summary(rows),
            "well": sum(each.well for each in asked),
            "of": len(rows),
            "finds": self._roster.finds,
            "pis": [each.as_data(pictures=pictures) for each in rows],
        }


def _by_number(host: str, port: int) -> tuple[bytes, int]:
    return bytes(int(each) for each in host.split(".")) if host.replace(".", "").isdigit() else host.encode(), port
