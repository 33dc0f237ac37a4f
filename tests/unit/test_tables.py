"""What is printed on terminals of several widths, and lines of steps that look like progress."""

import pytest

from litekiln.commands.prepare import BUNDLE_COLUMNS
from litekiln.terminal import Reporter

LOG = ".litekiln/logs/ssd_mobilenet_v2_fpnlite_640-convert-int16x8-in-tf2.21.log"
WHY = "the converter of TensorFlow 2.13 fails: " + "an operator that nobody knows, " * 6
TABLES = {
    "bundles": (
        ("model", *BUNDLE_COLUMNS),
        [("shapes", "float32", "2.7 MB", "16.3 s", "0.923", "float32", "a976011d8899", "out/shapes/float32")],
    ),
    "failures": (("failed", "variants", "log", "why"), [("shapes", "int8 int8-io int16x8", LOG, WHY), ("other", "all", "-", "no")]),
    "images": (
        ("toolchain", "size", "time", "tag", "id"),
        [("tf2.13", "1.35 GB", "321.0 s", "litekiln/toolchain:tf2.13-0f3b1c99d8aa", "sha256:5b29e8cdf298")],
    ),
    "compared": (("", "build", "from"), [("A", "shapes/int8", "/home/somebody/with/a/long/path/out/shapes/int8")]),
    "two lines": (("model", "why"), [("shapes", "new\nchanged: code")]),
}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Reporter:
    for name, value in (("TTY_COMPATIBLE", "1"), ("COLUMNS", str(request.param)), ("NO_COLOR", "1"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
    return Reporter()


@pytest.mark.parametrize("terminal", [20, 40, 80, 120, 200], indirect=True)
@pytest.mark.parametrize("name", TABLES)
def test_no_column_vanishes_and_nothing_is_cut(terminal: Reporter, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    columns, rows = TABLES[name]
    terminal.table(columns, rows)
    printed = capsys.readouterr().out
    assert "…" not in printed
    words = [word for cells in (columns, *rows) for cell in cells for word in cell.split()]
    assert [word for word in words if word not in printed] == []  # a path is one word: no line break is inside it


@pytest.mark.parametrize("terminal", [80], indirect=True)
def test_a_table_that_fits_has_columns(terminal: Reporter, capsys: pytest.CaptureFixture[str]) -> None:
    columns, rows = TABLES["bundles"]
    terminal.table(columns[1:], [row[1:] for row in rows])
    assert capsys.readouterr().out.splitlines() == [
        "variant    size    time    mAP  input    sha256        path              ",
        "float32  2.7 MB  16.3 s  0.923  float32  a976011d8899  out/shapes/float32",
    ]


@pytest.mark.parametrize("terminal", [40], indirect=True)
def test_a_table_that_does_not_fit_becomes_blocks(terminal: Reporter, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(*TABLES["failures"])
    assert capsys.readouterr().out.splitlines() == [
        "failed    shapes",
        "variants  int8 int8-io int16x8",
        f"log       {LOG}",
        f"why       {WHY}",
        "",
        "failed    other",
        "variants  all",
        "log       -",
        "why       no",
    ]


@pytest.mark.parametrize("terminal", [40], indirect=True)
def test_the_commands_are_explained_on_a_narrow_terminal(
    terminal: Reporter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """invoke leaves the help no column beside long options, and ends in a traceback."""
    from litekiln.commands import command_line

    monkeypatch.setattr(command_line, "pty_size", lambda: (30, 24))
    rows = [("-k STRING, --keep-float=STRING", "keep an operator in float; can be given more than once"), ("-h", None)]
    command_line._Program().print_columns(rows)
    assert capsys.readouterr().out.splitlines() == [
        "  -k STRING, --keep-float=STRING",
        "      keep an operator in",
        "      float; can be given more",
        "      than once",
        "  -h",
        "",
    ]


@pytest.mark.parametrize("terminal", [80], indirect=True)
@pytest.mark.parametrize("line", ["@progress x", "@progress", "@progress 3 of 4", "@progress 3/x pictures", "@progress  "])
def test_what_only_looks_like_progress_is_a_line(terminal: Reporter, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.step("work", "new"):
        terminal.line("work", line)
    assert f"  work  {line}".rstrip() in [printed.rstrip() for printed in capsys.readouterr().out.splitlines()]


def test_progress_is_no_line_of_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    Reporter().line("work", "@progress 3/16 pictures of a set")
    assert capsys.readouterr().out == ""
