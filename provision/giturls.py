"""Addresses of Git repositories, in every form that Git and Flux take."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_HOST: Final = re.compile(r"(\[[^\]]*\]|[^:]*)(?::(\d*))?")
_PORTS: Final = {"ssh": 22, "https": 443, "http": 80, "git": 9418}


@dataclass(frozen=True, kw_only=True)
class GitUrl:
    """The parts of an address; a part that it does not have is empty, or 0.

    `user` is without a password, `host` in lower case, `port` 0 for the scheme's own. `path` is
    without slashes around and without ``.git``.
    """

    scheme: str = ""
    user: str = ""
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def repository(self) -> str:
        """Return ``github.com/me/home``, the same for every way to the same repository."""
        host = self.host.removeprefix("ssh.")  # GitHub's SSH on the HTTPS port
        return f"{host}/{self.path}".strip("/").casefold()

    @property
    def slug(self) -> str:
        """Return ``owner/name`` in lower case, or an empty text for what has no two names."""
        names = [name for name in self.path.casefold().split("/") if name]
        return "/".join(names[-2:]) if len(names) > 1 else ""

    @property
    def spelled(self) -> str:
        """Return the address in one spelling, the same for all that are reached the same way."""
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port else ""
        return f"{self.scheme}://{user}{host}{port}/{self.path}"


def parse(url: str) -> GitUrl:
    """Return the parts of `url`: a URL, or ``git@host:path`` as SSH takes it. Raises nothing."""
    text = url.strip()
    found = _SCHEME.match(text)
    scheme = found[1].lower() if found else ""
    rest = text[found.end() :] if found else text
    server, _, path = rest.partition("/")
    login, _, server = server.rpartition("@")
    if not found and ":" in server and not server.startswith("["):
        server, _, first = server.partition(":")
        scheme, path = "ssh", f"{first}/{path}" if path else first
    parts = _HOST.fullmatch(server)
    host, digits = (parts[1], parts[2] or "") if parts else (server, "")
    # Longer numbers are no ports, and Python refuses to read very long ones.
    port = int(digits) if 0 < len(digits) <= 5 else 0
    return GitUrl(
        scheme=scheme,
        user=login.partition(":")[0],
        host=host.strip("[]").lower(),
        port=0 if port == _PORTS.get(scheme) else port,
        path=re.split(r"[?#]", path)[0].strip("/").removesuffix(".git").rstrip("/"),
    )
