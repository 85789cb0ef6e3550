"""How a build goes: its length, its outcome and its log, scripted or by default."""

from collections.abc import Iterable
from functools import lru_cache

from attrs import define, field, frozen
from attrs.validators import ge, optional

INSTALL = "INSTALLING_DEPENDENCIES"
BUILD = "BUILD"


@frozen
class LogLine:
    """One build-log line.

    Attributes:
        message: the text.
        stage: an open string (FACTS §11 row 25).
        at: seconds between the start of the build and the line's timestamp.
        late: seconds by which the line can be read later than its timestamp says; it may outlast the build.
        timestamp: shown in place of the computed one, for instance an unreadable one.
    """

    message: str
    stage: str = BUILD
    at: float = field(default=0.0, kw_only=True)
    late: float = field(default=0.0, kw_only=True, validator=ge(0))
    timestamp: str | None = field(default=None, kw_only=True)


@frozen(kw_only=True)
class Script:
    """The course of one build.

    Attributes:
        outcome: the last status: LIVE, FAILED, CANCELLED, or anything else the service might say one day.
        seconds: time from DEPLOYING to the outcome; None takes the emulator's ``build_seconds``.
        queue_seconds: time from creation to DEPLOYING when nothing else runs; None takes the emulator's.
        lines: the log; None takes the default one.
        running_status: shown while it builds.
    """

    outcome: str = "LIVE"
    seconds: float | None = field(default=None, validator=optional(ge(0)))
    queue_seconds: float | None = field(default=None, validator=optional(ge(0)))
    lines: tuple[LogLine, ...] | None = None
    running_status: str = "DEPLOYING"


@lru_cache(maxsize=256)
def default_lines(seconds: float, outcome: str) -> tuple[LogLine, ...]:
    """The log of a build of ``seconds``; two of its lines share a millisecond (FACTS §10 quirk 15)."""
    last = "Deployment is live" if outcome == "LIVE" else f"Deployment ended {outcome}"
    return (
        LogLine("Preparing the build machine", INSTALL, at=0.0),
        LogLine("Installing dependencies", INSTALL, at=seconds * 0.1),
        LogLine("Dependencies are ready", INSTALL, at=seconds * 0.3),
        LogLine("Building the site", BUILD, at=seconds * 0.4),
        LogLine("Collecting the output", BUILD, at=seconds * 0.4),
        LogLine("Publishing", BUILD, at=seconds * 0.8),
        LogLine(last, BUILD, at=seconds),
    )


@define(eq=False)
class _Pending:
    script: Script
    times: int | None
    project_uid: str | None
    environment_uid: str | None


class Scripts:
    """The scripts that wait for a deployment to play them. The first that matches is taken."""

    def __init__(self) -> None:
        self._pending: list[_Pending] = []

    def add(
        self,
        script: Script,
        *,
        times: int | None = 1,
        project_uid: str | None = None,
        environment_uid: str | None = None,
    ) -> None:
        """Have the next ``times`` deployments (None: all) of that project or environment (None: any) follow ``script``.

        Raises:
            ValueError: ``times`` is less than 1.
        """
        if times is not None and times < 1:
            raise ValueError(f"times must be at least 1 or None, got {times}")
        self._pending.append(_Pending(script, times, project_uid, environment_uid))

    def clear(self) -> None:
        """Forget the scripts that have not been played."""
        self._pending.clear()

    def take(self, project_uid: str, environment_uid: str) -> Script:
        """The script for a new deployment; the default one if none waits for it."""
        for pending in self._pending:
            if pending.project_uid in (None, project_uid) and pending.environment_uid in (None, environment_uid):
                if pending.times is not None:
                    pending.times -= 1
                    if pending.times == 0:
                        self._pending.remove(pending)
                return pending.script
        return Script()


def script_of(
    outcome: str = "LIVE",
    *,
    seconds: float | None = None,
    queue_seconds: float | None = None,
    lines: Iterable[LogLine | str] | None = None,
    running_status: str = "DEPLOYING",
) -> Script:
    """A script from convenient pieces: a string among the lines is one of stage BUILD at the start of the build."""
    if isinstance(lines, str):
        raise ValueError(f"lines are several, such as [{lines!r}]")
    spelled = None if lines is None else tuple(LogLine(line) if isinstance(line, str) else line for line in lines)
    return Script(
        outcome=outcome, seconds=seconds, queue_seconds=queue_seconds, lines=spelled, running_status=running_status
    )
