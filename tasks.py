"""litekiln's commands: the options of each, and the request made of them. `inv --list` lists them, `inv --help NAME` explains one.

A command's code is loaded only when it runs, which keeps `inv --help` and shell completion fast.
"""

import sys

from invoke.context import Context
from invoke.tasks import task

# invoke switches bytecode off, and then each command would compile the whole package again. The user's own word counts: -B, or
# PYTHONDONTWRITEBYTECODE.
sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)

from litekiln.commands.command_line import explain_mistakes
from litekiln.commands.file_tasks import compare as compare
from litekiln.commands.file_tasks import graph as graph
from litekiln.commands.file_tasks import lint as lint
from litekiln.commands.file_tasks import report as report
from litekiln.commands.pi_tasks import bench as bench
from litekiln.commands.pi_tasks import camera as camera
from litekiln.commands.pi_tasks import detect as detect
from litekiln.commands.pi_tasks import fleet as fleet
from litekiln.commands.pi_tasks import pi as pi
from litekiln.commands.runner import COMMON, run_command
from litekiln.engines.names import AUTO

explain_mistakes()

BUILDING = {
    "variant": "a variant of the recipe; can be given more than once (default: all)",
    "calib": "calibrate with this folder of pictures, or this set below calib/, instead of the recipe's; 'random' for experiments",
    "jobs": "how many steps may run at once (default: as many as processors and memory allow)",
    "keep-float": "in 8-bit variants, keep the operator that makes this tensor in float; can be given more than once",
    "dry-run": "print the plan and run nothing",
    **{name: COMMON[name] for name in ("engine", "force", "json", "debug")},
}


