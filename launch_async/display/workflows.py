"""Views of the workflows for notebooks: archives, sites, reports, followed lines, variables, the rate limit."""

from __future__ import annotations

import math

from launch_async._text import count_of, duration, file_size
from launch_async._views import HTML
from launch_async.archive.archive import ArchiveListing
from launch_async.archive.entries import ArchiveEntry, Exclusion, printable
from launch_async.deploy.previews.preview import Preview
from launch_async.deploy.release.check import CheckResult
from launch_async.deploy.site import Site
from launch_async.display import html as _html
from launch_async.display.models import deployment_name, status_badge, text_line
from launch_async.rate_limit.types import LimiterStatus
from launch_async.variables import VariablesDiff
from launch_async.watch.merging import FollowedLine
from launch_async.watch.report import DeploymentReport

__all__: list[str] = []


@HTML.of(ArchiveListing)
def _listing(listing: ArchiveListing) -> str:
    files = count_of(len(listing.entries), "file")
    title = f"{files} to send, {file_size(listing.total_size)} before compression; largest first"
    left_out = _html.details(f"{len(listing.excluded):,} excluded", _html.table("", listing.excluded, cells=_left_out))
    return _html.table(title, listing.largest, *([left_out] if listing.excluded else []), cells=_sent)


def _sent(one: ArchiveEntry) -> dict[str, _html.Cell]:
    return {"size": file_size(one.size), "path": _html.code(printable(one.path))}


def _left_out(one: Exclusion) -> dict[str, _html.Cell]:
    bytes_left = None if one.size is None else file_size(one.size)
    return {"size": bytes_left, "path": _html.code(printable(one.path)), "why": one.reason}


@HTML.of(Site)
def _site(site: Site) -> str:
    facts: dict[str, _html.Cell] = {
        "site": _html.link(site.url),
        "status": status_badge(site.deployment.status),
        "environment": site.environment.name,
        "framework": site.environment.framework_preset,
        "created": _html.when(site.deployment.created_at),
        "project": _html.code(site.project.uid),
        "environment uid": _html.code(site.environment.uid),
        "deployment": _html.code(site.deployment.uid),
    }
    return _html.card(f"Site {site.project.name or site.project.uid}", facts)


@HTML.of(DeploymentReport)
def _report(report: DeploymentReport) -> str:
    deployment, is_success = report.deployment, report.status.is_success
    facts: dict[str, _html.Cell] = {
        "status": status_badge(report.status),
        "took": duration(report.seconds),
        "stage": report.stage,
        "stages": ", ".join(f"{name} {seconds:.0f} s" for name, seconds in report.stage_seconds.items()) or None,
        "site": _html.link(report.url),
        "first error": None if is_success else report.first_error,
        "next": report.advice,
        "ended": _html.when(deployment.updated_at if report.seconds is not None else None),
        "uid": _html.code(deployment.uid),
    }
    lines = [text_line(line) for line in report.log_tail]
    log = _html.details("last lines", _html.log(lines), is_open=not is_success)
    return _html.card(f"Deployment {deployment_name(deployment)}", facts, *([log] if lines else []))


@_html.row.register(DeploymentReport)
def _report_row(report: DeploymentReport) -> dict[str, _html.Cell]:
    return {
        "deployment": deployment_name(report.deployment),
        "status": status_badge(report.status),
        "took": duration(report.seconds),
        "first error": None if report.status.is_success else report.first_error,
        "uid": _html.code(report.deployment.uid),
    }


@HTML.of(Preview)
def _preview(preview: Preview) -> str:
    return _html.card(f"Preview {preview.name}", _preview_facts(preview))


@_html.row.register(Preview)
def _preview_row(preview: Preview) -> dict[str, _html.Cell]:
    return {"preview": preview.name, **_preview_facts(preview)}


def _preview_facts(preview: Preview) -> dict[str, _html.Cell]:
    left = duration(max(0.0, preview.time_left.total_seconds()))
    return {
        "site": _html.link(preview.url),
        "source": preview.source or None,
        "owner": preview.owner or None,
        "ends": _html.when(preview.expires_at),
        "time left": _html.badge("expired", _html.Severity.WARNING) if preview.is_over else left,
        "age": None if preview.age is None else duration(preview.age.total_seconds()),
        "environment uid": _html.code(preview.environment_uid),
    }


@HTML.of(CheckResult)
def _check_result(result: CheckResult) -> str:
    return _html.card(f"Check {result.name}", _check_facts(result))


@_html.row.register(CheckResult)
def _check_row(result: CheckResult) -> dict[str, _html.Cell]:
    return {"check": result.name, **_check_facts(result)}


def _check_facts(result: CheckResult) -> dict[str, _html.Cell]:
    severity = _html.Severity.GOOD if result.passed else _html.Severity.BAD
    outcome = "passed" if result.passed else "failed" if result.is_decided else "not decided"
    return {
        "outcome": _html.badge(outcome, severity),
        "problem": result.problem or None,
        "answer": result.head or None,
        "attempts": result.attempts,
        "took": duration(result.seconds),
    }


@HTML.of(FollowedLine)
def _followed(followed: FollowedLine) -> str:
    line = followed.line
    label = " ".join(filter(None, (followed.ref.deployment_uid[:8], line.stage)))
    return _html.log([_html.TextLine(line.timestamp, label, line.message)])


@HTML.of(VariablesDiff)
def _variables(diff: VariablesDiff) -> str:
    changes = (("+ add", diff.added), ("~ change", diff.changed), ("- remove", diff.removed))
    rows = [(action, name) for action, names in changes for name in names]
    counts = ", ".join(f"{len(names)} to {action[2:]}" for action, names in changes)
    kept = _html.faint(f"{len(diff.unchanged)} unchanged")
    title = f"Variables: {counts if rows else 'nothing to change'}"
    return _html.table(title, rows, kept, cells=lambda row: {"change": row[0], "name": _html.code(row[1])})


@HTML.of(LimiterStatus)
def _budget(status: LimiterStatus) -> str:
    pause = _html.badge(f"paused for {duration(status.paused_for)} after a 429", _html.Severity.WARNING)
    waiting = ", ".join(f"{count} {priority.name.lower()}" for priority, count in status.queued.items() if count)
    facts: dict[str, _html.Cell] = {
        "status": pause if status.paused_for else _html.badge("open", _html.Severity.GOOD),
        "rate": f"{status.rate:.1f} requests per second",
        "polls": "any" if math.isinf(status.poll_rate) else f"at most {status.poll_rate:.1f} per second",
        "queued": waiting or "none",
        "expected wait": duration(status.expected_wait) if status.expected_wait else "none",
        "sent": f"{status.sent:,}",
        "refused with 429": f"{status.refused:,}",
    }
    return _html.card("Rate limit of the organization", facts)
