"""The first half of a connection: socket, algorithms, host key. Nobody is logged in yet.

The socket is ours, since paramiko leaves Nagle's algorithm on: 80 ms a
connect and 44 ms a command, measured. AES-GCM comes first among the ciphers,
since it is the fastest that both sides have.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

from provision import errors, transfer
from provision.host import certificates, hostkey, limits, reach
from provision.host import link as links

if TYPE_CHECKING:
    import paramiko

_IMPORTING = threading.Lock()
_FAMILIES = {"": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")


def library() -> Any:
    """Return paramiko, imported when it is needed; its log stays off the terminal.

    paramiko takes ``invoke`` along where it is installed, only for ``Match
    exec`` in OpenSSH's client configuration, which is not read here: half of
    the time of the import (150 ms) is spared by leaving it out.
    """
    if "paramiko" not in sys.modules:
        with _IMPORTING:
            absent = "invoke" not in sys.modules
            if absent:
                sys.modules["invoke"] = None  # pyright: ignore[reportArgumentType]
            try:
                import paramiko
            finally:
                if absent:
                    del sys.modules["invoke"]
    import paramiko

    # Without a handler of its own it would print tracebacks of its thread to stderr.
    logger = logging.getLogger("paramiko")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return paramiko


def open_socket(login: reach.Route, timeout: float) -> socket.socket:
    """Open the TCP connection; `timeout` bounds the name and every address together.

    Raises `errors.ConnectError`.
    """
    host = label(login)
    deadline = limits.Deadline(timeout)
    try:
        # The system's resolver has no time limit of its own that a caller could set.
        found = transfer.within(
            timeout,
            lambda: socket.getaddrinfo(
                login.host, login.port, _FAMILIES[login.family], socket.SOCK_STREAM
            ),
        )
    except (socket.gaierror, UnicodeError) as error:
        raise errors.ConnectError(
            f"the name {login.host} cannot be resolved",
            host=host,
            detail=str(error),
            hint="check the node's host in the configuration, or use its address",
        ) from error
    except TimeoutError as error:
        raise errors.ConnectError(
            f"the name {login.host} was not resolved within {timeout:.0f} s",
            host=host,
            hint="check the DNS servers of this machine, or use the node's address",
        ) from error
    try:
        sock = _first(found, deadline, timeout, login.bind)
    except (TimeoutError, limits.OverdueError) as error:
        raise errors.ConnectError(
            f"{host} does not answer within {timeout:.0f} s",
            host=host,
            hint="check that the node is up and that no firewall drops the port",
        ) from error
    except ConnectionRefusedError as error:
        raise errors.ConnectError(
            f"{login.host} refuses connections on port {login.port}",
            host=host,
            detail=str(error),
            hint="check that its SSH server runs, and the port in the configuration",
        ) from error
    except OSError as error:
        raise errors.ConnectError(
            f"{host} cannot be reached",
            host=host,
            detail=str(error),
            hint="check address and route to the node",
        ) from error
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _first(
    found: list[Any], deadline: limits.Deadline, timeout: float, source: str
) -> socket.socket:
    """Return a connection to the first address that takes one, from the address `source` if set.

    A name with several addresses has one time for all of them, shared evenly by those that
    are left. Raises the `OSError` of the last address, or `limits.OverdueError`.
    """
    for number, (family, kind, protocol, _, address) in enumerate(found, start=1):
        share = deadline.step(timeout) / (len(found) - number + 1)
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(share)
            if source:
                sock.bind((source, 0))
            sock.connect(address)
        except OSError:
            sock.close()
            if number == len(found):
                raise
            continue
        return sock
    raise limits.OverdueError


def negotiate(
    login: reach.Route,
    sock: Any,
    *,
    timeout: float,
    types: tuple[str, ...] = (),
    only: str = "",
    certified: bool = False,
    times: limits.Limits = limits.DEFAULT,
) -> paramiko.Transport:
    """Negotiate SSH over `sock`; nobody is logged in yet, no key verified.

    The connection's `sock` is its `link.Link`. `types` of host keys are asked
    for first, `only` one type is accepted; `certified`: certificates of any type are asked
    for before plain keys. Raises `errors.ConnectError`.
    """
    paramiko = library()
    host = label(login)
    made: Any = _asks_for_certificates() if certified else paramiko.Transport
    connection: Any = made(links.Link(sock, times), packetizer_class=links.packetizer(paramiko))
    connection.banner_timeout = connection.auth_timeout = connection.channel_timeout = timeout
    options = connection.get_security_options()
    fast = [cipher for cipher in _CIPHERS if cipher in options.ciphers]
    options.ciphers = (*fast, *(c for c in options.ciphers if c not in fast))
    wanted = tuple(_signature_types(only or t) for t in (types or ((only,) if only else ())))
    first = [name for group in wanted for name in group if name in options.key_types]
    if first:
        rest = () if only else tuple(t for t in options.key_types if t not in first)
        options.key_types = (*first, *rest)
    try:
        connection.start_client(timeout=timeout)
        if (
            not connection.initial_kex_done
        ):  # paramiko returns when the time is up, and says nothing
            raise TimeoutError(f"no SSH handshake within {timeout:g} s")
    except (paramiko.SSHException, EOFError, OSError) as error:
        shut(connection)
        said = links.words(error)
        summary = f"{host} answers, but not as an SSH server that can be talked to"
        hint = (
            "check the port; a full MaxStartups, a ban (fail2ban) and a node that hangs"
            " look like this too"
        )
        if "Incompatible" in said:
            summary = f"{host} and elysium have no SSH algorithm in common"
            hint = "update the node's SSH server"
        raise errors.ConnectError(summary, host=host, detail=said, hint=hint) from error
    return connection


def shown_key(connection: paramiko.Transport) -> hostkey.HostKey:
    """Return the host key that the server has shown and proven to own."""
    key = connection.get_remote_server_key()
    return hostkey.HostKey(type=key.get_name(), blob=key.asbytes())


def shown_certificate(connection: paramiko.Transport) -> certificates.Certificate | None:
    """Return the certificate that the server has shown for its host key, None for a plain key."""
    shown = getattr(connection.get_remote_server_key(), "public_blob", None)
    return certificates.parse(shown.key_blob) if shown is not None else None


def _asks_for_certificates() -> type[paramiko.Transport]:
    """Return paramiko's class with the order of ssh: it puts certificates after plain keys."""
    library()
    import paramiko

    class Transport(paramiko.Transport):
        @property
        def preferred_keys(self) -> tuple[str, ...]:
            every = super().preferred_keys
            first = tuple(one for one in every if one.endswith(certificates.SUFFIX))
            return (*first, *(one for one in every if one not in first))

    return Transport


def _signature_types(key_type: str) -> tuple[str, ...]:
    """Return the signature algorithms for a type of key: RSA keys sign in two ways."""
    if key_type in ("ssh-rsa", "rsa-sha2-512", "rsa-sha2-256"):
        return ("rsa-sha2-512", "rsa-sha2-256")
    return (key_type,)


def pinned(login: reach.Route) -> hostkey.Trust:
    """Return the pinned host keys and the authorities for host certificates.

    Raises `errors.HostKeyError` where there is neither.
    """
    trust = login.trust()
    if trust.pins or trust.authorities:
        return trust
    looked = ", ".join(map(str, login.known_hosts))
    raise errors.HostKeyError(
        f"no host key is pinned for {login.label}",
        host=login.label,
        expected="",
        got="",
        detail=f"no line of {looked} is for {login.known_as[0]}" if looked else "",
        hint="pin it: hostKey in the configuration, as 'elysium init' shows it; or connect once"
        " with ssh and compare the key",
    )


def shut(connection: Any) -> None:
    """Close a connection and wake its thread, which would else linger for a moment."""
    with contextlib.suppress(Exception):
        connection.close()


def label(login: reach.Route) -> str:
    """Return how a server is named in messages: ``host``, or ``host:port``."""
    return login.label
