"""A camera's description of its streams (SDP), as far as it takes to find a JPEG stream."""

import re
from dataclasses import dataclass, field

from litekiln_pi.sources.connection import PORTS

STATIC = {26: "JPEG", 32: "MPV", 34: "H263"}  # payload types whose meaning is fixed
_RTPMAP = re.compile(r"rtpmap:(\d+)\s+([^/\s]+)")
JPEG = "JPEG"


@dataclass
class Video:
    """One video stream."""

    payload_types: list[int]
    names: dict[int, str] = field(default_factory=dict)
    control: str = ""

    def __post_init__(self) -> None:
        self.names = {each: STATIC[each] for each in self.payload_types if each in STATIC}

    @property
    def jpeg(self) -> int | None:
        """The payload type of its JPEG."""
        return next((each for each in self.payload_types if self.names.get(each, "").upper() == JPEG), None)


@dataclass
class Description:
    """All video streams, and the address for all of them."""

    videos: list[Video] = field(default_factory=list)
    control: str = ""

    @property
    def encodings(self) -> str:
        """The encodings of its video streams, for people."""
        return " and ".join(dict.fromkeys(name for video in self.videos for name in video.names.values()))


def read(text: str) -> Description:
    """The description in a text. Unknown lines are skipped: cameras write many that no standard has."""
    described, video, in_media = Description(), None, False
    for line in text.splitlines():
        kind, _, value = line.strip().partition("=")
        if kind == "m":
            words = value.split()
            in_media, video = True, None
            if words and words[0].lower() == "video":
                video = Video([int(word) for word in words[3:] if word.isascii() and word.isdecimal()])
                described.videos.append(video)
        elif kind == "a" and value.lower().startswith("control:"):
            if video:
                video.control = value[len("control:") :].strip()
            elif not in_media:
                described.control = value[len("control:") :].strip()
        elif kind == "a" and video and (mapped := _RTPMAP.match(value)):
            video.names[int(mapped[1])] = mapped[2]
    return described


def joined(base: str, control: str) -> str:
    """The address for requests about a stream."""
    if control in ("", "*"):
        return base
    if control.lower().startswith(tuple(f"{scheme}://" for scheme in PORTS)):
        return control
    return f"{base.rstrip('/')}/{control.lstrip('/')}"
