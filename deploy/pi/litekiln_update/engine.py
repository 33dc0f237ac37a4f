"""Docker and Podman, by their programs."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from litekiln_update.saying import Failed, say

CONTAINER, LABEL = "litekiln", "org.litekiln.model"
KEPT = re.compile(r"(?:localhost/|docker\.io/library/)?litekiln-(kept|used):([0-9a-f]{12})")


@dataclass(frozen=True)
class Image:
    """What the engine says about an image; `id` without `sha256:`, which Podman leaves out."""

    id: str
    processor: str
    size: int
    names: tuple[str, ...]
    digests: tuple[str, ...]
    layers: tuple[str, ...]
    ours: bool

    @property
    def reference(self) -> str:
        return f"sha256:{self.id}"


def command(*argv: str, seconds: float | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end. One that is missing or takes too long has an exit code like others."""
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=seconds)
    except FileNotFoundError:
        return subprocess.CompletedProcess(argv, 127, "", f"{argv[0]} is not installed")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 124, "", f"{argv[0]} {argv[1]} took more than {seconds:.0f} s")


def last_line(done: "subprocess.CompletedProcess[str]") -> str:
    """What a program said last: the reason, if it failed."""
    said = done.stderr.strip() if done.returncode else done.stdout.strip()
    return said.splitlines()[-1] if said else f"exit code {done.returncode}"


class Engine:
    """`docker` or `podman`, by its program."""

    def __init__(self, program: str) -> None:
        self.program = program
        place = "{{.Store.GraphRoot}}" if program == "podman" else "{{.DockerRootDir}}"
        told = self("info", "--format", place, seconds=60)
        if told.returncode or not told.stdout.strip():  # Docker 20 ends with 0 even where no daemon answers
            remedy = f"systemctl status {program}" if program == "docker" else f"{program} info"
            raise Failed("service", f"{program} doesn't answer: {last_line(told)}", f"{program} is missing or not running", remedy)
        self.root = Path(told.stdout.strip())

    def __call__(self, *argv: str, seconds: float | None = 300) -> "subprocess.CompletedProcess[str]":
        return command(self.program, *argv, seconds=seconds)

    def image(self, reference: str) -> Image | None:
        """The image of a name, digest or id; None without one."""
        if not reference:
            return None
        done = self("image", "inspect", reference)
        if done.returncode:
            return None
        told = json.loads(done.stdout)[0]
        labels = (told.get("Config") or {}).get("Labels") or {}
        layers = tuple((told.get("RootFS") or {}).get("Layers") or ())
        names, digests = tuple(told.get("RepoTags") or ()), tuple(told.get("RepoDigests") or ())
        bare = told["Id"].removeprefix("sha256:")
        return Image(bare, told["Architecture"], int(told.get("Size", 0)), names, digests, layers, LABEL in labels)

    def running(self) -> dict[str, Any]:
        """The service's container: which it is, of which image; empty without one."""
        done = self("container", "inspect", CONTAINER)
        told = json.loads(done.stdout)[0] if not done.returncode else {}
        if not told or not told["State"]["Running"]:
            return {}
        return {"id": told["Id"], "image": told["Image"].removeprefix("sha256:"), "since": told["State"]["StartedAt"]}

    def need_space(self, size: int) -> None:
        """Refuse what would not fit, before anything is loaded."""
        place = next(each for each in (self.root, *self.root.parents) if each.exists())
        free = shutil.disk_usage(place).free
        if free < size:
            what = f"{free / 1e6:.0f} MB are free at {place}, and this needs up to {size / 1e6:.0f} MB"
            raise Failed("space", what, "the card is full", f"{self.program} system df shows what is there; then try again")

    def failed(self, done: "subprocess.CompletedProcess[str]", what: str, otherwise: str) -> NoReturn:
        """Raise the error of a pull or a load, by what the engine said; `otherwise` is its kind if that is unknown."""
        said, reason = done.stderr.lower(), f"{what}: {last_line(done)}"
        if "no space left" in said:
            raise Failed("space", reason, "the card is full", f"{self.program} system df shows what is there")
        if "no matching manifest" in said or "no image found in" in said:
            raise Failed("platform", reason, "it was made for other computers", "inv pi --platform linux/arm64 --push …")
        if "manifest unknown" in said or "not found" in said:
            raise Failed("wrong", reason, "the registry has no such image", "compare the digest with what inv pi --push printed")
        if otherwise == "wrong":
            raise Failed(otherwise, reason, "see the line above", "copy the file again")
        raise Failed(otherwise, reason, "no network, or a login is needed", f"check both: {self.program} login REGISTRY")

    def keep(self, image: Image, brought: bool) -> None:
        """Give an image a name of ours, so that `image prune` leaves it; it also says whether an update brought it."""
        if not any(KEPT.fullmatch(name) for name in image.names):
            self("tag", image.id, f"litekiln-{'kept' if brought else 'used'}:{image.id[:12]}")

    def prune(self, needed: set[str]) -> None:
        """Remove the images that updates brought, but those of the ids that are needed. Of others only our name goes."""
        for name in self("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split():
            found = KEPT.fullmatch(name)
            if not found or any(each.startswith(found[2]) for each in needed):
                continue
            image = self.image(name)
            self("image", "rm", name)
            left = self.image(image.id) if image else None
            if left and found[1] == "kept" and not left.names:
                self("image", "rm", left.id)
            if found[1] == "kept":
                say(f"· removed {name}: one image before is kept, or none that failed")
