"""What a camera needs of the kernel's header linux/videodev2.h. It is the same on 64-bit ARM and x86-64.

tests/pi/test_sources_v4l2_abi.py compares sizes, offsets and request numbers with those of a C compiler.
"""

import ctypes

CAP_VIDEO_CAPTURE, CAP_VIDEO_CAPTURE_MPLANE = 0x1, 0x1000
CAP_VIDEO_OUTPUT = 0x2
CAP_VIDEO_M2M, CAP_VIDEO_M2M_MPLANE = 0x8000, 0x4000
CAP_META_CAPTURE, CAP_STREAMING = 0x800000, 0x4000000
CAP_DEVICE_CAPS = 0x80000000  # then device_caps is about this node, and capabilities about the whole device
BUF_TYPE_VIDEO_CAPTURE, MEMORY_MMAP = 1, 1
BUF_FLAG_ERROR = 0x40
FIELD_ANY = 0
COLORSPACE_JPEG, QUANTIZATION_FULL_RANGE, QUANTIZATION_LIM_RANGE = 7, 1, 2


def fourcc(name: str) -> int:
    """A pixel format's number, from its four letters."""
    return int.from_bytes(name.encode("ascii"), "little")


def fourcc_name(number: int) -> str:
    return (number & 0x7FFFFFFF).to_bytes(4, "little").decode("ascii", "replace").strip()


MJPG, JPEG = fourcc("MJPG"), fourcc("JPEG")
YUYV, UYVY, NV12, YU12, GREY = fourcc("YUYV"), fourcc("UYVY"), fourcc("NV12"), fourcc("YU12"), fourcc("GREY")
u8, u32 = ctypes.c_uint8, ctypes.c_uint32


class Capability(ctypes.Structure):
    """v4l2_capability."""

    _fields_ = (
        ("driver", u8 * 16),
        ("card", u8 * 32),
        ("bus_info", u8 * 32),
        ("version", u32),
        ("capabilities", u32),
        ("device_caps", u32),
        ("reserved", u32 * 3),
    )


class FormatDescription(ctypes.Structure):
    """v4l2_fmtdesc."""

    _fields_ = (
        ("index", u32),
        ("type", u32),
        ("flags", u32),
        ("description", u8 * 32),
        ("pixelformat", u32),
        ("mbus_code", u32),
        ("reserved", u32 * 3),
    )


class PixelFormat(ctypes.Structure):
    """v4l2_pix_format."""

    _fields_ = tuple(
        (name, u32)
        for name in (
            *("width", "height", "pixelformat", "field", "bytesperline", "sizeimage", "colorspace"),
            *("priv", "flags", "ycbcr_enc", "quantization", "xfer_func"),
        )
    )


class _FormatUnion(ctypes.Union):
    # The pointer, as v4l2_window has one, aligns the union to 8 bytes
    _fields_ = (("pix", PixelFormat), ("raw_data", u8 * 200), ("aligned", ctypes.c_void_p))


class Format(ctypes.Structure):
    """v4l2_format."""

    _fields_ = (("type", u32), ("fmt", _FormatUnion))


class Fraction(ctypes.Structure):
    """v4l2_fract."""

    _fields_ = (("numerator", u32), ("denominator", u32))


class CaptureParameters(ctypes.Structure):
    """v4l2_captureparm."""

    _fields_ = (
        ("capability", u32),
        ("capturemode", u32),
        ("timeperframe", Fraction),
        ("extendedmode", u32),
        ("readbuffers", u32),
        ("reserved", u32 * 4),
    )


class _ParametersUnion(ctypes.Union):
    _fields_ = (("capture", CaptureParameters), ("raw_data", u8 * 200))


class StreamParameters(ctypes.Structure):
    """v4l2_streamparm."""

    _fields_ = (("type", u32), ("parm", _ParametersUnion))


class RequestBuffers(ctypes.Structure):
    """v4l2_requestbuffers."""

    _fields_ = (("count", u32), ("type", u32), ("memory", u32), ("capabilities", u32), ("flags", u8), ("reserved", u8 * 3))


class Timeval(ctypes.Structure):
    """timeval of a 64-bit system."""

    _fields_ = (("seconds", ctypes.c_int64), ("microseconds", ctypes.c_int64))


class Timecode(ctypes.Structure):
    """v4l2_timecode."""

    _fields_ = (("type", u32), ("flags", u32), ("digits", u8 * 4), ("userbits", u8 * 4))


class _BufferUnion(ctypes.Union):
    _fields_ = (("offset", u32), ("userptr", ctypes.c_uint64), ("fd", ctypes.c_int32))


class Buffer(ctypes.Structure):
    """v4l2_buffer."""

    _fields_ = (
        ("index", u32),
        ("type", u32),
        ("bytesused", u32),
        ("flags", u32),
        ("field", u32),
        ("timestamp", Timeval),
        ("timecode", Timecode),
        ("sequence", u32),
        ("memory", u32),
        ("m", _BufferUnion),
        ("length", u32),
        ("reserved2", u32),
        ("request_fd", ctypes.c_int32),
    )


_WRITE, _READ = 1, 2


def _request(direction: int, number: int, type_: type[ctypes.Structure] | type[ctypes.c_int]) -> int:
    """_IOC of asm-generic/ioctl.h, which both machines share."""
    return direction << 30 | ctypes.sizeof(type_) << 16 | ord("V") << 8 | number


VIDIOC_QUERYCAP = _request(_READ, 0, Capability)
VIDIOC_ENUM_FMT = _request(_READ | _WRITE, 2, FormatDescription)
VIDIOC_S_FMT = _request(_READ | _WRITE, 5, Format)
VIDIOC_REQBUFS = _request(_READ | _WRITE, 8, RequestBuffers)
VIDIOC_QUERYBUF = _request(_READ | _WRITE, 9, Buffer)
VIDIOC_QBUF = _request(_READ | _WRITE, 15, Buffer)
VIDIOC_DQBUF = _request(_READ | _WRITE, 17, Buffer)
VIDIOC_STREAMON = _request(_WRITE, 18, ctypes.c_int)
VIDIOC_STREAMOFF = _request(_WRITE, 19, ctypes.c_int)
VIDIOC_S_PARM = _request(_READ | _WRITE, 22, StreamParameters)
