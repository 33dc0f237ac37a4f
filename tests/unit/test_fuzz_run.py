"""Which fuzzers `make fuzz` runs."""

import pytest

from tests.fuzz.run import TARGETS, split


def test_names_come_first_and_the_rest_is_for_the_fuzzers() -> None:
    assert {"archive", "lint", "picture", "recipe"} <= set(TARGETS)
    assert split([]) == (list(TARGETS), [])
    assert split(["--inputs", "9"]) == (list(TARGETS), ["--inputs", "9"])
    assert split(["picture", "lint", "--keep", "lint"]) == (["picture", "lint"], ["--keep", "lint"])


def test_a_name_that_is_none() -> None:
    with pytest.raises(SystemExit, match=r"there is no fuzzer 'pictures'; there are: .*lint, .*picture"):
        split(["pictures"])
