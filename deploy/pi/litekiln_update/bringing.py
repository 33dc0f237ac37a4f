"""Brings an image into the engine: from a file, or from a registry by its digest."""

import re
import shutil
import subprocess
import zlib
from contextlib import suppress
from pathlib import Path

from litekiln_update.engine import Engine, Image
from litekiln_update.saved_file import BLOCK, Saved, unpacked
from litekiln_update.saying import Failed, say

SPARE, USUAL = 50_000_000, 300_000_000


def bring_file(engine: Engine, path: Path, saved: Saved) -> Image:
    """Load a file's image for this machine. Names that were given to other images before stay theirs."""
    there = engine.image(f"sha256:{saved.id}")
    if there and there.layers == saved.layers:
        say("· this image is here already")
        engine.keep(there, brought=False)
        return there
    engine.need_space(2 * saved.unpacked + SPARE)
    held = {name: engine.image(name) for name in saved.names}
    say(f"→ load {path.name}  ({saved.unpacked / 1e6:.0f} MB unpacked)")
    done = _load(engine, path)
    if done.returncode:
        engine.failed(done, f"{engine.program} could not load {path}", "wrong")
    image = engine.image(saved.name)
    if not image or image.layers != saved.layers:
        raise Failed("wrong", f"{engine.program} loaded another image than {path} holds", "the file changed meanwhile", "try again")
    engine.keep(image, brought=not any(each and each.id == image.id for each in held.values()))
    for name, owner in held.items():
        if owner:
            engine("tag", owner.id, name)
        else:
            engine("image", "rm", name)
    return image


def _load(engine: Engine, path: Path) -> "subprocess.CompletedProcess[str]":
    """Unpack a file into the engine: not each Podman unpacks by itself."""
    argv = [engine.program, "load"]
    with (
        unpacked(path) as (stream, _),
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as loading,
    ):
        assert loading.stdin
        assert loading.stderr
        # If the engine ends early, it says why. If the stick is gone, the engine says that its input is cut off.
        with suppress(OSError, EOFError, zlib.error):
            shutil.copyfileobj(stream, loading.stdin, BLOCK)
        with suppress(OSError):
            loading.stdin.close()
        said = loading.stderr.read().decode(errors="replace")
    return subprocess.CompletedProcess(argv, loading.returncode, "", said)


def bring_pulled(engine: Engine, reference: str, current: Image | None) -> Image:
    """Pull an image by its digest, unless it is here."""
    there = engine.image(reference)
    if there:
        say("· this image is here already")
    image = there or _pull(engine, reference, max(USUAL, 2 * current.size if current else 0))
    engine.keep(image, brought=not there)
    return image


def _pull(engine: Engine, reference: str, size: int) -> Image:
    engine.need_space(size)
    say(f"→ pull {reference}")
    done = engine("pull", reference, seconds=None)
    if done.returncode:
        engine.failed(done, f"{reference} could not be pulled", "registry")
    image = engine.image(reference)
    if not image:
        what = f"{engine.program} pulled {reference}, and has no image of that digest"
        raise Failed("wrong", what, "the registry gave another one", "compare the digest with what inv pi --push printed")
    return image


def resolved(engine: Engine, name: str) -> str:
    """What a tag names now, with its digest."""
    held = engine.image(name)
    image = _pull(engine, name, USUAL)
    engine.keep(image, brought=held is None or held.id != image.id)
    repository = re.sub(r":[\w.-]+$", "", name)
    digest = next((each for each in image.digests if each.startswith(f"{repository}@")), "")
    if not digest:
        what = f"{engine.program} says no digest for {name}"
        raise Failed("wrong", what, "it is not from a registry", "name the digest yourself")
    say(f"· {name} is {digest} today; this is what will run")
    return digest
