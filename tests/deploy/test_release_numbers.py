"""Many releases and previews in virtual time. `python -m benchmarks.releases` runs thousands of them."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

from launch_async.deploy.previews.previews import Previews
from tests.support.timed_releases import healthy_releases, preview_life, requests_of_restoration


def test_a_healthy_release_behind_a_slow_cache_is_never_reported_as_unhealthy() -> None:
    assert healthy_releases(50) == 0


def test_without_a_grace_time_a_slow_cache_is_reported_as_unhealthy() -> None:
    assert healthy_releases(2, grace=0.0) == 2


def test_checks_and_a_restoration_cost_five_requests_in_addition_to_polls(tmp_path: Path) -> None:
    assert requests_of_restoration(tmp_path)[0] == 5


def test_sweeps_delete_all_expired_previews_and_no_other_environment() -> None:
    life = preview_life(30, seed=1)

    assert life.kills > 5
    assert life.swept > 20
    wrong = (life.outlived, life.protected_deleted, life.early, life.doubled)
    assert wrong == (0, 0, 0, 0), life


def test_the_simulation_detects_a_sweep_that_ignores_markers() -> None:
    with mock.patch.object(Previews, "_is_over", return_value=True):
        assert preview_life(3, seed=1).protected_deleted
