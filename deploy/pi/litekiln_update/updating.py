"""The commands: update, back, resume, status."""

import argparse
import json
import re
from dataclasses import asdict, replace
from pathlib import Path

from litekiln_update.bringing import bring_file, bring_pulled, resolved
from litekiln_update.chosen import HEALTHY, KEPT, TRYING, Chosen, read_chosen, write_chosen
from litekiln_update.engine import CONTAINER, LABEL, Engine, Image, last_line
from litekiln_update.place import CGROUPS, COMPOSE, PROCESSOR
from litekiln_update.saved_file import Saved, expect, read_saved
from litekiln_update.saying import Failed, say
from litekiln_update.service import Service

TRIAL, MEMORY = "litekiln-selftest", "300m"
SAFE = ("--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
BY_DIGEST = re.compile(r"[a-z0-9][a-zA-Z0-9.:_/-]*@sha256:[0-9a-f]{64}")


def update(options: argparse.Namespace) -> None:
    """Run another image. Whatever fails before the switch leaves the service as it is."""
    service = Service.find(options.service)
    engine, path = service.engine, Path(options.image)
    saved, source = _wanted(engine, options, path)
    chosen = read_chosen()
    now = engine.image(chosen.image)
    if (chosen.source, chosen.state) == (source, HEALTHY) and now and not service.fault(now):
        say(f"✓ it runs already: {source}")
        return
    chosen = _pinned(engine, chosen)
    healthy = (chosen.before, chosen.before_source) if chosen.state == TRYING else (chosen.image, chosen.source)
    old = engine.image(healthy[0])
    try:
        image = bring_file(engine, path, saved) if saved else bring_pulled(engine, source, old)
        _check(engine, image)
    except Failed:
        _prune(engine)
        raise
    before = (chosen.before, chosen.before_source) if old and old.id == image.id else healthy  # the same image again, or a new one
    _switch(service, image, Chosen(image.reference if saved else source, source, *before), options)


def _wanted(engine: Engine, options: argparse.Namespace, path: Path) -> tuple[Saved | None, str]:
    """The file that was named, if it was one; and what to remember of where the image came from."""
    if re.match(r"[./~]", options.image) or path.exists() or ".tar" in path.name:
        say(f"→ read {path}")
        saved = read_saved(path)
        expect(path, saved.sha256, options.sha256)
        return saved, f"sha256:{saved.sha256}"
    if BY_DIGEST.fullmatch(options.image):
        return None, options.image
    if options.resolve:
        return None, resolved(engine, options.image)
    what = f"{options.image} names no digest, so it may be another image tomorrow"
    remedy = "add @sha256:… (inv pi --push prints it), or --resolve to take today's"
    raise Failed("usage", what, "a tag can be moved", remedy)


def _pinned(engine: Engine, chosen: Chosen) -> Chosen:
    """What is chosen, by something that can't move: a unit may run a tag, and loading a file may move that."""
    if chosen.state == TRYING or BY_DIGEST.fullmatch(chosen.image) or chosen.image.startswith("sha256:"):
        return chosen
    image = engine.image(engine.running().get("image", "")) or engine.image(chosen.image)
    if not image:
        return chosen
    engine.keep(image, brought=False)
    pinned = replace(chosen, image=image.reference, source=chosen.source or image.reference, state=HEALTHY)
    write_chosen(pinned)
    return pinned


def _check(engine: Engine, image: Image) -> None:
    """Refuse an image that is not for this machine, or that detects other things here than its verification did."""
    if image.processor != PROCESSOR:
        what = f"the image is for {image.processor}, and this machine is {PROCESSOR}"
        raise Failed("platform", what, "it was made for another computer", f"inv pi --platform linux/{PROCESSOR}")
    if not image.ours:
        raise Failed("wrong", "it is no image of litekiln", f"it has no label {LABEL}", "inv pi makes one")
    # Podman refuses a limit that the kernel doesn't have, as on stock Raspberry Pi OS.
    limits = ("--memory", MEMORY) if CGROUPS.exists() and "memory" in CGROUPS.read_text().split() else ()
    engine("rm", "--force", TRIAL)
    say("→ selftest of the new image, without network")
    done = engine("run", "--rm", "--name", TRIAL, *SAFE, *limits, image.reference, "selftest", seconds=600)
    if done.returncode:
        cause = "this machine computes other results than were verified, or the image is damaged"
        remedy = "nothing was switched; make the image again, or look at this machine"
        raise Failed("selftest", f"the selftest failed: {last_line(done)}", cause, remedy)
    say(f"✓ selftest {last_line(done)}")


def _switch(service: Service, image: Image, chosen: Chosen, options: argparse.Namespace) -> None:
    """Have the service run what is chosen. When it isn't healthy in time: what was healthy before."""
    engine, previous = service.engine, read_chosen()
    write_chosen(replace(chosen, state=TRYING))
    say(f"→ start {service.unit or 'the container'} with {chosen.image}")
    fault = service.start(image, options.wait, options.settle)
    if not fault or options.keep:
        write_chosen(replace(chosen, state=KEPT if fault else HEALTHY))
        say(f"! it stays, though {fault}" if fault else "✓ it runs, and is healthy")
        _prune(engine)
        return
    logs = engine("logs", "--tail", "3", CONTAINER, seconds=60)
    for line in (logs.stdout + logs.stderr).splitlines()[-3:]:
        say(f"  {line}")
    old, hint = engine.image(chosen.before), f"{service.look}. If it is not the image's fault (a missing camera): --keep"
    late = f"the new image was not healthy within {options.wait:.0f} s ({fault})"
    if not old:
        raise Failed("stuck", f"{late}, and there is no other", "the lines above, or what it needs is missing", hint)
    say(f"! {late}: back to {chosen.before}")
    restored = Chosen(chosen.before, chosen.before_source, state=HEALTHY)
    write_chosen(previous if previous.image == chosen.before else restored)
    again = service.start(old, options.wait, options.settle)
    if again:
        raise Failed("stuck", f"{late}, and neither is the old one ({again})", "what both need is missing", hint)
    _prune(engine)
    raise Failed("unhealthy", f"{late}. The old one runs again", "see the lines above", hint)


def _prune(engine: Engine) -> None:
    """Remove what updates brought, but what is chosen and the one before it."""
    chosen = read_chosen()
    engine.prune({image.id for image in map(engine.image, (chosen.image, chosen.before)) if image})


def back(options: argparse.Namespace) -> None:
    """Run the image before. It is then the one that was chosen to which `--back` returns."""
    service, chosen = Service.find(options.service), read_chosen()
    if not chosen.before:
        raise Failed("nothing", "there is no image to go back to", "no update has replaced one", "litekiln-update --status")
    image = service.engine.image(chosen.before)
    if not image:
        remedy = f"litekiln-update {chosen.before_source}"
        raise Failed("nothing", f"{chosen.before} is not on this Pi any more", "somebody removed it", remedy)
    _switch(service, image, Chosen(chosen.before, chosen.before_source, chosen.image, chosen.source), options)


def resume(options: argparse.Namespace) -> None:
    """End an update that a power cut interrupted between its switch and the first health check."""
    chosen = read_chosen()
    if chosen.state != TRYING:
        say("✓ no update was interrupted")
        return
    service = Service.find(options.service)
    image = service.engine.image(chosen.image)
    if not image:
        raise Failed("stuck", f"{chosen.image} is not on this Pi", "it was removed", f"litekiln-update {chosen.source}")
    _switch(service, image, chosen, options)


def status(options: argparse.Namespace) -> None:
    """Print what runs, and what ran before."""
    service, chosen = Service.find(options.service), read_chosen()
    image = service.engine.image(chosen.image)
    fault = service.fault(image) if image else "no image is chosen, or it is not on this Pi"
    told = {**asdict(chosen), "engine": service.engine.program, "service": service.unit or str(COMPOSE), "fault": fault}
    print(json.dumps(told) if options.json else "\n".join(f"{name:14} {value}".rstrip() for name, value in told.items()))
