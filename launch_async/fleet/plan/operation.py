"""One operation of a plan: what is done to one environment."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from launch_async.fleet.plan.actions import Action, SetVariables, VariableChange
from launch_async.fleet.plan.targets import Target

__all__ = ["PlannedOperation"]


@attrs.frozen(kw_only=True)
class PlannedOperation:
    """One operation of a plan.

    Attributes:
        key: Depends on nothing but what is done to which environment.
        target: The environment.
        change: What it would change, for variables.
        action: What is done to it, where the plan does something else to each target.
        stage: Operations of a later stage begin when those of the stages before have ended.
        after: Keys of the operations that must have succeeded before it begins.
    """

    key: str
    target: Target
    change: VariableChange | None = None
    action: Action | None = None
    stage: int = 0
    after: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What it is about, and what is done to it where the plan does not say."""
        return self.target.label if self.action is None else f"{self.target.label}: {self.action}"

    def is_idle(self, action: Action, values: Mapping[str, str] | None = None) -> bool:
        """Whether nothing is to be changed, as was read a moment ago: then a run asks nothing, either.

        Args:
            action: What the plan does.
            values: Values of the variables; None for those that the plan was made with.
        """
        reading = self.target.reading
        if not isinstance(action, SetVariables) or reading is None or not reading.is_recent:
            return False
        if values is None:
            return self.change is not None and not self.change.has_changes
        wanted = {name: values[name] for name in action.names}
        return not VariableChange.between(reading.variables, wanted, action.removed).has_changes
