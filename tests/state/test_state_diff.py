"""Drift: a pulled document has no differences, and a difference is data without secrets."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from launch_async import Environment, LaunchClient, PasswordProtection, Project, State, StateError
from launch_async.emulator import LaunchEmulator
from launch_async.models import EnvironmentVariable, FrameworkPreset, ProjectType, Repository
from launch_async.state import (
    DELETE,
    ChangeKind,
    DeclaredEnvironment,
    DeclaredGroup,
    DeclaredPasswordProtection,
    DeclaredProject,
    DeclaredRepository,
    DeclaredSettings,
    LiteralValue,
    StatePlan,
)
from launch_async.state.comparing import Comparison
from launch_async.state.declared import compared
from launch_async.state.matching import project_slots
from launch_async.state.pulling import Pull

Fleet = Sequence[tuple[Project, Sequence[Environment]]]

# JSON can contain text that TOML cannot contain, empty text, and names that differ only in case.
texts = st.one_of(
    st.text(max_size=6), st.sampled_from(["shop", "Shop", "SHOP ", "env:A", "file:", "a.b", '"', "\x7f", ""])
)
optional = st.none() | texts
variables = st.builds(
    EnvironmentVariable,
    key=texts | st.sampled_from(["TOKEN", "token", "API_KEY"]),
    value=texts | st.sampled_from(["-----BEGIN PRIVATE KEY-----", "https://a:b@c"]),
)
protections = st.builds(
    PasswordProtection, is_enabled=st.none() | st.booleans(), username=optional, password=st.none() | st.just("hunter2")
)
switches = st.none() | st.booleans()
uids = st.integers(0, 16**24 - 1).map(lambda number: f"{number:024x}")
environments = st.builds(
    Environment,
    uid=uids,
    name=optional,
    description=optional,
    framework_preset=st.none() | st.sampled_from(["OTHER", "SVELTE", "nuxt"]).map(FrameworkPreset),
    build_command=optional,
    output_directory=optional,
    server_command=optional,
    git_branch=optional,
    auto_deploy_on_push=switches,
    environment_variables=st.lists(variables, max_size=3).map(tuple),
    password_protection=st.none() | protections,
    is_cache_priming_enabled=switches,
    has_lytics_enabled=switches,
    is_streaming_enabled=switches,
    is_contentstack_authentication_enabled=switches,
)
repositories = st.builds(
    Repository, repository_name=optional, username=optional, repository_url=optional, git_provider=optional
)
projects = st.builds(
    Project,
    uid=uids,
    name=optional,
    description=optional,
    project_type=st.none() | st.sampled_from(ProjectType),
    repository=st.none() | repositories,
)
fleets = st.lists(
    st.tuples(projects, st.lists(environments, max_size=3, unique_by=lambda one: one.uid)),
    max_size=3,
    unique_by=lambda pair: pair[0].uid,
)


def pulled(fleet: Fleet) -> State:
    pull = Pull()
    for project, listed in fleet:
        pull.add(project, listed)
    return pull.finished()


def drift(state: State, fleet: Fleet) -> Comparison:
    listed = {project.uid: listed for project, listed in fleet}
    slots = project_slots(state, [project for project, _ in fleet])
    return asyncio.run(compared(state, slots, lambda slot: listed[slot.actual.uid] if slot.actual else ()))


@settings(max_examples=40)
@given(fleets)
def test_a_pulled_document_has_no_differences_and_no_secrets(fleet: Fleet) -> None:
    text = pulled(fleet).to_toml()

    found = drift(State.from_toml(text), fleet)

    assert (found.steps, found.problems, found.notes) == ([], [], [])
    assert "PRIVATE KEY" not in text
    assert "hunter2" not in text
    assert "https://a:b@c" not in text


async def test_a_pulled_organization_has_no_differences(
    client: LaunchClient, emulator: LaunchEmulator, tmp_path: Path
) -> None:
    path = tmp_path / "launch.toml"
    pulled_state = await client.state.pull()
    pulled_state.save(path)

    plan = await client.state.diff(State.load(path))

    assert plan.is_empty
    assert (plan.requests, plan.diff_requests, len(emulator.ledger.requests)) == (0, 4, 8)
    assert "hunter2" not in path.read_text()
    assert [str(one) for one in pulled_state.references][:1] == [
        "env:SHOP_DE_PREVIEW_API_TOKEN for shop-de/preview API_TOKEN"
    ]
    assert str(plan).startswith(
        "State: no changes\n  note: not compared, because it has no value on this machine: env:SHOP_DE_PREVIEW"
    )


async def test_some_projects_can_be_pulled(client: LaunchClient) -> None:
    assert list((await client.state.pull("shop-[du]*")).projects) == ["shop-de", "shop-uk"]
    with pytest.raises(Exception, match="No project matches 'blog'"):
        await client.state.pull(["shop-de", "blog"])


async def test_only_the_projects_of_the_document_are_listed(client: LaunchClient) -> None:
    state = State(groups={"german": DeclaredGroup(projects=("*-de",))})

    assert (await client.state.diff(state)).diff_requests == 2


async def test_every_kind_of_change_is_data_in_the_order_of_execution(
    client: LaunchClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "hunter3")
    uid = (await client.find("shop-de")).project_uid
    state = State.from_toml(
        f"""
        [defaults]
        framework_preset = "NEXTJS"
        [groups.french]
        projects = ["*-fr"]
        environments = ["staging"]
        variables = {{API_URL = {{delete = true}}, API_TOKEN = "env:SHOP_TOKEN", NEW = "1"}}
        [projects.shop-germany]
        uid = "{uid}"
        environments.preview.delete = true
        [projects.shop-uk]
        delete = true
        [projects.shop-it.repository]
        repository_name = "acme/it"
        username = "acme"
        repository_url = "https://git.example/it"
        [projects.shop-it.environments.production]
        git_branch = "main"
        protected = true
        password_protection = {{is_enabled = true, username = "it", password = "env:SHOP_TOKEN"}}
        variables = {{API_TOKEN = "env:SHOP_TOKEN"}}
        """
    )

    plan = await client.state.diff(state)

    rows = [(one.kind.value, one.target, one.field, one.before, one.after, one.requests) for one in plan.changes]
    created = {"framework_preset": "NEXTJS", "git_branch": "main", "variables": ["API_TOKEN"]}
    protection = {"is_enabled": True, "username": "it"}
    assert rows == [
        ("create", "shop-it", "", None, {}, 2),
        ("create", "shop-it/production", "", None, created, 0),
        ("update", "shop-germany", "name", "shop-de", "shop-germany", 2),
        ("update", "shop-fr/staging", "framework_preset", "OTHER", "NEXTJS", 2),
        ("set", "shop-fr/staging", "API_TOKEN", "[hidden]", "[hidden]", 0),
        ("remove", "shop-fr/staging", "API_URL", "[hidden]", None, 0),
        ("set", "shop-fr/staging", "NEW", None, "[hidden]", 0),
        ("update", "shop-it/production", "password_protection", None, protection, 2),
        ("update", "shop-it/production", "password_protection.password", "[hidden]", "[hidden]", 0),
        ("delete", "shop-germany/preview", "", None, None, 2),
        ("delete", "shop-uk", "", None, None, 3),
    ]
    assert (plan.requests, plan.is_empty) == (13, False)
    assert {one.target for one in plan.changes if one.protected} == {"shop-it/production"}
    assert {one.target for one in plan.changes if one.needs_redeploy} == {"shop-fr/staging", "shop-it/production"}


async def test_the_views_of_a_plan_are_stable_and_hide_values(client: LaunchClient) -> None:
    state = State(defaults=DeclaredSettings(variables={"API_TOKEN": lambda: "hunter3", "API_URL": "x|<y"}))
    state.groups["all"] = DeclaredGroup(git_branch="re|lease")

    plan, again = [await client.state.diff(state) for _ in range(2)]

    assert (plan, plan.to_json(), str(plan)) == (again, again.to_json(), str(again))
    assert str(plan).splitlines()[:4] == [
        "State: 6 to update, 12 to set, at least 12 requests",
        '  ~ shop-de/preview  git_branch: "main" -> "re|lease"',
        "  ~ shop-de/preview  set API_TOKEN",
        "  ~ shop-de/preview  set API_URL",
    ]
    assert r"| update | shop-de/preview | git\_branch: \"main\" -\> " in plan.to_markdown().replace('"', '\\"')
    assert len(json.loads(plan.to_json())["changes"]) == len(plan.rows()) == 18
    assert "shop-de" in plan._repr_html_()
    for view in (str(plan), repr(plan), plan.to_json(), plan.to_markdown(), plan._repr_html_()):
        assert "hunter" not in view
        assert "x|<y" not in view


def changes(plan: StatePlan) -> list[str]:
    return [str(one) for one in plan.changes]


async def test_unmanaged_settings_are_never_changed(client: LaunchClient) -> None:
    state = State(defaults=DeclaredSettings(git_branch="release"), unmanaged=("*-uk", "preview", "shop-fr/st*"))
    state.groups["all"] = DeclaredGroup(projects=("*",))
    state.projects["shop-uk"] = DeclaredProject(delete=True)

    assert changes(await client.state.diff(state)) == ['~ shop-de/staging  git_branch: "main" -> "release"']


async def test_own_settings_override_later_groups_then_earlier_groups_then_defaults(client: LaunchClient) -> None:
    state = State(defaults=DeclaredSettings(git_branch="1", description="1", build_command="1", server_command="1"))
    state.groups["a"] = DeclaredGroup(projects=("*-uk",), description="2", build_command="2", server_command="2")
    state.groups["b"] = DeclaredGroup(environments=("staging",), build_command="3", server_command="3")
    state.projects["shop-uk"] = DeclaredProject(environments={"staging": DeclaredEnvironment(server_command="4")})

    found = {
        one.field: one.after for one in (await client.state.diff(state)).changes if one.target == "shop-uk/staging"
    }

    assert found == {"git_branch": "1", "description": "2", "build_command": "3", "server_command": "4"}


async def test_an_empty_text_removes_a_value_and_equals_none(client: LaunchClient) -> None:
    state = State(
        groups={"uk": DeclaredGroup(projects=("*-uk",), environments=("staging",), git_branch="", description="")}
    )

    assert changes(await client.state.diff(state)) == ['~ shop-uk/staging  git_branch: "main" -> none']


async def test_a_reference_without_a_value_is_listed_and_sets_only_a_new_variable(client: LaunchClient) -> None:
    variables = {"API_TOKEN": "env:NOT_SET_ANYWHERE", "OTHER_TOKEN": "file:not-there"}
    state = State(
        projects={"shop-uk": DeclaredProject(environments={"staging": DeclaredEnvironment(variables=variables)})}
    )

    plan = await client.state.diff(state)

    assert changes(plan) == ["+ shop-uk/staging  set OTHER_TOKEN (new)"]
    assert [one.name for one in plan.unresolved] == ["env:NOT_SET_ANYWHERE", "file:not-there"]


async def test_files_and_functions_are_compared_by_their_values(client: LaunchClient, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hunter2\n")
    path = tmp_path / "launch.toml"
    path.write_text('[groups.all]\nprojects = ["*"]\n[groups.all.variables]\nAPI_TOKEN = "file:token"\n')
    state = State.load(path)
    state.defaults.variables["API_URL"] = lambda: "https://api.example.com"

    assert (await client.state.diff(state)).is_empty


async def test_all_inapplicable_settings_are_named_together(client: LaunchClient) -> None:
    text = """\
