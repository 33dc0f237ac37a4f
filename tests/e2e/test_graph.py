"""The picture of a graph, drawn in the real toolchain: what it tells, what names can't do to it, and files that are refused."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.e2e.svg import Picture, read_svg
from tests.e2e.test_shapes import in_toolchain

pytestmark = pytest.mark.toolchain("tf2.13")
Inv = Callable[..., "CompletedProcess[str]"]

# A little model, made by hand: a convolution, a DEQUANTIZE, two that are not built in.
PRELUDE = r"""
import json, sys; sys.path.insert(0, sys.argv[1])
import numpy as np
import protocol
from graph import graph_facts, graph_picture, graphviz
from tflite_file import flat
schema = flat.schema
TYPES = {name: value for value, name in flat.TYPES.items()}

def tensor(model, name, kind, shape, scales=(), zero_points=(), data=None):
    made = schema.TensorT()
    made.name, made.type, made.shape, made.buffer = name, TYPES[kind], list(shape), 0
    if scales:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = list(scales), list(zero_points)
    if data is not None:
        made.buffer = len(model.buffers)
        model.buffers.append(schema.BufferT())
        model.buffers[-1].data = np.frombuffer(np.array(data, kind).tobytes(), np.uint8)
    model.subgraphs[0].tensors.append(made)
    return len(model.subgraphs[0].tensors) - 1

def operator(model, name, inputs, outputs, options=None):
    made, code = schema.OperatorT(), schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, name, schema.BuiltinOperator.CUSTOM)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
    code.customCode = None if hasattr(schema.BuiltinOperator, name) else name
    made.opcodeIndex, made.inputs, made.outputs = len(model.operatorCodes), list(inputs), list(outputs)
    if options is not None:
        made.builtinOptions = options
        made.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
    model.operatorCodes.append(code)
    model.subgraphs[0].operators.append(made)
    return made

def little(name="image"):
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], [], [schema.BufferT()]
    graph.name, graph.tensors, graph.operators = "main", [], []
    image = tensor(model, name, "uint8", [1, 4, 4, 2], [0.0078125], [128])
    weights = tensor(model, "weights", "int8", [3, 3, 3, 2], [0.5, 0.25, 0.125], [0, 0, 0], np.zeros([3, 3, 3, 2]))
    bias = tensor(model, "bias", "int32", [3], data=[1, 2, 3])
    conv = tensor(model, "conv", "int8", [1, 2, 2, 3], [0.0235], [-128])
    real, flex, done = (tensor(model, each, "float32", [1, 2, 2, 3]) for each in ("real", "flex", "done"))
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = 2
    options.fusedActivationFunction = schema.ActivationFunctionType.RELU6
    operator(model, "CONV_2D", [image, weights, bias], [conv], options)
    operator(model, "DEQUANTIZE", [conv], [real])
    operator(model, "FlexErf", [real], [flex])
    operator(model, "TheirOwn", [flex, -1], [done])
    graph.inputs, graph.outputs = [image], [done]
    return model

def draw(data):
    return graph_picture.draw(graph_facts.read(bytes(data)))[1]

def refusal(data):
    try:
        return "drawn: " + draw(data)[:60]
    except protocol.Refused as error:
        return str(error)
