"""Write the table of docs/pi-figures.md from the files in docs/figures/, which `bench --json` wrote.

.litekiln/host/bin/python tools/pi_figures.py
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from litekiln.bundles.device_format import EMULATED, DeviceFigures  # noqa: E402 - the path above comes first
from litekiln.bundles.device_match import device_name  # noqa: E402
from litekiln.bundles.device_read import read_device  # noqa: E402
from litekiln.bundles.figures import milliseconds  # noqa: E402
from litekiln.errors import BundleError, LitekilnError  # noqa: E402

PAGE, FOLDER = ROOT / "docs" / "pi-figures.md", ROOT / "docs" / "figures"
BEGIN, END = "<!-- from docs/figures/, by tools/pi_figures.py -->\n", "<!-- end -->\n"
HEAD = ("device", "model", "sha256", "a frame (the network alone), ms", "clock", "temperature", "measured", "doubts")
VIRTUAL = "virtual machine"
NO_PI = "**So far nobody has added a Raspberry Pi.** What stands here only shows the form.\n\n"


def table(folder: Path = FOLDER) -> str:
    """The table in Markdown: one row for each file, Pis first. It says so if there is none."""
    read = [(path, read_device(path)) for path in sorted(folder.glob("*.json"))]
    for path, figures in read:
        refuse(path, figures)
    read.sort(key=lambda each: (each[1].device.kind, each[1].device.board, each[1].model, each[1].variant, each[1].measured_at))
    rows = [HEAD, ("---",) * len(HEAD), *(row(path, figures) for path, figures in read)]
    pis = any(figures.device.board.startswith("Raspberry Pi") for _, figures in read)
    return ("" if pis else NO_PI) + "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def refuse(path: Path, figures: DeviceFigures) -> None:
    """Raise if a file has figures that are no measurement of its device."""
    remedy = "leave the file out, or measure again on the device"
    for wrong, what in (
        (figures.device.kind == EMULATED, "were measured on an emulated processor"),
        (not figures.selftest.ok, "are of a device that computes other results than were verified"),
        (not figures.complete, "are of a measurement that was stopped"),
    ):
        if wrong:
            msg = f"{path.name}: these figures {what}"
            raise BundleError(msg, cause="such times say nothing about the device", remedy=remedy)


def row(path: Path, figures: DeviceFigures) -> tuple[str, ...]:
    facts, heat = figures.device, figures.conditions.temperature
    name = device_name(facts).replace(f" ({VIRTUAL})", "")
    named = f"{name}, {facts.cores} cores{': a virtual machine, no Pi' if facts.kind == VIRTUAL else ''}"
    times = "; ".join(
        f"{each.threads}: {milliseconds(each.frame.median)[:-3]} ({milliseconds(each.inference.median)[:-3]})"
        for each in figures.threads
    )
    cells = (
        f"[{named}](figures/{path.name})",
        f"{figures.model} {figures.variant}",
        f"`{figures.file.sha256[:12]}`",
        times,
        f"{facts.governor}{f', {facts.megahertz.max} MHz' if facts.megahertz.max else ''}" if facts.governor else "unknown",
        f"{heat.before:.0f} to {heat.highest:.0f} °C" if heat else "unknown",
        figures.measured_at.partition("T")[0],
        "; ".join(figures.doubts) or "none",
    )
    return tuple(each.replace("|", "\\|").replace("<", "&lt;") for each in cells)


def page(text: str, rows: str) -> str:
    """The page's text with this table."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        msg = f"{PAGE.name} has no place for the table: {BEGIN.strip()} and {END.strip()}"
        raise BundleError(msg, cause="somebody edited these lines", remedy="put them back")
    return f"{before}{BEGIN}\n{rows}\n{END}{after}"


def main() -> None:
    try:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), table()), encoding="utf-8")
    except LitekilnError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
