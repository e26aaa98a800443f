"""The only fields that a kubeconfig of a node, of the state or of a backup may have.

A kubeconfig can name local files, whose content is sent to its server, and
commands, which are run. What did not come from the user's own disk may
therefore hold nothing but a server, its authority, and a client certificate
with its key, all inline. Everything else is refused by name: kubectl would
act on what is only left out here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

LIMIT = 256 * 1024
"""Characters of a whole kubeconfig."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:-]{0,252}")
_SECTIONS = {"clusters": "cluster", "users": "user", "contexts": "context"}
_TOP = frozenset((*_SECTIONS, "apiVersion", "kind", "current-context", "preferences"))
_FIELDS = {
    "cluster": frozenset(("server", "certificate-authority-data")),
    "user": frozenset(("client-certificate-data", "client-key-data")),
    "context": frozenset(("cluster", "user", "namespace")),
}
_LOGIN = frozenset(("token", "username", "password"))


class NotInlineError(ValueError):
    """A field is refused; the message names it and quotes no value."""


def require(config: Mapping[str, Any], *, login: bool = False) -> None:
    """Raise `NotInlineError` unless `config` has only the fields of this module, well typed.

    `login` allows a token or a password too, inline like the rest.
    """
    _only(config, _TOP, "")
    for key, expected in (("apiVersion", "v1"), ("kind", "Config")):
        if config.get(key, expected) != expected:
            raise NotInlineError(f"{key} is not {expected}")
    if config.get("preferences"):
        raise NotInlineError("preferences is not empty")
    if config.get("current-context"):
        _plain(config["current-context"], "current-context")
    for section, key in _SECTIONS.items():
        entries: Any = config.get(section)
        if entries is None:
            continue
        if not isinstance(entries, list):
            raise NotInlineError(f"{section} is not a list")
        names: set[str] = set()
        for entry in cast("list[Any]", entries):
            name = _entry(entry, section, key, login=login)
            if name in names:
                raise NotInlineError(f"{section} has two entries {name}")
            names.add(name)


def _entry(entry: Any, section: str, key: str, *, login: bool) -> str:
    if not isinstance(entry, Mapping):
        raise NotInlineError(f"an entry of {section} is not a mapping")
    known = cast("Mapping[str, Any]", entry)
    _only(known, frozenset(("name", key)), section)
    name = _plain(known.get("name"), f"{section}.name")
    value: Any = known.get(key)
    if not isinstance(value, Mapping):
        raise NotInlineError(f"{section}.{key} of {name} is not a mapping")
    fields = cast("Mapping[str, Any]", value)
    where = f"{section}.{key} of {name}"
    _only(fields, _FIELDS[key] | (_LOGIN if login and key == "user" else frozenset()), where)
    for field, content in fields.items():
        if not isinstance(content, str):
            raise NotInlineError(f"{where}: {field} is not a text")
        if field == "server":
            _server(content, where)
        elif field.endswith("-data"):
            _base64(content, f"{where}: {field}")
        elif field not in _LOGIN:
            _plain(content, f"{where}: {field}")
    return name


def _only(value: Mapping[Any, Any], known: frozenset[str], where: str) -> None:
    for key in value:
        if key not in known:
            name = key if isinstance(key, str) and _NAME.fullmatch(key) else ascii(key)[:80]
            raise NotInlineError(f"{where + ': ' if where else ''}{name} is not allowed")


def _plain(value: Any, where: str) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise NotInlineError(f"{where} is not a plain name")
    return value


def _server(value: str, where: str) -> None:
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        url, port = urlsplit(""), None
    host = url.hostname or ""
    rebuilt = f"https://[{host}]" if ":" in host else f"https://{host}"
    rebuilt += f":{port}" if port is not None else ""
    if not re.fullmatch(r"[a-z0-9.:_-]+", host) or value.lower().rstrip("/") != rebuilt:
        raise NotInlineError(f"{where}: server is not https:// with a host and a port")


def _base64(value: str, where: str) -> None:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise NotInlineError(f"{where} is not base64") from None
