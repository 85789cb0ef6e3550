"""One operation of a plan: one action on one environment."""

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
        key: Identifies the operation. It depends only on the action and the environment.
        target: The environment.
        change: The names of the variables that would change; None for other actions.
        action: The operation's own action in a mixed plan; None in other plans.
        stage: Number of the stage. A stage begins when the previous stages have ended.
        after: Keys of the operations that must succeed before this one begins.
    """

    key: str
    target: Target
    change: VariableChange | None = None
    action: Action | None = None
    stage: int = 0
    after: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The target and, in a mixed plan, the action."""
        return self.target.label if self.action is None else f"{self.target.label}: {self.action}"

    def is_idle(self, action: Action, values: Mapping[str, str] | None = None) -> bool:
        """Return whether a recent reading shows that the target already has the variables. The run then sends nothing.

        Args:
            action: The action of the plan.
            values: Values of the variables; None for the values that the plan was made with.
        """
        reading = self.target.reading
        if not isinstance(action, SetVariables) or reading is None or not reading.is_recent:
            return False
        if values is None:
            return self.change is not None and not self.change.has_changes
        wanted = {name: values[name] for name in action.names}
        return not VariableChange.between(reading.variables, wanted, action.removed).has_changes
