"""Data frames: a row for each item, a column for each field, and a clear error without pandas."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import attrs
import pytest

from launch_async import (
    ConfigurationError,
    Deployment,
    DeploymentRef,
    DeploymentStatus,
    Domain,
    Environment,
    FollowedLine,
    InvalidArgumentError,
    Log,
    LogLine,
    LogStage,
    Page,
    Pager,
    Project,
    to_frame,
)
from launch_async.models import EnvironmentVariable, Repository
from launch_async.models.base import SECRET

UID = "66c0" + "0" * 20
CREATED = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_page_becomes_a_frame_with_a_row_for_each_item() -> None:
    page = Page((Deployment(uid=UID, status=DeploymentStatus.LIVE, deployment_url="moon.example.com"),))

    frame = page.to_frame()

    assert frame.loc[0, ["uid", "status", "url"]].to_list() == [UID, "LIVE", "https://moon.example.com"]
    assert {"extra", "nulls", "scheme"}.isdisjoint(frame.columns)


def test_times_are_utc_time_stamps_and_may_be_missing() -> None:
    frame = to_frame([Project(uid=UID, created_at=CREATED), Project(uid=UID)])

    assert str(frame["created_at"].dt.tz) == "UTC"
    assert frame["created_at"].isna().to_list() == [False, True]


def test_parts_become_columns_and_lists_of_parts_become_their_names() -> None:
    project = Project(uid=UID, repository=Repository(repository_name="moon/sky"))
    environment = Environment(
        uid=UID,
        environment_variables=(EnvironmentVariable(key="A", value="secret"), EnvironmentVariable(key="B")),
        domains=(Domain(url="moon.example.com"),),
    )

    frame = to_frame([project, environment])

    assert frame.loc[0, "repository.repository_name"] == "moon/sky"
    assert frame.loc[1, "environment_variables"] == ("A", "B")
    assert frame.loc[1, "domains"] == ("moon.example.com",)


def test_a_log_becomes_a_frame() -> None:
    frame = Log([LogLine(message="a", stage=LogStage.BUILD, timestamp=CREATED)]).to_frame()

    assert frame[["message", "stage"]].to_numpy().tolist() == [["a", "BUILD"]]


def test_lines_of_several_logs_keep_their_deployment() -> None:
    frame = to_frame([FollowedLine(DeploymentRef("p", "e", "d"), LogLine(message="a"))])

    assert frame.loc[0, ["ref.deployment_uid", "line.message"]].to_list() == ["d", "a"]


def test_no_items_become_an_empty_frame() -> None:
    assert to_frame(iter(())).empty


async def no_page(limit: int, skip: int) -> Page[Project]:
    raise AssertionError((limit, skip))


def test_a_pager_that_must_be_awaited_is_refused_with_advice() -> None:
    with pytest.raises(InvalidArgumentError, match=r"not Pager. Pass a pager of launch_async as await"):
        to_frame(Pager(no_page))  # type: ignore[arg-type]


def test_objects_of_other_libraries_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="not int"):
        to_frame([1])


def test_without_pandas_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'contentstack-launch\[notebook\]'"):
        Page(()).to_frame()


@attrs.frozen
class Key:
    """An object with a secret field that no list of names contains."""

    name: str
    value: str = attrs.field(metadata=SECRET)


def test_a_field_that_is_marked_as_secret_has_no_column() -> None:
    assert to_frame([Key("a", "canary")]).columns.to_list() == ["name"]
