"""Bad releases in whole worlds: each is restored exactly once, although requests fail and processes are killed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from unittest import mock

import pytest

from launch_async.deploy.release import releasing
from launch_async.deploy.release.journal import JournalledSends
from launch_async.deploy.release.releasing import Releasing
from tests.worlds.oracle import Kind
from tests.worlds.releases import bad_release, violations_of_release
from tests.worlds.world import run_world

SEEDS = 24
"""Fixed seeds; `python -m benchmarks.releases` runs a thousand."""
AT_ONCE = 12
WORLD = {"bad release": bad_release}


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_every_bad_release_is_restored_once(first: int) -> None:
    killed = 0
    for seed in range(first, first + AT_ONCE):
        ending = run_world(seed, WORLD, oracle=violations_of_release)
        killed += ending.account.faults["killed"]
        assert not ending.violations, str(ending)
    assert killed


async def _nothing(*_: object) -> None:
    return None


def _sends_are_not_journalled() -> AbstractContextManager[object]:
    return mock.patch.object(JournalledSends, "_note", return_value=None)


@contextlib.contextmanager
def _restorations_are_not_journalled() -> Iterator[None]:
    with (
        mock.patch.object(Releasing, "_restored_before", _nothing),
        mock.patch.object(releasing, "_other_since") as other,
    ):
        other.return_value = ""
        yield


@pytest.mark.parametrize("broken", [_sends_are_not_journalled, _restorations_are_not_journalled])
def test_the_oracle_finds_a_broken_sdk(broken: Callable[[], AbstractContextManager[object]]) -> None:
    with broken():
        assert Kind.TWICE in _kinds()


def _kinds() -> Iterator[Kind]:
    # Begin with a seed that soon shows a second build.
    for seed in range(44, 200):
        yield from (one.kind for one in run_world(seed, WORLD, oracle=violations_of_release).violations)
