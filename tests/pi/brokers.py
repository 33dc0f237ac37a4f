"""Debian's MQTT broker on this machine, for tests: by password, and with TLS."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.pi.fakes import wait_for

USER, PASSWORD = "pi", "geheim"
MOSQUITTO = "/usr/sbin/mosquitto"


class Broker:
    """Mosquitto on a port of its own. It can be ended and started again, and then has forgotten everything."""

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        self.folder, self.tls = folder, tls
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        users = folder / "users"
        subprocess.run(["mosquitto_passwd", "-c", "-b", str(users), USER, PASSWORD], check=True, capture_output=True)
        users.chmod(0o644)
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous false", f"password_file {users}", "user root"]
        if tls:
            self._certify()
            lines += [f"certfile {folder}/broker.pem", f"keyfile {folder}/broker.key"]
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def authority(self) -> Path:
        return self.folder / "broker.pem"

    @property
    def address(self) -> str:
        return f"{'mqtts://localhost' if self.tls else 'mqtt://127.0.0.1'}:{self.port}"

    def _certify(self) -> None:
        argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        argv += ["-addext", "subjectAltName=DNS:localhost", "-keyout", "broker.key", "-out", "broker.pem"]
        subprocess.run(argv, cwd=self.folder, check=True, capture_output=True)

    def start(self) -> None:
        self._process = subprocess.Popen([MOSQUITTO, "-c", "mosquitto.conf"], cwd=self.folder, stderr=subprocess.DEVNULL)
        wait_for(self._listens)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait(10)
            self._process = None


@contextmanager
def broker(folder: Path, *, tls: bool = False) -> Iterator[Broker]:
    made = Broker(folder, tls=tls)
    made.start()
    try:
        yield made
    finally:
        made.stop()


class Listener:
    """Somebody else at the broker, such as Home Assistant: what it kept (retained), and what came."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.kept: dict[str, str] = {}
        self.came: list[tuple[str, str]] = []
        client.on_message = self._hear
        self._ready = threading.Event()
        client.on_subscribe = lambda *_: self._ready.set()

    def subscribe(self) -> None:
        self.client.subscribe("#", 1)
        assert self._ready.wait(10)

    def _hear(self, _: Client, _data: Any, message: MQTTMessage) -> None:
        text = message.payload.decode()
        self.came.append((message.topic, text))
        if text:
            self.kept[message.topic] = text
        else:
            self.kept.pop(message.topic, None)


@contextmanager
def listening(to: Broker) -> Iterator[Listener]:
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(USER, PASSWORD)
    if to.tls:
        client.tls_set(ca_certs=str(to.authority))
    client.connect("localhost" if to.tls else "127.0.0.1", to.port)
    listener = Listener(client)
    client.loop_start()
    try:
        listener.subscribe()
        yield listener
    finally:
        client.disconnect()
        client.loop_stop()
