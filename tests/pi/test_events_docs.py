"""What docs/pi-events.md shows works as shown: its settings, its messages, and its program for a lamp."""

import json
import re
import sys
import threading
import types
from pathlib import Path

import pytest

from litekiln_pi.events.settings import Unusable, read
from tests.pi.fakes import wait_for
from tests.pi.serving import running
from tests.pi.test_server_events import GIVEN, LEFT, a_watch

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "pi-events.md").read_text(encoding="utf-8")
SETTINGS, PROGRAM = re.findall(r"^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
LABELS = ["person", "cat", "dog", "sofa"]


def test_the_settings() -> None:
    data = json.loads(SETTINGS)
    settings = read(data, LABELS)
    assert settings.as_data() == {**data, "gone_seconds": 2.0}
    data["lines"][0]["from"][0] = 320
    with pytest.raises(Unusable) as told:
        read(data, LABELS)
    assert f"--events events.json: {told.value}`" in " ".join(PAGE.split())


LAMPS: "list[Lamp]" = []


class Lamp:
    """gpiozero's LED, which notes when it is switched."""

    def __init__(self, pin: int) -> None:
        self.pin, self.values = pin, list[bool]()
        LAMPS.append(self)

    @property
    def value(self) -> bool:
        return self.values[-1]

    @value.setter
    def value(self, on: bool) -> None:
        self.values.append(on)


def test_the_program_for_a_lamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("gpiozero")
    module.LED = Lamp  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gpiozero", module)
    sofa = {**LEFT, "name": "sofa", "points": [[0, 0], [0.3, 0], [0.3, 1], [0, 1]]}
    watch = a_watch(tmp_path / "events.json", {**GIVEN, "zones": [sofa]})
    with running(watch=watch) as site:
        text = PROGRAM.replace("http://127.0.0.1:8080", site.address)
        assert text != PROGRAM
        ended = []

        def run() -> None:
            try:
                exec(compile(text, "the docs", "exec"), {})
            except Exception as error:  # the server's end is the program's
                ended.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        wait_for(lambda: LAMPS and {True, False} <= set(LAMPS[0].values), 30)
        assert LAMPS[0].pin == 17
    thread.join(30)
    assert not thread.is_alive()
