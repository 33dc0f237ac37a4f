"""The Pi's image: built from the demo's bundle, run as arm64 under emulation, by Docker and by Podman."""

import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, inv_argv
from tests.e2e.conftest import Built
from tests.e2e.pi_runs import lines, pictures_of, run, same
from tests.helpers.browsing import DESK, chromium, visited
from tests.unit.commands.test_pi import cyclonedx

pytestmark = pytest.mark.docker
TAG = "litekiln/shapes:int8"
ARM64 = ("--platform", "linux/arm64")
PI_3, PI_4, PI_5 = "cortex-a53", "cortex-a72", "cortex-a76"  # the Zero 2 W has the Pi 3's
SAFE = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
# Of crun and of cgroups of version 2 not every machine of tests has all; runc comes with Docker.
PODMAN = ("--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--runtime", "runc")
PODMAN_RUN = ("--no-healthcheck", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
LISTS = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"
LARGEST, LARGEST_COMPRESSED, LARGEST_OF_COMPUTERS = 120_000_000, 45_000_000, 160_000_000


@pytest.fixture(scope="module")
def inv_pi(pytestconfig: pytest.Config) -> list[str]:
    """The command that makes the image, on the base that this run has."""
    return inv_argv("pi", "--model", "shapes", "--variant", "int8", "--base", str(pytestconfig.getoption("--bases")))


@pytest.fixture(scope="module")
def image(inv_pi: list[str], built: Built, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The image, and a file of it as for Pis without a network."""
    saved = tmp_path_factory.mktemp("saved") / "pi.tar.gz"
    argv = [*inv_pi, "--save", str(saved), "--json"]
    done = subprocess.run(argv, cwd=built[0], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.fixture
def bundle(built: Built) -> Path:
    return built[0] / "out" / "shapes" / "int8"


def docker(*arguments: str, cpu: str = "", options: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    """Without `cpu` the image itself says which processor is emulated."""
    chosen = ["--env", f"QEMU_CPU={cpu}"] if cpu else []
    argv = ["docker", "run", "--rm", *ARM64, *chosen, *options, TAG, *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)


def inspected() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(subprocess.run(["docker", "image", "inspect", TAG], capture_output=True, check=True).stdout)[
        0
    ]
    return told


def test_it_is_small(image: dict[str, Any]) -> None:
    assert image["size"] == inspected()["Size"]
    assert image["size"] < LARGEST
    assert image["saved_size"] == Path(image["saved"]).stat().st_size < LARGEST_COMPRESSED
    print(f"{image['size'] / 1e6:.1f} MB, {image['saved_size'] / 1e6:.1f} MB compressed")


def test_what_is_written_about_it(image: dict[str, Any], bundle: Path) -> None:
    told = inspected()
    assert told["Architecture"] == "arm64"
    config = told["Config"]
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert config["Labels"]["org.litekiln.model"] == "shapes"
    assert config["Labels"]["org.litekiln.variant"] == "int8"
    assert config["Labels"]["org.litekiln.model.sha256"] == manifest["files"]["detect.tflite"]
    assert len(config["Labels"]["org.litekiln.source.sha256"]) == 64
    assert config["Labels"]["org.opencontainers.image.version"] == manifest["litekiln"]
    assert config["User"] == "10001:44"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "python3", "-m", "litekiln_pi", "health"]
    assert "8080/tcp" in config["ExposedPorts"]


def test_there_is_no_shell_in_it(image: dict[str, Any]) -> None:
    done = docker("-c", "true", options=("--entrypoint", "sh"))
    assert done.returncode == 127
    assert "not found" in done.stderr


@pytest.mark.parametrize("cpu", [PI_3, PI_4, PI_5])
def test_every_pis_processor_sees_what_the_verification_saw(image: dict[str, Any], cpu: str) -> None:
    done = docker("selftest", "--json", cpu=cpu, options=SAFE)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["matched"] == told["recorded"] > 0


def test_the_image_itself_asks_for_a_pis_processor(image: dict[str, Any]) -> None:
    """People try it on a computer first, whose qemu would offer what no Pi has."""
    assert f"QEMU_CPU={PI_4}" in inspected()["Config"]["Env"]
    done = docker("selftest", "--json")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def wrong_cpu() -> str:
    """Debian 12's qemu computes wrongly with SME, which its processor `max` has."""
    told = subprocess.run(["qemu-aarch64-static", "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"version (\d+)\.", told)
    assert version, told
    if int(version[1]) >= 8:
        pytest.skip(f"not run: this qemu computes rightly with all that it offers ({told.splitlines()[0]})")
    return "max"


def test_a_processor_that_computes_otherwise_is_told_everywhere(image: dict[str, Any], wrong_cpu: str) -> None:
    said = "this machine computes other results than were verified"
    done = docker("selftest", cpu=wrong_cpu)
    assert (done.returncode, "0 of 3 recorded detections are seen here" in done.stderr) == (4, True)
    strict = docker("serve", "--strict", "--source", "test", cpu=wrong_cpu)
    assert strict.returncode == 4, strict.stderr
    with _served(cpu=wrong_cpu) as (container, port):
        state = _wait_for_frames(port, ["docker", "logs", container])
        assert state["wrong_results"]
        assert said in state["warning"]
        with pytest.raises(urllib.error.HTTPError) as refused:
            _ask(port, "/healthz")
        assert refused.value.code == 503
        assert json.load(refused.value)["status"] == "wrong results"
        health = subprocess.run(["docker", "exec", container, "python3", "-m", "litekiln_pi", "health"], check=False)
        assert health.returncode == 1
        with chromium() as browser, visited(browser, f"http://127.0.0.1:{port}/", DESK) as (page, _):
            page.wait_for_selector("text=don't trust what you see")


def test_its_detections_are_those_of_x86(image: dict[str, Any], bundle: Path, tmp_path: Path) -> None:
    files = pictures_of(bundle, tmp_path / "pictures")
    (tmp_path / "pictures" / "drawn").mkdir(mode=0o777)
    (tmp_path / "pictures" / "drawn").chmod(0o777)
    mount = ("--volume", f"{tmp_path / 'pictures'}:/data", *SAFE)
    names = [file.name for file in files]
    there = lines(docker("detect", *names, "--out", "drawn", options=mount))
    here = lines(run(bundle, "detect", *names, cwd=tmp_path / "pictures"))
    assert [each["file"] for each in there] == names
    assert sum(len(each["detections"]) for each in here) > 4
    for one, other in zip(there, here, strict=True):
        same(one["detections"], other["detections"])
    assert sorted(path.name for path in (tmp_path / "pictures" / "drawn").iterdir()) == [
        f"{file.stem}.detected.jpg" for file in files
    ]


def test_a_folder_that_its_user_may_not_write_is_told(image: dict[str, Any], bundle: Path, tmp_path: Path) -> None:
    pictures_of(bundle, tmp_path / "pictures")
    (tmp_path / "pictures").chmod(0o755)
    done = docker("detect", "0.jpg", "--out", "drawn", options=("--volume", f"{tmp_path / 'pictures'}:/data"))
    assert done.returncode == 2
    assert "the container's user is 10001" in done.stderr


def test_info_and_bench_run(image: dict[str, Any]) -> None:
    assert docker("info").stdout.startswith("shapes, variant int8")
    measured = json.loads(docker("bench", "--seconds", "0.1", "--json").stdout)
    assert measured["device"]["kind"] == "emulated"
    assert "the processor is emulated: these times say nothing about a real one" in measured["doubts"]


def test_the_bundle_and_the_list_of_components_are_inside(image: dict[str, Any], bundle: Path, tmp_path: Path) -> None:
    made = subprocess.run(["docker", "create", *ARM64, TAG], capture_output=True, text=True, check=True).stdout.strip()
    try:
        for place in ("/opt/litekiln/bundle", "/opt/litekiln/sbom", "/opt/litekiln/app", "/var/lib/dpkg/status.d"):
            subprocess.run(["docker", "cp", f"{made}:{place}", str(tmp_path)], capture_output=True, check=True)
    finally:
        subprocess.run(["docker", "rm", made], capture_output=True, check=True)
    for path in bundle.rglob("*"):
        if path.is_file():
            assert (tmp_path / "bundle" / path.relative_to(bundle)).read_bytes() == path.read_bytes()
    assert list((tmp_path / "app").rglob("*.py")) == [], "bytecode is enough"
    compiled = list((tmp_path / "app" / "litekiln_pi").rglob("*.pyc"))
    assert len(compiled) > 20
    assert {path.read_bytes()[4] for path in compiled} == {1}, "compiled code that counts whatever its source's date is"
    listed = json.loads((tmp_path / "sbom" / "litekiln.cdx.json").read_text())
    valid = cyclonedx()
    assert [error.message for error in valid.iter_errors(listed)] == []
    names = {each["name"] for each in listed["components"]}
    assert {"numpy", "pillow", "ai-edge-litert", "uvicorn", "libc6", "shapes/int8"} <= names
    assert {"libpython3.11-stdlib", "python"} & names, "Debian's Python, or that of the registry's base"
    status = {path.name for path in (tmp_path / "status.d").iterdir()}
    assert {"libc6", "libstdc++6"} <= status <= names


def test_the_same_bundle_gives_the_same_layers(inv_pi: list[str], image: dict[str, Any], built: Built) -> None:
    before = inspected()["RootFS"]["Layers"]
    shutil.rmtree(built[0] / ".litekiln" / "pi" / "context")
    subprocess.run(inv_pi, cwd=built[0], capture_output=True, check=True)
    assert inspected()["RootFS"]["Layers"] == before


# --- the server -----------------------------------------------------------------------------------------------------------


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ask(port: int, path: str, body: bytes | None = None) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=body, headers={"Content-Type": "image/jpeg"} if body else {}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def _wait_for_frames(port: int, logs: list[str]) -> dict[str, Any]:
    for _ in range(300):
        try:
            _ask(port, "/api/detections")  # with nobody watching the loop rests
            state = _ask(port, "/api/state")
            if state["looked_at"] > 2:
                return state
        except OSError:
            pass
        time.sleep(0.5)
    pytest.fail("no frame was looked at: " + subprocess.run(logs, capture_output=True, text=True, check=False).stderr)


@contextmanager
def _served(*options: str, cpu: str) -> Iterator[tuple[str, int]]:
    port = _free_port()
    argv = ["docker", "run", "--detach", *ARM64, "--env", f"QEMU_CPU={cpu}", "--publish", f"127.0.0.1:{port}:8080", *SAFE, *options]
    name = subprocess.run([*argv, TAG, "serve", "--source", "test", "--threads", "1"], capture_output=True, text=True, check=True)
    container = name.stdout.strip()
    try:
        yield container, port
    finally:
        subprocess.run(["docker", "rm", "--force", container], capture_output=True, check=True)


@pytest.mark.parametrize("cpu", [PI_3, PI_4])
def test_it_serves_and_ends_when_told(image: dict[str, Any], bundle: Path, cpu: str) -> None:
    with _served(cpu=cpu) as (container, port):
        state = _wait_for_frames(port, ["docker", "logs", container])
        assert state["labels"] == ["circle", "square", "triangle"]
        found = {each["name"] for each in _ask(port, "/api/detections")["detections"]}
        assert found == {"circle", "square", "triangle"}
        picture = bundle / "examples" / "0.jpg"
        here = lines(run(bundle, "detect", str(picture)))[0]
        same(_ask(port, "/api/detect", picture.read_bytes())["detections"], here["detections"])
        health = subprocess.run(["docker", "exec", container, "python3", "-m", "litekiln_pi", "health"], check=False)
        assert health.returncode == 0
        # What doesn't end within these two seconds is killed, and its exit code is 137.
        subprocess.run(["docker", "stop", "--time", "2", container], capture_output=True, check=True)
        told = json.loads(subprocess.run(["docker", "inspect", container], capture_output=True, check=True).stdout)[0]
        assert told["State"]["ExitCode"] == 0


def test_the_health_check_of_a_container_that_does_something_else(image: dict[str, Any]) -> None:
    argv = ["docker", "run", "--rm", "--detach", *ARM64, TAG, "watch", "--source", "/dev/video9", "--threads", "1"]
    container = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    try:
        health = subprocess.run(["docker", "exec", container, "python3", "-m", "litekiln_pi", "health"], check=False)
        assert health.returncode == 0
    finally:
        subprocess.run(["docker", "rm", "--force", container], capture_output=True, check=True)


def test_frames_from_a_pipe(image: dict[str, Any], bundle: Path) -> None:
    data = b"".join(path.read_bytes() for path in sorted((bundle / "examples").iterdir()))
    argv = [
        "docker",
        "run",
        "--rm",
        "--interactive",
        *ARM64,
        "--env",
        f"QEMU_CPU={PI_4}",
        TAG,
        "watch",
        "--source",
        "-",
        "--threads",
        "1",
    ]
    done = subprocess.run(argv, input=data, capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["frame"] for line in done.stdout.splitlines()]


# --- on its way to the Pi -------------------------------------------------------------------------------------------------


@contextmanager
def _registry(folder: Path) -> Iterator[str]:
    """The address of a registry of one's own."""
    port = _free_port()
    (folder / "config.yml").write_text(
        f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {folder}/registry\nhttp:\n  addr: 127.0.0.1:{port}\n"
    )
    with subprocess.Popen(["docker-registry", "serve", str(folder / "config.yml")], stderr=subprocess.DEVNULL) as registry:
        try:
            _wait_for_port(port)
            yield f"127.0.0.1:{port}"
        finally:
            registry.terminate()


def test_it_can_be_pushed_and_pulled_by_digest(inv_pi: list[str], image: dict[str, Any], built: Built, tmp_path: Path) -> None:
    with _registry(tmp_path) as registry:
        address = f"{registry}/me"
        done = subprocess.run([*inv_pi, "--push", address, "--json"], cwd=built[0], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        pushed = json.loads(done.stdout)["pushed"]
        assert pushed.startswith(f"{address}/litekiln/shapes@sha256:")
        pulled = subprocess.run(["docker", "pull", *ARM64, pushed], capture_output=True, text=True, check=False)
        assert pulled.returncode == 0, pulled.stderr
    done = subprocess.run([*inv_pi, "--push", address], cwd=built[0], capture_output=True, text=True, check=False)
    assert done.returncode == 8, done.stdout
    assert "could not be pushed" in done.stdout


@pytest.fixture(scope="module")
def both(inv_pi: list[str], built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Images for both platforms, in a file and in a registry, with what the registry says of their name."""
    folder = tmp_path_factory.mktemp("both")
    with _registry(folder) as registry:
        argv = [*inv_pi, "--tag", "litekiln/both:1", "--platform", "linux/amd64,linux/arm64", "--push", f"{registry}/me"]
        argv += ["--save", str(folder / "both.tar.gz"), "--json"]
        done = subprocess.run(argv, cwd=built[0], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        asked = urllib.request.Request(f"http://{registry}/v2/me/litekiln/both/manifests/1", headers={"Accept": LISTS})
        with urllib.request.urlopen(asked, timeout=30) as answer:
            digest, listed = answer.headers["Docker-Content-Digest"], json.load(answer)
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["pushed"] == f"{registry}/me/litekiln/both@{digest}"
    yield {**told, "listed": listed}
    tags = [told["tag"], *(each["tag"] for each in told["images"])]
    subprocess.run(
        ["docker", "image", "rm", *tags, *(f"{registry}/me/{tag}" for tag in tags[1:])], capture_output=True, check=False
    )


def test_each_of_two_platforms_has_its_image_and_one_name_in_the_registry(both: dict[str, Any]) -> None:
    assert {each["tag"]: each["platform"] for each in both["images"]} == {
        "litekiln/both:1-amd64": "linux/amd64",
        "litekiln/both:1-arm64": "linux/arm64",
    }
    for each in both["images"]:
        inspect = ["docker", "image", "inspect", "--format", "{{.Os}}/{{.Architecture}}", each["tag"]]
        assert subprocess.run(inspect, capture_output=True, text=True, check=True).stdout.strip() == each["platform"]
        # On a base from Debian packages the amd64 image holds this computer's own Python, with its symbols
        assert each["size"] < (LARGEST if each["platform"] == "linux/arm64" else LARGEST_OF_COMPUTERS), each
    listed = {f"{each['platform']['os']}/{each['platform']['architecture']}" for each in both["listed"]["manifests"]}
    assert listed == {"linux/amd64", "linux/arm64"}
    with tarfile.open(both["saved"]) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert {tag for each in manifest for tag in each["RepoTags"]} == {"litekiln/both:1-amd64", "litekiln/both:1-arm64"}


def test_without_a_platform_docker_takes_the_one_of_this_computer(both: dict[str, Any]) -> None:
    argv = ["docker", "run", "--rm", *SAFE, both["tag"]]
    done = subprocess.run([*argv, "selftest", "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["matched"] == told["recorded"] > 0
    done = subprocess.run([*argv, "watch", "--source", "test", "--count", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    measured = subprocess.run([*argv, "bench", "--seconds", "0.1", "--json"], capture_output=True, text=True, check=True)
    assert json.loads(measured.stdout)["device"]["kind"] != "emulated"


def _wait_for_port(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("the registry does not answer")


@pytest.fixture
def podman(image: dict[str, Any], tmp_path: Path) -> Iterator[list[str]]:
    """Podman with a store of its own, and the image in it, read from the file that `--save` wrote."""
    with tempfile.TemporaryDirectory(prefix="podman-", dir="/tmp") as run_root:  # Podman takes 50 characters at most
        program = ["podman", "--root", str(tmp_path / "store"), "--runroot", run_root, *PODMAN]
        with subprocess.Popen(["gunzip", "--stdout", image["saved"]], stdout=subprocess.PIPE) as unpacked:
            loaded = subprocess.run([*program, "load"], stdin=unpacked.stdout, capture_output=True, text=True, check=False)
        assert loaded.returncode == 0, loaded.stderr
        yield program
        subprocess.run([*program, "rm", "--all", "--force"], capture_output=True, check=False)
        subprocess.run([*program, "rmi", "--all", "--force"], capture_output=True, check=False)


def test_podman_runs_it(podman: list[str]) -> None:
    argv = [*podman, "run", "--rm", *ARM64, *PODMAN_RUN, *SAFE, "--network", "none", "--env", f"QEMU_CPU={PI_4}"]
    done = subprocess.run([*argv, f"localhost/{TAG}", "selftest"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("ok: "), done.stderr


def test_podman_serves_it(podman: list[str], tmp_path: Path) -> None:
    port = _free_port()
    argv = [*podman, "run", "--detach", "--name", "served", *ARM64, *PODMAN_RUN, *SAFE, "--network", "host"]
    argv += ["--env", f"QEMU_CPU={PI_4}", f"localhost/{TAG}"]
    argv += ["serve", "--source", "test", "--threads", "1", "--host", "127.0.0.1", "--port", str(port)]
    started = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert started.returncode == 0, started.stderr
    _wait_for_frames(port, [*podman, "logs", "served"])
    stopped = subprocess.run([*podman, "stop", "--time", "2", "served"], capture_output=True, text=True, check=False)
    assert stopped.returncode == 0, stopped.stderr
    asked = [*podman, "inspect", "served", "--format", "{{.State.ExitCode}}"]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip() == "0"


def test_the_files_in_the_docs_are_whole(image: dict[str, Any]) -> None:
    """The compose file and the unit name what the image has."""
    import yaml

    service = yaml.safe_load((ROOT / "deploy" / "pi" / "compose.yaml").read_text())["services"]["litekiln"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["ports"] == ["8080:8080"]
    unit = (ROOT / "deploy" / "pi" / "litekiln.service").read_text()
    assert "--read-only" in unit
    assert TAG in unit
    assert os.path.exists(ROOT / "docs" / "pi.md")  # noqa: PTH110
