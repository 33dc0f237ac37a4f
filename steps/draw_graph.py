"""Draw the graph of a .tflite file as graph.svg, and keep graph.dot, from which it is laid out."""

from __future__ import annotations

import resource
import signal
from typing import TYPE_CHECKING, Any

import protocol

from graph import graph_facts, graph_picture

if TYPE_CHECKING:
    import types
    from collections.abc import Callable

# A stranger's file can be made so that reading it never ends or fills the memory; no honest file comes near these limits.
READING_SECONDS = 120
MEMORY = 4 << 30


def draw(args: dict[str, Any]) -> dict[str, Any]:
    with open(protocol.input_path("model"), "rb") as stream:
        data = stream.read()
    file = _within_limits(lambda: graph_facts.read(data))
    dot, svg = graph_picture.draw(file)
    for name, text in (("graph.dot", dot), ("graph.svg", svg)):
        with open(protocol.output_path(name), "w", encoding="utf-8") as stream:
            stream.write(text)
    return graph_facts.describe(file)


def _within_limits(read: Callable[[], graph_facts.File]) -> graph_facts.File:
    """What `read` gives, or a refusal where it takes too long."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, before[1]))
    signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, READING_SECONDS, 1)  # repeated, because some code swallows errors
    try:
        return read()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _too_long(_signal: int, _frame: types.FrameType | None) -> None:
    raise protocol.Refused("reading it takes more than %d s: it is damaged, or made to be endless" % READING_SECONDS)


if __name__ == "__main__":
    protocol.main(draw)
