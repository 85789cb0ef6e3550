"""Bad releases in whole worlds: each is put back, once, whatever is lost and whoever is killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

import pytest

from launch_async.deploy.release.journal import JournalledSends
from launch_async.deploy.release.releasing import Releasing
from tests.worlds.oracle import Kind
from tests.worlds.releases import bad_release, nothing_is_lost
from tests.worlds.world import run_world

SEEDS = 40
"""Fixed seeds; `python -m benchmarks.releases` runs a thousand."""
AT_ONCE = 20
WORLD = {"bad release": bad_release}


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_every_bad_release_is_put_back_once(first: int) -> None:
    killed = 0
    for seed in range(first, first + AT_ONCE):
        ending = run_world(seed, WORLD, oracle=nothing_is_lost)
        killed += ending.account.faults["killed"]
        assert not ending.violations, str(ending)
    assert killed


async def _nothing(*_: object) -> None:
    return None


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        pytest.param(
            lambda: mock.patch.object(JournalledSends, "_note", return_value=None),
            Kind.TWICE,
            id="no send is written down",
        ),
        pytest.param(
            lambda: mock.patch.object(Releasing, "_put_back_before", _nothing),
            Kind.LOST,
            id="what was begun is forgotten",
        ),
    ],
)
def test_the_oracle_sees_a_broken_sdk(broken: Any, kind: Kind) -> None:
    patched: AbstractContextManager[object] = broken()
    with patched:
        assert kind in _kinds()


def _kinds() -> Iterator[Kind]:
    for seed in range(100):
        yield from (one.kind for one in run_world(seed, WORLD, oracle=nothing_is_lost).violations)
