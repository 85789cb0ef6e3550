"""`Fleet`: the bulk operations of a client. Select, plan, look at the plan, run it, resume what was interrupted."""

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
    """Bulk operations on many environments. `select` and `plan_*` only read; nothing is changed before `run`."""

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
        """Return the environments of the organization that fit everything that is given.

        It takes a request for each 100 projects and one for each project that fits. With `last_status` or `idle_for` it
        takes another one for each environment that fits so far, and with `domain` one for each of these whose listing
        names no domain.

        Args:
            projects: Names, globs such as `shop-*`, or UIDs of projects, as for `LaunchClient.find`; any one must fit.
            environments: Names, globs or UIDs of environments; any one must fit.
            project_uids: UIDs of projects.
            environment_uids: UIDs of environments.
            git_branch: Pattern of the branch.
            framework_preset: How the site is built and served.
            last_status: Status of the newest deployment; any one of several must fit. After a rollback in the
                console the newest deployment is a superseded one, and an older one is LIVE.
            idle_for: How old the newest deployment must be at least.
            domain: Patterns of domains, such as `www.example.com` or `*.example.com` (case does not matter); one of
                those that point to the environment must fit one of them.
            file: Targets from a file instead: JSON (a list of objects with `project_uid` and `environment_uid`, or
                with `project` and `environment`), or a project and an environment on each line, by UID or name. UIDs
                take no request; names take a listing of the projects and one of each project's environments.

        Raises:
            InvalidArgumentError: A UID is malformed, or the file holds something else.
            NameNotFound: The file has a name that no project, or no environment of its project, has.
            AmbiguousName: Several have a name that the file has.

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
            raise InvalidArgumentError("file", "is a list of targets; nothing else can be given beside it")
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
        """Plan to deploy each target once; nothing is changed.

        Where targets do not tell how long their builds take, it looks at the deployments of five of them, to say how
        many requests a run takes.

        Args:
            targets: The environments.
            source: What from: `LatestCommit()`, `PreviousUpload()`, `Commit(sha)`, a folder or a .zip, that is built
                once and uploaded once. By default the newest commit or the previous ZIP, whichever the project has.
            when_busy: What to do with an environment that is deploying already: `queue` another deployment behind it,
                `attach` to the running one, or `skip` it.
            look_up: Look up the newest deployments of each target first, unless the selection has: a request or two for
                each. The plan then says what is deploying already and how long the slowest build took, and the run
                ends sooner: each wave begins with its slowest build, and the default waves take quick builds first.
            secrets: What to do about files that hold secrets, as for `LaunchClient.deploy`.

        Raises:
            InvalidArgumentError: There is no target, one is there twice, or the source cannot be planned.
            ArchiveError: The folder or ZIP cannot be uploaded as it is.
        """
        if when_busy not in {"queue", "attach", "skip"}:
            raise InvalidArgumentError("when_busy", f"{when_busy!r} is not queue, attach or skip")
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
        """Plan to set variables in each target, and to remove others; nothing is written.

        Each target is read, unless it was selected within the last five minutes and nothing was changed since. The
        plan shows what would change in which environment, by name. It holds no value: give the values again when
        it runs.

        Args:
            targets: The environments.
            variables: Values by name.
            remove: Names of variables that go.

        Raises:
            InvalidArgumentError: Nothing is to be changed, a variable is both set and removed, or a limit of FACTS §4
                would be broken.

        API: `getEnvironment`; scope `launch.projects:read` or `launch:manage`.
        """
        variables = hidden(variables)
        values, removed = variables or {}, tuple(dict.fromkeys(several(remove)))
        check_variables(values)
        if not values and not removed:
            raise InvalidArgumentError("variables", "are empty, and nothing is to be removed")
        if both := sorted(values.keys() & set(removed)):
            raise InvalidArgumentError("remove", f"{', '.join(both)} cannot be both set and removed")
        chosen = await with_readings(self._services, list(targets))
        changes: dict[str, VariableChange] = {}
        for target in chosen:
            assert target.reading is not None  # noqa: S101 - it was read
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
        """Plan to purge each target's CDN cache, by exactly one of a path, tags or host names; nothing is sent.

        Args:
            targets: The environments.
            path: Path that starts with `/`.
            is_prefix: Whether everything below the path is purged, too.
            cache_tags: 1 to 100 tags.
            hostnames: Bare host names.

        Raises:
            InvalidArgumentError: Not exactly one was given, or the organization's daily quota does not suffice (FACTS
                §8).

        API: `getCacheRevalidationUsage`.
        """
        check_revalidation(path, is_prefix=is_prefix, cache_tags=cache_tags, hostnames=hostnames)
        chosen = list(targets)
        left = (await self._services.usage.cache_revalidations()).remaining
        if left is not None and left < len(chosen):
            raise InvalidArgumentError(
                "targets",
                f"are {len(chosen)}, and the organization has {left} revalidations left today; a redeployment purges "
                "the whole cache, too",
                rule="FACTS §8",
            )
        action = RevalidateCache(
            path=path,
            is_prefix=is_prefix,
            cache_tags=None if cache_tags is None else tuple(cache_tags),
            hostnames=None if hostnames is None else tuple(hostnames),
        )
        return self._plan(action, chosen)

    async def plan_delete(self, environments: Iterable[tuple[str, str]]) -> Plan:
        """Plan to delete environments, which are listed one by one and looked up; nothing is deleted.

        Args:
            environments: Pairs of project and environment, each by its UID or its name; globs are not accepted on
                purpose.

        Raises:
            InvalidArgumentError: There is no environment.
            NotFoundError: One does not exist (404).
            NameNotFound: No project, or no environment of its project, has that name.
            AmbiguousName: Several have that name.

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
        """Do what a plan says, and report what became of each target.

        With a journal, a run that was killed, stopped or cancelled at any moment can be finished with `resume`: what
        was done is not done again. Cancelled, it sends nothing more and writes down what was being sent.

        Args:
            plan: The plan.
            journal: File of the journal, or a journal of your own. Without one, an interrupted run cannot be resumed.
            variables: Values of the variables that the plan sets.
            confirm: How many environments you mean to change. It must be given, and be right, for more than 20 targets,
                for protected names, for names that the plan does not know, and for deletions.
            protected: Name patterns of environments that need `confirm`, in any case. The names are read again before
                anything is sent (a request for each project): an environment that has become protected since the
                plan was made is refused. `()` protects none.
            canary: Targets of a first wave, that must all succeed before anything else is sent. One that is left alone
                does not count.
            wave_size: Targets of each further wave; None for waves that grow: a tenth of the targets, then two, three
                and four tenths.
            concurrency: Targets that are under way at the same time; None for as many as a wave has.
            stop_on_failures: Share of the targets that may fail, 0 to 1, before nothing more is sent. None for all of
                them: then all are sent in one wave, unless `wave_size` says otherwise.
            timeout: Seconds for the whole run; None for no limit.
            deployment_timeout: Seconds that one deployment may take.
            on_event: Called with each event. An exception of it stops the run, whose journal can be resumed, and is
                raised.
            progress: Whether to show how the run gets on, as `FleetProgress` does. By default `launch_sync` does so in
                an interactive session (Jupyter, IPython, a Python prompt) if there is no `on_event`; `launch_async`
                does not.
            control: Pauses, resumes or stops the run from outside.
            verify: Checks of each live site, as for `LaunchClient.deploy`: a target whose site fails one has failed, so
                that a canary is judged by its health. For redeployments only; nothing is put back.

        Returns:
            The report; failures of single targets are in it and are not raised.

        Raises:
            InvalidArgumentError: A confirmation or the values are missing, an option is out of range, a target has
                become protected, or the journal's run began with other values.
            ArchiveError: The files that the plan deploys have changed since, or cannot be packed; nothing was sent.
            ConfigurationError: The plan was made for another organization or region.
            JournalError: The journal cannot be used; it was left as it was. `JournalInUse` if another run has it.
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
        """Finish an interrupted run: do what is missing, look up what is unknown, and nothing twice.

        What has failed stays failed: plan anew for the targets in the report's `failures`. Only failures of this run
        count for `stop_on_failures`. Where nothing is left to do, nothing is sent, and the report says so.

        The options are those of `run`. `variables` and `verify` are those that the run began with; canary and waves are
        of what was not begun; `timeout` is for the rest of the run. An environment that has become protected since the
        plan was made is refused.

        Returns:
            The report of everything, what was done before included.

        Raises:
            InvalidArgumentError: The values are missing or others than those that the run began with, an option is out
                of range, or a target has become protected.
            ArchiveError: The files that the plan deploys have changed since, or cannot be packed; nothing was sent.
            ConfigurationError: The plan was made for another organization or region.
            JournalError: The journal cannot be used; it was left as it was. `JournalInUse` if another run has it.
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
        """Return the report of a run from the file of its journal; nothing is sent, and the file is not changed.

        It also works while the run goes on, and after it was killed.

        Args:
            journal: The file.

        Raises:
            JournalError: There is no such file, or it is damaged.
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
            raise ConfigurationError(f"the plan was made for {plan.host}, this client talks to {self._services.host}")
        if None not in (plan.organization_uid, organization) and plan.organization_uid != organization:
            raise ConfigurationError(
                f"the plan was made for organization {plan.organization_uid}, this client is of {organization}"
            )


async def _planned(source: Source | None, secrets: SecretFiles) -> PlannedSource:
    if source is None or isinstance(source, LatestCommit):
        return PlannedSource(kind="latest_commit")
    if isinstance(source, PreviousUpload):
        return PlannedSource(kind="previous_upload")
    if isinstance(source, Commit):
        return PlannedSource(kind="commit", commit_hash=check_text("source", source.commit_hash, rule="FACTS §6"))
    if not isinstance(source, str | os.PathLike):
        raise InvalidArgumentError("source", "a plan is data: name the folder or the .zip by its path")
    async with ready_archive(source, secrets=secrets) as archive:
        return PlannedSource(kind="files", path=_absolute(source), content_hash=archive.content_hash, secrets=secrets)


def _absolute(source: str | os.PathLike[str]) -> str:
    return str(Path(source).absolute())


def _resumption(plan: Plan, journal: str | os.PathLike[str] | Journal | None) -> str | None:
    """Return the call that finishes a run after an interruption; None where nothing was kept."""
    if journal is None:
        return None
    name = repr(os.fspath(journal)) if isinstance(journal, str | os.PathLike) else "journal"
    values = ", variables=variables" if isinstance(plan.action, SetVariables) and plan.action.names else ""
    return f"launch.fleet.resume({name}{values})"
