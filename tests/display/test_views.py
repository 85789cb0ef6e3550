"""The HTML views of all objects in a notebook: they show the main facts and no secrets. Plain text has no HTML."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import attrs
import pytest
from display_support import Reader
from hypothesis import given, strategies as st

from launch_async import (
    ArchiveListing,
    CacheRevalidationUsage,
    CheckResult,
    Deployment,
    DeploymentRef,
    DeploymentReport,
    DeploymentStatus,
    Domain,
    Environment,
    FollowedLine,
    FrameworkPreset,
    Log,
    LogLine,
    LogStage,
    Page,
    PasswordProtection,
    Preview,
    Project,
    ProjectType,
    ServerLogLine,
    Site,
    SslMethod,
    VariablesDiff,
    to_frame,
)
from launch_async._views import HTML, Displayable
from launch_async.archive import ArchiveEntry, Exclusion
from launch_async.deploy.previews.marker import Marker
from launch_async.display import html as _html
from launch_async.fleet import FleetReport, Plan, Selection
from launch_async.models import EnvironmentVariable, Repository
from launch_async.models.page import Listed
from launch_async.rate_limit import LimiterStatus, Priority
from launch_async.state import StatePlan
from launch_async.variables import VariableValues
from tests.support.programs import ROOT

UID = "66c0" + "0" * 20
CREATED = datetime(2026, 3, 1, tzinfo=UTC)
CANARY = "canary-of-a-secret"

PROJECT = Project(
    uid=UID,
    name="night-sky",
    project_type=ProjectType.GITPROVIDER,
    repository=Repository(repository_name="moon/sky", repository_url=f"https://me:{CANARY}@example.com/moon/sky"),
    cms_stack_api_key=CANARY,
    created_at=CREATED,
    extra={"novel": CANARY},
)
ENVIRONMENT = Environment(
    uid=UID,
    name="production",
    framework_preset=FrameworkPreset.NEXTJS,
    environment_variables=(
        EnvironmentVariable(key="API_KEY", value=CANARY),
        EnvironmentVariable(key="MODE", value=CANARY),
    ),
    password_protection=PasswordProtection(is_enabled=True, username="me", password=CANARY),
    domains=(Domain(url="moon.example.com"),),
    project_uid="a" * 24,
)
DEPLOYMENT = Deployment(
    uid=UID,
    status=DeploymentStatus.FAILED,
    deployment_number=7,
    deployment_url="moon.example.com",
    commit_hash="0123456789abcdef",
    commit_message="Fix the moon\n\nIt was broken.",
    commit_url="https://example.com/commit",
    created_at=CREATED,
    updated_at=CREATED + timedelta(seconds=41),
)
REPORT = DeploymentReport.of(
    DEPLOYMENT,
    [LogLine(message=f"line {number}", stage=LogStage.BUILD) for number in range(30)] + [LogLine(message="Error: x")],
)
DIFF = VariablesDiff(
    project_uid=UID,
    environment_uid=UID,
    added=("NEW",),
    changed=("API_KEY",),
    removed=(),
    unchanged=("MODE",),
    remove=False,
    fingerprint="f",
    read=VariableValues({"API_KEY": CANARY}),
    desired=VariableValues({"API_KEY": CANARY, "NEW": CANARY}),
)
LISTING = ArchiveListing(
    Path("site"),
    (ArchiveEntry("index.html", 10, 0o644), ArchiveEntry("<sky>.png", 2048, 0o644)),
    (Exclusion(".env", "secret", 7), Exclusion("node_modules", "a rule", None)),
)
BUDGET = LimiterStatus(
    rate=9.5,
    queued={Priority.INTERACTIVE: 2, Priority.POLL: 0},
    expected_wait=0.0,
    sent=1234,
    refused=1,
    paused_for=0.0,
    poll_rate=4.8,
)
LOG = Log([LogLine(message="<b>", stage=LogStage.BUILD, timestamp=CREATED)])
FOLLOWED = FollowedLine(DeploymentRef("a" * 24, "b" * 24, UID), LOG[0])
USAGE = CacheRevalidationUsage(current_cache_revalidations=1400, max_cache_revalidations=2000, usage_reset="noon")
DOMAIN = Domain(uid=UID, url="moon.example.com", ssl_method=SslMethod.CUSTOM, custom_certificate_expires_at=CREATED)
SITE = Site(PROJECT, ENVIRONMENT, DEPLOYMENT)


def page(items: tuple[object, ...], **options: int) -> Page[object]:
    return Page(items, **options)


EVERYTHING = {
    "project": PROJECT,
    "environment": ENVIRONMENT,
    "deployment": DEPLOYMENT,
    "site": SITE,
    "report": REPORT,
    "check": CheckResult(name="GET /", passed=False, problem="status 500 instead of 200", head="<h1>Oops</h1>"),
    "preview": Preview.of(
        attrs.evolve(ENVIRONMENT, description=Marker(CREATED, "me", "files").text),
        CREATED,
    ),
    "diff": DIFF,
    "listing": LISTING,
    "budget": BUDGET,
    "log": LOG,
    "line": LOG[0],
    "server line": ServerLogLine(message="GET /", source="stdout", timestamp=CREATED),
    "followed line": FOLLOWED,
    "usage": USAGE,
    "domain": Domain(
        uid=UID, url="moon.example.com", ssl_method=SslMethod.CUSTOM, custom_certificate_expires_at=CREATED
    ),
    "list": Listed([PROJECT, DEPLOYMENT]),
    "page": page((PROJECT, ENVIRONMENT, DEPLOYMENT, REPORT, DOMAIN)),
}


FIRST_VIEW = f"""
import pickle, sys
from launch_async.models import Deployment
deployment = Deployment(uid="{UID}")
assert not [name for name in sys.modules if name.startswith(("launch_async.display", "launch_async.fleet", "pandas"))]
assert "Deployment {UID}" in deployment._repr_html_()
assert "IPython" not in sys.modules
"""


def test_the_views_are_loaded_by_the_first_view_and_not_before() -> None:
    assert subprocess.run([sys.executable, "-c", FIRST_VIEW], cwd=ROOT).returncode == 0


def test_an_object_that_was_unpickled_in_another_process_has_a_view() -> None:
    code = f"import pickle; print(pickle.loads({pickle.dumps(REPORT)!r})._repr_html_())"

    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert "Deployment #7" in shown


def test_every_displayable_class_has_a_view() -> None:
    import_module("launch_async.client")
    kinds = {kind for kind in _below(Displayable) if kind.__module__.startswith("launch_async.")}

    assert {type(shown) for shown in EVERYTHING.values()} == kinds - {Selection, Plan, FleetReport, StatePlan}


def _below(kind: type) -> set[type]:
    return {one for below in kind.__subclasses__() for one in (below, *_below(below))}


def test_an_object_without_a_view_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="no view of this kind for int"):
        HTML(1)


def lines(shown: object) -> list[str]:
    render: Callable[[], str] = shown._repr_html_  # type: ignore[attr-defined]
    read = Reader(render())
    assert read.is_harmless
    return read.lines


@pytest.mark.parametrize("shown", EVERYTHING.values(), ids=EVERYTHING.keys())
def test_no_view_shows_a_secret(shown: object) -> None:
    assert CANARY not in "\n".join(lines(shown))
    assert CANARY not in shown._repr_html_()  # type: ignore[attr-defined]


@pytest.mark.parametrize("shown", EVERYTHING.values(), ids=EVERYTHING.keys())
def test_a_uid_in_a_table_is_never_wrapped(shown: object) -> None:
    cells = re.findall(r"<td [^>]*>(.*?)</td>", shown._repr_html_(), re.DOTALL)  # type: ignore[attr-defined]

    breakable = [
        re.sub(r"<(\w+) [^>]*white-space:nowrap[^>]*>.*?</\1>|<a [^>]*>|title=\"[^\"]*\"", "", cell) for cell in cells
    ]
    assert [cell for cell in breakable if re.search(r"[0-9a-f]{24}", cell)] == []


def test_the_uids_of_a_target_without_names_are_never_wrapped() -> None:
    shown = _html.table("", [UID], cells=lambda uid: {"target": f"{uid}/{uid}"})

    assert shown.count(f'<span style="white-space:nowrap">{UID}</span>') == 2


@pytest.mark.parametrize("shown", EVERYTHING.values(), ids=EVERYTHING.keys())
def test_plain_text_contains_no_html(shown: object) -> None:
    assert "<div" not in repr(shown)
    assert "<table" not in str(shown)


@given(st.data())
def test_any_text_of_the_service_is_escaped(data: st.DataObject) -> None:
    for whole in (PROJECT, ENVIRONMENT, DEPLOYMENT):
        texts = {field.name for field in attrs.fields(type(whole)) if "str" in str(field.type)} - {"nulls", "extra"}
        strange = attrs.evolve(whole, **dict.fromkeys(texts, data.draw(st.text(max_size=40))))
        assert lines(strange)
        assert lines(page((strange,)))


def test_a_project_shows_its_source() -> None:
    assert lines(PROJECT)[:3] == ["Project night-sky", "source GITPROVIDER", "repository moon/sky"]


def test_an_environment_shows_only_the_names_of_its_variables() -> None:
    assert "variables API_KEY, MODE" in lines(ENVIRONMENT)
    assert "password yes" in lines(ENVIRONMENT)
    assert "addresses https://moon.example.com" in lines(ENVIRONMENT)


def test_a_deployment_shows_its_status_and_its_commit() -> None:
    assert lines(DEPLOYMENT)[:4] == [
        "Deployment #7",
        "status ✗ FAILED",
        "site https://moon.example.com",
        "commit 0123456 Fix the moon",
    ]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("LIVE", "✓ LIVE"),
        ("SKIPPED", "! SKIPPED"),
        ("DEPLOYED", "✓ DEPLOYED"),
        ("ARCHIVED", "✓ ARCHIVED"),
        ("DEPLOYING", "… DEPLOYING"),
        ("NOVEL", "… NOVEL"),
        ("", "… not stated"),
    ],
)
def test_a_status_is_a_mark_and_a_word(status: str, words: str) -> None:
    assert lines(Deployment(uid=UID, status=DeploymentStatus(status)))[1] == f"status {words}"


def test_a_site_is_one_table() -> None:
    shown = lines(SITE)

    assert shown[:3] == ["Site night-sky", "site https://moon.example.com", "status ✗ FAILED"]
    assert sum(UID in line for line in shown) == 3


def test_a_report_of_a_failure_shows_the_end_of_the_log() -> None:
    shown = lines(REPORT)

    assert shown[:4] == ["Deployment #7", "status ✗ FAILED", "took 41 s", "stage BUILD"]
    assert "first error Error: x" in shown
    assert shown[-1] == "Error: x"
    assert "<details open>" in REPORT._repr_html_()


def test_a_report_of_a_success_folds_its_log() -> None:
    report = attrs.evolve(REPORT, deployment=attrs.evolve(DEPLOYMENT, status=DeploymentStatus.LIVE))

    assert "<details>" in report._repr_html_()
    assert not any(line.startswith("first error") for line in lines(report))


def test_a_difference_of_variables_has_names_only() -> None:
    assert lines(DIFF) == [
        "Variables: 1 to add, 1 to change, 0 to remove",
        "change name",
        "+ add NEW",
        "~ change API_KEY",
        "1 unchanged",
    ]


def test_a_difference_without_changes_says_so() -> None:
    assert lines(attrs.evolve(DIFF, added=(), changed=()))[0] == "Variables: nothing to change"


def test_an_archive_shows_its_largest_files_and_why_others_are_left_out() -> None:
    assert lines(LISTING) == [
        "2 files to send, 2.0 KiB before compression; largest first",
        "size path",
        "2.0 KiB <sky>.png",
        "10 B index.html",
        "2 excluded",
        "size path why",
        "7 B .env secret",
        "node_modules a rule",
    ]


def test_an_archive_without_exclusions_shows_no_exclusions() -> None:
    assert "<details" not in attrs.evolve(LISTING, excluded=())._repr_html_()


def test_the_budget_shows_whether_it_is_paused() -> None:
    assert lines(BUDGET)[1:6] == [
        "status ✓ open",
        "rate 9.5 requests per second",
        "polls at most 4.8 per second",
        "queued 2 interactive",
        "expected wait none",
    ]
    paused = attrs.evolve(BUDGET, paused_for=1.5, expected_wait=1.6, queued={})
    assert lines(paused)[1] == "status ! paused for 1.5 s after a 429"
    assert lines(paused)[4:6] == ["queued none", "expected wait 1.6 s"]


def test_a_page_is_a_table_with_its_position_in_the_listing() -> None:
    items = tuple(attrs.evolve(PROJECT, name=f"site-{number}") for number in range(30))

    assert lines(page(items, skip=100, total=1240))[0] == "101 to 130 of 1,240"
    assert lines(page(items, skip=100))[0] == "101 to 130"
    assert lines(page(items, total=30))[0] == "All 30"
    assert lines(page((), skip=50, total=30)) == ["None of 30"]
    assert lines(page(items))[1] == "project source uid"
    assert lines(page(items))[-1] == "… and 10 more"


def test_the_list_of_a_listing_or_a_wait_is_shown_as_a_table() -> None:
    ended = Listed(attrs.evolve(DEPLOYMENT, uid=f"{number:024x}") for number in range(1200))

    assert ended[:1] == [attrs.evolve(DEPLOYMENT, uid="0" * 24)]
    assert lines(ended)[0] == "1,200 items"
    assert lines(ended)[-1] == "… and 1,180 more"


def test_a_quota_shows_the_rest() -> None:
    assert lines(USAGE) == [
        "Revalidations of the CDN cache",
        "used 1,400",
        "allowed 2,000",
        "left 600",
        "reset at noon",
    ]
    assert lines(CacheRevalidationUsage()) == ["Revalidations of the CDN cache"]


def test_a_line_of_several_logs_shows_its_deployment() -> None:
    assert lines(FOLLOWED) == ["66c00000 BUILD", "00:00:00 <b>"]


def test_a_log_is_a_tuple_of_lines_and_is_printed_as_text() -> None:
    assert (LOG[0],) == LOG
    assert str(LOG) == "<b>"
    assert lines(LOG) == ["BUILD", "00:00:00 <b>"]


def test_a_server_log_line_shows_its_source() -> None:
    assert lines(EVERYTHING["server line"]) == ["stdout", "00:00:00 GET /"]


@pytest.mark.parametrize("items", [[PROJECT], [ENVIRONMENT], [DEPLOYMENT], [SITE], [REPORT], [DIFF], LOG])
def test_no_frame_contains_a_secret(items: list[object]) -> None:
    frame = to_frame(items)

    columns = [name for name in frame.columns if not name.endswith(("cms_stack_api_key", "repository_url"))]
    assert CANARY not in frame[columns].to_csv()
