"""Label maps that fit no model, found when they are packed: no other converter makes them fit."""

import pytest

from litekiln.errors import RefusedEverywhere
from litekiln.paths import Project
from tests.helpers.running import one_step, run, write_program

ANNOTATE = """
from types import SimpleNamespace
from unittest.mock import MagicMock
for name in ("flatbuffers", "flatbuffers.flexbuffers", "graph.graph_facts", "graph.graph_picture"):
    sys.modules[name] = MagicMock()
for name in ("tflite_file.flat", "tflite_file.packed_metadata", "tflite_file.write_metadata", "tflite_file.arithmetic"):
    sys.modules[name] = MagicMock()
import annotate
os.mkdir("made")
open("made/detect.tflite", "wb").close()
protocol.input_path = lambda name: "made"
protocol.write_json("made/contract.json", {{"outputs": "postprocess", "classes": 90}})
annotate._told = lambda *args: None
annotate.write_metadata.write = lambda plain, told: plain
annotate.packed_metadata.read = lambda model, data: (SimpleNamespace(labels=[], pixels=None, outputs=[]), None)
return annotate.annotate({{"labels": {labels}}})
"""


def _refusal(project: Project, labels: list[str]) -> RefusedEverywhere:
    write_program(project, ANNOTATE.format(labels=labels))
    with pytest.raises(RefusedEverywhere) as caught:
        run(project, one_step(project))
    return caught.value


def test_a_label_map_of_another_length_is_refused_for_every_toolchain(project: Project) -> None:
    error = _refusal(project, [str(number) for number in range(91)])
    assert error.what == "work: the label map has 91 classes, the model 90"
    assert error.cause.endswith("a background, a placeholder, an empty line")
    assert error.remedy.startswith("edit the file that [labels] in model.toml names")


def test_no_label_map_is_refused_for_every_toolchain(project: Project) -> None:
    error = _refusal(project, [])
    assert (error.what, error.cause) == ("work: there is no label map", "the recipe names none, and the model has none packed into it")
    assert error.remedy == 'name one in its model.toml: [labels] file = "labels.txt"'
