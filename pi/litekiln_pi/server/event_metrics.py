"""Metrics of events, read from their counts at each request."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from litekiln_pi.events.events import KINDS, Watch


class EventMetrics(Collector):
    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def collect(self) -> "Iterator[CounterMetricFamily | GaugeMetricFamily]":
        counts = self._watch.counts()
        happened = CounterMetricFamily("litekiln_events", "Events of each kind", labels=["event"])
        for kind in KINDS:
            happened.add_metric([kind], self._watch.totals[kind])
        yield happened
        now = GaugeMetricFamily("litekiln_things", "Things that are seen now", labels=["name"])
        appeared = CounterMetricFamily("litekiln_things_appeared", "Things that have appeared", labels=["name"])
        for name, count in counts["now"].items():
            now.add_metric([name], count)
            appeared.add_metric([name], counts["appeared"][name])
        crossed = CounterMetricFamily("litekiln_crossings", "Crossings of a line", labels=["line", "direction", "name"])
        for line, ways in counts["lines"].items():
            for way, names in ways.items():
                for name, count in names.items():
                    crossed.add_metric([line, way, name], count)
        inside = GaugeMetricFamily("litekiln_things_in_zone", "Things that are in a zone now", labels=["zone", "name"])
        for zone, names in counts["zones"].items():
            for name, count in names.items():
                inside.add_metric([zone, name], count)
        sent = CounterMetricFamily("litekiln_event_messages", "Messages to others", labels=["by", "result"])
        for sender in self._watch.senders:
            for result, count in sender.counts.items():
                sent.add_metric([sender.name, result], count)
        yield from (sent, now, appeared, crossed, inside)
