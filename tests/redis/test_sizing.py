"""What the arithmetic says, the emulator counts."""

import pytest

from launch_async import Authtoken, LaunchClient, PreviousUpload
from launch_async.emulator import LaunchEmulator
from launch_async.errors import InvalidArgumentError
from launch_async.rate_limit import RateLimit
from launch_async.sizing import size


async def test_a_deployment_costs_what_was_computed():
    async with (
        LaunchEmulator(build_seconds=1.5) as emulator,
        LaunchClient(
            Authtoken(emulator.authtoken), base_url=emulator.url, organization_uid=emulator.organization_uid
        ) as launch,
    ):
        site = await launch.create_site("night-sky", "examples/site")
        emulator.ledger.clear()
        await launch.deploy(site.project.uid, site.environment.uid, PreviousUpload())

    assert abs(emulator.ledger.count() - size(1, build_seconds=1.5).requests_each) <= 1


def test_the_budget_bounds_many_and_the_build_bounds_few():
    assert size(1, build_seconds=60).seconds == 60
    assert size(10_000, build_seconds=60).seconds > 3600


def test_twice_the_plan_is_twice_the_environments():
    once, twice = (size(1, build_seconds=60, rate_limit=RateLimit(n)).environments_per_hour for n in (10, 20))

    assert twice == 2 * once


def test_who_does_not_wait_sends_only_what_deploys():
    assert size(1, build_seconds=60, wait=False).requests_each == 1
    assert size(1, build_seconds=60, wait=False, action="upload").requests_each == 2


def test_a_known_length_saves_looks():
    assert size(1, build_seconds=60).looks_each < size(1, build_seconds=60, known=False).looks_each + 5


@pytest.mark.parametrize(("environments", "build_seconds"), [(0, 60), (1, 0), (1, float("inf"))])
def test_figures_out_of_range_are_refused(environments, build_seconds):
    with pytest.raises(InvalidArgumentError):
        size(environments, build_seconds=build_seconds)
