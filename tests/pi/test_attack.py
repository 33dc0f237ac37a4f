"""A small part of the attack, on every run of the tests; CI and `python -m tests.pi.attack` make 100,000 requests."""

import sys

import pytest

from litekiln_pi.server.openapi import PATHS as DESCRIBED
from tests.pi.attack import CLASSES, MOST_MEMORY, PATHS, attack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="not run: it reads /proc")


def test_the_kinds_of_requests_make_a_whole() -> None:
    assert sum(CLASSES.values()) == 1000


def test_every_path_that_can_be_read_is_attacked() -> None:
    readable = {path.replace("{name}", "app.js") for path, methods in DESCRIBED.items() if "get" in methods}
    assert readable == set(PATHS)


@pytest.mark.parametrize("token", ["", "sesame"])
def test_a_server_stands_an_attack(token: str) -> None:
    result = attack(1500, seed=7, token=token)
    assert result.finds == []
    assert 0 < result.memory < MOST_MEMORY
    assert result.answers["401" if token else "200"] > 100
    assert result.answers["400"] > 100
