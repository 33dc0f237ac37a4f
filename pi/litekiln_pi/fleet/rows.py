"""What a room's page says of each Pi, in words: the same for the page, the table in a terminal and programs."""

import base64
from dataclasses import dataclass
from typing import Any

from litekiln_pi.fleet import asking
from litekiln_pi.fleet.cards import Card
from litekiln_pi.fleet.places import Place

OWN, LISTED, FOUND = "this one", "listed", "found"
ASKED = "asked"  # the state before the first answer
LIVE = "live"
# The words for each state, and whether a Pi in it is well.
STATES: dict[str, tuple[str, bool]] = {
    "ok": (LIVE, True),
    "resting": ("resting", True),  # nobody looks, so it saves power
    "paused": ("paused", True),
    "waiting": ("no pictures", False),
    "ended": ("ended", False),
    "failed": ("failed", False),
    "wrong results": ("wrong results", False),
    asking.UNREACHABLE: ("not reachable", False),
    asking.TOKEN: ("needs its token", False),
    asking.REFUSES: ("refuses", False),
    asking.STRANGE: ("not understood", False),
    ASKED: ("asking …", True),
}


@dataclass(frozen=True)
class Row:
    """One Pi. `place` is None for the asking server itself; `since` is how many seconds it has been in this state."""

    place: Place | None
    state: str
    why: str = ""
    card: Card | None = None  # the last one, also if it doesn't answer any more
    since: float | None = None

    @property
    def well(self) -> bool:
        return STATES[self.state][1] and not self.slowed

    @property
    def slowed(self) -> tuple[str, ...]:
        """What slows it down now: it needs somebody, though it works."""
        answers = self.card is not None and self.state == self.card.status
        return tuple(each for each in self.card.throttling if " now" in each) if self.card and answers else ()

    @property
    def words(self) -> str:
        return STATES[self.state][0]

    @property
    def name(self) -> str:
        """What people call it; where it has no name, its address."""
        told = self.card.name if self.card else ""
        return told or (self.place.name or self.place.host_header if self.place else "this server")

    @property
    def reason(self) -> str:
        return "; ".join(filter(None, (self.why, *self.slowed)))

    def as_data(self, *, pictures: bool) -> dict[str, Any]:
        card, place = self.card, self.place
        fresh = card is not None and self.state == card.status
        data: dict[str, Any] = {
            "id": place.address if place else OWN,
            "name": self.name,
            "address": place.address if place else "",
            "how": (LISTED if place.listed else FOUND) if place else OWN,
            "state": self.state,
            "words": self.words,
            "well": self.well,
            "why": self.reason,
            "since": None if self.since is None else round(self.since, 1),
        }
        for key in ("model", "variant", "version", "sha256", "verdict", "board"):
            data[key] = getattr(card, key) if card else ""
        for key in ("fps", "temperature", "counts_only"):
            data[key] = getattr(card, key) if card and fresh else None
        if pictures:
            data["picture"] = base64.b64encode(card.picture).decode() if card and fresh else ""
        return data


def summary(rows: list[Row]) -> str:
    """`28 of 30 are well. 2 need you: Desk 7 (not reachable), Desk 9 (no pictures)`."""
    asked = [each for each in rows if each.state != ASKED]
    ill = [each for each in asked if not each.well]
    if not rows:
        return "no Pi is known"
    if not asked:
        return f"asking {len(rows)} …"
    told = f"{len(asked) - len(ill)} of {len(rows)} {'is' if len(rows) == 1 else 'are'} well"
    if not ill:
        left = len(rows) - len(asked)
        return f"{told}; {left} {'has' if left == 1 else 'have'} not answered yet" if left else f"{told}."
    who = ", ".join(f"{each.name} ({_short(each)})" for each in ill)
    return f"{told}. {len(ill)} need{'s' if len(ill) == 1 else ''} you: {who}"


def _short(row: Row) -> str:
    return row.words if not STATES[row.state][1] else "; ".join(row.slowed).partition(":")[0]