"""


def _run(program: str, *arguments: str) -> Any:
    return json.loads(in_toolchain(PRELUDE + program, str(ROOT / "steps"), *arguments))


def _picture(program: str) -> Picture:
    return read_svg(_run(f"{program}\nprint(json.dumps(draw(flat.write(model))))"))


def test_a_picture_tells_each_operator_with_its_attributes_types_and_quantisation() -> None:
    picture = _picture("model = little()")
    conv, dequantize, flex, custom = picture.operators()
    told = " ".join(conv.texts)
    assert conv.texts[:2] == ("CONV_2D", "#0")
    assert "kernel 3x3, stride 2x2, same, relu6" in conv.texts
    assert "weights int8 [3, 3, 3, 2]" in told
    assert "3 channels, scale 0.125 to 0.5, zero point 0" in conv.texts
    assert "bias int32 [3]: 1, 2, 3" in told
    assert "→ int8 [1, 2, 2, 3]" in told
    assert "scale 0.0235, zero point -128" in conv.texts
    assert (dequantize.texts[0], flex.texts[0], custom.texts[0]) == ("DEQUANTIZE", "FlexErf", "TheirOwn")
    [image] = picture.ends("input")
    assert image.texts == ("input", "image", "uint8", "[1, 4, 4, 2]", "scale 0.007812, zero point 128")
    assert [each.title for each in picture.ends("output")] == ["output: done, float32 [1, 2, 2, 3]"]
    assert len(picture.edges) == 5
    assert "gives conv, int8 [1, 2, 2, 3], scale 0.0235, zero point -128" in conv.title.splitlines()
    assert any(line.startswith("holds weights, int8 [3, 3, 3, 2], 3 channels") for line in conv.title.splitlines())


def test_colours_follow_the_types_and_the_legend_names_them() -> None:
    picture = _picture("model = little()")
    colours = _run("print(json.dumps(graph_picture.COLOURS))")
    conv, dequantize, *_ = picture.operators()
    assert conv.fills[1] == colours["int8"][0]
    assert dequantize.fills[1] == colours["float32"][0]
    assert colours["uint8"][0] in picture.ends("input")[0].fills
    assert sorted({edge.strokes[0] for edge in picture.edges}) == sorted(
        {colours[each][1] for each in ("uint8", "int8", "float32")}
    )
    assert [each for each in picture.heading if each in colours] == ["float32", "int32", "int8", "uint8"]
    assert len({each for pair in colours.values() for each in pair}) == 2 * len(colours)


def test_what_is_not_built_in_stands_out() -> None:
    picture = _picture("model = little()")
    conv, _, flex, custom = picture.operators()
    assert "Flex: only full TensorFlow can run it" in flex.texts
    assert "custom operator: the interpreter must know it" in custom.texts
    assert {"#c1121f", "#b5179e"} <= {*flex.strokes, *custom.strokes}
    assert not {"#c1121f", "#b5179e"} & set(conv.strokes)
    assert {"Flex: only full TensorFlow can run it", "custom operator: the interpreter must know it"} <= set(picture.heading)


HOSTILE = r"""
model = little(b'</title><script>alert(1)</script>"\\N\\" &lt;b&gt;'
               b' ]]> <!-- -->\x00\x1b[31m\xff\xed\xa0\x80\xe2\x80\xa8 \xe5\x9b\xbe')
operator(model, "<b>&amp;\\n", [], [])
model.subgraphs[0].name = b"\x00"
"""


def test_a_name_can_hold_anything() -> None:
    picture = _picture(HOSTILE)
    shown = '</title><script>alert(1)</script>"\\N\\" &lt;b&gt; ]]> <!-- -->\ufffd\ufffd[31m\ufffd\ufffd\ufffd\ufffd\ufffd 图'
    assert picture.ends("input")[0].title.startswith(f"input: {shown}, uint8 [1, 4, 4, 2]")
    assert picture.operators()[4].texts[0] == "<b>&amp;\\n"


def test_the_same_file_gives_the_same_bytes_in_every_process() -> None:
    program = "import hashlib; print(json.dumps(hashlib.sha256(draw(flat.write(little())).encode()).hexdigest()))"
    assert len({_run(program) for _ in range(3)}) == 1


def test_branches_of_a_graph_are_drawn_beside_it() -> None:
    picture = _picture("""
model = little()
model.subgraphs.append(little().subgraphs[0])
model.subgraphs[1].name = "body"
for each in model.subgraphs[1].tensors: each.buffer = 0
""")
    assert len(picture.nodes) == 12
    assert "8 operators" in picture.heading[1]


def test_an_operator_that_this_schema_does_not_know_is_drawn_by_its_number() -> None:
    picture = _picture("model = little(); model.operatorCodes[1].builtinCode = 9999; model.subgraphs[0].tensors[6].type = 77")
    assert picture.operators()[1].texts[0] == "BUILTIN 9999"
    assert "type 77" in picture.heading


def test_many_outputs_of_one_operator_have_places_of_their_own() -> None:
    picture = _picture("""
