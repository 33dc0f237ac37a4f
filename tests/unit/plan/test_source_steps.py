"""What a plan begins with, for each kind of source; and what only TF1's models can be asked for."""

import json

import pytest

from litekiln.commands.build import build
from litekiln.commands.prepare import BuildRequest, Legacy
from litekiln.errors import RecipeError, SourceError, UsageError
from litekiln.paths import Project
from litekiln.plan.build_plan import Choices, plan_build
from litekiln.plan.plan import Plan
from litekiln.recipes.recipe import load_recipe
from litekiln.sources.kinds import BY_NAME as KINDS
from litekiln.terminal import Reporter
from litekiln.variants import BY_NAME
from tests.helpers.checkpoints import tf1_shapes, write_checkpoint
from tests.helpers.source_files import ENTRY, FINISH, keras_config, node, write_graph, write_keras, write_saved_model, write_tflite
from tests.unit.recipes.test_picture_sets import draw, numbered, write_set
from tests.unit.run.test_schedule import add_toolchain

URL = f'url = "https://litekiln.invalid/zoo.tar.gz"\nsha256 = "{"a" * 64}"'
PIXELS = "[input]\nmean = 127.5\nstd = 127.5"


@pytest.fixture
def home(project: Project) -> Project:
    for name in ("tf1.15", "tf2.13"):
        add_toolchain(project, name)
    draw(write_set(project, 'folder = "pictures"') / "pictures", *numbered(12))
    return project


