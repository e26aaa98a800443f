"""How people write where a machine is: ``user@host:port``. Pure."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple


class HostParts(NamedTuple):
    """What ``user@host:port`` consists of; empty and 0 for what is not in it."""

    host: str
    user: str = ""
    port: int = 0


def split_host(text: str) -> HostParts:
    """Split ``[ssh://][user@]host[:port]``; an IPv6 address with a port stands in brackets.

    Raises ValueError that says what is wrong.
    """
    rest = text.removeprefix("ssh://").removesuffix("/") if text.startswith("ssh://") else text
    user, at, rest = rest.rpartition("@")
    if at and not user:
        raise ValueError(f"{text!r} has no user before the @")
    port = ""
    if rest.startswith("["):
        host, closed, after = rest[1:].partition("]")
        if not closed or (after and not after.startswith(":")):
            raise ValueError(f"{text!r}: an address in brackets is written [address]:port")
        colon, port = after[:1], after[1:]
    elif rest.count(":") > 1:  # an IPv6 address without a port
        host, colon = rest, ""
        if not _is_ipv6(host):
            raise ValueError(f"{text!r} has several colons, and {host!r} is no IPv6 address")
    else:
        host, colon, port = rest.partition(":")
    if not host or any(c.isspace() or c in "/[]'\"\\" or ord(c) < 32 for c in host + user):
        raise ValueError(f"{text!r} is no host: user@host:port, host:port or host is expected")
    if host.startswith("-") or user.startswith("-"):
        raise ValueError(f"{text!r}: neither host nor user begins with a hyphen")
    if colon and not (
        port.isascii() and port.isdigit() and len(port) <= 9 and 1 <= int(port) <= 65535
    ):
        raise ValueError(f"{text!r}: the port after the colon is a number from 1 to 65535")
    return HostParts(host=host, user=user, port=int(port) if colon else 0)


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True
