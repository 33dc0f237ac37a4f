"""The image's settings: by options, or by environment variables."""

from pathlib import Path
from typing import Any

import pytest

from litekiln_pi.arguments import parser

DEFAULTS: dict[str, Any] = {
    "source": "/dev/video0", "width": 640, "height": 480, "fps": 0, "threads": 0, "threshold": 0.4,
    "host": "0.0.0.0", "port": 8080, "snapshots": None, "collect": None, "collect_seconds": 30.0, "collect_most": 1000,
    "name": "", "strict": False, "hostnames": frozenset(),
    "counts_only": False, "events": None, "webhook": "", "mqtt": "", "rate": 0, "motion": 0,
    "fleet": "", "announce": False,
}  # fmt: skip
TOLD: dict[str, Any] = {
    "source": "test", "width": 320, "height": 240, "fps": 5, "threads": 2, "threshold": 0.6,
    "host": "127.0.0.1", "port": 9000, "snapshots": Path("/kept"), "collect": (0.3, 0.6), "collect_seconds": 5.0, "collect_most": 9,
    "name": "Bird table 2", "strict": True,
    "hostnames": frozenset({"cam.example.org"}), "counts_only": True, "events": Path("/kept/events.json"),
    "webhook": "http://x/", "mqtt": "mqtt://x", "rate": 2.5, "motion": 8,
    "fleet": "room.txt,mdns", "announce": True,
}  # fmt: skip


def _of_serve(*given: str) -> dict[str, Any]:
    options = vars(parser().parse_args(["serve", *given]))
    return {name: value for name, value in options.items() if name != "command"}


def test_by_itself() -> None:
    assert _of_serve() == DEFAULTS


def test_every_option_can_be_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TOLD.items():
        text = {"collect": "0.3-0.6", "strict": "1", "counts_only": "1", "announce": "1", "hostnames": "cam.example.org"}.get(
            name, str(value)
        )
        monkeypatch.setenv(f"LITEKILN_{name.upper()}", text)
    assert _of_serve() == TOLD
    assert _of_serve("--port", "9001", "--threads", "auto") == TOLD | {"port": 9001, "threads": 0}


def test_a_rate_can_be_less_than_one_a_second() -> None:
    assert _of_serve("--fps", "0.2")["fps"] == 0.2


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TOLD:
        monkeypatch.setenv(f"LITEKILN_{name.upper()}", "")
    assert _of_serve() == DEFAULTS


WRONG = [
    ("threads", "many", "argument --threads: 'many' is neither auto nor a number from 1 to 64"),
    ("threads", "65", "argument --threads: '65' is neither auto nor a number from 1 to 64"),
    ("threshold", "2", "argument --threshold: '2' is not a number from 0 to 1"),
    ("port", "0", "argument --port: '0' is not a port from 1 to 65535"),
    ("width", "wide", "argument --width: 'wide' is not a whole number"),
    ("hostnames", "http://x", "'http://x' is not a host name: give only the name, such as cam.example.org"),
    ("strict", "yes", "argument --strict: 'yes' is neither 1 nor 0"),
    ("counts-only", "yes", "argument --counts-only: 'yes' is neither 1 nor 0"),
    ("announce", "yes", "argument --announce: 'yes' is neither 1 nor 0"),
    ("rate", "-1", "argument --rate: '-1' is not a number from 0 to 1000"),
    ("rate", "nan", "argument --rate: 'nan' is not a number from 0 to 1000"),
    ("motion", "256", "argument --motion: '256' is not a number from 0 to 255"),
    ("collect", "0.6-0.3", "argument --collect: '0.6-0.3' is not a band of scores, such as 0.3-0.6"),
    ("collect-seconds", "0", "argument --collect-seconds: '0' is not a number of seconds from 1 to 86400"),
    ("collect-most", "0", "argument --collect-most: '0' is not a number from 1 to 100000"),
    ("name", "x" * 61, "argument --name: a name has up to 60 letters"),
    ("fps", "fast", "argument --fps: 'fast' is not a number from 0 to 1000"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_a_wrong_option(name: str, value: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        _of_serve(f"--{name}", value)
    assert capsys.readouterr().err.strip().endswith(message)


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_a_wrong_variable_is_named(
    name: str, value: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = f"LITEKILN_{name.upper().replace('-', '_')}"
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit, match="2"):
        _of_serve()
    assert capsys.readouterr().err.strip().endswith(f"{message} (from {variable})")
    parser().parse_args(["info"])  # other commands ignore the variable
