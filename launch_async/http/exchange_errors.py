"""What aiohttp raises, in our words: whether a request left, and never more of its URL than the host.

aiohttp's errors show addresses and headers, and those hold signatures and credentials.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from launch_async.errors import AttemptTimeout, ConnectError, RedirectRefused, ResponseLost, TransportError

if TYPE_CHECKING:
    from launch_async.http.base import Request

__all__ = ["CONNECT_TIMEOUT", "redirect_refused", "translated"]

CONNECT_TIMEOUT: Final = 10.0
"""Seconds within which a connection is made, or it is given up."""


def translated(error: BaseException, request: Request, sends: int) -> TransportError | None:
    """Return our error for what aiohttp raises, without a word of the URL but its host; None if it is not its."""
    import aiohttp

    host, operation = _origin_of(request.url).rpartition("/")[2], request.operation
    unconnected = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)
    if isinstance(error, unconnected) and sends > 1:
        # aiohttp has sent it once by itself, on a connection that dropped, and could not send it again.
        return ResponseLost(f"the connection to {host} broke before the answer was complete", operation=operation)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return ConnectError(
            f"no secure connection to {host}: its certificate is not trusted. Give ssl_context= for a private "
            "certificate authority",
            operation=operation,
            retryable=False,
        )
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return ConnectError(
            f"no secure connection to {host}: the TLS handshake failed. Check base_url, proxies and ssl_context=",
            operation=operation,
            retryable=False,
        )
    if isinstance(error, unconnected):
        return ConnectError(
            f"no connection to {host}: {_reason(error)}. Check the network, proxies, and base_url if you gave one",
            operation=operation,
        )
    if isinstance(error, TimeoutError):
        return AttemptTimeout(f"{host} did not answer within {request.timeout or 0:g} s", operation=operation)
    if isinstance(error, (ValueError, aiohttp.NonHttpUrlClientError)):
        # Not an address, or a header that would break the message; the error repeats it, and it may be a secret.
        return ConnectError(
            f"this request cannot be sent: its URL or a header is malformed ({type(error).__name__})",
            operation=operation,
            retryable=False,
        )
    if isinstance(error, (aiohttp.ClientError, OSError)):
        return ResponseLost(
            f"the connection to {host} broke before the answer was complete ({type(error).__name__})",
            operation=operation,
        )
    return None


def _reason(error: Exception) -> str:
    """Return why there is no connection, and name the proxy where it is to blame."""
    import aiohttp

    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy refused it with status {error.status}"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"the proxy {error.host}:{error.port} cannot be reached ({error.strerror or type(error).__name__})"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {error.host} cannot be found ({error.strerror or type(error).__name__})"  # also the proxy's
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.strerror or type(error).__name__
    return f"it could not be made within {CONNECT_TIMEOUT:g} s, or nine tenths of the attempt's time-out"


def redirect_refused(request: Request, status: int, location: str) -> RedirectRefused:
    """Return the error of an answer that points elsewhere."""
    asked, target = _origin_of(request.url), _origin_of(location)
    there = f"{asked.partition(':')[0]}:{target}" if target.startswith("//") else target or asked
    return RedirectRefused(
        f"{asked} wants to send this request on to {there}, and redirects are never followed. "
        "Check base_url, the region and the proxy",
        operation=request.operation,
        status=status,
    )


def _origin_of(url: str) -> str:
    """Return scheme and host of a URL, without credentials; empty where it has no host or cannot be read."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    scheme = f"{parts.scheme}:" if parts.scheme else ""
    return f"{scheme}//{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""
