"""What Home Assistant is told over MQTT, so that it shows this Pi as a device with sensors: topics and payloads, without a network.

Each message is kept by the broker (retained), but for the events themselves.
"""

import json
from typing import Any

from litekiln_pi.events.areas import IN, OUT
from litekiln_pi.events.events import KINDS, Event
from litekiln_pi.events.identity import Identity, slug
from litekiln_pi.events.settings import EventSettings

PREFIX = "homeassistant"  # its default
BIRTH = f"{PREFIX}/status"  # where it says that it has started
ONLINE, OFFLINE, ON, OFF = "online", "offline", "ON", "OFF"
Messages = dict[str, str]  # payloads by topic
WAYS = {IN: "in", OUT: "out"}


class Device:
    """This Pi, as Home Assistant shows it."""

    def __init__(self, pi: Identity, model: str, version: str) -> None:
        self._node, self._base = f"litekiln_{pi.slug}", f"litekiln/{pi.slug}"
        device = {"identifiers": [self._node], "name": pi.name, "manufacturer": "litekiln", "model": model, "sw_version": version}
        self.availability, self.events = f"{self._base}/availability", f"{self._base}/event"
        self._common = {
            "availability_topic": self.availability,
            "device": device,
            "origin": {"name": "litekiln", "sw_version": version},
        }

    @property
    def all_configs(self) -> str:
        """The topics where its sensors stand, for a subscription."""
        return f"{PREFIX}/+/{self._node}/+/config"

    def configs(self, settings: EventSettings, names: list[str]) -> Messages:
        """What describes each sensor."""
        found = [self._count(name) for name in names]
        found += [self._crossings(line.name, way) for line in settings.lines for way in WAYS]
        found += [self._zone(zone.name) for zone in settings.zones]
        return dict([*found, self._event()])

    def states(self, settings: EventSettings, counts: dict[str, Any]) -> Messages:
        """The value of each sensor."""
        told = {self._topic("count", name): str(count) for name, count in counts["now"].items()}
        for line in settings.lines:
            ways = counts["lines"].get(line.name, {})
            told |= {f"{self._topic('line', line.name)}/{way}": str(sum(ways.get(way, {}).values())) for way in WAYS}
        for zone in settings.zones:
            inside = {name: count for name, count in counts["zones"].get(zone.name, {}).items() if count}
            told[self._topic("zone", zone.name)] = ON if inside else OFF
            told[f"{self._topic('zone', zone.name)}/things"] = json.dumps(inside, ensure_ascii=False)
        return told

    def event(self, event: Event) -> str:
        """An event's payload. Home Assistant wants its kind as `event_type`."""
        data = event.as_data()
        return json.dumps({"event_type": data.pop("event"), **data}, ensure_ascii=False)

    def _topic(self, kind: str, name: str) -> str:
        return f"{self._base}/{kind}/{slug(name)}"

    def _count(self, name: str) -> tuple[str, str]:
        more = {"state_topic": self._topic("count", name), "state_class": "measurement", "icon": "mdi:counter"}
        return self._config("sensor", f"count_{slug(name)}", name, more)

    def _crossings(self, line: str, way: str) -> tuple[str, str]:
        topic = f"{self._topic('line', line)}/{way}"
        more = {"state_topic": topic, "state_class": "total_increasing", "icon": "mdi:boom-gate-arrow-up"}
        return self._config("sensor", f"line_{slug(line)}_{way}", f"{line} {WAYS[way]}", more)

    def _zone(self, zone: str) -> tuple[str, str]:
        topic = self._topic("zone", zone)
        more = {"state_topic": topic, "device_class": "occupancy", "json_attributes_topic": f"{topic}/things"}
        return self._config("binary_sensor", f"zone_{slug(zone)}", zone, {**more, "payload_on": ON, "payload_off": OFF})

    def _event(self) -> tuple[str, str]:
        more = {"state_topic": self.events, "event_types": list(KINDS), "icon": "mdi:eye"}
        return self._config("event", "event", "event", more)

    def _config(self, component: str, item: str, name: str, more: dict[str, Any]) -> tuple[str, str]:
        data = {"name": name, "unique_id": f"{self._node}_{item}", **more, **self._common}
        return f"{PREFIX}/{component}/{self._node}/{item}/config", json.dumps(data, ensure_ascii=False)
