"""Which proxy of the environment a request goes through, as the HTTP library decides."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

_bypassed: Callable[[str, Mapping[str, str]], Any] = urllib.request.proxy_bypass_environment  # pyright: ignore[reportAttributeAccessIssue]


def of(url: str) -> str:
    """Return the proxy for `url`, without its login; empty for none."""
    parts = urlsplit(url)
    found = urllib.request.getproxies_environment()
    proxy = found.get(parts.scheme) or found.get("all") or ""
    if not proxy or _bypassed(parts.netloc, found):
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
