"""A plan says how many requests its run will send, and the run does not read known values again."""

from __future__ import annotations

import copy
import pickle
import random

import attrs
import pytest

from launch_async import LaunchClient, RateLimit
from launch_async.emulator import LaunchEmulator
from launch_async.fleet import FleetReport, Plan, Target
from launch_async.rate_limit import LocalRateLimiter
from launch_sync.emulator import LaunchEmulator as PlainEmulator
from tests.fleet.conftest import created, uids
from tests.support.clients import plain_client_of
from tests.support.timed_fleet import RATE, Fleet
from tests.support.virtual_time import run

LIMIT = {"LIMIT": "7"}


def _predicted(service: Fleet, *, known: bool) -> tuple[int, FleetReport]:
    async def main() -> tuple[int, FleetReport]:
        async with service.client(LocalRateLimiter(RateLimit(RATE, per=1.0))) as client:
            plan = await client.fleet.plan_redeploy(service.targets(known=known))
            return plan.cost.requests, await client.fleet.run(plan, confirm=len(plan.operations))

    return run(main())


@pytest.mark.parametrize("known", [True, False], ids=["looked up", "sampled"])
@pytest.mark.parametrize(
    ("targets", "lengths"), [(3, (0.2, 0.3)), (10, (0.2, 0.3)), (21, (2, 5)), (40, (55, 65)), (200, (1, 2))]
)
def test_the_predicted_polls_are_at_most_a_fifth_off(targets: int, lengths: tuple[float, float], known: bool) -> None:
    dice = random.Random(targets)
    seconds = [dice.uniform(*lengths) for _ in range(targets)]
    earlier = [took * dice.uniform(0.95, 1.05) for took in seconds]

    predicted, report = _predicted(Fleet(seconds, earlier, rate_limit=RATE), known=known)

    assert report.is_success
    assert 0.8 * report.requests <= predicted <= 1.2 * report.requests


def test_the_prediction_uses_known_build_times() -> None:
    predicted, report = _predicted(Fleet.of(50, seed=1, rate_limit=RATE), known=True)

    assert 0.8 * report.requests <= predicted <= 1.2 * report.requests


@pytest.mark.parametrize("is_loaded", [False, True], ids=["in this process", "from a file"])
@pytest.mark.parametrize("removed", [(), ("OLD",)], ids=["set", "removed"])
async def test_the_requests_for_variables_are_predicted_exactly(
    client: LaunchClient, emulator: LaunchEmulator, removed: tuple[str, ...], is_loaded: bool
) -> None:
    held = (await client.fleet.select())[0]
    await client.environments.update(held.project_uid, held.environment_uid, environment_variables={"NEW": "1"})
    made = await client.fleet.plan_variables(await client.fleet.select(), {"NEW": "1"}, remove=removed)
    # Another process has no reading, so even an unchanged variable is read.
    plan = Plan.from_json(made.to_json()) if is_loaded else made
    predicted, before = plan.cost.requests, emulator.ledger.count()

    report = await client.fleet.run(plan, variables={"NEW": "1"})

    assert report.is_success
    assert predicted == report.requests == emulator.ledger.count() - before


async def test_a_variable_that_is_already_set_costs_only_the_selection(
    client: LaunchClient, emulator: LaunchEmulator
) -> None:
    before = emulator.ledger.count()

    selection = await client.fleet.select()
    plan = await client.fleet.plan_variables(selection, LIMIT)
    report = await client.fleet.run(plan, variables=LIMIT)

    assert report.is_success
    assert {one.message for one in report.outcomes} == {"nothing to change"}
    assert plan.cost.requests == report.requests == 0
    assert emulator.ledger.count() - before == selection.requests == 4


async def test_only_changed_variables_are_read(client: LaunchClient, emulator: LaunchEmulator) -> None:
    other = (await client.fleet.select())[0]
    await client.environments.update(other.project_uid, other.environment_uid, environment_variables={"LIMIT": "1"})
    plan = await client.fleet.plan_variables(await client.fleet.select(), LIMIT)
    predicted, before = plan.cost.requests, emulator.ledger.count()

    report = await client.fleet.run(plan, variables=LIMIT)

    assert predicted == report.requests == emulator.ledger.count() - before == 5
    assert emulator.ledger.count("updateEnvironment") == 2
    # The first wave is a canary.
    assert [one.wave for one in report.outcomes] == [1, 0, 0, 0, 0, 0]


async def test_variables_that_this_process_has_changed_are_read_again(
    client: LaunchClient, emulator: LaunchEmulator
) -> None:
    selection = await client.fleet.select()
    for value in ("8", "7"):
        plan = await client.fleet.plan_variables(selection, {"LIMIT": value})
        report = await client.fleet.run(plan, variables={"LIMIT": value})
        assert report.is_success

    for target in selection:
        assert (await client.variables.read(target.project_uid, target.environment_uid))["LIMIT"] == "7"


