"""Events and counts at Debian's mosquitto: what it keeps, what comes when, and what happens while it is away."""

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from litekiln_pi.errors import BadUse
from litekiln_pi.events import mqtt
from litekiln_pi.events.discovery import Device
from litekiln_pi.events.events import Watch
from litekiln_pi.events.identity import Identity
from litekiln_pi.events.mqtt import Mqtt
from litekiln_pi.events.settings import SettingsFile
from litekiln_pi.events.waiting import MOST_WAITING
from tests.pi.brokers import PASSWORD, USER, Broker, broker, listening
from tests.pi.fakes import wait_for
from tests.pi.home_assistant import COMPONENTS, TOPIC
from tests.pi.test_events import LABELS, a_frame

DOOR = {"name": "door", "from": [0.5, 0.0], "to": [0.5, 1.0]}
SOFA = {"name": "sofa", "points": [[0.6, 0.0], [1.0, 0.0], [1.0, 1.0], [0.6, 1.0]]}
GIVEN = {"lines": [DOOR], "zones": [SOFA], "seen_seconds": 0, "gone_seconds": 1.0}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(mqtt, "LAST_RETRY", 1)
    monkeypatch.setenv("LITEKILN_MQTT_USER", USER)
    monkeypatch.setenv("LITEKILN_MQTT_PASSWORD", PASSWORD)


class Pi:
    """One that sees what a test shows it."""

    def __init__(self, folder: Path, address: str, settings: dict[str, Any] | None = None) -> None:
        path = folder / "events.json"
        path.write_text(json.dumps(GIVEN if settings is None else settings))
        self.watch, self.well, self.said, self._clock = Watch(SettingsFile(path, LABELS), LABELS, 0.5), True, list[str](), 0.0
        device = Device(Identity("hall", "hall"), "shapes int8", "0.1.0")
        self.sender = Mqtt(address, device, self.watch, LABELS, lambda: self.well, self.said.append)
        self.watch.add(self.sender)

    def see(self, *things: tuple[str, float], seconds: float = 0.1) -> None:
        self._clock += seconds
        self.watch.see(a_frame(1, *things), self._clock)


@contextmanager
def a_pi(folder: Path, address: str, settings: dict[str, Any] | None = None) -> Iterator[Pi]:
    made = Pi(folder, address, settings)
    made.sender.start()
    try:
        yield made
    finally:
        made.sender.stop()
        assert not made.sender._thread.is_alive()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Broker]:
    with broker(tmp_path) as made:
        yield made


@pytest.mark.servers
def test_home_assistant_finds_the_pi_and_its_counts(house: Broker, tmp_path: Path) -> None:
    with listening(house) as home, a_pi(tmp_path, house.address) as pi:
        wait_for(lambda: home.kept.get("litekiln/hall/availability") == "online")
        wait_for(lambda: len([each for each in home.kept if TOPIC.fullmatch(each)]) == 2 + 2 + 1 + 1)
        for topic, payload in home.kept.items():
            if found := TOPIC.fullmatch(topic):
                jsonschema.validate(json.loads(payload), COMPONENTS[found["component"]])
        for place in range(5):
            pi.see(("person", 0.42 + place * 0.05))
        wait_for(lambda: home.kept.get("litekiln/hall/count/person") == "1")
        wait_for(lambda: home.kept.get("litekiln/hall/line/door/out") == "1")
        assert home.kept["litekiln/hall/line/door/in"] == "0"
        assert home.kept["litekiln/hall/count/cat"] == "0"
        pi.see(("person", 0.67))
        wait_for(lambda: home.kept.get("litekiln/hall/zone/sofa") == "ON")
        wait_for(lambda: home.kept.get("litekiln/hall/zone/sofa/things") == '{"person": 1}')
        pi.see(seconds=5)
        wait_for(lambda: home.kept.get("litekiln/hall/zone/sofa") == "OFF")
        wait_for(lambda: home.kept.get("litekiln/hall/count/person") == "0")
        kinds = [json.loads(payload)["event_type"] for topic, payload in home.came if topic == "litekiln/hall/event"]
        wait_for(lambda: len([1 for topic, _ in home.came if topic == "litekiln/hall/event"]) == 5)
        kinds = [json.loads(payload)["event_type"] for topic, payload in home.came if topic == "litekiln/hall/event"]
        assert kinds == ["appeared", "crossed", "entered", "left", "gone"]
        assert pi.said == ["mqtt: 127.0.0.1 gets events and counts"]
    with listening(house) as later:  # who comes later knows all but the events
        wait_for(lambda: later.kept.get("litekiln/hall/availability") == "offline")
        wait_for(lambda: later.kept.get("litekiln/hall/line/door/out") == "1")
        assert "litekiln/hall/event" not in later.kept


@pytest.mark.servers
def test_a_pi_that_dies_is_offline(house: Broker, tmp_path: Path) -> None:
    """Its process is killed: it says no goodbye, and the broker says it for it."""
    with listening(house) as home:
        dying = Pi(tmp_path, house.address)
        dying.sender.start()
        wait_for(lambda: home.kept.get("litekiln/hall/availability") == "online")
        client = dying.sender._client
        client.on_disconnect = client.on_connect = None
        dying.sender._stopping = True
        client.socket().close()  # type: ignore[union-attr]
        client.loop_stop()
        wait_for(lambda: home.kept.get("litekiln/hall/availability") == "offline")
        dying.sender._thread.join(10)


@pytest.mark.servers
def test_without_frames_the_sensors_are_unavailable(house: Broker, tmp_path: Path) -> None:
    with listening(house) as home, a_pi(tmp_path, house.address) as pi:
        for well in (True, False, True):
            pi.well = well
            wait_for(lambda well=well: home.kept.get("litekiln/hall/availability") == ("online" if well else "offline"))


