"""Options, arguments and messages that several commands use."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Collection, Generator
from typing import TypeVar

import click

from launch_async.cli.parameters import Call, options_of
from launch_async.cli.session import Session

__all__ = ["environment_of", "interruptible", "workflow"]

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


@contextlib.contextmanager
def interruptible(session: Session, *command: str) -> Generator[None]:
    """After a Ctrl-C, show what happens to the deployment, and the command that continues."""
    try:
        yield
    except KeyboardInterrupt:
        session.output.note("Launch continues a deployment that has started.")
        session.output.note(f"Continue with: contentstack-launch {shlex.join(command)}")
        raise
