"""`doctor`: checks each thing that a client needs, and shows what to do about a problem."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import click

from launch_async._proxies import environment_proxy
from launch_async._text import count_of
from launch_async.cli.exit_codes import ExitCode
from launch_async.cli.session import Session, pass_session
from launch_async.http.recording import record_responses
from launch_async.settings import resolve_endpoint
from launch_async.wire.timestamps import parse_http_date
from launch_sync import (
    ConfigurationError,
    ForbiddenError,
    InvalidTokenError,
    LaunchClient,
    LaunchError,
    TransportError,
    UnauthorizedError,
)

__all__ = ["Finding", "doctor"]

_MAX_CLOCK_DIFFERENCE_S = 30.0


@attrs.frozen
class Finding:
    """The result of one check.

    Attributes:
        check: Name of the check.
        is_ok: Whether there is no problem.
        tried: Description of the result.
        cure: How to fix the problem; empty if there is none.
    """

    check: str
    is_ok: bool
    tried: str
    cure: str = ""


@click.command()
@pass_session
def doctor(session: Session) -> int:
    """Check credentials, network, clock and rate limit. Nothing is changed.

    The command sends one request. The exit code is 1 if a check fails.
    """
    findings: list[Finding] = []
    for finding in _findings(session):
        findings.append(finding)
        if not session.output.is_json:
            mark = "ok   " if finding.is_ok else "FAIL "
            cure = f"\n       -> {finding.cure}" if finding.cure else ""
            session.output.item(finding, f"{mark} {finding.check}: {finding.tried}{cure}")
    if session.output.is_json:
        session.output.result(findings)
    return ExitCode.DONE if all(finding.is_ok for finding in findings) else ExitCode.FAILED


def _findings(session: Session) -> Iterator[Finding]:
    sdk, python = version("contentstack-launch"), platform.python_version()
    yield Finding("versions", True, f"contentstack-launch {sdk}, Python {python}")
    try:
        client = session.client
    except ConfigurationError as error:
        yield Finding("credentials", False, "There are none in the environment or the keyring.", error.message)
        return
    sources = client.settings_sources
    yield Finding("credentials", True, f"from {sources.get('credentials', 'an argument')}")
    address = sources.get("base_url", "default")
    source = address if address != "default" else sources.get("region", "default")
    host = _host(session)
    yield Finding("region", True, f"{host} ({source})")
    yield _proxy(host)
    yield _authority()
    yield from _organization(client)
    yield Finding("rate limit", True, f"currently {client.budget.rate:.1f} requests per second")


def _host(session: Session) -> str:
    region = session.region or os.environ.get("CONTENTSTACK_REGION") or "na"
    return resolve_endpoint(region, session.base_url or os.environ.get("CONTENTSTACK_LAUNCH_URL") or None).base_url


def _proxy(address: str) -> Finding:
    parts = urlsplit(address)
    proxy = environment_proxy(parts.scheme, parts.hostname or "", parts.port)
    if proxy is None:
        return Finding("proxy", True, "There is no proxy for this host.")
    at = urlsplit(proxy)
    return Finding("proxy", True, f"{at.scheme}://{at.hostname}:{at.port or 80} (from the environment)")


def _authority() -> Finding:
    path = os.environ.get("SSL_CERT_FILE")
    if path is None:
        return Finding("certificates", True, "The certificate authorities of the system are used.")
    exists = Path(path).is_file()
    cure = "" if exists else "Set SSL_CERT_FILE to a file that exists, or unset it."
    return Finding("certificates", exists, f"SSL_CERT_FILE={path}", cure)


def _organization(client: LaunchClient) -> Iterator[Finding]:
    asked_at = datetime.now(UTC)
    with record_responses() as answers:
        try:
            page = client.projects.list().page()
        except LaunchError as error:
            if isinstance(error, TransportError):
                yield Finding("connection", False, str(error), _cure(error))
            else:
                yield Finding("connection", True, "The API answers.")
                yield Finding("organization", False, str(error), _cure(error))
            return
    yield Finding("connection", True, "The API answers.")
    projects = count_of(len(page) if page.total is None else page.total, "project")
    yield Finding("organization", True, f"The organization has {projects}.")
    yield _clock(asked_at, next((answer.headers.get("date") for answer in answers), None))


def _clock(asked_at: datetime, date: str | None) -> Finding:
    moment = None if date is None else parse_http_date(date)
    if moment is None:
        return Finding("clock", True, "The service sends no time, so the clock cannot be checked.")
    apart = (asked_at - moment).total_seconds()
    if abs(apart) <= _MAX_CLOCK_DIFFERENCE_S:
        return Finding("clock", True, f"The clock differs from the service's by {abs(apart):.0f} s.")
    return Finding(
        "clock",
        False,
        f"The clock is {abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} the clock of the service.",
        "Set the clock of this machine. Certificates and times in logs depend on it.",
    )


_CURES: tuple[tuple[type[LaunchError], str], ...] = (
    (InvalidTokenError, "Get a new token, or set the region that issued the token."),
    (UnauthorizedError, "Check which credentials are set. The line 'credentials' shows where they come from."),
    (ForbiddenError, "Check the UID of the organization and the scopes of the token."),
    (TransportError, "Check the network, the proxy and the certificates."),
)


def _cure(error: LaunchError) -> str:
    return next((cure for kind, cure in _CURES if isinstance(error, kind)), "Read the message above.")
