"""A fault of the machine is never a refusal, which the store would keep: the next run tries again."""

import pytest

from litekiln.errors import DiskFull, LitekilnError, StepFailed, StepKilled, StepRefused
from litekiln.paths import Project
from litekiln.plan.plan import Plan
from litekiln.plan.plan_builder import PlanBuilder
from litekiln.plan.programs import Program
from litekiln.run.store import Store
from litekiln.toolchains.toolchain import load_toolchain
from tests.helpers.running import run, write_program

# The steps under test import TensorFlow, and none of it is needed here.
WITHOUT_TENSORFLOW = """
from unittest.mock import MagicMock
OF_THE_FILE = ("tflite_file.flat", "tflite_file.contract_checks", "tflite_file.arithmetic")
for name in ("tensorflow", "flatbuffers", "flatbuffers.flexbuffers", *OF_THE_FILE):
    sys.modules[name] = MagicMock(__version__="0")
import calibrate
from detection import pictures
from tflite_file import converted
"""
CONVERTS = """
def convert():
    {failing}
return {{"made": converted.attempt(convert)}}
"""
CALIBRATES = """
def load(path):
    {failing}
pictures.load = load
protocol.input_path = lambda name: "in"
feed = calibrate._pictures("in", ["source"], {{}}, calibrate.Summary())
try:
    return {{"made": converted.attempt(lambda: len(list(feed)))}}
except protocol.Refused:
    raise protocol.Refused("it was refused")
"""
RESOURCES = 'raise type("ResourceExhaustedError", (Exception,), {})("OOM when allocating tensor with shape[9]")'
LACKS = [
    ("raise MemoryError", StepKilled, "work ran out of memory"),
    (RESOURCES, StepKilled, "work ran out of memory"),
    ('raise RuntimeError("std::bad_alloc")', StepKilled, "work ran out of memory"),
    ('raise OSError(12, "Cannot allocate memory")', StepKilled, "work ran out of memory"),
    (
        "try:\n        raise MemoryError\n    except MemoryError:\n        raise ValueError('no model')",
        StepKilled,
        "work ran out of memory",
    ),
    ('raise OSError(28, "No space left on device")', DiskFull, "work found no space left on the disk"),
    ('raise ValueError("toco:\\nwrite: No space left on device\\n" + "x\\n" * 50)', DiskFull, "work found no space left"),
    ('raise OSError(122, "Disk quota exceeded")', DiskFull, "work found no space left on the disk"),
    ('raise OSError(24, "Too many open files", "a.jpg")', StepFailed, "work failed with exit code 1"),
    ('raise OSError(5, "Input/output error", "a.jpg")', StepFailed, "work failed with exit code 1"),
    ('raise PermissionError(13, "Permission denied", "a.jpg")', StepFailed, "work failed with exit code 1"),
    ('raise FileNotFoundError(2, "No such file or directory", "a.jpg")', StepFailed, "work failed with exit code 1"),
]


def _plan(project: Project) -> Plan:
    builder = PlanBuilder(project, "demo")
    source, tiny = builder.file(project.models / "demo" / "net.py"), load_toolchain(project, "tiny")
    builder.add("work", Program("work.py", keep_refusal=True), tiny, args={}, inputs={"source": source})
    return builder.plan()


def _error(project: Project, body: str, failing: str) -> LitekilnError:
    write_program(project, WITHOUT_TENSORFLOW + body.format(failing=failing))
    with pytest.raises(LitekilnError) as caught:
        run(project, _plan(project))
    return caught.value


@pytest.mark.parametrize("body", [CONVERTS, CALIBRATES], ids=["convert", "calibrate"])
@pytest.mark.parametrize(("failing", "kind", "what"), LACKS)
def test_a_fault_of_the_machine_is_not_kept(project: Project, body: str, failing: str, kind: type, what: str) -> None:
    error = _error(project, body, failing)
    assert type(error) is kind, error
    assert error.what.startswith(what)
    assert error.remedy
    assert list(Store(project.state)) == []


def test_the_cause_and_the_remedy_are_told(project: Project) -> None:
    error = _error(project, CALIBRATES, LACKS[8][0])
    assert error.cause == "the system's limit of open files"
    assert error.remedy.startswith("raise it (`ulimit -n 4096`), or try --jobs 1; then run the same command; the whole log: ")


def test_what_a_converter_throws_is_refused_and_kept(project: Project) -> None:
    error = _error(project, CONVERTS, 'raise OSError("SavedModel file does not exist at: saved_model")')
    assert type(error) is StepRefused
    assert "fails: SavedModel file does not exist at: saved_model" in error.what
    assert len(list(Store(project.state))) == 1


def test_a_picture_that_cannot_be_decoded_is_left_out(project: Project) -> None:
    write_program(project, WITHOUT_TENSORFLOW + CALIBRATES.format(failing='raise pictures.Unreadable("cut off")'))
    assert run(project, _plan(project))["work"].entry.result()["made"] == 0


USERS_CODE = """
import machine_faults
try:
    {failing}
except Exception as error:
    machine_faults.pass_on(error, theirs=True)
    raise protocol.Refused("your code fails")
"""


@pytest.mark.parametrize(
    ("failing", "kind"),
    [
        ('open("no such file")', StepRefused),
        ("raise PermissionError(13, 'Permission denied', '/root/weights')", StepRefused),
        ("raise MemoryError", StepKilled),
        ("raise OSError(28, 'No space left on device')", DiskFull),
    ],
)
def test_what_the_users_code_lacks_is_its_own_mistake(project: Project, failing: str, kind: type) -> None:
    write_program(project, USERS_CODE.format(failing=failing))
    with pytest.raises(LitekilnError) as caught:
        run(project, _plan(project))
    assert type(caught.value) is kind


def test_tf1s_converter_that_the_system_kills_is_no_refusal(project: Project) -> None:
    """It is a process of its own, whose end TensorFlow 1 only tells by what it printed."""
    body = """
import subprocess
from unittest.mock import MagicMock
OF_THE_FILE = ("tflite_file.flat", "tflite_file.contract_checks", "tflite_file.arithmetic")
for name in ("tensorflow", "tensorflow.lite", "tensorflow.lite.python"):
    sys.modules[name] = MagicMock()
import convert_tf1
with open("killed", "w") as stream:
    stream.write("#!/bin/sh\\nkill -9 $$\\n")
os.chmod("killed", 0o700)
sys.executable = os.path.abspath("killed")
ended = subprocess.run([convert_tf1._starter()], stderr=subprocess.PIPE, universal_newlines=True)
assert ended.returncode == 137
def convert():
    raise Exception("See console for info.\\n" + ended.stderr)
convert_tf1.tf.compat.v1.lite.TFLiteConverter.from_frozen_graph.return_value.convert = convert
names = {"image": "i", "encodings": "e", "predictions": "p"}
convert_tf1._convert("", {"tf1": names, "outputs": "raw", "height": 1, "width": 1}, {}, False)
"""
    write_program(project, body)
    with pytest.raises(StepKilled, match="work ran out of memory"):
        run(project, _plan(project))
    assert list(Store(project.state)) == []
