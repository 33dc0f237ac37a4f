"""`inv pi` without Docker: what is refused and how, what the context holds, the list of components, the packages' arguments."""

import json
import os
import re
import subprocess
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource

from litekiln.bundles.read import read_bundle
from litekiln.commands.pi import _refuse_unclear, _whole
from litekiln.commands.ready_bundle import ready_bundle
from litekiln.disk import folders_in
from litekiln.engines import pi_image as engine
from litekiln.engines.pi_image import PLATFORMS, PiImage, chosen_platforms, tags_of
from litekiln.errors import (
    BundleError,
    DiskFull,
    ImageBuildFailed,
    LitekilnError,
    NetworkError,
    ToolchainError,
    UsageError,
    WheelMissing,
)
from litekiln.paths import Project
from litekiln.pi import packages as pi_packages
from litekiln.pi.context import SHARED, labels, lay_out_context, source_hash
from litekiln.pi.packages import Package, _license, listed_packages
from litekiln.pi.sbom import sbom
from litekiln.terminal import Reporter
from litekiln.toolchains.lock import pi_lock
from tests.helpers.reports import seal

ROOT = Path(__file__).resolve().parents[3]
LAY_OUT = run_path(str(ROOT / "pi" / "lay_out.py"))
IMAGE = PiImage("litekiln/shapes:int8", "linux/arm64", "sha256:1", 1, 1.0, "")


# --- what can't be meant --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "dema"}, "unknown model 'dema', did you mean 'demo'?"),
        ({"variant": "int9"}, "unknown variant 'int9', did you mean"),
        ({"variant": "int8"}, "no recipe lists the variant int8"),
        ({"base": "alpine"}, "unknown base 'alpine'"),
        ({"tag": "My Image"}, "'My Image' can't be the name of an image"),
    ],
)
def test_arguments_that_can_not_be_meant(project: Project, change: dict[str, str], message: str) -> None:
    given = {"model": "demo", "variant": "float32", "tag": "litekiln/demo:float32", "base": "auto", **change}
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        _refuse_unclear(project, **given)
    assert caught.value.remedy


@pytest.mark.parametrize("tag", ["litekiln/shapes:int8-io", "a", "registry.example.org/me/x_y:1.0"])
def test_names_of_images(project: Project, tag: str) -> None:
    _refuse_unclear(project, "demo", "float32", tag, "auto")


def test_a_name_without_a_version_is_the_latest() -> None:
    assert [_whole(each) for each in ("mypi", "me/x:1", "me/x")] == ["mypi:latest", "me/x:1", "me/x:latest"]


# --- bundles --------------------------------------------------------------------------------------------------------------


def _read(project: Project) -> Any:
    return ready_bundle(Reporter(json=True), project, "demo", "float32", "venv")


def test_a_bundle_that_can_be_used(project: Project, bundle: Path) -> None:
    assert _read(project).name == "demo/float32"


def _edited(folder: Path) -> None:
    (folder / "labelmap.txt").write_text("something else\n", encoding="utf-8")


def _with_another_report(folder: Path) -> None:
    text = (folder / "report.json").read_text(encoding="utf-8")
    (folder / "report.json").write_text(text.replace("0.9233", "0.9999"), encoding="utf-8")


def _without_selftest(folder: Path) -> None:
    (folder / "selftest.json").unlink()
    seal(folder)


def _not_for_use(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    (folder / "report.json").write_text(json.dumps({**report, "verdict": "not for use"}))
    seal(folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_edited, "out/demo/float32 is not as it was built: labelmap.txt was edited"),
        (_with_another_report, "out/demo/float32 is not as it was built: report.json was edited"),
        (_without_selftest, "demo/float32 has no selftest.json, which a Pi needs to test itself"),
        (_not_for_use, "demo/float32 is not for use"),
    ],
)
def test_a_bundle_that_no_pi_should_run(project: Project, bundle: Path, spoil: Any, message: str) -> None:
    spoil(bundle)
    with pytest.raises(BundleError, match=re.escape(message)) as caught:
        _read(project)
    assert caught.value.remedy


