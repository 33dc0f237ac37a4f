"""Compare litekiln with a script that does the same by hand: wall time of all variants, and memory of the calibration.

    .litekiln/host/bin/python bench/build.py [--model shapes|fpnlite|all] [--pictures N] [--quick] [--with-proof]

Both sides start from the same export, run in the same toolchain and write the same seven variants. litekiln's side is what
`inv build` does for its calibrate and convert steps, including its own start. The other side is bench/by_hand.py: one process per
variant, one after the other, in the same environment. With --with-proof both start from the checkpoint, and litekiln's side is the
whole `inv build`: it also verifies and measures each file and its accuracy, which the script leaves out. Memory is read from /proc:
for one process its peak (VmHWM), for several the highest sum of their shares (PSS: a page that four processes share counts as a
quarter of a page in each), looked at four times a second. The table says whether each goal is met; the exit code is 0 either way.
"""

import argparse
import itertools
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from litekiln.engines.base import STEP_ENVIRONMENT  # noqa: E402
from litekiln.engines.venv import VenvEngine  # noqa: E402
from litekiln.leases import Lease  # noqa: E402
from litekiln.paths import Project  # noqa: E402
from litekiln.plan.build_plan import Choices, plan_build  # noqa: E402
from litekiln.plan.plan import Plan  # noqa: E402
from litekiln.recipes.picture_sets import PictureSet, SetFile  # noqa: E402
from litekiln.recipes.recipe import load_recipe  # noqa: E402
from litekiln.run.schedule import jobs_to_run  # noqa: E402
from litekiln.run.session import open_executor  # noqa: E402
from litekiln.run.store import Store  # noqa: E402
from litekiln.terminal import Reporter  # noqa: E402
from litekiln.toolchains.toolchain import load_toolchain  # noqa: E402
from litekiln.wording import size_text  # noqa: E402

TOOLCHAIN = "tf2.13"
VARIANTS = ("float32", "float16", "dynamic", "int8", "int8-io", "int8-raw", "int16x8")
PICTURES, QUICK_PICTURES = 500, 100
FEW, MANY_TIMES = 100, 10  # calibration with 1,000 pictures, compared with 100
TIME_GOAL, MEMORY_GOAL, GROWTH_GOAL = 0.6, 0.3, 1.05


@dataclass(frozen=True)
class Proven:
    """A comparison with the proof included: what both make from how many pictures, and litekiln's goals as ratios."""

    variants: tuple[str, ...]
    calibrated: int
    evaluated: int
    wall: float
    processor: float | None
    memory: float | None


PROVEN = {
    "shapes": Proven(VARIANTS, calibrated=200, evaluated=200, wall=0.3, processor=None, memory=None),
    "fpnlite-320": Proven(VARIANTS[:5], calibrated=120, evaluated=146, wall=0.45, processor=0.5, memory=1.0),
}
SAMPLE_SECONDS = 0.05
TURNS = 5  # the shares take longer to read, and are read less often
PATIENCE = 30  # seconds that a process gets to clean up after SIGTERM
RECIPE = f"""[source]
kind = "tf2-detection"
folder = "source"
license = "none"

[export]
toolchain = "{TOOLCHAIN}"

[convert]
toolchains = ["{TOOLCHAIN}"]
variants = [{", ".join(f'"{variant}"' for variant in VARIANTS)}]

[calibration]
set = "shapes"

[labels]
file = "labels.txt"
"""
SHAPES = ("circle", "square", "triangle")
DRAWN = "drawn"
# Random weights see random things, by scores that lie together: rounding shuffles them, and no share of them is asked for.
EVALUATED = """
[evaluation]
set = "shapes/eval"

[verify.variants.float32]
share = 0
""" + "".join(f"[verify.variants.{name}]\nshare = 0\nagreement = 0\nraw = 9\n" for name in VARIANTS[1:])