@pytest.mark.servers
def test_a_broker_that_comes_back_gets_everything_again(house: Broker, tmp_path: Path) -> None:
    with a_pi(tmp_path, house.address) as pi:
        wait_for(lambda: pi.said)
        pi.see(("cat", 0.8))
        house.stop()
        wait_for(lambda: len(pi.said) >= 2)
        pi.see(("cat", 0.8), ("person", 0.2))
        house.start()
        with listening(house) as home:
            wait_for(lambda: home.kept.get("litekiln/hall/count/person") == "1", 20)
            wait_for(lambda: home.kept.get("litekiln/hall/availability") == "online")
            assert home.kept["litekiln/hall/count/cat"] == "1"
            assert len([each for each in home.kept if TOPIC.fullmatch(each)]) == 6
            pi.see(seconds=5)
            wait_for(lambda: home.kept.get("litekiln/hall/count/person") == "0")
        assert pi.said[0] == pi.said[-1] == "mqtt: 127.0.0.1 gets events and counts"
        assert pi.said[1] in ("mqtt: 127.0.0.1 is gone: trying again", "mqtt: 127.0.0.1 can't be reached: Connection refused")


@pytest.mark.servers
def test_a_home_assistant_that_starts_later_is_told_again(house: Broker, tmp_path: Path) -> None:
    with a_pi(tmp_path, house.address) as pi, listening(house) as home:
        wait_for(lambda: len([each for each in home.kept if TOPIC.fullmatch(each)]) == 6)
        home.came.clear()
        home.client.publish("homeassistant/status", "online", qos=1)
        wait_for(lambda: len([1 for topic, _ in home.came if TOPIC.fullmatch(topic)]) == 6)
        assert len(pi.said) == 1


@pytest.mark.servers
def test_lines_and_zones_that_are_deleted_vanish(house: Broker, tmp_path: Path) -> None:
    def named(kept: dict[str, str]) -> set[str]:
        return {each.split("/")[3] for each in kept if TOPIC.fullmatch(each)}

    whole = {"count_person", "count_cat", "line_door_in", "line_door_out", "zone_sofa", "event"}
    with listening(house) as home:
        with a_pi(tmp_path, house.address) as pi:
            wait_for(lambda: named(home.kept) == whole)
            pi.watch.change(json.dumps({**GIVEN, "lines": []}).encode())
            wait_for(lambda: named(home.kept) == whole - {"line_door_in", "line_door_out"})
            wait_for(lambda: not [each for each in home.kept if each.startswith("litekiln/hall/line")])
        with a_pi(tmp_path, house.address, {}):  # while nothing ran, the file changed
            wait_for(lambda: named(home.kept) == {"count_person", "count_cat", "event"})


@pytest.mark.servers
def test_a_wrong_password_is_told_once(house: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITEKILN_MQTT_PASSWORD", "wrong-one")
    with a_pi(tmp_path, house.address) as pi:
        wait_for(lambda: pi.said)
        wait_for(lambda: pi.sender._client._reconnect_delay)  # it tries again
        pi.see(("cat", 0.8))
        assert pi.said == [
            "mqtt: 127.0.0.1 refuses this Pi: Not authorized. LITEKILN_MQTT_USER and LITEKILN_MQTT_PASSWORD say who it is"
        ]
        assert "wrong-one" not in "".join(pi.said)


@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl:pytest.PytestUnraisableExceptionWarning")  # left by paho
@pytest.mark.servers
def test_by_tls_with_an_authority_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with broker(tmp_path, tls=True) as house:
        with a_pi(tmp_path, house.address) as pi:
            wait_for(lambda: pi.said)
            assert pi.said == ["mqtt: localhost can't be reached: its certificate is not trusted (self-signed certificate)"]
        gc.collect()
        monkeypatch.setenv("LITEKILN_MQTT_CA", str(house.authority))
        with a_pi(tmp_path, house.address) as pi, listening(house) as home:
            wait_for(lambda: home.kept.get("litekiln/hall/availability") == "online")
            assert pi.said == ["mqtt: localhost gets events and counts"]


def test_without_a_broker_events_wait_and_the_oldest_are_dropped(tmp_path: Path) -> None:
    pi = Pi(tmp_path, "mqtt://127.0.0.1:1")
    for place in range(MOST_WAITING + 20):
        pi.see(*([("cat", 0.3)] if place % 2 else []), seconds=5)
    assert pi.sender.counts["dropped"] == pi.watch.latest - MOST_WAITING > 0


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://broker", "--mqtt: it must be an address that begins with mqtt:// or mqtts:// (with TLS)"),
        ("broker", "--mqtt: it must be an address that begins with mqtt:// or mqtts:// (with TLS)"),
        ("mqtt://broker:port", "--mqtt: this is not an address"),
        ("mqtt://me:secret@broker", "--mqtt: it may have a host and a port, and nothing else"),
        ("mqtt://broker/topic", "--mqtt: it may have a host and a port, and nothing else"),
    ],
)
def test_a_wrong_address(tmp_path: Path, address: str, message: str) -> None:
    with pytest.raises(BadUse) as told:
        Pi(tmp_path, address)
    assert str(told.value) == message
    assert "secret" not in told.value.remedy


def test_an_authority_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, why in (("missing.pem", "No such file or directory"), ("users.txt", "it holds no certificate")):
        (tmp_path / "users.txt").write_text("x")
        monkeypatch.setenv("LITEKILN_MQTT_CA", str(tmp_path / name))
        with pytest.raises(BadUse) as told:
            Pi(tmp_path, "mqtts://broker")
        assert str(told.value) == f"LITEKILN_MQTT_CA: {tmp_path / name} can't be used: {why}"
