"""The reference of the command `contentstack-launch`, made from the command itself.

`tools.website.pages` inserts the reference into `docs/reference/command.md`. `python -m tools.command_page` writes the
text of `--help` to a file, which the command prints without an import of its subcommands. A test fails if the file is
out of date.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from launch_async.cli import app

HELP: Final = Path(app.__file__).with_name("help.txt")
MARK: Final = "<!-- command -->\n"


def help_text() -> str:
    """Return the output of `contentstack-launch --help`."""
    with _context(app.command_line, "contentstack-launch") as context:
        return f"{context.get_help()}\n"


def commands() -> Iterator[tuple[str, click.Command, click.Context]]:
    """Return every command by the words that a user types, without groups of commands."""
    with _context(app.command_line, "contentstack-launch") as context:
        yield from _below(app.command_line, context)


def expand(markdown: str) -> str:
    """Return a page with the reference in place of the mark, if the page has one."""
    return markdown.replace(MARK, "\n".join(_reference())) if MARK in markdown else markdown


def _reference() -> Iterator[str]:
    for name, command, context in commands():
        usage = " ".join(command.collect_usage_pieces(context))
        yield f"## {name}\n"
        yield f"```text\n{context.command_path} {usage}\n```\n"
        yield f"{_words(command)}\n"
        options = [one for one in command.params if isinstance(one, click.Option)]
        if options:
            yield "| option | what it does |\n|---|---|"
            yield from (f"| {_typed(one, context)} | {_cell(one.help or '')} |" for one in options)
            yield ""


def _words(command: click.Command) -> str:
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(f"```text\n{one[2:].lstrip()}\n```" if one.startswith("\b") else one for one in paragraphs)


def _typed(option: click.Option, context: click.Context) -> str:
    value = "" if option.is_flag else f" {option.make_metavar(context)}"
    return ", ".join(f"`{name}{value}`".replace("|", "\\|") for name in option.opts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _below(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None  # The command was listed.
        with _context(command, name, context) as inner:
            if isinstance(command, click.Group):
                yield from _below(command, inner)
            else:
                yield inner.command_path.partition(" ")[2], command, inner


def _context(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    settings = {**command.context_settings, "terminal_width": 80}
    return click.Context(command, info_name=name, parent=parent, **settings)


if __name__ == "__main__":
    HELP.write_text(help_text(), encoding="utf-8")
