"""`Fleet`: the bulk operations of a client. Select environments, make a plan, run the plan, resume a run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import attrs

from launch_async.archive.archive import SecretFiles
from launch_async.deploy.release.check import CheckLike, checks_of
from launch_async.deploy.sources import Commit, LatestCommit, PreviousUpload, Source, ready_archive
from launch_async.errors import ConfigurationError, InvalidArgumentError
from launch_async.fleet.journal.given import journal_of
from launch_async.fleet.journal.journal import Journal
from launch_async.fleet.plan.actions import (
    Action,
    DeleteEnvironments,
    PlannedSource,
    Redeploy,
    RevalidateCache,
    SetVariables,
    VariableChange,
    WhenBusy,
)
from launch_async.fleet.plan.confirmation import PROTECTED
from launch_async.fleet.plan.plan import Plan
from launch_async.fleet.plan.reading import ReadingClock
from launch_async.fleet.plan.selecting import (
    Criteria,
    batches,
    find_all,
    gather,
    look_up_newest,
    read_targets,
    sampled,
    select,
    target_of,
    with_readings,
)
from launch_async.fleet.plan.targets import Selection, Target, several
from launch_async.fleet.plan.waves import STOP_ON_FAILURES
from launch_async.fleet.report.report import FleetReport
from launch_async.fleet.run.checks import check_confirmation, check_values
from launch_async.fleet.run.control import FleetControl
from launch_async.fleet.run.events import FleetEvent
from launch_async.fleet.run.kept_report import kept_report
from launch_async.fleet.run.options import RunOptions
from launch_async.fleet.run.running import FleetRun
from launch_async.fleet.services import FleetServices
from launch_async.http.metering import Meter, metered
from launch_async.http.operation import check_text
from launch_async.models.deployment import DeploymentStatus
from launch_async.models.framework_preset import FrameworkPreset
from launch_async.rate_limit.types import Priority
from launch_async.resources._inputs import check_variables
from launch_async.resources._resource import with_methods
from launch_async.resources.environments import check_revalidation
from launch_async.watch.audience import showing_run
from launch_async.wire.secret import hidden

__all__ = ["Fleet"]


class Fleet:
    """Bulk operations on many environments. `select` and `plan_*` only read. `run` and `resume` change environments."""

    def __init__(self, services: FleetServices) -> None:
        self._services = services

    def __repr__(self) -> str:
        return with_methods(self, self._services.pipeline.base_url)

    async def select(
        self,
        *,
        projects: str | Iterable[str] | None = None,
        environments: str | Iterable[str] | None = None,
        project_uids: Iterable[str] | None = None,
        environment_uids: Iterable[str] | None = None,
        git_branch: str | None = None,
        framework_preset: FrameworkPreset | str | None = None,
        last_status: DeploymentStatus | str | Iterable[DeploymentStatus | str] | None = None,
        idle_for: timedelta | None = None,
        domain: str | Iterable[str] | None = None,
        file: str | os.PathLike[str] | None = None,
    ) -> Selection:
        """Return the environments of the organization that match every argument.

        This takes one request for each 100 projects and one for each matching project. `last_status` and `idle_for`
        take one more for each environment that matches the other arguments. `domain` takes one more for each of these
        environments if the listing names no domain for it.

        Args:
            projects: Names, globs such as `shop-*`, or UIDs of projects, as for `LaunchClient.find`. A project matches
                if one of them matches.
            environments: Names, globs or UIDs of environments. An environment matches if one of them matches.
            project_uids: UIDs of projects.
            environment_uids: UIDs of environments.
            git_branch: Pattern of the branch.
            framework_preset: Framework preset of the environment, such as `NEXTJS`.
            last_status: Status of the newest deployment, one or several. After a rollback in the console, the newest
                deployment is a superseded one, and an older deployment is LIVE.
            idle_for: Minimum age of the newest deployment.
            domain: Patterns of domains, such as `www.example.com` or `*.example.com`, in upper or lower case. An
                environment matches if one of its domains matches one of the patterns.
            file: A file with targets, instead of all other arguments. The file is JSON (a list of objects with the keys
                "project_uid" and "environment_uid", or "project" and "environment"), or text with a project and an
                environment on each line, by UID or name. Names take a listing of the projects, and a listing of each
                project's environments. UIDs take no request.

        Raises:
            InvalidArgumentError: A UID is malformed, or the file has another format.
            NameNotFound: No project, or no environment of its project, has a name in the file.
            AmbiguousName: Several projects or environments have a name in the file.

        API: `listProjects`, `listEnvironments`, `listDeployments`, `listDomains`; scope `launch.projects:read` or
        `launch:manage`.
        """
        criteria = Criteria(
            projects=projects,
            environments=environments,
            project_uids=project_uids,
            environment_uids=environment_uids,
            git_branch=git_branch,
            framework_preset=framework_preset,
            last_status=last_status,
            idle_for=idle_for,
            domains=domain,
        )
        if file is None:
            return await select(self._services, criteria)
        if criteria != Criteria():
            raise InvalidArgumentError("file", "already lists the targets and cannot be combined with other arguments")
        return await read_targets(self._services, file)

    async def plan_redeploy(
        self,
        targets: Iterable[Target],
        source: Source | None = None,
        *,
        when_busy: WhenBusy = "queue",
        look_up: bool = False,
        secrets: SecretFiles = "refuse",
    ) -> Plan:
        """Make a plan that deploys each target once. Nothing is changed.

        If targets do not show how long their builds take, this reads the deployments of five targets to forecast the
        requests of the run.

        Args:
            targets: The environments.
            source: The source to deploy: `LatestCommit()`, `PreviousUpload()`, `Commit(sha)`, a folder or a .zip. The
                SDK packs and uploads files once. By default, a Git project deploys its newest commit, and a file-upload
                project deploys its previous ZIP.
            when_busy: How to treat an environment that is already deploying: `queue` a new deployment after the
                running one, `attach` to the running one, or `skip` the environment.
            look_up: Whether to read the newest deployments of each target first, unless the selection has done so. This
                takes one or two requests for each target. The plan then shows what is already deploying and how long
                the slowest build took. The run ends sooner: each wave begins with its slowest build, and the default
                waves take quick builds first.
            secrets: How to treat files that contain secrets, as for `LaunchClient.deploy`.

        Raises:
            InvalidArgumentError: There is no target, a target is listed twice, or the source cannot be planned.
            ArchiveError: The folder or ZIP cannot be uploaded.
        """
        if when_busy not in {"queue", "attach", "skip"}:
            raise InvalidArgumentError("when_busy", f"must be 'queue', 'attach' or 'skip', not {when_busy!r}")
        action = Redeploy(source=await _planned(source, secrets), when_busy=when_busy)
        chosen = list(targets)
        if look_up:
            chosen = await look_up_newest(self._services, chosen)
        chosen, build_seconds = await sampled(self._services, chosen)
        return self._plan(action, chosen, build_seconds=build_seconds)

    async def plan_variables(
        self,
        targets: Iterable[Target],
        variables: Mapping[str, str] | None = None,
        *,
        remove: str | Iterable[str] = (),
    ) -> Plan:
        """Make a plan that sets variables in each target and removes others. Nothing is written.

        This reads each target, unless it was selected within the last five minutes and this process has changed nothing
        since. The plan shows the names that would change in each environment. It contains no values: pass the values
        again when the plan runs.

        Args:
            targets: The environments.
            variables: Values by name.
            remove: Names of the variables to remove.

        Raises:
            InvalidArgumentError: There is nothing to change, a variable is both set and removed, or the result would
                exceed a limit of the service (128 variables, 14 KB, no empty values).

        API: `getEnvironment`; scope `launch.projects:read` or `launch:manage`.
        """
        variables = hidden(variables)
        values, removed = variables or {}, tuple(dict.fromkeys(several(remove)))
        check_variables(values)
        if not values and not removed:
            raise InvalidArgumentError(
                "variables", "no variable is set or removed, so there is nothing to plan. Pass `variables` or `remove`"
            )
        if both := sorted(values.keys() & set(removed)):
            raise InvalidArgumentError("remove", f"a plan cannot both set and remove {', '.join(both)}")
        chosen = await with_readings(self._services, list(targets))
        changes: dict[str, VariableChange] = {}
        for target in chosen:
            assert target.reading is not None  # noqa: S101 - `with_readings` has read it
            current = target.reading.variables
            check_variables({**{name: current[name] for name in current if name not in removed}, **values})
            changes[target.environment_uid] = VariableChange.between(current, values, removed)
        return self._plan(SetVariables(names=tuple(values), removed=removed), chosen, changes)

    async def plan_revalidate(
        self,
        targets: Iterable[Target],
        *,
        path: str | None = None,
        is_prefix: bool = False,
        cache_tags: Sequence[str] | None = None,
        hostnames: Sequence[str] | None = None,
    ) -> Plan:
        """Make a plan that purges each target's CDN cache by a path, tags or host names. Nothing is purged.

        Args:
            targets: The environments.
            path: Path that starts with `/`.
            is_prefix: Whether to also purge everything below the path.
            cache_tags: 1 to 100 tags.
            hostnames: Host names without scheme and path.

        Raises:
            InvalidArgumentError: None or several of path, tags and host names were passed, or the organization's daily
                quota is too small for all targets.

        API: `getCacheRevalidationUsage`.
        """
        check_revalidation(path, is_prefix=is_prefix, cache_tags=cache_tags, hostnames=hostnames)
        chosen = list(targets)
        left = (await self._services.usage.cache_revalidations()).remaining
        if left is not None and left < len(chosen):
            raise InvalidArgumentError(
                "targets",
                f"need {len(chosen)} cache revalidations, but the organization has only {left} left today. "
                "Plan fewer targets, or redeploy them: a redeployment also purges the whole cache",
            )
        action = RevalidateCache(
            path=path,
            is_prefix=is_prefix,
            cache_tags=None if cache_tags is None else tuple(cache_tags),
            hostnames=None if hostnames is None else tuple(hostnames),
        )
        return self._plan(action, chosen)

    async def plan_delete(self, environments: Iterable[tuple[str, str]]) -> Plan:
        """Make a plan that deletes the given environments. Nothing is deleted.

        Args:
            environments: Pairs of project and environment, each by UID or name. Globs are not accepted on purpose.

        Raises:
            InvalidArgumentError: The list is empty.
            NotFoundError: A project or environment does not exist (404).
            NameNotFound: No project, or no environment of its project, has this name.
            AmbiguousName: Several projects or environments have this name.

        API: `getProject`, `getEnvironment`; scope `launch.projects:read` or `launch:manage`.
        """
        began = ReadingClock()
        targets: list[Target] = []
        with metered(Meter(priority=Priority.WRITE)):
            pairs = await find_all(self._services, list(environments))
            names = {uid: await self._services.projects.get(uid) for uid in dict.fromkeys(uid for uid, _ in pairs)}
            for batch in batches(pairs):
                found = await gather(self._services.environments.get(*pair) for pair in batch)
                targets += [target_of(names[uid], one, began) for (uid, _), one in zip(batch, found, strict=True)]
        return self._plan(DeleteEnvironments(), targets)

    async def run(
        self,
        plan: Plan,
        *,
        journal: str | os.PathLike[str] | Journal | None = None,
        variables: Mapping[str, str] | None = None,
        confirm: int | None = None,
        protected: str | Iterable[str] = PROTECTED,
        canary: int = 0,
        wave_size: int | None = None,
        concurrency: int | None = None,
        stop_on_failures: float | None = STOP_ON_FAILURES,
        timeout: float | None = None,
        deployment_timeout: float = 3600.0,
        on_event: Callable[[FleetEvent], object] | None = None,
        progress: bool | None = None,
        control: FleetControl | None = None,
        verify: CheckLike | Iterable[CheckLike] = (),
    ) -> FleetReport:
        """Run a plan, and report the outcome of each target.

        With a journal, `resume` can finish a run that was killed, stopped or cancelled at any moment. No operation
        happens twice. After a cancellation, the run sends no new operations, and records the outcomes of those that it
        has sent.

        Args:
            plan: The plan.
            journal: File of the journal, or a journal that implements `Journal`. Without a journal, an interrupted run
                cannot be resumed.
            variables: Values of the variables that the plan sets.
            confirm: Number of environments that you want to change. The number is required, and must be correct, for
                more than 20 targets, for protected names, for names that the plan does not know, and for deletions.
            protected: Name patterns of protected environments, in upper or lower case. Changes of these environments
                need a confirmation. The run reads the names again before it sends anything (one request for each
                project), and refuses an environment that has become protected since the plan was made. `()` protects
                no environment.
            canary: Number of targets in a first wave that must all succeed before the run continues. Skipped targets do
                not count.
            wave_size: Number of targets in each further wave; None for growing waves: a tenth of the targets, then two,
                three and four tenths.
            concurrency: Number of targets that are in progress at the same time; None for all targets of a wave.
            stop_on_failures: Share of the targets, 0 to 1, that may fail before the run stops. None never stops, and
                sends all targets in one wave unless `wave_size` is given.
            timeout: Seconds for the whole run; None for no limit.
            deployment_timeout: Seconds that one deployment may take.
            on_event: Called with each event. If it raises an exception, the run stops, can be resumed from its journal,
                and raises the exception.
            progress: Whether to show the progress, as `FleetProgress` does. By default, `launch_sync` shows it in an
                interactive session (Jupyter, IPython, a Python prompt) if there is no `on_event`, and `launch_async`
                does not.
            control: Pauses, resumes or stops the run from outside.
            verify: Checks of each live site, as for `LaunchClient.deploy`. A target whose site fails a check has
                failed, so a canary also tests the health of its site. For redeployments only. The run restores nothing.

        Returns:
            The report. It contains the failures of single targets, which are not raised.

        Raises:
            InvalidArgumentError: A confirmation or the values are missing, an option is out of range, a target has
                become protected, or the journal's run began with other values.
            ArchiveError: The files that the plan deploys have changed since, or cannot be packed. Nothing was sent.
            ConfigurationError: The plan was made for another organization or region.
            JournalError: The journal cannot be used. It was left unchanged. `JournalInUse` if another run uses it.
        """
        variables = hidden(variables)
        self._check_owner(plan)
        check_confirmation(plan, confirm, several(protected))
        options = RunOptions(
            canary=canary,
            wave_size=wave_size,
            concurrency=concurrency,
            stop_on_failures=stop_on_failures,
            timeout=timeout,
            deployment_timeout=deployment_timeout,
            variables=variables,
            protected=several(protected),
            on_event=on_event,
            control=control or FleetControl(),
            verify=checks_of(verify),
        )
        check_values(plan, options)
        kept = journal_of(journal)
        kept.open(plan, check=self._check_owner)
        try:
            return await self._run(plan, kept, options, progress, resumption=_resumption(plan, journal))
        finally:
            kept.close()

    async def resume(
        self,
        journal: str | os.PathLike[str] | Journal,
        *,
        variables: Mapping[str, str] | None = None,
        protected: str | Iterable[str] = PROTECTED,
        canary: int = 0,
        wave_size: int | None = None,
        concurrency: int | None = None,
        stop_on_failures: float | None = STOP_ON_FAILURES,
        timeout: float | None = None,
        deployment_timeout: float = 3600.0,
        on_event: Callable[[FleetEvent], object] | None = None,
        progress: bool | None = None,
        control: FleetControl | None = None,
        verify: CheckLike | Iterable[CheckLike] = (),
    ) -> FleetReport:
        """Finish an interrupted run: check unknown outcomes, and carry out the remaining operations exactly once.

        Failed targets are not retried: make a new plan for the targets in the report's `failures`. Only failures of
        this run count for `stop_on_failures`. If nothing is left to do, the run sends no request, and the report says
        so.

        The options are those of `run`. Pass the `variables` and `verify` that the run began with. `canary` and waves
        apply to targets that have not begun. `timeout` is for the rest of the run. The run refuses an environment that
        has become protected since the plan was made.

        Returns:
            The report of all runs of the plan.

        Raises:
            InvalidArgumentError: The values are missing or differ from those that the run began with, an option is out
                of range, or a target has become protected.
            ArchiveError: The files that the plan deploys have changed since, or cannot be packed. Nothing was sent.
            ConfigurationError: The plan was made for another organization or region.
            JournalError: The journal cannot be used. It was left unchanged. `JournalInUse` if another run uses it.
        """
        variables = hidden(variables)
        options = RunOptions(
            canary=canary,
            wave_size=wave_size,
            concurrency=concurrency,
            stop_on_failures=stop_on_failures,
            timeout=timeout,
            deployment_timeout=deployment_timeout,
            variables=variables,
            protected=several(protected),
            on_event=on_event,
            control=control or FleetControl(),
            verify=checks_of(verify),
        )
        kept = journal_of(journal)
        plan = kept.open(None, check=self._check_owner)
        try:
            check_values(plan, options)
            return await self._run(plan, kept, options, progress, resumption=_resumption(plan, journal))
        finally:
            kept.close()

    async def report(self, journal: str | os.PathLike[str]) -> FleetReport:
        """Return the report of a run from the file of its journal, without a request or a change of the file.

        This also works while the run continues, and after it was killed.

        Args:
            journal: The file.

        Raises:
            JournalError: The file does not exist, or is damaged.
        """
        return await asyncio.to_thread(kept_report, journal)

    async def _run(
        self, plan: Plan, journal: Journal, options: RunOptions, progress: bool | None, *, resumption: str | None
    ) -> FleetReport:
        with showing_run(progress, options.on_event) as on_event:
            observed = attrs.evolve(options, on_event=on_event)
            return await FleetRun(self._services, plan, journal, observed, resumption=resumption).run()

    def _plan(
        self,
        action: Action,
        targets: Iterable[Target],
        changes: Mapping[str, VariableChange] | None = None,
        *,
        build_seconds: Sequence[float] = (),
    ) -> Plan:
        budget = self._services.pipeline.limiter.status()
        return Plan.make(
            action,
            list(targets),
            host=self._services.host,
            organization_uid=self._services.pipeline.organization_uid,
            rate=budget.rate,
            poll_rate=budget.poll_rate,
            changes=changes,
            build_seconds=build_seconds,
            created_at=self._services.service_time,
        )

    def _check_owner(self, plan: Plan) -> None:
        organization = self._services.pipeline.organization_uid
        if plan.host != self._services.host:
            raise ConfigurationError(
                f"The plan was made for {plan.host}, but this client uses {self._services.host}. Use a client of the "
                "plan's region, or make a new plan"
            )
        if None not in (plan.organization_uid, organization) and plan.organization_uid != organization:
            raise ConfigurationError(
                f"The plan was made for organization {plan.organization_uid}, but this client uses {organization}. Use "
                "a client of the plan's organization, or make a new plan"
            )


async def _planned(source: Source | None, secrets: SecretFiles) -> PlannedSource:
    if source is None or isinstance(source, LatestCommit):
        return PlannedSource(kind="latest_commit")
    if isinstance(source, PreviousUpload):
        return PlannedSource(kind="previous_upload")
    if isinstance(source, Commit):
        return PlannedSource(kind="commit", commit_hash=check_text("source", source.commit_hash))
    if not isinstance(source, str | os.PathLike):
        raise InvalidArgumentError(
            "source", "must be a path, a Commit, LatestCommit() or PreviousUpload(), so that the plan can be saved"
        )
    async with ready_archive(source, secrets=secrets) as archive:
        return PlannedSource(kind="files", path=_absolute(source), content_hash=archive.content_hash, secrets=secrets)


def _absolute(source: str | os.PathLike[str]) -> str:
    return str(Path(source).absolute())


def _resumption(plan: Plan, journal: str | os.PathLike[str] | Journal | None) -> str | None:
    """Return the call that resumes a run after an interruption; None if the run has no journal."""
    if journal is None:
        return None
    name = repr(os.fspath(journal)) if isinstance(journal, str | os.PathLike) else "journal"
    values = ", variables=variables" if isinstance(plan.action, SetVariables) and plan.action.names else ""
    return f"launch.fleet.resume({name}{values})"
