"""Every documented command: how it is run as the first one on a fresh clone and what has to come of it, or why it is not run."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.documented_commands import read_pages

PROPERTY = "first use"  # by which a test's report says which command it ran
IMAGE = "litekiln/first-use:int8"  # a name of its own: other tests look into litekiln/shapes:int8 meanwhile
NOTHING_BUILT = "nothing is built of shapes"
NO_DOCKER = r"does not answer|is not installed"


@dataclass(frozen=True)
class Case:
    """A way to run a command as the first one, and what has to come of it."""

    says: str  # what is found in its output
    exit_code: int = 0  # above 1 litekiln's own error: it has to say what to do
    given: tuple[str, ...] = ()  # what the reader has: see tests/e2e/stand_ins.py. Without it there is nothing but the clone
    more: str = ""  # what is typed after it; {bases}: those that this run's images stand on
    docker: bool = False  # with the daemon of this machine; otherwise none is in reach


def usage(says: str, *given: str) -> Case:
    """An argument that can't be right as long as nothing is built, or by the docs' own words."""
    return Case(says, exit_code=2, given=given)


def without_docker(*given: str) -> Case:
    """An error, where only Docker does it."""
    return Case(NO_DOCKER, exit_code=5, given=given)


def ready(says: str, *given: str) -> Case:
    """Success in the toolchain's environment, with what the demo's build left in the store."""
    return Case(says, given=("environments", "demo's store", *given))


STREET = usage("unknown model 'street'")
RUN: dict[str, tuple[Case, ...]] = {
    "make help": (Case("make demo .*build the demo model"),),
    "make demo": (ready("the report: out/shapes/report.html"),),
    "inv build --model shapes": (ready("the report: out/shapes/report.html"),),
    "inv build --model shpaes": (usage("unknown model 'shpaes', did you mean 'shapes'[?]\n.* below models$"),),
    "inv build --model mine --dry-run": (usage("unknown model 'mine'"), Case("convert int8", given=("models/mine",))),
    "inv build --model shapes --dry-run --json": (Case('"ingredients"'),),
    "inv build --all --dry-run --json": (Case('"ingredients"'),),
    "inv build --model heatmap_keras": (Case("out/heatmap_keras/int16x8", given=("environments", "examples' store")),),
    "inv build --model heatmap_keras --engine venv": (
        Case("out/heatmap_keras/int16x8", given=("environments", "examples' store")),
    ),
    "inv build --model heatmap_saved_model": (Case("out/heatmap_saved_model", given=("environments", "examples' store")),),
    "inv build --model heatmap_function": (Case("out/heatmap_function", given=("environments", "examples' store")),),
    "inv build --model mine --engine venv": (
        Case("Blur is no class or function of Keras's own", exit_code=6, given=("environments", "a layer of one's own")),
        Case("out/mine/float32", given=("environments", "a layer of one's own", "its code")),
    ),
    "inv build --model mine --engine venv --variant float32": (
        Case("only full TensorFlow can run: Cholesky", exit_code=6, given=("environments", "a function")),
    ),
    "inv build --model pub --engine venv": (Case("out/pub/int8-io", given=("environments", "a finished file")),),
    "inv legacy --model shapes": (usage("'tf2-detection', `inv legacy` is for TF1's"),),
    "inv legacy --model street --variant float32 --variant float32-tf1": (STREET,),
    "inv legacy --model street --raw --variant float32": (STREET,),
    "inv new --name mine --source training/ckpt-12 --labels labels.pbtxt --calib photos --eval checked": (
        usage("--calib photos: no such folder"),
        Case(r"to evaluate on: 200 pictures with \d+ boxes, form: coco", given=("training", "photos")),
    ),
    "inv new --name mine --source training": (
        Case("training: no such archive, folder, file or checkpoint", exit_code=10),
        usage("--labels is missing", "training"),
    ),
    "inv new --name mine --source training/model.ckpt --labels labels.pbtxt": (
        Case("checkpoint model.ckpt, quantization-aware", given=("TF1's training",)),
    ),
    "inv models": (Case("heatmap_keras +keras"),),
    "inv verify --model shapes": (ready("int16x8 +ok"),),
    "inv verify --model shapes --variant int8": (ready("int8 +ok"),),
    "inv report --model shapes": (usage(NOTHING_BUILT), Case("int8-io +ok", given=("demo's bundles",))),
    "inv compare shapes/int8 shapes/int16x8": (
        usage("'shapes/int8' is not a bundle"),
        Case("The files differ", given=("demo's bundles",)),
    ),
    "inv compare shapes/int8 cut.json": (
        usage("'shapes/int8' is not a bundle"),
        Case("cut.json is not valid JSON", exit_code=12, given=("demo's bundles", "cut.json")),
    ),
    """python3 -c 'import json; r = json.load(open("out/shapes/int8/report.json")); print(r["verdict"], r["accuracy"]["map"])'""": (
        Case("^ok 0.9", given=("demo's bundles",)),
    ),
    "inv graph --file X.tflite": (usage("X.tflite"), Case(r"wrote .*X\.svg", given=("environments", "X.tflite"))),
    "inv graph --file out/shapes/int8/detect.tflite --out shapes.svg --dot": (
        usage("out/shapes/int8/detect.tflite"),
        Case(r"wrote .*shapes\.dot", given=("environments", "demo's bundles")),
    ),
    "inv lint --file X.tflite": (usage("there is no such file"), Case("X.tflite: SSD detector: nothing", given=("X.tflite",))),
    "inv lint --file fpnlite.tflite --labels names.txt": (
        usage("fpnlite.tflite: there is no such file"),
        Case("^warning  metadata-missing", exit_code=1, given=("fpnlite.tflite",)),
    ),
    "inv lint --file fpnlite.tflite --labels names.txt --fix fixed.tflite": (
        usage("fpnlite.tflite"),
        Case(r"wrote fixed\.tflite", given=("environments", "fpnlite.tflite")),
    ),
    "inv matrix": (Case(r"(\d+) of \1 variants to build; nothing was run"),),
    "inv matrix --changed-since HEAD --models shapes,heatmap_keras": (Case("nothing to build, for what changed since HEAD"),),
    "inv matrix --changed-since HEAD --models shapes,heatmap_keras --per model --json 2> /dev/null": (
        Case(r'^\{"include":\[\]\}$'),
    ),
    "inv matrix --changed-since 5d8d09d5fef7": (Case("variants to build, for what changed since 5d8d09d5fef7"),),
    "inv matrix --changed-since HEAD~1": (usage("the clone is shallow", "a shallow clone"),),
    "inv doctor": (Case("✓ engine +auto takes venv"),),
    "inv doctor --store": (Case("✓ store +0 entries"),),
    "inv clean": (Case("0 things, 0 B"),),
    "inv smoke --toolchain tf2.13 --engine venv": (Case("✓ smoke .* venv", given=("environments",)),),
    "inv smoke --toolchain tf2.99": (usage("unknown toolchain 'tf2.99'"),),
    "inv lock --toolchain tf2.99": (usage("unknown toolchain 'tf2.99'"),),
    "inv images --toolchain tf2.99": (usage("unknown toolchain 'tf2.99'"),),
    ".litekiln/host/bin/python tools/report_schema.py": (Case(""),),
    ".litekiln/host/bin/python tools/pi_figures.py": (Case(""),),
    "inv report --model shapes --device pi4": (usage(NOTHING_BUILT),),
    "inv bench --model shapes --variant int8": (
        Case("^a frame: a JPEG of 640x480", given=("environments", "demo's store"), more="--seconds 0.2"),
    ),
    "inv detect --model shapes --variant int8 --out seen": (ready('"name": "circle"'),),
    "inv detect --model shapes --variant int8 cat.jpg photos": (usage("cat.jpg: there is no such file"),),
    "inv fleet --list room.txt": (usage("--list room.txt: there is no such file"),),
    "inv fleet --list room.txt --once": (usage("--list room.txt: there is no such file"),),
    # With Docker alone.
    "inv images": (without_docker(),),
    "inv images --base debian": (without_docker(),),
    "inv images --list": (without_docker(), Case("tf2.13", docker=True)),
    "inv smoke --toolchain tf2.21 --engine docker": (without_docker(), Case("✓ smoke .* docker", docker=True)),
    "inv pi --model shapes --variant int8 --save pi.tar.gz": (without_docker(),),
    "inv pi --model shapes --variant int8": (
        without_docker(),
        Case("on the Pi: docker run", docker=True, more=f"--base {{bases}} --tag {IMAGE}"),
    ),
}

PI_IMAGE = "it runs a Pi's image, which tests/e2e/test_pi_image.py does under emulation"
ON_A_PI = "it is typed on a Raspberry Pi, or reaches one"
NOT_RUN: dict[str, tuple[str, ...]] = {
    "it fetches from the model zoo": (
        r"inv build --model (ssd_mobilenet_v2_fpnlite_320|centernet_mobilenet_v2_512|efficientdet_lite0)",
        r"inv build --model efficientdet_d0( --variant int8)?",
        r"inv legacy --model (ssd_mobilenet_v1|ssd_mobilenet_v1_quantized|ssd_mobilenet_v2_quantized_frozen)",
        r"inv legacy --model ssd_mobilenet_v1_quantized --variant uint8-qat",
        r"inv build --all( --jobs 2)?",
    ),
    "it asks the package index: tests/engine/test_locks.py": (
        r"inv lock( --check)?",
        r"inv lock --toolchain (tf2\.13|nightly)",
    ),
    "it needs all toolchains: tests/engine/test_toolchains.py": (r"inv smoke",),
    "it is what CI runs": (
        r"\.ci/run( quick)?",
        r"make (test|test-all|lint|fuzz|attack|bench)",
        r"sudo \.ci/engine (start|stop) /tmp/engine",
        r"sudo \.litekiln/host/bin/inv images --base debian",
        r"\.litekiln/host/bin/python -m pytest tests/e2e/test_page\.py --browser",
        r"\.litekiln/host/bin/python bench/build\.py",
    ),
    "it runs a toolchain's image: tests/engine/test_docker.py": (
        r'docker run --rm -v "\$PWD":/work -w /work litekiln/toolchain:TAG invoke build --model shapes',
    ),
    "it runs until it is stopped: tests/e2e/test_desk.py": (r"inv camera --model shapes --variant int8( --source test)?",),
    "it takes half an hour, or what that leaves": (
        r"\.litekiln/envs/tf2\.13-\*/bin/python tools/train_shapes\.py --out /tmp/shapes",
        r"cp /tmp/shapes/checkpoint/ckpt-0\.\* models/shapes/source/checkpoint/",
    ),
    "it changes the machine, as root": (
        r"sudo apt(-get)? .*",
        r"sudo usermod -aG docker \$USER",
        r'sudo chown -R "\$\(id -un\)" \.litekiln',
    ),
    PI_IMAGE: (
        r"docker run --rm litekiln/shapes:int8 (selftest|bench( --json > pi4-int8\.json)?)",
        r"docker run --rm IMAGE (watch --source test --count 1 --threads 1|COMMAND --help)",
        r'docker run --rm (--user "\$\(id -u\)" )?-v "\$PWD:/data" IMAGE .*',
        r"printf .* \| docker run -i --rm IMAGE watch --source -",
    ),
    "it needs a room of Pis: tests/pi/test_fleet_page.py simulates one": (
        r'docker run --rm -p 8080:8080 -v "\$PWD:/data" IMAGE fleet --list room\.txt',
    ),
    "it needs a camera": (
        r"docker run --rm -p 8080:8080 (--device|-v) /dev.*",
        r"docker run --rm --network host --device /dev/video0 IMAGE serve --announce .*",
        r"docker run --rm -p 8080:8080 IMAGE serve --source (http|rtsp|tcp)://.*",
        r"podman run --rm -p 8080:8080 --device /dev/video0 .*",
        r"rpicam-vid .*",
    ),
    ON_A_PI: (
        r"docker save litekiln/shapes:int8 \| ssh .*",
        r"docker load -i pi\.tar\.gz",
        r"gunzip -c pi\.tar\.gz \| (sudo )?podman load",
        r"docker[ -]compose up -d",
        r"uname -m",
        r"sudo (cp|systemctl) .*ribbon.*",
        r"sudo cp avahi-litekiln\.xml /etc/avahi/services/litekiln\.service",
        r"curl .* http://raspberrypi:8080/.*",
        r"sudo litekiln-update .*",
        r"(scp|ssh) .*raspberrypi.*",
        r"cp (-r deploy/pi|pi\.tar\.gz pi\.tar\.gz\.sha256|/var/cache/apt/archives/\*\.deb) .*",
        r"deploy/pi/update-room room\.txt .*",
    ),
    "it is a part of a command": (
        r".*….*",
        r"inv build (--calib DIR|--keep-float NAME|--model NAME --record)",
        r"inv legacy --raw",
        r"inv new (--calib DIR|--custom FILE\.py|--eval)",
        r"inv report --device",
        r"docker image inspect",
    ),
}


def why_not(command: str) -> list[str]:
    """The reasons by which a command is not run; of one that is, or that nobody thought of, none."""
    return [reason for reason, patterns in NOT_RUN.items() if any(re.fullmatch(each, command) for each in patterns)]


def summary(root: Path, ran: Iterable[str]) -> list[str]:
    """How many of the documented commands ran, and which did not and why."""
    documented, there = read_pages(root).commands, set(ran)
    left: dict[str, list[str]] = {}
    for command in documented:
        if command not in there:
            reason = "this run was not asked for it" if command in RUN else (why_not(command) or ["nobody thought of it"])[0]
            left.setdefault(reason, []).append(command)
    count = len(documented) - sum(map(len, left.values()))
    how = "each as the first on a fresh clone of the last commit"
    lines = [f"{count} of {len(documented)} documented commands ran, {how}; not run:"]
    for reason, commands in sorted(left.items()):
        lines += [f"{len(commands):4}: {reason}", *(f"        {command}" for command in commands)]
    return lines
