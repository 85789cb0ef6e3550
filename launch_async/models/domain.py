"""Domains: the host names of environments, and their certificates."""

from __future__ import annotations

from datetime import datetime

import attrs

from launch_async._views import Displayable
from launch_async.models.base import IdentifiedModel, OpenEnum, WireModel


class SslMethod(OpenEnum):
    """Source of the certificate of a domain.

    Attributes:
        AUTOMATIC: Launch obtains and renews the certificate.
        CUSTOM: The customer uploads the certificate.
    """

    AUTOMATIC = "AUTOMATIC"
    CUSTOM = "CUSTOM"


@attrs.frozen(slots=False, kw_only=True)
class DomainInfo(WireModel):
    """State of a domain, as the service sends it. `extra` contains the DNS records that verify the domain.

    Attributes:
        status: State of the domain.
        domain_status_description: Description of the state, for people.
        ssl_status: State of the certificate.
    """

    status: str | None = None
    domain_status_description: str | None = None
    ssl_status: str | None = None


@attrs.frozen(slots=False, kw_only=True)
class Domain(Displayable, IdentifiedModel):
    """A host name of an environment (`Domain` in `openapi.yaml`).

    The service does not document the names of the fields with DNS records. The records are in `extra` and in
    `domain_info.extra`, unchanged.

    Attributes:
        uid: UID of the domain; empty if the service sends none, as in `Environment.domains`.
        url: Host name, usually without a scheme.
        is_custom_domain: Whether the domain is a domain of the customer.
        ssl_method: Source of the certificate.
        custom_certificate_expires_at: Time at which a custom certificate expires.
        domain_info: State of the domain.
    """

    uid: str = ""
    url: str | None = None
    is_custom_domain: bool | None = None
    ssl_method: SslMethod | None = None
    custom_certificate_expires_at: datetime | None = None
    domain_info: DomainInfo | None = None
