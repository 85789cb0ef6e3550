"""The rules for plans that need a confirmation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from launch_async.fleet.plan.actions import Action, DeleteEnvironments
from launch_async.fleet.plan.targets import Target, matches

__all__ = ["PROTECTED", "is_protected", "reasons_to_confirm"]

PROTECTED: Final = ("production", "prod", "main", "live")
"""Names of environments that are protected by default."""
_MAX_UNCONFIRMED: Final = 20
"""Maximum number of targets without a confirmation."""


def reasons_to_confirm(action: Action, targets: Sequence[Target], protected: Sequence[str]) -> list[str]:
    """Return the reasons why a plan needs a confirmation; an empty list if it needs none."""
    guarded = [one.label for one in targets if is_protected(one.environment_name, protected)]
    nameless = [one.label for one in targets if not one.environment_name]
    return [
        *([f"the plan changes more than {_MAX_UNCONFIRMED} environments"] if len(targets) > _MAX_UNCONFIRMED else []),
        *([f"the plan changes protected environments ({_some(guarded)})"] if guarded else []),
        *([f"the plan does not know the names of {_some(nameless)}"] if nameless and protected else []),
        *(["the plan deletes environments"] if isinstance(action, DeleteEnvironments) else []),
    ]


def _some(labels: Sequence[str]) -> str:
    return f"{', '.join(labels[:3])}{', ...' if len(labels) > 3 else ''}"


def is_protected(name: str, protected: Sequence[str]) -> bool:
    """Return whether a name is protected. The case of letters does not matter."""
    return matches(name.lower(), [pattern.lower() for pattern in protected])