# --- what goes into the image ---------------------------------------------------------------------------------------------


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    folder = tmp_path / "unpacked"
    for name, terms in (("Some_Thing", "License-Expression: MIT"), ("other", "Classifier: License :: OSI Approved :: BSD License")):
        (folder / f"{name}-1.0.dist-info").mkdir(parents=True)
        said = f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{terms}\n\nText"
        (folder / f"{name}-1.0.dist-info" / "METADATA").write_text(said)
    return folder


def test_the_context_holds_the_runtime_the_shared_modules_and_the_bundle(project: Project, bundle: Path, packages: Path) -> None:
    here = Project(code=ROOT, work=project.work)
    built = read_bundle(bundle)
    target = project.work / "context"
    lay_out_context(here, built, packages, target)
    shared = {path.name: path.read_bytes() for path in (ROOT / "steps" / SHARED).glob("*.py")}
    assert {"__init__.py", "boxes.py", "detector.py", "pictures.py", "ports.py"} == set(shared)
    assert {path.name: path.read_bytes() for path in (target / "app" / SHARED).iterdir()} == shared
    assert (target / "app" / "litekiln_pi" / "__main__.py").is_file()
    assert (target / "bundle" / "labelmap.txt").read_bytes() == (bundle / "labelmap.txt").read_bytes()
    assert (target / "packages" / "other-1.0.dist-info").is_dir()
    assert not list(target.rglob("__pycache__"))
    assert {path.stat().st_mode & 0o777 for path in (target / "app").rglob("*.py")} == {0o644}


def test_a_users_own_files_in_a_bundle_do_not_go_into_the_image(project: Project, bundle: Path, packages: Path) -> None:
    (bundle / "report.html").write_text("a page", encoding="utf-8")
    seal(bundle)
    (bundle / "notes.txt").write_text("mine", encoding="utf-8")
    os.mkfifo(bundle / "pipe")
    lay_out_context(Project(code=ROOT, work=project.work), read_bundle(bundle), packages, project.work / "context")
    names = [path.name for path in (project.work / "context" / "bundle").iterdir()]
    assert sorted(names) == [
        *("detect.tflite", "examples", "labelmap.txt", "manifest.json", "report.html", "report.json", "selftest.json")
    ]


def test_a_file_of_another_content_has_another_time(project: Project, bundle: Path, packages: Path) -> None:
    """The builder sends what has another size or time, and looks no further."""
    here, target = Project(code=ROOT, work=project.work), project.work / "context"

    def times() -> dict[str, float]:
        lay_out_context(here, read_bundle(bundle), packages, target)
        return {path.relative_to(target).as_posix(): path.stat().st_mtime for path in target.rglob("*") if path.is_file()}

    first = times()
    assert times() == first
    (bundle / "labelmap.txt").write_text("dog\n", encoding="utf-8")
    seal(bundle)
    changed = {name for name, time in times().items() if time != first[name]}
    assert changed == {"bundle/labelmap.txt", "bundle/manifest.json"}


def test_the_list_of_components_is_valid_cyclonedx(packages: Path) -> None:
    listed = [*listed_packages(packages), Package("odd", "2", "MIT AND CC0-1.0"), Package("bare", "3", "")]
    model = {"name": "demo/float32", "version": "abc", "sha256": "0" * 64, "license": "Apache-2.0"}
    value = sbom("litekiln demo/float32", listed, model)
    valid = cyclonedx()
    assert [error.message for error in valid.iter_errors(value)] == []
    assert [each["name"] for each in value["components"]] == ["some-thing", "other", "odd", "bare", "demo/float32"]
    assert value["components"][1]["licenses"] == [{"license": {"name": "BSD-3-Clause"}}]
    assert value["serialNumber"] == sbom("litekiln demo/float32", listed, model)["serialNumber"]
    assert value["serialNumber"] != sbom("litekiln demo/float32", listed[1:], model)["serialNumber"]
    broken = {**value, "components": [{"name": "no type"}]}
    assert [error.message for error in valid.iter_errors(broken)] == ["'type' is a required property"]


