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
        """List the domains under which an environment is served.

        Args:
            project_uid: The project.
            environment_uid: The environment.
            limit: Items per page, 1 to 100; 100 by default.
            skip: Number of items to skip at the start.

        Returns:
            A pager: iterate it for every domain, or ask it for a page, the total or a list.

        Raises:
            InvalidArgumentError: A UID is malformed, or `limit` or `skip` is out of bounds.
            NotFoundError: No such environment in this organization (404).

        API: `listDomains`; the scope it needs is not documented, `launch.projects:read` is assumed.
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
        """Give a domain a certificate of your own, or go back to the one that Launch manages.

        The domain is read before anything is sent: `url` must be its own, because another one would rename it. The
        change is never sent twice. If its answer is lost, the domain is read again to see whether it happened. It takes
        two requests, and a third one where the answer does not show the domain.

        Certificates are checked before any request (extra `certificates`): all PEMs can be read and have at most
        32 KiB each, the key fits, the certificate is valid now, covers the host (a wildcard stands for one label), and
        was issued by one in the chain.

        Args:
            project_uid: The project.
            environment_uid: The environment.
            domain_uid: The domain.
            url: Host name of the domain, as `list` shows it.
            ssl_method: `AUTOMATIC` for the certificate that Launch manages; `CUSTOM`, which is the default beside a
                certificate, for your own.
            certificate: PEM text of the certificate; it may hold the chain behind it, as `fullchain.pem` does.
            private_key: PEM text of its key, without a passphrase; a secret, never shown.
            chain: PEM text of the intermediate certificates.

        Returns:
            The domain as the service shows it afterwards.

        Raises:
            InvalidArgumentError: `url` is not the domain's, there is nothing to change, or a check of the certificate
                failed; nothing was changed.
            ConfigurationError: The library cryptography is not installed.
            NotFoundError: The environment has no such domain.
            AmbiguousOutcome: The answer was lost, and the domain does not show whether the change happened.

        API: `listDomains`, `updateDomain`; the scope is not documented, `launch.projects:write` is assumed.
        """
        # Rebound: a traceback with local variables must not show the key, whichever argument it is given as.
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
                "url", f"is {url!r}, and the domain is {before.url!r}: repeat its own, because another one renames it"
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
        # Outside: an error that is raised here would hold the lost one's frames.
        return await self._read_back(uids, before, _Change(method, checked), lost)

    async def _read_one(self, uids: Mapping[str, str]) -> Domain:
        """Return a domain as the listing of its environment shows it: there is no operation for a single one."""
        async for domain in self.list(uids["project_uid"], uids["environment_uid"]):
            if domain.uid == uids["domain_uid"]:
                return domain
        raise NotFoundError(
            f"environment {uids['environment_uid']} has no domain {uids['domain_uid']}: "
            "launch.domains.list(project_uid, environment_uid) shows those that it has",
            operation=_UPDATE.name,
        )

    async def _read_back(self, uids: Mapping[str, str], before: Domain, change: _Change, lost: LaunchError) -> Domain:
        """Return the domain once it shows that a change took place whose answer was lost.

        Raises:
            AmbiguousOutcome: It does not.
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
            f"the answer to the change of domain {before.url} was lost ({lost.message}), and the domain does not show "
            "whether it happened. Look at launch.domains.list(project_uid, environment_uid) or at the certificate that "
            "the site serves before you send it again",
            candidates=[uids["domain_uid"]],
            operation=_UPDATE.name,
            status=lost.status,
            request_id=lost.request_id,
            attempts=lost.attempts,
        ) from lost


@attrs.frozen
class _Change:
    """What was to become of a domain."""

    ssl_method: SslMethod
    certificate: CheckedCertificate | None

    def is_shown_by(self, now: Domain, before: Domain) -> bool:
        """Return whether a domain shows this change, and showed something else before."""
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
    """Return a header that an older example of the vendor sent; where it is not needed it does no harm."""
    return {"x-project-uid": project_uid}


def _checked_method(
    ssl_method: SslMethod | str | None, certificate: str | None, private_key: Secret | None, chain: str | None
) -> SslMethod:
    """Return the method that an update is about, if all that it needs is there and nothing else.

    Raises:
        InvalidArgumentError: Something is missing, or would be ignored.
    """
    if ssl_method is None and certificate is private_key is chain is None:
        raise InvalidArgumentError("ssl_method", "there is nothing to change; give AUTOMATIC, or a certificate and key")
    method = SslMethod.CUSTOM if ssl_method is None else SslMethod(check_text("ssl_method", ssl_method))
    if not method.is_known:
        raise InvalidArgumentError("ssl_method", f"{ssl_method!r} is not one of {', '.join(SslMethod)}")
    parts = {"certificate": certificate, "private_key": private_key, "chain": chain}
    if method is SslMethod.AUTOMATIC:
        if surplus := [name for name, part in parts.items() if part is not None]:
            raise InvalidArgumentError(surplus[0], "would be ignored beside ssl_method AUTOMATIC")
    elif missing := [name for name in ("certificate", "private_key") if parts[name] is None]:
        raise InvalidArgumentError(missing[0], "is missing; ssl_method CUSTOM needs a certificate and its private_key")
    return method


def _shown(domain_uid: str, response: Response) -> Domain | None:
    """Return the domain that an answer shows; its body is not documented, and may be missing."""
    try:
        document = load_json(response.body)
        inner = document.get("domain", document) if isinstance(document, dict) else None
        domain = structure(inner, Domain)
    except ValueError:
        return None
    if domain.uid != domain_uid and is_uid(domain.uid):
        raise foreign_answer(_UPDATE, response, f"its uid is {domain.uid}, and {domain_uid} was asked for")
    return domain if domain.uid else None
