"""Decorators that several commands use."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

import click

from launch_async.cli.parameters import Call, options_of

__all__ = ["environment_of", "workflow"]

F = TypeVar("F", bound=Callable[..., object])


def workflow(*calls: Call, without: Collection[str] = (), texts_of: Call | None = None) -> Callable[[F], F]:
    """Return a decorator that adds an option for each keyword argument of some calls; see `options_of`."""

    def with_options(function: F) -> F:
        for option in reversed(options_of(*calls, without=without, texts_of=texts_of)):
            # The decorators of click store options in the same way.
            function.__dict__.setdefault("__click_params__", []).append(option)
        return function

    return with_options


def environment_of(function: F) -> F:
    """Add the arguments PROJECT and ENVIRONMENT to a command."""
    return click.argument("project")(click.argument("environment")(function))
