"""The Pi's runtime on real bundles of the demo, natively: what the image does, without the image."""

import fcntl
import json
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from litekiln.hashing import sha256_file
from tests.conftest import ROOT
from tests.e2e.conftest import Built
from tests.e2e.pi_runs import PROGRAM, environment, lines, pictures_of, run, same

VARIANTS = ("float32", "float16", "dynamic", "int8", "int8-io", "int8-raw")
PORT = 18431


@pytest.fixture
def bundle(built: Built) -> Path:
    return built[0] / "out" / "shapes" / "int8"


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_sees_what_the_verification_saw(built: Built, variant: str) -> None:
    done = run(built[0] / "out" / "shapes" / variant, "selftest", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["recorded"] > 0
    assert told["matched"] == told["recorded"]


def test_a_model_that_sees_something_else_fails_the_selftest(built: Built, bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(bundle, other)
    shutil.copy(bundle / "examples" / "1.jpg", other / "examples" / "0.jpg")
    done = run(other, "selftest")
    assert done.returncode == 4
    assert re.search(r"error: \d+ of \d+ recorded detections are seen here", done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    watch = ("watch", "--source", "test", "--count", "1", "--threads", "1")
    assert lines(run(other, *watch))[0]["wrong_results"] is True
    for command in (watch, ("serve", "--source", "test", "--threads", "1", "--port", str(PORT))):
        assert run(other, *command, "--strict").returncode == 4
    (other / "selftest.json").unlink()
    done = run(other, "selftest")
    assert done.returncode == 3
    assert "the bundle has no record for the selftest" in done.stderr


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    done = run(tmp_path, "info")
    assert done.returncode == 3
    assert f"error: {tmp_path} is not a bundle that can be run" in done.stderr


def test_info_says_what_it_is(bundle: Path) -> None:
    shown = run(bundle, "info").stdout
    assert shown.startswith("shapes, variant int8, made by litekiln ")
    assert "labels    circle, square, triangle" in shown
    assert re.search(r"accuracy  mAP 0\.\d{3} on 200 pictures", shown)
    told = json.loads(run(bundle, "info", "--json").stdout)
    assert told["contract"]["width"] == 160
    assert told["files"]["detect.tflite"] in shown


def test_pictures_give_json_and_pictures_with_boxes(bundle: Path, tmp_path: Path) -> None:
    files = pictures_of(bundle, tmp_path / "pictures")
    (tmp_path / "pictures" / "broken.jpg").write_bytes(files[0].read_bytes()[:900])
    done = run(bundle, "detect", str(tmp_path / "pictures"), "--out", str(tmp_path / "drawn"))
    assert done.returncode == 1, "one of them is damaged"
    assert re.search(r"broken\.jpg: the picture is damaged", done.stderr)
    told = {Path(each["file"]).name: each for each in lines(done)}
    assert set(told) == {file.name for file in files}
    report = json.loads((bundle / "report.json").read_text())
    for each in report["examples"]:
        seen = told[Path(each["file"]).name]
        assert (seen["width"], seen["height"]) == (each["width"], each["height"])
        names = [found["name"] for found in each["found"] if found["score"] > 0.6]
        assert [found["name"] for found in seen["detections"] if found["score"] > 0.6] == names
        for found in seen["detections"]:
            left, top, right, bottom = found["box"]
            assert 0 <= left < right <= seen["width"]
            assert 0 <= top < bottom <= seen["height"]
    with Image.open(tmp_path / "drawn" / "0.detected.jpg") as drawn, Image.open(files[0]) as plain:
        assert drawn.size == plain.size
        assert np.abs(np.asarray(drawn, int) - np.asarray(plain, int)).max() > 60


def test_files_that_are_not_there(bundle: Path, tmp_path: Path) -> None:
    done = run(bundle, "detect", "nothing.jpg")
    assert done.returncode == 2
    assert "error: nothing.jpg: no such file in the container" in done.stderr
    assert '-v "$PWD:/data"' in done.stderr
    done = run(bundle, "detect", str(tmp_path))
    assert "no picture in this folder" in done.stderr


def test_watching_a_folder_gives_a_line_for_each_picture(bundle: Path, tmp_path: Path) -> None:
    files = pictures_of(bundle, tmp_path / "pictures")
    watched = lines(run(bundle, "watch", "--source", str(tmp_path / "pictures"), "--threads", "1"))
    assert len(watched) == len(files)
    detected = lines(run(bundle, "detect", *map(str, files)))
    for one, other in zip(watched, detected, strict=True):
        same(one["detections"], other["detections"])


def test_watching_frames_on_standard_input(bundle: Path) -> None:
    """As `rpicam-vid --codec mjpeg --flush -o - | docker run -i IMAGE watch --source -` does."""
    data = b"".join(path.read_bytes() for path in sorted((bundle / "examples").iterdir()))
    done = run(bundle, "watch", "--source", "-", "--threads", "1", given=data)
    assert done.returncode == 0, done.stderr
    told = lines(done)
    assert told, done.stderr
    assert {"frame", "time", "width", "height", "milliseconds", "detections"} <= set(told[0])


def test_the_test_picture_is_seen(bundle: Path) -> None:
    done = run(bundle, "watch", "--source", "test", "--count", "5", "--threads", "1")
    assert done.returncode == 0, done.stderr
    seen = {each["name"] for told in lines(done) for each in told["detections"]}
    assert seen == {"circle", "square", "triangle"}


def test_a_camera_that_is_not_there_is_told_and_waited_for(bundle: Path) -> None:
    argv = [*PROGRAM, "watch", "--source", "/dev/video77", "--threads", "1"]
    with subprocess.Popen(argv, env=environment(bundle), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr
        said = ""
        while "--device" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        assert "there is no /dev/video77 here" in said
        time.sleep(1.5)
        assert process.poll() is None, "it waits"
        process.send_signal(signal.SIGTERM)
        assert process.wait(3) == 0


@pytest.mark.parametrize("command", ["serve", "watch", "bench"])
def test_it_can_be_ended_while_it_starts(bundle: Path, command: str) -> None:
    """As a container's first process it would not end by itself: a signal that nobody handles is ignored there."""
    argv = [*PROGRAM, command, *(["--seconds", "60"] if command == "bench" else ["--source", "test"])]
    with subprocess.Popen(argv, env=environment(bundle), stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        _wait_until(lambda: "SIGTERM" in _handled(process.pid))
        process.send_signal(signal.SIGTERM)
        assert process.wait(2) == 128 + signal.SIGTERM


def _handled(pid: int) -> set[str]:
    """The signals that a process has handlers for, by the kernel's word."""
    caught = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt:"))
    mask = int(caught.split()[1], 16)
    return {each.name for each in signal.Signals if mask >> (each - 1) & 1}


def _wait_until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    pytest.fail("it never came to be")


def _waiting(pipe: int) -> int:
    """How many bytes nobody has read yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def _is_full(pipe: int) -> bool:
    before = _waiting(pipe)
    time.sleep(0.5)
    return before > 0 and _waiting(pipe) == before


def test_watching_ends_though_nobody_reads_its_lines(bundle: Path) -> None:
    argv = [*PROGRAM, "watch", "--source", "test", "--fps", "200", "--threads", "1", "--threshold", "0"]
    with subprocess.Popen(argv, env=environment(bundle), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        pipe = process.stdout.fileno()
        _wait_until(lambda: _is_full(pipe))
        process.send_signal(signal.SIGTERM)
        assert process.wait(2) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["watch", "--source", "nonsense://x"], "error: "),
        (["serve", "--threads", "many"], "'many' is neither auto nor a number from 1 to 64"),
        (["serve", "--port", "0"], "'0' is not a port from 1 to 65535"),
        (["watch", "--threshold", "2"], "'2' is not a number from 0 to 1"),
        (["frobnicate"], "invalid choice: 'frobnicate'"),
    ],
)
def test_arguments_that_can_not_be_meant(bundle: Path, arguments: list[str], message: str) -> None:
    done = run(bundle, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_bench_tells_the_times_of_this_very_file(bundle: Path) -> None:
    told = json.loads(run(bundle, "bench", "--seconds", "0.2", "--json").stdout)
    assert told["file"]["sha256"] == sha256_file(bundle / "detect.tflite")
    assert (told["complete"], told["selftest"]["ok"]) == (True, True)
    assert told["threads"][0]["threads"] == 1
    assert all(0 < each["frame"]["min"] <= each["frame"]["median"] <= each["frame"]["p95"] for each in told["threads"])


def test_the_server_answers_and_ends_when_it_is_told(bundle: Path) -> None:
    argv = [*PROGRAM, "serve", "--source", "test", "--threads", "1", "--host", "127.0.0.1", "--port", str(PORT)]
    with subprocess.Popen(argv, env=environment(bundle), stderr=subprocess.PIPE, text=True) as process:
        try:
            state = _wait_for_frames(process)
            assert state["labels"] == ["circle", "square", "triangle"]
            stream = urllib.request.Request(f"http://127.0.0.1:{PORT}/api/detections", headers={"Accept": "text/event-stream"})
            with urllib.request.urlopen(stream, timeout=10) as answer:
                assert answer.readline()
                started = time.monotonic()
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0
                assert time.monotonic() - started < 8  # Docker waits for ten
        finally:
            process.kill()


def _wait_for_frames(process: "subprocess.Popen[str]") -> dict[str, Any]:
    for _ in range(200):
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/detections", timeout=5).close()  # else the loop rests
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/state", timeout=5) as answer:
                state: dict[str, Any] = json.load(answer)
            if state["looked_at"] > 3:
                return state
        except OSError:
            pass
        time.sleep(0.1)
    pytest.fail("no frame was looked at")


PREPARED = """
import sys, json, numpy
from pathlib import Path
from PIL import Image
from litekiln_pi.model import Bundle
worst = {}
for folder in map(Path, sys.argv[1:]):
    for contract in ({}, {"resize": "letterbox", "padding": [127.5, 127.5, 127.5]}):
        bundle = Bundle(folder)
        bundle.contract.update(contract)
        model = bundle.open(1)
        step = numpy.ptp(model._codes[0].astype(float)) / 255
        for size in ((640, 480), (321, 200), (160, 160), (200, 900), (90, 70)):
            picture = Image.effect_noise(size, 90).convert("RGB").resize((size[0] // 4 + 1, size[1] // 4 + 1)).resize(size, 3)
            exact, quick = model.prepare(picture), model.prepare_quickly(picture)
            assert exact[1] == quick[1] and exact[0].dtype == quick[0].dtype and exact[0].shape == quick[0].shape
            apart = numpy.abs(exact[0].astype(float) - quick[0].astype(float)).max() / step
            name = folder.name + " " + contract.get("resize", "stretch")
            worst[name] = max(worst.get(name, 0), round(float(apart), 3))
print(json.dumps(worst))
"""


def test_the_quick_preparation_is_nearly_the_exact_one(built: Built) -> None:
    folders = [str(built[0] / "out" / "shapes" / variant) for variant in ("float32", "int8-io", "int8-raw")]
    argv = [sys.executable, "-c", PREPARED, *folders]
    done = subprocess.run(argv, env=environment(ROOT), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    worst = json.loads(done.stdout)
    assert len(worst) == 6
    for name, apart in worst.items():
        assert apart <= (1.01 if name.startswith("float32") else 2.02), worst  # bytes are rounded twice
