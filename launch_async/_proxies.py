"""The proxy that the environment names for a host, and the hosts that NO_PROXY excludes, read as curl reads them.

`urllib`, and aiohttp with it, splits NO_PROXY at commas only and knows neither networks nor IPv6.
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
    """Return the proxy for a host, a URL that may hold a password; None where there is none.

    It is that of the environment's variables, or else that of the system's settings on macOS and Windows.
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
    # As other programs read it: many environments name a host and a port only.
    return proxy if "://" in proxy else f"http://{proxy}"


def bypasses(no_proxy: str, host: str, port: int) -> bool:
    """Return whether a host is reached directly.

    Args:
        no_proxy: Entries between commas or blanks: `*` for every host; a name, which stands for its subdomains, too,
            with or without `.` or `*.` before it; an address; a network such as `10.0.0.0/8`. Any of them may end in
            a port, which must then be the same. Any other entry matches no host.
        host: Name or address, without brackets.
        port: Its port.
    """
    return any(_fits(entry, host.lower().rstrip("."), port) for entry in re.split(r"[\s,]+", no_proxy.lower()) if entry)


def _fits(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    name, its_port = _split(entry)
    if its_port and its_port != str(port):
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
    """Return an entry's name, address or network, and its port; an address of IPv6 has one only behind brackets."""
    if entry.startswith("["):
        inside, _, rest = entry[1:].partition("]")
        return (inside + rest, "") if rest.startswith("/") else (inside, rest.removeprefix(":"))
    name, _, port = entry.partition(":")
    return (name, port) if entry.count(":") == 1 else (entry, "")
