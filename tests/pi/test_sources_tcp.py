"""Raw JPEGs over TCP, as rpicam-vid sends them, and `--fps` for sources that choose their own rate."""

import io
import socket
import threading

import pytest

from litekiln_pi.errors import BadUse, SourceLost
from litekiln_pi.pipeline import Pipeline
from litekiln_pi.sources import connection as connections
from litekiln_pi.sources import open_source, tcp
from litekiln_pi.sources.frame_rate import Limit
from litekiln_pi.stills import as_jpeg
from tests.pi.cameras import Serve, server
from tests.pi.fakes import FakeModel, scene, wait_for
from tests.pi.jpegs import without_tables
from tests.pi.test_sources import stopped_while_waiting

JPEG = as_jpeg(scene(red=(10, 10, 100, 100)))
WITH_MJPEG = "rpicam-vid writes H.264 by default: start it with --codec mjpeg --flush"
OTHER = as_jpeg(scene(green=(50, 30, 200, 150)))


def sends(data: bytes, wait: threading.Event | None = None) -> Serve:
    def serve(connection: socket.socket) -> None:
        connection.sendall(data)
        if wait:
            wait.wait(10)

    return serve


def ended(port: int) -> tuple[list[bytes], str]:
    """All frames, and what ended them."""
    frames: list[bytes] = []
    with pytest.raises(SourceLost) as lost:
        frames.extend(shot.jpeg for shot in open_source(f"tcp://127.0.0.1:{port}").shots())
    return frames, str(lost.value).replace(str(port), "PORT")


def test_frames_come_at_once_and_the_end_is_told() -> None:
    more = threading.Event()
    with server(sends(JPEG + without_tables(OTHER), more)) as port:
        source = open_source(f"tcp://127.0.0.1:{port}")
        assert (source.live, source.name) == (True, f"tcp://127.0.0.1:{port}")
        shots = source.shots()
        assert next(shots).jpeg == JPEG
        assert b"\xff\xc4" in next(shots).jpeg
        more.set()
        with pytest.raises(SourceLost, match="the program there ended the stream"):
            next(shots)


def test_a_camera_that_restarts_is_found_again_by_the_loop() -> None:
    said: list[str] = []
    with server(sends(JPEG + OTHER)) as port:
        pipeline = Pipeline(FakeModel(), open_source(f"tcp://127.0.0.1:{port}"), say=said.append)
        pipeline.start()
        wait_for(lambda: pipeline.counters.captured >= 4)
        pipeline.stop()
        pipeline.join(5)
    name = f"tcp://127.0.0.1:{port}"
    assert said[:2] == [f"{name}: the program there ended the stream", f"{name}: frames arrive again"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (
            b"\0\0\0\1gH264" + bytes(100),
            f"it sends H.264, which needs a video decoder. {WITH_MJPEG}",
        ),
        (
            bytes(5_000_000),
            f"no JPEG frame in its first 4 MB: is it MJPEG? {WITH_MJPEG}",
        ),
        (b"", "it ended after 0 bytes without a JPEG frame: is its camera in use by another program?"),
        (JPEG[:-500], f"it ended after {len(JPEG) - 500} bytes without a JPEG frame: is its camera in use by another program?"),
    ],
    ids=["h264", "other", "nothing", "half"],
)
def test_what_is_no_stream_of_jpegs(data: bytes, told: str) -> None:
    with server(sends(data)) as port:
        assert ended(port) == ([], f"tcp://127.0.0.1:PORT: {told}")


def test_silence_is_a_loss_and_stopping_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()
    with server(sends(JPEG, done)) as port:
        assert len(stopped_while_waiting(open_source(f"tcp://127.0.0.1:{port}"))) == 1
        monkeypatch.setattr(tcp, "PATIENCE", 0.3)
        monkeypatch.setattr(connections, "SLICE", 0.05)
        assert ended(port) == ([JPEG], "tcp://127.0.0.1:PORT: no further frame within 0 seconds")
        done.set()


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("tcp://camera", "--source: that tcp address has no port"),
        ("tcp://:8888", "--source: that tcp address has no host"),
        ("tcp://camera:8888/stream", "--source: a tcp address has no path, name or password"),
        ("tcp://anna:geheim@camera:8888", "--source: a tcp address has no path, name or password"),
    ],
)
def test_addresses_that_can_not_be_meant(spec: str, told: str) -> None:
    with pytest.raises(BadUse) as refusal:
        open_source(spec)
    assert str(refusal.value) == told
    assert "8888" in refusal.value.remedy


@pytest.mark.parametrize(
    ("comes", "fps", "taken"), [(30, 30, 300), (30, 20, 200), (30, 5, 50), (5, 30, 50), (30, 0, 300), (1, 0.2, 2)]
)
def test_a_limit_takes_so_many_a_second(comes: float, fps: float, taken: int) -> None:
    """Ten seconds of frames that come up to a third of their interval too early or too late."""
    now = [0.0]
    limit, count = Limit(fps, lambda: now[0]), 0
    for place in range(round(comes * 10)):
        now[0] = (place + (0, 0.33, -0.33)[place % 3]) / comes
        count += limit.takes()
    assert abs(count - taken) <= 1


def test_frames_beyond_fps_are_dropped_before_they_are_decoded() -> None:
    frames = [shot.jpeg for shot in open_source("-", stdin=io.BytesIO(JPEG * 50), fps=1).shots()]
    assert frames == [JPEG]
    with server(sends(JPEG * 50)) as port:
        camera = open_source(f"tcp://127.0.0.1:{port}", fps=1)
        shots = camera.shots()
        assert next(shots).jpeg == JPEG
        with pytest.raises(SourceLost):
            next(shots)


@pytest.mark.parametrize("spec", ["rtsp://camera/stream", "http://camera/mjpg", "tcp://camera:1", "/dev/video0"])
def test_fps_is_for_all_live_sources(spec: str) -> None:
    assert type(open_source(spec, fps=5)).__name__ == "AtMost"
    assert open_source(spec, fps=5).name == spec
    assert type(open_source(spec)).__name__ != "AtMost"
