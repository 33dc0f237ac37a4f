"""The systemd units in deploy/pi: they start with the Pi, start again whatever dies, and fit together."""

import ast
import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from litekiln_pi.arguments import parser
from litekiln_pi.sources import open_source
from litekiln_pi.sources.tcp import TcpCamera

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted(path for path in (ROOT / "deploy/pi").glob("*.service") if path.name != "litekiln-update.service")
SAID = [*(ROOT / "docs").rglob("*.md"), *UNITS, *(ROOT / "pi/litekiln_pi").rglob("*.py")]
Unit = dict[str, dict[str, str]]
OFTEN = ("Environment", "EnvironmentFile", "ExecStartPre")  # what a unit may say more than once


def read(name: str) -> Unit:
    """A unit's sections, with what it says; what is said again is added after a space."""
    found: Unit = {}
    for line in (ROOT / "deploy/pi" / name).read_text().replace("\\\n", " ").splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            assert key not in section or key in OFTEN, f"{name}: {key} twice"
            section[key] = f"{section[key]} {value}" if key in section else value
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


SERVICES = ("litekiln.service", "litekiln-ribbon.service")
# What [Container] may say, from Podman 5's own list (pkg/systemd/quadlet/quadlet.go)
QUADLET = """
AddCapability AddDevice AddHost Annotation AutoUpdate CgroupsMode ContainerName ContainersConfModule DNS DNSOption DNSSearch
DropCapability Environment EnvironmentFile EnvironmentHost Entrypoint Exec ExposeHostPort GIDMap GlobalArgs Group GroupAdd HealthCmd
HealthInterval HostName Image Label LogDriver Mount Network NoNewPrivileges Notify PidsLimit Pod PodmanArgs PublishPort Pull
ReadOnly ReadOnlyTmpfs RunInit SeccompProfile Secret StopTimeout Sysctl Timezone Tmpfs UIDMap Ulimit User UserNS Volume WorkingDir
"""


@pytest.mark.parametrize("name", [*SERVICES, "litekiln.container"])
def test_the_image_is_what_an_update_has_chosen(name: str) -> None:
    unit = read(name)
    service = unit["Service"]
    assert service["EnvironmentFile"].split()[0] == "-/etc/litekiln/image.env"
    assert re.fullmatch(r"LITEKILN_IMAGE=(localhost/)?litekiln/shapes:int8", service["Environment"]), "until there is one"
    image = unit["Container"]["Image"] if name.endswith(".container") else command(unit)[command(unit).index("serve") - 1]
    assert image == "${LITEKILN_IMAGE}", "systemd puts a variable in as one word only in this form"
    container = (
        unit["Container"]["ContainerName"] if name.endswith(".container") else command(unit)[command(unit).index("--name") + 1]
    )
    assert container == "litekiln", "by which an update finds it"


def test_the_compose_file_reads_the_same_variable() -> None:
    service = yaml.safe_load((ROOT / "deploy/pi/compose.yaml").read_text())["services"]["litekiln"]
    assert service["image"] == "${LITEKILN_IMAGE:-litekiln/shapes:int8}"
    assert service["container_name"] == "litekiln"


@pytest.mark.parametrize("name", SERVICES)
def test_settings_reach_the_container(name: str) -> None:
    """By name: docker takes their values from its own environment, so that no token is in a list of processes."""
    given = command(read(name))
    passed = [given[place + 1] for place, word in enumerate(given) if word == "--env"]
    assert {"LITEKILN_NAME", "LITEKILN_TOKEN", "LITEKILN_THRESHOLD"} <= set(passed)
    assert not [each for each in passed if "=" in each]
    options = {action.dest for action in parser()._subparsers._group_actions[0].choices["serve"]._actions}  # type: ignore[union-attr]
    assert {each.removeprefix("LITEKILN_").lower() for each in passed} <= {*options, "token"}


def test_the_quadlet_has_what_podman_knows_and_the_same_limits() -> None:
    container = read("litekiln.container")["Container"]
    assert set(container) <= set(QUADLET.split())
    assert container["ReadOnly"] == container["NoNewPrivileges"] == "true"
    assert container["DropCapability"] == "all"
    settings = read("litekiln.container")["Service"]
    assert container["EnvironmentFile"] in settings["ExecStartPre"], "Podman refuses a file that is missing"
    assert settings["Restart"] == "always"


def test_an_interrupted_update_is_ended_after_the_service_started() -> None:
    unit = read("litekiln-update.service")
    assert command(unit) == ["/usr/local/sbin/litekiln-update", "--resume"]
    assert set(SERVICES) <= set(unit["Unit"]["After"].split())


@pytest.mark.parametrize("name", ["update", "update-room"])
def test_the_programs_need_nothing_but_python(name: str) -> None:
    """A Pi has no packages of ours: `litekiln_update` beside the programs, and the standard library."""
    paths = [ROOT / "deploy/pi" / name, *sorted((ROOT / "deploy/pi/litekiln_update").glob("*.py"))]
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 400
        for node in ast.walk(ast.parse(text)):
            named = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            named += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert {each.split(".")[0] for each in named} <= {*sys.stdlib_module_names, "litekiln_update"}, path
