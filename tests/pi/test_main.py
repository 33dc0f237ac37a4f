"""The commands, with a fake model."""

import json
import socket
from pathlib import Path

import pytest

from litekiln_pi.arguments import parser
from litekiln_pi.decoding import decode
from litekiln_pi.errors import SelftestFailed
from litekiln_pi.main import _counts, _pipeline, main
from litekiln_pi.pipeline import Pipeline
from litekiln_pi.stills import as_jpeg
from tests.pi.fakes import FakeBundle, FakeModel, FakeSource, scene, wait_for


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


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A machine on which the selftest fails, and what is served there: how it failed."""
    served: list[str] = []

    def fail(_: object) -> None:
        raise SelftestFailed("1 of 3 recorded detections are seen here", "the image is damaged")

    monkeypatch.setattr("litekiln_pi.model.Bundle", FakeBundle)
    monkeypatch.setattr("litekiln_pi.selftest.selftest", fail)
    monkeypatch.setattr("litekiln_pi.server.serve", lambda *given, watch: served.append(given[-1]))
    return served


def test_a_failed_selftest_is_given_to_the_server(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--source", "test", "--threads", "1"]) == 0
    assert wrong == ["1 of 3 recorded detections are seen here"]
    assert "WARNING: the detections on this machine differ from those of the verification: 1 of 3" in capsys.readouterr().err


def test_counts_of_a_machine_with_wrong_results_are_not_available() -> None:
    """So Home Assistant shows its sensors as unavailable."""
    pipeline = Pipeline(FakeModel(), FakeSource(), say=lambda _: None)
    pipeline.start()
    wait_for(lambda: pipeline.latest)
    assert (_counts(pipeline, ""), _counts(pipeline, "1 of 3 seen")) == (True, False)
    pipeline.stop()


def test_a_failed_selftest_is_in_each_line_that_is_watched(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "--source", "test", "--threads", "1", "--count", "2"]) == 0
    assert [json.loads(line)["wrong_results"] for line in capsys.readouterr().out.splitlines()] == [True, True]


@pytest.mark.parametrize("command", ["serve", "watch"])
@pytest.mark.parametrize("way", ["option", "variable"])
def test_strict_gives_no_wrong_results(
    wrong: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str, way: str
) -> None:
    if way == "variable":
        monkeypatch.setenv("LITEKILN_STRICT", "1")
    assert main([command, "--source", "test", "--threads", "1", *(["--strict"] if way == "option" else [])]) == 4
    said = capsys.readouterr()
    assert said.err.endswith("error: 1 of 3 recorded detections are seen here\n  → the image is damaged\n")
    assert (wrong, said.out) == ([], "")


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        (FakeSource(count=2, ends=True), 6, "error: fake has ended, so no more frames can come\n"),
        (FakeSource(), 5, "error: a part of the program has failed: _infer: division by zero\n"),
    ],
    ids=["a pipe that ends", "a part that dies"],
)
def test_a_loop_that_is_over_ends_the_server_with_its_own_code(
    source: FakeSource,
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    class Bundle(FakeBundle):
        def open(self, threads: int) -> FakeModel:
            model = FakeModel()
            if code == 5:
                model.run = lambda _: 1 / 0  # type: ignore[method-assign, assignment]
            return model

    monkeypatch.setattr("litekiln_pi.model.Bundle", Bundle)
    monkeypatch.setattr("litekiln_pi.sources.open_source", lambda *_, **__: source)
    monkeypatch.setattr("litekiln_pi.selftest.selftest", lambda _: {"matched": 3, "recorded": 3})
    monkeypatch.setattr("litekiln_pi.server.running.LAST_WORDS_SECONDS", 0.2)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    awake = ["--events", str(tmp_path / "events.json")]  # else it would rest, and look at no frame
    assert main(["serve", "--threads", "1", "--host", "127.0.0.1", "--port", port, *awake]) == code
    assert said in capsys.readouterr().err
