"""The seven regions with their hosts and aliases, and the checks of base URLs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from launch_async.errors import ConfigurationError

__all__ = ["REGIONS", "Region", "find_region"]


class Region(NamedTuple):
    """The hosts of one region.

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
    # FACTS §1: only the login host of North America is in the domain contentstack.io.
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
"""All regions by their canonical names."""

_ALIASES: Final = {"us": "na", "aws-na": "na", "aws-eu": "eu", "aws-au": "au"}


def find_region(name: str) -> Region:
    """Return the region of a name or alias, in any spelling: `na`, `us`, `AWS_NA`, `aws-na`, `Azure EU`.

    Raises:
        ConfigurationError: There is no such region.
    """
    # An environment variable that is not set gives None, although the annotation does not allow it.
    given = name if isinstance(name, str) else ""  # pyright: ignore[reportUnnecessaryIsInstance]
    canonical = re.sub(r"[\s_-]+", "-", given.strip().lower())
    region = REGIONS.get(_ALIASES.get(canonical, canonical))
    if region is None:
        known = ", ".join([*REGIONS, *_ALIASES])
        raise ConfigurationError(f"The region {name!r} does not exist. Use one of {known}, or pass base_url")
    return region


class Endpoint(NamedTuple):
    """The address of one Launch API.

    Attributes:
        base_url: Scheme, host, port and path prefix, without a slash at the end.
        host: Host and port, which identify the service in the key of the rate limit.
        site_scheme: Scheme of deployed sites if the service sends none: http only if the client itself uses http.
    """

    base_url: str
    host: str
    site_scheme: str


def resolve_endpoint(region: str, base_url: str | None, *, allow_http: bool = False) -> Endpoint:
    """Return the address of the Launch API for a region or a base URL.

    Raises:
        ConfigurationError: The region is unknown, or the URL is not an absolute https URL. An http URL is allowed for
            this machine, and with `allow_http` for any host, because the credentials are then sent unencrypted.
    """
    if base_url is None:
        host = find_region(region).launch_host
        return Endpoint(f"https://{host}", host, "https")
    return _endpoint(base_url, "base_url", allow_http)


def resolve_app_url(region: str, base_url: str | None, app_url: str | None, *, allow_http: bool = False) -> str:
    """Return the address that issues tokens for a Launch API: `app_url`, or the app host of the region.

    A server on this machine, such as an emulator, issues its own tokens. A host of a region belongs to that region.
    """
    if app_url is not None:
        return _endpoint(app_url, "app_url", allow_http).base_url
    parts = urlsplit(base_url or "")
    if parts.hostname and is_loopback(parts.hostname):
        return f"{parts.scheme}://{parts.netloc}"
    named = next((known for known in REGIONS.values() if known.launch_host == parts.hostname), None)
    return f"https://{(named or find_region(region)).app_host}"


def resolve_login_url(region: str, base_url: str | None) -> str:
    """Return the address where users log in: `base_url` if it is set, otherwise the login host of the region."""
    if base_url is not None:
        return _endpoint(base_url, "base_url", allow_http=False).base_url
    return f"https://{find_region(region).login_host}"


def region_advice(host: str, location: str | None) -> str:
    """Return advice for a refused token: the region of the client, and the region of the token if it is known.

    A token is valid only in the region that issued it.

    Args:
        host: Host of the Launch API.
        location: The region that issued the token, as the token endpoint names it; None if it is not known.
    """
    region = next((name for name, region in REGIONS.items() if region.launch_host == host), None)
    here = f"this client uses {f'region {region}' if region else f'the host {host}'}"
    try:
        issued = find_region(location).name if location else None
    except ConfigurationError:
        issued = None
    if issued is None:
        others = {name: known.launch_host for name, known in REGIONS.items() if name != region}
        return f"{here}. The other regions are {', '.join(others)}, with the hosts {', '.join(others.values())}"
    if issued == region:
        return f"{here}, which issued the token, so the token has expired or was revoked"
    advice = f". Use region={issued!r}, with the host {REGIONS[issued].launch_host}" if region else ""
    return f"{here}, but the token was issued in region {issued}{advice}"


def _endpoint(base_url: str, name: str, allow_http: bool) -> Endpoint:
    if re.search(r"[\x00-\x20\x7f]", base_url):
        raise ConfigurationError(f"{name} contains white space or a control character. Pass a URL without them")
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"{name} is not a URL: {error}") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(f"{name} must be an absolute URL, such as https://launch-api.contentstack.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError(f"{name} must not contain credentials, a query or a fragment")
    if not allow_http and (in_clear := plain_http_host(base_url)):
        raise ConfigurationError(
            f"{name} would send unencrypted credentials to {in_clear}. Use https, or pass allow_http=True"
        )
    # A default port must not change the key of the rate limit.
    is_default = port == {"http": 80, "https": 443}[parts.scheme]
    host = parts.netloc.lower().removesuffix(f":{port}") if is_default else parts.netloc.lower()
    return Endpoint(base_url.rstrip("/"), host, parts.scheme)


def plain_http_host(url: str) -> str:
    """Return the host that a URL would reach without encryption; empty for https, for this machine, and for no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    host = parts.hostname or ""
    return host if parts.scheme == "http" and not is_loopback(host) else ""


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


_ORGANIZATION_UID: Final = re.compile(r"blt[0-9a-f]{16}")


def check_organization_uid(organization_uid: str | None) -> str | None:
    """Return an organization UID, or None if it is None.

    Raises:
        ConfigurationError: The UID is not `blt` followed by 16 lower-case hex digits.
    """
    if organization_uid is not None and not _ORGANIZATION_UID.fullmatch(organization_uid):
        raise ConfigurationError(
            f"organization_uid: {organization_uid!r} is not blt followed by 16 lower-case hex digits. The console "
            "shows the UID in the settings of the organization"
        )
    return organization_uid
