"""Who signs a backup: a private key in a file, or one that a running SSH agent holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import exceptions
from cryptography.hazmat.primitives import serialization

from provision import config, errors
from provision.host import agent
from provision.recovery.bundle import signature

KEY: Final = "backup.signingKey"
_PRIVATE: Final = "-----BEGIN"


@dataclass(frozen=True, kw_only=True)
class Signer:
    """A key that signs. `alone`: it needs no person and no agent."""

    key: signature.PublicKey
    sign: Callable[[bytes], bytes]
    check: Callable[[], None]
    alone: bool

    def of(self, content: bytes) -> bytes:
        """Return the signature of a file with this content, as the file beside it has it.

        It was checked as a restore checks it. Raises `errors.ConfigError` and
        `errors.BundleSignatureError`.
        """
        text = signature.armored(self.key, self.sign(signature.message(content)))
        signature.verify(text, content, [self.key.fingerprint])
        return text


def of(root: Path, cfg: config.Backup) -> Signer | None:
    """Return who signs the backups of the stack in `root`; None where nobody does.

    Raises `errors.ConfigError` for a key that cannot be used.
    """
    value = cfg.signing_key.strip()
    if not value:
        return None
    if is_public(value):
        return _by_agent(value, value)
    path = root / Path(value).expanduser()
    text = _read(path)
    if _PRIVATE in text:
        return _by_file(path, text)
    return _by_agent(text, str(path))


def is_public(value: str) -> bool:
    """Return whether `value` is a public key rather than the path of a file."""
    return value.startswith(("ssh-", "ecdsa-", "sk-")) and " " in value.strip()


def public_lines(path: Path) -> list[str]:
    """Return the lines of a file of public keys. Raises `errors.ConfigError`."""
    text = _read(path)
    if _PRIVATE in text:
        raise errors.ConfigError(
            f"{path} is a private key", [], hint=f"name the public one: {path}.pub"
        )
    return text.splitlines()


def _by_file(path: Path, text: str) -> Signer:
    private = _private(path, text)
    try:
        public = private.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
    except (ValueError, exceptions.UnsupportedAlgorithm):
        raise _unusable(str(path), "SSH has no keys of its type") from None
    return Signer(
        key=_public(public.decode(), str(path)),
        sign=lambda data: signature.sign(private, data),
        check=lambda: None,
        alone=True,
    )


def _by_agent(line: str, named: str) -> Signer:
    key = _public(line, named)
    return Signer(
        key=key,
        sign=lambda data: agent.sign(key.blob, data),
        check=lambda: agent.check(key.blob),
        alone=False,
    )


def _public(line: str, named: str) -> signature.PublicKey:
    try:
        return signature.public_key(line)
    except ValueError as error:
        raise _unusable(named, str(error)) from None


def _private(path: Path, text: str) -> Any:
    """Return the private key in `text`. No word of it gets into an error."""
    plain = text.encode()
    for load in (serialization.load_ssh_private_key, serialization.load_pem_private_key):
        try:
            return load(plain, None)
        except TypeError:  # it is encrypted
            break
        except (ValueError, exceptions.UnsupportedAlgorithm):
            continue
    else:
        raise _unusable(str(path), "it is no private key that SSH reads, or it is damaged")
    raise _unusable(
        str(path),
        "it is locked with a passphrase",
        f"add it to an SSH agent (ssh-add {path}), then: elysium config set {KEY} {path}.pub",
    )


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(signature.MAX_BYTES + 1)
        if len(content) > signature.MAX_BYTES:
            raise _unusable(str(path), f"it is larger than {signature.MAX_BYTES // 1024} KiB")
        return content.decode()
    except OSError as error:
        raise _unusable(str(path), f"it cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise _unusable(str(path), "it is not text") from None


def _unusable(named: str, why: str, hint: str = "") -> errors.ConfigError:
    return errors.ConfigError(
        f"the key {named} is of no use for signatures of backups: {why}",
        [],
        hint=hint or "ssh-keygen -t ed25519 -f FILE makes a pair of keys",
    )
