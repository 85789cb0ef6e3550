"""Where Launch lives: the seven regions with their hosts and aliases, and the checks on a base URL of your own."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

import attrs

from launch_async.errors import ConfigurationError

__all__ = ["REGIONS", "Region", "find_region"]


@attrs.frozen
class Region:
    """The hosts of one region (FACTS §1).

    Attributes:
        name: Canonical name: `na`, `eu`, `au`, `azure-na`, `azure-eu`, `gcp-na` or `gcp-eu`.
        launch_host: Host of the Launch API.
        login_host: Host of the content management API, where users log in.
        app_host: Host that issues OAuth tokens.
        developer_hub_host: Host of the Developer Hub API.
    """

    name: str
    launch_host: str
    login_host: str
    app_host: str
    developer_hub_host: str


def _region(name: str, prefix: str) -> Region:
    # Only the North American login host is on .io (FACTS §1).
    login = "api.contentstack.io" if name == "na" else f"{prefix}api.contentstack.com"
    return Region(
        name,
        f"{prefix}launch-api.contentstack.com",
        login,
        f"{prefix}app.contentstack.com",
        f"{prefix}developerhub-api.contentstack.com",
    )


REGIONS: Final[Mapping[str, Region]] = MappingProxyType(
    {
        name: _region(name, "" if name == "na" else f"{name}-")
        for name in ("na", "eu", "au", "azure-na", "azure-eu", "gcp-na", "gcp-eu")
    }
)
"""Every region by its canonical name."""

_ALIASES: Final = {"us": "na", "aws-na": "na", "aws-eu": "eu", "aws-au": "au"}


def find_region(name: str) -> Region:
    """Return the region of a name or alias, in any spelling: `na`, `us`, `AWS_NA`, `aws-na`, `azure_eu`.

    Raises:
        ConfigurationError: There is no such region.
    """
    canonical = name.strip().lower().replace("_", "-")
    region = REGIONS.get(_ALIASES.get(canonical, canonical))
    if region is None:
        known = ", ".join([*REGIONS, *_ALIASES])
        raise ConfigurationError(f"unknown region {name!r}: use one of {known}, or give base_url (FACTS §1)")
    return region


@attrs.frozen
class Endpoint:
    """The address of one Launch API.

    Attributes:
        base_url: Scheme, host, port and path prefix, without a slash at the end.
        host: Host and port, the part of the budget's key that stands for the service.
        site_scheme: Scheme of deployed sites where the wire gives none: http only where this client itself talks http.
    """

    base_url: str
    host: str
    site_scheme: str


def resolve_endpoint(region: str, base_url: str | None, *, allow_http: bool = False) -> Endpoint:
    """Return the address of the Launch API of a region, or of a base URL of your own.

    Raises:
        ConfigurationError: The region is unknown, or the URL is not an absolute https URL (http is for loopback only,
            unless `allow_http` is set: credentials would travel in clear).
    """
    if base_url is None:
        host = find_region(region).launch_host
        return Endpoint(f"https://{host}", host, "https")
    if re.search(r"[\x00-\x20\x7f]", base_url):
        raise ConfigurationError("base_url contains white space or a control character")
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"base_url is not a URL: {error}") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError("base_url must be an absolute URL, such as https://launch-api.contentstack.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError("base_url must have neither credentials nor a query nor a fragment")
    if parts.scheme == "http" and not (allow_http or is_loopback(parts.hostname)):
        raise ConfigurationError(
            f"base_url would send credentials in clear to {parts.hostname}: use https, or set allow_http=True"
        )
    # The budget is the host's, whether or not its default port is spelled out.
    usual = port == {"http": 80, "https": 443}[parts.scheme]
    host = parts.netloc.lower().removesuffix(f":{port}") if usual else parts.netloc.lower()
    return Endpoint(base_url.rstrip("/"), host, parts.scheme)


def is_loopback(host: str) -> bool:
    """Return whether a host name or address means this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


_ORGANIZATION_UID: Final = re.compile(r"blt[0-9a-f]{16}")


def check_organization_uid(organization_uid: str | None) -> str | None:
    """Return an organization UID that is well formed: `blt` and 16 hex digits (FACTS §4).

    Raises:
        ConfigurationError: It is not.
    """
    if organization_uid is not None and not _ORGANIZATION_UID.fullmatch(organization_uid):
        raise ConfigurationError(
            f"organization_uid: {organization_uid!r} is not blt followed by 16 lower-case hex digits (FACTS §4); "
            "the console shows it in the organization's settings"
        )
    return organization_uid
