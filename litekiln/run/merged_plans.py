"""The plans of several models as one, so that jobs stay busy whichever model has a step ready to run.

A step's id is unique only in its own plan. In the common plan it starts with its model's name. Steps with the same key (such as
the pictures that a set's generator draws) are one step there, named after the first model that needs it.
"""

from dataclasses import replace

from litekiln.plan.plan import Attempt, Input, Plan, Step
from litekiln.run.schedule import Finished, Run, run_result


class Several:
    """The plans of several models, and the common plan that is made of them."""

    def __init__(self, plans: list[Plan]) -> None:
        self._plans = {plan.model: plan for plan in plans}
        self._ids: dict[str, dict[str, str]] = {}  # by model: a step's own id → its id in the common plan
        self._origins: dict[str, tuple[Plan, Step]] = {}
        self._models: dict[str, str] = {}  # by goal
        self.plan = self._merge()

    def _merge(self) -> Plan:
        by_key: dict[str, str] = {}
        steps: dict[str, Step] = {}
        variants: dict[str, tuple[Attempt, ...]] = {}
        for plan in self._plans.values():
            ids = {step.id: by_key.setdefault(step.key, f"{plan.model}: {step.id}") for step in plan.steps}
            self._ids[plan.model] = ids
            for step in plan.steps:
                shown = ids[step.id]
                if shown not in steps:
                    inputs = {name: _renamed(value, ids) for name, value in step.inputs.items()}
                    steps[shown] = Step(**{**vars(step), "id": shown, "inputs": inputs})
                    self._origins[shown] = (plan, step)
            for variant, attempts in plan.variants.items():
                goal = f"{plan.model}: {variant}"
                self._models[goal] = plan.model
                variants[goal] = tuple(_named(attempt, ids) for attempt in attempts)
        return Plan(model="several", steps=tuple(steps.values()), variants=variants)

    def origin(self, step_id: str) -> tuple[Plan, Step]:
        """The plan that a step of the common plan comes from, and the step there."""
        return self._origins[step_id]

    def own(self, model: str, finished: dict[str, Finished]) -> dict[str, Finished]:
        """A model's finished steps, by their ids in its own plan."""
        return {own: finished[shown] for own, shown in self._ids[model].items() if shown in finished}

    def closed(self, still_open: set[str]) -> set[str]:
        """The models that are done: nothing more of them can be made."""
        return set(self._plans) - {self._models[goal] for goal in still_open}

    def run_of(self, model: str, run: Run) -> Run:
        """The outcome of a model's own plan."""
        failed = {own: run.failed[shown] for own, shown in self._ids[model].items() if shown in run.failed}
        return run_result(self._plans[model], self.own(model, run.finished), failed)


def _renamed(value: Input, ids: dict[str, str]) -> Input:
    return Input(value.path, value.sha256, ids[value.step]) if value.step else value


def _named(attempt: Attempt, ids: dict[str, str]) -> Attempt:
    """The attempt with its steps' ids of the common plan. Its toolchain's name stays."""
    own = {name: ids[value] for name, value in vars(attempt).items() if name != "toolchain" and value in ids}
    return replace(attempt, converting=tuple(ids[step] for step in attempt.converting), **own)
