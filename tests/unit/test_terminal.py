"""What reaches a terminal: text that others wrote commands nothing."""

import re
from collections.abc import Callable

import pytest

from litekiln.errors import DownloadFailed, LitekilnError
from litekiln.paths import Project
from litekiln.terminal import Check, Reporter, Status
from litekiln.wording import visible
from tests.unit.test_tasks import run_inv

HOSTILE = "a\x1b]0;title\x07\x1b[2Jb\rc\x9bd\u202ee\udcff\x7f"
SPELLED = r"a\x1b]0;title\x07\x1b[2Jb\rc\x9bd\u202ee\udcff\x7f"


def test_visible_keeps_text_lines_and_tabs() -> None:
    assert visible(HOSTILE) == SPELLED
    assert visible("é ✓ 图\n\t“x”") == "é ✓ 图\n\t“x”"


PRINTING: list[Callable[[Reporter], None]] = [
    lambda reporter: reporter.note(HOSTILE),
    lambda reporter: reporter.warn(HOSTILE),
    lambda reporter: reporter.failed("x", str(DownloadFailed(HOSTILE, cause=HOSTILE, remedy=HOSTILE))),
    lambda reporter: reporter.done(HOSTILE, 1, HOSTILE),
    lambda reporter: reporter.up_to_date(HOSTILE),
    lambda reporter: reporter.heading(HOSTILE),
    lambda reporter: reporter.check(Check(HOSTILE, Status.FAIL, HOSTILE, HOSTILE)),
    lambda reporter: reporter.finding("error", HOSTILE, HOSTILE, [HOSTILE]),
    lambda reporter: reporter.table(("path",), [(HOSTILE,)]),
    lambda reporter: _step(reporter),
]


def _step(reporter: Reporter) -> None:
    with reporter.step(HOSTILE, HOSTILE):
        reporter.line(HOSTILE, f"@progress 3/4 {HOSTILE}")
        reporter.live(HOSTILE, HOSTILE)


@pytest.mark.parametrize("print_it", PRINTING)
@pytest.mark.parametrize("terminal", [False, True])
def test_no_text_commands_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool, print_it: Callable[[Reporter], None]
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1" if terminal else "0")
    monkeypatch.setenv("COLUMNS", "400")
    print_it(Reporter())
    out = capsys.readouterr().out
    own = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out).replace("\r", "") if terminal else out  # rich's styles and cursor moves
    assert "\x1b]" not in out
    assert "\x1b[2J" not in out
    assert SPELLED in own
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", own)


def test_a_step_s_progress_may_be_any_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    reporter = Reporter()
    with reporter.step("export", "new"):
        for text in ("@progress x", "@progress ", "@progress", "@progress 1/2 pictures"):
            reporter.line("export", text)
    assert "1/2 pictures" in capsys.readouterr().out


@pytest.mark.parametrize("flags", [[], ["--debug"]])
def test_an_error_s_text_commands_nothing(project: Project, flags: list[str]) -> None:
    recipe = project.models / "demo" / "model.toml"
    recipe.write_text(recipe.read_text().replace("[labels]", '[labels]\n"a\\u001b[2J\\u009b" = 1'))
    run = run_inv(project, "build", "--model", "demo", *flags)
    assert run.returncode == 3
    assert r"labels.a\x1b[2J\x9b: unknown key" in run.stdout
    assert ("Traceback" in run.stderr) == bool(flags)
    assert "\x1b" not in run.stdout + run.stderr


def test_a_mistake_of_litekiln_s_own_commands_nothing_either(project: Project) -> None:
    (project.steps / "convert_float.py").unlink()
    moved = Project(code=project.code, work=project.work)
    run = run_inv(moved, "build", "--model", "demo", "--dry-run", "--debug", LITEKILN_HOME=str(project.work / "a\x1b[2Jb"))
    assert run.returncode == LitekilnError.exit_code
    assert "Traceback" in run.stderr
    assert "\x1b" not in run.stdout + run.stderr
