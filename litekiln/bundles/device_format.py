"""A device's figures, as `bench --json` on the Pi writes them: every field, its type, and what it means in plain words.

`docs/device.schema.json` is made from these types (tools/report_schema.py). Reading ignores unknown fields.
"""

from typing import Annotated, Literal

from msgspec import Meta

from litekiln.bundles.report_measures import Section

FORMAT = 1
EMULATED = "emulated"
Kind = Literal["hardware", "virtual machine", "emulated"]
Text = Annotated[str, Meta(max_length=300)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Milliseconds = Annotated[float, Meta(ge=0, le=3_600_000)]
Megahertz = Annotated[int, Meta(ge=0, le=100_000)]
Degrees = Annotated[float, Meta(ge=-100, le=300)]
Load = Annotated[float, Meta(ge=0, le=1_000_000)]
Count = Annotated[int, Meta(ge=1, le=100_000_000_000_000)]


class DeviceFile(Section, frozen=True, kw_only=True):
    """The model file that ran. Figures of another file are not compared with a bundle."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="its hash, computed there")]
    size: Annotated[Count, Meta(description="its bytes")]


class System(Section, frozen=True, kw_only=True):
    """What ran there beside the model."""

    os: Annotated[Text | None, Meta(description="the release; null in a container, which only sees its image's")]
    kernel: Annotated[Text | None, Meta(description="the kernel and its version")]
    in_container: Annotated[bool, Meta(description="whether it ran in the image")]


class Span(Section, frozen=True, kw_only=True):
    """From lowest to highest."""

    min: Annotated[Megahertz | None, Meta(description="the lowest")]
    max: Annotated[Megahertz | None, Meta(description="the highest")]


class DeviceFacts(Section, frozen=True, kw_only=True):
    """The machine. null: its kernel doesn't say."""

    board: Annotated[Name, Meta(description="`Raspberry Pi 4 Model B Rev 1.4`; elsewhere the architecture")]
    kind: Annotated[Kind, Meta(description="times of an emulated processor say nothing about a real one")]
    processor: Annotated[Text | None, Meta(description="its name")]
    cores: Annotated[int, Meta(ge=1, le=4096, description="how many cores this program could use")]
    architecture: Annotated[Name, Meta(description="aarch64, x86_64, ...")]
    memory: Annotated[Count | None, Meta(description="bytes in all")]
    system: Annotated[System, Meta(description="what ran there beside the model")]
    governor: Annotated[Text | None, Meta(description="what sets the clock: ondemand, performance, ...")]
    megahertz: Annotated[Span, Meta(description="the clock's range")]


class Heat(Section, frozen=True, kw_only=True):
    """Degrees Celsius."""

    before: Annotated[Degrees, Meta(description="before the first round")]
    after: Annotated[Degrees, Meta(description="after the last round")]
    highest: Annotated[Degrees, Meta(description="the highest seen between rounds")]


class Throttling(Section, frozen=True, kw_only=True):
    """What slows a Pi down, in words."""

    before: Annotated[list[Text], Meta(max_length=20, description="what had, before the first round")]
    during: Annotated[list[Text], Meta(max_length=20, description="what did while it was measured")]


class Conditions(Section, frozen=True, kw_only=True):
    """How the machine was while it was measured. null: its kernel doesn't say."""

    load_before: Annotated[Load | None, Meta(description="how many programs wanted a processor in the minute before")]
    temperature: Annotated[Heat | None, Meta(description="how warm it was")]
    throttling: Annotated[Throttling | None, Meta(description="what slowed it down")]
    megahertz_seen: Annotated[Span | None, Meta(description="the clock, looked at after each turn")]


class Selftest(Section, frozen=True, kw_only=True):
    """Whether it detects there what was recorded at the verification."""

    ok: Annotated[bool, Meta(description="false: it computes other results, and its times are worth nothing")]
    said: Annotated[Text, Meta(description="how it failed")]


class Size(Section, frozen=True, kw_only=True):
    """Pixels."""

    width: Annotated[Count, Meta(description="columns")]
    height: Annotated[Count, Meta(description="rows")]


class Times(Section, frozen=True, kw_only=True):
    """Milliseconds."""

    median: Annotated[Milliseconds, Meta(description="half of the runs took longer")]
    p95: Annotated[Milliseconds, Meta(description="one of twenty took longer")]
    min: Annotated[Milliseconds, Meta(description="the fastest")]
    rounds: Annotated[
        list[Milliseconds], Meta(min_length=1, max_length=100, description="the median of each round: how sure the median is")
    ]


class ThreadTimes(Section, frozen=True, kw_only=True):
    """The times with one number of threads."""

    threads: Annotated[int, Meta(ge=1, le=64, description="how many threads")]
    runs: Annotated[Count, Meta(description="how many frames in all rounds")]
    preparation: Annotated[Times, Meta(description="decode the JPEG and make the network's input")]
    inference: Annotated[Times, Meta(description="the network alone")]
    frame: Annotated[Times, Meta(description="a frame's whole way: preparation, inference, reading the detections")]


class DeviceFigures(Section, frozen=True, kw_only=True):
    """How long a bundle's file takes on a device, and how the device was meanwhile."""

    device_figures: Annotated[int, Meta(description="the version of this format; a change of a field's meaning raises it")]
    measured_at: Annotated[
        str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", description="when it ended, by the device's clock")
    ]
    model: Annotated[Name, Meta(description="a folder below models/")]
    variant: Annotated[Name, Meta(description="how the numbers are stored: docs/files.md lists the variants")]
    file: Annotated[DeviceFile, Meta(description="the model file that ran")]
    litekiln: Annotated[Name, Meta(description="the version of litekiln that made the bundle")]
    runtime: Annotated[Name, Meta(description="what ran it")]
    device: Annotated[DeviceFacts, Meta(description="the machine")]
    conditions: Annotated[Conditions, Meta(description="how it was meanwhile")]
    selftest: Annotated[Selftest, Meta(description="whether it computes what was verified")]
    complete: Annotated[bool, Meta(description="false: it was stopped early")]
    rounds: Annotated[int, Meta(ge=1, le=100, description="how often numbers of threads took turns")]
    seconds: Annotated[float, Meta(ge=0, description="how long it took in all")]
    picture: Annotated[Size, Meta(description="the frame that was decoded")]
    threads: Annotated[list[ThreadTimes], Meta(min_length=1, max_length=64, description="the times, by number of threads")]
    doubts: Annotated[list[Text], Meta(max_length=40, description="what makes the times doubtful; empty if nothing does")]
