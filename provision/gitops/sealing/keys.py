"""The encryption of SealedSecrets, and the key pairs behind it.

A value is encrypted as the Sealed Secrets controller does (``pkg/crypto`` of
bitnami-labs/sealed-secrets): two bytes of length, an RSA-OAEP (SHA-256)
encrypted session key of 32 bytes, then AES-256-GCM with a nonce of zeros. The
OAEP label binds the value to its namespace and name.
"""

from __future__ import annotations

import base64
import datetime
import enum
import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import aead

from provision import errors
from provision.gitops import documents
from provision.secret import Secret

KEY_LABEL: Final = "sealedsecrets.bitnami.com/sealed-secrets-key"
KEY_BITS: Final = 4096
VALID_DAYS: Final = 3650
_SESSION_KEY_BYTES: Final = 32
_ZERO_NONCE: Final = bytes(12)
_TAG_BYTES: Final = 16
_PREFIX: Final = "sealedsecrets.bitnami.com/"


class Scope(enum.Enum):
    """How far a sealed value may travel. The values are kubeseal's names."""

    STRICT = "strict"
    NAMESPACE_WIDE = "namespace-wide"
    CLUSTER_WIDE = "cluster-wide"

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Scope:
        """Return the scope that an object's `metadata` annotates; strict without any."""
        annotations = metadata.get("annotations") or {}
        for scope in (cls.CLUSTER_WIDE, cls.NAMESPACE_WIDE):
            if annotations.get(_PREFIX + scope.value) == "true":
                return scope
        return cls.STRICT

    def annotations(self) -> dict[str, str]:
        """Return the annotations that say this scope."""
        return {} if self is Scope.STRICT else {_PREFIX + self.value: "true"}

    def label(self, namespace: str, name: str) -> bytes:
        """Return the OAEP label for a SealedSecret ``namespace/name``."""
        if self is Scope.CLUSTER_WIDE:
            return b""
        return (namespace if self is Scope.NAMESPACE_WIDE else f"{namespace}/{name}").encode()


class SealingError(ValueError):
    """A value that cannot be opened, or a key or certificate that cannot be read.

    Its text is a clause without any secret; callers say where it happened.
    """