model = little()
made = [tensor(model, "part %d" % number, "float32", [1]) for number in range(12)]
operator(model, "SPLIT", [4], made[:3])
operator(model, "SPLIT", [4], made[3:])
""")
    few, many = picture.operators()[4:]
    assert [each for each in few.texts if each.startswith("part")] == ["part 0", "part 1", "part 2"]
    assert "and 1 outputs more" in many.texts


# Of each: what is done to the model or to its bytes, and what the refusal says.
DAMAGE = {
    "no magic": ("data[4:8] = b'ABCD'", "it is not a TFLite model: bytes 4 to 7 are not TFL3"),
    "nothing after the magic": ("data = data[:8]", "it is not a whole TFLite model: it is cut off or damaged"),
    "cut in the middle": ("data = data[: len(data) // 2]", "it is not a whole TFLite model: it is cut off or damaged"),
    "cut before its end": ("data = data[:-200]", "it is not a whole TFLite model: it is cut off or damaged"),
    "a root beyond the end": ("data[:4] = b'\\xff\\xff\\xff\\x7f'", "it is not a whole TFLite model: it is cut off or damaged"),
    "zeros": ("data[8:] = bytes(len(data) - 8)", "it has no operators: there is nothing to draw"),
    "noise": ("data[8:] = bytes(range(7, 250)) * 9", "it is not a whole TFLite model: it is cut off or damaged"),
    "no graph": ("model.subgraphs = []", "it has no operators: there is nothing to draw"),
    "no operators": ("graph.operators = []", "it has no operators: there is nothing to draw"),
    "an operator of no kind": ("graph.operators[1].opcodeIndex = 9", "operator 1 is of kind 9, there are 4"),
    "an input beyond": ("graph.operators[1].inputs = [70]", "an input of operator 1 is tensor 70, there are 7"),
    "an output beyond": ("graph.operators[1].outputs = [-1]", "an output of operator 1 is tensor -1, there are 7"),
    "the graph's input beyond": ("graph.inputs = [7]", "an input of the graph is tensor 7, there are 7"),
    "the graph's output beyond": ("graph.outputs = [-3]", "an output of the graph is tensor -3, there are 7"),
    "a buffer beyond": ("graph.tensors[1].buffer = 50", "tensor 1 has buffer 50, there are 3"),
    "weights too short": ("graph.tensors[1].shape = [9, 3, 3, 2]", "tensor 1 has 54 bytes, its type and shape need 162"),
    "scales without zero points": ("graph.tensors[1].quantization.zeroPoint = [0]", "tensor 1 has 3 scales and 1 zero points"),
    "a scale that is none": ("graph.tensors[3].quantization.scale = [float('nan')]", "tensor 3 has a scale that is not a number"),
    "too many": ("graph.operators = graph.operators * 1251", "it has 5004 operators; nobody can read a picture of more than 5000"),
}
DAMAGED = r"""
found = {}
for name, damage in json.loads(sys.argv[2]).items():
    model = little()
    graph, before = model.subgraphs[0], damage.startswith("data")
    if not before:
        exec(damage)
    data = bytearray(flat.write(model))
    if before:
        exec(damage)
    found[name] = refusal(data)
print(json.dumps(found))
"""


def test_damaged_files_are_refused_each_with_its_reason() -> None:
    found = _run(DAMAGED, json.dumps({name: damage for name, (damage, _) in DAMAGE.items()}))
    assert found == {name: message for name, (_, message) in DAMAGE.items()}


FLIPPED = r"""
import random, xml.etree.ElementTree as trees
source, chance, counts = flat.write(little()), random.Random(5), {"drawn": 0, "refused": 0}
for _ in range(1500):
    data = bytearray(source)
    for _ in range(chance.choice((1, 2, 8))):
        data[chance.randrange(8, len(data))] = chance.randrange(256)
    try:
        trees.fromstring(draw(data))
        counts["drawn"] += 1
    except protocol.Refused:
        counts["refused"] += 1
