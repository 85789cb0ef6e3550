"""Checks on a certificate and its key before the SDK sends them, because a wrong certificate makes a site unreachable.

The checks need the library `cryptography` (extra `certificates`). No error and no traceback shows the private key.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import attrs

from launch_async.errors import ConfigurationError, InvalidArgumentError
from launch_async.wire.secret import Secret

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["CheckedCertificate", "checked_certificate", "host_of"]

_MAX_PEM_BYTES: Final = 32 * 1024
_BEGIN: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----")
_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----[ \t]*\r?\n?", re.DOTALL)
_PRIVATE: Final = "PRIVATE KEY"


@attrs.frozen
class CheckedCertificate:
    """A certificate that matches its key and its host.

    Attributes:
        certificate: PEM of the site's own certificate.
        chain: PEM of the intermediate certificates; None if there are none.
        expires_at: When the site's certificate expires.
    """

    certificate: str
    chain: str | None
    expires_at: datetime


def host_of(url: str) -> str:
    """Return the host name of a domain as in certificates: lower case, in ASCII, without scheme, port or path."""
    host = url.lower()
    try:
        host = (urlsplit(host if "//" in host else f"//{host}").hostname or "").rstrip(".")
        return host.encode("idna").decode()
    except ValueError:
        return host


def checked_certificate(
    url: str, certificate: str, private_key: Secret, chain: str | None, *, now: datetime
) -> CheckedCertificate:
    """Check a certificate, its key and its chain. The PEM of the certificate may also contain the chain.

    Args:
        url: The domain of the certificate.
        certificate: PEM of the certificate, or of the certificate and its chain.
        private_key: PEM of its key, without a passphrase.
        chain: PEM of the intermediate certificates, if they are not in `certificate`.
        now: The current time by the service's clock.

    Raises:
        ConfigurationError: The library `cryptography` is not installed.
        InvalidArgumentError: A PEM cannot be read or is too long, the key does not belong to the certificate, or the
            certificate is not valid now, does not cover the host, or has no issuer in the chain.
    """
    certificate, *others = _certificates_in("certificate", certificate)
    if others and chain is not None:
        raise InvalidArgumentError(
            "chain", "must not be set, because the PEM of the certificate already contains a chain. Leave out chain="
        )
    issuers = others if chain is None else _certificates_in("chain", chain)
    chain = "".join(issuers) or None
    for name, pem in {"certificate": certificate, "private_key": private_key, "chain": chain}.items():
        if pem is not None and len(pem.encode()) > _MAX_PEM_BYTES:
            problem = f"must have at most {_MAX_PEM_BYTES:,} bytes (32 KiB), not {len(pem.encode()):,}"
            raise InvalidArgumentError(name, problem, rule="openapi.yaml")
    own = _loaded("certificate", certificate)
    _check_key(own, private_key)
    _check_time("certificate", own, now)
    _check_host(own, host_of(url))
    _check_issuers(own, [_loaded("chain", pem) for pem in issuers], now)
    return CheckedCertificate(certificate, chain, own.not_valid_after_utc)


def _certificates_in(name: str, pem: str) -> list[str]:
    """Return the certificates of a PEM as separate PEMs."""
    if _was_bytes(pem):
        raise InvalidArgumentError(name, "must be the text of a PEM, not bytes. Read the file with Path.read_text()")
    labels: list[str] = _BEGIN.findall(pem)
    if any(label.endswith(_PRIVATE) for label in labels):
        raise InvalidArgumentError(name, "must not contain a private key. Pass the key as private_key=")
    found: list[str] = _CERTIFICATE.findall(pem)
    others = ", ".join(label for label in labels if label != "CERTIFICATE")
    if others or not labels:
        problem = f"contains {others}" if others else "has no line -----BEGIN CERTIFICATE-----"
        raise InvalidArgumentError(name, f"must be a PEM that contains only certificates, but {problem}")
    if len(found) != len(labels):
        raise InvalidArgumentError(name, "is damaged or truncated, because a line -----END CERTIFICATE----- is missing")
    return [block.rstrip() + "\n" for block in found]


def _was_bytes(pem: str) -> bool:
    """Return whether a text is the `str()` of bytes, which is a common mistake."""
    return pem.startswith(("b'", 'b"'))


def _loaded(name: str, pem: str) -> x509.Certificate:
    try:
        from cryptography import x509
    except ImportError:
        raise ConfigurationError(
            "The check of a certificate needs the library cryptography, which is not installed. Run: "
            "pip install 'contentstack-launch[certificates]'"
        ) from None
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise InvalidArgumentError(name, "cannot be read, because the PEM is damaged or truncated") from None


def _check_key(own: x509.Certificate, private_key: Secret) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    labels: list[str] = _BEGIN.findall(private_key)
    keys = [label for label in labels if label.endswith(_PRIVATE)]
    if len(keys) != 1 or _was_bytes(private_key) or any("CERTIFICATE" in label for label in labels):
        raise InvalidArgumentError(
            "private_key",
            "must be the PEM text of exactly one private key. Read the file with Path.read_text(). The SDK does not "
            "show the value, because it is a secret",
        )
    try:
        key = serialization.load_pem_private_key(private_key.encode(), password=None)
    except TypeError:
        problem = "must not be protected by a passphrase, because Launch cannot decrypt the key. Pass the decrypted key"
        raise InvalidArgumentError("private_key", problem) from None
    except (ValueError, UnsupportedAlgorithm):
        problem = "cannot be read, because the PEM is damaged or truncated, or the kind of key is not known"
        raise InvalidArgumentError("private_key", problem) from None
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*form) != own.public_key().public_bytes(*form):
        raise InvalidArgumentError("private_key", "does not belong to the certificate. Pass the key of the certificate")


def _check_time(name: str, certificate: x509.Certificate, now: datetime) -> None:
    subject = certificate.subject.rfc4514_string()
    if now >= certificate.not_valid_after_utc:
        raise InvalidArgumentError(
            name, f"{subject} expired on {certificate.not_valid_after_utc:%Y-%m-%d at %H:%M} UTC"
        )
    if now < certificate.not_valid_before_utc:
        start = f"{certificate.not_valid_before_utc:%Y-%m-%d at %H:%M} UTC"
        raise InvalidArgumentError(name, f"{subject} is not valid yet. It becomes valid on {start}")


def _check_host(own: x509.Certificate, host: str) -> None:
    from cryptography import x509

    try:
        names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        covered = []
    else:
        covered = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    if not any(_covers(name, host) for name in covered):
        listed = ", ".join(covered[:10]) or "no host name"
        raise InvalidArgumentError("certificate", f"does not cover {host}. It covers {listed}")


def _covers(name: str, host: str) -> bool:
    """Return whether a name of a certificate covers a host. A wildcard covers exactly one label."""
    first, _, rest = host.partition(".")
    return name == host or (name.startswith("*.") and bool(first) and name[2:] == rest)


def _check_issuers(own: x509.Certificate, issuers: list[x509.Certificate], now: datetime) -> None:
    for issuer in issuers:
        _check_time("chain", issuer, now)
    if issuers and all(issuer.subject != own.issuer for issuer in issuers):
        raise InvalidArgumentError(
            "chain", f"must contain the issuer of the certificate, which is {own.issuer.rfc4514_string()}"
        )
