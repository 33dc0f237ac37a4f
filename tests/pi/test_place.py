"""On a desk no message speaks of containers: what the runtime says there, and that no text was forgotten."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ROOT / "pi" / "litekiln_pi"
TYPED = "inv camera --model shapes --variant int8"
OF_CONTAINERS = re.compile(r"\b(docker|containers?|IMAGE)\b")
# The image's own commands and their help, which nobody meets on a desk; and the place that decides.
OF_THE_IMAGE = ("about.py", "arguments.py", "health.py", "place.py")
ASKED = """
import errno
from litekiln_pi.errors import BadUse
from litekiln_pi.main import main
from litekiln_pi.sources import open_source, http, rtsp, standard_input, v4l2_words
print(v4l2_words.CSI)
for number in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EBUSY):
    print(v4l2_words.cannot_open("/dev/video0", OSError(number, "no")))
for spec in ("/no/such/folder", "-"):
    try:
        open_source(spec)
    except BadUse as error:
        print(error, error.remedy)
print(http._no_stream("video/mp4", "http://camera/"))
print(rtsp.NOT_JPEG)
print(main(["serve", "--port", "many"]))
"""


@pytest.fixture(scope="module")
def said() -> str:
    environment = {**os.environ, "PYTHONPATH": f"{RUNTIME.parent}{os.pathsep}{ROOT / 'steps'}", "LITEKILN_DESK": TYPED}
    argv = [sys.executable, "-c", ASKED]
    run = subprocess.run(argv, env=environment, stdin=None, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout + run.stderr


@pytest.mark.parametrize(
    "text",
    [
        f"rpicam-vid -t 0 --codec mjpeg --flush -o - | {TYPED} --source -\n",
        "there is no /dev/video0 here: plug the camera in (`v4l2-ctl --list-devices`",
        "sudo usermod -aG video $USER, then log in again",
        "end it (`sudo fuser -v /dev/video0` names it)",
        "there is no file or folder /no/such/folder check its name",
        f"ffmpeg -i http://camera/ -f mjpeg - | {TYPED} --source -",
        f"ffmpeg -i {{url}} -f mjpeg - | {TYPED} --source -",
        "error: argument --port: 'many' is not a port from 1 to 65535\n  → `inv --help camera` explains each option\n",
    ],
)
def test_a_desk_has_its_own_words(said: str, text: str) -> None:
    assert text in said


def test_nothing_that_is_said_there_is_about_containers(said: str) -> None:
    assert OF_CONTAINERS.findall(said) == ["container"], said  # of EPERM: who runs `inv` in one


def _texts(tree: ast.AST) -> Iterator[str]:
    """The texts of a module that may be said, without docstrings and what `here` chooses in a container."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "here":
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        yield from _texts(node)


@pytest.mark.parametrize("path", sorted(RUNTIME.rglob("*.py")), ids=lambda path: path.stem)
def test_a_text_about_containers_has_another_for_a_desk(path: Path) -> None:
    """`here(…, …)` and READS_A_PIPE of place.py choose."""
    texts = _texts(ast.parse(path.read_text(encoding="utf-8")))
    assert path.name in OF_THE_IMAGE or [text for text in texts if OF_CONTAINERS.search(text)] == []
