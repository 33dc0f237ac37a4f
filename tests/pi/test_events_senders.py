"""From a camera's frames to others, as `serve` puts it together."""

from pathlib import Path

import pytest

from litekiln_pi.errors import BadUse
from litekiln_pi.events.senders import sending
from tests.pi.fakes import FakeBundle, wait_for
from tests.pi.serving import running
from tests.pi.test_events_webhook import Receiver
from tests.pi.test_server_events import GIVEN, a_watch


def test_what_a_camera_sees_reaches_a_receiver(tmp_path: Path) -> None:
    watch, receiver, said = a_watch(tmp_path / "events.json", GIVEN), Receiver(), list[str]()
    with (
        receiver.running() as port,
        sending(watch, FakeBundle(), lambda: True, said.append, name="hall", webhook=f"http://127.0.0.1:{port}/", mqtt=""),  # type: ignore[arg-type]
        running(watch=watch) as site,
    ):
        wait_for(lambda: len(receiver.came) >= 3)
        values = site.ask("/metrics").body.decode()
        assert 'litekiln_event_messages_total{by="webhook",result="sent"}' in values
        assert 'litekiln_event_messages_total{by="webhook",result="failed"} 0.0' in values
    assert [each["event"] for each in receiver.came[:3]] == ["appeared", "entered", "crossed"]
    assert {each["pi"] for each in receiver.came} == {"hall"}
    assert said == []


def test_nothing_starts_when_an_address_is_wrong(tmp_path: Path) -> None:
    watch = a_watch(None)
    with (
        pytest.raises(BadUse, match="--mqtt"),
        sending(watch, FakeBundle(), lambda: True, print, name="", webhook="http://127.0.0.1:1/", mqtt="http://x"),  # type: ignore[arg-type]
    ):
        pass
    assert watch.senders == []
