"""Applies that are killed with SIGKILL, while a fifth of all calls fails, converge and duplicate nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.state.killed_applies import killed


@pytest.mark.parametrize("seed", range(1))
def test_an_apply_that_is_killed_many_times_converges_and_duplicates_nothing(tmp_path: Path, seed: int) -> None:
    ending = killed(tmp_path, seed=seed, kills=6)

    assert ending.kills >= 3
    assert ending.left == []
    assert ending.report.is_success, str(ending.report)
    made = [(noun, name) for noun, name in ending.created if noun != "deployment"]
    assert sorted(made) == [
        ("environment", "preview"),
        ("environment", "production"),
        ("environment", "staging"),
        ("project", "shop-it"),
    ]
    # Seven environments changed. Three are new, and one of these was changed after its creation.
    deployments = sorted(count for (noun, _), count in ending.created.items() if noun == "deployment")
    assert deployments == [1] * (7 + 3 - 1) + [2]
    assert {count for (noun, _), count in ending.created.items() if noun != "deployment"} == {1}