@task(
    iterable=["variant", "models", "keep_float"],
    help={
        "model": "a folder below models/",
        "all": "build every recipe: continue after a failure, list at the end what failed and why",
        "models": "with --all: only these; A,B or given more than once",
        "allow-flex": "allow operators that only full TensorFlow can run; the Pi's runtime can't",
        "record": "write the hashes of what was made to models/<name>/hashes.toml: later builds say whether they made the same",
        **BUILDING,
    },
)
def build(
    _: Context,
    variant: list[str],
    models: list[str],
    keep_float: list[str],
    model: str = "",
    all: bool = False,  # noqa: A002 - the flag's name
    engine: str = AUTO,
    calib: str = "",
    jobs: int = 0,
    force: bool = False,
    dry_run: bool = False,
    allow_flex: bool = False,
    record: bool = False,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Make the bundles of a model, or of all, in out/<model>/<variant>/. Runs only what the store lacks."""
    from litekiln.commands.build import build as build_models
    from litekiln.commands.prepare import BuildRequest

    request = BuildRequest(
        model=model,
        everything=all,
        models=models,
        variants=variant,
        engine=engine,
        calib=calib,
        jobs=jobs,
        force=force,
        dry_run=dry_run,
        allow_flex=allow_flex,
        keep_float=keep_float,
        record=record,
    )
    run_command(build_models, request, as_json=json, debug=debug)


@task(
    iterable=["variant", "keep_float"],
    help={
        "model": "a folder below models/ with a TF1 source",
        "raw": "leave the PostProcess operator out: the outputs are raw_outputs/box_encodings and raw_outputs/class_predictions",
        "force-export": "export from the checkpoint even where the archive has a finished tflite_graph.pb",
        **BUILDING,
    },
)
def legacy(
    _: Context,
    model: str,
    variant: list[str],
    keep_float: list[str],
    raw: bool = False,
    force_export: bool = False,
    engine: str = AUTO,
    calib: str = "",
    jobs: int = 0,
    force: bool = False,
    dry_run: bool = False,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Make the bundles of a TF1 model: frozen graph, float and quantization-aware variants."""
    from litekiln.commands.build import build as build_models
    from litekiln.commands.prepare import BuildRequest, Legacy

    request = BuildRequest(
        model=model,
        variants=variant,
        engine=engine,
        calib=calib,
        jobs=jobs,
        force=force,
        dry_run=dry_run,
        keep_float=keep_float,
        legacy=Legacy(raw=raw, force_export=force_export),
    )
    run_command(build_models, request, as_json=json, debug=debug)


@task(
    help={
        "name": "the model's name: the folder below models/ to make",
        "source": "a checkpoint's folder with pipeline.config, one of several (DIR/ckpt-12), a SavedModel, .pb, .keras, .h5 or "
        ".tflite, an archive of any of these, or a folder of code",
        "labels": "its label map: a .pbtxt, or a .txt with one name a line; detectors need one",
        "calib": "a folder of pictures to calibrate with, 100 or more; without it there are no integer variants",
        "eval": "measure mAP on this folder: images/ and annotations.json (COCO), or pictures with an .xml for each (VOC)",
        "format": "the form of --eval: coco or voc (default: recognised by its files)",
        "license": "the model's licence, as an SPDX name",
        "signature": "of a SavedModel: the signature to use if none is called serving_default",
        "custom": "of a Keras file: the Python file that defines its custom classes",
        "function": "package.module:attribute, the code that makes the model; --source is the folder that holds the package",
        "mean": "the network takes (pixel - mean) / std: one number, or three as RED,GREEN,BLUE; needed if no file says it",
        "std": "see --mean",
        "resize": "stretch (default) or letterbox, as the training did",
        **{name: COMMON[name] for name in ("json", "debug")},
    },
)
def new(
    _: Context,
    name: str,
    source: str,
    labels: str = "",
    calib: str = "",
    eval: str = "",  # noqa: A002 - the flag's name
    format: str = "",  # noqa: A002 - the flag's name
    license: str = "",  # noqa: A002 - the flag's name
    signature: str = "",
    custom: str = "",
    function: str = "",
    mean: str = "",
    std: str = "",
    resize: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Make models/<name>/ of a model of your own, and calib/<name>/ of its pictures."""
    from litekiln.commands.new import new as make_new
    from litekiln.new.request import NewRequest

    request = NewRequest(
        name=name,
        source=source,
        labels=labels,
        calib=calib,
        evaluation=eval,
        format=format,
        license=license,
        signature=signature,
        custom=custom,
        function=function,
        mean=mean,
        std=std,
        resize=resize,
    )
    run_command(make_new, request, as_json=json, debug=debug)


@task(
    iterable=["variant"],
    help={
        "model": "a folder below models/",
        "variant": BUILDING["variant"],
        "engine": COMMON["engine"],
        "force": "measure again, even if the store has the results",
        **{name: COMMON[name] for name in ("json", "debug")},
    },
)
def verify(
    _: Context,
    model: str,
    variant: list[str],
    engine: str = AUTO,
    force: bool = False,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Compare a model's variants with their source and their limits, and show every figure."""
    from litekiln.commands.verify import VerifyRequest
    from litekiln.commands.verify import verify as verify_model

    request = VerifyRequest(model=model, variants=variant, engine=engine, force=force)
    run_command(verify_model, request, as_json=json, debug=debug)


@task(iterable=["toolchain"], help={name: COMMON[name] for name in ("toolchain", "engine", "force", "json", "debug")})
def smoke(
    _: Context, toolchain: list[str], engine: str = AUTO, force: bool = False, json: bool = False, debug: bool = False
) -> None:
    """Prove toolchains: exact versions, and a three-op model that converts, runs and answers 42."""
    from litekiln.commands.smoke import SmokeRequest
    from litekiln.commands.smoke import smoke as prove

    request = SmokeRequest(toolchains=toolchain, engine=engine, force=force)
    run_command(prove, request, as_json=json, debug=debug)


@task(
    iterable=["toolchain"],
    help={
        "base": "auto, registry (digest-pinned) or debian (made from Debian packages, if no registry can be reached)",
        "list": "list the images, build nothing",
        "again": "make Debian bases again even if they exist",
        **{name: COMMON[name] for name in ("toolchain", "json", "debug")},
    },
)
def images(
    _: Context,
    toolchain: list[str],
    base: str = "auto",
    list: bool = False,  # noqa: A002 - the flag's name
    again: bool = False,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Build the toolchain images."""
    from litekiln.commands.images import ImagesRequest
    from litekiln.commands.images import images as build_images

    request = ImagesRequest(toolchains=toolchain, base=base, list_only=list, again=again)
    run_command(build_images, request, as_json=json, debug=debug)


@task(
    iterable=["toolchain"],
    help={
        "toolchain": "a folder below toolchains/, or 'host' for litekiln's own; can be given more than once (default: all)",
        "check": "write nothing; fail if a lock is out of date",
        "upgrade": "take the newest versions that the inputs allow",
        **{name: COMMON[name] for name in ("json", "debug")},
    },
)
def lock(
    _: Context, toolchain: list[str], check: bool = False, upgrade: bool = False, json: bool = False, debug: bool = False
) -> None:
    """Compile the hash-locked requirements and show what changes. The only command that resolves versions."""
    from litekiln.commands.lock import LockRequest
    from litekiln.commands.lock import lock as compile_locks

    request = LockRequest(toolchains=toolchain, check=check, upgrade=upgrade)
    run_command(compile_locks, request, as_json=json, debug=debug)


@task(help={"store": "also hash every store entry again", **{name: COMMON[name] for name in ("json", "debug")}})
def doctor(_: Context, store: bool = False, json: bool = False, debug: bool = False) -> None:
    """Check this machine: what works, what doesn't, and what to do about it."""
    from litekiln.commands.doctor import DoctorRequest
    from litekiln.commands.doctor import doctor as check_machine

    request = DoctorRequest(store=store)
    run_command(check_machine, request, as_json=json, debug=debug)


@task(help={name: COMMON[name] for name in ("json", "debug")})
def models(_: Context, json: bool = False, debug: bool = False) -> None:
    """List the recipes, and which of their variants are built."""
    from litekiln.commands.models import ModelsRequest
    from litekiln.commands.models import models as list_models

    request = ModelsRequest()
    run_command(list_models, request, as_json=json, debug=debug)


@task(
    iterable=["models", "variants"],
    help={
        "models": "only these models; A,B or given more than once (default: all)",
        "variants": "only these variants; A,B or given more than once (default: all)",
        "changed-since": "only what differs from this commit: a hash, tag or branch",
        "per": "what a leg is: variant, or model with its variants (default: variant)",
        "json": "print the matrix on one line of stdout, for $GITHUB_OUTPUT; the table goes to stderr",
        "debug": COMMON["debug"],
    },
)
def matrix(
    _: Context,
    models: list[str],
    variants: list[str],
    changed_since: str = "",
    per: str = "variant",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Print what CI should build, as a GitHub Actions matrix. Runs and fetches nothing."""
    from litekiln.commands.matrix import MatrixRequest
    from litekiln.commands.matrix import matrix as list_legs

    request = MatrixRequest(models=models, variants=variants, changed_since=changed_since, per=per)
    run_command(list_legs, request, as_json=json, debug=debug, one_line=True)


@task(
    help={
        "older-than": "remove store entries not used for this many days",
        "max-size": "then remove the least recently used until the store is below this many gigabytes",
        "images": "remove the toolchain images that no lock of this checkout asks for",
        "all": "remove everything that can be made or fetched again: store, downloads, environments, images",
        "dry-run": "list what would be removed, remove nothing",
        **{name: COMMON[name] for name in ("json", "debug")},
    },
)
def clean(
    _: Context,
    older_than: float = -1.0,
    max_size: float = -1.0,
    images: bool = False,
    all: bool = False,  # noqa: A002 - the flag's name
    dry_run: bool = False,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Free disk space. Keeps what is in use, and all bundles in out/."""
    from litekiln.commands.clean import CleanRequest
    from litekiln.commands.clean import clean as free_disk

    request = CleanRequest(older_than=older_than, max_size=max_size, images=images, everything=all, dry_run=dry_run)
    run_command(free_disk, request, as_json=json, debug=debug)
