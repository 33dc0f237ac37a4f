"""The image's commands."""

import argparse
import functools
import json
import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

from litekiln_pi.arguments import parser
from litekiln_pi.errors import BadPicture, BadUse, LoopFailed, PiError
from litekiln_pi.place import here
from litekiln_pi.saying import to_stderr

STOPPED = 130  # by Ctrl-C
CONSUMERS = ("events", "webhook", "mqtt", "collect")  # options that make somebody wait for what is seen, also if no page is open


def main(argv: list[str] | None = None) -> int:
    """The exit code: 0 for success, 2 for invalid arguments, others from errors.py."""
    given = sys.argv[1:] if argv is None else argv
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help")):
        given = ["serve", *given]
    try:
        options = parser().parse_args(given)
        return int(COMMANDS[options.command](options) or 0)
    except PiError as error:
        print(f"error: {error}", *([f"  → {error.remedy}"] if error.remedy else []), sep="\n", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the reader of our lines has gone
        _forget_output()
        return 0
    except KeyboardInterrupt:
        return STOPPED


def _forget_output() -> None:
    """Discard unwritten output: at exit Python would write it again, and wait for a stalled reader."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _pipeline(options: argparse.Namespace) -> tuple[Any, Any]:
    from litekiln_pi.machine import best_threads
    from litekiln_pi.model import Bundle
    from litekiln_pi.motion import Motion
    from litekiln_pi.pace import Pace
    from litekiln_pi.pipeline import Pipeline
    from litekiln_pi.sources import open_source

    bundle = Bundle()
    source = open_source(options.source, width=options.width, height=options.height, fps=options.fps)
    to_stderr(f"model: {bundle.name}")
    threads = options.threads or best_threads(bundle, to_stderr)
    pace = Pace(options.rate, rests=options.command == "serve" and not any(getattr(options, each) for each in CONSUMERS))
    return bundle, Pipeline(bundle.open(threads), source, say=to_stderr, pace=pace, motion=Motion(options.motion))


def _serve(options: argparse.Namespace) -> None:
    from litekiln_pi.events.events import Watch
    from litekiln_pi.events.senders import sending
    from litekiln_pi.events.settings import SettingsFile
    from litekiln_pi.server import Settings, serve

    bundle, pipeline = _pipeline(options)
    wrong = _test_first(bundle, strict=options.strict)
    watch = Watch(SettingsFile(options.events, bundle.names), bundle.names, options.threshold, wrong=bool(wrong))
    token = os.environ.get("LITEKILN_TOKEN", "")
    settings = Settings(
        name=options.name,
        host=options.host,
        port=options.port,
        token=token,
        hostnames=options.hostnames,
        threshold=options.threshold,
        snapshots=options.snapshots,
        counts_only=options.counts_only,
        fleet=_roster(options.fleet, "--fleet"),
        announce=options.announce,
        collect=_collects(options, wrong),
        most_for_training=options.collect_most,
    )
    current = functools.partial(_counts, pipeline, wrong)
    with sending(watch, bundle, current, to_stderr, name=options.name, webhook=options.webhook, mqtt=options.mqtt):
        serve(pipeline, bundle, settings, wrong, watch=watch)


def _roster(text: str, option: str) -> Any:
    from litekiln_pi.fleet.places import read_roster

    return read_roster(text, option)


def _fleet(options: argparse.Namespace) -> int:
    from litekiln_pi.fleet.room import Room

    roster = _roster(options.list, "--list")
    if not (roster.places or roster.finds):
        raise BadUse(
            "no Pi is named", "--list room.txt (one address on each line), --list 192.168.1.17,192.168.1.18, or --list mdns"
        )
    token = os.environ.get("LITEKILN_TOKEN", "")
    room = Room(roster, token=token)
    if options.once:
        return _ask_once(room, as_json=options.json)
    from litekiln_pi.server import Settings, serve_fleet

    serve_fleet(room, Settings(host=options.host, port=options.port, token=token, hostnames=options.hostnames))
    return 0


def _ask_once(room: Any, *, as_json: bool) -> int:
    import asyncio

    from litekiln_pi.fleet.table import table

    rows = asyncio.run(room.once())
    print(json.dumps(room.as_data(rows, pictures=False), ensure_ascii=False) if as_json else table(rows))
    return 0 if rows and all(each.well for each in rows) else 1


def _counts(pipeline: Any, wrong: str) -> bool:
    """Whether the counts are right, and of now."""
    seen = pipeline.latest
    return bool(not wrong and seen and pipeline.is_current(seen) and not (pipeline.problem or pipeline.paused))


def _collects(options: argparse.Namespace, wrong: str = "") -> Any:
    """Which frames are kept for training without being asked; None for none."""
    from litekiln_pi.collecting import Rule
    from litekiln_pi.server.standing import NOT_FOR_TRAINING

    if options.collect is None:
        return None
    if options.snapshots is None:
        raise BadUse("--collect has no folder to keep pictures in", "add --snapshots DIR: they go to DIR/training")
    if wrong:
        to_stderr(f"--collect: {NOT_FOR_TRAINING}")
    low, high = options.collect
    return Rule(low, high, options.collect_seconds)


def _test_first(bundle: Any, *, strict: bool) -> str:
    """Run the selftest; how it failed. Without --strict that is a warning: a page that shows the problem helps more than none."""
    from litekiln_pi.errors import SelftestFailed
    from litekiln_pi.selftest import selftest

    try:
        result = selftest(bundle)
    except SelftestFailed as error:
        if strict:
            raise
        to_stderr(f"WARNING: the detections on this machine differ from those of the verification: {error}\n  → {error.remedy}")
        return str(error)
    to_stderr(f"selftest: {result['matched']} of {result['recorded']} recorded detections seen")
    return ""


def _watch(options: argparse.Namespace) -> int:
    """Print lines until the source ends, `--count` is reached or a signal arrives."""
    from litekiln_pi.frames import Newest, Seen

    bundle, pipeline = _pipeline(options)
    wrong = {"wrong_results": True} if _test_first(bundle, strict=options.strict) else {}
    lines: Newest[Seen] = Newest()
    # A reader that is slower than the network gets a camera's newest frames, but every frame of a file.
    pipeline.listen(lines.put if pipeline.source.live else lines.put_when_free)
    pipeline.at_end = lines.close

    def end(*_: object) -> None:
        pipeline.stop()
        _forget_output()
        raise SystemExit(0)  # print may be waiting for a stalled reader, and would otherwise go on waiting

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    pipeline.start()
    shown = 0
    try:
        while not options.count or shown < options.count:
            seen = lines.take()
            if seen is None:
                break
            found = [each.as_data() for each in seen.detections if each.score >= options.threshold]
            line = {**seen.as_data(), **wrong, "detections": found}
            print(json.dumps(line), flush=True)
            shown += 1
    finally:
        pipeline.stop()
        lines.close()
    if pipeline.failure:
        msg = f"a part of the program has failed: {pipeline.failure}"
        raise LoopFailed(msg, "this is a bug: please report it with the lines above")
    return 0


def _coco(options: argparse.Namespace) -> None:
    from litekiln_pi.coco import write_coco
    from litekiln_pi.model import Bundle

    written = write_coco(options.folder, Bundle().labels, options.out)
    print(f"{options.out}: pictures: {written.pictures}, boxes: {written.boxes}")
    if written.unchecked:
        to_stderr(f"a model drew the boxes of {written.unchecked} of them, and nobody has checked them")


def _detect(options: argparse.Namespace) -> int:
    from litekiln_pi.model import Bundle
    from litekiln_pi.stills import as_jpeg, draw, look_at

    model, failed, written = Bundle().open(1), 0, set[str]()
    for path in _pictures(options.files):
        try:
            seen, picture = look_at(model, path.read_bytes(), options.threshold, name=str(path))
        except (BadPicture, OSError) as error:
            to_stderr(f"{path}: {error}")
            failed += 1
            continue
        print(json.dumps(seen.as_data()), flush=True)
        if options.out:
            name = _name_of_result(path, written)
            _write(options.out / name, as_jpeg(draw(picture, seen)))
    return 1 if failed else 0


def _pictures(paths: list[Path]) -> list[Path]:
    from litekiln_pi.sources.files import PICTURES

    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(each for each in path.iterdir() if each.suffix.lower() in PICTURES)
            if not inside:
                msg = f"{path}: no picture in this folder"
                raise BadUse(msg, f"the names of pictures end in {', '.join(PICTURES)}")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            msg = f"{path}: no such file{here(' in the container', '')}"
            raise BadUse(msg, here('mount its folder: docker run --rm -v "$PWD:/data" IMAGE detect FILE', "check its name"))
    return found


def _name_of_result(path: Path, written: set[str]) -> str:
    """A name for the result: `cat.detected.jpg`, or `cat.2.detected.jpg` and a note if that is taken."""
    names = (f"{path.stem}{f'.{number}' if number > 1 else ''}.detected.jpg" for number in count(1))
    name = next(each for each in names if each not in written)
    if name != f"{path.stem}.detected.jpg":
        to_stderr(f"{path}: written as {name}, since {path.stem}.detected.jpg is taken")
    written.add(name)
    return name


def _write(target: Path, data: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    except OSError as error:
        msg = f"{target} can't be written: {error.strerror}"
        whose = here("the container's user is 10001: make the folder writable, or run with --user $(id -u)", "name another folder")
        raise BadUse(msg, whose) from None


def _bench(options: argparse.Namespace) -> int:
    """Print the figures, once they are whole. A measurement that is stopped gives its finished rounds, and says so."""
    from litekiln_pi.bench import Bench, in_words
    from litekiln_pi.model import Bundle

    code = 0
    bench = Bench(Bundle(), options.seconds, to_stderr)
    try:
        bench.run()
    except (KeyboardInterrupt, SystemExit) as stopped:  # SIGTERM is a SystemExit with its code
        code = stopped.code if isinstance(stopped, SystemExit) and isinstance(stopped.code, int) else STOPPED
        if not bench.measured:
            to_stderr("stopped before a round was finished: nothing is measured")
            return code
    told = bench.document()
    print(json.dumps(told, indent=1) if options.json else in_words(told), flush=True)
    return code


def _info(options: argparse.Namespace) -> None:
    from litekiln_pi.about import about, in_words
    from litekiln_pi.model import Bundle

    facts = about(Bundle())
    print(json.dumps(facts, indent=1) if options.json else in_words(facts))


def _selftest(options: argparse.Namespace) -> None:
    from litekiln_pi.model import Bundle
    from litekiln_pi.selftest import selftest

    result = selftest(Bundle())
    if options.json:
        print(json.dumps(result))
        return
    worst = result["score_difference"]["max"]
    print(f"ok: {result['matched']} of {result['recorded']} recorded detections seen here, scores differ by at most {worst:.4f}")


def _health(_: argparse.Namespace) -> int:
    from litekiln_pi.health import healthy

    return 0 if healthy() else 1


COMMANDS = {
    "serve": _serve,
    "watch": _watch,
    "fleet": _fleet,
    "detect": _detect,
    "coco": _coco,
    "bench": _bench,
    "info": _info,
    "selftest": _selftest,
    "health": _health,
}
