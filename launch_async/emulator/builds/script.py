"""Scripts of builds: the length, the outcome and the log of a build."""

from collections.abc import Iterable
from functools import lru_cache

from attrs import define, field, frozen
from attrs.validators import ge, optional

INSTALL = "INSTALLING_DEPENDENCIES"
BUILD = "BUILD"


@frozen
class LogLine:
    """One line of a build log.

    Attributes:
        message: Text of the line.
        stage: Stage of the build; any string.
        at: Seconds from the start of the build to the timestamp of the line.
        late: Seconds after its timestamp until the line can be read. This may be after the end of the build.
        timestamp: Timestamp to show instead of the computed timestamp. It may be invalid.
    """

    message: str
    stage: str = BUILD
    at: float = field(default=0.0, kw_only=True)
    late: float = field(default=0.0, kw_only=True, validator=ge(0.0))
    timestamp: str | None = field(default=None, kw_only=True)


@frozen(kw_only=True)
class Script:
    """The length, the outcome and the log of one build.

    Attributes:
        outcome: Last status: LIVE, FAILED, CANCELLED, or any other text, such as a status that does not exist yet.
        seconds: Seconds from DEPLOYING to the outcome; None for the option ``build_seconds``.
        queue_seconds: Seconds from the creation to DEPLOYING if no other build is running; None for the option
            ``queue_seconds``.
        lines: Lines of the log; None for a default log.
        running_status: Status while the build is running.
    """

    outcome: str = "LIVE"
    seconds: float | None = field(default=None, validator=optional(ge(0.0)))
    queue_seconds: float | None = field(default=None, validator=optional(ge(0.0)))
    lines: tuple[LogLine, ...] | None = None
    running_status: str = "DEPLOYING"


@lru_cache(maxsize=256)
def default_lines(seconds: float, outcome: str) -> tuple[LogLine, ...]:
    """Return the default log of a build of ``seconds``. Two lines share a millisecond, as in logs of the service."""
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
    """The scripts for the next deployments. A new deployment takes the first script that matches."""

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
        """Add a script.

        Args:
            script: The script.
            times: Number of deployments that follow the script; None for all further deployments.
            project_uid: Project of these deployments; None for any project.
            environment_uid: Environment of these deployments; None for any environment.

        Raises:
            ValueError: ``times`` is less than 1.
        """
        if times is not None and times < 1:
            raise ValueError(f"times is {times}: choose at least 1, or None for all deployments")
        self._pending.append(_Pending(script, times, project_uid, environment_uid))

    def clear(self) -> None:
        """Remove all scripts that no deployment has taken yet."""
        self._pending.clear()

    def take(self, project_uid: str, environment_uid: str) -> Script:
        """Return the script for a new deployment; the default script if no other script matches."""
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
    """Return a script. A string in ``lines`` becomes a line of stage BUILD at the start of the build.

    Raises:
        ValueError: A value is out of its range, or ``lines`` is a string.
    """
    if isinstance(lines, str):
        raise ValueError(f"lines is a string: pass a list of lines, such as [{lines!r}]")
    spelled = None if lines is None else tuple(LogLine(line) if isinstance(line, str) else line for line in lines)
    return Script(
        outcome=outcome, seconds=seconds, queue_seconds=queue_seconds, lines=spelled, running_status=running_status
    )
