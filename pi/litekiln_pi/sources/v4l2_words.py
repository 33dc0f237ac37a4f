"""Messages for a camera that can't be used: what is missing, and in a container which option `docker run` needs."""

import errno
import os
import re
from pathlib import Path

from litekiln_pi.place import READS_A_PIPE, here
from litekiln_pi.sources import ribbon
from litekiln_pi.sources import v4l2_abi as abi

CSI = f"for a camera on the ribbon cable use: {ribbon.PIPED}"
SENSORS = ("unicam", "rp1-cfe")  # drivers of the ribbon cable's socket: their pictures come as the sensor sends them
RAW = re.compile(r"RGGB|GRBG|GBRG|BA81|BYR2|(BG|GB|GR|RG|BA)1[0246]|p[BGgR](AA|CC|EE)")  # one colour a pixel, plain or packed
VIDEO = {"H264": "h264", "HEVC": "hevc", "VP80": "vp8", "VP90": "vp9", "MPG2": "mpeg2video", "MPG4": "mpeg4"}
NO_CAMERAS = ("bcm2835-isp", "pispbe")  # the Pi's picture processors: they look like cameras, but give no pictures by themselves


def others(device: str, folder: Path = Path("/dev")) -> str:
    """A text that names the other video devices."""
    found = sorted((str(path) for path in folder.glob("video*") if str(path) != device), key=lambda name: (len(name), name))
    return f"other devices here: {', '.join(found)}" if found else "there is no other /dev/video*"


def cannot_open(device: str, error: OSError, folder: Path = Path("/dev")) -> str:
    if error.errno == errno.ENOENT:
        how = here(f"start the container with --device {device} (on the Pi, ", "plug the camera in (")
        listing = "`v4l2-ctl --list-devices` or `ls /dev/video*` shows all devices"
        return f"there is no {device} here: {how}{listing}); {others(device, folder)}"
    if error.errno == errno.EACCES:
        how = here("start the container with --group-add video", "sudo usermod -aG video $USER, then log in again")
        return f"{device} may not be read by user {os.getuid()}: {how}"
    if error.errno == errno.EPERM:
        return here(
            f"the container may not use {device}, though it sees it: start it with --device {device}",
            f"this system lets no program of this shell use {device}: leave the sandbox or container that it runs in",
        )
    if error.errno in (errno.ENODEV, errno.ENXIO):
        return f"{device} exists, but its camera doesn't: it was unplugged, or plugged in again under another number"
    return went_wrong(device, error)


def went_wrong(device: str, error: OSError) -> str:
    """Why a call to the driver failed after the device was opened."""
    if error.errno == errno.EBUSY:
        return f"{device} is in use by another program: end it ({here('on the Pi, ', '')}`sudo fuser -v {device}` names it)"
    if error.errno == errno.ENOSPC:
        return f"the USB bus has no room for {device}: choose a smaller size, or plug it in elsewhere, away from other cameras"
    if error.errno in (errno.ENODEV, errno.ENXIO):
        return f"{device} was unplugged"
    if error.errno == errno.EPIPE:
        return f"{device} belongs to a bare sensor that is not set up: {CSI}"
    if error.errno == errno.EIO:
        return f"{device} failed to give frames: check the cable, the power supply and the camera"
    return f"{device}: {error.strerror or error}"


def no_camera(device: str, capability: abi.Capability) -> str:
    """Why a node can't give frames; "" when it can."""
    caps = capability.device_caps if capability.capabilities & abi.CAP_DEVICE_CAPS else capability.capabilities
    card = f"{device} ({text_of(capability.card)})"
    if caps & (abi.CAP_VIDEO_M2M | abi.CAP_VIDEO_M2M_MPLANE):
        return f"{card} is not a camera, but a decoder or converter of the Pi; {others(device)}"
    if text_of(capability.driver) in NO_CAMERAS or text_of(capability.card).startswith(NO_CAMERAS):
        return f"{card} is not a camera, but the Pi's picture processor; {CSI}"
    if not caps & abi.CAP_VIDEO_CAPTURE:
        if caps & abi.CAP_META_CAPTURE:
            return f"{card} gives a camera's data, not its picture: use the number before it; {others(device)}"
        if caps & abi.CAP_VIDEO_CAPTURE_MPLANE:
            return f"{card} only gives pictures in several planes, which no USB camera does; {CSI}"
        return f"{card} is not a camera: it takes no pictures; {others(device)}"
    if not caps & abi.CAP_STREAMING:
        return f"{card} can't stream"
    return ""


def no_format(device: str, driver: str, offered: list[str], known: list[str]) -> str:
    """Why a camera's formats can't be used; "" when one of them, in `known`, is a finished picture's."""
    given = f"{device} gives {', '.join(offered)}" if offered else f"{device} gives no format at all"
    raw = any(RAW.fullmatch(each) for each in offered)
    if driver in SENSORS and (raw or set(known) <= {"GREY"}):  # a grey sensor's GREY is as raw as the others' RGGB
        return f"{given}, as its sensor sends it: nothing sets exposure and colours. {CSI}"
    if known:
        return ""
    if raw:
        return f"{given}: raw formats of a bare sensor. {CSI}"
    video = [each for each in offered if each in VIDEO]
    if video:
        ffmpeg = f"ffmpeg -f v4l2 -input_format {VIDEO[video[0]]} -i {device} -f mjpeg - | {READS_A_PIPE}"
        return f"{given}, which needs a video decoder. It may give MJPG under another number ({others(device)}), or: {ffmpeg}"
    return f"{given}; MJPG, YUYV, UYVY, NV12, YU12 or GREY is needed"


def text_of(letters: object) -> str:
    return bytes(letters).split(b"\0")[0].decode("utf-8", "replace")  # type: ignore[call-overload, no-any-return]
