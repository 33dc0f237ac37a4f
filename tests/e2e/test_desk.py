"""`inv detect` and `inv camera` for real: the demo's bundle, the locked packages, the page; and how they end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.conftest import inv_argv
from tests.e2e.conftest import Built
from tests.e2e.pi_runs import lines, same
from tests.e2e.pi_runs import run as run_runtime

pytestmark = pytest.mark.toolchain("tf2.13")
# Python ends by Ctrl-C only if whoever started it doesn't ignore that
HEARS_CTRL_C = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
BUNDLE = ("--model", "shapes", "--variant", "int8")


@pytest.fixture
def work(built: Built) -> Path:
    return built[0]


def _inv(work: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(inv_argv(*arguments), cwd=work, capture_output=True, text=True, check=False)


def test_detect_sees_what_the_image_would(work: Path, tmp_path: Path) -> None:
    pictures = work / "out" / "shapes" / "int8" / "examples"
    run = _inv(work, "detect", *BUNDLE, str(pictures / "0.jpg"), str(pictures / "1.jpg"), "--out", str(tmp_path / "seen"))
    assert run.returncode == 0, run.stderr
    wanted = lines(run_runtime(pictures.parent, "detect", str(pictures / "0.jpg"), str(pictures / "1.jpg")))
    for one, other in zip(lines(run), wanted, strict=True):
        assert one["file"] == other["file"]
        same(one["detections"], other["detections"])
    assert f"pictures with boxes are in {tmp_path / 'seen'}" in run.stderr
    with Image.open(tmp_path / "seen" / "1.detected.jpg") as drawn, Image.open(pictures / "1.jpg") as plain:
        assert drawn.size == plain.size


def test_what_bench_measures_is_shown_beside_map(built_again: Built, tmp_path: Path) -> None:
    work = built_again[0]
    measured = _inv(work, "bench", *BUNDLE, "--seconds", "0.2", "--json")
    assert measured.returncode == 0, measured.stderr
    (tmp_path / "here.json").write_text(measured.stdout)
    shown = _inv(work, "report", "--model", "shapes", "--device", str(tmp_path / "here.json"), "--json")
    assert shown.returncode == 0, shown.stderr
    told = json.loads(shown.stdout)
    [device] = told["devices"]
    assert (device["take"]["variant"], told["left_out"]) == ("int8", [])
    assert (work / "out" / "shapes" / "report-devices.html").is_file()


def test_detect_goes_on_after_a_picture_that_is_none(work: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_text("no picture")
    picture = work / "out" / "shapes" / "int8" / "examples" / "0.jpg"
    run = _inv(work, "detect", *BUNDLE, str(tmp_path / "broken.jpg"), str(picture), "--json")
    assert run.returncode == 1
    told = json.loads(run.stdout)
    assert [Path(each["file"]).name for each in told["pictures"]] == ["0.jpg"]
    assert told["exit_code"] == 1
    assert "broken.jpg: this is not a picture" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Watched:
    """`inv camera` in a session of its own, as in a terminal, until its page is there."""

    def __init__(self, work: Path, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"
        argv = inv_argv("camera", *BUNDLE, "--source", "test", "--port", str(port))
        argv = [sys.executable, "-c", HEARS_CTRL_C, *argv]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self.process = subprocess.Popen(argv, cwd=work, text=True, start_new_session=True, **streams)  # type: ignore[call-overload]
        self.said = ""
        while f"the page is at {self._url}/\n" not in self.said:
            line = self.process.stdout.readline()
            assert line, self.said
            self.said += line

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self._url}{path}", timeout=10) as answer:
            return answer.read()

    def detected(self) -> set[str]:
        try:
            return {each["name"] for each in json.loads(self.get("/api/detections"))["detections"]}
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            return set()  # no frame has been looked at yet

    def is_up(self) -> bool:
        try:
            return bool(self.get("/healthz"))
        except OSError:
            return False


@pytest.fixture
def watched(work: Path, port: int) -> Iterator[Watched]:
    watched = Watched(work, port)
    yield watched
    watched.process.kill()
    watched.process.wait()
    watched.process.stdout.close()


def _within(seconds: float, holds: Any) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.1)
    return False


def test_the_page_shows_what_is_detected_and_ctrl_c_ends_it(watched: Watched) -> None:
    assert "<title>" in watched.get("/").decode()
    assert _within(30, lambda: watched.detected() == {"circle", "square", "triangle"})
    assert "selftest: 3 of 3 recorded detections seen" in watched.said
    os.killpg(watched.process.pid, signal.SIGINT)
    assert watched.process.wait(30) == 0
    assert "Traceback" not in watched.process.stdout.read()
    assert not watched.is_up()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)])
def test_it_leaves_no_server_behind(watched: Watched, number: signal.Signals, code: int) -> None:
    if number == signal.SIGKILL and sys.platform != "linux":
        pytest.skip("only Linux tells a program of its parent's death")
    assert watched.is_up()
    watched.process.send_signal(number)
    assert watched.process.wait(30) == code
    assert _within(30, lambda: not watched.is_up())


def test_a_port_that_is_taken_is_said(work: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        run = _inv(work, "camera", *BUNDLE, "--source", "test", "--port", str(server.getsockname()[1]))
    assert run.returncode == 2
    assert "another program may use the port: choose another one with --port" in run.stderr
    assert "Traceback" not in run.stderr
