"""Metrics for Prometheus, in their own registry."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector
from starlette.types import Scope

from litekiln_pi.frames import Seen
from litekiln_pi.machine import temperature
from litekiln_pi.pipeline import Pipeline
from litekiln_pi.server.standing import Standing

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0)
PARTS = {
    "decode": "decoding and preparing a frame",
    "inference": "the network",
    "latency": "from a frame's arrival to its detections",
}
METHODS = ("GET", "HEAD", "POST")


class Metrics:
    """The server's own counters, and figures that are read from the loop at each request."""

    def __init__(self, pipeline: Pipeline, standing: Standing, model: str, paths: set[str]) -> None:
        self._paths = paths
        self.registry = CollectorRegistry()
        self._requests = Counter("litekiln_requests", "Answers", ["route", "method", "code"], registry=self.registry)
        self._refused = Counter("litekiln_connections_refused", "Connections ended early", ["reason"], registry=self.registry)
        self._seconds = {
            part: Histogram(f"litekiln_{part}_seconds", f"Time of {what}", buckets=SECONDS, registry=self.registry)
            for part, what in PARTS.items()
        }
        self.registry.register(_Loop(pipeline, standing, model))
        ProcessCollector(registry=self.registry)
        pipeline.listen(self._saw)

    def _saw(self, seen: Seen) -> None:
        for part, histogram in self._seconds.items():
            histogram.observe(seen.milliseconds[part] / 1000)

    def answered(self, scope: Scope, code: int) -> None:
        path = "/static" if scope["path"].startswith("/static/") else scope["path"]
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._requests.labels(path if path in self._paths else "other", method, str(code)).inc()

    def refused(self, status: int) -> None:
        self._refused.labels({0: "slow reader", 400: "no request", 408: "slow request", 503: "too many"}[status]).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Loop(Collector):
    def __init__(self, pipeline: Pipeline, standing: Standing, model: str) -> None:
        self._pipeline, self._standing, self._model = pipeline, standing, model

    def collect(self) -> "Iterator[CounterMetricFamily | GaugeMetricFamily | InfoMetricFamily]":
        pipeline, counters = self._pipeline, self._pipeline.counters
        yield InfoMetricFamily("litekiln", "What runs here", {"model": self._model, "source": pipeline.source.name})
        yield CounterMetricFamily("litekiln_frames_captured", "Frames that came from the source", counters.captured)
        yield CounterMetricFamily("litekiln_frames_looked_at", "Frames that the network looked at", counters.looked_at)
        yield CounterMetricFamily("litekiln_frames_dropped", "Frames that a newer one replaced", pipeline.dropped)
        yield CounterMetricFamily("litekiln_frames_damaged", "Frames that could not be decoded", counters.damaged)
        yield CounterMetricFamily("litekiln_frames_still", "Frames without a change, which were not looked at", counters.still)
        yield CounterMetricFamily("litekiln_source_lost", "Times that the source was lost", counters.lost)
        yield GaugeMetricFamily("litekiln_frames_per_second", "Frames looked at in a second", pipeline.rate.value)
        yield GaugeMetricFamily("litekiln_captured_per_second", "Frames captured in a second", pipeline.captured_rate.value)
        up = (self._standing.current or pipeline.resting) and not pipeline.problem
        yield GaugeMetricFamily("litekiln_source_up", "1 while frames come", float(up))
        age = self._standing.age
        if age is not None:
            yield GaugeMetricFamily("litekiln_frame_age_seconds", "Time since the newest frame arrived", age)
        yield GaugeMetricFamily("litekiln_resting", "1 while nobody asks, so that frames are dropped", float(pipeline.resting))
        yield GaugeMetricFamily("litekiln_paused", "1 while paused", float(pipeline.paused))
        yield GaugeMetricFamily("litekiln_healthy", "1 while the health check passes", float(self._standing.healthy))
        yield GaugeMetricFamily(
            "litekiln_wrong_results", "1 if the selftest failed: don't trust the detections", float(self._standing.wrong_results)
        )
        degrees = temperature()
        if degrees is not None:
            yield GaugeMetricFamily("litekiln_temperature_celsius", "The processor's temperature", degrees)
