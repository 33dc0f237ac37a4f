"""A small part of the attack, on every run of the tests; CI and `python -m tests.pi.attack` make 100,000 requests."""

import sys

import pytest

from tests.pi.attack import CLASSES, MOST_MEMORY, attack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="not run: it reads /proc")


def test_the_kinds_of_requests_make_a_whole() -> None:
    assert sum(CLASSES.values()) == 1000


@pytest.mark.parametrize("token", ["", "sesame"])
def test_a_server_stands_an_attack(token: str) -> None:
    result = attack(1500, seed=7, token=token)
    assert result.finds == []
    assert 0 < result.memory < MOST_MEMORY
    assert result.answers["401" if token else "200"] > 100
    assert result.answers["400"] > 100