def cyclonedx() -> Draft7Validator:
    """By the standard's own schema, which a package of its makers holds."""
    schemas = files("cyclonedx.schema") / "_res"
    named = {name: json.loads((schemas / f"{name}.SNAPSHOT.schema.json").read_text()) for name in ("bom-1.5", "spdx", "jsf-0.82")}
    registry = Registry().with_resources((each["$id"], Resource.from_contents(each)) for each in named.values())
    return Draft7Validator(named["bom-1.5"], registry=registry)


def test_the_labels_say_what_it_is(bundle: Path) -> None:
    built = read_bundle(bundle)
    told = labels(built, "1.2")
    assert told["org.litekiln.model"] == "demo"
    assert told["org.litekiln.variant"] == "float32"
    assert told["org.opencontainers.image.version"] == "1.2"
    assert told["org.litekiln.source.sha256"] == source_hash(built)
    assert re.fullmatch("[0-9a-f]{64}", told["org.litekiln.source.sha256"])


def test_licences_by_the_packages_own_words() -> None:
    assert _license("Apache-2.0", ["License :: OSI Approved :: MIT License"]) == "Apache-2.0"
    assert _license(None, ["Topic :: X", "License :: OSI Approved :: MIT License"]) == "MIT License"
    assert _license(None, []) == ""


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        ("error: Hash mismatch for numpy", ToolchainError, "a package for the Pi is not the one that pi/requirements.lock names"),
        ("error: dns error", NetworkError, "the Pi's packages could not be fetched"),
        ("error: ai-edge-litert has no wheels with a matching tag", WheelMissing, "the Pi's runtime has no build for this machine"),
        ("error: No space left on device", DiskFull, "no space left for the Pi's packages"),
    ],
)
def test_packages_that_can_not_be_had(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, kind: type[LitekilnError], message: str
) -> None:
    stand_in = tmp_path / "uv-stand-in"
    stand_in.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(pi_packages, "uv_binary", lambda: stand_in)
    with (tmp_path / "held").open("w") as held, pytest.raises(kind, match=re.escape(f"{message}\n{said}")):
        pi_packages.install(tmp_path / "lock", [], tmp_path / "logs" / "log", held.fileno())


def test_packages_whose_lock_changed_while_they_were_unpacked_are_not_kept(
    monkeypatch: pytest.MonkeyPatch, project: Project
) -> None:
    (project.code / "pi").mkdir()
    lock = project.code / "pi" / "requirements.lock"
    lock.write_text("numpy==1\n")
    monkeypatch.setattr(pi_packages, "install", lambda *_: lock.write_text("numpy==2\n"))
    with pytest.raises(ToolchainError, match=r"pi/requirements\.lock changed while they were being unpacked"):
        pi_packages.pi_packages(project, "arm64")
    assert list(project.state.rglob(pi_packages.DONE)) == []


def test_the_tests_run_the_versions_that_the_image_holds() -> None:
    """Natively the runtime is tested in the environment of the tests: it has the Pi's packages, or the tests say little."""
    lock = pi_lock(Project(code=ROOT, work=ROOT))
    assert lock
    pinned = dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", lock.path.read_text(), re.MULTILINE))
    tested = re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", (ROOT / "requirements-dev.lock").read_text(), re.MULTILINE)
    assert {"numpy", "pillow", "starlette", "uvicorn", "ai-edge-litert"} <= set(pinned)
    for name, version in pinned.items():
        assert (name, version) in tested, name


