"""What Home Assistant's discovery over MQTT accepts: JSON schemas, written from its public documentation.

They are stricter than it: an option that its documentation doesn't name is refused, where it would only be ignored.
"""

import re
from typing import Any

Schema = dict[str, Any]
TOPIC = re.compile(r"homeassistant/(?P<component>[a-z_]+)/(?P<node>[a-zA-Z0-9_-]+)/(?P<item>[a-zA-Z0-9_-]+)/config")
TEXT: Schema = {"type": "string", "minLength": 1}
PLAIN_TOPIC: Schema = {"type": "string", "pattern": r"^[^+#\u0000]+$", "maxLength": 65535}
ICON: Schema = {"type": "string", "pattern": "^[a-z]+:[a-z0-9-]+$"}

DEVICE: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        **dict.fromkeys(
            (
                "manufacturer",
                "model",
                "model_id",
                "name",
                "hw_version",
                "serial_number",
                "suggested_area",
                "sw_version",
                "via_device",
            ),
            TEXT,
        ),
        "configuration_url": {"type": "string", "pattern": "^(https?|homeassistant)://"},
        "identifiers": {"anyOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1}]},
        "connections": {"type": "array", "minItems": 1, "items": {"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2}},
    },
    "anyOf": [{"required": ["identifiers"]}, {"required": ["connections"]}],
}
ORIGIN: Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {"name": TEXT, "sw_version": TEXT, "support_url": {"type": "string", "pattern": "^https?://"}},
}
COMMON: Schema = {
    "availability_mode": {"enum": ["all", "any", "latest"]},
    "availability_topic": PLAIN_TOPIC,
    "availability_template": TEXT,
    "device": DEVICE,
    "enabled_by_default": {"type": "boolean"},
    "encoding": {"type": "string"},
    "entity_category": {"enum": ["config", "diagnostic", None]},
    "icon": ICON,
    "json_attributes_template": TEXT,
    "json_attributes_topic": PLAIN_TOPIC,
    "name": {"anyOf": [TEXT, {"type": "null"}]},
    "origin": ORIGIN,
    "payload_available": TEXT,
    "payload_not_available": TEXT,
    "qos": {"enum": [0, 1, 2]},
    "state_topic": PLAIN_TOPIC,
    "unique_id": TEXT,
    "value_template": TEXT,
}


def _component(required: list[str], properties: Schema) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        # what it needs of a device that is found: by unique_id it belongs to the device, by origin its log names us
        "required": ["state_topic", "unique_id", "device", "origin", *required],
        "properties": {**COMMON, **properties},
    }


COMPONENTS = {
    "sensor": _component(
        [],
        {
            "device_class": {"type": ["string", "null"]},
            "expire_after": {"type": "integer", "minimum": 0},
            "force_update": {"type": "boolean"},
            "last_reset_value_template": TEXT,
            "options": {"type": "array", "items": TEXT, "minItems": 1},
            "state_class": {"enum": ["measurement", "measurement_angle", "total", "total_increasing", None]},
            "suggested_display_precision": {"type": "integer", "minimum": 0},
            "unit_of_measurement": {"type": ["string", "null"]},
        },
    ),
    "binary_sensor": _component(
        [],
        {
            "device_class": {
                "enum": [
                    *(
                        "battery",
                        "battery_charging",
                        "carbon_monoxide",
                        "cold",
                        "connectivity",
                        "door",
                        "garage_door",
                        "gas",
                        "heat",
                    ),
                    *("light", "lock", "moisture", "motion", "moving", "occupancy", "opening", "plug", "power", "presence"),
                    *("problem", "running", "safety", "smoke", "sound", "tamper", "update", "vibration", "window", None),
                ]
            },
            "expire_after": {"type": "integer", "minimum": 1},
            "force_update": {"type": "boolean"},
            "off_delay": {"type": "integer", "minimum": 0},
            "payload_off": TEXT,
            "payload_on": TEXT,
        },
    ),
    "event": _component(
        ["event_types"],
        {
            "device_class": {"enum": ["button", "doorbell", "motion", None]},
            "event_types": {"type": "array", "items": TEXT, "minItems": 1, "uniqueItems": True},
        },
    ),
}
