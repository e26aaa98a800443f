"""What is wrong with the inputs of a media library. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any

from provision import errors
from provision.provider.media import files, obscure
from provision.provider.resource import UNKNOWN, has_unknown

DEFAULTS: dict[str, Any] = {
    "rcloneVersion": "v1.75.2",
    "path": "",
    "mountPoint": "/mnt/media-library",
    "cacheMode": "full",
    "cacheSize": "20G",
    "cacheDir": "/var/cache/rclone",
    "idleTimeout": 0,
    "readOnly": False,
    "options": {},
    "listTimeout": 300,
}

_MODES = ("off", "minimal", "writes", "full")
_SIZE = re.compile(r"off|\d+(\.\d+)?[bBkKmMgGtTpP]?i?[bB]?")
_KEY = re.compile(r"[a-z][a-z0-9_-]*")
_OPTION = re.compile(r"env\.[A-Za-z_][A-Za-z0-9_]*|[A-Za-z][A-Za-z0-9_-]*")
_PATH = re.compile(r"/[^\s\\\"']*")
_SYSTEM = frozenset(
    {"/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/mnt", "/opt", "/proc"}
    | {"/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var"}  # noqa: S108
)


def filled(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return `inputs` with defaults, and paths without what does not count in them."""
    values = DEFAULTS | dict(inputs)
    for name in ("mountPoint", "cacheDir"):
        if isinstance(values[name], str) and values[name].startswith("/"):
            values[name] = "/" + posixpath.normpath(values[name]).lstrip("/")
    return values


def problems(values: Mapping[str, Any]) -> Iterator[errors.Problem]:
    """Yield every problem of `filled` inputs. What is not known yet is not judged."""
    yield from _paths(values)
    if values["cacheMode"] not in (*_MODES, UNKNOWN):
        yield _problem("cacheMode", f"{values['cacheMode']!r} is no cache mode", ", ".join(_MODES))
    size = values["cacheSize"]
    if size is not UNKNOWN and not _SIZE.fullmatch(str(size)):
        yield _problem("cacheSize", f"{size!r} is no size", "such as 20G, or off")
    remote = values.get("remote")
    if isinstance(remote, Mapping):
        yield from _remote(remote, plain=values.get("passwords") != "obscured")
    elif remote is not UNKNOWN:
        yield _problem("remote", "the rclone remote is missing", "a type and its options")
    if isinstance(values["options"], Mapping):
        yield from _options(values["options"])


def _paths(values: Mapping[str, Any]) -> Iterator[errors.Problem]:
    known: dict[str, str] = {}
    for name in ("mountPoint", "cacheDir"):
        path = values[name]
        if path is UNKNOWN:
            continue
        if not isinstance(path, str) or not _PATH.fullmatch(path):
            hint = "from the root, without blanks, quotes and backslashes"
            yield _problem(name, f"{path!r} is no absolute path", hint)
        elif path in _SYSTEM:
            yield _problem(name, f"{path} is a folder of the system", "take one below it")
        else:
            known[name] = path + "/"
    if "mountPoint" in known and not files.fits(known["mountPoint"]):
        longest = f"units are named after it, in at most {files.UNIT_NAME_MAX} characters"
        yield _problem("mountPoint", "the path is too long for systemd", longest)
    one, other = known.get("mountPoint", ""), known.get("cacheDir", "")
    if one and other and (one.startswith(other) or other.startswith(one)):
        yield _problem("cacheDir", "the cache and the mount point are one in the other")
    path = values["path"]
    if isinstance(path, str) and (
        _unprintable(path) or path.endswith("\\") or path != path.strip()
    ):
        yield _problem("path", "it has line ends, blanks at its ends or a backslash at its end")


def _remote(remote: Mapping[str, Any], *, plain: bool) -> Iterator[errors.Problem]:
    secret = obscure.passwords(str(remote.get("type") or ""))
    hidden = secret if plain else ()
    if not remote.get("type"):
        yield _problem("remote", "the remote has no type", "such as azureblob")
    for key, value in remote.items():
        if not _KEY.fullmatch(key):
            yield _problem(f"remote.{key}", "this is no name of an rclone option")
        elif isinstance(value, (dict, list, tuple)) or value is None:
            yield _problem(f"remote.{key}", "a text, a number or true or false is expected")
        elif key in secret and isinstance(value, (bool, int, float)):
            # 0123 and yes are other values by now, and a number is not obscured.
            hint = f"elysium config set --secret media.remote.{key}, or quotes around it"
            yield _problem(f"remote.{key}", "the password is read as a number or a switch", hint)
        elif isinstance(value, str) and not has_unknown(value) and key not in hidden:
            # The file's format knows no escape for these.
            if _unprintable(value) or value != value.strip():
                yield _problem(f"remote.{key}", "it has line ends, or blanks at its ends")
            elif value[:1] in ('"', "`") or "%(" in value:
                hint = "a quote at its beginning and '%(' mean something to rclone"
                yield _problem(f"remote.{key}", "rclone's configuration cannot hold it", hint)


def _options(options: Mapping[str, Any]) -> Iterator[errors.Problem]:
    for key, value in options.items():
        name, where = files.option_name(key), f"options.{key}"
        if name in files.OWN_OPTIONS:
            yield _problem(where, f"this is set with {files.OWN_OPTIONS[name]}")
        elif name in files.FIXED_OPTIONS:
            yield _problem(where, "this is set by elysium and cannot be changed")
        elif not _OPTION.fullmatch(key):
            hint = "without dashes in front, such as dir-cache-time"
            yield _problem(where, "this is no name of a mount option", hint)
        elif isinstance(value, str) and (_unprintable(value) or value != value.strip()):
            yield _problem(where, "it has line ends, or blanks at its ends")
        elif isinstance(value, str) and value.endswith("\\"):
            yield _problem(where, "it ends with a backslash, which would join two lines of a unit")


def _unprintable(text: str) -> bool:
    return any(ord(character) < 32 or ord(character) == 127 for character in text)


def _problem(key: str, message: str, hint: str = "") -> errors.Problem:
    return errors.Problem(message=message, key=key, hint=hint)
