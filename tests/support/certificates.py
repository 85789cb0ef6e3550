"""Certificates and keys for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


@attrs.frozen
class Issued:
    """A certificate and its key as PEM, with the name and the key for signing other certificates."""

    certificate: str
    key: str
    name: x509.Name
    signer: ec.EllipticCurvePrivateKey


def issued(
    *hosts: str,
    by: Issued | None = None,
    begins: datetime = NOW - DAY,
    ends: datetime = NOW + 90 * DAY,
    passphrase: bytes | None = None,
) -> Issued:
    """Return a certificate for some hosts, signed by another certificate or with its own key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, hosts[0] if hosts else "authority")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if by is None else by.name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), False)
    signed = builder.sign(key if by is None else by.signer, hashes.SHA256())
    encryption = (
        serialization.NoEncryption() if passphrase is None else serialization.BestAvailableEncryption(passphrase)
    )
    return Issued(
        signed.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode(),
        name,
        key,
    )
