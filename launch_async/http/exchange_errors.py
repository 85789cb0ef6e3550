"""What aiohttp raises, in our words: whether a request left, and never more of its URL than the host.

aiohttp's errors show addresses and headers, and those hold signatures and credentials.
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

__all__ = ["CONNECT_TIMEOUT", "redirect_refused", "translated"]

CONNECT_TIMEOUT: Final = 10.0
"""Seconds within which a connection is made, or it is given up."""


def translated(error: BaseException, request: Request, sends: int, *, left: bool = True) -> TransportError | None:
    """Return our error for what aiohttp raises, without a word of the URL but its host; None if it is not its.

    Args:
        error: What was raised.
        request: What was sent.
        sends: How often.
        left: Whether the request may have left: a connection was made for it.
    """
    import aiohttp

    if not isinstance(error, Exception):
        return None
    host, operation = _origin_of(request.url).rpartition("/")[2], request.operation
    if isinstance(error, aiohttp.ClientHttpProxyError):
        left = sends > 1
    elif isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
        # aiohttp may have sent it once by itself, on a connection that dropped, and could not send it again.
        left = sends > 1
    elif (sends <= 1 or request.method == "GET") and (alert := _certificate_alert(error)) is not None:
        # In TLS 1.3 the server says so after the client has sent its request, and does not read that.
        return ConnectError(f"no secure connection to {host}: {alert}", operation=operation, retryable=False)
    is_network = isinstance(error, (aiohttp.ClientError, OSError))
    if not left and is_network and not isinstance(error, aiohttp.NonHttpUrlClientError):
        reason, lasting = _reason(error)
        is_secure = isinstance(error, aiohttp.ClientConnectorSSLError | aiohttp.ClientConnectorCertificateError)
        return ConnectError(
            f"no {'secure ' if is_secure else ''}connection to {host}: {reason}",
            operation=operation,
            retryable=False if lasting else None,
        )
    if isinstance(error, TimeoutError):
        return AttemptTimeout(f"{host} did not answer within {request.timeout or 0:g} s", operation=operation)
    if isinstance(error, (ValueError, aiohttp.NonHttpUrlClientError)) and not _is_malformed(error):
        # Not an address, or a header that would break the message; the error repeats it, and it may be a secret.
        return ConnectError(
            f"this request cannot be sent: its URL or a header is malformed ({type(error).__name__})",
            operation=operation,
            retryable=False,
        )
    if _is_malformed(error):
        return MalformedResponse(
            f"the answer of {host} cannot be read: {_fault(error)}. Check base_url and proxies: something else may "
            "have answered",
            operation=operation,
        )
    if is_network:
        # A server that speaks TLS 1.3 may break off for want of a certificate when the handshake seems to be over.
        hint = f". If that happens each time, perhaps {_WANTS_CERTIFICATE}" if request.url.startswith("https:") else ""
        return ResponseLost(
            f"the connection to {host} broke before the answer was complete ({type(error).__name__}){hint}",
            operation=operation,
        )
    return None


_NETWORK: Final = "Check the network, proxies, and base_url if you gave one"


def _reason(error: BaseException) -> tuple[str, bool]:
    """Return why there is no connection and what to do, and whether trying again cannot help."""
    import aiohttp

    cause = error.__cause__
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _certificate_fault(error.certificate_error), True
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return _handshake_fault(cause), True
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy refused it with status {error.status}. {_NETWORK}", False
    if isinstance(error, aiohttp.ClientResponseError):
        return "what the proxy answered to CONNECT is no HTTP: check the address of the proxy", True
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        reason = error.strerror or type(error).__name__
        return f"the proxy {error.host}:{error.port} cannot be reached ({reason}). {_NETWORK}", False
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        # It may be the proxy's name, too.
        reason = error.strerror or type(error).__name__
        return f"the name {error.host} cannot be found ({reason}). {_NETWORK}", False
    if isinstance(error, aiohttp.ClientConnectorError) and error.ssl and not error.strerror:
        causes = f"no common TLS version or cipher, or {_WANTS_CERTIFICATE}; or a proxy is in the way"
        return f"it was closed in the TLS handshake, without a reason: {causes}", False
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{error.strerror or type(error).__name__}. {_NETWORK}", False
    if isinstance(error, TimeoutError):
        limit = f"it could not be made within {CONNECT_TIMEOUT:g} s, or nine tenths of the attempt's time-out"
        return f"{limit}. {_NETWORK}", False
    return f"it broke while it was made ({type(error).__name__}). {_NETWORK}", False


_EXPIRED, _NOT_YET, _OTHER_NAMES = 10, 9, (62, 64)


def _certificate_fault(error: Exception) -> str:
    """Return what is wrong with a server's certificate."""
    code = getattr(error, "verify_code", None)
    if code == _EXPIRED:
        return (
            "its certificate has expired. Whoever runs the server must renew it; check the clock of this machine, too"
        )
    if code == _NOT_YET:
        return "its certificate is not valid yet. Check the clock of this machine"
    if code in _OTHER_NAMES:
        return (
            f"its certificate is for another host ({getattr(error, 'verify_message', '').rstrip('.')}). Check base_url "
            "and proxies: something else may have answered"
        )
    return "its certificate is not trusted. Give ssl_context= for a private certificate authority"


_ABOUT_CERTIFICATE: Final = re.compile("ALERT_.*CERTIFICATE|ALERT_UNKNOWN_CA")
_WANTS_CERTIFICATE: Final = (
    "it wants a client certificate: load one with ssl_context.load_cert_chain(), and give ssl_context="
)


def _handshake_fault(error: BaseException | None) -> str:
    """Return why a TLS handshake failed."""
    reason = str(getattr(error, "reason", "") or "")
    if _ABOUT_CERTIFICATE.search(reason):
        return _WANTS_CERTIFICATE
    if "PROTOCOL" in reason or "VERSION" in reason.removeprefix("WRONG_VERSION"):
        return "it speaks no TLS version that this client takes, which is 1.2 or newer. Check ssl_context= and proxies"
    if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}:
        return "what answers there speaks no TLS. Check the port in base_url, and proxies"
    if "HANDSHAKE_FAILURE" in reason:
        return f"the TLS handshake failed ({reason}): no common cipher, or {_WANTS_CERTIFICATE}"
    told = f" ({reason})" if reason else ""
    return f"the TLS handshake failed{told}. Check base_url, proxies and ssl_context="


def _certificate_alert(error: BaseException) -> str | None:
    """Return what a server says about the client's certificate when this side took the handshake for done.

    It has then not read the request. Any other alert may come later, when it has.
    """
    for cause in (error, error.__cause__, error.__context__, getattr(error, "os_error", None)):
        if isinstance(cause, ssl.SSLError) and _ABOUT_CERTIFICATE.search(str(cause.reason)):
            return _handshake_fault(cause)
    return None


def _is_malformed(error: BaseException) -> bool:
    """Whether an answer came that breaks the rules of HTTP; one that breaks off does not."""
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
    """Return what is wrong with an answer, without a word of it: a header may be a secret."""
    words = f"{error} {error.__cause__}".lower()
    if "more than" in words and "reading" in words:
        return "one of its headers, or its first line, is too long"
    if "encoding" in words and "decode" in words:
        return "its body is not compressed as it says"
    if "chunk" in words or "transfer" in words:
        return "its body is not divided into chunks as it says"
    return "it breaks the rules of HTTP"


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
