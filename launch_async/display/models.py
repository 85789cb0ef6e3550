"""Views of the models for notebooks: projects, environments, deployments, logs, pages, the cache's quota."""

from __future__ import annotations

from typing import Final

from launch_async._text import count_of, listed
from launch_async._views import HTML
from launch_async.display import html as _html
from launch_async.models.base import IdentifiedModel
from launch_async.models.cache import CacheRevalidationUsage
from launch_async.models.deployment import Deployment, DeploymentStatus
from launch_async.models.domain import Domain
from launch_async.models.environment import Environment
from launch_async.models.log import Log, LogLine, ServerLogLine
from launch_async.models.page import Listed, Page
from launch_async.models.project import Project
from launch_async.resources.pager import Pager

__all__ = ["deployment_name", "severity_of", "status_badge", "text_line"]

_NAMES: Final = 10
_SEVERITIES: Final = {
    DeploymentStatus.FAILED: _html.Severity.BAD,
    DeploymentStatus.SKIPPED: _html.Severity.WARNING,
    DeploymentStatus.CANCELLED: _html.Severity.WARNING,
}


@HTML.of(Project)
def _project(project: Project) -> str:
    facts: dict[str, _html.Cell] = {
        "source": project.project_type,
        "repository": _repository(project),
        "description": project.description,
        "created": _html.when(project.created_at),
        "changed": _html.when(project.updated_at),
        "deleted": _html.when(project.deleted_at),
        "uid": _html.code(project.uid),
    }
    return _html.card(f"Project {project.name or project.uid}", facts)


@_html.row.register(Project)
def _project_row(project: Project) -> dict[str, _html.Cell]:
    return {
        "project": project.name,
        "source": _repository(project) or project.project_type,
        "changed": project.updated_at,
        "uid": _html.code(project.uid),
    }


def _repository(project: Project) -> _html.Markup:
    repository = project.repository
    return _html.link(repository.repository_url, repository.repository_name) if repository else _html.Markup()


@HTML.of(Environment)
def _environment(environment: Environment) -> str:
    protection = environment.password_protection
    facts: dict[str, _html.Cell] = {
        "framework": environment.framework_preset,
        "branch": environment.git_branch,
        "build": _html.code(environment.build_command),
        "output": _html.code(environment.output_directory),
        "server": _html.code(environment.server_command),
        "variables": listed([variable.key for variable in environment.environment_variables], _NAMES),
        "password": None if protection is None else protection.is_enabled,
        "addresses": _html.links(domain.url for domain in environment.domains),
        "description": environment.description,
        "created": _html.when(environment.created_at),
        "changed": _html.when(environment.updated_at),
        "project": _html.code(environment.project_uid),
        "uid": _html.code(environment.uid),
    }
    return _html.card(f"Environment {environment.name or environment.uid}", facts)


@_html.row.register(Environment)
def _environment_row(environment: Environment) -> dict[str, _html.Cell]:
    return {
        "environment": environment.name,
        "framework": environment.framework_preset,
        "branch": environment.git_branch,
        "address": _html.links((domain.url for domain in environment.domains), shown=1),
        "changed": environment.updated_at,
        "uid": _html.code(environment.uid),
    }


@HTML.of(Domain)
def _domain(domain: Domain) -> str:
    info = domain.domain_info
    facts: dict[str, _html.Cell] = {
        "address": _html.links([domain.url]),
        "custom": domain.is_custom_domain,
        "status": None if info is None else info.status,
        "explanation": None if info is None else info.domain_status_description,
        "certificate": domain.ssl_method,
        "certificate status": None if info is None else info.ssl_status,
        "expires": _html.when(domain.custom_certificate_expires_at),
        "uid": _html.code(domain.uid),
    }
    return _html.card(f"Domain {domain.url or domain.uid}", facts)