def test_one_base_is_pinned_one_way() -> None:
    pins = set(re.findall(r"python:3\.11-slim\S+", (ROOT / "Dockerfile.pi").read_text() + (ROOT / "Dockerfile.export").read_text()))
    assert len(pins) == 1
    assert re.search(r"@sha256:[0-9a-f]{64}$", pins.pop())


def test_no_run_in_the_stages_of_the_images_processor() -> None:
    stages = re.split(r"^FROM ", (ROOT / "Dockerfile.pi").read_text(), flags=re.MULTILINE)[1:]
    running = [stage.splitlines()[0] for stage in stages if re.search(r"^RUN ", stage, re.MULTILINE)]
    assert running == ["--platform=$BUILDPLATFORM ${BUILD_BASE} AS layout"]


def test_certificates_are_looked_for_where_the_image_has_them() -> None:
    """OpenSSL's own places are below /usr/lib/ssl, of which the image has nothing: no https camera would be trusted."""
    named = re.search(r"SSL_CERT_FILE=/(\S+)", (ROOT / "Dockerfile.pi").read_text())
    assert named
    assert named[1] in LAY_OUT["FILES"]


def test_commands_that_write_say_by_which_user() -> None:
    """The image's own user may write in no folder of a reader's."""
    told = (ROOT / "docs" / "pi.md").read_text(encoding="utf-8")
    writing = [each for each in re.findall(r"docker run [^`\n]*", told) if re.search("--out|--snapshots", each)]
    assert len(writing) == 4
    assert all('--user "$(id -u)"' in each and '-v "$PWD:/data"' in each for each in writing)


# --- sending it -----------------------------------------------------------------------------------------------------------


class _Images:
    def get(self, name: str) -> "_Images":
        return self

    def tag(self, name: str) -> bool:
        return True


class _Client:
    images = _Images()


@pytest.mark.parametrize(
    ("said", "remedy"),
    [("unauthorized: authentication required", "docker login registry.example.org"), ("dial tcp: refused", "check its name")],
)
def test_a_push_that_fails(monkeypatch: pytest.MonkeyPatch, said: str, remedy: str) -> None:
    monkeypatch.setattr(engine.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, "", said))
    with pytest.raises(NetworkError, match=re.escape(said)) as caught:
        engine.push(_Client(), IMAGE.tag, [IMAGE], "registry.example.org/me", print)  # type: ignore[arg-type]
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("registry", ["registry.example.org/me", "127.0.0.1:5000/me/"])
@pytest.mark.parametrize("tag", ["litekiln/shapes:int8", "litekiln/shapes"])
def test_a_push_tells_the_digest(monkeypatch: pytest.MonkeyPatch, registry: str, tag: str) -> None:
    said = f"int8: digest: sha256:{'a' * 64} size: 1"
    monkeypatch.setattr(engine.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, said, ""))
    found = engine.push(_Client(), tag, [replace(IMAGE, tag=tag)], registry, lambda _: None)  # type: ignore[arg-type]
    assert found == f"{registry.rstrip('/')}/litekiln/shapes@sha256:{'a' * 64}"


def test_several_images_become_one_name_in_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(argv: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        ran.append(argv)
        said = f'{{"digest": "sha256:{"b" * 64}"}}' if "inspect" in argv else f"int8: digest: sha256:{'a' * 64} size: 1"
        return subprocess.CompletedProcess(argv, 0, said, "")

    monkeypatch.setattr(engine.subprocess, "run", run)
    images = [replace(IMAGE, tag=each, platform=name) for name, each in tags_of(IMAGE.tag, list(PLATFORMS)).items()]
    there = "registry.example.org/me/litekiln/shapes"
    assert engine.push(_Client(), IMAGE.tag, images, "registry.example.org/me", lambda _: None) == f"{there}@sha256:{'b' * 64}"  # type: ignore[arg-type]
    parts = [f"{there}:int8-arm64", f"{there}:int8-amd64"]
    assert ran[:2] == [["docker", "push", each] for each in parts]
    assert ran[2] == ["docker", "buildx", "imagetools", "create", "--tag", f"{there}:int8", *parts]


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("linux/arm64", {"linux/arm64": "a:1"}),
        ("linux/amd64", {"linux/amd64": "a:1"}),
        ("linux/amd64, linux/arm64,linux/amd64", {"linux/amd64": "a:1-amd64", "linux/arm64": "a:1-arm64"}),
    ],
)
def test_each_of_several_platforms_has_a_tag_of_its_own(text: str, tags: dict[str, str]) -> None:
    assert tags_of("a:1", chosen_platforms(text)) == tags


