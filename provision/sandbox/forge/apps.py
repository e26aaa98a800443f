"""GitHub Apps: their records, and the JSON web tokens that they prove themselves with.

Facts: "Generating a JSON Web Token (JWT) for a GitHub App": signed with RS256;
``iss`` is the app's id or client id; ``iat`` in the past (a minute of clock
drift is forgiven); ``exp`` at most ten minutes ahead. Refusals are 401 with
GitHub's words. The forge keeps the public key only.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision.fileio import atomic
from provision.sandbox.forge import journal, messages
from provision.sandbox.forge.store import Repository

_DRIFT = 60
_LONGEST = 600
_UNREADABLE = "A JSON web token could not be decoded"
_ISSUED = (
    "'Issued at' claim ('iat') must be an Integer representing the time that the assertion"
    " was issued"
)
_EXPIRES = (
    "'Expiration time' claim ('exp') must be a numeric value representing the future time at"
    " which the assertion expires"
)
_TOO_FAR = "'Expiration time' claim ('exp') is too far in the future"


@dataclass(frozen=True, kw_only=True)
class App:
    """An app with its one installation. `repositories` are slugs; empty: all of the owner's."""

    id: int
    client_id: str
    slug: str
    owner: str
    installation_id: int
    public_key: str
    permissions: dict[str, str]
    repositories: tuple[str, ...]
    created_at: str
    suspended: bool = False

    def reaches(self, repository: Repository) -> bool:
        """Whether the installation covers a repository."""
        if self.repositories:
            return repository.slug.lower() in self.repositories
        return repository.owner.lower() == self.owner.lower()


def _unauthorised(message: str) -> messages.ApiError:
    return messages.ApiError(401, message)


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _parse(token: str) -> tuple[dict[str, Any], bytes, bytes]:
    """Return (claims, what is signed, signature) of a token in RS256's compact form."""
    try:
        head, body, signature = token.split(".")
        header, claims = json.loads(_decode(head)), json.loads(_decode(body))
        if header["alg"] != "RS256" or not isinstance(claims, dict):
            raise ValueError("not RS256")
        return claims, f"{head}.{body}".encode(), _decode(signature)
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise _unauthorised(_UNREADABLE) from error


def _check_times(claims: dict[str, Any]) -> None:
    now = journal.seconds()
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int) or issued > now + _DRIFT:
        raise _unauthorised(_ISSUED)
    if not isinstance(expires, int) or expires <= now:
        raise _unauthorised(_EXPIRES)
    if expires > now + _LONGEST:
        raise _unauthorised(_TOO_FAR)


def _is_signed(public_key: str, data: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    key = serialization.load_pem_public_key(public_key.encode())
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    try:
        key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def make_key() -> tuple[str, str]:
    """Return (private, public) of a new RSA key; the private one as GitHub hands it out."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


class Apps:
    """Every app of the forge."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._apps: list[App] = []
        if path.exists():
            for item in json.loads(path.read_text()):
                item["repositories"] = tuple(item["repositories"])
                self._apps.append(App(**item))

    def create(
        self,
        *,
        number: int,
        installation_id: int,
        slug: str,
        owner: str,
        permissions: dict[str, str],
        repositories: tuple[str, ...],
        created_at: str,
    ) -> tuple[str, App]:
        """Make an app with an installation and return its private key, kept nowhere, and it."""
        private, public = make_key()
        app = App(
            id=number,
            client_id="Iv23" + secrets.token_hex(8),
            slug=slug,
            owner=owner,
            installation_id=installation_id,
            public_key=public,
            permissions=permissions,
            repositories=tuple(name.lower() for name in repositories),
            created_at=created_at,
        )
        with self._lock:
            self._apps.append(app)
            self._save()
        return private, app

    def suspend(self, number: int, suspended: bool) -> None:
        """Suspend or unsuspend an app's installation."""
        with self._lock:
            self._apps = [
                dataclasses.replace(app, suspended=suspended) if app.id == number else app
                for app in self._apps
            ]
            self._save()

    def _save(self) -> None:
        data = [dataclasses.asdict(app) for app in self._apps]
        atomic.write(self._path, json.dumps(data, indent=1).encode())

    def authenticate(self, authorization: str) -> App:
        """Return the app that an ``Authorization`` header proves. Raises 401, or 404 for none."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthorised(_UNREADABLE)
        claims, data, signature = _parse(token.strip())
        issuer = str(claims.get("iss", ""))
        with self._lock:
            known = [app for app in self._apps if issuer in (str(app.id), app.client_id)]
        if not known:
            raise messages.ApiError(404, "Integration not found")
        if not _is_signed(known[0].public_key, data, signature):
            raise _unauthorised(_UNREADABLE)
        _check_times(claims)
        return known[0]
