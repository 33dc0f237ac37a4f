"""What Home Assistant is told, against what its documentation says it accepts."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from litekiln_pi.events.discovery import Device
from litekiln_pi.events.events import KINDS, Event
from litekiln_pi.events.identity import Identity, identity, slug
from litekiln_pi.events.settings import EventSettings, read
from tests.pi.home_assistant import COMPONENTS, TOPIC

LABELS = ["person", "traffic light", "Größe", "größe"]
SETTINGS = read(
    {
        "lines": [{"name": "front door", "from": [0, 0], "to": [1, 1]}],
        "zones": [{"name": "sofa", "points": [[0, 0], [1, 0], [1, 1]]}, {"name": "Sofa", "points": [[0, 0], [1, 0], [1, 1]]}],
    },
    LABELS,
)
COUNTS: dict[str, Any] = {
    "now": {"person": 2, "traffic light": 0, "Größe": 0, "größe": 1},
    "lines": {"front door": {"in": {"person": 3, "größe": 1}, "out": {}}},
    "zones": {"sofa": {"person": 1, "größe": 0}, "Sofa": {}},
}


def a_device(name: str = "hall") -> Device:
    return Device(Identity(name, slug(name)), "shapes int8", "0.1.0")


def _configs(device: Device, settings: EventSettings = SETTINGS) -> dict[str, dict[str, Any]]:
    return {topic: json.loads(payload) for topic, payload in device.configs(settings, LABELS).items()}


@pytest.mark.parametrize("name", ["hall", "Flur 2. Stock", "居間"])
def test_each_message_is_one_that_home_assistant_accepts(name: str) -> None:
    configs = _configs(a_device(name))
    assert len(configs) == len(LABELS) + 2 + 2 + 1
    for topic, payload in configs.items():
        found = TOPIC.fullmatch(topic)
        assert found, topic
        jsonschema.validate(payload, COMPONENTS[found["component"]])
        assert payload["device"]["name"] == name
    assert len({each["unique_id"] for each in configs.values()}) == len(configs)
    assert len({each["state_topic"] for each in configs.values()}) == len(configs)


@pytest.mark.parametrize(
    ("component", "change", "message"),
    [
        ("sensor", {"state_topic": "a/+"}, "does not match"),
        ("sensor", {"state_class": "count"}, "is not one of"),
        ("sensor", {"state": "x"}, "Additional properties"),
        ("sensor", {"device": {"name": "x"}}, "is not valid under any"),
        ("sensor", {"origin": {}}, "'name' is a required property"),
        ("binary_sensor", {"device_class": "person"}, "is not one of"),
        ("event", {"event_types": []}, "should be non-empty|is too short"),
    ],
)
def test_the_schema_refuses_what_home_assistant_would(component: str, change: dict[str, Any], message: str) -> None:
    payload = next(each for topic, each in _configs(a_device()).items() if topic.split("/")[1] == component)
    with pytest.raises(jsonschema.ValidationError, match=message):
        jsonschema.validate({**payload, **change}, COMPONENTS[component])


def test_each_sensor_has_its_state() -> None:
    device = a_device()
    states, configs = device.states(SETTINGS, COUNTS), _configs(device)
    for payload in configs.values():
        if payload["state_topic"] != device.events:
            assert payload["state_topic"] in states
        assert payload["availability_topic"] == "litekiln/hall/availability"
    by_name = {each["name"]: states.get(each["state_topic"]) for each in configs.values()}
    assert by_name == {
        "person": "2", "traffic light": "0", "Größe": "0", "größe": "1", "front door in": "4", "front door out": "0",
        "sofa": "ON", "Sofa": "OFF", "event": None,
    }  # fmt: skip
    zone = next(each for each in configs.values() if each["name"] == "sofa")
    assert json.loads(states[zone["json_attributes_topic"]]) == {"person": 1}


def test_an_event_says_its_kind_as_home_assistant_wants_it() -> None:
    event = Event(1, 1.5, "crossed", "person", 7, 0.9, (0, 0, 1, 1), (0.5, 0.5), "door", "in")
    told = json.loads(a_device().event(event))
    config = next(each for each in _configs(a_device()).values() if "event_types" in each)
    assert told["event_type"] in config["event_types"] == list(KINDS)
    assert (told["line"], told["direction"], told["name"]) == ("door", "in", "person")
    assert "event" not in told


def test_which_pi_this_is_stays_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "0a1b2c3d")
    assert identity(root=tmp_path) == Identity("litekiln 0a1b2c3d", "0a1b2c3d")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text("processor\t: 0\n\nSerial\t\t: 10000000abcdef01\nModel\t\t: Raspberry Pi 5\n")
    assert identity(root=tmp_path) == Identity("litekiln abcdef01", "abcdef01")
    assert identity("Hall", tmp_path) == Identity("Hall", slug("Hall"))


def test_different_names_have_different_slugs() -> None:
    names = ["person", "Person", "per son", "per_son", "per-son", "人", "犬", ""]
    assert len({slug(each) for each in names}) == len(names)
    assert slug("person") == "person"
    assert all(TOPIC.fullmatch(f"homeassistant/sensor/{slug(each)}/x/config") for each in names)
