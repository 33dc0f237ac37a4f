"""The systemd units in docs/pi: they start with the Pi, start again whatever dies, and fit together."""

import configparser
import re
import shlex
from pathlib import Path

import pytest

from litekiln_pi.arguments import parser
from litekiln_pi.sources import open_source
from litekiln_pi.sources.tcp import TcpCamera

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "docs/pi").glob("*.service"))
SAID = [*(ROOT / "docs").rglob("*.md"), *UNITS, *(ROOT / "pi/litekiln_pi").rglob("*.py")]
Unit = configparser.ConfigParser


def read(name: str) -> Unit:
    found = Unit(interpolation=None, strict=True)
    found.optionxform = str  # type: ignore[assignment]
    found.read_string((ROOT / "docs/pi" / name).read_text().replace("\\\n", " "))
    return found


def command(unit: Unit) -> list[str]:
    return shlex.split(unit["Service"]["ExecStart"])


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_it_starts_with_the_pi_and_again_without_end(path: Path) -> None:
    unit = read(path.name)
    assert unit["Service"]["Restart"] == "always"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0", "systemd gives up after five quick tries"
    assert unit["Install"]["WantedBy"] == "multi-user.target"


def test_the_container_reads_the_camera_and_survives_it() -> None:
    camera, container = read("ribbon-camera.service"), read("litekiln-ribbon.service")
    assert "ribbon-camera.service" in container["Unit"]["Wants"].split()
    assert "ribbon-camera.service" in container["Unit"]["After"].split()
    assert "ribbon-camera" not in container["Unit"]["Requires"], "it would end with the camera"
    place = command(camera)[command(camera).index("-o") + 1]
    given = command(container)
    options = parser().parse_args(given[given.index("serve") :])
    assert options.source == place
    assert isinstance(open_source(options.source), TcpCamera)
    assert place.startswith("tcp://127.0.0.1:"), "nobody else reads the camera"
    assert given[given.index("--network") + 1] == "host"


def test_every_command_of_rpicam_vid_flushes_its_frames() -> None:
    commands = [line for path in SAID for line in re.findall(r"rpicam-vid\b.*?-t 0.*", path.read_text())]
    assert len(commands) >= 6
    assert [each for each in commands if "--flush" not in each or "--codec mjpeg" not in each] == []
