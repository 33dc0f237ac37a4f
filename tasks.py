"""litekiln's commands. Each parses its arguments and calls the package; `inv --list` shows them, `inv --help NAME` one."""

from invoke.context import Context
from invoke.tasks import task

from litekiln.commands import commands
from litekiln.commands.file_tasks import compare as compare
from litekiln.commands.file_tasks import graph as graph
from litekiln.commands.file_tasks import lint as lint
from litekiln.commands.file_tasks import report as report
from litekiln.commands.runner import COMMON, ONE_LINE, run_command

BUILDING = {
    "variant": "a variant of the recipe; can be given more than once (default: all)",
    "calib": "calibrate with this folder of pictures, or set below calib/, instead of the recipe's; 'random' for trying things",
    "jobs": "how many steps may run side by side (default: as many as processors and memory allow)",
    "keep-float": "keep the operator that gives this tensor in float, in variants of 8 bits; can be given more than once",
    "dry-run": "print the plan and run nothing",
    **{name: COMMON[name] for name in ("engine", "force", "json", "debug")},
}


@task(
    iterable=["variant", "models", "keep_float"],
    help={
        "model": "a folder below models/",
        "all": "build every recipe: go on after a failure, list at the end what failed and why",
        "models": "with --all: only these; A,B or given more than once",
        "allow-flex": "take operators that only full TensorFlow can run; the Pi's runtime can't",
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
    engine: str = "auto",
    calib: str = "",
    jobs: int = 0,
    force: bool = False,
    dry_run: bool = False,
    allow_flex: bool = False,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Make the bundles of a model, or of all: recipe, plan, what the store lacks, out/<model>/<variant>/."""
    what = {"model": model, "everything": all, "models": models, "variants": variant}
    how = {"engine": engine, "calib": calib, "jobs": jobs, "force": force, "dry_run": dry_run}
    how |= {"allow_flex": allow_flex, "keep_float": keep_float}
    run_command(commands.build, as_json=json, debug=debug, **what, **how)


@task(
    iterable=["variant", "keep_float"],
    help={
        "model": "a folder below models/ whose source is TF1's",
        "raw": "leave the PostProcess operator out: raw_outputs/box_encodings and raw_outputs/class_predictions come out",
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
    engine: str = "auto",
    calib: str = "",
    jobs: int = 0,
    force: bool = False,
    dry_run: bool = False,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Make the bundles of a model of TF1's: frozen graph, float and quantization-aware variants."""
    how = {"engine": engine, "calib": calib, "jobs": jobs, "force": force, "dry_run": dry_run, "keep_float": keep_float}
    tf1 = {"raw": raw, "force_export": force_export}
    run_command(commands.legacy, as_json=json, debug=debug, model=model, variants=variant, **tf1, **how)


@task(
    help={
        "name": "what to call it: the folder below models/ that is made",
        "source": "a checkpoint's folder with pipeline.config, one of several (DIR/ckpt-12), a SavedModel, .pb, .keras, .h5 or "
        ".tflite, an archive of any of these, or a folder of code",
        "labels": "its label map: a .pbtxt, or a .txt with one name a line; detectors need one",
        "calib": "a folder of pictures to calibrate with, 100 or more; without it there are no integer variants",
        "eval": "measure mAP on this folder: images/ and annotations.json (COCO), or pictures with an .xml for each (VOC)",
        "format": "the form of --eval: coco or voc (default: found out by looking)",
        "license": "the model's licence, as an SPDX name",
        "signature": "of a SavedModel: which one, where none is called serving_default",
        "custom": "of a Keras file: the Python file that defines its own classes",
        "function": "package.module:attribute, code that makes the model; --source is the folder that holds the package",
        "mean": "the network takes (pixel - mean) / std: one number, or three as RED,GREEN,BLUE; needed where no file says it",
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
    given = {"source": source, "labels": labels, "calib": calib, "evaluation": eval, "format": format, "license": license}
    told = {"signature": signature, "custom": custom, "function": function, "mean": mean, "std": std, "resize": resize}
    run_command(commands.new, as_json=json, debug=debug, name=name, **given, **told)


@task(
    iterable=["variant"],
    help={
        "model": "a folder below models/",
        "variant": BUILDING["variant"],
        "engine": COMMON["engine"],
        "force": "measure again, even if the store has what was found",
        **{name: COMMON[name] for name in ("json", "debug")},
    },
)
def verify(
    _: Context,
    model: str,
    variant: list[str],
    engine: str = "auto",
    force: bool = False,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Hold a model's variants against their source and their limits, and show every figure."""
    run_command(commands.verify, as_json=json, debug=debug, model=model, variants=variant, engine=engine, force=force)


@task(
    help={
        "model": "a folder below models/",
        "variant": "which of its variants; built where it isn't yet",
        "tag": "the image's name (default: litekiln/MODEL:VARIANT)",
        "base": "auto, registry (digest-pinned) or debian (made from Debian packages, where no registry is in reach)",
        "push": "send it to a registry: registry.example.org/me",
        "save": "write it to a file for Pis without a network: FILE.tar.gz, which `docker load -i` reads there",
        **{name: COMMON[name] for name in ("engine", "json", "debug")},
    },
)
def pi(
    _: Context,
    model: str,
    variant: str,
    tag: str = "",
    base: str = "auto",
    push: str = "",
    save: str = "",
    engine: str = "auto",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Make the arm64 image of a bundle: runtime, model and web page, for a Raspberry Pi."""
    how = {"tag": tag, "base": base, "push": push, "save": save, "engine": engine}
    run_command(commands.pi, as_json=json, debug=debug, model=model, variant=variant, **how)


@task(iterable=["toolchain"], help={name: COMMON[name] for name in ("toolchain", "engine", "force", "json", "debug")})
def smoke(
    _: Context, toolchain: list[str], engine: str = "auto", force: bool = False, json: bool = False, debug: bool = False
) -> None:
    """Prove toolchains: exact versions, and a three-op model that converts, runs and answers 42."""
    run_command(commands.smoke, as_json=json, debug=debug, toolchains=toolchain, engine=engine, force=force)


@task(
    iterable=["toolchain"],
    help={
        "base": "auto, registry (digest-pinned) or debian (made from Debian packages, where no registry is in reach)",
        "list": "show what is there, build nothing",
        "again": "make Debian bases again even if they are there",
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
    run_command(commands.images, as_json=json, debug=debug, toolchains=toolchain, base=base, list_only=list, again=again)


@task(
    iterable=["toolchain"],
    help={
        "toolchain": "a folder below toolchains/, or 'host' for litekiln's own; can be given more than once (default: all)",
        "check": "write nothing; fail when a lock does not say what its inputs ask for",
        "upgrade": "take the newest versions that the inputs allow",
        **{name: COMMON[name] for name in ("json", "debug")},
    },
)
def lock(
    _: Context, toolchain: list[str], check: bool = False, upgrade: bool = False, json: bool = False, debug: bool = False
) -> None:
    """Compile the hash-locked requirements and show what changes. The only command that resolves versions."""
    run_command(commands.lock, as_json=json, debug=debug, toolchains=toolchain, check=check, upgrade=upgrade)


@task(help={"store": "also hash every store entry again", **{name: COMMON[name] for name in ("json", "debug")}})
def doctor(_: Context, store: bool = False, json: bool = False, debug: bool = False) -> None:
    """Check this machine: what works, what doesn't, and what to do about it."""
    run_command(commands.doctor, as_json=json, debug=debug, store=store)


@task(help={name: COMMON[name] for name in ("json", "debug")})
def models(_: Context, json: bool = False, debug: bool = False) -> None:
    """List the recipes, and what of each is built."""
    run_command(commands.models, as_json=json, debug=debug)


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
    what = {"models": models, "variants": variants, "changed_since": changed_since, "per": per}
    run_command(commands.matrix, ONE_LINE, as_json=json, debug=debug, **what)


@task(
    help={
        "older-than": "remove store entries not used for this many days",
        "max-size": "then remove the least recently used until the store is below this many gigabytes",
        "images": "remove the toolchain images that no lock of this checkout asks for",
        "all": "remove everything that can be made or fetched again: store, downloads, environments, images",
        "dry-run": "say what would go, remove nothing",
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
    """Free disk space. What is in use is left alone; bundles in out/ are never touched."""
    arguments = {"older_than": older_than, "max_size": max_size, "images": images, "everything": all, "dry_run": dry_run}
    run_command(commands.clean, as_json=json, debug=debug, **arguments)