@pytest.mark.parametrize(("text", "unknown"), [("arm64", "arm64"), ("linux/arm64,linux/386", "linux/386"), ("", "")])
def test_a_platform_without_an_image(text: str, unknown: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"--platform {unknown}: there is no image for it")) as caught:
        chosen_platforms(text)
    assert "linux/arm64,linux/amd64" in caught.value.remedy


def test_of_several_images_this_machines_has_the_tag_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    named: list[tuple[str, str, str]] = []

    class _Image:
        def __init__(self, tag: str) -> None:
            self._tag = tag

        def tag(self, repository: str, tag: str) -> None:
            named.append((self._tag, repository, tag))

    class _Named:
        class images:  # noqa: N801
            get = _Image

    images = [replace(IMAGE, tag=each, platform=name) for name, each in tags_of(IMAGE.tag, list(PLATFORMS)).items()]
    monkeypatch.setattr(engine, "build_platform", lambda: "linux/amd64")
    engine.name_native(_Named(), IMAGE.tag, images)  # type: ignore[arg-type]
    assert named == [("litekiln/shapes:int8-amd64", "litekiln/shapes", "int8")]
    engine.name_native(_Named(), IMAGE.tag, [IMAGE])  # type: ignore[arg-type]
    assert len(named) == 1, "a single image has its tag"


def test_packages_of_each_processor_stay_beside_each_other(monkeypatch: pytest.MonkeyPatch, project: Project) -> None:
    (project.code / "pi").mkdir()
    lock = project.code / "pi" / "requirements.lock"
    lock.write_text("numpy==1\n")
    asked: list[str] = []

    def install(_lock: Path, where: list[str], *_: object) -> None:
        Path(where[where.index("--target") + 1]).mkdir(parents=True)
        asked.append(where[where.index("--python-platform") + 1])

    monkeypatch.setattr(pi_packages, "install", install)
    (project.state / "pi" / "packages-0123456789ab").mkdir(parents=True)
    both = [pi_packages.pi_packages(project, each) for each in ("arm64", "amd64", "arm64")]
    assert asked == ["aarch64-manylinux_2_36", "x86_64-manylinux_2_36"]
    assert both[0] == both[2] != both[1]
    assert folders_in(project.state / "pi") == sorted(each.parent for each in both[:2])


def test_a_file_that_can_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be written: No such file"):
        engine.save([IMAGE], tmp_path / "nowhere" / "image.tar.gz", lambda _: None)


def test_a_saved_file_has_its_hash_beside_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "pi.tar.gz"
    monkeypatch.setattr(engine, "_compress", lambda tags, file: file.write(str(tags).encode()))
    for image in (IMAGE, replace(IMAGE, tag="another:1")):
        assert engine.save([image], path, lambda _: None) == path.stat().st_size
        done = subprocess.run(["sha256sum", "--check", f"{path.name}.sha256"], cwd=tmp_path, capture_output=True, check=False)
        assert done.stdout == b"pi.tar.gz: OK\n"

    def fails(*_: object) -> None:
        raise ImageBuildFailed("docker could not write it to a file")

    monkeypatch.setattr(engine, "_compress", fails)
    with pytest.raises(ImageBuildFailed):
        engine.save([IMAGE], path, lambda _: None)
    assert path.read_bytes() == b"['another:1']", "what was there stays, with its hash"
    assert path.with_name("pi.tar.gz.sha256").exists()
