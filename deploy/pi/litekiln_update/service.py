"""What runs the image: a systemd unit of Docker or Podman, a quadlet, or a compose file."""

import os
import time

from litekiln_update.engine import CONTAINER, Engine, Image, command, last_line
from litekiln_update.place import CHOSEN, COMPOSE, ETC
from litekiln_update.saying import Failed, say

UNITS = ("litekiln.service", "litekiln-ribbon.service")
FACTS = "LoadState,UnitFileState,ActiveState,ExecStart"


class Service:
    """A service, the engine that it uses, and the command that starts it again."""

    def __init__(self, engine: Engine, unit: str, again: tuple[str, ...]) -> None:
        self.engine, self.unit, self._again = engine, unit, again

    @classmethod
    def find(cls, asked: str) -> "Service":
        """The one that is set up on this Pi."""
        found = {unit: program for unit in ((asked,) if asked else UNITS) if (program := _engine_of(unit, asked=bool(asked)))}
        if len(found) > 1:
            raise Failed("usage", f"{' and '.join(found)} are both set up", "each runs the image", "name one: --service NAME")
        for unit, program in found.items():
            return cls(Engine(program), unit, ("systemctl", "restart", unit))
        if COMPOSE.exists() and not asked:
            return cls(Engine("docker"), "", _compose())
        where = asked or f"neither {' nor '.join(UNITS)}"
        remedy = "set one up as docs/pi-update.md says, and: sudo systemctl enable litekiln"
        raise Failed("service", "no service runs the image here", f"{where} is enabled, and there is no {COMPOSE}", remedy)

    @property
    def look(self) -> str:
        """The command that shows what it said."""
        return f"journalctl -u {self.unit} -n 20" if self.unit else f"{self.engine.program} logs {CONTAINER}"

    def fault(self, image: Image) -> str:
        """Why this image doesn't serve well now; "" if it does."""
        runs = self.engine.running()
        if runs.get("image") != image.id:
            return "its container does not run" if not runs else "another image runs"
        done = self.engine("exec", CONTAINER, "python3", "-m", "litekiln_pi", "health", seconds=60)
        return "" if done.returncode == 0 else "its health check fails"

    def start(self, image: Image, wait: float, settle: float) -> str:
        """Start the service again. Why the image isn't healthy in time; "" once one container of it was healthy for a while."""
        done = command(*self._again, seconds=300)
        if done.returncode:
            say(f"! {last_line(done)}")
        end, seen, since = time.monotonic() + wait, "", 0.0
        while True:
            fault, container = self.fault(image), self.engine.running().get("since", "")
            if fault or container != seen:
                if time.monotonic() > end and (fault or seen):
                    return fault or "it starts again and again"
                seen, since = "" if fault else container, time.monotonic()
            elif time.monotonic() - since >= settle:
                return ""
            time.sleep(min(2.0, max(0.02, settle / 4)))


def _engine_of(unit: str, *, asked: bool) -> str:
    """The program of the engine that a unit runs; "" if there is no such unit, or if nobody enabled it."""
    told = command("systemctl", "show", "--property", FACTS, unit, seconds=60).stdout
    facts = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    wanted = asked or facts.get("UnitFileState") in ("enabled", "generated") or facts.get("ActiveState") == "active"
    if facts.get("LoadState") != "loaded" or not wanted:
        return ""
    return "podman" if "podman" in facts.get("ExecStart", "") else "docker"


def _compose() -> tuple[str, ...]:
    """The command that starts the compose file's container again. Who types `docker compose up` there gets the same image."""
    link = ETC / ".env"
    if not os.path.lexists(link):
        link.symlink_to(CHOSEN.name)
    plugin = command("docker", "compose", "version", seconds=60).returncode == 0
    program = ("docker", "compose") if plugin else ("docker-compose",)
    return (*program, "--env-file", str(CHOSEN), "--file", str(COMPOSE), "up", "--detach", "--force-recreate")
