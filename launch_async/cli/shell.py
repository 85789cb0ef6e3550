"""Error texts of the SDK for users of the command: calls become commands, and arguments become options."""

from __future__ import annotations

import re
from typing import Final

import click

from launch_async.errors import InvalidArgumentError, LaunchError

__all__ = ["COMMANDS", "CommandError", "for_the_shell", "with_commands"]

COMMANDS: Final = {
    "deployments.logs": "logs",
    "environments.list": "fleet select",
    "fleet.resume": "fleet resume",
    "fleet.run": "fleet run",
    "previews.sweep": "preview sweep",
    "projects.list": "fleet select",
    "restore": "restore",
    "resume_release": "resume-release",
    "state.apply": "state apply",
    "state.diff": "state diff",
    "state.resume": "state resume",
}
"""The command that does the same as a call of the client."""


class CommandError(Exception):
    """An error of the SDK in a command.

    Attributes:
        error: The error.
        text: The text of the error for users of the command.
    """

    def __init__(self, error: LaunchError, command: click.Command) -> None:
        super().__init__(error, command)
        self.error: LaunchError = error
        self.text: str = for_the_shell(error, command)


def for_the_shell(error: LaunchError, command: click.Command) -> str:
    """Return the text of an error with the options and commands that a user can type."""
    text = with_commands(str(error))
    options = {one.name: one for one in command.params if isinstance(one, click.Option) and one.name}
    if (values := next((one for one in options.values() if "--set" in one.opts), None)) is not None:
        options["variables"] = values
    if isinstance(error, InvalidArgumentError) and error.parameter in options:
        text = text.replace(error.parameter, options[error.parameter].opts[0], 1)
        text = re.sub(r"^(--[\w-]+):(?= (?:cannot|compares|differs|is|must|needs) )", r"\1", text)
    names = "|".join(options)
    pattern = rf"\b({names})=(\S*?)(?=[.,;]*(?:\s|$))"
    return re.sub(pattern, lambda found: _typed(options[found[1]], found[2]), text) if names else text


def with_commands(text: str) -> str:
    """Return a text with commands instead of calls of the client."""
    return re.sub(r"(\bCall )?\blaunch\.([a-z_.]+)\(([^()]*)\)", _command, text)


def _typed(option: click.Option, value: str) -> str:
    """Return an option with a value of Python as a user types it."""
    if option.is_flag:
        return option.opts[0]
    check = re.fullmatch(r'Check\("(.*)"\)', value)
    shown = check[1] if check else '""' if value == "()" else value.strip("'")
    return f"{option.opts[0]} {shown}".rstrip()


def _command(call: re.Match[str]) -> str:
    """Return the command for a call with its literal arguments; the call if there is no such command."""
    verb, name, arguments = call.groups()
    if name not in COMMANDS:
        return call[0]
    typed = " ".join(["contentstack-launch", COMMANDS[name], *re.findall(r"'([^']*)'", arguments)])
    return f"Run {typed}" if verb else typed
