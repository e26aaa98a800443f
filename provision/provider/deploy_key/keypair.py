"""A deploy key as text: making it, reading it, naming it, and the Secret that holds it.

Pure but for the making. The Secret's fields are Flux' own (``identity``,
``identity.pub``, ``known_hosts``; Flux documentation, "Git Repositories", SSH
authentication).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from provision import errors, hostkeys
from provision.github import deploy_keys
from provision.secret import Secret

_TITLE = re.compile(
    r"elysium/(?P<cluster>[^/]+)/(?P<generation>\d{1,9})-(?P<print>[A-Za-z0-9_-]+)"
    r"(?:/(?P<stack>[a-z0-9]+))?"
)


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """A private key and what follows from it. `algorithm` is as in the configuration."""

    private: Secret
    public: str
    fingerprint: str
    algorithm: str


def make_pair(algorithm: str) -> KeyPair:
    """Make a new key pair: ``ed25519``, ``ecdsa-p384`` or ``rsa-4096``."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if algorithm == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
    elif algorithm == "ecdsa-p384":
        key = ec.generate_private_key(ec.SECP384R1())
    elif algorithm == "rsa-4096":
        key = rsa.generate_private_key(public_exponent=65537, key_size=4096)
    else:
        raise errors.ConfigError(
            "the deploy key's algorithm is unknown",
            [errors.Problem(message=f"{algorithm} is none", key="flux.keyAlgorithm")],
            hint="use ed25519, ecdsa-p384 or rsa-4096",
        )
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return KeyPair(
        private=Secret(text.decode()),
        public=public.decode(),
        fingerprint=deploy_keys.fingerprint(public.decode()),
        algorithm=algorithm,
    )


def pair_of(private: str) -> KeyPair | None:
    """Return the pair of a private key's text (OpenSSH or PEM), None when it is none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    data = private.strip().encode() + b"\n"
    try:
        if b"OPENSSH PRIVATE KEY" in data:
            key = serialization.load_ssh_private_key(data, password=None)
        else:
            key = serialization.load_pem_private_key(data, password=None)
        if not isinstance(
            key, (ed25519.Ed25519PrivateKey, ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)
        ):
            return None
        public = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if isinstance(key, ed25519.Ed25519PrivateKey):
        algorithm = "ed25519"
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm = f"ecdsa-p{key.curve.key_size}"
    else:
        algorithm = f"rsa-{key.key_size}"
    return KeyPair(
        private=Secret(private),
        public=public.decode(),
        fingerprint=deploy_keys.fingerprint(public.decode()),
        algorithm=algorithm,
    )


def title(cluster: str, generation: int, fingerprint: str, stack_id: str = "") -> str:
    """Return the title ``elysium/<cluster>/<generation>-<fingerprint>/<stack id>``.

    Version 0.1.0 had no stack id and wrote no last part.
    """
    short = fingerprint.removeprefix("SHA256:").replace("+", "-").replace("/", "_")[:12]
    return f"elysium/{cluster}/{generation}-{short}" + (f"/{stack_id}" if stack_id else "")


def generation_of(cluster: str, text: str) -> int | None:
    """Return the generation in a title of ours for `cluster`, None for any other title."""
    found = _TITLE.fullmatch(text)
    if found is None or found["cluster"] != cluster:
        return None
    return int(found["generation"])


def stack_of(cluster: str, text: str, fingerprint: str) -> str | None:
    """Return the stack id in the title `text` of the key `fingerprint`, empty where it has none.

    None for a title that elysium did not give this key for `cluster`: a stranger's key with a
    title of our form is a stranger's key.
    """
    found = _TITLE.fullmatch(text)
    if found is None or found["cluster"] != cluster:
        return None
    stack_id = str(found["stack"] or "")
    ours = title(cluster, int(found["generation"]), fingerprint, stack_id)
    return stack_id if text == ours else None


def is_ours(cluster: str, stack_id: str, text: str, fingerprint: str) -> bool:
    """Return whether the stack `stack_id` gave the key `fingerprint` the title `text`.

    Another stack may have the same cluster name. A title without an id belongs to no stack.
    """
    return bool(stack_id) and stack_of(cluster, text, fingerprint) == stack_id


def known_hosts(git_url: str, host_keys: Iterable[str]) -> str:
    """Return ``known_hosts`` lines for the server of `git_url`, one key and one name a line.

    A port of its own is named as ``[host]:port``, and by the bare host too,
    for clients that leave the port out.
    """
    parts = urlsplit(git_url)
    host, port = parts.hostname or "", parts.port or 22
    names = [host] if port == 22 else [f"[{host}]:{port}", host]
    keys = {line for key in host_keys for line in _host_key_lines(key)}
    return "".join(f"{name} {key}\n" for name in names for key in sorted(keys))


def _host_key_lines(text: str) -> list[str]:
    """Return type and key of each line of `text`, without the names of a known_hosts line."""
    try:
        return [pin.line for pin in hostkeys.parse_pins(text) if pin.line]
    except ValueError:
        return [deploy_keys.bare(text)]


def pins(text: str) -> frozenset[str]:
    """Return what a known_hosts text says, whatever its order, comments and spaces."""
    found: set[str] = set()
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3 and not words[0].startswith("#"):
            found.update(f"{name} {words[1]} {words[2]}" for name in words[0].split(","))
    return frozenset(found)


FIELDS: Final = ("identity", "identity.pub", "known_hosts")
"""The fields of the Secret that hold the deploy key."""


def secret_manifest(
    name: str, namespace: str, pair: KeyPair, known_hosts_text: str
) -> dict[str, Any]:
    """Return the Secret that Flux reads."""
    values = {
        "identity": pair.private.reveal(),
        "identity.pub": pair.public + "\n",
        "known_hosts": known_hosts_text,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in values.items()},
    }


def secret_field(secret: Mapping[str, Any], field: str) -> str:
    """Return a field of a Secret as text; empty where it is missing or no text."""
    raw = str((secret.get("data") or {}).get(field) or "")
    try:
        return base64.b64decode(raw).decode()
    except ValueError:
        return ""
