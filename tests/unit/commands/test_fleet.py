"""`inv fleet` without the Pi's packages: a stand-in for the runtime says how it was started."""

import json
import re
from pathlib import Path

import pytest

from litekiln.commands.fleet import FleetRequest, fleet
from litekiln.errors import UsageError
from litekiln.paths import Project
from litekiln.terminal import Reporter
from tests.unit.commands.test_desk import environment as environment
from tests.unit.test_tasks import run_inv


def test_the_page_needs_no_bundle(
    project: Project, environment: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LITEKILN_BUNDLE", raising=False)
    assert fleet(Reporter(json=True), project, FleetRequest("10.0.0.1,mdns")) == {"exit_code": 0}
    printed = capfd.readouterr()
    told = json.loads(printed.out)
    assert told["argv"] == ["fleet", "--list=10.0.0.1,mdns", "--host=127.0.0.1", "--port=8080"]
    assert (told["LITEKILN_DESK"], told["LITEKILN_BUNDLE"]) == ("inv fleet", "")
    assert "Ctrl-C ends it" in printed.err
    assert "everybody" not in printed.err


def test_once_passes_on_table_and_exit_code(
    project: Project, environment: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_EXIT", "1")
    assert fleet(Reporter(json=True), project, FleetRequest("mdns", once=True)) == {"exit_code": 1}
    printed = capfd.readouterr()
    assert json.loads(printed.out)["argv"] == ["fleet", "--list=mdns", "--once"]
    assert "Ctrl-C" not in printed.err
    told = fleet(Reporter(json=True), project, FleetRequest("mdns", once=True, keep=True))
    assert (told["argv"], told["exit_code"]) == (["fleet", "--list=mdns", "--once", "--json"], 1)
    assert capfd.readouterr().out == ""


def test_it_warns_of_an_open_page(
    project: Project, environment: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = FleetRequest("mdns", host="0.0.0.0")
    fleet(Reporter(json=True), project, request)
    assert "with --host 0.0.0.0 everybody in your network can watch; LITEKILN_TOKEN=WORD" in capfd.readouterr().err
    monkeypatch.setenv("LITEKILN_TOKEN", "word")
    fleet(Reporter(json=True), project, request)
    assert "everybody" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (FleetRequest(" "), "--list names no Pi"),
        (FleetRequest("10.0.0.1, rooms/b.txt"), "--list rooms/b.txt: there is no such file"),
        (FleetRequest("mdns", port=70000), "--port 70000: expected a port from 1 to 65535"),
    ],
)
def test_what_it_refuses(project: Project, request_: FleetRequest, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        fleet(Reporter(json=True), project, request_)
    assert caught.value.remedy


def test_it_is_typed_so(project: Project) -> None:
    run = run_inv(project, "fleet", "--list", "mdns", "--port", "70000", "--once", "--host", "127.0.0.1")
    assert run.returncode == 2
    assert "--port 70000: expected a port from 1 to 65535" in run.stderr