@_html.row.register(Domain)
def _domain_row(domain: Domain) -> dict[str, _html.Cell]:
    return {
        "domain": _html.links([domain.url]),
        "status": None if domain.domain_info is None else domain.domain_info.status,
        "certificate": domain.ssl_method,
        "expires": domain.custom_certificate_expires_at,
        "uid": _html.code(domain.uid),
    }


@HTML.of(Deployment)
def _deployment(deployment: Deployment) -> str:
    facts: dict[str, _html.Cell] = {
        "status": status_badge(deployment.status),
        "site": _html.link(deployment.url),
        "branch": deployment.git_branch,
        "commit": _commit(deployment),
        "created": _html.when(deployment.created_at),
        "changed": _html.when(deployment.updated_at),
        "uid": _html.code(deployment.uid),
    }
    return _html.card(f"Deployment {deployment_name(deployment)}", facts)


@_html.row.register(Deployment)
def _deployment_row(deployment: Deployment) -> dict[str, _html.Cell]:
    return {
        "deployment": deployment_name(deployment),
        "status": status_badge(deployment.status),
        "site": _html.link(deployment.url),
        "commit": _commit(deployment),
        "created": deployment.created_at,
        "uid": _html.code(deployment.uid),
    }


def deployment_name(deployment: Deployment) -> str:
    """Return the name of a deployment for readers: its number, or its UID if it has no number."""
    number = deployment.deployment_number
    return deployment.uid if number is None else f"#{number}"


def status_badge(status: DeploymentStatus) -> _html.Markup:
    """Return the badge of a status. An unknown status looks like a deployment in progress."""
    return _html.badge(status or "not stated", severity_of(status))


def severity_of(status: DeploymentStatus) -> _html.Severity:
    """Return the severity of a status."""
    return _html.Severity.GOOD if status.is_success else _SEVERITIES.get(status, _html.Severity.BUSY)


def _commit(deployment: Deployment) -> _html.Markup:
    short = (deployment.commit_hash or "")[:7]
    subject = (deployment.commit_message or "").partition("\n")[0]
    return _html.Markup(f"{_html.link(deployment.commit_url, short)} {_html.text(subject)}".strip())


def _line(line: LogLine | ServerLogLine) -> str:
    return _html.log([text_line(line)])


HTML.of(LogLine)(_line)
HTML.of(ServerLogLine)(_line)


@HTML.of(Log)
def _log(log: Log[LogLine] | Log[ServerLogLine]) -> str:
    return _html.log([text_line(line) for line in log])


def text_line(line: LogLine | ServerLogLine) -> _html.TextLine:
    """Return a line of a log in the form that views show."""
    label = line.stage if isinstance(line, LogLine) else line.source
    return _html.TextLine(line.timestamp, label, line.message)


@HTML.of(Page)
def _page(page: Page[object]) -> str:
    if len(page) == page.total:
        return _html.table(f"All {page.total:,}", page.items)
    first_to_last = f"{page.skip + 1:,} to {page.skip + len(page):,}" if page.items else "None"
    title = first_to_last if page.total is None else f"{first_to_last} of {page.total:,}"
    return _html.table(title, page.items)


@HTML.of(Pager)
def _pager(pager: Pager[IdentifiedModel]) -> str:
    # This function cannot await, so it sends no request.
    if pager.page_read is None:
        return "<p>This listing has not been read yet. Write <code>await</code> before it to get the list.</p>"
    return _page(pager.page_read)


@HTML.of(Listed)
def _listed(items: Listed[object]) -> str:
    return _html.table(count_of(len(items), "item"), items)


@HTML.of(CacheRevalidationUsage)
def _usage(usage: CacheRevalidationUsage) -> str:
    facts: dict[str, _html.Cell] = {
        "used": _count(usage.current_cache_revalidations),
        "allowed": _count(usage.max_cache_revalidations),
        "left": _count(usage.remaining),
        "reset at": None if usage.usage_reset is None else str(usage.usage_reset),
    }
    return _html.card("Revalidations of the CDN cache", facts)


def _count(number: int | None) -> str | None:
    return None if number is None else f"{number:,}"
