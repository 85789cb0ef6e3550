"""Domains: the host names under which environments are served, and their certificates."""

from __future__ import annotations

from datetime import datetime

import attrs

from launch_async._views import Displayable
from launch_async.models.base import IdentifiedModel, OpenEnum, WireModel


class SslMethod(OpenEnum):
    """Where the certificate of a domain comes from.

    Attributes:
        AUTOMATIC: Launch obtains and renews it.
        CUSTOM: The customer uploads it.
    """

    AUTOMATIC = "AUTOMATIC"
    CUSTOM = "CUSTOM"


@attrs.frozen(slots=False, kw_only=True)
class DomainInfo(WireModel):
    """State of a domain, in the service's words. The DNS records that verify it are in `extra`, as they came.

    Attributes:
        status: State of the domain.
        domain_status_description: The same for people.
        ssl_status: State of its certificate.
    """

    status: str | None = None
    domain_status_description: str | None = None
    ssl_status: str | None = None


@attrs.frozen(slots=False, kw_only=True)
class Domain(Displayable, IdentifiedModel):
    """A host name under which an environment is served (`Domain` in `openapi.yaml`).

    The names of the fields that hold DNS records are not documented. The records are in `extra` and in
    `domain_info.extra`, as they came.

    Attributes:
        uid: Identifier of the domain; empty where the service names none, as in `Environment.domains`.
        url: Host name, usually without a scheme.
        is_custom_domain: Whether it is the customer's own.
        ssl_method: Where its certificate comes from.
        custom_certificate_expires_at: When a custom certificate expires.
        domain_info: Its state.
    """

    uid: str = ""
    url: str | None = None
    is_custom_domain: bool | None = None
    ssl_method: SslMethod | None = None
    custom_certificate_expires_at: datetime | None = None
    domain_info: DomainInfo | None = None
