"""The second half of a connection: proving who we are.

Only what the configuration names is tried: its key file, the keys of a
running agent unless switched off, its password.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
from typing import TYPE_CHECKING, Any

from provision import errors
from provision.host import handshake

if TYPE_CHECKING:
    from provision import config


def authenticate(connection: Any, login: config.SshLogin) -> None:
    """Log in with the key file, the agent's keys, the password: in this order."""
    paramiko = handshake.library()
    host = handshake.label(login)
    tried: list[str] = []
    try:
        if login.identity_file:
            tried.append(f"key {login.identity_file}")
            if _accepted(connection.auth_publickey, login.user, _load_key(login)):
                return
        if login.agent and os.environ.get("SSH_AUTH_SOCK"):
            agent = paramiko.Agent()
            with contextlib.closing(agent):
                for key in agent.get_keys():
                    tried.append(f"agent key {key.get_fingerprint().hex()}")
                    if _accepted(connection.auth_publickey, login.user, key):
                        return
        if login.password:
            tried.append("password")
            if _accepted(connection.auth_password, login.user, login.password.reveal()):
                return
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise errors.AuthError(
            f"{host} broke off the login of {login.user}",
            host=host,
            detail=str(error) or type(error).__name__,
            hint="too many keys in the agent look like this: name one with identityFile",
        ) from error
    if not tried:
        raise errors.AuthError(
            f"there is nothing to log in to {host} with",
            host=host,
            hint="set identityFile or password in the configuration, or start an SSH agent",
        )
    raise errors.AuthError(
        f"{host} does not let {login.user} in",
        host=host,
        detail="tried: " + ", ".join(tried),
        hint=f"check the user, and that the key is in ~{login.user}/.ssh/authorized_keys there",
    )


def _accepted(method: Any, *args: Any) -> bool:
    """Try one way to log in; False when the server refuses it and is open to another."""
    paramiko = handshake.library()
    try:
        left = method(*args)
    except paramiko.BadAuthenticationType:
        return False
    except paramiko.AuthenticationException as error:
        if "timeout" in str(error).lower():
            raise
        return False
    return not left


def _load_key(login: config.SshLogin) -> Any:
    paramiko = handshake.library()
    host = handshake.label(login)
    path = pathlib.Path(login.identity_file).expanduser()
    passphrase = login.passphrase.reveal().encode() if login.passphrase else None
    try:
        return paramiko.PKey.from_path(path, passphrase)
    except FileNotFoundError as error:
        raise errors.AuthError(
            f"the key file {path} for {host} does not exist",
            host=host,
            hint="set identityFile to an existing private key",
        ) from error
    except OSError as error:
        raise errors.AuthError(
            f"the key file {path} for {host} cannot be read",
            host=host,
            detail=error.strerror or "",
            hint="check its owner and mode",
        ) from error
    except (TypeError, ValueError, paramiko.SSHException) as error:
        # The libraries' own words may quote the file, so they are not passed on.
        locked = passphrase is None and isinstance(error, TypeError)
        raise errors.AuthError(
            f"the key file {path} is "
            + ("locked with a passphrase" if locked else "not a private key, or not opened"),
            host=host,
            hint="set passphrase in the configuration, or add the key to an SSH agent",
        ) from None
