"""Applying a document: in order, after a read, once, and without overwriting a change of another program."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from launch_async import (
    AccessToken,
    Authtoken,
    ConfigurationError,
    InvalidArgumentError,
    JournalError,
    LaunchClient,
    MissingScopeError,
    PasswordProtection,
    Request,
    Response,
    Send,
    State,
)
from launch_async.emulator import LaunchEmulator
from launch_async.fleet import FleetControl, FleetReport, OperationState, Plan
from launch_async.state import (
    DELETE,
    DeclaredEnvironment,
    DeclaredGroup,
    DeclaredPasswordProtection,
    DeclaredProject,
    DeclaredRepository,
    StatePlan,
)
from launch_sync import LaunchClient as SyncLaunchClient
from launch_sync.emulator import LaunchEmulator as SyncLaunchEmulator
from tests.fleet.conftest import QUICK
from tests.support.clients import client_of

REPOSITORY = DeclaredRepository(repository_name="acme/it", username="acme", repository_url="https://git.example/it")
WRITES = ("create", "update", "delete")


def writes(emulator: LaunchEmulator) -> list[str]:
    return [one.operation for one in emulator.ledger.requests if str(one.operation).startswith(WRITES)]


def italy(**environments: DeclaredEnvironment) -> State:
    return State(projects={"shop-it": DeclaredProject(repository=REPOSITORY, environments=environments)})


def staging(project: str = "shop-uk", **settings: object) -> State:
    return State(projects={project: DeclaredProject(environments={"staging": DeclaredEnvironment(**settings)})})


def outcomes(report: FleetReport) -> dict[str, str]:
    return {one.label: str(one.state) for one in report.outcomes}


async def test_a_new_project_and_its_environments_and_settings_are_created_in_order(
    client: LaunchClient, emulator: LaunchEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IT_TOKEN", "hunter3")
    protection = DeclaredPasswordProtection(is_enabled=True, username="it", password="env:IT_TOKEN")
    production = DeclaredEnvironment(
        git_branch="main",
        build_command="npm run build",
        is_streaming_enabled=True,
        password_protection=protection,
        variables={"API_TOKEN": "env:IT_TOKEN", "GONE": DELETE},
    )
    state = italy(production=production, preview=DeclaredEnvironment(git_branch="develop", has_lytics_enabled=True))
    state.projects["shop-it"].description = "Italy"
    plan = await client.state.diff(state)
    emulator.ledger.clear()

    report = await client.state.apply(plan)

    assert report.is_success, str(report)
    assert writes(emulator) == ["createProject", "createEnvironment", "updateEnvironment", "updateEnvironment"]
    project = await client.projects.get((await client.find("shop-it")).project_uid)
    made = await client.environments.get(*await client.find("shop-it", "production"))
    assert (project.description, project.repository and project.repository.repository_name) == ("Italy", "acme/it")
    assert (made.git_branch, made.build_command, made.is_streaming_enabled) == ("main", "npm run build", True)
    assert made.password_protection == PasswordProtection(is_enabled=True, username="it", password="hunter3")
    assert [(one.key, one.value) for one in made.environment_variables] == [("API_TOKEN", "hunter3")]
    assert (await client.state.diff(state)).is_empty
    assert (
        plan.requests == len(emulator.ledger.requests) - 4 - 3
    )  # without the requests of this test and of the comparison


async def test_a_second_apply_sends_no_write(client: LaunchClient, emulator: LaunchEmulator) -> None:
    plan = await client.state.diff(staging(git_branch="release", variables={"NEW": "1", "API_URL": DELETE}))
    await client.state.apply(plan)
    emulator.ledger.clear()

    again = await client.state.apply(plan)
    nothing = await client.state.apply(await client.state.diff(plan.state))

    assert writes(emulator) == []
    assert (again.is_success, again.outcomes[0].message) == (True, "already up to date")
    assert (nothing.is_success, nothing.outcomes, nothing.requests) == (True, (), 0)
    assert "nothing to do" in str(nothing)


async def test_one_environment_takes_a_read_and_a_write(client: LaunchClient, emulator: LaunchEmulator) -> None:
    state = State(groups={"all": DeclaredGroup(git_branch="release", variables={"NEW": "1", "API_URL": "x"})})
    plan = await client.state.diff(state)
    emulator.ledger.clear()

    report = await client.state.apply(plan)

    assert (report.is_success, plan.requests, report.requests, len(emulator.ledger.requests)) == (True, 12, 12, 12)


async def test_variables_of_other_programs_stay(client: LaunchClient) -> None:
    plan = await client.state.diff(staging(variables={"NEW": "1"}))
    uids = await client.find("shop-uk", "staging")
    await client.environments.update(*uids, environment_variables={"API_URL": "theirs", "THEIRS": "1"})

    assert (await client.state.apply(plan)).is_success

    kept = await client.variables.read(*uids)
    assert dict(kept) == {"API_URL": "theirs", "THEIRS": "1", "NEW": "1"}


@attrs.frozen
class Clash:
    """A planned change, and the change that a colleague makes after planning."""

    planned: State
    theirs: Callable[[LaunchClient, str, str], object]
    problem: str


CLASHES = {
    "setting": Clash(
        staging(git_branch="release", build_command="x"),
        lambda client, *uids: client.environments.update(*uids, git_branch="hotfix"),
        'git_branch was "main" and is "hotfix" now',
    ),
    "variable": Clash(
        staging(variables={"API_URL": "mine", "NEW": "1"}),
        lambda client, *uids: client.environments.update(*uids, environment_variables={"API_URL": "hunter4"}),
        "another value of API_URL",
    ),
    "new variable": Clash(
        staging(variables={"NEW": "mine"}),
        lambda client, *uids: client.environments.update(*uids, environment_variables={"NEW": "hunter4"}),
        "another value of NEW",
    ),
    "deletion": Clash(
        staging(delete=True),
        lambda client, *uids: client.environments.update(*uids, environment_variables={"NEW": "1"}),
        "changes of ",
    ),
    "deleted project": Clash(
        State(projects={"shop-uk": DeclaredProject(delete=True)}),
        lambda client, *uids: client.environments.create_from_git(uids[0], "theirs", git_branch="main"),
        "new environments: ",
    ),
    "name": Clash(
        staging(description="x"),
        lambda client, *uids: client.environments.update(*uids, name="production"),
        "which now has the protected name production",
    ),
    "description of the project": Clash(
        State(projects={"shop-uk": DeclaredProject(description="mine")}),
        lambda client, *uids: client.projects.update(uids[0], description="theirs"),
        'description was none and is "theirs" now',
    ),
}


@pytest.mark.parametrize("is_resumed", [False, True])
@pytest.mark.parametrize("clash", CLASHES.values(), ids=CLASHES)
async def test_a_change_after_planning_is_not_overwritten(
    client: LaunchClient, emulator: LaunchEmulator, clash: Clash, tmp_path: Path, is_resumed: bool
) -> None:
    uids = await client.find("shop-uk", "staging")
    plan = await client.state.diff(clash.planned)
    journal = tmp_path / "run.journal"
    if is_resumed:
        control = FleetControl()
        control.cancel("before anything is sent")
        await client.state.apply(plan, journal=journal, confirm=len(plan.changes), control=control)
    await clash.theirs(client, *uids)
    emulator.ledger.clear()

    if is_resumed:
        report = await client.state.resume(journal, clash.planned)
    else:
        report = await client.state.apply(plan, confirm=len(plan.changes))

    (failure,) = report.failures
    assert clash.problem in failure.message
    assert failure.error == ("InvalidArgumentError" if "protected" in clash.problem else "ConflictError")
    assert writes(emulator) == []
    assert "hunter" not in str(report) + (journal.read_text() if is_resumed else "")


async def test_a_rename_is_an_update(client: LaunchClient, emulator: LaunchEmulator) -> None:
    uids = await client.find("shop-uk", "staging")
    environment = DeclaredEnvironment(uid=uids.environment_uid)
    project = DeclaredProject(uid=uids.project_uid, environments={"test": environment})
    emulator.ledger.clear()

    report = await client.state.apply(await client.state.diff(State(projects={"shop-britain": project})))

    assert report.is_success
    assert writes(emulator) == ["updateProject", "updateEnvironment"]
    assert await client.find("shop-britain", "test") == uids


async def test_deletions_come_last_and_accept_deleted_objects(client: LaunchClient) -> None:
    state = State(projects={"shop-uk": DeclaredProject(delete=True)})
    state.projects["shop-de"] = DeclaredProject(environments={"staging": DeclaredEnvironment(delete=True)})
    plan = await client.state.diff(state)
    await client.environments.delete(*await client.find("shop-de", "staging"))

    report = await client.state.apply(plan, confirm=2)

    assert outcomes(report) == {
        "shop-de/staging: delete environment": "succeeded",
        "shop-uk: delete project": "succeeded",
    }
    assert [one.name for one in await client.projects.list()] == ["shop-fr", "shop-de"]
    assert [one.message for one in report.outcomes] == ["was already deleted", "deleted"]


async def test_a_requested_redeployment_happens_once_and_is_waited_for(
    client: LaunchClient, emulator: LaunchEmulator
) -> None:
    state = staging(git_branch="release")
    state.projects["shop-de"] = DeclaredProject(environments={"staging": DeclaredEnvironment(description="x")})
    plan = await client.state.diff(state)
    emulator.ledger.clear()

    report = await client.state.apply(plan, redeploy="changed")

    assert outcomes(report) == {
        "shop-de/staging: update environment": "succeeded",
        "shop-uk/staging: update environment": "succeeded",
        "shop-uk/staging: redeploy from latest commit (busy environments: queue)": "succeeded",
    }
    assert [one.noun for one in emulator.ledger.created] == ["deployment"]
    assert report.outcomes[2].deployment_uid


async def test_an_operation_that_needs_a_failed_one_is_not_started(
    client: LaunchClient, emulator: LaunchEmulator
) -> None:
    state = italy(production=DeclaredEnvironment(git_branch="main"), preview=DeclaredEnvironment(git_branch="main"))
    plan = await client.state.diff(state)
    emulator.add_project("shop-it", environments=["theirs"], git=True)
    emulator.ledger.clear()

    report = await client.state.apply(plan, stop_on_failures=None)

    project, environment = report.outcomes
    assert (project.error, environment.state) == ("ConflictError", OperationState.FAILED)
    assert "an operation that it depends on has failed: shop-it/production" in environment.message
    assert writes(emulator) == ["createProject"]


async def test_files_are_uploaded_for_new_projects_and_environments(client: LaunchClient, tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "index.html").write_text("<h1>Hello</h1>" + "x" * 2000)
    path = tmp_path / "launch.toml"
    path.write_text(
        '[projects.landing]\nsource = "dist"\n[projects.landing.environments.production]\n'
        "[projects.landing.environments.preview]\n"
    )

    report = await client.state.apply(await client.state.diff(State.load(path)))

    assert report.is_success, str(report)
    assert (await client.state.diff(State.load(path))).is_empty


async def test_missing_files_are_reported_before_the_start(client: LaunchClient, emulator: LaunchEmulator) -> None:
    landing = DeclaredProject(source="nowhere", environments={"production": DeclaredEnvironment()})
    plan = await client.state.diff(State(projects={"landing": landing}))
    emulator.ledger.clear()

    with pytest.raises(InvalidArgumentError, match="nowhere"):
        await client.state.apply(plan)
    assert emulator.ledger.requests == []


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (State(groups={"all": DeclaredGroup(variables={str(n): "1" for n in range(4)})}), "more than 20 changes"),
        (staging(protected=True, description="x"), r"changes protected environments \(shop-uk/staging\)"),
        (staging(delete=True), "the plan deletes shop-uk/staging"),
    ],
)
async def test_a_confirmation_is_the_number_of_changes(
    client: LaunchClient, emulator: LaunchEmulator, state: State, reason: str
) -> None:
    plan = await client.state.diff(state)
    emulator.ledger.clear()

    assert str(plan).endswith(f"launch.state.apply(plan, confirm={len(plan.changes)}) makes the changes.")
    with pytest.raises(InvalidArgumentError, match=rf"{reason}: pass confirm={len(plan.changes)}"):
        await client.state.apply(plan)
    with pytest.raises(InvalidArgumentError, match=f"is 99, but the plan has {len(plan.changes)} changes"):
        await client.state.apply(plan, confirm=99)
    assert emulator.ledger.requests == []

    assert (await client.state.apply(plan, confirm=len(plan.changes))).is_success


async def test_missing_values_are_reported_before_the_start(client: LaunchClient, emulator: LaunchEmulator) -> None:
    state = staging(variables={"A_TOKEN": "env:NOT_SET_HERE", "B_TOKEN": "file:not-there"})
    plan = await client.state.diff(state)
    emulator.ledger.clear()

    with pytest.raises(
        InvalidArgumentError, match="variable NOT_SET_HERE is not set; the file not-there cannot be read"
    ):
        await client.state.apply(plan)
    assert emulator.ledger.requests == []


async def test_git_projects_need_a_users_token(emulator: LaunchEmulator) -> None:
    token = AccessToken(emulator.access_token, kind="app")
    async with LaunchClient(token, base_url=emulator.url, organization_uid=emulator.organization_uid) as client:
        created = await client.state.diff(italy(production=DeclaredEnvironment(git_branch="main")))
        changed = await client.state.diff(staging(git_branch="release"))
        emulator.ledger.clear()

        with pytest.raises(MissingScopeError, match="shop-it/production: create project: Git projects need a user"):
            await client.state.apply(created)
        with pytest.raises(MissingScopeError, match="shop-uk/staging: redeploy"):
            await client.state.apply(changed, redeploy="changed")
        assert emulator.ledger.requests == []
        assert (await client.state.apply(changed)).is_success


async def test_a_plan_belongs_to_its_organization(client: LaunchClient) -> None:
    plan = await client.state.diff(staging(git_branch="release"))

    with pytest.raises(ConfigurationError, match="was made for organization blt0"):
        await client.state.apply(attrs.evolve(plan, organization_uid="blt0000000000000000"))


class Broken(Exception):
    """Ends a run at this point."""


def breaking(operation: str) -> Callable[[Request, Send], object]:
    """Return a middleware that raises after the first request of an operation was answered."""
    broken: list[str] = []

    async def middleware(request: Request, send: Send) -> Response:
        response = await send(request)
        if request.method == operation and not broken:
            broken.append(operation)
            raise Broken
        return response

    return middleware


async def interrupted(emulator: LaunchEmulator, plan: StatePlan, journal: Path, method: str) -> None:
    async with client_of(emulator, retry=QUICK, middleware=[breaking(method)]) as client:
        with pytest.raises(Broken):
            await client.state.apply(plan, journal=journal, redeploy="changed")


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("again", ["resume", "apply"])
async def test_an_interrupted_run_is_continued(
    client: LaunchClient, emulator: LaunchEmulator, tmp_path: Path, method: str, again: str
) -> None:
    state = italy(production=DeclaredEnvironment(git_branch="main"), preview=DeclaredEnvironment(git_branch="main"))
    state.groups["french"] = DeclaredGroup(projects=("shop-fr",), git_branch="release", variables={"NEW": "1"})
    plan = await client.state.diff(state)
    journal = tmp_path / "run.journal"
    await interrupted(emulator, plan, journal, method)

    if again == "resume":
        report = await client.state.resume(journal, state)
    else:
        report = await client.state.apply(await client.state.diff(state), journal=journal, redeploy="changed")

    assert report.is_success, str(report)
    assert report.runs == 2
    assert (await client.state.diff(state)).is_empty
    created = [one.noun for one in emulator.ledger.created]
    assert (created.count("project"), created.count("environment")) == (1, 2)
    assert created.count("deployment") == 4  # for the two new environments and for the two that changed
    assert "1" not in json.loads(json.dumps(report.rows()[0]["message"]))


async def test_the_journal_of_another_plan_stays_unchanged(client: LaunchClient, tmp_path: Path) -> None:
    journal = tmp_path / "run.journal"
    control = FleetControl()
    control.cancel("later")
    plan = await client.state.diff(staging(git_branch="release"))
    await client.state.apply(plan, journal=journal, control=control)

    with pytest.raises(JournalError, match="belongs to another plan"):
        await client.state.apply(await client.state.diff(staging("shop-de", git_branch="x")), journal=journal)
    with pytest.raises(InvalidArgumentError, match=r"launch\.state\.resume\(journal, state\)"):
        await client.fleet.resume(journal)
    assert (await client.state.resume(journal, plan.state)).is_success


async def test_the_journal_of_a_finished_run_is_replaced(client: LaunchClient, tmp_path: Path) -> None:
    journal = tmp_path / "run.journal"
    for branch in ("release", "main", "release"):
        plan = await client.state.diff(staging(git_branch=branch))
        assert (await client.state.apply(plan, journal=journal)).is_success

    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.journal", "run.journal.previous"]
    assert (await client.state.diff(staging(git_branch="release"))).is_empty


async def test_a_service_that_returns_other_values_is_a_failure(client: LaunchClient, emulator: LaunchEmulator) -> None:
    emulator.change(variables_update="merge")
    plan = await client.state.diff(staging(variables={"API_URL": DELETE}))

    (failure,) = (await client.state.apply(plan)).failures

    assert failure.error == "ConcurrentChangeError"
    assert "the service returned other values for API_URL" in failure.message


async def test_a_journal_of_a_fleet_is_no_journal_of_state(client: LaunchClient, tmp_path: Path) -> None:
    journal = tmp_path / "run.journal"
    await client.fleet.run(await client.fleet.plan_redeploy(await client.fleet.select()), journal=journal)

    with pytest.raises(JournalError, match=r"fleet\.resume\(journal\)"):
        await client.state.resume(journal, State())


async def test_a_document_without_the_sources_of_planned_values_is_refused(
    client: LaunchClient, tmp_path: Path
) -> None:
    control = FleetControl()
    control.cancel("later")
    journal = tmp_path / "run.journal"
    plan = await client.state.diff(staging(variables={"NEW": "1"}))
    await client.state.apply(plan, journal=journal, control=control)

    with pytest.raises(InvalidArgumentError, match="no value for NEW of shop-uk/staging any more"):
        await client.state.resume(journal, State())


async def test_no_value_is_in_the_journal(client: LaunchClient, tmp_path: Path) -> None:
    journal = tmp_path / "run.journal"
    values = {"API_TOKEN": lambda: "hunter3", "API_URL": "plain-but-hidden"}
    protection = DeclaredPasswordProtection(is_enabled=True, username="u", password=lambda: "hunter5")
    plan = await client.state.diff(staging(variables=values, password_protection=protection))

    report = await client.state.apply(plan, journal=journal)

    assert report.is_success
    text = journal.read_text() + report.to_json() + str(report) + report.to_markdown() + report.to_html()
    assert "hunter" not in text
    assert "plain-but-hidden" not in text
    assert 'classname="shop-uk" name="staging: update environment"' in report.to_junit()


async def test_an_environment_of_a_new_project_may_appear_late(client: LaunchClient, emulator: LaunchEmulator) -> None:
    emulator.change(create_delay=0.2)
    state = italy(production=DeclaredEnvironment(git_branch="main", has_lytics_enabled=True))

    report = await client.state.apply(await client.state.diff(state))

    assert report.is_success, str(report)
    assert (await client.state.diff(state)).is_empty


async def test_a_run_stops_after_too_many_failures(client: LaunchClient, emulator: LaunchEmulator) -> None:
    plan = await client.state.diff(State(groups={"all": DeclaredGroup(git_branch="release")}))
    for project in await client.projects.list():
        for one in await client.environments.list(project.uid):
            await client.environments.update(project.uid, one.uid, git_branch="hotfix")
    emulator.ledger.clear()

    report = await client.state.apply(plan, wave_size=2)

    assert report.stopped == "2 of 6 targets failed"
    assert [str(one.state) for one in report.outcomes] == ["failed"] * 2 + ["planned"] * 4
    assert writes(emulator) == []


def test_launch_sync_applies_a_document(tmp_path: Path) -> None:
    with SyncLaunchEmulator(rate_limit=None, build_seconds=0.0) as emulator:
        emulator.add_project("shop", environments=["staging"], git=True)
        credentials = Authtoken(emulator.authtoken)
        with SyncLaunchClient(credentials, base_url=emulator.url, organization_uid=emulator.organization_uid) as launch:
            path = tmp_path / "launch.toml"
            launch.state.pull("shop").save(path)
            state = State.load(path)
            state.projects["shop"].environments["staging"].variables["NEW_TOKEN"] = lambda: "hunter3"

            report = launch.state.apply(launch.state.diff(state), journal=tmp_path / "run.journal")

            assert report.is_success
            assert launch.state.resume(tmp_path / "run.journal", state).nothing_left
            assert launch.state.diff(state).is_empty


async def test_a_mixed_plan_is_a_plan_like_any_other_but_cannot_be_split(client: LaunchClient) -> None:
    state = italy(production=DeclaredEnvironment(git_branch="main"), preview=DeclaredEnvironment(git_branch="main"))
    state.projects["shop-uk"] = DeclaredProject(environments={"staging": DeclaredEnvironment(git_branch="release")})

    plan = (await client.state.apply(await client.state.diff(state), redeploy="changed")).plan

    assert Plan.from_json(plan.to_json()) == plan
    assert [one.stage for one in plan.operations] == sorted(one.stage for one in plan.operations)
    assert plan.operations[1].after == (plan.operations[0].key,)
    assert plan.cost.requests >= 2 + 1 + 2 + 1
    assert "  shop-it/production: create project\n  shop-it/preview: create environment\n" in str(plan)
    assert "launch.state.apply(plan)" in str(plan)
    with pytest.raises(InvalidArgumentError, match="cannot be split"):
        plan.split(2)


async def test_an_edited_mixed_plan_is_refused(client: LaunchClient) -> None:
    plan = (await client.state.apply(await client.state.diff(staging(git_branch="release")))).plan

    with pytest.raises(InvalidArgumentError, match="was edited: the key of production/staging does not match"):
        Plan.from_json(plan.to_json().replace('"shop-uk"', '"production"'))
