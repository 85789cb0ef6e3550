"""Writes the results of a command to standard output, and everything else to standard error.

The output is text and tables. On GitHub and GitLab it has their groups and annotations. With `--json` it is one JSON
document, or one line of JSON for each item of a stream.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from typing import TextIO

import click

from launch_async._text import printable, without_escapes
from launch_async.cli.documents import document_of

__all__ = ["Output"]

_WIDTH = 80


class Output:
    """The output of one command.

    Attributes:
        is_json: Whether `--json` was given.
    """

    def __init__(self) -> None:
        self.is_json: bool = False
        self._github = os.environ.get("GITHUB_ACTIONS") == "true"
        self._gitlab = os.environ.get("GITLAB_CI") == "true"

    def result(self, value: object, text: str | None = None) -> None:
        """Write the result of a command as text, or with `--json` as one JSON document.

        Args:
            value: The result.
            text: The text; `str(value)` by default.
        """
        if self.is_json:
            text = json.dumps(document_of(value), indent=2, ensure_ascii=False)
        self._write(sys.stdout, str(value) if text is None else text)

    def item(self, value: object, text: str) -> None:
        """Write one item of a stream."""
        self._write(sys.stdout, json.dumps(document_of(value), ensure_ascii=False) if self.is_json else text)

    def table(self, value: object, rows: Sequence[Mapping[str, str]], *, title: str = "") -> None:
        """Write a result as a table that fits the terminal or 80 columns, or with `--json` as one JSON document."""
        if self.is_json:
            self.result(value)
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        if title:
            self._write(sys.stdout, title)
        if not rows:
            return
        console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
        table = Table(box=None, pad_edge=False)
        for name in rows[0]:
            # Users copy UIDs, so the table never cuts them.
            is_uid = name.endswith("uid")
            table.add_column(name, no_wrap=is_uid, overflow="fold", min_width=24 if is_uid else None)
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row.values()))
        console.print(table)

    def note(self, text: str) -> None:
        """Write a line to standard error."""
        self._write(sys.stderr, text)

    def log(self, message: str) -> None:
        """Write a line of a build log to standard error."""
        self.note(without_escapes(message))

    @contextlib.contextmanager
    def section(self, title: str) -> Generator[None]:
        """Put the output of a block into a group that the CI system can fold."""
        name = f"launch_{time.monotonic_ns()}"
        if self._github:
            self.note(f"::group::{title}")
        elif self._gitlab:
            self.note(f"\x1b[0Ksection_start:{int(time.time())}:{name}\r\x1b[0K{title}")
        try:
            yield
        finally:
            if self._github:
                self.note("::endgroup::")
            elif self._gitlab:
                self.note(f"\x1b[0Ksection_end:{int(time.time())}:{name}\r\x1b[0K")

    def failure(self, kind: str, message: str) -> None:
        """Write the error of a command; on GitHub also as an annotation."""
        if self.is_json:
            self._write(sys.stdout, json.dumps({"error": kind, "message": message}, ensure_ascii=False))
        lines = "\n".join(without_escapes(line) for line in message.splitlines())
        self.note(click.style("error: ", fg="red") + lines if _has_colours(sys.stderr) else f"error: {lines}")
        if self._github:
            escaped = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
            self.note(f"::error title={kind}::{escaped}")

    @staticmethod
    def _write(file: TextIO, text: str) -> None:
        file.write(f"{text}\n")
        file.flush()


def _has_colours(file: TextIO) -> bool:
    return file.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
