"""What makes measured times doubtful, in words."""

from collections.abc import Iterator
from typing import Any

HOT = 80  # degrees: a Pi slows down from here on
BUSY = 0.5  # programs that wanted a processor before
APART = 0.15  # between the medians of rounds, as a share
SLOWER = 0.95  # of the highest clock
EMULATED = "emulated"


def doubts(told: dict[str, Any]) -> list[str]:
    """Why not to trust a measurement's times; the worst first."""
    return list(_found(told, told["conditions"]))


def _found(told: dict[str, Any], conditions: dict[str, Any]) -> Iterator[str]:
    if not told["selftest"]["ok"]:
        yield f"this machine computes other results than were verified: {told['selftest']['said']}"
    if told["device"]["kind"] == EMULATED:
        yield "the processor is emulated: these times say nothing about a real one"
    if not told["complete"]:
        yield f"it was stopped after {told['rounds']} round{'s' * (told['rounds'] > 1)}"
    for words in (conditions["throttling"] or {}).get("during", []):
        yield f"while it was measured: {words}"
    heat, seen, most = conditions["temperature"], conditions["megahertz_seen"], told["device"]["megahertz"]["max"]
    if heat and heat["highest"] >= HOT:
        yield f"it was {heat['highest']:.0f} °C hot: a Pi slows down from {HOT} °C on, so cool it"
    if seen and most and seen["min"] < SLOWER * most:
        yield f"the clock went down to {seen['min']} of {most} MHz"
    if (conditions["load_before"] or 0) > BUSY:
        yield f"other programs were busy before (load {conditions['load_before']:.1f}): stop them and measure again"
    apart = max((_apart(each["inference"]["rounds"]) for each in told["threads"]), default=0.0)
    if apart > APART:
        yield f"the rounds differ by up to {apart:.0%}: something else ran, or the clock changed"


def _apart(rounds: list[float]) -> float:
    return (max(rounds) - min(rounds)) / min(rounds) if min(rounds) else 0.0
