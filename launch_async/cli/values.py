"""Reads values from the command line: durations, times, sources, checks, and references to values of variables."""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from launch_async.deploy.release.check import Check
from launch_async.deploy.sources import Commit, LatestCommit, PreviousUpload
from launch_async.errors import InvalidArgumentError
from launch_async.wire.secret import Secret

__all__ = ["CHECK", "DURATION", "MOMENT", "SECONDS", "SOURCE", "TIMES", "duration_text", "read_value"]

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _seconds(text: str) -> float | None:
    """Return the seconds of a text such as `90`, `90s`, `15m`, `2h` or `7d`; None for any other text."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    return None if found is None else float(found[1]) * _UNITS[found[2] or "s"]


def duration_text(seconds: float) -> str:
    """Return seconds as a user types them, such as `1h` or `90s`."""
    for unit, size in reversed(_UNITS.items()):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


class _Duration(click.ParamType[timedelta]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:  # noqa: ANN401
        if isinstance(value, timedelta):
            return value
        seconds = _seconds(value)
        if seconds is None:
            self.fail(f"{value!r} is not a duration. Write a duration as 90s, 15m, 2h or 7d.", param, ctx)
        return timedelta(seconds=seconds)


class _Seconds(click.ParamType[float]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        return value if isinstance(value, float) else DURATION.convert(value, param, ctx).total_seconds()


class _Moment(click.ParamType[datetime]):
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:  # noqa: ANN401
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time. Write a time as 2026-05-04T12:00:00Z.", param, ctx)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


class _Time(click.ParamType[datetime | timedelta]):
    name = "time or duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | timedelta:  # noqa: ANN401
        if isinstance(value, str) and _seconds(value) is not None:
            return _Duration().convert(value, param, ctx)
        return value if isinstance(value, timedelta) else _Moment().convert(value, param, ctx)


class _Source(click.ParamType[Any]):
    name = "source"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        if not isinstance(value, str):
            return value
        kind, colon, rest = value.partition(":")
        if value == "latest":
            return LatestCommit()
        if value == "previous":
            return PreviousUpload()
        if colon and kind == "commit" and rest:
            return Commit(rest)
        if not Path(value).exists():
            self.fail(
                f"The folder or ZIP {value!r} does not exist. Other sources are latest, previous and commit:HASH.",
                param,
                ctx,
            )
        return value


class _Check(click.ParamType[Check]):
    name = "path[,name=value...]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Check:  # noqa: ANN401
        if isinstance(value, Check):
            return value
        path, *settings = value.split(",")
        given: dict[str, Any] = {}
        for setting in settings:
            name, equals, text = setting.partition("=")
            if name not in _OF_A_CHECK or not equals:
                self.fail(
                    f"{setting!r} is not NAME=VALUE with one of these names: {', '.join(_OF_A_CHECK)}.",
                    param,
                    ctx,
                )
            read = _OF_A_CHECK[name]
            given[name] = read(text, param, ctx) if isinstance(read, click.ParamType) else _read(self, read, setting)
        try:
            return Check(path, **given)
        except InvalidArgumentError as error:
            self.fail(str(error), param, ctx)


def _read(kind: _Check, read: type, setting: str) -> object:
    try:
        return read(setting.partition("=")[2])
    except ValueError:
        kind.fail(f"The value in {setting!r} must be a number.")


CHECK: Final = _Check()
DURATION: Final = _Duration()
SECONDS: Final = _Seconds()
MOMENT: Final = _Moment()
TIMES: Final = _Time()
_OF_A_CHECK: Final[dict[str, Any]] = {
    "status": int,
    "contains": str,
    "header": str,
    "within": SECONDS,
    "attempts": int,
    "every": SECONDS,
    "grace": SECONDS,
}
SOURCE: Final = _Source()


def read_value(name: str, reference: str | None) -> str:
    """Return the value of a variable, which is never an argument of the command.

    Args:
        name: Name of the variable.
        reference: `env:NAME` or `file:PATH`; None to ask for the value on a terminal, or to read it from standard
            input.

    Raises:
        click.UsageError: The reference is malformed, or there is no such value.
    """
    if reference is None:
        if sys.stdin.isatty():
            return Secret(click.prompt(name, hide_input=True, err=True))
        return Secret(sys.stdin.readline().rstrip("\r\n"))
    kind, _, where = reference.partition(":")
    if kind == "env":
        if where not in os.environ:
            raise click.UsageError(f"{name}: The environment variable {where} is not set.")
        return Secret(os.environ[where])
    if kind == "file":
        try:
            return Secret(Path(where).read_text("utf-8").rstrip("\r\n"))
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"{name}: The file {where} cannot be read: {error}") from None
    raise click.UsageError(
        f"{name}: A value cannot be an argument, because other users of the machine can see arguments. Use {name} to "
        f"type the value or to pass it on standard input, {name}=env:VARIABLE, or {name}=file:PATH."
    )
