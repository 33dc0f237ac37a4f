"""The engines by name, and the values of `--engine`. A new engine needs a row here, a module, and a maker in choose.py."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineName:
    """One engine, as people choose it."""

    name: str
    runs: str  # where a step runs


DOCKER = EngineName("docker", "a fresh container of the toolchain's image")
VENV = EngineName("venv", "an environment made from the toolchain's lock")
HERE = EngineName("here", "the toolchain image that litekiln itself runs in")

ENGINES = (DOCKER, VENV, HERE)
AUTO = "auto"  # the best for this machine
CHOICES = (AUTO, *(engine.name for engine in ENGINES))
CHOICES_TEXT = f"{', '.join(CHOICES[:-1])} or {CHOICES[-1]}"
