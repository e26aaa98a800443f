"""Which proxy of the environment a request goes through, as the HTTP library decides.

NO_PROXY holds names, names with subdomains, addresses, networks (``10.0.0.0/8``) and ``*``, each
with a port if need be. Python's own functions know no networks and no addresses of IPv6.
"""

from __future__ import annotations

import ipaddress
import urllib.request
from urllib.parse import urlsplit


def of(url: str) -> str:
    """Return the proxy for `url`, without its login; empty for none."""
    parts = urlsplit(url)
    found = urllib.request.getproxies_environment()
    proxy = found.get(parts.scheme) or found.get("all") or ""
    entries = [entry.strip().lower() for entry in found.get("no", "").split(",")]
    host = (parts.hostname or "").lower()
    if not proxy or any(_spares(entry, parts.scheme, host, parts.port) for entry in entries):
        return ""
    return shown(proxy)


def shown(proxy: str) -> str:
    """Return the address `proxy` without a login in it."""
    scheme, _, rest = proxy.rpartition("://")
    return f"{scheme or 'http'}://{rest.rpartition('@')[2]}"


def variable(url: str) -> str:
    """Return the name of the variable that sets the proxy for `url`."""
    scheme = urlsplit(url).scheme
    found = urllib.request.getproxies_environment()
    return f"{scheme}_proxy".upper() if found.get(scheme) else "ALL_PROXY"


def _spares(entry: str, scheme: str, host: str, port: int | None) -> bool:
    """Return whether an entry of NO_PROXY, in lower case, keeps `host` from the proxy."""
    only, exact, entry = entry.rpartition("://")
    if not entry or (only and only not in ("all", scheme)):
        return False
    network = _network(entry.removeprefix("[").removesuffix("]"))
    if network is None:
        entry, at, number = entry.rpartition(":") if _has_port(entry) else (entry, "", "")
        if at and number != str(port or ""):
            return False
        network = _network(entry.removeprefix("[").removesuffix("]"))
    if network is not None:
        address = _network(host)
        return address is not None and address[0] in network
    if entry == "*":
        return True
    if entry.startswith(("*.", ".")):
        return host.endswith(entry.removeprefix("*"))
    return host == entry or (not exact and entry != "localhost" and host.endswith(f".{entry}"))


def _has_port(entry: str) -> bool:
    name, colon, number = entry.rpartition(":")
    return bool(colon) and number.isdigit() and (":" not in name or name.endswith("]"))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the network that `text` is, that of one address for an address; else None."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
