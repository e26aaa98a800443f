"""Signing with a key that a running SSH agent holds."""

from __future__ import annotations

import contextlib
import os
import pathlib
from typing import Any

from provision import errors
from provision.host import handshake


def sign(blob: bytes, data: bytes) -> bytes:
    """Return the signature of `data` as SSH encodes it, by the agent's private key of `blob`.

    `blob` is the encoded public key. An RSA key signs with SHA-512. Raises
    `errors.ConfigError` when there is no agent, it lacks the key, or it does
    not sign.
    """
    with _key(blob) as key:
        paramiko = handshake.library()
        algorithm = "rsa-sha2-512" if key.get_name() == "ssh-rsa" else None
        try:
            return bytes(key.sign_ssh_data(data, algorithm))
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise errors.ConfigError(
                "the SSH agent holds the key and does not sign with it",
                [],
                hint="an agent that asks before it signs (ssh-add -c) must be answered",
            ) from error


def check(blob: bytes) -> None:
    """Raise `errors.ConfigError` unless the agent holds the private key of `blob`."""
    with _key(blob):
        pass


@contextlib.contextmanager
def _key(blob: bytes) -> Any:
    paramiko = handshake.library()
    socket = os.environ.get("SSH_AUTH_SOCK", "")
    if not pathlib.Path(socket).is_socket():
        where = f"SSH_AUTH_SOCK names {socket}" if socket else "SSH_AUTH_SOCK is not set"
        raise errors.ConfigError(
            f"no SSH agent runs here ({where})",
            [],
            hint="start one and add the key: ssh-add FILE",
        )
    try:
        agent = paramiko.Agent()
    except (paramiko.SSHException, OSError) as error:
        raise errors.ConfigError(
            "the SSH agent does not answer", [], hint="check SSH_AUTH_SOCK: ssh-add -l"
        ) from error
    with contextlib.closing(agent):
        for key in agent.get_keys():
            if key.asbytes() == blob:
                yield key
                return
        raise errors.ConfigError(
            "the SSH agent does not hold the key", [], hint="add it: ssh-add FILE"
        )
