"""The commands, with a fake model."""

import json
from pathlib import Path

import pytest

from litekiln_pi.arguments import parser
from litekiln_pi.decoding import decode
from litekiln_pi.main import _pipeline, main
from litekiln_pi.stills import as_jpeg
from tests.pi.fakes import FakeBundle, scene


def test_pictures_of_one_name_are_numbered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("litekiln_pi.model.Bundle", FakeBundle)
    files = [tmp_path / name for name in ("a/x.jpg", "b/x.jpg", "b/x.2.jpg", "b/y.jpg")]
    for place, path in enumerate(files):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(as_jpeg(scene(40 * (place + 1), 60)))
    assert main(["detect", *map(str, files), "--out", str(tmp_path / "out")]) == 0
    came = capsys.readouterr()
    assert [json.loads(line)["file"] for line in came.out.splitlines()] == [str(path) for path in files]
    assert came.err.splitlines() == [
        f"{files[1]}: written as x.2.detected.jpg, since x.detected.jpg is taken",
        f"{files[2]}: written as x.2.2.detected.jpg, since x.2.detected.jpg is taken",
    ]
    widths = {path.name: decode(path.read_bytes()).width for path in (tmp_path / "out").iterdir()}
    assert widths == {"x.detected.jpg": 40, "x.2.detected.jpg": 80, "x.2.2.detected.jpg": 120, "y.detected.jpg": 160}


@pytest.mark.parametrize(
    ("given", "rests"),
    [
        (["serve"], True),
        (["serve", "--events", "events.json"], False),
        (["serve", "--webhook", "http://x/"], False),
        (["serve", "--mqtt", "mqtt://x"], False),
        (["watch"], False),
    ],
)
def test_the_loop_rests_where_nobody_waits_for_events(given: list[str], rests: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litekiln_pi.model.Bundle", FakeBundle)
    options = parser().parse_args([*given, "--source", "test", "--threads", "1", "--rate", "2", "--motion", "8"])
    _, pipeline = _pipeline(options)
    assert (pipeline.resting, pipeline.pace.rate, pipeline.motion.least) == (rests, 2, 8)
