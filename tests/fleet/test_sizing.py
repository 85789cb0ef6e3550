"""The emulator and a service in virtual time count as many requests and seconds as the sizing functions compute."""

import pytest

from launch_async import PreviousUpload
from launch_async.emulator import LaunchEmulator
from launch_async.errors import InvalidArgumentError
from launch_async.fleet.plan.sizing import size
from launch_async.rate_limit.types import RateLimit
from tests.support.clients import client_of
from tests.support.timed_fleet import Fleet, redeploy
from tests.support.timed_launch import Build, Launch
from tests.support.virtual_time import run


@pytest.fixture
async def emulator():
    async with LaunchEmulator(rate_limit=None, build_seconds=0.3) as emulator:
        yield emulator


@pytest.fixture
async def launch(emulator):
    async with client_of(emulator) as launch:
        yield launch


@pytest.fixture
def environment(emulator):
    project = emulator.add_project("night-sky", deployments=1)
    emulator.ledger.clear()
    return project.uid, next(iter(project.environments))


def counted(emulator):
    return sum(entry.organization is not None for entry in emulator.ledger.requests)


@pytest.mark.parametrize(("source", "action"), [(PreviousUpload(), "redeploy"), ("examples/site", "upload")])
async def test_a_deployment_without_a_wait_costs_exactly_the_computed_requests(
    emulator, launch, environment, source, action
):
    await launch.deploy(*environment, source, wait=False)

    assert counted(emulator) == size(1, build_seconds=60, action=action, wait=False).requests_each


@pytest.mark.parametrize(("source", "action"), [(PreviousUpload(), "redeploy"), ("examples/site", "upload")])
async def test_a_deployment_of_a_short_build_costs_exactly_the_minimum(emulator, launch, environment, source, action):
    await launch.deploy(*environment, source)

    assert counted(emulator) == size(1, build_seconds=0.3, action=action).requests_each
    assert counted(emulator) == size(60, build_seconds=60, action=action).requests_least


@pytest.mark.parametrize("build_seconds", [30.0, 60.0, 120.0, 300.0])
@pytest.mark.parametrize("known", [True, False])
def test_a_wait_takes_the_computed_polls_or_one_less(build_seconds, known):
    earlier = [Build(created=-9999.0, begins=-9999.0, ends=-9999.0 + build_seconds)] if known else []
    service = Launch(builds=[*earlier, Build(ends=build_seconds)])

    async def wait():
        async with service.client() as launch:
            await launch.wait(service.ref(len(earlier)))

    run(wait())
    requests = service.asked

    computed = size(1, build_seconds=build_seconds, known=known)
    # Each poll comes later by the duration of the poll before it, so the last poll may be unnecessary.
    assert requests["getDeployment"] in (computed.polls_each, computed.polls_each - 1)
    assert sum(requests.values()) - requests["getDeployment"] == 1


@pytest.mark.parametrize("environments", [40, 200])
def test_a_rollout_takes_at_least_the_computed_time_and_little_longer(environments):
    fleet = Fleet([60.0] * environments, rate_limit=10)

    report = run(redeploy(fleet))

    computed = size(environments, build_seconds=60)
    assert computed.seconds <= report.seconds <= 1.1 * computed.seconds
    assert computed.requests_least <= report.requests / environments <= computed.requests_each


def test_the_figures_of_an_hour_follow_from_those_of_one_environment():
    once, twice = (size(1, build_seconds=60, rate_limit=RateLimit(n)) for n in (10, 20))

    # All requests but the first are polls, and polls get half of the budget.
    assert once.environments_per_hour * (once.requests_each - 1) == pytest.approx(18_000)
    assert once.most_per_hour * (once.requests_least - 1) == pytest.approx(18_000)
    assert once.polls_per_minute == once.polls_each
    assert twice.environments_per_hour == 2 * once.environments_per_hour


def test_the_budget_limits_many_environments_and_the_build_time_limits_few():
    assert size(1, build_seconds=60).seconds == 60.1
    assert size(10_000, build_seconds=60).seconds == 4000


@pytest.mark.parametrize(("environments", "build_seconds"), [(0, 60), (1, 0), (1, float("inf"))])
def test_figures_out_of_range_are_refused(environments, build_seconds):
    with pytest.raises(InvalidArgumentError):
        size(environments, build_seconds=build_seconds)
