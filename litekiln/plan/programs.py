"""What a plan needs to know of each program of steps/: what it takes, and what its exit means. One row each."""

from typing import NamedTuple


class Program(NamedTuple):
    """A program that steps run."""

    file: str
    memory: int = 1000  # at its peak, in MB, measured on the 640x640 FPNLite
    timeout: int = 3600  # seconds
    keep_refusal: bool = False  # the same inputs would be refused again: another toolchain is tried instead
    alone: bool = False  # it measures time, so nothing runs beside it
    runs_model: bool = False  # it runs a model's file in TFLite's interpreter: a crash is that file's fault
    judges: bool = False  # it checks or measures models: `inv verify --force` runs it again


HANGING = 1800  # seconds: a file that makes its interpreter hang is a bad file

FETCH_MODEL = Program("fetch model", memory=100)
FETCH_PICTURES = Program("fetch pictures", memory=100)
DRAW_PICTURES = Program("draw_pictures.py", memory=200)
CALIBRATE = Program("calibrate.py", memory=1600, keep_refusal=True, runs_model=True)
CONVERT_FLOAT = Program("convert_float.py", memory=1600, keep_refusal=True, runs_model=True)
CONVERT_INTEGER = Program("convert_integer.py", memory=1600, keep_refusal=True, runs_model=True)
CONVERT_TF1 = Program("convert_tf1.py", memory=1600, keep_refusal=True)
TAKE_TFLITE = Program("take_tflite.py", memory=1600, keep_refusal=True, runs_model=True)
ANNOTATE = Program("annotate.py", memory=600, keep_refusal=True)
VERIFY = Program("verify.py", memory=700, timeout=HANGING, keep_refusal=True, runs_model=True, judges=True)
TRACE_ERRORS = Program("trace_errors.py", memory=1600, runs_model=True, judges=True)
MEASURE_SPEED = Program("measure_speed.py", memory=400, timeout=HANGING, alone=True, runs_model=True, judges=True)
DRAW_GRAPH = Program("draw_graph.py", timeout=600)
FIX_TFLITE = Program("fix_tflite.py", timeout=1200, keep_refusal=True, runs_model=True)
SMOKE = Program("smoke.py", timeout=900)
