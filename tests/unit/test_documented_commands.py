"""Every command that the docs show is either run as the first one on a fresh clone, or listed with the reason why it is not."""

import re

import pytest

from tests.conftest import ROOT
from tests.e2e.stand_ins import STAND_INS
from tests.helpers.documented_commands import NO_COMMAND, Documented, as_typed, read_page, read_pages
from tests.helpers.first_use import NOT_RUN, RUN, summary, why_not


@pytest.fixture(scope="module")
def documented() -> Documented:
    return read_pages(ROOT)


def test_every_code_block_is_known(documented: Documented) -> None:
    """A block of another form: let `read_page` know its command, or NO_COMMAND how it begins."""
    assert documented.unknown == []
    assert documented.kinds == set(NO_COMMAND), "what no page has any more"


def test_every_command_is_run_or_has_a_reason(documented: Documented) -> None:
    """A new one goes into RUN of tests/helpers/first_use.py, or into NOT_RUN."""
    new = {each.places[0]: text for text, each in documented.commands.items() if text not in RUN and not why_not(text)}
    assert new == {}


def test_no_command_is_both_run_and_not_or_left_out_for_two_reasons(documented: Documented) -> None:
    reasons = {text: [*why_not(text), *(["run"] if text in RUN else [])] for text in documented.commands}
    assert {text: each for text, each in reasons.items() if len(each) > 1} == {}


def test_nothing_is_listed_that_the_docs_show_no_more(documented: Documented) -> None:
    assert [text for text in RUN if text not in documented.commands] == []
    patterns = [pattern for patterns in NOT_RUN.values() for pattern in patterns]
    assert [each for each in patterns if not any(re.fullmatch(each, text) for text in documented.commands)] == []


def test_exit_codes_are_those_that_the_docs_show(documented: Documented) -> None:
    shown = {text: each.exit_codes for text, each in documented.commands.items() if text in RUN and each.exit_codes}
    assert len(shown) >= 2
    for text, codes in shown.items():
        assert codes <= {case.exit_code for case in RUN[text]}, text


def test_stand_ins_are_there_and_used() -> None:
    assert {name for cases in RUN.values() for case in cases for name in case.given} == set(STAND_INS)


# How pages are read


PAGE = r"""
Type `inv models`, or `inv build --model M [--variant V]… [--calib DIR\|SET]`, or
`make demo`; `inv build` is explained elsewhere.

    make test        # about ten minutes
    docker run \
      --rm IMAGE

    $ inv build --model shpaes
    ✗ error:  unknown model
      inv models
    $ echo $?
    2

    ✓ export  1.0 s

- a list

      $ inv lint --file X.tflite [--fix OUT [--mean M]] [and more]

```python
import protocol
```

    pip install litekiln

    ✓ export  1.0 s
    inv models

```
something else
```
"""


def test_what_is_a_command_and_what_is_not() -> None:
    found = Documented()
    read_page(PAGE, "page.md", found)
    assert {text: each.places for text, each in found.commands.items()} == {
        "make test": ["page.md:5"],
        "docker run --rm IMAGE": ["page.md:6"],
        "inv build --model shpaes": ["page.md:9"],
        "inv lint --file X.tflite": ["page.md:19"],
        "inv build --model shapes": ["page.md:2"],
        "make demo": ["page.md:3"],
    }
    assert found.commands["inv build --model shpaes"].exit_codes == {2}
    assert found.kinds == {"output", "Python"}
    assert found.unknown == ["page.md:25: pip install litekiln", "page.md:27: ✓ export  1.0 s", "page.md:31: something else"]


@pytest.mark.parametrize(
    ("shown", "typed"),
    [
        ("inv lock --check      # writes nothing", "inv lock --check"),
        ("inv smoke [--toolchain T]… [--engine E]", "inv smoke"),
        ("inv build --all [--jobs N] [and what inv build takes]", "inv build --all"),
        ("inv compare A B [--out FILE.html]", "inv compare shapes/int8 shapes/int16x8"),
        ("python3 -c 'print(r[\"verdict\"])'", "python3 -c 'print(r[\"verdict\"])'"),
    ],
)
def test_what_somebody_types(shown: str, typed: str) -> None:
    assert as_typed(shown) == typed


def test_the_summary_says_how_many_ran_and_which_did_not() -> None:
    first, *rest = summary(ROOT, ["inv models", "make demo"])
    assert re.fullmatch(r"2 of \d+ documented commands ran, each as the first on a fresh clone of the last commit; not run:", first)
    assert "   1: it needs all toolchains: tests/engine/test_toolchains.py" in rest
    assert rest[rest.index("   1: it needs all toolchains: tests/engine/test_toolchains.py") + 1] == "        inv smoke"
    assert "        inv models" not in rest
