"""What commands share."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

import click

from launch_async.cli.parameters import Call, options_of

__all__ = ["environment_of", "workflow"]

F = TypeVar("F", bound=Callable[..., object])


def workflow(*calls: Call, without: Collection[str] = (), texts_of: Call | None = None) -> Callable[[F], F]:
    """Give a command an option for each keyword argument of the calls that it makes; see `options_of`."""

    def with_options(function: F) -> F:
        for option in reversed(options_of(*calls, without=without, texts_of=texts_of)):
            # As click's own decorators do.
            function.__dict__.setdefault("__click_params__", []).append(option)
        return function

    return with_options


def environment_of(function: F) -> F:
    """Give a command the arguments PROJECT and ENVIRONMENT."""
    return click.argument("project")(click.argument("environment")(function))
