"""`emulator`: runs a Launch server for tests on this machine."""

from __future__ import annotations

import click

__all__ = ["emulator"]


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def emulator(options: tuple[str, ...]) -> int:
    """Run a Launch server for tests. `emulator --help` lists its options.

    The first line of output is JSON with the URL and the credentials. The
    server runs until Ctrl-C.
    """
    from launch_async.emulator.__main__ import main

    return main(options)
