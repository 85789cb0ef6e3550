"""Checks before a plan runs: confirmations, names and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from launch_async._text import printable
from launch_async.errors import InvalidArgumentError
from launch_async.fleet.plan.actions import Mixed, SetVariables
from launch_async.fleet.plan.confirmation import is_protected, reasons_to_confirm
from launch_async.fleet.plan.plan import Plan
from launch_async.fleet.plan.targets import Target
from launch_async.fleet.run.options import RunOptions
from launch_async.resources._inputs import check_variables

__all__ = ["check_confirmation", "check_names", "check_values"]


def check_confirmation(plan: Plan, confirm: int | None, protected: Sequence[str]) -> None:
    """Refuse a plan whose confirmation is missing or wrong."""
    count = len(plan.operations)
    if confirm is not None and (isinstance(confirm, bool) or confirm != count):
        raise InvalidArgumentError("confirm", f"is {confirm}, but the plan has {count} environments. Check the plan")
    reasons = reasons_to_confirm(plan.action, [one.target for one in plan.operations], protected)
    if reasons and confirm is None:
        raise InvalidArgumentError("confirm", f"is required, because {' and '.join(reasons)}. Pass confirm={count}")


def check_names(targets: Sequence[Target], names: Mapping[str, str], protected: Sequence[str]) -> None:
    """Refuse targets whose name has become protected since the plan was made.

    Raises:
        InvalidArgumentError: An environment was renamed.
    """
    renamed = [
        f"{one.label} is now called {printable(names[one.environment_uid])}"
        for one in targets
        if is_protected(names.get(one.environment_uid, ""), protected)
        and one.environment_name
        and not is_protected(one.environment_name, protected)
    ]
    if renamed:
        raise InvalidArgumentError(
            "plan",
            f"changes environments whose names have become protected since it was made ({', '.join(renamed[:3])}"
            f"{', ...' if len(renamed) > 3 else ''}). Make a new plan, or pass protected=() to change them anyway",
        )


def check_values(plan: Plan, options: RunOptions) -> None:
    """Refuse a run whose values do not match its plan, and a mixed plan that `launch.fleet` cannot run.

    Raises:
        InvalidArgumentError: Values are missing, too many or too large, or the plan is a mixed plan.
    """
    given = options.variables or {}
    if isinstance(plan.action, Mixed) and options.performer is None:
        raise InvalidArgumentError(
            "plan",
            f"is a mixed plan ({plan.action}). Run it with launch.state.apply(plan), and resume it with "
            "launch.state.resume(journal, state)",
        )
    if isinstance(plan.action, SetVariables):
        missing = [name for name in plan.action.names if name not in given]
        if missing:
            raise InvalidArgumentError(
                "variables", f"must contain {', '.join(missing)}, because a plan stores no values"
            )
        check_variables(given)
    elif given:
        raise InvalidArgumentError("variables", "were passed, but the plan sets no variables")