def write(home: Project, kind: str, variants: list[str], *more: str, source: str = URL) -> None:
    lines = [
        f'[source]\nkind = "{kind}"\nlicense = "Apache-2.0"',
        source,
        f'[convert]\ntoolchains = ["tf2.13"]\nvariants = {json.dumps(variants)}',
        '[labels]\nfile = "labels.txt"',
        '[calibration]\nset = "photos"',
        *more,
    ]
    (home.models / "demo" / "model.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def plan(home: Project, *variants: str, raw: bool = False, force_export: bool = False, allow_flex: bool = False) -> Plan:
    choices = Choices(variants, raw=raw, force_export=force_export, allow_flex=allow_flex)
    return plan_build(home, load_recipe(home, "demo"), choices)


def programs(made: Plan) -> dict[str, tuple[str, str]]:
    return {step.id: (step.program, step.toolchain) for step in made.steps}


def test_tf1_is_frozen_by_its_own_toolchain_and_lifted_once(home: Project) -> None:
    write(home, "tf1-detection", ["uint8-qat", "float32", "int8"])
    made = plan(home)
    assert programs(made) == {
        "fetch": ("fetch model", ""),
        "freeze": ("export_tf1.py", "tf1.15"),
        "export": ("lift_frozen.py", "tf2.13"),
        "convert uint8-qat in TF1": ("convert_tf1.py", "tf1.15"),
        "convert uint8-qat": ("take_tflite.py", "tf2.13"),
        "annotate uint8-qat": ("annotate.py", "tf2.13"),
        "source on photos, fake-quantized": ("run_frozen.py", "tf1.15"),
        "verify uint8-qat": ("verify.py", "tf2.13"),
        "measure uint8-qat": ("measure_speed.py", "tf2.13"),
        "source on photos": ("run_frozen.py", "tf1.15"),
        "convert float32": ("convert_float.py", "tf2.13"),
        "annotate float32": ("annotate.py", "tf2.13"),
        "verify float32": ("verify.py", "tf2.13"),
        "measure float32": ("measure_speed.py", "tf2.13"),
        "calibrate": ("calibrate.py", "tf2.13"),
        "convert int8": ("convert_integer.py", "tf2.13"),
        "annotate int8": ("annotate.py", "tf2.13"),
        "verify int8": ("verify.py", "tf2.13"),
        "trace": ("trace_errors.py", "tf2.13"),
        "measure int8": ("measure_speed.py", "tf2.13"),
    }
    assert {name: value.path for name, value in made.step("freeze").inputs.items()} == {
        "config": "pipeline.config",
        "checkpoint": "checkpoint",
        "ready": "ready",
    }
    assert [attempt.toolchain for attempt in made.variants["uint8-qat"]] == ["tf1.15"]


def test_what_a_byte_means_is_the_recipes_word(home: Project) -> None:
    aware = BY_NAME["uint8-qat"].as_arguments()
    write(home, "tf1-detection", ["uint8-qat"], "[qat]\nmean = 128\nstd = 128")
    assert plan(home).step("convert uint8-qat in TF1").args == {**aware, "mean": 128, "std": 128.0}
    write(home, "tf1-detection", ["uint8-qat"])
    assert plan(home).step("convert uint8-qat in TF1").args == {**aware, "mean": 128, "std": 127.5}


def test_raw_forms_are_exported_without_the_operator(home: Project) -> None:
    write(home, "tf1-detection", ["float32", "float32-tf1", "int8"])
    made = plan(home, raw=True)
    assert made.bundled == ("float32-raw", "float32-tf1-raw", "int8-raw")
    assert made.step("freeze raw").args["raw"] is True
    assert made.step("freeze").args["raw"] is False  # int8-raw is cut from the whole graph
    assert made.step("convert float32-raw").inputs["exported"].step == "export raw"
    assert made.step("calibrate").inputs["exported"].step == "export"
    only = programs(plan(home, "float32", raw=True))
    assert "freeze raw" in only
    assert "freeze" not in only


def test_raw_needs_a_variant_that_has_such_a_form(home: Project) -> None:
    write(home, "tf1-detection", ["float32", "float16"])
    with pytest.raises(UsageError) as caught:
        plan(home, "float16", raw=True)
    assert caught.value.what == "none of the named variants has a form without the PostProcess operator: float16"
    assert caught.value.remedy == "--raw goes with: float32, int8, float32-tf1, uint8-qat"


def test_forcing_the_export_and_allowing_flex_change_only_the_steps_they_concern(home: Project) -> None:
    write(home, "tf1-detection", ["float32"])
    keys = {step.id: step.key for step in plan(home).steps}
    forced = {step.id: step.key for step in plan(home, force_export=True).steps}
    assert {name for name in keys if keys[name] != forced[name]} == set(keys) - {"fetch"}
    flex = {step.id: step.key for step in plan(home, allow_flex=True).steps}
    own = {f"{what} float32" for what in ("convert", "annotate", "verify", "measure")}
    assert {name for name in keys if keys[name] != flex[name]} == own
    assert flex.keys() == keys.keys()


def test_a_finished_graph_of_the_users_own_is_an_input(home: Project) -> None:
    source = home.models / "demo" / "source"
    write_checkpoint(source / "checkpoint" / "ckpt-0", tf1_shapes(4))
    config = source / "pipeline.config"
    config.write_text(config.read_text().replace("ssd_mobilenet_v2_fpn_keras", "ssd_mobilenet_v2"))
    write(home, "tf1-detection", ["float32"], source='folder = "source"')
    assert set(plan(home).step("freeze").inputs) == {"config", "checkpoint"}
    (source / "ready").mkdir()
    write_graph(source / "ready" / "tflite_graph.pb", ENTRY, FINISH)
    assert plan(home).step("freeze").inputs["ready"].path == "models/demo/source/ready"


def test_a_recipe_of_another_kind_than_its_source_is_told(home: Project) -> None:
    write(home, "tf1-detection", ["float32"], source='folder = "source"')
    with pytest.raises(SourceError) as caught:
        plan(home)
    assert caught.value.what == "models/demo: the recipe says kind 'tf1-detection', its source is of kind 'tf2-detection'"
    assert caught.value.remedy == 'write kind = "tf2-detection" into its model.toml'


def test_a_frozen_graph_is_lifted_with_the_pixels_of_the_recipe(home: Project) -> None:
    graph = home.models / "demo" / "tflite_graph.pb"
    write_graph(graph, ENTRY, FINISH)
    write(home, "tf1-frozen", ["uint8-qat"], PIXELS, source='file = "tflite_graph.pb"')
    export = plan(home).step("export")
    assert export.program == "lift_frozen.py"
    assert export.args == {"raw": False, "mean": [127.5] * 3, "std": [127.5] * 3, "resize": "stretch"}
    assert export.inputs["graph"].path == "models/demo/tflite_graph.pb"


@pytest.mark.parametrize(
    ("kind", "variants", "more", "what"),
    [
        (
            "tf2-detection",
            ["uint8-qat"],
            "",
            "TF1's converter makes uint8-qat, and only from a source of kind tf1-detection or tf1-frozen",
        ),
        ("tflite", ["float32", "int8"], "", "a finished .tflite has one variant: name only that one"),
        ("tf1-frozen", ["float32"], "", "input: missing, but a source of kind 'tf1-frozen' does not say which pixels it takes"),
        ("tf1-frozen", ["float32"], "[input]\nmean = 0\nstd = 0", "std: must be 1e-06 or more, because pixels are divided by it"),
        ("tf1-frozen", ["float32"], "[input]\nmean = [1, 2]\nstd = 1", "mean: expected one number, or three: red, green, blue"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(home: Project, kind: str, variants: list[str], more: str, what: str) -> None:
    write(home, kind, variants, more)
    with pytest.raises(RecipeError) as caught:
        load_recipe(home, "demo")
    assert what in caught.value.what


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('member = "x"\nfolder = "source"', "source.member: names a part of an archive, but there is no url"),
        (f'{URL}\nfolder = "source"', "source.url: give one of url (an archive or file), folder and file"),
        (f'{URL}\nsignature = "x"', "source.signature: only a source of kind 'saved-model' has one, but this is 'tf2-detection'"),
        (f'{URL}\ncustom = "labels.txt"', "source.custom: only a source of kind 'keras' has one, but this is 'tf2-detection'"),
    ],
)
def test_a_source_key_of_another_kind_is_refused(home: Project, line: str, what: str) -> None:
    write(home, "tf2-detection", ["float32"], source=line)
    with pytest.raises(RecipeError) as caught:
        load_recipe(home, "demo")
    assert what in caught.value.what


def test_a_function_is_named_by_package_and_attribute(home: Project) -> None:
    write(home, "function", ["float32"], PIXELS, source='folder = "source"\nfunction = "detector"')
    with pytest.raises(RecipeError, match=r'source\.function: expected "package\.module:attribute"'):
        load_recipe(home, "demo")


def test_code_in_an_archive_is_named_with_its_folder(home: Project) -> None:
    write(home, "function", ["float32"], PIXELS, source=f'{URL}\nfunction = "net:detect"')
    with pytest.raises(RecipeError, match=r"source\.member: missing; it says which folder of the archive holds the code"):
        load_recipe(home, "demo")


def test_legacy_is_for_tf1s_models(home: Project) -> None:
    with pytest.raises(UsageError) as caught:
        build(
            Reporter(),
            home,
            BuildRequest("demo", engine="venv", dry_run=True, legacy=Legacy(raw=False, force_export=False)),
        )
    assert "demo is a model of kind 'tf2-detection', `inv legacy` is for TF1's" in caught.value.what
    assert caught.value.remedy == "inv build --model demo"


# The source itself, on pictures


def _observed(made: Plan, name: str = "source on photos") -> tuple[str, str, dict[str, tuple[str, str]]]:
    """The step that runs the source: its program, its toolchain, and what it reads, but for the pictures."""
    step = made.step(name)
    assert step.inputs["pictures"].path == "calib/photos/pictures"
    assert sorted(step.args["pictures"]) == numbered(12)
    given = {key: (value.step, value.path) for key, value in step.inputs.items() if key != "pictures"}
    return step.program, step.toolchain, given


EXPORTED = ("export", "")


def test_a_tf2_checkpoint_is_run_by_its_own_code(home: Project) -> None:
    write(home, "tf2-detection", ["float32"], '[export]\ntoolchain = "tiny"\nmax_detections = 7\nnms = "regular"')
    made = plan(home)
    read = {"config": ("fetch", "pipeline.config"), "checkpoint": ("fetch", "checkpoint")}
    assert _observed(made) == ("run_detection.py", "tiny", read)
    args = made.step("source on photos").args
    assert (args["prefix"], args["max_detections"], args["nms"]) == ("ckpt-0", 7, "regular")


@pytest.mark.parametrize(
    ("kind", "source", "more", "runs_it"),
    [("tf1-detection", URL, "", "tf1.15"), ("tf1-frozen", 'file = "net.pb"', PIXELS, "tf2.13")],
)
def test_a_tf1_graph_is_run_as_it_was_frozen(home: Project, kind: str, source: str, more: str, runs_it: str) -> None:
    write_graph(home.models / "demo" / "net.pb", ENTRY, FINISH)
    write(home, kind, ["float32", "uint8-qat", "float32-tf1"], more, source=source)
    made = plan(home)
    assert _observed(made) == ("run_frozen.py", runs_it, {"exported": EXPORTED})
    rounded = "source on photos, fake-quantized"
    assert _observed(made, rounded) == ("run_frozen.py", runs_it, {"exported": EXPORTED})
    assert [made.step(name).args["fake_quant"] for name in ("source on photos", rounded)] == [False, True]
    assert sorted(step.id for step in made.steps if step.program == "run_frozen.py") == ["source on photos", rounded]


def test_a_form_without_the_operator_is_compared_with_a_source_without_it(home: Project) -> None:
    write(home, "tf1-detection", ["float32", "int8"])
    made = plan(home, raw=True)
    assert _observed(made, "source on photos raw")[2] == {"exported": ("export raw", "")}
    assert _observed(made)[2] == {"exported": EXPORTED}  # int8-raw is cut from the whole graph


MODEL = "models/demo/net"


@pytest.mark.parametrize(
    ("kind", "keys", "args", "read"),
    [
        ("keras", "", {"signature": "", "function": ""}, {}),
        ("keras", 'custom = "net.py"', {"signature": "", "function": ""}, {"custom": ("", "models/demo/net.py")}),
        ("saved-model", 'signature = "serve"', {"signature": "serve", "function": ""}, {}),
        ("function", 'function = "nets:build"', {"signature": "", "function": "nets:build"}, {}),
    ],
    ids=["keras", "custom", "saved-model", "function"],
)
def test_a_model_is_run_by_the_toolchain_that_loads_it(
    home: Project, kind: str, keys: str, args: dict[str, str], read: dict[str, tuple[str, str]]
) -> None:
    place = home.models / "demo" / "net"
    if kind == "keras":
        write_keras(place, keras_config())
    elif kind == "saved-model":
        write_saved_model(place)
    else:
        place.mkdir()
    named = "file" if kind == "keras" else "folder"
    write(home, kind, ["float32"], PIXELS, '[export]\ntoolchain = "tiny"', source=f'{named} = "net"\n{keys}')
    made = plan(home)
    assert _observed(made) == ("run_model.py", "tiny", {"exported": EXPORTED, "model": ("", MODEL), **read})
    told = made.step("source on photos").args
    assert {name: value for name, value in told.items() if name != "pictures"} == {
        "loader": KINDS[kind].export.removesuffix(".py"),
        "words": KINDS[kind].words,
        **args,
    }
    assert {name: value.sha256 for name, value in made.step("export").inputs.items()}.items() <= {
        name: value.sha256 for name, value in made.step("source on photos").inputs.items()
    }.items()


def test_a_source_that_does_more_than_compute_is_refused_before_a_step_runs_it(home: Project) -> None:
    """A recipe from elsewhere brings it along: nobody has looked into it."""
    write_saved_model(home.models / "demo" / "net", graph=node("bad", "WriteFile"))
    write(home, "saved-model", ["float32"], PIXELS, source='folder = "net"')
    with pytest.raises(SourceError, match=r"net/saved_model\.pb does more than compute: WriteFile \(node 'bad'\)"):
        plan(home)


def test_a_finished_file_is_run_as_it_came(home: Project) -> None:
    write_tflite(home.models / "demo" / "net.tflite", "int8", "int8", "int8")
    write(home, "tflite", ["int8"], source='file = "net.tflite"')
    read = {"exported": EXPORTED, "model": ("", "models/demo/net.tflite")}
    assert _observed(plan(home)) == ("run_tflite.py", "tf2.13", read)
    assert plan(home).variants["int8"][0].ends == ("measure int8",)


def test_a_source_is_run_once_for_all_variants(home: Project) -> None:
    write(home, "tf2-detection", ["float32", "float16", "int8"], '[export]\ntoolchain = "tiny"')
    made = plan(home)
    assert [step.id for step in made.steps if step.program == "run_detection.py"] == ["source on photos"]
    assert {made.step(f"verify {variant}").inputs["observed"].step for variant in made.variants} == {"source on photos"}


def test_what_is_made_of_a_checkpoint_does_not_change_what_its_source_gives(home: Project) -> None:
    """Neither a converter's choice nor the exporter's program: only the source, its pictures and what runs them."""
    write(home, "tf2-detection", ["float32", "int8"], '[export]\ntoolchain = "tiny"')
    before = plan(home).step("source on photos").key
    for name in ("export_detection.py", "convert_float.py", "verify.py"):
        with (home.steps / name).open("a") as stream:
            stream.write("# changed\n")
    assert plan(home).step("source on photos").key == before
    with (home.steps / "run_detection.py").open("a") as stream:
        stream.write("# changed\n")
    assert plan(home).step("source on photos").key != before
