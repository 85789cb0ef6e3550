"""Values that are typed on a command line: durations, moments, sources and references to values."""

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

__all__ = ["CHECK", "DURATION", "MOMENT", "SECONDS", "SOURCE", "TIMES", "read_value"]

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _seconds(text: str) -> float | None:
    """Return the seconds of `90`, `90s`, `15m`, `2h`, `7d`; None if it is none of these."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    return None if found is None else float(found[1]) * _UNITS[found[2] or "s"]


class _Duration(click.ParamType[timedelta]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:  # noqa: ANN401
        if isinstance(value, timedelta):
            return value
        seconds = _seconds(value)
        if seconds is None:
            self.fail(f"{value!r} is no duration; write 90s, 15m, 2h or 7d", param, ctx)
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
            self.fail(f"{value!r} is no time; write it as 2026-05-04T12:00:00Z", param, ctx)
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
            self.fail(f"{value} is no folder and no ZIP; write latest, previous or commit:HASH otherwise", param, ctx)
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
                self.fail(f"{setting!r} is none of {', '.join(_OF_A_CHECK)}, followed by = and a value", param, ctx)
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
        kind.fail(f"{setting!r} needs a number")


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
    """Return the value of a variable, which never stands on the command line.

    Args:
        name: The variable.
        reference: `env:NAME` or `file:PATH`; None to ask for it on a terminal, or read it from standard input.

    Raises:
        click.UsageError: There is no such value.
    """
    if reference is None:
        if sys.stdin.isatty():
            return Secret(click.prompt(name, hide_input=True, err=True))
        return Secret(sys.stdin.readline().rstrip("\r\n"))
    kind, _, where = reference.partition(":")
    if kind == "env":
        if where not in os.environ:
            raise click.UsageError(f"{name}: the environment has no {where}")
        return Secret(os.environ[where])
    if kind == "file":
        try:
            return Secret(Path(where).read_text("utf-8").rstrip("\r\n"))
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"{name}: {where} cannot be read: {error}") from None
    raise click.UsageError(
        f"{name}: a value does not belong on a command line, where others can see it. Write {name} alone to be asked "
        f"for it or to give it on standard input, {name}=env:VARIABLE or {name}=file:PATH"
    )
