"""Translate the errors of aiohttp into errors of the SDK.

The errors of the SDK say whether the request may have been sent. They show only the host of its URL, because the errors
of aiohttp show URLs and headers, which contain signatures and credentials.
"""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from launch_async.errors import (
    AttemptTimeout,
    ConnectError,
    MalformedResponse,
    RedirectRefused,
    ResponseLost,
    TransportError,
)

if TYPE_CHECKING:
    from launch_async.http.base import Request

__all__ = ["CONNECT_TIMEOUT_S", "redirect_refused", "translated"]

CONNECT_TIMEOUT_S: Final = 10.0
"""Maximum time to make a connection, in seconds."""


def translated(error: BaseException, request: Request, sends: int, *, maybe_sent: bool = True) -> TransportError | None:
    """Return the SDK's error for an exception; None if neither aiohttp nor the network caused the exception.

    Args:
        error: The exception that the exchange raised.
        request: The request.
        sends: Number of times that aiohttp sent the request.
        maybe_sent: Whether the request may have been sent, because there was a connection for it.
    """
    import aiohttp

    if not isinstance(error, Exception):
        return None
    host, operation = _origin_of(request.url).rpartition("/")[2], request.operation
    if isinstance(error, aiohttp.ClientHttpProxyError):
        maybe_sent = sends > 1
    elif isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
        # aiohttp may have sent the request on a kept-alive connection that broke, and then failed to connect again.
        maybe_sent = sends > 1
    elif (sends <= 1 or request.method == "GET") and (alert := _certificate_alert(error)) is not None:
        # In TLS 1.3, the server refuses a client certificate only after the client has sent its request. The server
        # does not read that request.
        return ConnectError(f"{_NOT_SECURE} to {host}: {alert}", operation=operation, retryable=False)
    is_network = isinstance(error, (aiohttp.ClientError, OSError))
    if not maybe_sent and is_network and not isinstance(error, aiohttp.NonHttpUrlClientError):
        reason, lasting = _reason(error)
        is_secure = isinstance(error, aiohttp.ClientConnectorSSLError | aiohttp.ClientConnectorCertificateError)
        return ConnectError(
            f"{_NOT_SECURE if is_secure else 'Could not connect'} to {host}: {reason}",
            operation=operation,
            retryable=False if lasting else None,
        )
    if isinstance(error, TimeoutError):
        return AttemptTimeout(f"{host} did not respond within {request.timeout or 0:g} s", operation=operation)
    if isinstance(error, (ValueError, aiohttp.NonHttpUrlClientError)) and not _is_malformed(error):
        # The URL or a header is malformed. The error of aiohttp repeats the value, which may be a secret.
        return ConnectError(
            f"The request cannot be sent, because its URL or a header is malformed ({type(error).__name__})",
            operation=operation,
            retryable=False,
        )
    if _is_malformed(error):
        return MalformedResponse(
            f"The response from {host} cannot be read: {_fault(error)}. Check base_url and the proxies: another server "
            "may have answered",
            operation=operation,
        )
    if is_network:
        # With TLS 1.3, a server that requires a client certificate may break the connection after the handshake.
        hint = f". If this happens every time, perhaps {_NEEDS_CERTIFICATE}" if request.url.startswith("https:") else ""
        return ResponseLost(
            f"The connection to {host} broke before the response was complete ({type(error).__name__}){hint}",
            operation=operation,
        )
    return None


_NOT_SECURE: Final = "Could not establish a secure connection"
_NETWORK: Final = "Check the network, the proxies, and base_url if you passed it"


def _reason(error: BaseException) -> tuple[str, bool]:
    """Return why there is no connection and what to do, and whether a retry cannot help."""
    import aiohttp

    cause = error.__cause__
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _certificate_fault(error.certificate_error), True
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return _handshake_fault(cause), True
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy refused the connection with status {error.status}. {_NETWORK}", False
    if isinstance(error, aiohttp.ClientResponseError):
        return "the proxy did not respond to CONNECT with valid HTTP. Check the address of the proxy", True
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        reason = error.strerror or type(error).__name__
        return f"the proxy {error.host}:{error.port} cannot be reached ({reason}). {_NETWORK}", False
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        # The name may also be the name of the proxy.
        reason = error.strerror or type(error).__name__
        return f"the host name {error.host} cannot be found ({reason}). {_NETWORK}", False
    if isinstance(error, aiohttp.ClientConnectorError) and error.ssl and not error.strerror:
        causes = f"there is no common TLS version or cipher, a proxy interferes, or {_NEEDS_CERTIFICATE}"
        return f"the connection was closed during the TLS handshake without a reason. Possible causes: {causes}", False
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{error.strerror or type(error).__name__}. {_NETWORK}", False
    if isinstance(error, TimeoutError):
        limit = f"connecting took more than {CONNECT_TIMEOUT_S:g} s, or more than 90 % of the attempt's timeout"
        return f"{limit}. {_NETWORK}", False
    return f"the connection broke before it was established ({type(error).__name__}). {_NETWORK}", False


