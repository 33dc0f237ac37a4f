"""Events and counts to an MQTT broker, with Home Assistant's discovery. A missing broker holds up nothing, and is tried again."""

import os
import ssl
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from paho.mqtt.client import MQTT_ERR_SUCCESS, Client, MQTTMessage, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from litekiln_pi.errors import BadUse
from litekiln_pi.events.discovery import BIRTH, OFFLINE, ONLINE, Device, Messages
from litekiln_pi.events.events import Watch
from litekiln_pi.events.waiting import DROPPED, SENT, Waiting
from litekiln_pi.saying import Say

PORTS = {"mqtt": 1883, "mqtts": 8883}
KEEP_ALIVE_SECONDS = 30  # the broker tells others that this Pi is offline after one and a half times as long
LOOK_SECONDS = 1.0  # between two looks at whether frames still come
FIRST_RETRY, LAST_RETRY = 1, 60  # seconds
MOST_QUEUED = 1000  # messages while the broker is slow


class Mqtt(Waiting):
    """One connection. `well` says whether frames come: while they don't, Home Assistant shows the sensors as unavailable."""

    name = "mqtt"

    def __init__(self, address: str, device: Device, watch: Watch, labels: list[str], well: Callable[[], bool], say: Say) -> None:
        super().__init__(SENT, DROPPED)
        self._device, self._watch, self._labels, self._well, self._say = device, watch, labels, well, say
        self._host, self._port, secure = _parts(address)
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=device.all_configs.split("/")[2], protocol=MQTTv311)
        self._client.will_set(device.availability, OFFLINE, qos=1, retain=True)
        self._client.reconnect_delay_set(FIRST_RETRY, LAST_RETRY)
        self._client.max_queued_messages_set(MOST_QUEUED)
        self._client.on_connect, self._client.on_disconnect = self._connected, self._disconnected
        self._client.on_connect_fail, self._client.on_message = self._failed, self._received
        self._log_in(secure=secure)
        self._kept: Messages = {}  # what the broker keeps of this Pi
        self._up, self._stopping = False, False
        self._thread = threading.Thread(target=self._work, name="mqtt", daemon=True)
        self._trouble = ""

    def _log_in(self, *, secure: bool) -> None:
        user, password, authority = (os.environ.get(f"LITEKILN_MQTT_{name}") for name in ("USER", "PASSWORD", "CA"))
        if user:
            self._client.username_pw_set(user, password or None)
        if secure:
            try:
                self._client.tls_set(ca_certs=authority or None)
            except OSError as error:
                why = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
                msg = f"LITEKILN_MQTT_CA: {authority} can't be used: {why}"
                raise BadUse(msg, "it must be the PEM file of the authority that signed the broker's certificate") from None

    def start(self) -> None:
        self._client.connect_async(self._host, self._port, KEEP_ALIVE_SECONDS)
        self._client.loop_start()
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye, if there is a broker."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(2)
        if self._up:
            with suppress(RuntimeError, ValueError):  # the broker has just gone: it says the same for this Pi
                self._client.publish(self._device.availability, OFFLINE, qos=1, retain=True).wait_for_publish(1)
        self._client.disconnect()
        self._client.loop_stop()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or (self._up and self._waiting), LOOK_SECONDS)
                if self._stopping:
                    return
                up, events = self._up, [*self._waiting] if self._up else []
                if up:
                    self._waiting.clear()
            if up:
                self._bring_up_to_date()
                for event in events:
                    self._publish(self._device.events, self._device.event(event))

    def _bring_up_to_date(self) -> None:
        """Send what differs from what the broker keeps, and delete there what is no more."""
        settings, counts = self._watch.settings, self._watch.counts()
        wanted = {
            **self._device.configs(settings, [*counts["now"]]),
            self._device.availability: ONLINE if self._well() else OFFLINE,
            **self._device.states(settings, counts),
        }
        for topic in [topic for topic in self._kept if topic not in wanted]:
            self._publish(topic, "", retain=True)
        for topic, payload in wanted.items():
            if self._kept.get(topic) != payload:
                self._publish(topic, payload, retain=True)
        self._kept = wanted

    def _publish(self, topic: str, payload: str, *, retain: bool = False) -> None:
        told = self._client.publish(topic, payload, qos=1, retain=retain)
        self.counts[SENT if told.rc == MQTT_ERR_SUCCESS else DROPPED] += 1

    # Called in the client's own thread

    def _connected(self, client: Client, _: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._tell(f"refuses this Pi: {reason}. LITEKILN_MQTT_USER and LITEKILN_MQTT_PASSWORD say who it is")
            return
        self._tell("")
        client.subscribe([(BIRTH, 1), (self._device.all_configs, 1)])
        self._begin()

    def _begin(self) -> None:
        """Send everything again: the broker may have forgotten it, or a Home Assistant that has just started may not know it."""
        with self._changed:
            self._kept, self._up = {}, True
            self._changed.notify_all()

    def _disconnected(self, _: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._up = False
        if not self._stopping and reason.is_failure and not self._trouble:
            self._tell("is gone: trying again")

    def _failed(self, _: Client, _data: Any) -> None:
        self._tell(f"can't be reached: {_in_words(sys.exc_info()[1])}")

    def _received(self, client: Client, _: Any, message: MQTTMessage) -> None:
        if message.topic == BIRTH:
            if message.payload == ONLINE.encode():
                self._begin()
        elif message.payload and message.topic not in self._possible():
            client.publish(message.topic, "", qos=1, retain=True)  # of a line or zone that was deleted while nothing ran here

    def _possible(self) -> Messages:
        return self._device.configs(self._watch.settings, self._labels)

    def _tell(self, why: str) -> None:
        """Say what is new."""
        if why != self._trouble or not why:
            self._say(f"mqtt: {self._host} {why or 'gets events and counts'}")
            self._trouble = why


def _in_words(error: BaseException | None) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    return getattr(error, "strerror", None) or type(error).__name__


def _parts(address: str) -> tuple[str, int, bool]:
    """Host, port, and whether by TLS."""
    remedy = "for example --mqtt mqtt://homeassistant.local, with LITEKILN_MQTT_USER and LITEKILN_MQTT_PASSWORD"
    try:
        parts = urlsplit(address.strip())
        port = parts.port
    except ValueError:
        raise BadUse("--mqtt: this is not an address", remedy) from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise BadUse("--mqtt: it must be an address that begins with mqtt:// or mqtts:// (with TLS)", remedy)
    if parts.username is not None or parts.path.strip("/") or parts.query:
        raise BadUse("--mqtt: it may have a host and a port, and nothing else", remedy)
    return parts.hostname, port or PORTS[parts.scheme], parts.scheme == "mqtts"