@dataclass(frozen=True, kw_only=True)
class SealingKey:
    """A private key with its certificate.

    `name` is that of its Secret, or empty; `use` its label there: keys that
    are not ``active`` open and are not sealed with.
    """

    private_pem: Secret
    certificate_pem: str
    name: str = ""
    created: str = ""
    use: str = "active"

    @cached_property
    def private(self) -> rsa.RSAPrivateKey:
        """Return the key itself. Raises `SealingError` when it is no RSA key."""
        try:
            key = serialization.load_pem_private_key(self.private_pem.reveal().encode(), None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise SealingError("the private key cannot be read") from None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise SealingError("the private key is not an RSA key")
        return key

    @cached_property
    def fingerprint(self) -> str:
        """Return the fingerprint of the certificate's key, ``SHA256:…`` as the controller logs it.

        The private key is not looked at, which takes a hundred times as long.
        """
        return certificate_fingerprint(self.certificate_pem)


def fingerprint(public: rsa.RSAPublicKey) -> str:
    """Return the OpenSSH fingerprint of `public`."""
    line = public.public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    ).split()
    digest = hashlib.sha256(base64.b64decode(line[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def certificate_fingerprint(pem: str) -> str:
    """Return the fingerprint of the key that the certificate `pem` is for, expired or not.

    Raises `SealingError` where there is no RSA certificate.
    """
    public = _public_key(_certificate(pem))
    if not isinstance(public, rsa.RSAPublicKey):
        raise SealingError("the certificate is not for an RSA key")
    return fingerprint(public)


def make_key(
    *, now: datetime.datetime | None = None, after: SealingKey | None = None
) -> SealingKey:
    """Return a new key pair: RSA 4096, certificate valid for ten years.

    It is newer than `after`, by which the controller and `newest_first` go,
    even where both are made in the same second.
    """
    start = (now or datetime.datetime.now(datetime.UTC)).replace(microsecond=0)
    if after is not None:
        start = max(start, _valid_from(after) + datetime.timedelta(seconds=1))
    private = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    subject = x509.Name([])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return SealingKey(
        private_pem=Secret(pem.decode()),
        certificate_pem=certificate.public_bytes(serialization.Encoding.PEM).decode(),
        created=start.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def read_certificate(pem: str) -> rsa.RSAPublicKey:
    """Return the public key of the first certificate of `pem`.

    Raises `SealingError` when there is none, or it has expired: the
    controller's tools refuse to seal with an expired one too.
    """
    certificate = _certificate(pem)
    public = _public_key(certificate)
    if not isinstance(public, rsa.RSAPublicKey):
        raise SealingError("the certificate is not for an RSA key")
    if certificate.not_valid_after_utc < datetime.datetime.now(datetime.UTC):
        raise SealingError(f"the certificate expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
    return public


def _certificate(pem: str) -> x509.Certificate:
    """Return the first certificate of `pem`. Raises `SealingError`."""
    try:
        return x509.load_pem_x509_certificates(pem.encode())[0]
    except (ValueError, x509.InvalidVersion):
        raise SealingError("it holds no PEM certificate") from None


def _public_key(certificate: x509.Certificate) -> Any:
    """Return the public key of `certificate`. Raises `SealingError`."""
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise SealingError("the certificate's key cannot be read") from None


def certificate_belongs(pem: str, keys: Iterable[SealingKey]) -> bool:
    """Return whether one of `keys` opens what is sealed with the certificate `pem`."""
    public = _public_key(_certificate(pem))
    return any(key.private.public_key() == public for key in keys)


def newest_first(keys: Iterable[SealingKey]) -> list[SealingKey]:
    """Return `keys`, the one to seal with first: the controller seals with the newest."""
    return sorted(keys, key=lambda key: (key.use == "active", _valid_from(key)), reverse=True)


def made(key: SealingKey) -> datetime.datetime:
    """Return when `key` was made, as its certificate says."""
    return _valid_from(key)


def _valid_from(key: SealingKey) -> datetime.datetime:
    certificate = x509.load_pem_x509_certificates(key.certificate_pem.encode())[0]
    return certificate.not_valid_before_utc


def key_secret(key: SealingKey, *, namespace: str, name: str) -> dict[str, Any]:
    """Return the Secret in which the controller finds `key` when it starts."""
    data = {"tls.crt": key.certificate_pem, "tls.key": key.private_pem.reveal()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": {KEY_LABEL: key.use}},
        "type": "kubernetes.io/tls",
        "data": {k: base64.b64encode(text.encode()).decode() for k, text in data.items()},
    }


def read_keys(text: str, *, where: str = "") -> list[SealingKey]:
    """Return every key in `text`: Secrets as YAML or JSON, lists of them, or a bare PEM key.

    Secrets that are no sealing keys are passed over. Raises
    `errors.GitOpsError` with every entry that cannot be read, or when there
    is no key at all.
    """
    if text.lstrip().startswith("-----BEGIN"):
        found = [SealingKey(private_pem=Secret(text), certificate_pem=_self_made(text, where))]
        return found
    keys: list[SealingKey] = []
    problems: list[errors.Problem] = []
    for doc in documents.read_text(text, where, problems):
        is_list = str(doc.obj.get("kind")).endswith("List")
        for obj in documents.mappings(doc.obj.get("items")) if is_list else [doc.obj]:
            key = _from_secret(obj, doc.where, problems)
            if key:
                keys.append(key)
    if not keys and not problems:
        problems.append(errors.Problem(message="it holds no sealing key", where=where))
    if problems:
        raise errors.GitOpsError("the sealing keys cannot be read", problems)
    return keys


def _from_secret(
    obj: Mapping[str, Any], where: str, problems: list[errors.Problem]
) -> SealingKey | None:
    data = documents.mapping(obj.get("data"))
    if obj.get("kind") != "Secret" or "tls.key" not in data:
        return None
    metadata = documents.mapping(obj.get("metadata"))
    labels = documents.mapping(metadata.get("labels"))
    if not all(isinstance(data.get(key) or "", str) for key in ("tls.key", "tls.crt")):
        problems.append(_problem(where, metadata, "tls.key or tls.crt is not base64 of PEM"))
        return None
    try:
        key = SealingKey(
            private_pem=Secret(base64.b64decode(data["tls.key"] or "").decode()),
            certificate_pem=base64.b64decode(data.get("tls.crt") or "").decode(),
            name=str(metadata.get("name") or ""),
            created=str(metadata.get("creationTimestamp") or ""),
            use=str(labels.get(KEY_LABEL) or "active"),
        )
        belongs = certificate_belongs(key.certificate_pem, [key])
    except SealingError as error:
        problems.append(_problem(where, metadata, str(error)))
        return None
    except ValueError:
        problems.append(_problem(where, metadata, "tls.key or tls.crt is not base64 of PEM"))
        return None
    if not belongs:
        problems.append(_problem(where, metadata, "the certificate is not that of the private key"))
        return None
    return key


def _problem(where: str, metadata: Mapping[str, Any], message: str) -> errors.Problem:
    return errors.Problem(where=where, key=str(metadata.get("name") or ""), message=message)


def _self_made(private_pem: str, where: str) -> str:
    """Return a certificate for a bare private key, so that it can seal too."""
    key = SealingKey(private_pem=Secret(private_pem), certificate_pem="")
    try:
        private = key.private
    except SealingError as error:
        problem = errors.Problem(message=str(error), where=where)
        raise errors.GitOpsError("the sealing keys cannot be read", [problem]) from None
    start = datetime.datetime.now(datetime.UTC)
    name = x509.Name([])
    certificate = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=VALID_DAYS))
        .sign(private, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _oaep(label: bytes) -> padding.OAEP:
    return padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), label)


def encrypt(plaintext: bytes, public: rsa.RSAPublicKey, label: bytes) -> bytes:
    """Return `plaintext` sealed for the holder of `public`'s private key, under `label`."""
    session = os.urandom(_SESSION_KEY_BYTES)
    wrapped = public.encrypt(session, _oaep(label))
    # The session key is used once, so the nonce may be zero.
    sealed = aead.AESGCM(session).encrypt(_ZERO_NONCE, plaintext, None)
    return len(wrapped).to_bytes(2, "big") + wrapped + sealed


def decrypt(sealed: bytes, keys: Iterable[SealingKey], label: bytes) -> bytes:
    """Return what `encrypt` was given, trying every key.

    Raises `SealingError`: cut short, or no key opens it under `label` (another
    key, or the SealedSecret was moved to another name or namespace).
    """
    length = int.from_bytes(sealed[:2], "big")
    if len(sealed) < 2 + length + _TAG_BYTES or not length:
        raise SealingError("the value is cut short")
    wrapped, body = sealed[2 : 2 + length], sealed[2 + length :]
    for key in keys:
        try:
            session = key.private.decrypt(wrapped, _oaep(label))
            return aead.AESGCM(session).decrypt(_ZERO_NONCE, body, None)
        except (ValueError, InvalidTag):
            continue
    raise SealingError("none of the keys opens it: sealed for another cluster, moved, or damaged")
