"""The progress of deployments: a heap of timed events. Each request first applies the events that are due.

No task runs in the background. A deployment needs one object and at most one event. If a test moves the clock, all
builds progress. A build starts when its environment is free. If several deployments are waiting, the newest one
remains in the queue and the others become SKIPPED. The LIVE deployment is superseded when the next deployment goes
live. A rollback in the console makes a superseded deployment LIVE again.
"""

import heapq
import threading
from collections.abc import Callable, Iterator
from itertools import count

from launch_async.emulator.builds.script import BUILD, LogLine, Script, Scripts, default_lines
from launch_async.emulator.clock import iso_milliseconds, milliseconds
from launch_async.emulator.options import EmulatorOptions
from launch_async.emulator.state import NEWEST_COMMIT, Deployment, Environment, Record, State, Uids, Upload

LIVE = "LIVE"
QUEUED = "QUEUED"
FAILED = "FAILED"
SUPERSEDED = ("ARCHIVED", "DEPLOYED")
FINISHED = Script(seconds=0.0)


class Builds:
    """Starts, advances and describes builds."""

    def __init__(self, options: EmulatorOptions, state: State, uids: Uids) -> None:
        self.scripts: Scripts = Scripts()
        self._options = options
        self._state = state
        self._uids = uids
        self._events: list[tuple[float, int, Deployment]] = []
        self._order = count()
        self._lock = threading.Lock()
        self.run_command: Callable[[Deployment], None] | None = None

    def create(
        self,
        environment: Environment,
        now: float,
        *,
        upload: Upload | None = None,
        commit_hash: str | None = None,
        visible_at: float = 0.0,
    ) -> Deployment:
        """Queue a deployment. If its environment is free, the build starts ``queue_seconds`` from now."""
        environment.numbered += 1
        deployment = Deployment(
            uid=self._uids.launch(),
            environment=environment,
            number=environment.numbered,
            created_at=now,
            updated_at=now,
            script=self.scripts.take(environment.project.uid, environment.uid),
            settings=environment.settings,
            commit_message=_commit_message(commit_hash),
            commit_hash=commit_hash,
            upload=upload,
            folder=upload.folder if upload else None,
            command=self._command(environment, upload),
            problem=upload.problem if upload else None,
            visible_at=visible_at,
        )
        with self._lock:
            self._state.add(deployment)
            running = environment.building
            if running is not None and self._options.while_building == "fail":
                running.problem = "replaced by a newer deployment"
                self._end(running, FAILED, now)
                environment.building = running = None
            if running is None:
                self._reserve(deployment, now)
            else:
                if environment.waiting is not None:
                    self._end(environment.waiting, "SKIPPED", now)
                environment.waiting = deployment
        return deployment

    def add(self, environment: Environment, script: Script, at: float) -> Deployment:
        """Add a deployment that is created at ``at``, in the past or the future, and does not wait for other builds."""
        commit_hash = _newest_commit(environment)
        environment.numbered += 1
        deployment = Deployment(
            uid=self._uids.launch(),
            environment=environment,
            number=environment.numbered,
            created_at=at,
            updated_at=at,
            script=script,
            settings=environment.settings,
            commit_message=_commit_message(commit_hash),
            commit_hash=commit_hash,
            visible_at=at,
        )
        with self._lock:
            self._state.add(deployment)
            self._schedule(at + self._queue_seconds(script), deployment)
        return deployment

    def add_finished(self, environment: Environment, now: float) -> Deployment:
        """Add a deployment that has gone live at ``now``. The deployment that was LIVE is superseded."""
        began = now - self._options.build_seconds
        commit_hash = _newest_commit(environment)
        environment.numbered += 1
        deployment = Deployment(
            uid=self._uids.launch(),
            environment=environment,
            number=environment.numbered,
            created_at=began,
            updated_at=now,
            script=FINISHED,
            settings=environment.settings,
            commit_message=_commit_message(commit_hash),
            commit_hash=commit_hash,
            started_at=began,
        )
        self._state.add(deployment)
        self._go_live(deployment, now)
        self._end(deployment, LIVE, now)
        return deployment

    def roll_back(self, deployment: Deployment, now: float) -> None:
        """Make a superseded deployment LIVE again, without a build. The LIVE deployment is superseded.

        Raises:
            ValueError: The deployment is not eligible for a rollback.
        """
        with self._lock:
            if not deployment.rollback_eligible:
                raise ValueError(
                    f"The deployment {deployment.uid} is {deployment.status} and not eligible for a rollback: choose a "
                    "deployment with isRollbackEligible"
                )
            self._go_live(deployment, now)

    def apply_due_events(self, now: float) -> None:
        """Apply every event that is due. This is safe on any thread."""
        with self._lock:
            while self._events and self._events[0][0] <= now:
                due, _, deployment = heapq.heappop(self._events)
                if deployment.environment.deleted or deployment.ended_at is not None:
                    continue
                if deployment.started_at is None:
                    self._start(deployment, due)
                else:
                    self._finish(deployment, due)

    def complete(self, deployment: Deployment, now: float, problem: str | None) -> None:
        """End a deployment whose build command has ended."""
        with self._lock:
            if deployment.environment.deleted or deployment.ended_at is not None:
                return
            deployment.problem = problem
            self._finish(deployment, now)

    def resume(self) -> None:
        """Schedule the builds that were running when the state was saved."""
        for environment in self._state.environments.values():
            deployment = environment.building
            if deployment is None:
                continue
            if deployment.started_at is None or deployment.command is not None:
                deployment.started_at = None
                deployment.output.clear()
                self._state.record_change(deployment)
                self._reserve(deployment, deployment.created_at)
            else:
                self._schedule(deployment.started_at + self.seconds(deployment), deployment)

    def seconds(self, deployment: Deployment) -> float:
        """Return the length of a build in seconds."""
        chosen = deployment.script.seconds
        return self._options.build_seconds if chosen is None else chosen

    def lines(self, deployment: Deployment, now: float) -> Iterator[tuple[int, Record]]:
        """Yield the log lines that can be read at ``now``, oldest first: epoch milliseconds and wire form."""
        if deployment.started_at is None:
            return
        if deployment.command is not None:
            yield from _command_lines(deployment)
            return
        dated = [
            (milliseconds(deployment.started_at + line.at), line)
            for line in self._script_lines(deployment)
            if deployment.started_at + line.at + line.late <= now
        ]
        for stamp, line in sorted(dated, key=lambda pair: pair[0]):
            shown = line.timestamp if line.timestamp is not None else iso_milliseconds(stamp)
            yield stamp, {"message": line.message, "stage": line.stage, "timestamp": shown}

    def _script_lines(self, deployment: Deployment) -> tuple[LogLine, ...]:
        seconds = self.seconds(deployment)
        if deployment.problem is not None:
            opening = default_lines(seconds, FAILED)[:2]
            if deployment.started_at is not None and deployment.ended_at is not None:
                seconds = deployment.ended_at - deployment.started_at
            return (*opening, LogLine(f"Error: {deployment.problem}", BUILD, at=seconds))
        scripted = deployment.script.lines
        return default_lines(seconds, deployment.script.outcome) if scripted is None else scripted

    def _reserve(self, deployment: Deployment, now: float) -> None:
        deployment.environment.building = deployment
        self._schedule(now + self._queue_seconds(deployment.script), deployment)

    def _queue_seconds(self, script: Script) -> float:
        return self._options.queue_seconds if script.queue_seconds is None else script.queue_seconds

    def _start(self, deployment: Deployment, at: float) -> None:
        deployment.started_at = deployment.updated_at = at
        deployment.status = deployment.script.running_status
        if deployment.command is not None and self.run_command is not None:
            self.run_command(deployment)
        else:
            self._schedule(at + self.seconds(deployment), deployment)

    def _command(self, environment: Environment, upload: Upload | None) -> str | None:
        """Return the build command to run; None without real builds or without an archive."""
        command = environment.settings.get("buildCommand")
        if self.run_command is None or not command or upload is None or upload.problem is not None:
            return None
        return str(command)

    def _finish(self, deployment: Deployment, at: float) -> None:
        environment = deployment.environment
        outcome = FAILED if deployment.problem is not None else deployment.script.outcome
        if outcome == LIVE:
            self._go_live(deployment, at)
        self._end(deployment, outcome, at)
        if environment.building is not deployment:
            return
        environment.building = None
        if environment.waiting is not None:
            following, environment.waiting = environment.waiting, None
            environment.building = following
            self._schedule(at, following)

    def _go_live(self, deployment: Deployment, at: float) -> None:
        previous, deployment.environment.live = deployment.environment.live, deployment
        if previous is not None:
            previous.status = self._options.superseded_status
            previous.updated_at = at
        deployment.status = LIVE
        deployment.updated_at = at
        deployment.rollback_eligible = False
        self._offer_rollbacks(deployment.environment)

    def _offer_rollbacks(self, environment: Environment) -> None:
        """Make the newest superseded deployments eligible for a rollback. The plan determines their number."""
        superseded = (one for one in reversed(environment.deployments.values()) if one.status in SUPERSEDED)
        for place, deployment in enumerate(superseded):
            is_retained = place < self._options.rollback_retention
            if not is_retained and not deployment.rollback_eligible:
                return  # The older deployments are not eligible either.
            deployment.rollback_eligible = is_retained

    def _end(self, deployment: Deployment, status: str, at: float) -> None:
        deployment.status = status
        deployment.updated_at = deployment.ended_at = at

    def _schedule(self, at: float, deployment: Deployment) -> None:
        heapq.heappush(self._events, (at, next(self._order), deployment))


def _command_lines(deployment: Deployment) -> Iterator[tuple[int, Record]]:
    """Yield the output of the build command, and the reason of a failure."""
    for stamp, message in deployment.output:
        yield stamp, {"message": message, "stage": BUILD, "timestamp": iso_milliseconds(stamp)}
    if deployment.problem is not None and deployment.ended_at is not None:
        stamp = milliseconds(deployment.ended_at)
        yield stamp, {"message": f"Error: {deployment.problem}", "stage": BUILD, "timestamp": iso_milliseconds(stamp)}


def _newest_commit(environment: Environment) -> str | None:
    return NEWEST_COMMIT if environment.project.kind == "GITPROVIDER" else None


def _commit_message(commit_hash: str | None) -> str:
    return "Triggered By File Upload" if commit_hash is None else f"Commit {commit_hash[:7]}"
