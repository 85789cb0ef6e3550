"""Declared state in whole worlds: failures of requests and processes never overwrite a change of other programs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

import pytest

from launch_async.fleet import FileJournal
from launch_async.state.run.performing import StatePerformer
from tests.worlds.oracle import Kind
from tests.worlds.states import declared_state, no_violations
from tests.worlds.test_worlds import _forgetful_write
from tests.worlds.world import run_world

SEEDS = 12
AT_ONCE = 12
WORLD = {"declared state": declared_state}


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_a_document_is_applied_once_and_overwrites_no_unread_change(first: int) -> None:
    killed = 0
    for seed in range(first, first + AT_ONCE):
        ending = run_world(seed, WORLD, oracle=no_violations)
        killed += ending.account.faults["killed"]
        assert not ending.violations, str(ending)
    assert killed


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        pytest.param(
            lambda: mock.patch.object(StatePerformer, "_is_as_seen", return_value=True),
            Kind.FOREIGN,
            id="nobody compares before it is written",
        ),
        pytest.param(
            lambda: mock.patch.object(FileJournal, "write", _forgetful_write(FileJournal.write)),
            Kind.TWICE,
            id="the journal loses what was begun",
        ),
    ],
)
def test_the_oracle_finds_a_broken_apply(broken: Any, kind: Kind) -> None:
    patched: AbstractContextManager[object] = broken()
    with patched:
        assert kind in _kinds()


def _kinds() -> Iterator[Kind]:
    for seed in range(100):
        yield from (one.kind for one in run_world(seed, WORLD, oracle=no_violations).violations)
