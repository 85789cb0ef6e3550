"""Bad releases in whole worlds: each is put back, once, whatever is lost and whoever is killed."""

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
from tests.worlds.releases import bad_release, nothing_is_lost
from tests.worlds.world import run_world

SEEDS = 24
"""Fixed seeds; `python -m benchmarks.releases` runs a thousand."""
AT_ONCE = 12
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


def _no_send_is_written_down() -> AbstractContextManager[object]:
    return mock.patch.object(JournalledSends, "_note", return_value=None)


@contextlib.contextmanager
def _it_forgets_what_was_put_back() -> Iterator[None]:
    with (
        mock.patch.object(Releasing, "_put_back_before", _nothing),
        mock.patch.object(releasing, "_other_since") as other,
    ):
        other.return_value = ""
        yield


@pytest.mark.parametrize("broken", [_no_send_is_written_down, _it_forgets_what_was_put_back])
def test_the_oracle_sees_a_broken_sdk(broken: Callable[[], AbstractContextManager[object]]) -> None:
    with broken():
        assert Kind.TWICE in _kinds()


def _kinds() -> Iterator[Kind]:
    # From the first seed on that shows a second build soon.
    for seed in range(44, 200):
        yield from (one.kind for one in run_world(seed, WORLD, oracle=nothing_is_lost).violations)
