"""Log lines of a build and of a running server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar, cast, overload

import attrs

from launch_async._views import FRAME, Displayable
from launch_async.models.base import OpenEnum, WireModel

if TYPE_CHECKING:
    import pandas as pd


class LogStage(OpenEnum):
    """Stage of a build. The service may also send other stages.

    Attributes:
        INSTALLING_DEPENDENCIES: Installation of the packages that the site needs.
        BUILD: Build of the site.
    """

    INSTALLING_DEPENDENCIES = "INSTALLING_DEPENDENCIES"
    BUILD = "BUILD"


@attrs.frozen(slots=False, kw_only=True)
class LogLine(Displayable, WireModel):
    """One line of a deployment's build log (`DeploymentLog` in `openapi.yaml`).

    Attributes:
        message: Text of the line. If the service sent a JSON value that is not a string, the JSON text of the value.
        stage: Stage of the build.
        timestamp: Time of the line; None if the service sent no timestamp, or an unreadable one. `extra["timestamp"]`
            then contains its text.
        deployment_uid: UID of the deployment.

    If a field cannot be read, the line is still returned. `extra` contains the value under its wire name.
    """

    message: str = ""
    stage: LogStage | None = None
    timestamp: datetime | None = None
    deployment_uid: str | None = None

    def __str__(self) -> str:
        return self.message


@attrs.frozen(slots=False, kw_only=True)
class ServerLogLine(Displayable, WireModel):
    """One line of a server's log (`ServerLog` in `openapi.yaml`).

    Attributes:
        message: Text of the line. If the service sent a JSON value that is not a string, the JSON text of the value.
        source: Part of the site that wrote the line.
        timestamp: Time of the line; None if the service sent no timestamp, or an unreadable one. `extra["timestamp"]`
            then contains its text.

    If a field cannot be read, the line is still returned. `extra` contains the value under its wire name.
    """

    message: str = ""
    source: str | None = None
    timestamp: datetime | None = None

    def __str__(self) -> str:
        return self.message


L = TypeVar("L", LogLine, ServerLogLine)


class Log(Displayable, Sequence[L]):
    """A sequence of log lines, oldest first. Notebooks show it as a log.

    A long log creates the object of a line when you read the line, because a million objects would need 1 GB of memory.

    Args:
        lines: The lines.
    """

    def __init__(self, lines: Iterable[L] = ()) -> None:
        # Do not copy a sequence, because it may create its lines only when they are read.
        self._lines: Sequence[L] = lines if isinstance(lines, Sequence) else tuple(lines)

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[L]:
        return iter(self._lines)

    @overload
    def __getitem__(self, index: int) -> L: ...
    @overload
    def __getitem__(self, index: slice) -> Log[L]: ...
    def __getitem__(self, index: int | slice) -> L | Log[L]:
        return Log(self._lines[index]) if isinstance(index, slice) else self._lines[index]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Log | tuple | list):
            return NotImplemented
        others = cast("Sequence[object]", other)
        return len(self) == len(others) and all(one == another for one, another in zip(self, others, strict=True))

    def __hash__(self) -> int:
        return hash((len(self), *self[:1]))

    def __repr__(self) -> str:
        return f"<Log of {len(self):,} lines>"

    def __str__(self) -> str:
        return "\n".join(line.message for line in self)

    def to_frame(self) -> pd.DataFrame:
        """Return a pandas data frame with a row for each line.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        return FRAME(self)
