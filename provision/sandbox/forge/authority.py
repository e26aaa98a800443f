"""A certificate authority of a sandbox's server, and the certificate that it serves with.

The authority stays in the server's folder, so that a configuration that names
it goes on after a restart. Each start makes a new certificate.
"""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provision.fileio import atomic

_YEARS: Final = datetime.timedelta(days=3650)
_HOUR: Final = datetime.timedelta(hours=1)
_NAME: Final = "elysium sandbox forge"


def context(root: Path, host: str) -> ssl.SSLContext:
    """Return how a server at `host`, an address or a name, speaks TLS.

    Its authority is in `ca_file`.
    """
    key, authority = ensure(root)
    server = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    made = (
        _builder(host, server.public_key(), authority.subject, now, now + _YEARS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([_name_of(host)]),
            critical=False,
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = root / ("server.pem" if _is_address(host) else f"server-{host}.pem")
    atomic.write(file, _pem(server) + made.public_bytes(serialization.Encoding.PEM))
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.minimum_version = ssl.TLSVersion.TLSv1_2
    found.load_cert_chain(file)
    return found


def ca_file(root: Path) -> Path:
    """Return where the authority's certificate is."""
    return root / "ca.pem"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _name_of(host: str) -> x509.GeneralName:
    """Return `host` as a certificate names it."""
    return x509.IPAddress(ipaddress.ip_address(host)) if _is_address(host) else x509.DNSName(host)


def ensure(root: Path, name: str = _NAME) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """Return the authority in `root`, made under `name` when there is none."""
    file = root / "ca.key"
    if file.exists() and ca_file(root).exists():
        key = serialization.load_pem_private_key(file.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 - `_pem` wrote it
        return key, x509.load_pem_x509_certificate(ca_file(root).read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        _builder(name, key.public_key(), subject, now, now + 2 * _YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    atomic.write(file, _pem(key))
    atomic.write(ca_file(root), made.public_bytes(serialization.Encoding.PEM), mode=0o644)
    return key, made


def _builder(
    subject: str,
    key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    begin: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - _HOUR)
        .not_valid_after(end)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
