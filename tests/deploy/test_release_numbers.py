"""Releases and previews in numbers, in virtual time; `python -m benchmarks.releases` runs thousands."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

from launch_async.deploy.previews.previews import Previews
from tests.support.timed_releases import healthy_releases, preview_life, requests_of_restoration


def test_a_healthy_release_over_a_cold_edge_is_never_called_unhealthy() -> None:
    assert healthy_releases(50) == 0


def test_without_a_grace_time_a_cold_edge_is_an_alarm() -> None:
    assert healthy_releases(2, grace=0.0) == 2


def test_checking_and_putting_back_costs_five_requests_besides_polls(tmp_path: Path) -> None:
    assert requests_of_restoration(tmp_path)[0] == 5


def test_no_preview_outlives_the_sweep_after_its_end_and_nothing_else_goes() -> None:
    life = preview_life(30, seed=1)

    assert life.kills > 5
    assert life.swept > 20
    wrong = (life.outlived, life.protected_deleted, life.early, life.doubled)
    assert wrong == (0, 0, 0, 0), life


def test_a_sweep_that_looks_at_no_marker_would_be_noticed() -> None:
    with mock.patch.object(Previews, "_is_over", return_value=True):
        assert preview_life(3, seed=1).protected_deleted
