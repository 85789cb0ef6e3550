"""Find the proxy for a host in the environment, and apply NO_PROXY in the same way as curl.

`urllib`, which aiohttp uses, splits NO_PROXY only at commas and supports neither networks nor IPv6.
"""

from __future__ import annotations

import ipaddress
import os
import re
import urllib.request
from typing import Final

__all__ = ["bypasses", "environment_proxy"]

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def environment_proxy(scheme: str, host: str, port: int | None) -> str | None:
    """Return the URL of the proxy for a host; None if there is no proxy. The URL may contain a password.

    The proxy comes from the environment variables. On macOS and Windows, the system settings are the second choice.
    """
    found = urllib.request.getproxies()
    proxy = found.get(scheme, found.get("all"))
    if not proxy:
        return None
    if urllib.request.getproxies_environment():
        no_proxy = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
        is_direct = bypasses(no_proxy, host, port or _DEFAULT_PORTS.get(scheme, 0))
    else:
        is_direct = bool(urllib.request.proxy_bypass(host))
    if is_direct:
        return None
    # Many environments set only a host and a port. Other programs then assume `http://`.
    return proxy if "://" in proxy else f"http://{proxy}"


def bypasses(no_proxy: str, host: str, port: int) -> bool:
    """Return whether NO_PROXY excludes a host from the proxy.

    Args:
        no_proxy: Entries separated by commas or blanks. An entry is `*` for every host; a name, with or without `.` or
            `*.` before it, which also matches its subdomains; an address; or a network such as `10.0.0.0/8`. An entry
            can end with a port, and then matches only this port. Any other entry matches no host.
        host: Name or address of the host, without brackets.
        port: Port of the host.
    """
    return any(
        _matches(entry, host.lower().rstrip("."), port) for entry in re.split(r"[\s,]+", no_proxy.lower()) if entry
    )


def _matches(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    name, entry_port = _split(entry)
    if entry_port and entry_port != str(port):
        return False
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        name = name.removeprefix("*.").strip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))
    try:
        return address in ipaddress.ip_network(name.partition("%")[0], strict=False)
    except ValueError:
        return False


def _split(entry: str) -> tuple[str, str]:
    """Return the name, address or network of an entry, and its port. An IPv6 address with a port needs brackets."""
    if entry.startswith("["):
        inside, _, rest = entry[1:].partition("]")
        return (inside + rest, "") if rest.startswith("/") else (inside, rest.removeprefix(":"))
    name, _, port = entry.partition(":")
    return (name, port) if entry.count(":") == 1 else (entry, "")