print(json.dumps(counts))
"""


def test_whatever_bytes_are_changed_it_is_a_picture_or_a_refusal() -> None:
    counts = _run(FLIPPED)
    assert min(counts.values()) > 100


ENDLESS = r"""
import draw_graph, time
draw_graph.READING_SECONDS, draw_graph.MEMORY = 0.5, 1 << 30
flat.read = lambda data: time.sleep(60)
said = []
for reader in (lambda data: time.sleep(60), lambda data: bytearray(8 << 30)):
    flat.read = reader
    try:
        draw_graph._within_limits(lambda: graph_facts.read(flat.write(little())))
    except protocol.Refused as error:
        said.append(str(error))
print(json.dumps(said))
"""


def test_reading_has_an_end_and_its_memory_too() -> None:
    endless, large = _run(ENDLESS)
    assert endless.endswith("s: it is damaged, or made to be endless")
    assert large == "it is not a whole TFLite model: it is cut off or damaged"


def test_where_graphviz_has_no_build_that_is_said() -> None:
    said = _run("graphviz.glob.glob = lambda pattern: []; print(json.dumps(refusal(flat.write(little()))))")
    assert said == "Graphviz, which draws the graph, has no build for this system; use the images: --engine docker"


def test_the_command_refuses_a_damaged_file_and_leaves_nothing(work: Path, inv: Inv) -> None:
    written = _run("print(json.dumps(list(flat.write(little()))))")
    (work / "whole.tflite").write_bytes(bytes(written))
    (work / "half.tflite").write_bytes(bytes(written[: len(written) // 2]))
    run = inv("graph", "--file", "half.tflite", "--engine", "venv")
    assert (run.returncode, "Traceback" in run.stdout + run.stderr) == (6, False), run.stdout + run.stderr
    assert "graph: it is not a whole TFLite model: it is cut off or damaged" in run.stdout
    assert not (work / "half.svg").exists()
    drawn = inv("graph", "--file", "whole.tflite", "--engine", "venv", "--dot", "--json")
    assert drawn.returncode == 0, drawn.stdout + drawn.stderr
    said = json.loads(drawn.stdout)
    assert [Path(each).name for each in said["written"]] == ["whole.svg", "whole.dot"]
    assert said["graph"]["operators"] == {"CONV_2D": 1, "DEQUANTIZE": 1, "FlexErf": 1, "TheirOwn": 1}
    assert len(read_svg((work / "whole.svg").read_text(encoding="utf-8")).operators()) == 4
    assert (work / "whole.dot").read_text(encoding="utf-8").startswith("digraph model {")


PUBLISHED = {"coco_ssd_mobilenet_v1_0.75_quant": (64, "uint8"), "public_fpnlite_int8_0to1": (160, "int8")}


@pytest.mark.skipif("LITEKILN_FIXTURES" not in os.environ, reason="not run: LITEKILN_FIXTURES is not set")
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_are_drawn_whole(work: Path, inv: Inv, name: str) -> None:
    count, kind = PUBLISHED[name]
    file = Path(os.environ["LITEKILN_FIXTURES"]).resolve() / "published" / f"{name}.tflite"
    run = inv("graph", "--file", str(file), "--engine", "venv", "--json")
    assert run.returncode == 0, run.stdout + run.stderr
    picture = read_svg((work / f"{name}.svg").read_text(encoding="utf-8"))
    operators = picture.operators()
    assert [each.texts[1] for each in operators] == [f"#{number}" for number in range(count)]
    assert sum(json.loads(run.stdout)["graph"]["operators"].values()) == count
    assert operators[-1].texts[0] == "TFLite_Detection_PostProcess"
    assert "custom operator: the interpreter must know it" in operators[-1].texts
    assert any(kind in each.texts for each in operators)
    assert (len(picture.ends("input")), len(picture.ends("output"))) == (1, 4)
