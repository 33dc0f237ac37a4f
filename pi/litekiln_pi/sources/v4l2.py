"""A V4L2 camera, such as /dev/video0. It gives JPEGs if it can, else uncompressed pictures.

A USB camera has JPEG at every size, while YUYV fills the bus at 640x480; so JPEG is tried first.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import select
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Protocol

from litekiln_pi.errors import SourceLost
from litekiln_pi.frames import Shot
from litekiln_pi.saying import Say, to_stderr
from litekiln_pi.sources import uncompressed
from litekiln_pi.sources import v4l2_abi as abi
from litekiln_pi.sources import v4l2_words as words
from litekiln_pi.sources.huffman import with_tables
from litekiln_pi.sources.jpeg_stream import whole

BUFFERS = 4
SLICE = 0.2  # seconds between two checks whether to stop
PATIENCE = 10.0  # seconds without a frame after which the camera counts as lost: some need five for their first
MOST_FORMATS = 64  # no driver has more; a broken one must not loop forever
JPEGS = (abi.MJPG, abi.JPEG)
WANTED = (*JPEGS, *uncompressed.FORMATS)
TOLD_EVERY = 100


class Kernel(Protocol):
    """The system calls that a camera needs; tests replace them."""

    def open(self, path: str) -> int: ...
    def close(self, number: int) -> None: ...
    def ioctl(self, number: int, request: int, argument: ctypes.Structure | ctypes.c_int) -> None: ...
    def mmap(self, number: int, length: int, offset: int) -> Any: ...
    def ready(self, number: int, seconds: float) -> bool: ...


class System:
    """The real system calls."""

    def open(self, path: str) -> int:
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def close(self, number: int) -> None:
        os.close(number)

    def ioctl(self, number: int, request: int, argument: ctypes.Structure | ctypes.c_int) -> None:
        while True:
            try:
                fcntl.ioctl(number, request, argument, True)
            except InterruptedError:  # by a signal; Python retries most calls, but not this one
                continue
            return

    def mmap(self, number: int, length: int, offset: int) -> mmap.mmap:
        return mmap.mmap(number, length, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=offset)

    def ready(self, number: int, seconds: float) -> bool:
        poll = select.poll()  # an error counts as ready: the next call says which
        poll.register(number, select.POLLIN)
        return bool(poll.poll(seconds * 1000))


class Camera:
    """A live camera. Size and frame rate are wishes: the driver takes the nearest that it has."""

    live = True

    def __init__(
        self,
        device: str,
        *,
        width: int = 640,
        height: int = 480,
        fps: float = 0,
        kernel: Kernel | None = None,
        say: Say = to_stderr,
    ) -> None:
        self.name, self._kernel, self._say = device, kernel or System(), say
        self._wish = width, height, fps
        self._stopping = threading.Event()
        self.damaged = 0
        self.format = ""  # what the camera agreed to, such as MJPG 640x480

    def stop(self) -> None:
        self._stopping.set()

    def shots(self) -> Iterator[Shot]:
        try:
            number = self._kernel.open(self.name)
        except OSError as error:
            raise SourceLost(words.cannot_open(self.name, error)) from None
        try:
            yield from self._frames(number)
        except OSError as error:
            raise SourceLost(words.went_wrong(self.name, error)) from None
        finally:
            with suppress(OSError):
                self._kernel.close(number)

    def _frames(self, number: int) -> Iterator[Shot]:
        form = self._agree(number, self._check(number))
        self._set_rate(number)
        stream = _Stream(self._kernel, number)
        try:
            stream.start()
            waited_since = time.monotonic()
            while not self._stopping.is_set():
                if time.monotonic() - waited_since > PATIENCE:
                    raise SourceLost(f"{self.name} gave no frame for {PATIENCE:.0f} seconds: plug it in again")
                if not self._kernel.ready(number, SLICE):
                    continue
                data = stream.take()
                if data is None:
                    self._stopping.wait(0.01)  # ready with an error that the driver doesn't report: don't spin
                    continue
                shot = self._shot(data, form)
                if shot:
                    yield shot
                    waited_since = time.monotonic()
        finally:
            stream.end()

    def _check(self, number: int) -> str:
        """The driver's name."""
        capability = abi.Capability()
        try:
            self._kernel.ioctl(number, abi.VIDIOC_QUERYCAP, capability)
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EINVAL):
                raise SourceLost(f"{self.name} is not a camera; {words.others(self.name)}") from None
            raise
        why_not = words.no_camera(self.name, capability)
        if why_not:
            raise SourceLost(why_not)
        return words.text_of(capability.driver)

    def _offered(self, number: int) -> list[int]:
        formats = []
        for index in range(MOST_FORMATS):
            description = abi.FormatDescription(index=index, type=abi.BUF_TYPE_VIDEO_CAPTURE)
            try:
                self._kernel.ioctl(number, abi.VIDIOC_ENUM_FMT, description)
            except OSError as error:
                if error.errno == errno.EINVAL:  # the list's end
                    break
                raise
            formats.append(description.pixelformat)
        return formats

    def _agree(self, number: int, driver: str) -> abi.PixelFormat:
        offered = self._offered(number)
        known = [each for each in WANTED if each in offered]
        why_not = words.no_format(self.name, driver, *([abi.fourcc_name(each) for each in some] for some in (offered, known)))
        if why_not:
            raise SourceLost(why_not)
        wanted = known[0]
        form = abi.Format(type=abi.BUF_TYPE_VIDEO_CAPTURE)
        form.fmt.pix.width, form.fmt.pix.height = self._wish[:2]
        form.fmt.pix.pixelformat, form.fmt.pix.field = wanted, abi.FIELD_ANY
        self._kernel.ioctl(number, abi.VIDIOC_S_FMT, form)
        agreed: abi.PixelFormat = form.fmt.pix
        name = abi.fourcc_name(agreed.pixelformat)
        if agreed.pixelformat not in WANTED:
            raise SourceLost(f"{self.name} was asked for {abi.fourcc_name(wanted)} and gives {name}")
        self.format = f"{name} {agreed.width}x{agreed.height}"
        return agreed

    def _set_rate(self, number: int) -> None:
        if not self._wish[2]:
            return
        parameters = abi.StreamParameters(type=abi.BUF_TYPE_VIDEO_CAPTURE)
        parameters.parm.capture.timeperframe = abi.Fraction(1000, round(self._wish[2] * 1000))
        try:
            self._kernel.ioctl(number, abi.VIDIOC_S_PARM, parameters)
        except OSError as error:
            if error.errno not in (errno.ENOTTY, errno.EINVAL):  # a camera with one rate only
                raise

    def _shot(self, data: bytes, form: abi.PixelFormat) -> Shot | None:
        """A frame; None when it is damaged or cut, as some cameras' first frames are, and those of a bad cable."""
        if form.pixelformat in JPEGS:
            jpeg = whole(data)
            if jpeg:
                return Shot(jpeg=with_tables(jpeg))
        else:
            size = form.width, form.height, form.bytesperline
            picture = uncompressed.to_rgb(form.pixelformat, data, *size, full_range=_full_range(form))
            if picture:
                return Shot(picture=picture)
        self.damaged += 1
        if self.damaged % TOLD_EVERY == 0:
            self._say(f"{self.name}: {self.damaged} damaged frames so far: a bad cable, or too little power")
        return None


