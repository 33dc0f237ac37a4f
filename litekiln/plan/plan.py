"""The plan: a list of steps with keys. A value: it can be printed, counted, compared and sent elsewhere.

A step's key is the hash of its ingredients: its program, its arguments, its toolchain's lock and its inputs. An input that
another step makes counts with that step's key, so all keys are known before anything runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from litekiln.addresses import without_secrets
from litekiln.hashing import sha256_value

HOST = ""  # the toolchain of a step that litekiln runs itself: only fetching, which needs the network


@dataclass(frozen=True)
class Input:
    """A file or folder of the project (`path`, below the work folder), or what another step made (`step`, and `path` within it).

    `files` are the hashes of the project's files, by their names below `path`; "" is the name of a single file.
    """

    path: str
    sha256: str
    step: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def ingredient(self) -> str:
        """What a step's key takes of it."""
        return sha256_value([self.sha256, self.path if self.step else ""])


@dataclass(frozen=True)
class Step:
    """One program run in one toolchain. `id` is its name for people, unique in the plan; `key` its name in the store.

    What a program needs, and what its exit means, comes from its row in programs.py.
    """

    id: str
    program: str
    toolchain: str
    args: dict[str, Any]
    inputs: dict[str, Input]
    ingredients: dict[str, str]
    timeout: int
    memory: int
    keep_refusal: bool = False
    alone: bool = False
    runs_model: bool = False
    judges: bool = False
    key: str = ""
    aside: dict[str, str] = field(default_factory=dict)  # what a host program needs for its messages; in no key

    @property
    def shown_args(self) -> dict[str, Any]:
        """The arguments for records and reports: an address without its secrets."""
        return {name: without_secrets(value) if isinstance(value, str) else value for name, value in self.args.items()}


@dataclass(frozen=True)
class Attempt:
    """One way to make a variant: in which toolchain it is converted, from which step's output, and by which steps.

    `trace` is the step that finds where its error comes from. Variants of one calibration share it, and some have none.
    """

    toolchain: str
    exported: str
    calibrate: str  # "" where it needs no pictures
    converting: tuple[str, ...]  # two for TF1: its converter, and the check of its file
    annotate: str
    verify: str
    measure: str
    trace: str = ""
    pictures: str = ""  # name of the set it is judged on; in no step's arguments, so that renaming its folder rebuilds nothing

    @property
    def convert(self) -> str:
        """The step that writes the converted file."""
        return self.converting[-1]

    @property
    def own(self) -> tuple[str, ...]:
        """The steps that no other variant shares."""
        return (*self.converting, self.annotate, self.verify, self.measure)

    @property
    def ends(self) -> tuple[str, ...]:
        """Steps that must finish before the variant exists."""
        return tuple(filter(None, (self.measure or self.verify, self.trace)))


@dataclass(frozen=True)
class Plan:
    """Steps in an order in which they can run; the attempts at each variant, preferred first; the variants to bundle."""

    model: str
    steps: tuple[Step, ...]
    variants: dict[str, tuple[Attempt, ...]] = field(default_factory=dict)
    bundled: tuple[str, ...] = ()

    @cached_property
    def _places(self) -> dict[str, int]:
        """Where each step stands."""
        return {step.id: place for place, step in enumerate(self.steps)}

    @cached_property
    def _needed(self) -> list[list[int]]:
        """For each step, where the steps stand whose output it takes."""
        return [[self._places[value.step] for value in step.inputs.values() if value.step] for step in self.steps]

    def step(self, step_id: str) -> Step:
        return self.steps[self._places[step_id]]

    def goals(self) -> dict[str, tuple[tuple[str, ...], ...]]:
        """Alternatives for each goal, preferred first: each lists the steps that must finish."""
        if not self.variants:
            return {step.id: ((step.id,),) for step in self.steps}
        return {name: tuple(attempt.ends for attempt in attempts) for name, attempts in self.variants.items()}

    def leading_to(self, *step_ids: str) -> list[Step]:
        """These steps and all that they depend on, in the plan's order."""
        found: set[int] = set()
        waiting = [self._places[name] for name in step_ids if name in self._places]
        while waiting:
            place = waiting.pop()
            if place not in found:
                found.add(place)
                waiting += self._needed[place]
        return [self.steps[place] for place in sorted(found)]
