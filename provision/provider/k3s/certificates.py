"""Authorities for client certificates, as PEM: made, and looked at.

Apart from the rest, since reading certificates takes libraries that most runs do not need.
"""

from __future__ import annotations

import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from provision import errors
from provision.kube import certificates
from provision.kube import kubeconfig as kubeconfigs
from provision.secret import Secret

NAME: Final = "elysium-client-ca"
"""How the common name of an authority of ours begins."""
_VALID_DAYS: Final = 3650

_USAGE: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=True,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def make() -> tuple[str, Secret]:
    """Return a new authority: its certificate and its key, in PEM."""
    start = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{NAME}@{int(start.timestamp())}")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(private.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - datetime.timedelta(minutes=5))  # clocks differ
        .not_valid_after(start + datetime.timedelta(days=_VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(_USAGE, critical=True)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), Secret(pem.decode())


def is_ours(bundle: str) -> bool:
    """Return whether the first authority of `bundle` was made here."""
    found = parse(bundle)
    return bool(found) and found[0].common_name.startswith(NAME)


def signs_itself(bundle: str) -> bool:
    """Return whether the first authority of `bundle` is signed by no other."""
    return parse(bundle)[0].signs_itself


def first(bundle: str) -> str:
    """Return the first authority of `bundle` alone."""
    return parse(bundle)[0].pem


def expires(kubeconfig: str) -> datetime.datetime | None:
    """Return when the client certificate of `kubeconfig` ends, None where it has none."""
    text = kubeconfigs.client_certificate(kubeconfig)
    found = parse(text, place="the kubeconfig of k3s (k3s.yaml)")
    return found[0].not_after if found else None


def parse(
    text: str, *, place: str = "server/tls/client-ca.crt"
) -> tuple[certificates.Certificate, ...]:
    """Return the certificates in `text`, which comes from `place` on the node.

    Raises `errors.RemoteError` for a text that holds something else.
    """
    try:
        return certificates.parse(text)
    except certificates.CertificateError as error:
        raise errors.RemoteError(
            "a certificate of the node cannot be read",
            host="",
            detail=str(error),
            hint=f"look at {place} on the node",
        ) from None
