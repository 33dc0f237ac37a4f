"""docs/security.md names the test that holds each promise."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


@cache
def _tests(file: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_each_promise_names_tests_that_exist() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 40
    assert [f"{file}::{name}" for file, name in named if name not in _tests(file)] == []
    assert PAGE.count("::") == len(named) + 1  # the form itself is named once


def test_no_promise_is_without_a_test() -> None:
    for table in re.findall(r"^\| promise \| test \|\n(?:\|.*\n)+", PAGE, re.MULTILINE):
        assert all("::" in row for row in table.splitlines()[2:]), table
