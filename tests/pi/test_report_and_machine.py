"""The bundle's report over HTTP with its own policy, the machine's state, and the Pi's name."""

import re
from pathlib import Path
from typing import Any

import pytest

from litekiln_pi.server import Settings, this_machine
from litekiln_pi.server.openapi import DESCRIPTION
from litekiln_pi.server.report import policy
from tests.pi.fakes import FakeBundle
from tests.pi.serving import running

PAGE = b"<html><style>a {}</style>\n<script>let x = 1;</script><script src='elsewhere.js'></script></html>"


class Bundle(FakeBundle):
    def __init__(self, folder: Path) -> None:
        self.folder = folder


def test_the_report_is_sent_with_a_policy_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_bytes(PAGE)
    with running(bundle=Bundle(tmp_path)) as told:
        answer = told.ask("/report")
        assert (answer.status, answer.body, answer.headers["content-type"]) == (200, PAGE, "text/html; charset=utf-8")
        given = answer.headers["content-security-policy"]
        assert given == policy(PAGE)
        assert answer.headers["x-frame-options"] == "DENY"
        again = told.ask("/report", if_none_match=answer.headers["etag"])
        assert (again.status, again.body) == (304, b"")


def test_the_policy_allows_what_the_page_holds_and_nothing_else() -> None:
    given = dict(each.split(" ", 1) for each in policy(PAGE).split("; "))
    assert given["default-src"] == given["frame-ancestors"] == given["base-uri"] == given["form-action"] == "'none'"
    assert given["img-src"] == "data:"
    assert re.fullmatch(r"'sha256-[\w+/]{43}='", given["style-src"])
    # of `let x = 1;`
    assert given["script-src"] == "'sha256-qtc3jf64UXA5J6U02kfQ0Cvn9Uz4wXUaN3NNUVgR2v4='"
    assert "script-src" not in policy(b"<html></html>")


def test_a_bundle_without_a_report() -> None:
    with running() as told:
        assert told.ask("/report").status == 404


def test_the_report_needs_the_token(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_bytes(PAGE)
    with running(Settings(token="sesame"), bundle=Bundle(tmp_path)) as told:
        assert told.ask("/report").status == 401
        assert told.ask("/api/machine").status == 401


def test_the_machine_is_read_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    import jsonschema

    reads: list[int] = []
    monkeypatch.setattr(this_machine, "temperature", lambda: reads.append(1) or 48.3)  # type: ignore[func-returns-value]
    monkeypatch.setattr(this_machine, "throttling", lambda: ["it has been throttled"])
    schema: Any = {"$ref": "#/components/schemas/Machine", "components": DESCRIPTION["components"]}
    with running() as told:
        for _ in range(3):
            data = told.ask("/api/machine").data
        assert (data["temperature"], data["throttling"]) == (48.3, ["it has been throttled"])
        assert len(reads) == 1
        jsonschema.validate(data, schema)
    monkeypatch.setattr(this_machine, "temperature", lambda: None)
    monkeypatch.setattr(this_machine, "throttling", lambda: None)
    with running() as told:
        jsonschema.validate(told.ask("/api/machine").data, schema)


def test_the_name_is_in_the_state() -> None:
    with running(Settings(name="Bird table 2")) as told:
        assert told.ask("/api/state").data["name"] == "Bird table 2"