class Sampler:
    """Samples the memory of a process and all its descendants, inside the `with`."""

    def __init__(self, root: int) -> None:
        self.together = 0
        self._root = root
        self._peaks: dict[int, int] = {}
        self._commands: dict[int, str] = {}
        self._parents: dict[int, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def alone(self, program: str) -> int:
        """The peak memory of the process that ran a program. A step's process has its name, whatever started it."""
        return max(peak for pid, peak in self._peaks.items() if program in self._commands[pid])

    def _watch(self) -> None:
        for turn in itertools.count():
            if self._ended.wait(SAMPLE_SECONDS):
                return
            tree = self._tree()
            for pid in tree:
                self._note_peak(pid)
            if turn % TURNS == 0:
                self.together = max(self.together, sum(map(_share, tree)))

    def _tree(self) -> list[int]:
        """The process ids. Each parent is read only once: reading all of them each time would disturb the measurement."""
        there = {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208 - twenty times a second
        self._parents = {pid: self._parents.get(pid) or _parent(pid) for pid in there}
        found = [self._root]
        for pid in found:
            found += [child for child, parent in self._parents.items() if parent == pid]
        return found

    def _note_peak(self, pid: int) -> None:
        try:
            lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
            name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace")
            command = name + Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").replace("\0", " ")
        except OSError:
            return
        sizes = {name: int(text.split()[0]) * 1024 for name, _, text in (line.partition(":") for line in lines) if name[:2] == "Vm"}
        if command and "VmHWM" in sizes:  # a zombie has neither
            self._peaks[pid], self._commands[pid] = max(self._peaks.get(pid, 0), sizes["VmHWM"]), command


def _share(pid: int) -> int:
    """The memory of a process, where what it shares with others counts in parts."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
    except OSError:
        return 0


@dataclass(frozen=True)
class Run:
    """Time and memory of a process and all its descendants."""

    seconds: float
    processor: float
    memory: Sampler


@dataclass(frozen=True)
class Row:
    """A line of the table: two figures, and the highest allowed ratio."""

    what: str
    litekiln: float
    other: float
    goal: float | None = None
    seconds: bool = False
    by_hand: bool = True

    @property
    def met(self) -> bool:
        return self.goal is None or self.litekiln / self.other <= self.goal

    def cells(self) -> tuple[str, ...]:
        shown = [f"{value:.1f} s" if self.seconds else size_text(value) for value in (self.litekiln, self.other)]
        if not self.by_hand:
            shown = [f"{shown[0]} / {shown[1]}", "-"]
        ratio = self.litekiln / self.other
        goal = ("-", "-") if self.goal is None else (f"{self.goal:g}", "yes" if self.met else "NO")
        return self.what, *shown, f"{ratio:.3f}", *goal


def compared(
    title: str, ours: Run, theirs: list[Run], wall: float, processor: float | None = None, memory: float | None = None
) -> list[Row]:
    """The rows for one run of litekiln and the script's runs, which come one after the other. The last three are the goals."""
    seconds, used = (sum(getattr(run, name) for run in theirs) for name in ("seconds", "processor"))
    most = max(run.memory.together for run in theirs)
    return [
        Row(f"{title}: wall time", ours.seconds, seconds, wall, seconds=True),
        Row(f"{title}: processor time", ours.processor, used, processor, seconds=True),
        Row(f"{title}: highest memory of all processes together", ours.memory.together, most, memory),
    ]


class Case:
    """A model of one size, exported in its own work folder. Both sides start from it."""

    def __init__(self, bench: "Bench", name: str, size: int) -> None:
        self.name, self.size = name, size
        self._bench = bench
        self._work = bench.folder / name
        self._home = self._work / "home"
        self._home.mkdir(parents=True)
        (self._home / "envs").symlink_to(bench.environments)
        bench.make_model(name, size, self._work)
        self.litekiln("export", min(FEW, bench.pictures))
        self._saved_model = next(self._home.glob("store/*/files/saved_model"))

    def litekiln(self, what: str, count: int) -> Run:
        """A run of `what` (export, calibrate or all); the steps before it are in the store."""
        folder = self._bench.picture_folder(count)
        words = ["inside", str(self._work), self.name, str(folder), str(count), what]
        argv = [sys.executable, str(self._bench.code / "bench" / "build.py"), *words]
        return self._bench.run(argv, {**os.environ, "LITEKILN_HOME": str(self._home)})

    def by_hand(self, variant: str, count: int) -> Run:
        folder, out = self._bench.picture_folder(count), self._work / f"{variant}.tflite"
        pictures = f", {count} pictures" if variant.startswith("int") else ""
        say(f"→ by hand: {self.name} {variant}{pictures}")
        run = self._bench.toolchain("bench/by_hand.py", variant, self._saved_model, folder, out, self.size)
        say(f"✓ by hand: {self.name} {variant}  {run.seconds:.1f} s  {size_text(out.stat().st_size)}")
        return run

    def time(self, count: int) -> list[Row]:
        """The rows for all variants, made by both sides."""
        title = f"{self.name}, {len(VARIANTS)} variants, {count} pictures"
        ours, theirs = self.litekiln("all", count), {variant: self.by_hand(variant, count) for variant in VARIANTS}
        alone = ours.memory.alone("calibrate.py"), theirs["int8"].memory.alone("by_hand.py")
        rows = compared(title, ours, list(theirs.values()), TIME_GOAL)
        return [*rows, Row(f"{title}: memory of the process that calibrates", *alone)]

    def memory(self, count: int) -> Row:
        ours = self.litekiln("calibrate", count).memory.alone("calibrate.py")
        theirs = self.by_hand("int8", count).memory.alone("by_hand.py")
        return Row(f"{self.name}, calibration memory, {count} pictures", ours, theirs, MEMORY_GOAL)

    def growth(self, few: int) -> Row:
        many = few * MANY_TIMES
        less, more = (self.litekiln("calibrate", count).memory.alone("calibrate.py") for count in (few, many))
        return Row(f"{self.name}, calibration memory, {many} / {few} pictures", more, less, GROWTH_GOAL, by_hand=False)


class WithProof:
    """A model of one size, from its checkpoint to bundles that are verified, measured and evaluated."""

    def __init__(self, bench: "Bench", name: str, size: int) -> None:
        self.name, self.size = name, size
        self._bench, self._wanted = bench, PROVEN[name]
        self._work = bench.folder / f"{name}-with-proof"
        (self._work / ".litekiln").mkdir(parents=True)
        (self._work / ".litekiln" / "envs").symlink_to(bench.environments)
        shutil.copytree(ROOT / "calib" / "shapes", self._work / "calib" / "shapes")
        bench.make_model(name, size, self._work)
        for folder, count in (("", self._wanted.calibrated), ("eval", self._wanted.evaluated)):
            path = self._work / "calib" / "shapes" / folder / "set.toml"
            path.write_text(re.sub(r"count += \d+", f"count = {count}", path.read_text(encoding="utf-8")), encoding="utf-8")

    def time(self) -> list[Row]:
        """The rows for a whole build, with its proof, against an export and conversions by hand."""
        ours, theirs, goals = self._build(), self._by_hand(), self._wanted
        say(f"✓ by hand  {sum(run.seconds for run in theirs):.1f} s")
        title = f"{self.name}, export, {len(goals.variants)} variants and the proof"
        return compared(title, ours, theirs, goals.wall, goals.processor, goals.memory)

    def _build(self) -> Run:
        """The whole `inv build`. Both sets of pictures are drawn before: they are what both sides are given."""
        code = self._bench.code
        self._bench.run([sys.executable, str(code / "bench" / "build.py"), "draw", str(self._work), self.name], dict(os.environ))
        argv = [sys.executable, "-m", "invoke", "--search-root", str(code), "build", "--model", self.name, "--engine", "venv"]
        argv += [word for variant in self._wanted.variants for word in ("--variant", variant)]
        return self._bench.run(argv, dict(os.environ), folder=self._work)

    def _by_hand(self) -> list[Run]:
        source, out = self._work / "models" / self.name / "source", self._work / "by-hand"
        say(f"→ by hand: {self.name}, export and {len(self._wanted.variants)} variants")
        runs = [self._bench.toolchain("bench/by_hand.py", "export", source, out)]
        for variant in self._wanted.variants:
            file = self._work / f"{variant}.tflite"
            words = (variant, out / "saved_model", self._work / DRAWN, file, self.size)
            runs.append(self._bench.toolchain("bench/by_hand.py", *words))
        return runs


class Bench:
    """The benchmark's folder, toolchain and pictures."""

    def __init__(self, folder: Path, pictures: int, most: int) -> None:
        self.folder = folder
        self.pictures = pictures
        project = Project(code=ROOT, work=ROOT)
        self.environments = (project.state / "envs").resolve()
        environment = VenvEngine(project, Lease(project.state)).ensure(load_toolchain(project, TOOLCHAIN), say)
        self._python = environment / "bin" / "python"
        (folder / "tmp").mkdir()
        self.code = folder / "code"  # a copy: an edit during the run would change the steps' keys
        for name in ("bench", "litekiln", "steps", "toolchains", "tests/zoo"):
            shutil.copytree(ROOT / name, self.code / name)
        shutil.copy(ROOT / "tasks.py", self.code)
        if most:
            say(f"drawing {most} pictures")
            self.toolchain("bench/noise_pictures.py", most, folder / "pictures")

    def picture_folder(self, count: int) -> Path:
        folder = self.folder / f"pictures-{count}"
        if not folder.exists():
            folder.mkdir()
            for path in sorted((self.folder / "pictures").iterdir())[:count]:
                os.link(path, folder / path.name)
        return folder

    def make_model(self, name: str, size: int, work: Path) -> None:
        folder = work / "models" / name
        if name == "shapes":
            shutil.copytree(ROOT / "models" / name, folder)
            shutil.copytree(ROOT / "calib" / name, work / "calib" / name, dirs_exist_ok=True)
            return
        folder.mkdir(parents=True)
        say(f"making {name} with random weights")
        config = folder / "zoo.config"
        text = (self.code / "tests" / "zoo" / "ssd_mobilenet_v2_fpnlite.config").read_text(encoding="utf-8")
        config.write_text(text.replace("SIZE", str(size)), encoding="utf-8")
        self.toolchain("tests/zoo/random_checkpoint.py", config, folder / "source")
        evaluated = (work / "calib" / "shapes" / "eval").is_dir()
        (folder / "model.toml").write_text(RECIPE + EVALUATED * evaluated, encoding="utf-8")
        labels = [*SHAPES, *(f"class {number}" for number in range(len(SHAPES) + 1, 91))]
        (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")

    def toolchain(self, program: str, *arguments: object) -> Run:
        return self.run([str(self._python), str(self.code / program), *map(str, arguments)], self._environment(), quiet=True)

    def _environment(self) -> dict[str, str]:
        tmp = str(self.folder / "tmp")
        return {
            **STEP_ENVIRONMENT,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": tmp,
            "TMPDIR": tmp,
        }

    def run(self, argv: list[str], environment: dict[str, str], *, quiet: bool = False, folder: Path | None = None) -> Run:
        """A run of a process in its own session, so that this process ends it, not the terminal."""
        log = self.folder / "log.txt"
        started, used = time.perf_counter(), processor_seconds()
        with log.open("wb") as stream:
            output, errors = (stream, subprocess.STDOUT) if quiet else (None, None)
            process = subprocess.Popen(
                argv,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
            try:
                with Sampler(process.pid) as memory:
                    code = process.wait()
                    seconds = time.perf_counter() - started
            finally:
                _end(process)
        if code:
            sys.stderr.write("".join(log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)[-20:]))
            raise SystemExit(f"{' '.join(argv[1:])}: exit code {code}")
        return Run(seconds, processor_seconds() - used, memory)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def processor_seconds() -> float:
    """Processor time of all ended child processes: on a shared machine it says more than the clock."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def say(text: str) -> None:
    print(text, flush=True)


def inside(work: str, model: str, pictures: str, count: str, what: str) -> None:
    """Run litekiln's side, in its own process."""
    project, folder, reporter = Project(code=ROOT, work=Path(work)), Path(pictures), Reporter()
    given = PictureSet(folder.name, folder.parent, SetFile(folder=folder.name, count=int(count)))
    goals = {"export": ["export"], "calibrate": ["calibrate"], "all": [f"convert {variant}" for variant in VARIANTS]}[what]
    plan = cut(plan_build(project, load_recipe(project, model), Choices(calibration=given)), goals)
    for step in plan.steps:
        if step.id != "export":
            Store(project.state).discard(step.key)  # left by an earlier measurement
    with open_executor(project, "venv", reporter, jobs_to_run(0)) as (executor, _):
        executor.run(plan).complete()


def draw(work: str, model: str) -> None:
    """Draw a recipe's pictures. A link in the work folder leads to those for the calibration."""
    project = Project(code=ROOT, work=Path(work))
    plan = plan_build(project, load_recipe(project, model), Choices())
    goals = [step.id for step in plan.steps if step.id.startswith("draw ")]
    with open_executor(project, "venv", Reporter(), 1) as (executor, _):
        done = executor.run(cut(plan, goals)).complete()
    (project.work / DRAWN).symlink_to(done["draw shapes"].entry.files / "images")


def cut(plan: Plan, goals: list[str]) -> Plan:
    """The plan with only those steps that lead to the goals."""
    wanted = {step.id for goal in goals for step in plan.leading_to(goal)}
    return replace(plan, steps=tuple(step for step in plan.steps if step.id in wanted), variants={}, bundled=())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("shapes", "fpnlite", "all"), help="default: all; with --quick: shapes")
    parser.add_argument("--pictures", type=int, help=f"calibration pictures (default: {PICTURES}; with --quick: {QUICK_PICTURES})")
    parser.add_argument("--with-proof", action="store_true", help="from the checkpoint to proven bundles, instead")
    parser.add_argument("--quick", action="store_true", help="the demo model only, in a few minutes")
    options = parser.parse_args()
    if options.quick and options.model not in (None, "shapes"):
        parser.error("--quick is for shapes only")
    options.model = options.model or ("shapes" if options.quick else "all")
    options.pictures = options.pictures or (QUICK_PICTURES if options.quick else PICTURES)
    if options.pictures < 10:
        parser.error("--pictures: 10 or more")
    if not Path("/proc/self/status").exists():
        parser.error("memory is read from /proc: this needs Linux")
    return options


def measure(options: argparse.Namespace, folder: Path, rows: list[Row]) -> None:
    if options.with_proof:
        bench = Bench(folder, 0, 0)
        for name, size in (("shapes", 160), ("fpnlite-320", 320)):
            if options.model in (name.partition("-")[0], "all"):
                rows += WithProof(bench, name, size).time()
        return
    few = min(FEW, options.pictures)
    bench = Bench(folder, options.pictures, max(options.pictures, few * MANY_TIMES))
    if options.model in ("shapes", "all"):
        shapes = Case(bench, "shapes", 160)
        rows += shapes.time(options.pictures)
        rows.append(shapes.growth(few))
    if options.model in ("fpnlite", "all"):
        rows += Case(bench, "fpnlite-320", 320).time(options.pictures)
        large = Case(bench, "fpnlite-640", 640)
        rows.append(large.memory(options.pictures))
        rows.append(large.growth(few))


def show(rows: list[Row]) -> None:
    Reporter().table(("what", "litekiln", "by hand", "ratio", "goal", "met"), [row.cells() for row in rows])
    missed = [row.what for row in rows if not row.met]
    say(f"goals MISSED: {'; '.join(missed)}" if missed else "goals: all met")


def stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def main() -> None:
    signal.signal(signal.SIGTERM, stop)
    if sys.argv[1:2] == ["inside"]:
        inside(*sys.argv[2:])
        return
    if sys.argv[1:2] == ["draw"]:
        draw(*sys.argv[2:])
        return
    options, load, started = arguments(), os.getloadavg()[0], time.perf_counter()
    rows: list[Row] = []
    try:
        with tempfile.TemporaryDirectory(prefix="litekiln-bench-") as folder:
            measure(options, Path(folder), rows)
    finally:
        if rows:  # an interrupted run also shows its figures
            show(rows)
    minutes = (time.perf_counter() - started) / 60
    loads = f"load {load:.1f} at the start and {os.getloadavg()[0]:.1f} at the end"
    say(f"{os.cpu_count()} processors, {loads}; {minutes:.1f} min in all")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        say("stopped; nothing is left behind")
        raise SystemExit(128 + signal.SIGINT) from None
