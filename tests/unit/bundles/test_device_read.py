"""Files with devices' figures, whoever wrote them: each that can't be used is refused with what failed, why, and what to do."""

import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from litekiln.bundles.device_format import DeviceFigures
from litekiln.bundles.device_read import LARGEST, MOST_FILES, device_files, read_device
from litekiln.errors import BundleError, LitekilnError, SourceError, UsageError
from tests.helpers.devices import SCHEMA, changed, figures, times, write_figures


def _read(tmp_path: Path, content: bytes) -> DeviceFigures:
    path = tmp_path / "pi.json"
    path.write_bytes(content)
    return read_device(path)


def _refused(error: LitekilnError, what: str, cause: str = "", remedy: str = "bench --json > FILE.json") -> None:
    assert re.search(what, error.what), error.what
    assert error.what.startswith(("pi.json", "/")), "it names the file"
    assert cause in error.cause
    assert error.cause
    assert remedy in error.remedy


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_figures_are_read(tmp_path: Path) -> None:
    read = _read(tmp_path, json.dumps(figures()).encode())
    assert (read.device.board, read.threads[2].threads, read.threads[2].frame.median) == (
        "Raspberry Pi 4 Model B Rev 1.4",
        3,
        39.45,
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_what_other_shells_write_is_read_too(tmp_path: Path, encoding: str) -> None:
    """PowerShell's `>` writes UTF-16, and Notepad a mark before UTF-8."""
    assert _read(tmp_path, json.dumps(figures()).encode(encoding)).variant == "int8"


def test_fields_of_later_versions_are_ignored(tmp_path: Path) -> None:
    assert _read(tmp_path, json.dumps({**figures(), "new": 1}).encode()).variant == "int8"


@pytest.mark.parametrize(
    ("content", "what", "cause"),
    [
        (b"", "is empty", "bench was killed before it ended"),
        (b" " * (LARGEST + 1), "larger than any device's figures", "another kind of file"),
        (b'{"device_figures": 1, "mod', "is not valid JSON", "cut off or edited"),
        (b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\r\n{}", "is not valid JSON", "`docker run -t`"),
        (b"\xff\xfe\x00", "is not valid JSON", "cut off"),
        (b"[" * 100_000, "is not valid JSON", "cut off"),
        (b'{"device_figures": NaN}', "NaN is not a JSON number", "edited"),
        (b"[]", "has no device's figures: the key 'device_figures' is missing", "another JSON file"),
        (b'{"model": "shapes int8", "board": "x", "timed": []}', "has no device's figures", "an older image wrote it"),
        (b'{"device_figures": 2}', "has format 2, this litekiln reads 1", "another litekiln"),
        (b'{"device_figures": true}', "has format True, this litekiln reads 1", "another litekiln"),
        (b'{"device_figures": 1}', "Object missing required field", "edited"),
    ],
)
def test_what_is_no_devices_figures_is_refused(tmp_path: Path, content: bytes, what: str, cause: str) -> None:
    with pytest.raises(BundleError) as caught:
        _read(tmp_path, content)
    _refused(caught.value, what, cause)


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        ("measured_at", "yesterday", r"Expected `str` matching regex.*\$\.measured_at"),
        ("model", "", r"length >= 1.*\$\.model"),
        ("variant", "x" * 201, r"length <= 200.*\$\.variant"),
        ("file.sha256", "0cc7", r"regex.*\$\.file\.sha256"),
        ("file.size", 0, r">= 1.*\$\.file\.size"),
        ("device.kind", "a toaster", r"Invalid enum value.*\$\.device\.kind"),
        ("device.cores", 0, r">= 1.*\$\.device\.cores"),
        ("device.memory", "4 GB", r"Expected `int \| null`.*\$\.device\.memory"),
        ("device.megahertz.max", -1, r">= 0.*\$\.device\.megahertz\.max"),
        ("device.board", "Pi\x1b[2J", r"a text that can't be printed - at `\$\.device\.board`"),
        ("device.board", "Pi\u202e", r"a text that can't be printed"),
        ("doubts", ["\ud800"], r"a text that can't be printed - at `\$\.doubts\[0\]`"),
        ("doubts", ["x"] * 41, r"length <= 40.*\$\.doubts"),
        ("conditions.load_before", -1, r">= 0.*\$\.conditions\.load_before"),
        ("conditions.temperature.highest", 5000, r"<= 300.*\$\.conditions\.temperature\.highest"),
        ("conditions.throttling.during", "yes", r"Expected `array`.*\$\.conditions\.throttling\.during"),
        ("selftest.ok", "yes", r"Expected `bool`.*\$\.selftest\.ok"),
        ("complete", 1, r"Expected `bool`.*\$\.complete"),
        ("rounds", 0, r">= 1.*\$\.rounds"),
        ("seconds", -0.5, r">= 0.*\$\.seconds"),
        ("picture.width", 0, r">= 1.*\$\.picture\.width"),
        ("threads", [], r"length >= 1.*\$\.threads"),
        ("threads.0.threads", 65, r"<= 64.*\$\.threads\[0\]"),
        ("threads.1.threads", 1, r"numbers of threads that are not ascending - at `\$\.threads`"),
        ("threads.0.runs", 4, r"fewer runs than rounds - at `\$\.threads\[0\]`"),
        ("threads.0.frame.median", -1.0, r">= 0.*\$\.threads\[0\]\.frame\.median"),
        ("threads.0.frame.median", 4_000_000.0, r"<= 3600000"),
        ("threads.0.frame.median", 200.0, "a frame whose minimum, median and 95th percentile are not ascending"),
        ("threads.0.inference.p95", 1.0, "an inference whose minimum, median and 95th percentile are not ascending"),
        ("threads.0.preparation.min", 3.1, "a preparation whose minimum"),
        ("threads.0.frame.rounds", [84.0], "1 median of a frame, for 5 rounds"),
        ("threads.0.frame.rounds", [84.0, 84.0, 84.0, 84.0, 1.0], "a round whose median is below the minimum of a frame"),
        ("threads.0.frame", times(10.0), "a whole frame that is faster than its inference"),
        ("threads.0.inference", times(0.0), "a time of 0 ms"),
    ],
)
def test_what_no_measurement_gives_is_refused(tmp_path: Path, path: str, value: Any, what: str) -> None:
    with pytest.raises(BundleError) as caught:
        _read(tmp_path, json.dumps(changed(path, value)).encode())
    _refused(caught.value, f"has figures that can't be used: .*{what}", "it was edited")


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(SourceError, match="is a named pipe, where a plain file is needed"):
        read_device(tmp_path / "pipe.json")


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, os.strerror(13))

    [name] = write_figures(tmp_path, figures())
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(SourceError, match="could not be read: Permission denied"):
        read_device(Path(name))


def test_a_folder_stands_for_its_files(tmp_path: Path) -> None:
    names = write_figures(tmp_path / "pis", figures("int8"), figures("float32"))
    (tmp_path / "pis" / "notes.txt").write_text("no figures")
    assert [str(path) for path in device_files([names[1], str(tmp_path / "pis")])] == [names[1], names[0]]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, message in (("nowhere.json", "there is no such file"), ("empty", r"no \.json file is in this folder")):
        with pytest.raises(UsageError, match=f"--device .*{name}: {message}") as caught:
            device_files([str(tmp_path / name)])
        assert "bench --json > FILE.json" in caught.value.remedy


def test_no_more_files_than_can_be_compared(tmp_path: Path) -> None:
    for place in range(MOST_FILES + 1):
        (tmp_path / f"{place}.json").touch()
    with pytest.raises(UsageError, match=f"--device: {MOST_FILES + 1} files, at most {MOST_FILES} are compared") as caught:
        device_files([str(tmp_path)])
    assert caught.value.remedy