[defaults]
framework_preset = "SVELTE"
[projects.empty]
[projects.no-source.environments.production]
[projects.no-branch]
repository = {repository_name = "a/b", username = "a", repository_url = "https://x"}
environments.production = {}
[projects.shop-uk.environments.staging.variables]
API_URL = ""
"""

    with pytest.raises(StateError) as caught:
        await client.state.diff(State.from_toml(text))

    known = ", ".join(FrameworkPreset)
    assert [re.split(r", not|\. The service| and cannot", str(one))[0] for one in caught.value.problems] == [
        "launch.toml:3: projects.empty: does not exist",
        "launch.toml:4: projects.no-source: does not exist",
        f"launch.toml:7: projects.no-branch.environments.production.framework_preset: must be one of {known}",
        "launch.toml:7: projects.no-branch.environments.production: does not exist",
        f"launch.toml:8: projects.shop-uk.environments.staging.framework_preset: must be one of {known}",
        "launch.toml:8: projects.shop-uk.environments.staging.variables: the value of 'API_URL' is empty",
    ]


async def test_two_names_for_one_project_are_refused(client: LaunchClient) -> None:
    uid = (await client.find("shop-de")).project_uid
    state = State(projects={"germany": DeclaredProject(uid=uid), "shop-de": DeclaredProject()})

    with pytest.raises(StateError, match=f"is {uid}, which the entry 'germany' also declares"):
        await client.state.diff(state)


async def test_a_difference_that_the_api_cannot_change_is_a_note(client: LaunchClient) -> None:
    repository = DeclaredRepository(repository_name="acme/other", username="acme", repository_url="https://x")
    state = State(projects={"shop-de": DeclaredProject(uid="0" * 24, repository=repository)})

    plan = await client.state.diff(state)

    assert plan.is_empty
    assert "only the console can change it" in plan.notes[0]
    assert f"no project has the UID {'0' * 24}; the project with this name has the UID" in plan.notes[1]


async def test_deleting_an_absent_object_is_no_change(client: LaunchClient) -> None:
    gone = DeclaredEnvironment(delete=True, variables={"X": DELETE})
    state = State(
        projects={"gone": DeclaredProject(delete=True), "shop-de": DeclaredProject(environments={"gone": gone})}
    )

    assert (await client.state.diff(state)).is_empty


async def test_a_password_is_compared_if_the_service_shows_it(client: LaunchClient) -> None:
    uids = await client.find("shop-de", "staging")
    shown = PasswordProtection(is_enabled=True, username="a", password="hunter2")
    await client.environments.update(*uids, password_protection=shown)
    protection = DeclaredPasswordProtection(is_enabled=True, password=lambda: "hunter2")
    staging = DeclaredEnvironment(
        password_protection=protection, variables={"API_URL": LiteralValue("https://api.example.com")}
    )
    state = State(projects={"shop-de": DeclaredProject(environments={"staging": staging})})

    same = await client.state.diff(state)
    protection.password = lambda: "hunter3"
    other = await client.state.diff(state)

    assert same.is_empty
    assert [(one.kind, one.field) for one in other.changes] == [(ChangeKind.UPDATE, "password_protection.password")]


def test_an_object_without_a_name_is_not_renamed() -> None:
    project = Project(uid="0" * 24, name="shop", project_type=ProjectType.GITPROVIDER)
    environment = Environment(uid="1" * 24)

    found = drift(State(groups={"all": DeclaredGroup(git_branch="release")}), [(project, [environment])])

    assert [dict(step.after) for step in found.steps] == [{"git_branch": "release"}]


@pytest.mark.parametrize(("declared", "actual"), [("M\u00fcller", "Mu\u0308ller"), ("Mu\u0308ller", "M\u00fcller")])
def test_two_spellings_of_a_name_are_equal(declared: str, actual: str) -> None:
    project = Project(uid="0" * 24, name=actual, project_type=ProjectType.GITPROVIDER)
    environment = Environment(uid="1" * 24, name=actual)
    state = State(projects={declared: DeclaredProject(environments={declared: DeclaredEnvironment()})})

    assert drift(state, [(project, [environment])]).steps == []


async def test_a_coroutine_function_is_no_source_of_values(client: LaunchClient) -> None:
    async def token() -> str:
        return "hunter3"

    plan = await client.state.diff(State(defaults=DeclaredSettings(variables={"API_TOKEN": token})))  # type: ignore[dict-item]
    assert plan.unresolved == ()
    group = DeclaredGroup(variables={"API_TOKEN": token})  # type: ignore[dict-item]
    assert [one.name for one in (await client.state.diff(State(groups={"all": group}))).unresolved] == ["token()"]


def test_settings_can_be_members_of_enumerations() -> None:
    state = State(defaults=DeclaredSettings(framework_preset=FrameworkPreset.NEXTJS))

    assert State.from_toml(state.to_toml()) == state
    assert 'framework_preset = "NEXTJS"' in state.to_toml()