def _full_range(form: abi.PixelFormat) -> bool | None:
    """Whether 0 is black and 255 white; None when the driver doesn't say."""
    if form.quantization in (abi.QUANTIZATION_FULL_RANGE, abi.QUANTIZATION_LIM_RANGE):
        return bool(form.quantization == abi.QUANTIZATION_FULL_RANGE)
    return True if form.colorspace == abi.COLORSPACE_JPEG else None


class _Stream:
    """The buffers that driver and program share."""

    def __init__(self, kernel: Kernel, number: int) -> None:
        self._kernel, self._number, self._maps = kernel, number, list[Any]()
        self._started = False

    def start(self) -> None:
        request = abi.RequestBuffers(count=BUFFERS, type=abi.BUF_TYPE_VIDEO_CAPTURE, memory=abi.MEMORY_MMAP)
        self._kernel.ioctl(self._number, abi.VIDIOC_REQBUFS, request)
        if not request.count:
            raise OSError(errno.ENOMEM, "the driver has no memory for frames")
        for index in range(request.count):
            buffer = self._buffer(index)
            self._kernel.ioctl(self._number, abi.VIDIOC_QUERYBUF, buffer)
            self._maps.append(self._kernel.mmap(self._number, buffer.length, buffer.m.offset))
        for index in range(request.count):
            self._kernel.ioctl(self._number, abi.VIDIOC_QBUF, self._buffer(index))
        self._started = True  # set first, so that a start that fails half-way is ended too
        self._kernel.ioctl(self._number, abi.VIDIOC_STREAMON, ctypes.c_int(abi.BUF_TYPE_VIDEO_CAPTURE))

    def take(self) -> bytes | None:
        """A copy of the next frame, whose buffer goes back at once; b"" when it is damaged, None when there is none yet."""
        buffer = self._buffer(0)
        try:
            self._kernel.ioctl(self._number, abi.VIDIOC_DQBUF, buffer)
        except BlockingIOError:
            return None
        data = b""
        if not buffer.flags & abi.BUF_FLAG_ERROR and buffer.index < len(self._maps):
            data = bytes(self._maps[buffer.index][: buffer.bytesused])
        self._kernel.ioctl(self._number, abi.VIDIOC_QBUF, self._buffer(buffer.index))
        return data

    def end(self) -> None:
        """End the stream. Errors are ignored: the camera may be gone."""
        if self._started:
            with suppress(OSError):
                self._kernel.ioctl(self._number, abi.VIDIOC_STREAMOFF, ctypes.c_int(abi.BUF_TYPE_VIDEO_CAPTURE))
        for each in self._maps:
            each.close()
        self._maps.clear()

    def _buffer(self, index: int) -> abi.Buffer:
        return abi.Buffer(index=index, type=abi.BUF_TYPE_VIDEO_CAPTURE, memory=abi.MEMORY_MMAP)
