"""Domains and their certificates: `Domains` in the API reference."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final

import attrs

from launch_async.errors import AmbiguousOutcome, InvalidArgumentError, LaunchError, NotFoundError
from launch_async.http.base import Response
from launch_async.http.operation import READ, WRITE, Operation, check_text, is_uid
from launch_async.models.base import UNSET
from launch_async.models.domain import Domain, SslMethod
from launch_async.models.requests import UpdateDomainRequest
from launch_async.resources._certificates import CheckedCertificate, checked_certificate, host_of
from launch_async.resources._inputs import given
from launch_async.resources._resource import Resource, foreign_answer
from launch_async.resources.pager import Pager
from launch_async.wire.documents import structure
from launch_async.wire.json_body import load_json
from launch_async.wire.secret import Secret

__all__ = ["Domains"]

_PARENT: Final = "/projects/{project_uid}/environments/{environment_uid}/domains"
_LIST: Final = Operation("listDomains", "GET", _PARENT, READ)
_UPDATE: Final = Operation("updateDomain", "PUT", _PARENT + "/{domain_uid}", WRITE, once=True)


class Domains(Resource):
    """The domains of an environment."""

    def list(self, project_uid: str, environment_uid: str, *, limit: int | None = None, skip: int = 0) -> Pager[Domain]:
        """List the domains of an environment.

        Args:
            project_uid: The project.
            environment_uid: The environment.
            limit: Items per page, 1 to 100; 100 by default.
            skip: Number of items to skip at the start.

        Returns:
            A pager. Iterate over it to get every domain, or call a method to get a page, the total or a list.

        Raises:
            InvalidArgumentError: A UID is malformed, or `limit` is not from 1 to 100, or `skip` is negative.
            NotFoundError: The organization has no such environment (404).

        API: `listDomains`. The vendor does not document the scope; `launch.projects:read` probably suffices.
        """
        return self._list(
            _LIST,
            Domain,
            {"project_uid": project_uid, "environment_uid": environment_uid},
            "domains",
            limit=limit,
            skip=skip,
            headers=_naming(project_uid),
        )

    async def update(
        self,
        project_uid: str,
        environment_uid: str,
        domain_uid: str,
        *,
        url: str,
        ssl_method: SslMethod | str | None = None,
        certificate: str | None = None,
        private_key: str | None = None,
        chain: str | None = None,
    ) -> Domain:
        """Install your own certificate for a domain, or return to the certificate that Launch manages.

        The SDK first reads the domain and compares `url` with it, because another `url` would rename the domain. The
        SDK sends the change only once. If the response is lost, the SDK reads the domain again to find out whether the
        service made the change. The call takes two requests, or three if the response does not show the domain.

        The SDK checks the certificate before any request, with the library of the extra `certificates`. Each PEM must
        be readable and have at most 32 KiB. The key must belong to the certificate. The certificate must be valid now,
        and must cover the host (a wildcard covers one label). If there is a chain, it must contain the issuer of the
        certificate.

        Args:
            project_uid: The project.
            environment_uid: The environment.
            domain_uid: The domain.
            url: Host name of the domain, as `list` returns it.
            ssl_method: `AUTOMATIC` for the certificate that Launch manages, or `CUSTOM` for your own certificate. The
                default is `CUSTOM` if you pass a certificate.
            certificate: PEM text of the certificate. The chain may follow the certificate, as in `fullchain.pem`.
            private_key: PEM text of the private key, without a passphrase. The SDK never shows the key.
            chain: PEM text of the intermediate certificates.

        Returns:
            The domain after the change.

        Raises:
            InvalidArgumentError: `url` is not the host name of the domain, there is nothing to change, or a check of
                the certificate failed. The SDK changed nothing.
            ConfigurationError: The library `cryptography` is not installed.
            NotFoundError: The environment has no such domain.
            AmbiguousOutcome: The response was lost, and the domain does not show whether the service made the change.

        API: `listDomains`, `updateDomain`. The vendor does not document the scope; `launch.projects:write` probably
        suffices.
        """
        # Rebind the names, so that a traceback with local variables does not show a key, even in a wrong argument.
        certificate = Secret(certificate) if certificate is not None else None
        private_key = Secret(private_key) if private_key is not None else None
        chain = Secret(chain) if chain is not None else None
        uids = {"project_uid": project_uid, "environment_uid": environment_uid, "domain_uid": domain_uid}
        _UPDATE.render(uids)
        check_text("url", url, rule="openapi.yaml")
        method = _checked_method(ssl_method, certificate, private_key, chain)
        checked = None
        if certificate is not None and private_key is not None:
            now = self._pipeline.clock.now() or datetime.now(UTC)
            checked = checked_certificate(url, certificate, private_key, chain, now=now)
        before = await self._read_one(uids)
        if before.url is None or host_of(before.url) != host_of(url):
            raise InvalidArgumentError(
                "url",
                f"must be the host name of the domain, which is {before.url!r}, not {url!r}. Another URL would rename "
                "the domain",
            )
        body = UpdateDomainRequest(
            url=before.url,
            ssl_method=method,
            custom_certificate=UNSET if checked is None else checked.certificate,
            custom_private_key=given(private_key),
            intermediate_certificates=UNSET if checked is None else given(checked.chain),
        )
        try:
            shown = await self._read(
                _UPDATE, uids, partial(_shown, domain_uid), body=body, headers=_naming(project_uid)
            )
        except LaunchError as error:
            if not error.ambiguous:
                raise
            lost = error
        else:
            return shown or await self._read_one(uids)
        # Outside the `except` block, because an error raised inside would keep the frames of the lost response.
        return await self._read_back(uids, before, _Change(method, checked), lost)

    async def _read_one(self, uids: Mapping[str, str]) -> Domain:
        """Return a domain from the listing of its environment: the API has no operation that returns one domain."""
        async for domain in self.list(uids["project_uid"], uids["environment_uid"]):
            if domain.uid == uids["domain_uid"]:
                return domain
        raise NotFoundError(
            f"Environment {uids['environment_uid']} has no domain {uids['domain_uid']}. "
            "launch.domains.list(project_uid, environment_uid) returns its domains",
            operation=_UPDATE.name,
        )

    async def _read_back(self, uids: Mapping[str, str], before: Domain, change: _Change, lost: LaunchError) -> Domain:
        """Wait until the domain shows the change whose response was lost, and return the domain.

        Raises:
            AmbiguousOutcome: The domain does not show the change.
        """
        for delay in self._pipeline.retry.look_up_delays:
            await asyncio.sleep(delay)
            try:
                now = await self._read_one(uids)
            except LaunchError:
                continue
            if change.is_shown_by(now, before):
                return now
        raise AmbiguousOutcome(
            f"The response to the change of domain {before.url} was lost ({lost.message}), and the domain does not "
            "show whether the service made the change. Check launch.domains.list(project_uid, environment_uid) or the "
            "certificate of the site before you send the change again",
            candidates=[uids["domain_uid"]],
            operation=_UPDATE.name,
            status=lost.status,
            request_id=lost.request_id,
            attempts=lost.attempts,
        ) from lost


@attrs.frozen
class _Change:
    """A requested change of a domain."""

    ssl_method: SslMethod
    certificate: CheckedCertificate | None

    def is_shown_by(self, now: Domain, before: Domain) -> bool:
        """Return whether a domain shows this change now, and did not show it before."""
        if now.ssl_method != self.ssl_method:
            return False
        if self.certificate is None:
            return True
        wanted = self.certificate.expires_at
        return _is_second(now.custom_certificate_expires_at, wanted) and not _is_second(
            before.custom_certificate_expires_at, wanted
        )


def _is_second(moment: datetime | None, wanted: datetime) -> bool:
    return moment is not None and moment.replace(microsecond=0) == wanted.replace(microsecond=0)


def _naming(project_uid: str) -> Mapping[str, str]:
    """Return a header from an older example of the vendor. The service may not need the header, but accepts it."""
    return {"x-project-uid": project_uid}


def _checked_method(
    ssl_method: SslMethod | str | None, certificate: str | None, private_key: Secret | None, chain: str | None
) -> SslMethod:
    """Return the SSL method of an update, after a check that the other arguments fit this method.

    Raises:
        InvalidArgumentError: An argument is missing, or the service would ignore it.
    """
    if ssl_method is None and certificate is private_key is chain is None:
        problem = "there is nothing to change. Pass AUTOMATIC, or pass certificate= and private_key="
        raise InvalidArgumentError("ssl_method", problem)
    method = SslMethod.CUSTOM if ssl_method is None else SslMethod(check_text("ssl_method", ssl_method))
    if not method.is_known:
        raise InvalidArgumentError("ssl_method", f"must be one of {', '.join(SslMethod)}, not {ssl_method!r}")
    parts = {"certificate": certificate, "private_key": private_key, "chain": chain}
    if method is SslMethod.AUTOMATIC:
        if surplus := [name for name, part in parts.items() if part is not None]:
            raise InvalidArgumentError(
                surplus[0], f"has no effect if ssl_method is AUTOMATIC. Leave out {surplus[0]}= or ssl_method="
            )
    elif missing := [name for name in ("certificate", "private_key") if parts[name] is None]:
        raise InvalidArgumentError(
            missing[0], "is required, because ssl_method CUSTOM needs a certificate and its private_key"
        )
    return method


def _shown(domain_uid: str, response: Response) -> Domain | None:
    """Return the domain of a response, or None. The vendor does not document the body, which may be empty."""
    try:
        document = load_json(response.body)
        inner = document.get("domain", document) if isinstance(document, dict) else None
        domain = structure(inner, Domain)
    except ValueError:
        return None
    if domain.uid != domain_uid and is_uid(domain.uid):
        raise foreign_answer(_UPDATE, response, f"its UID is {domain.uid}, but the request was about {domain_uid}")
    return domain if domain.uid else None
