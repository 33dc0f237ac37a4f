"""Draw the graph of a .tflite file: graph.svg, and graph.dot, which it was laid out from."""

import resource
import signal

import protocol

import graph_facts
import graph_picture

# A file of a stranger can be made so that reading it never ends or fills the memory; no honest one comes near these.
READING_SECONDS = 120
MEMORY = 4 << 30


def draw(args):
    with open(protocol.input_path("model"), "rb") as stream:
        data = stream.read()
    file = _within_limits(lambda: graph_facts.read(data))
    dot, svg = graph_picture.draw(file)
    for name, text in (("graph.dot", dot), ("graph.svg", svg)):
        with open(protocol.output_path(name), "w", encoding="utf-8") as stream:
            stream.write(text)
    return graph_facts.describe(file)


def _within_limits(read):
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, before[1]))
    signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, READING_SECONDS, 1)  # again and again: some code passes over errors
    try:
        return read()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _too_long(_signal, _frame):
    raise protocol.Refused("reading it takes more than %d s: it is damaged, or made to be endless" % READING_SECONDS)


if __name__ == "__main__":
    protocol.main(draw)