_EXPIRED, _NOT_YET, _OTHER_NAMES = 10, 9, (62, 64)


def _certificate_fault(error: Exception) -> str:
    """Return what is wrong with a server's certificate."""
    code = getattr(error, "verify_code", None)
    if code == _EXPIRED:
        return (
            "its certificate has expired. Check the clock of this machine. If the clock is right, the owner of the "
            "server must renew the certificate"
        )
    if code == _NOT_YET:
        return "its certificate is not valid yet. Check the clock of this machine"
    if code in _OTHER_NAMES:
        return (
            f"its certificate is for another host ({getattr(error, 'verify_message', '').rstrip('.')}). Check base_url "
            "and the proxies: another server may have answered"
        )
    return "its certificate is not trusted. If a private certificate authority issued it, pass ssl_context="


_ABOUT_CERTIFICATE: Final = "ALERT_.*CERTIFICATE|ALERT_UNKNOWN_CA"
_NEEDS_CERTIFICATE: Final = (
    "the server requires a client certificate: load it with ssl_context.load_cert_chain(), and pass ssl_context="
)


def _handshake_fault(error: BaseException | None) -> str:
    """Return why a TLS handshake failed."""
    reason = str(getattr(error, "reason", "") or "")
    if re.search(_ABOUT_CERTIFICATE, reason):
        return _NEEDS_CERTIFICATE
    if "PROTOCOL" in reason or "VERSION" in reason.removeprefix("WRONG_VERSION"):
        return "the server offers no TLS version that the client accepts (1.2 or newer). Check ssl_context= and proxies"
    if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}:
        return "the server does not use TLS on this port. Check the port in base_url, and the proxies"
    if "HANDSHAKE_FAILURE" in reason:
        return f"the TLS handshake failed ({reason}): there is no common cipher, or {_NEEDS_CERTIFICATE}"
    detail = f" ({reason})" if reason else ""
    return f"the TLS handshake failed{detail}. Check base_url, the proxies and ssl_context="


def _certificate_alert(error: BaseException) -> str | None:
    """Return the reason if the server refuses the client's certificate after the client has finished the handshake.

    The server has not read the request in this case. It may send other alerts after it has read the request.
    """
    for cause in (error, error.__cause__, error.__context__, getattr(error, "os_error", None)):
        if isinstance(cause, ssl.SSLError) and re.search(_ABOUT_CERTIFICATE, str(cause.reason)):
            return _handshake_fault(cause)
    return None


def _is_malformed(error: BaseException) -> bool:
    """Return whether the response violates HTTP. A response that merely ends too early does not count."""
    import aiohttp
    from aiohttp import http_exceptions

    if isinstance(error, aiohttp.ClientResponseError):
        return not isinstance(error, aiohttp.ClientHttpProxyError)
    if isinstance(error, aiohttp.ClientPayloadError):
        return isinstance(error.__cause__, http_exceptions.ContentEncodingError) or (
            isinstance(error.__cause__, http_exceptions.TransferEncodingError) and "Not enough data" not in str(error)
        )
    return isinstance(error, http_exceptions.HttpProcessingError)


def _fault(error: BaseException) -> str:
    """Return what is wrong with a response, without quoting it, because a header may contain a secret."""
    message = f"{error} {error.__cause__}".lower()
    if "more than" in message and "reading" in message:
        return "its first line or one of its headers is too long"
    if "encoding" in message and "decode" in message:
        return "its body does not match its Content-Encoding header"
    if "chunk" in message or "transfer" in message:
        return "its body does not match its Transfer-Encoding header"
    return "it is not valid HTTP"


def redirect_refused(request: Request, status: int, location: str) -> RedirectRefused:
    """Return the error for a response that redirects the request."""
    origin, target = _origin_of(request.url), _origin_of(location)
    there = f"{origin.partition(':')[0]}:{target}" if target.startswith("//") else target or origin
    return RedirectRefused(
        f"{origin} redirects this request to {there}. The SDK never follows redirects. "
        "Check base_url, the region and the proxy",
        operation=request.operation,
        status=status,
    )


def _origin_of(url: str) -> str:
    """Return the scheme and host of a URL, without credentials; empty if the URL has no host or cannot be parsed."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    scheme = f"{parts.scheme}:" if parts.scheme else ""
    return f"{scheme}//{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""