async def test_other_values_than_the_planned_ones_are_set(client: LaunchClient) -> None:
    plan = await client.fleet.plan_variables(await client.fleet.select(), LIMIT)

    await client.fleet.run(plan, variables={"LIMIT": "8"})

    target = plan.operations[0].target
    assert (await client.variables.read(target.project_uid, target.environment_uid))["LIMIT"] == "8"


async def test_an_old_reading_is_not_used(
    client: LaunchClient, emulator: LaunchEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = await client.fleet.plan_variables(await client.fleet.select(), LIMIT)
    monkeypatch.setattr("launch_async.fleet.plan.reading._VALID_FOR_S", 0.0)
    before = emulator.ledger.count("getEnvironment")

    await client.fleet.run(plan, variables=LIMIT)

    assert emulator.ledger.count("getEnvironment") - before == 6


async def test_a_listing_without_variables_is_no_reading(client: LaunchClient, emulator: LaunchEmulator) -> None:
    emulator.add_project("bare", environments=["one"])

    (target,) = await client.fleet.select(projects="bare")

    assert target.reading is None


async def test_a_reading_is_not_stored_with_a_target_or_a_plan(client: LaunchClient) -> None:
    (target, *_) = await client.fleet.select()
    plan = await client.fleet.plan_variables([target], LIMIT)

    assert target.reading is not None
    for copied in (pickle.loads(pickle.dumps(target)), copy.deepcopy(target), Target.from_dict(target.to_dict())):
        assert copied == target
        assert copied.reading is None
    assert pickle.loads(pickle.dumps(plan)) == plan == Plan.from_json(plan.to_json())
    assert "reading" not in repr(target) + plan.to_json() + str(plan) + plan._repr_html_()


CALLS = {
    "redeploy": lambda fleet, targets: fleet.plan_redeploy(targets),
    "set": lambda fleet, targets: fleet.plan_variables(targets, {"LIMIT": "8"}),
    "remove": lambda fleet, targets: fleet.plan_variables(targets, remove="OLD"),
    "revalidate": lambda fleet, targets: fleet.plan_revalidate(targets, path="/"),
    "delete": lambda fleet, targets: fleet.plan_delete([(one.project_uid, one.environment_uid) for one in targets]),
}


@pytest.mark.parametrize("environments", [["preview"], ["production"], [f"qa-{number}" for number in range(40)]])
@pytest.mark.parametrize("what", CALLS)
def test_the_last_line_of_the_dry_run_is_a_call_that_runs_the_plan(what: str, environments: list[str]) -> None:
    with PlainEmulator(rate_limit=None, build_seconds=0.0) as emulator, plain_client_of(emulator) as launch:
        emulator.add_project("shop", environments=environments, variables=[("LIMIT", "7"), ("OLD", "1")], deployments=1)
        plan = CALLS[what](launch.fleet, launch.fleet.select())

        report = eval(str(plan).splitlines()[-1], {"launch": launch, "plan": plan, "variables": {"LIMIT": "8"}})

    assert report.is_success
    assert ("confirm=40" in str(plan)) == (len(environments) == 40)


@pytest.mark.parametrize(
    ("types", "words"),
    [
        (["FILEUPLOAD"] * 3, "redeploy from previous upload (busy"),
        (["GITPROVIDER"] * 3, "redeploy from latest commit (busy"),
        (["FILEUPLOAD", "GITPROVIDER", "GITPROVIDER"], "redeploy from latest commit (2) or previous upload (1) (busy"),
        (["", "", ""], "redeploy from latest commit or previous upload (busy"),
    ],
)
async def test_a_plan_to_redeploy_says_what_each_kind_of_project_deploys(
    client: LaunchClient, plan: Plan, types: list[str], words: str
) -> None:
    targets = [attrs.evolve(one.target, project_type=kind) for one, kind in zip(plan.operations, types, strict=False)]

    shown = await client.fleet.plan_redeploy(targets)

    assert words in str(shown)
    assert words in shown._repr_html_()
    assert words in str((await client.fleet.run(shown)).summary) + str(await client.fleet.run(shown))


async def test_a_plan_is_made_although_no_build_time_is_known(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    emulator.faults.add("status_before", operation="listDeployments", status=403)

    blind = await client.fleet.plan_redeploy([one.target for one in plan.operations])

    assert "if builds take 1 min 0 s (an assumption)" in str(blind)
    assert "if builds take 0.0 s (the median of a few earlier builds)" in str(plan)
    emulator.faults.clear()
    assert (await client.fleet.run(blind)).is_success
    assert created(emulator) == uids(plan)
