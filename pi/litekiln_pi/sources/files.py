"""Files: a picture, a folder of pictures, or an .mjpeg file of frames one after another. Each is looked at once."""

import threading
from collections.abc import Iterator
from pathlib import Path

from litekiln_pi.decoding import MOST_BYTES
from litekiln_pi.errors import BadUse
from litekiln_pi.frames import Shot
from litekiln_pi.place import here
from litekiln_pi.saying import Say, to_stderr
from litekiln_pi.sources.huffman import with_tables
from litekiln_pi.sources.jpeg_stream import JpegStream

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
STREAMS = (".mjpeg", ".mjpg")
CHUNK = 1 << 16


class Files:
    """Pictures, in order. One that can't be read is reported and skipped."""

    live = False

    def __init__(self, name: str, pictures: list[Path], *, say: Say = to_stderr) -> None:
        self.name, self._pictures, self._say = name, pictures, say
        self._stopping = threading.Event()

    def shots(self) -> Iterator[Shot]:
        for path in self._pictures:
            if self._stopping.is_set():
                return
            try:
                size = path.stat().st_size
                if size > MOST_BYTES:
                    self._say(f"{path}: it is {size / 1e6:.0f} MB, the limit is {MOST_BYTES / 1e6:.0f} MB")
                    continue
                content = path.read_bytes()
            except OSError as error:
                self._say(f"{path}: can't be read: {error.strerror}")
                continue
            yield Shot(jpeg=content, name=path.name)

    def stop(self) -> None:
        self._stopping.set()


class Clip:
    """An .mjpeg file."""

    live = False

    def __init__(self, path: Path, *, say: Say = to_stderr) -> None:
        self.name, self._path, self._say = str(path), path, say
        self._stopping = threading.Event()

    def shots(self) -> Iterator[Shot]:
        stream, number = JpegStream(self.name, say=self._say), 0
        try:
            with self._path.open("rb") as file:
                while not self._stopping.is_set() and (data := file.read(CHUNK)):
                    for jpeg in stream.feed(data):
                        number += 1
                        yield Shot(jpeg=with_tables(jpeg), name=f"{self._path.name} {number}")
        except OSError as error:
            self._say(f"{self.name}: can't be read: {error.strerror}")
        if stream.damaged or stream.unfinished:
            self._say(f"{self.name}: {stream.damaged + stream.unfinished} damaged or cut frames were skipped")
        if not number and not self._stopping.is_set():
            self._say(f"{self.name}: it contains no JPEG frame; `ffmpeg -i CLIP -f mjpeg clip.mjpeg` makes a file of frames")

    def stop(self) -> None:
        self._stopping.set()


def open_path(path: Path, *, say: Say = to_stderr) -> Files | Clip:
    """The source at a path. BadUse when there is nothing to look at."""
    try:
        if path.is_dir():
            return _folder(path, say)
        if not path.exists():
            msg = f"there is no file or folder {path}"
            raise BadUse(msg, here(f"in a container, mount its folder: docker run -v {_mount(path)} …", "check its name"))
        if not path.is_file():
            raise BadUse(f"{path} is neither a file nor a folder", "a camera is /dev/video0; - reads a stream of JPEGs from a pipe")
        with path.open("rb"):
            pass
    except OSError as error:
        why = f"{path} can't be read: {error.strerror}"
        how = here("a container reads it as an ordinary user: chmod a+r, or docker run --user", "make it readable, or copy it")
        raise BadUse(why, how) from None
    if path.suffix.lower() in STREAMS:
        return Clip(path, say=say)
    if path.suffix.lower() not in PICTURES:
        msg = f"{path} is neither a picture ({_list(PICTURES)}) nor a file of JPEG frames ({_list(STREAMS)})"
        raise BadUse(msg, f"convert a film: ffmpeg -i {path.name} -f mjpeg {path.stem}.mjpeg")
    return Files(str(path), [path], say=say)


def _folder(path: Path, say: Say) -> Files:
    found = sorted(each for each in path.iterdir() if each.suffix.lower() in PICTURES and each.is_file())
    if not found:
        raise BadUse(f"no pictures ({_list(PICTURES)}) in the folder {path}", "folders inside it are not searched")
    return Files(str(path), found, say=say)


def _mount(path: Path) -> str:
    """The value of `docker run -v` for a path. A relative path starts at /data, the image's working folder."""
    return f"/its/folder:{path.parent if path.suffix else path}" if path.is_absolute() else '"$PWD:/data"'


def _list(endings: tuple[str, ...]) -> str:
    return " ".join(endings)
