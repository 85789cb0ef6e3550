"""A plan can be stored as JSON and loaded unchanged, shows its operations, and refuses edits."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from launch_async import DeploymentStatus, InvalidArgumentError, LaunchClient, NameNotFound
from launch_async.emulator import LaunchEmulator
from launch_async.fleet import Plan, PlannedSource, Redeploy, RevalidateCache, SetVariables, Target, VariableChange
from launch_async.fleet.plan.actions import DeleteEnvironments

UIDS = st.text("0123456789abcdef", min_size=24, max_size=24)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
TUPLES = st.lists(NAMES, min_size=1, max_size=3).map(tuple)
ACTIONS = st.one_of(
    st.builds(
        Redeploy,
        source=st.builds(
            PlannedSource,
            kind=st.sampled_from(["latest_commit", "commit", "previous_upload", "files"]),
            commit_hash=st.none() | NAMES,
            path=st.none() | NAMES,
            content_hash=st.none() | NAMES,
        ),
        when_busy=st.sampled_from(["queue", "attach", "skip"]),
        kind=st.just("redeploy"),
    ),
    st.builds(SetVariables, names=TUPLES, removed=TUPLES, kind=st.just("set_variables")),
    st.builds(
        RevalidateCache,
        path=st.none() | NAMES,
        cache_tags=st.none() | TUPLES,
        hostnames=st.none() | TUPLES,
        kind=st.just("revalidate_cache"),
    ),
    st.just(DeleteEnvironments()),
)
TARGETS = st.lists(
    st.builds(
        Target,
        project_uid=UIDS,
        environment_uid=UIDS,
        project_name=NAMES,
        environment_name=NAMES,
        project_type=st.sampled_from(["", "GITPROVIDER", "FILEUPLOAD"]),
        git_branch=st.none() | NAMES,
        framework_preset=st.none() | NAMES,
        last_status=st.none() | st.sampled_from(DeploymentStatus),
        last_deployed_at=st.none() | st.datetimes(timezones=st.just(UTC)),
        last_seconds=st.none() | st.floats(0, 1e6),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda target: target.environment_uid,
)


def _made(action, targets) -> Plan:
    change = VariableChange(added=("A",), removed=("B",)) if isinstance(action, SetVariables) else None
    return Plan.make(
        action,
        targets,
        host="launch-api.example",
        organization_uid="blt0123456789abcdef",
        rate=10.0,
        changes={} if change is None else {targets[0].environment_uid: change},
    )


@settings(max_examples=50)
@given(ACTIONS, TARGETS)
def test_a_plan_stays_unchanged_through_json(action, targets) -> None:
    plan = _made(action, targets)

    assert Plan.from_json(plan.to_json()) == plan
    assert plan._repr_html_()
    assert str(plan).endswith(plan.call)


@settings(max_examples=50)
@given(ACTIONS, TARGETS, TARGETS)
def test_a_difference_shows_the_operations_of_both_plans(action, targets, others) -> None:
    one, other = _made(action, targets), _made(action, others)

    diff = one.diff(other)

    assert {operation.key for operation in (*diff.kept, *diff.removed)} == {
        operation.key for operation in one.operations
    }
    assert {operation.key for operation in (*diff.kept, *diff.added)} == {
        operation.key for operation in other.operations
    }
    assert str(diff).startswith(f"{len(diff.added)} added, {len(diff.removed)} removed, {len(diff.kept)} kept")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.data(), JSON)
def test_a_damaged_plan_is_refused_or_still_a_plan_of_the_same_operations(data, junk) -> None:
    plan = _made(SetVariables(names=("A",)), [Target(project_uid="a" * 24, environment_uid="b" * 24)])
    document = json.loads(plan.to_json())
    places = [
        document,
        document["action"],
        document["cost"],
        document["operations"][0],
        document["operations"][0]["target"],
    ]
    place = data.draw(st.sampled_from(places))
    place[data.draw(st.sampled_from(sorted(place)))] = junk

    try:
        read = Plan.from_json(json.dumps(document))
    except InvalidArgumentError:
        return
    assert [operation.key for operation in read.operations] == [operation.key for operation in plan.operations]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", "[" * 100_000, '{"format": "contentstack-launch/fleet-plan"}']
)
def test_json_that_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        Plan.from_json(text)


def test_an_edited_plan_is_refused() -> None:
    plan = _made(SetVariables(names=("A",)), [Target(project_uid="a" * 24, environment_uid="b" * 24)])
    document = json.loads(plan.to_json())
    for edit in (
        {"operations": []},
        {"operations": document["operations"] * 2},
        {"created_at": "2026-01-01T00:00:00"},
        {"action": {**document["action"], "names": ["B"]}},
        {"version": 2},
    ):
        with pytest.raises(InvalidArgumentError):
            Plan.from_json(json.dumps({**document, **edit}))


def test_a_plan_is_saved_and_loaded(tmp_path: Path) -> None:
    plan = _made(DeleteEnvironments(), [Target(project_uid="a" * 24, environment_uid="b" * 24)])
    path = tmp_path / "plan.json"
    plan.save(path)

    assert Plan.load(path) == plan
    path.write_text(plan.to_json(), "utf-8-sig")
    assert Plan.load(path) == plan
    path.write_bytes(b"\xff")
    for missing in (path, tmp_path / "missing.json"):
        with pytest.raises(InvalidArgumentError, match="cannot be read"):
            Plan.load(missing)


async def test_an_exact_name_is_found_although_it_contains_pattern_characters(
    client: LaunchClient, emulator: LaunchEmulator
) -> None:
    emulator.add_project("a[b]c", environments=["one"])

    assert [one.label for one in await client.fleet.select(projects="a[b]c")] == ["a[b]c/one"]


async def test_a_selection_matches_all_criteria(client: LaunchClient, emulator: LaunchEmulator) -> None:
    everything = await client.fleet.select()
    blog = everything[0]

    async def labels(**criteria) -> list[str]:
        return [target.label for target in await client.fleet.select(**criteria)]

    assert len(everything) == everything.considered == 6
    assert everything.requests == 4
    assert len(everything[:2]) == 2
    assert await labels(projects="b*") == ["blog/preview", "blog/staging"]
    assert await labels(projects=["blog", "shop"], environments="prev*") == ["blog/preview", "shop/preview"]
    assert await labels(project_uids=[blog.project_uid], environment_uids=[blog.environment_uid]) == ["blog/preview"]
    assert await labels(git_branch="no-such-*") == []
    assert await labels(framework_preset="ASTRO") == []
    assert await labels(last_status="FAILED") == []
    assert len(await labels(last_status=["LIVE", "FAILED"])) == 6
    assert await labels(idle_for=timedelta(days=1)) == []
    assert (await client.fleet.select(last_status="LIVE"))[0].last_seconds is not None
    assert "blog/preview" in str(everything)
    assert "blog" in everything._repr_html_()


async def test_a_plan_that_checks_targets_shows_build_times_and_running_deployments(
    client: LaunchClient, emulator: LaunchEmulator
) -> None:
    selection = await client.fleet.select()
    gone, busy = selection[0], selection[1]
    blind = await client.fleet.plan_redeploy(selection)
    await client.environments.delete(gone.project_uid, gone.environment_uid)
    emulator.script("LIVE", seconds=3600)
    await client.deployments.create(busy.project_uid, busy.environment_uid)

    plan = await client.fleet.plan_redeploy(selection, look_up=True)

    assert [one.key for one in plan.operations] == [one.key for one in blind.operations]
    assert plan.operations[0].target == gone
    assert plan.operations[1].target.last_status in (DeploymentStatus.QUEUED, DeploymentStatus.DEPLOYING)
    assert all(one.target.last_seconds is not None for one in plan.operations[1:])
    assert "the slowest build took 0.0 s last time; 1 already deploying" in str(plan)
    assert "the slowest build took 0.0 s last time; 1 already deploying" in plan._repr_html_()
    assert "slowest" not in str(blind)
    assert emulator.ledger.count("createDeployment") == 1


async def test_a_selection_finds_the_environments_of_a_domain(client: LaunchClient, emulator: LaunchEmulator) -> None:
    for name, host in {"news": "www.Example.com", "books": "bücher.example.com"}.items():
        emulator.add_domain(next(iter(emulator.add_project(name, environments=["one"]).environments)), host)

    async def labels(*domains: str) -> list[str]:
        selection = await client.fleet.select(projects=["news", "books"], domain=domains)
        return [target.label for target in selection]

    assert await labels("www.example.com") == ["news/one"]
    assert await labels("*.EXAMPLE.com") == ["books/one", "news/one"]
    assert await labels("xn--bcher-kva.example.com") == ["books/one"]
    assert await labels("bücher.example.com", "nobody.example.com") == ["books/one"]
    assert await labels("nobody.example.com") == []
    assert emulator.ledger.count("listDomains") == 0


async def test_each_environment_is_read_if_listings_name_no_domain(
    client: LaunchClient, emulator: LaunchEmulator
) -> None:
    (one, two) = emulator.add_project("bare", environments=["one", "two"]).environments
    selection = await client.fleet.select(projects="bare", domain="www.example.com")
    assert (len(selection), emulator.ledger.count("listDomains")) == (0, 2)

    emulator.faults.add("status_before", operation="listDomains", status=404, nth=1)
    emulator.add_domain(two, "www.example.com")
    selection = await client.fleet.select(projects="bare", domain="www.example.com")

    assert [target.environment_uid for target in selection] == [two]
    assert (one in {target.environment_uid for target in selection}, selection.considered) == (False, 2)


async def test_a_plan_that_checks_targets_reads_only_targets_that_the_selection_did_not_read(
    client: LaunchClient, emulator: LaunchEmulator
) -> None:
    seen = [*await client.fleet.select(last_status="LIVE", projects="blog")]
    unseen = [*await client.fleet.select(projects="docs")]
    before = emulator.ledger.count("listDeployments")

    await client.fleet.plan_redeploy([*seen, *unseen], look_up=True)

    assert emulator.ledger.count("listDeployments") - before == len(unseen)


async def test_an_environment_that_vanishes_while_it_is_selected_is_left_out(
    client: LaunchClient, emulator: LaunchEmulator
) -> None:
    emulator.faults.add("status_before", operation="listDeployments", status=404, times=1)

    assert len(await client.fleet.select(last_status="LIVE")) == 5


async def test_an_old_rollback_is_not_mistaken_for_a_long_build(client: LaunchClient, emulator: LaunchEmulator) -> None:
    project = emulator.add_project("rolled", deployments=2)
    emulator.advance(1000)
    (environment,) = project.environments.values()
    before = (await client.fleet.select(projects="rolled", idle_for=timedelta(0)))[0]

    emulator.roll_back(next(iter(environment.deployments)))

    after = (await client.fleet.select(projects="rolled", last_status="ARCHIVED"))[0]
    assert (before.last_status, before.last_seconds) == ("LIVE", 0.0)
    assert (after.last_status, after.last_seconds) == ("ARCHIVED", None)


async def test_a_plan_to_delete_names_the_environments(client: LaunchClient, emulator: LaunchEmulator) -> None:
    chosen = (await client.fleet.select(projects=["blog", "docs"]))[:3]
    before = emulator.ledger.count()

    plan = await client.fleet.plan_delete([(one.project_uid, one.environment_uid) for one in chosen])

    assert [one.target for one in plan.operations] == [*chosen]
    assert "blog/preview" in str(plan)
    assert emulator.ledger.count() - before == 5  # two projects, three environments
    assert emulator.ledger.count("deleteEnvironment") == 0


async def test_a_project_that_vanishes_while_it_is_selected_is_left_out(
    client: LaunchClient, emulator: LaunchEmulator
) -> None:
    emulator.faults.add("status_before", operation="listEnvironments", status=404, times=1)

    assert len(await client.fleet.select()) == 4


async def test_an_environment_without_a_deployment_counts_as_idle(
    client: LaunchClient, emulator: LaunchEmulator
) -> None:
    emulator.add_project("new", environments=["one"])

    assert [one.label for one in await client.fleet.select(idle_for=timedelta(days=1))] == ["new/one"]
    assert len(await client.fleet.select(projects="new", last_status="LIVE")) == 0


async def test_a_file_names_targets_without_a_request(
    client: LaunchClient, emulator: LaunchEmulator, tmp_path: Path
) -> None:
    lines, listed = tmp_path / "targets.txt", tmp_path / "targets.json"
    lines.write_text(f"{'a' * 24} {'b' * 24}  # one\n# mine\n\n{'a' * 24}/{'c' * 24}\n", "utf-8-sig")
    listed.write_text(json.dumps([{"project_uid": "a" * 24, "environment_uid": "b" * 24, "environment_name": "x"}]))

    assert [one.environment_uid for one in await client.fleet.select(file=lines)] == ["b" * 24, "c" * 24]
    assert [one.label for one in await client.fleet.select(file=listed)] == [f"{'a' * 24}/x"]
    assert emulator.ledger.count() == 0


async def test_a_file_names_targets_by_their_names(
    client: LaunchClient, emulator: LaunchEmulator, tmp_path: Path
) -> None:
    lines, listed = tmp_path / "targets.txt", tmp_path / "targets.json"
    lines.write_text("shop staging\nblog/preview\nshop, preview\n")
    listed.write_text(json.dumps([{"project": "docs", "environment": "staging"}]))
    uid = {one.label: one.environment_uid for one in await client.fleet.select()}
    emulator.ledger.clear()

    selection = await client.fleet.select(file=lines)

    assert [one.environment_uid for one in selection] == [
        uid[label] for label in ("shop/staging", "blog/preview", "shop/preview")
    ]
    assert selection.requests == emulator.ledger.count() == 3
    assert [one.environment_uid for one in await client.fleet.select(file=listed)] == [uid["docs/staging"]]


async def test_a_name_in_a_file_that_no_environment_has_is_refused(client: LaunchClient, tmp_path: Path) -> None:
    path = tmp_path / "targets"
    path.write_text("shop stagign")

    with pytest.raises(NameNotFound, match=r"No environment of project shop matches 'stagign'.*'staging' \(\w{24}\)"):
        await client.fleet.select(file=path)


async def test_a_selection_takes_names_globs_and_uids(client: LaunchClient, emulator: LaunchEmulator) -> None:
    exact = emulator.add_project("[bd]*", environments=["one"])
    blog = next(one for one in await client.projects.list() if one.name == "blog")

    assert {one.project_name for one in await client.fleet.select(projects="[bd]*")} == {"[bd]*"}
    assert {one.project_name for one in await client.fleet.select(projects="[bd]??s")} == {"docs"}
    assert {one.project_name for one in await client.fleet.select(projects=[blog.uid, "d*"])} == {"blog", "docs"}
    assert len(await client.fleet.select(environments=exact.environments)) == 1


async def test_a_deletion_is_planned_by_exact_names_only(client: LaunchClient) -> None:
    plan = await client.fleet.plan_delete([("shop", "staging")])

    assert [one.target.label for one in plan.operations] == ["shop/staging"]
    with pytest.raises(NameNotFound, match=r"No environment of project shop matches 'stag\*'"):
        await client.fleet.plan_delete([("shop", "stag*")])


@pytest.mark.parametrize("content", ["one two three", "x", '[{"project_uid": "a"}]', "[1]", "[", "\udcff"])
async def test_a_file_that_names_no_targets_is_refused(client: LaunchClient, tmp_path: Path, content: str) -> None:
    path = tmp_path / "targets"
    path.write_text(content, "utf-8", "surrogateescape")

    with pytest.raises(InvalidArgumentError):
        await client.fleet.select(file=path)
    with pytest.raises(InvalidArgumentError):
        await client.fleet.select(file=path, projects="x")
