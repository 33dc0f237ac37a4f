"""Findings as SARIF 2.1.0, which code scanning reads."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from litekiln import __version__
from litekiln.lint.findings import PAGE, TITLES, Finding
from litekiln.lint.result import Linted

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
ROOT = "%SRCROOT%"
LINE = 1  # code scanning requires one, even for a file without lines


def as_sarif(linted: list[Linted]) -> bytes:
    """One run: a rule for each id that was found, a result for each finding, a notification for each unreadable file."""
    ids = [name for name in TITLES if any(finding.id == name for each in linted for finding in each.findings)]
    unreadable = [each for each in linted if each.problem]
    run = {
        "tool": {"driver": {"name": "litekiln lint", "semanticVersion": __version__, "rules": [_rule(name) for name in ids]}},
        "invocations": [
            {"executionSuccessful": not unreadable, "toolExecutionNotifications": [_notification(each) for each in unreadable]}
        ],
        "results": [_result(each.path, finding, ids.index(finding.id)) for each in linted for finding in each.findings],
    }
    text = json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1)
    return (text + "\n").encode()


def _rule(name: str) -> dict[str, Any]:
    page = f"{PAGE}#{name}"
    return {
        "id": name,
        "shortDescription": {"text": TITLES[name]},
        "help": {"text": f"see {page}", "markdown": f"[{page}]({page})"},
    }


def _result(path: Path, finding: Finding, rule: int) -> dict[str, Any]:
    identity = hashlib.sha256(f"{finding.id}\0{_location(path)['uri']}".encode()).hexdigest()
    return {
        "ruleId": finding.id,
        "ruleIndex": rule,
        "level": finding.severity.word,
        "message": _message(f"{TITLES[finding.id]}: {finding.evidence}. {finding.remedy}"),
        "locations": [{"physicalLocation": {"artifactLocation": _location(path), "region": {"startLine": LINE}}}],
        "partialFingerprints": {"finding/v1": identity},
    }


def _notification(linted: Linted) -> dict[str, Any]:
    location = {"physicalLocation": {"artifactLocation": _location(linted.path)}}
    return {"level": "error", "message": _message(str(linted.problem)), "locations": [location]}


def _message(text: str) -> dict[str, str]:
    """A SARIF message. Bytes of a file's name that are not UTF-8 are escaped: JSON can't hold them."""
    return {"text": text.encode(errors="backslashreplace").decode()}


def _location(path: Path) -> dict[str, str]:
    """A file's address: relative if it is below the current folder, else absolute."""
    whole, here = path.absolute(), Path.cwd()
    if whole.is_relative_to(here):
        return {"uri": quote(os.fsencode(whole.relative_to(here))), "uriBaseId": ROOT}
    return {"uri": whole.as_uri()}
