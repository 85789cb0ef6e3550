"""The command `contentstack-launch`: `pip install 'contentstack-launch[cli]'`, also `python -m launch_async.cli`.

`--help` loads no other module. Its text is in `help.txt`, which `tools/command_page.py` writes.
"""

from __future__ import annotations

import os
import sys

__all__ = ["main"]

_MISSING = (
    "The command contentstack-launch needs the extra cli. Install it with: pip install 'contentstack-launch[cli]'\n"
    "Or run it without an installation: uvx --from 'contentstack-launch[cli]' contentstack-launch --help\n"
)


def main() -> None:
    """Run the command with the arguments of this process, and exit with the command's exit code."""
    if sys.argv[1:] in ([], ["--help"], ["-h"]) and "_CONTENTSTACK_LAUNCH_COMPLETE" not in os.environ:
        with open(f"{__file__.rpartition('__init__')[0]}help.txt", encoding="utf-8") as text:  # noqa: PTH123 - quick to load
            sys.stdout.write(text.read())
        return
    try:
        from launch_async.cli.app import run
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.stderr.write(_MISSING)
        sys.exit(4)
    sys.exit(run(sys.argv[1:]))
