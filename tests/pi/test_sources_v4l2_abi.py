"""Sizes, offsets and request numbers are those that a C compiler gives for linux/videodev2.h (64-bit ARM and x86-64)."""

import ctypes

import pytest

from litekiln_pi.sources import v4l2_abi as abi

SIZES = {
    abi.Capability: 104,
    abi.FormatDescription: 64,
    abi.Format: 208,
    abi.PixelFormat: 48,
    abi.StreamParameters: 204,
    abi.CaptureParameters: 40,
    abi.RequestBuffers: 20,
    abi.Buffer: 88,
}
OFFSETS = {
    abi.Capability: {"driver": 0, "card": 16, "bus_info": 48, "version": 80, "capabilities": 84, "device_caps": 88},
    abi.FormatDescription: {"index": 0, "type": 4, "flags": 8, "description": 12, "pixelformat": 44},
    abi.Format: {"type": 0, "fmt": 8},
    abi.PixelFormat: {
        "width": 0,
        "height": 4,
        "pixelformat": 8,
        "field": 12,
        "bytesperline": 16,
        "sizeimage": 20,
        "colorspace": 24,
        "quantization": 40,
    },
    abi.StreamParameters: {"type": 0, "parm": 4},
    abi.CaptureParameters: {"capability": 0, "timeperframe": 8},
    abi.RequestBuffers: {"count": 0, "type": 4, "memory": 8},
    abi.Buffer: {
        "index": 0,
        "type": 4,
        "bytesused": 8,
        "flags": 12,
        "field": 16,
        "timestamp": 24,
        "timecode": 40,
        "sequence": 56,
        "memory": 60,
        "m": 64,
        "length": 72,
    },
}
REQUESTS = {
    "QUERYCAP": 0x80685600,
    "ENUM_FMT": 0xC0405602,
    "S_FMT": 0xC0D05605,
    "REQBUFS": 0xC0145608,
    "QUERYBUF": 0xC0585609,
    "QBUF": 0xC058560F,
    "DQBUF": 0xC0585611,
    "STREAMON": 0x40045612,
    "STREAMOFF": 0x40045613,
    "S_PARM": 0xC0CC5616,
}
FORMATS = {
    "MJPG": 0x47504A4D,
    "JPEG": 0x4745504A,
    "YUYV": 0x56595559,
    "UYVY": 0x59565955,
    "NV12": 0x3231564E,
    "YU12": 0x32315559,
    "GREY": 0x59455247,
}


@pytest.mark.parametrize("structure", SIZES)
def test_sizes(structure: type[ctypes.Structure]) -> None:
    assert ctypes.sizeof(structure) == SIZES[structure]


@pytest.mark.parametrize("structure", OFFSETS)
def test_offsets(structure: type[ctypes.Structure]) -> None:
    assert {name: getattr(structure, name).offset for name in OFFSETS[structure]} == OFFSETS[structure]


def test_request_numbers_and_formats() -> None:
    assert {name: getattr(abi, f"VIDIOC_{name}") for name in REQUESTS} == REQUESTS
    assert {name: abi.fourcc(name) for name in FORMATS} == FORMATS
    assert [abi.fourcc_name(number) for number in FORMATS.values()] == list(FORMATS)
    assert abi.fourcc_name(abi.fourcc("Y16 ") | 1 << 31) == "Y16"  # a big-endian format's name
