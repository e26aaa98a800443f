"""Key paths as people write them: ``nodes[0].jump.host``, ``elysium:k3s.version``."""

from __future__ import annotations

import re

from provision import errors

NAMESPACE = "elysium"

Path = tuple[str | int, ...]

_PART = re.compile(
    r"""
    (?P<dot>\.)? (?P<name>[^.\[\]"\s]+)
    | \[ (?P<index>\d{1,4}) \]
    | \[ " (?P<quoted>(?:[^"\\]|\\.)*) " \]
    """,
    re.VERBOSE,
)


def parse(text: str) -> Path:
    """Return the parts of a key path.

    The form is that of Pulumi's property paths: names after dots, indexes and
    quoted names in brackets; a leading ``elysium:`` may be left out. Raises
    `errors.ConfigError` when it has no such form.
    """
    rest = text.strip().removeprefix(f"{NAMESPACE}:")
    parts: list[str | int] = []
    position = 0
    while position < len(rest):
        match = _PART.match(rest, position)
        if match is None or (match["name"] and bool(match["dot"]) != bool(parts)):
            parts.clear()
            break
        if match["index"] is not None:
            parts.append(int(match["index"]))
        elif match["name"] is not None:
            parts.append(match["name"])
        else:
            parts.append(re.sub(r"\\(.)", r"\1", match["quoted"]))
        position = match.end()
    if not parts or isinstance(parts[0], int):
        raise errors.ConfigError(
            f"{text!r} is not a key path",
            [],
            hint="keys look like k3s.version, nodes[0].host or media.remote.account",
        )
    return tuple(parts)


def text(path: Path, *, namespace: bool = True) -> str:
    """Return the path in the form that `parse` reads."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        elif re.fullmatch(r"[^.\[\]\"\s]+", part):
            out += f".{part}" if out else part
        else:
            escaped = part.replace("\\", "\\\\").replace('"', '\\"')
            out += f'["{escaped}"]'
    return f"{NAMESPACE}:{out}" if namespace and out else out
