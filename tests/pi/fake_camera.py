"""A kernel with one camera: it answers calls as uvcvideo does, and refuses them in the wrong order."""

import ctypes
import errno
from collections.abc import Sequence
from typing import Any

from litekiln_pi.sources import v4l2_abi as abi

CAPTURE = abi.CAP_VIDEO_CAPTURE | abi.CAP_STREAMING
PAGE = 4096


class FakeMap(bytearray):
    closed = False

    def close(self) -> None:
        self.closed = True


def error(number: int) -> OSError:
    return OSError(number, errno.errorcode[number])


class FakeKernel:
    """Gives `frames`, in order: bytes, None for a frame that the driver marks as damaged, or an errno for a call that fails."""

    def __init__(self, frames: Sequence[Any] = (), formats: Sequence[str] = ("YUYV", "MJPG"), **settings: Any) -> None:
        self.frames, self.formats = list(frames), formats
        self.caps = settings.get("caps", CAPTURE)
        self.driver, self.card = settings.get("driver", b"uvcvideo"), settings.get("card", b"USB Camera: HD")
        self.size = settings.get("size", (640, 480))
        self.stride = settings.get("stride", 0)
        self.colours = settings.get("colours", (0, 0))  # colorspace, quantization
        self.fails: dict[str, int] = settings.get("fails", {})  # a call's name and its errno
        self.becomes = settings.get("becomes", "")  # the format that S_FMT changes to
        self.calls: list[str] = []
        self.rate: tuple[int, int] | None = None
        self.maps: list[FakeMap] = []
        self.queue: list[int] = []
        self.is_open = self.streams = self.agreed = False

    def open(self, path: str) -> int:
        self._called("open")
        assert not self.is_open
        self.is_open = True
        return 7

    def close(self, number: int) -> None:
        self.calls.append("close")
        assert self.is_open
        assert number == 7
        assert all(each.closed for each in self.maps), "the buffers are still mapped"
        assert not self.streams, "it still streams"
        self.is_open = False

    def ioctl(self, number: int, request: int, argument: Any) -> None:
        assert self.is_open
        assert number == 7
        name = next(name for name, value in vars(abi).items() if name.startswith("VIDIOC_") and value == request)[7:]
        self._called(name)
        getattr(self, f"_{name.lower()}")(argument)

    def mmap(self, number: int, length: int, offset: int) -> FakeMap:
        self._called("mmap")
        assert offset == len(self.maps) * 8 * PAGE, "not the offset that QUERYBUF told"
        self.maps.append(FakeMap(length))
        return self.maps[-1]

    def ready(self, number: int, seconds: float) -> bool:
        assert self.streams
        return bool(self.frames)

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.fails:
            raise error(self.fails[name])

    def _querycap(self, capability: abi.Capability) -> None:
        capability.driver[: len(self.driver)] = self.driver
        capability.card[: len(self.card)] = self.card
        capability.capabilities = CAPTURE | abi.CAP_META_CAPTURE | abi.CAP_DEVICE_CAPS  # the whole device's
        capability.device_caps = self.caps

    def _enum_fmt(self, description: abi.FormatDescription) -> None:
        assert description.type == abi.BUF_TYPE_VIDEO_CAPTURE
        if description.index >= len(self.formats):
            raise error(errno.EINVAL)
        description.pixelformat = abi.fourcc(self.formats[description.index])

    def _s_fmt(self, form: abi.Format) -> None:
        if self.maps:
            raise error(errno.EBUSY)
        pixels = form.fmt.pix
        assert abi.fourcc_name(pixels.pixelformat) in self.formats
        if self.becomes:
            pixels.pixelformat = abi.fourcc(self.becomes)
        pixels.width, pixels.height = self.size
        across = {abi.YUYV: 2, abi.UYVY: 2, abi.NV12: 1, abi.YU12: 1, abi.GREY: 1}
        pixels.bytesperline = self.stride or self.size[0] * across.get(pixels.pixelformat, 0)
        pixels.sizeimage = self.size[0] * self.size[1] * 2
        pixels.colorspace, pixels.quantization = self.colours
        self.agreed = True

    def _s_parm(self, parameters: abi.StreamParameters) -> None:
        assert self.agreed
        assert not self.streams
        wished = parameters.parm.capture.timeperframe
        self.rate = wished.numerator, wished.denominator

    def _reqbufs(self, request: abi.RequestBuffers) -> None:
        assert self.agreed, "no format was set"
        assert (request.type, request.memory) == (abi.BUF_TYPE_VIDEO_CAPTURE, abi.MEMORY_MMAP)
        request.count = min(request.count, 3)  # drivers may give fewer
        self.buffers = request.count

    def _querybuf(self, buffer: abi.Buffer) -> None:
        self._known(buffer)
        buffer.length, buffer.m.offset = max(self.stride, self.size[0] * 2) * self.size[1], buffer.index * 8 * PAGE

    def _known(self, buffer: abi.Buffer) -> None:
        if buffer.index >= self.buffers or buffer.memory != abi.MEMORY_MMAP or buffer.type != abi.BUF_TYPE_VIDEO_CAPTURE:
            raise error(errno.EINVAL)

    def _qbuf(self, buffer: abi.Buffer) -> None:
        self._known(buffer)
        assert buffer.index not in self.queue, "that buffer is in the queue already"
        assert buffer.index < len(self.maps), "that buffer is not mapped"
        self.queue.append(buffer.index)

    def _streamon(self, kind: ctypes.c_int) -> None:
        assert kind.value == abi.BUF_TYPE_VIDEO_CAPTURE
        assert self.queue, "no buffer is in the queue"
        self.streams = True

    def _dqbuf(self, buffer: abi.Buffer) -> None:
        if not self.streams:
            raise error(errno.EINVAL)
        if not self.frames:
            raise error(errno.EAGAIN)
        frame = self.frames.pop(0)
        if isinstance(frame, int):
            raise error(frame)
        buffer.index, buffer.flags, buffer.bytesused = self.queue.pop(0), 0, 0
        if frame is None:
            buffer.flags, frame = abi.BUF_FLAG_ERROR, b"half a frame"
        self.maps[buffer.index][:] = frame + bytes(len(self.maps[buffer.index]) - len(frame))
        buffer.bytesused = len(frame)

    def _streamoff(self, kind: ctypes.c_int) -> None:
        self.streams = False
        self.queue.clear()
